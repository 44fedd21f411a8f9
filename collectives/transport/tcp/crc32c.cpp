#include "collectives/transport/tcp/crc32c.hpp"

#include <array>
#include <cstring>

namespace weft::live::tcp {

namespace {

constexpr std::uint32_t kPolynomial = 0x82f63b78;
using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr Tables make_tables() {
    Tables t{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t c = i;
        for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ ((c & 1) != 0 ? kPolynomial : 0);
        t[0][i] = c;
    }
    for (std::uint32_t i = 0; i < 256; ++i)
        for (std::size_t k = 1; k < 8; ++k) t[k][i] = (t[k - 1][i] >> 8) ^ t[0][t[k - 1][i] & 0xff];
    return t;
}
constexpr Tables kTables = make_tables();

std::uint64_t word_at(const std::byte* at) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    return word;
}

std::uint32_t step(std::uint32_t crc, std::byte b) {
    return (crc >> 8) ^ kTables[0][(crc ^ static_cast<std::uint32_t>(b)) & 0xff];
}

std::uint32_t by_tables(const std::byte* at, std::size_t size, std::uint32_t crc) {
    for (; size >= 8; at += 8, size -= 8) {
        std::uint64_t word = 0;
        for (unsigned i = 0; i < 8; ++i) word |= static_cast<std::uint64_t>(at[i]) << (8 * i);
        word ^= crc;
        crc = 0;
        for (unsigned i = 0; i < 8; ++i) crc ^= kTables[7 - i][(word >> (8 * i)) & 0xff];
    }
    for (; size > 0; ++at, --size) crc = step(crc, *at);
    return crc;
}

#if defined(__x86_64__)
// One stream waits three cycles for each instruction; three streams of kBlock bytes keep it busy.
// They are joined by moving a CRC forward over kBlock zero bytes, a linear map of its 32 bits.
constexpr std::size_t kBlock = 1024;
using Shift = std::array<std::array<std::uint32_t, 256>, 4>;

constexpr Shift make_shift() {
    std::array<std::uint32_t, 32> image{};  // of each bit
    for (unsigned bit = 0; bit < 32; ++bit) {
        std::uint32_t c = std::uint32_t{1} << bit;
        for (std::size_t i = 0; i < kBlock; ++i) c = (c >> 8) ^ kTables[0][c & 0xff];
        image[bit] = c;
    }
    Shift s{};
    for (unsigned k = 0; k < 4; ++k)
        for (std::uint32_t v = 0; v < 256; ++v)
            for (unsigned bit = 0; bit < 8; ++bit)
                if ((v >> bit & 1) != 0) s[k][v] ^= image[8 * k + bit];
    return s;
}
constexpr Shift kShift = make_shift();

std::uint32_t shifted(std::uint32_t c) {
    return kShift[0][c & 0xff] ^ kShift[1][c >> 8 & 0xff] ^ kShift[2][c >> 16 & 0xff] ^
           kShift[3][c >> 24];
}

__attribute__((target("sse4.2"))) std::uint32_t by_instruction(const std::byte* at,
                                                               std::size_t size,
                                                               std::uint32_t crc) {
    for (; size >= 3 * kBlock; at += 3 * kBlock, size -= 3 * kBlock) {
        std::uint64_t a = crc;
        std::uint64_t b = 0;
        std::uint64_t c = 0;
        for (std::size_t i = 0; i < kBlock; i += 8) {
            a = __builtin_ia32_crc32di(a, word_at(at + i));
            b = __builtin_ia32_crc32di(b, word_at(at + kBlock + i));
            c = __builtin_ia32_crc32di(c, word_at(at + 2 * kBlock + i));
        }
        crc = shifted(shifted(static_cast<std::uint32_t>(a)) ^ static_cast<std::uint32_t>(b)) ^
              static_cast<std::uint32_t>(c);
    }
    std::uint64_t wide = crc;
    for (; size >= 8; at += 8, size -= 8) wide = __builtin_ia32_crc32di(wide, word_at(at));
    crc = static_cast<std::uint32_t>(wide);
    for (; size > 0; ++at, --size)
        crc = __builtin_ia32_crc32qi(crc, static_cast<unsigned char>(*at));
    return crc;
}
bool has_instruction() {
    return __builtin_cpu_supports("sse4.2") != 0;
}
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
std::uint32_t by_instruction(const std::byte* at, std::size_t size, std::uint32_t crc) {
    for (; size >= 8; at += 8, size -= 8) crc = __builtin_aarch64_crc32cx(crc, word_at(at));
    for (; size > 0; ++at, --size)
        crc = __builtin_aarch64_crc32cb(crc, static_cast<unsigned char>(*at));
    return crc;
}
bool has_instruction() {
    return true;
}
#else
std::uint32_t by_instruction(const std::byte* at, std::size_t size, std::uint32_t crc) {
    return by_tables(at, size, crc);
}
bool has_instruction() {
    return false;
}
#endif

}  // namespace

std::uint32_t crc32c_by_tables(std::span<const std::byte> bytes, std::uint32_t crc) {
    return ~by_tables(bytes.data(), bytes.size(), ~crc);
}

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t crc) {
    static const bool fast = has_instruction();
    return fast ? ~by_instruction(bytes.data(), bytes.size(), ~crc) : crc32c_by_tables(bytes, crc);
}

}  // namespace weft::live::tcp
