#pragma once
// One lane in one direction: a bounded ring of message descriptors between one sending and one
// receiving thread. No bytes move through it: a descriptor shows where the sender's bytes lie.
//
// A slot goes free -> posted (sender) -> taken (receiver) -> done (receiver) -> free (sender), or
// from taken back to posted when nobody has asked for the message yet. To take a message back the
// sender turns posted into revoked; since taking and revoking are one compare-and-exchange on the
// same word, a message is either consumed or comes back, never both.
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "collectives/transport/transport.hpp"

namespace weft::live {

struct LaneQueue {
    static constexpr std::uint32_t kDepth = 64;
    enum State : std::uint32_t { kFree, kPosted, kTaken, kDone, kRevoked };

    struct Slot {
        std::atomic<std::uint32_t> state{kFree};
        MessageKey key;
        std::uint64_t digest = 0;
        Segments data;
    };
    [[nodiscard]] Slot& slot(std::uint64_t index) { return slots[index % kDepth]; }

    // The sender's side: slots [tail, head) are in use.
    alignas(64) std::atomic<std::uint64_t> head{0};
    std::uint64_t tail = 0;
    bool down_reported = false;
    // The receiver's side: slots before `first_open` are taken or revoked.
    alignas(64) std::uint64_t first_open = 0;
    alignas(64) std::atomic<bool> dead{false};
    std::array<Slot, kDepth> slots;
};

}  // namespace weft::live
