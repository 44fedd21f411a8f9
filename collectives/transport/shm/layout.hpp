#pragma once
// What lies in shared memory. Two kinds of segment:
// - a rank's page and arena, written by the rank alone and read by its peers: whether it sleeps,
//   the heads of its last operations, its boards, and the payload that it has sent;
// - a pair's links, written by both: per lane and direction 64 message slots that the sender writes
//   and, in other cache lines, what the receiver says of them.
// A message of up to 24 bytes is one cache line written by the sender and one bit by the receiver.
// Nothing here is believed: readers copy what they need, once, and check it. Sizes: README.md.
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "collectives/transport/message.hpp"

namespace weft::live::shm {

// Plain integers in shared memory, read and written whole.
template <class T>
[[nodiscard]] T load(const T& at) {
    return std::atomic_ref<T>(const_cast<T&>(at)).load(std::memory_order_acquire);
}
template <class T>
[[nodiscard]] T peek(const T& at) {
    return std::atomic_ref<T>(const_cast<T&>(at)).load(std::memory_order_relaxed);
}
template <class T>
void store(T& at, T value) {
    std::atomic_ref<T>(at).store(value, std::memory_order_release);
}
template <class T>
void set(T& at, T value) {
    std::atomic_ref<T>(at).store(value, std::memory_order_relaxed);
}

constexpr std::uint32_t kMagic = 0x57534d32;  // "WSM2": the layout's version
constexpr std::size_t kLine = 64;
constexpr std::size_t kPage = 4096;

/// Slots of a lane in one direction: one bit each of a word.
constexpr std::uint32_t kDepth = 64;

enum class Kind : std::uint8_t {
    kInline,  // the payload is in the slot
    kStream,  // in chunks of the sender's arena, as they are published
    kPlace,   // where it is, in memory that the sender shares
    kFar,     // where it is, in plain memory of the sender's process
};

struct Slot {
    enum What : std::uint32_t { kPosted = 1, kClaimed = 2, kRevoked = 3 };
    static constexpr std::size_t kPayload = 216;
    static constexpr std::size_t kChunks = 52;
    static constexpr std::size_t kPlaces = 9;
    // Of `published`: the sender cannot show more before some of it is taken; it has given up.
    static constexpr std::uint64_t kShort = std::uint64_t{1} << 63;
    static constexpr std::uint64_t kGivenUp = std::uint64_t{1} << 62;
    static constexpr std::uint64_t kSizeMask = (std::uint64_t{1} << 48) - 1;

    struct Stream {
        std::uint64_t published;        // bytes that may be read
        std::uint32_t chunks[kChunks];  // a ring: page of the arena where a chunk begins
    };
    struct Place {
        std::uint64_t offset;  // kFar: address
        std::uint64_t size;
        std::uint32_t block;
        std::uint32_t reserved;
    };

    std::uint32_t state;  // turn << 2 | What; written last
    std::uint32_t sequence;
    std::uint64_t operation;
    std::uint64_t digest;
    std::uint64_t size;  // Kind << 56 | pieces << 48 | bytes
    std::uint32_t context;
    std::uint32_t stream;
    union {
        std::byte bytes[kPayload];
        Stream chunked;
        Place places[kPlaces];
    };
};
static_assert(sizeof(Slot) == 256);

/// A slot's turn: which use of it this is.
[[nodiscard]] inline std::uint32_t state_of(std::uint64_t index, Slot::What what) {
    return (static_cast<std::uint32_t>(index + 1) << 2) | what;
}

/// One lane in one direction.
struct Half {
    Slot slots[kDepth];  // the sender's
    // The receiver's. A bit of `consumed` changes each time that its slot has been consumed.
    alignas(kLine) std::uint64_t consumed;
    // What the receiver says of a message that is not complete: turn << 48 | flags | bytes taken.
    alignas(kLine) std::uint64_t taken[kDepth];
};
constexpr std::uint64_t kWanted = std::uint64_t{1} << 47;   // a receive has been posted for it
constexpr std::uint64_t kCopying = std::uint64_t{1} << 46;  // ... which copies what it is shown
constexpr std::uint64_t kTakenMask = kCopying - 1;

/// The head of a pair's segment; lanes follow, both directions of each.
struct PairPage {
    static constexpr std::uint32_t kLanes = 64;
    std::uint32_t magic;
    std::uint32_t lanes;
    // Rises when a lane is cut (odd) or mended (even). Written by either side.
    alignas(kLine) std::uint32_t epoch[kLanes];
    // Whether the lower, the higher rank can read the other's plain memory. Each
    // writes its own.
    alignas(kLine) std::uint32_t can_read[2];
};
constexpr std::size_t kHalfBytes = sizeof(Half);
static_assert(kHalfBytes % kLine == 0);
[[nodiscard]] inline std::size_t pair_bytes(std::uint32_t lanes) {
    return kPage + std::size_t{2} * lanes * kHalfBytes;
}

/// One member's two places of a board (board.hpp).
struct BoardPlace {
    static constexpr std::size_t kMost = 8192;
    static constexpr std::size_t kWindow = std::size_t{256} << 10;
    struct Generation {
        std::uint64_t number;  // written last
        std::uint64_t digest;
        std::uint64_t size;
        std::byte bytes[kMost + 40];
    };
    Generation generations[2];
};
static_assert(sizeof(BoardPlace::Generation) % kLine == 0);
/// What the same two show beside their few bytes, apart: memory that is touched when it is used.
using BoardWindow = std::byte[BoardPlace::kWindow];

/// The head of a rank's segment; the arena follows.
struct RankPage {
    static constexpr std::size_t kHeads = 256;
    static constexpr std::size_t kBoards = 16;
    struct Head {
        std::uint64_t version;  // odd while it is being written
        std::uint64_t operation;
        std::uint64_t plan_hash;
        std::uint64_t count;
        std::uint64_t kinds;
        std::uint32_t context;
        std::uint32_t root;
    };
    std::uint32_t magic;
    std::uint32_t rank;
    alignas(kLine) std::uint32_t sleep;              // odd: asleep; counts up at each end of it
    alignas(kLine) std::uint64_t board_of[kBoards];  // 1 + context; 0: never used
    std::uint64_t ended[kBoards];  // 0: in use; else its board ended, as the so-many-th
    alignas(kLine) Head heads[kHeads];
    alignas(kPage) BoardPlace boards[kBoards];
    alignas(kPage) BoardWindow windows[kBoards][2];
};
static_assert(sizeof(RankPage) % kPage == 0);

constexpr std::size_t kSmallChunk = kPage;
constexpr std::size_t kLargeChunk = 16 * kPage;
/// Chunks of a message: small messages take one small chunk, others as many large ones as needed.
[[nodiscard]] inline std::size_t chunk_size(std::uint64_t message) {
    return message <= kSmallChunk ? kSmallChunk : kLargeChunk;
}

}  // namespace weft::live::shm
