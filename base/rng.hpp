#pragma once
// Counter-based random numbers, keyed by (seed, entity, stream): the n-th draw of a stream depends
// on nothing else, so results are equal whatever the order in which entities draw, the threads or
// the machine. The mixer is SplitMix64's finaliser (Steele, Lea, Flood, OOPSLA 2014) over a key
// folded from the three numbers. Leaves out: cryptographic strength.
#include <cstdint>
#include <string_view>

namespace weft {

/// A 64-bit mix with full avalanche.
[[nodiscard]] constexpr std::uint64_t mix64(std::uint64_t x) {
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}
/// Order-dependent combination of two hashes.
[[nodiscard]] constexpr std::uint64_t mix64(std::uint64_t a, std::uint64_t b) {
    return mix64(mix64(a) ^ (b + 0x632be59bd9b4e019ULL));
}
/// FNV-1a, for names of streams and content hashes of small text.
[[nodiscard]] constexpr std::uint64_t hash_text(std::string_view text) {
    std::uint64_t h = 0xcbf29ce484222325ULL;
    for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    return h;
}

class RandomStream {
  public:
    constexpr RandomStream(std::uint64_t seed, std::uint64_t entity, std::string_view stream)
        : key_(mix64(mix64(seed, entity), hash_text(stream))) {}
    constexpr std::uint64_t next() { return mix64(key_, counter_++); }
    /// Uniform in [0, n); n > 0. Unbiased (Lemire, TOMACS 2019).
    constexpr std::uint64_t below(std::uint64_t n) {
        while (true) {
            const auto wide = static_cast<unsigned __int128>(next()) * n;
            const auto low = static_cast<std::uint64_t>(wide);
            if (low >= n || low >= (0 - n) % n) return static_cast<std::uint64_t>(wide >> 64);
        }
    }
    /// Uniform in [0, 1) with 53 bits.
    constexpr double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

  private:
    std::uint64_t key_;
    std::uint64_t counter_ = 0;
};

}  // namespace weft
