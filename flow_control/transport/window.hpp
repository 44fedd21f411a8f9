#pragma once
// Bits of a bounded window over the packets of one connection, and the run that is complete.
//
// Models: a ring of 64-bit words that somebody else owns (an engine keeps all in one slab); packet
// s has bit s mod capacity. Packets are numbered from 0 without wrapping: 2^32 of 4 KiB are 16 TiB.
// Leaves out: growth. Cost: a few instructions; words of 64 packets are passed at once.
#include <bit>
#include <cstdint>
#include <span>

#include "base/check.hpp"

namespace weft {

using PacketNumber = std::uint32_t;

/// A ring of bits. 16 bytes and the words.
class BitRing {
  public:
    BitRing() = default;
    /// A power of two of words, all zero, that outlive this.
    explicit BitRing(std::span<std::uint64_t> words)
        : words_(words.data()), mask_(static_cast<std::uint32_t>(words.size() * 64 - 1)) {
        WEFT_CHECK(std::has_single_bit(words.size()), "{} words", words.size());
    }
    [[nodiscard]] std::uint32_t capacity() const { return words_ == nullptr ? 0 : mask_ + 1; }
    [[nodiscard]] bool has(PacketNumber s) const { return (word(s) >> (s & 63) & 1) != 0; }
    void set(PacketNumber s) { word(s) |= std::uint64_t{1} << (s & 63); }
    void clear(PacketNumber s) { word(s) &= ~(std::uint64_t{1} << (s & 63)); }
    /// The 64 packets from s on, s in bit 0. At least two words.
    [[nodiscard]] std::uint64_t from(PacketNumber s) const {
        const unsigned shift = s & 63;
        const std::uint64_t low = word(s) >> shift;
        return shift == 0 ? low : low | word(s + 64) << (64 - shift);
    }
    /// The bits of s and of those after it in the same word, s in bit 0.
    [[nodiscard]] std::uint64_t rest_of_word(PacketNumber s) const { return word(s) >> (s & 63); }

  private:
    [[nodiscard]] std::uint64_t& word(PacketNumber s) const { return words_[(s & mask_) >> 6]; }
    std::uint64_t* words_ = nullptr;
    std::uint32_t mask_ = 0;
};

/// What has arrived: everything below base(), and some of the capacity() packets from there on.
class ArrivalWindow {
  public:
    enum class Place : std::uint8_t { kNew, kAgain, kBeyond };

    ArrivalWindow() = default;
    explicit ArrivalWindow(std::span<std::uint64_t> words) : bits_(words) {}

    Place insert(PacketNumber s) {
        if (s < base_ || (s - base_ < bits_.capacity() && bits_.has(s))) return Place::kAgain;
        if (s - base_ >= bits_.capacity()) return Place::kBeyond;
        bits_.set(s);
        if (s == base_) advance();
        return Place::kNew;
    }
    [[nodiscard]] bool has(PacketNumber s) const {
        return s < base_ || (s - base_ < bits_.capacity() && bits_.has(s));
    }
    /// All before this have arrived.
    [[nodiscard]] PacketNumber base() const { return base_; }
    /// The 64 packets from s on, s in bit 0; base() <= s, s + 63 within the window.
    [[nodiscard]] std::uint64_t from(PacketNumber s) const { return bits_.from(s); }

  private:
    void advance() {
        while (bits_.has(base_)) {
            const int run = std::countr_one(bits_.rest_of_word(base_));
            for (int n = 0; n < run; ++n) bits_.clear(base_++);
        }
    }
    BitRing bits_;
    PacketNumber base_ = 0;
};

}  // namespace weft
