#pragma once
// What travels between ranks: which operation a message belongs to, which message of it it is, and
// the memory that it is read from or lands in. Ranks are world ranks everywhere in transport/.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

namespace weft::live {

using Clock = std::chrono::steady_clock;

/// A communicator, by a number that all its members agree on; 0 is the world.
using ContextId = std::uint32_t;

/// Which message: sequence number `sequence` of `stream` in operation number `operation` of a
/// communicator. Used once between two ranks and in one direction.
struct MessageKey {
    std::uint64_t operation = 0;
    ContextId context = 0;
    std::uint32_t stream = 0;  // (channel, stage): a connection, once the two ranks are known
    std::uint32_t sequence = 0;
    bool operator==(const MessageKey&) const = default;
};

/// What a rank says about an operation; equal at all members of the communicator or an error.
/// The codes are the runtime's: a transport compares them and carries them.
struct OperationHead {
    std::uint64_t operation = 0;  // numbered from 1, per communicator
    std::uint64_t plan_hash = 0;  // collective, ranks, root, algorithm: the whole template
    std::uint64_t count = 0;
    ContextId context = 0;
    std::uint8_t collective = 0;
    std::uint8_t dtype = 0;
    std::uint8_t reduction = 0;
    std::uint8_t reserved = 0;
    std::uint32_t root = 0;
    bool operator==(const OperationHead&) const = default;
    /// Travels with every message, so that nothing of another operation is ever consumed.
    [[nodiscard]] std::uint64_t digest() const;
};

/// A range of a registered region.
struct Segment {
    std::uint32_t region = 0;
    std::byte* data = nullptr;
    std::size_t size = 0;
};
/// What a message is made of, in order. Sender and receiver may cut it differently.
using Segments = std::span<const Segment>;
[[nodiscard]] std::size_t total_size(Segments segments);
/// Reads through segments piece by piece.
class SegmentReader {
  public:
    explicit SegmentReader(Segments segments) : left_(segments) {}
    /// The next contiguous bytes, at most `most` of them; empty at the end.
    std::span<std::byte> next(std::size_t most) {
        while (!left_.empty() && at_ == left_.front().size) {
            left_ = left_.subspan(1);
            at_ = 0;
        }
        if (left_.empty()) return {};
        const std::span<std::byte> piece{left_.front().data + at_,
                                         std::min(most, left_.front().size - at_)};
        at_ += piece.size();
        return piece;
    }

  private:
    Segments left_;
    std::size_t at_ = 0;
};

}  // namespace weft::live
