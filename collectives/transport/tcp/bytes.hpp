#pragma once
// Little-endian numbers in bytes, whatever the machine.
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace weft::live::tcp {

template <class T>
void store(std::byte* at, T value) {
    static_assert(std::is_unsigned_v<T>);
    for (std::size_t i = 0; i < sizeof(T); ++i)
        at[i] = static_cast<std::byte>(static_cast<std::uint64_t>(value) >> (8 * i));
}

template <class T>
[[nodiscard]] T load(const std::byte* at) {
    static_assert(std::is_unsigned_v<T>);
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i)
        value |= static_cast<std::uint64_t>(at[i]) << (8 * i);
    return static_cast<T>(value);
}

}  // namespace weft::live::tcp
