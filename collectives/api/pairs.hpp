#pragma once
// Pairs: send and receive between members of a communicator. Every ordered pair in use is a small
// communicator of two, (source, destination), on a context of its own, and each message an
// operation of it by the Plan sendrecv/direct: so messages of a pair meet in order, those of
// different pairs in any order and at the same time, ranks that take no part hear nothing, counts
// or types that differ are an error that names both, and lanes, patience and deaths are what they
// are for collectives. A pair breaks with its communicator, and breaks it. Contexts: a communicator
// of n ranks takes 1 + 2n, its own and those of its pairs. (s + d) mod n and which of the two is
// less tell all pairs of one rank apart, so 2n serve for n (n - 1). A message of no elements is a
// byte that nobody reads: both ends still meet. Cost: a pair is made when it is first used, 30 KB
// at each of its ends, most of it the control's memory of its last operations. Messages of one pair
// go one after the other. Leaves out: tags, wildcards; a rank's messages to itself beyond one
// group.
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "collectives/api/world.hpp"
#include "collectives/runtime/communicator.hpp"
#include "topology/placement.hpp"

namespace weft::live {

/// One message: to a member, or from one. A group of them may have any, in any order; the k-th that
/// one rank sends another meets the k-th that this one receives from it.
struct PairMessage {
    enum class Way : std::uint8_t { kSend, kReceive };
    Way way = Way::kSend;
    std::uint32_t peer = 0;  // rank in the communicator
    void* data = nullptr;    // read, or written
    std::uint64_t count = 0;
    DataType dtype = DataType::kF32;
};

[[nodiscard]] constexpr ContextId contexts_of(std::uint32_t ranks) {
    return 1 + 2 * ranks;
}
/// Of the messages from `source` to `destination`; another one for every pair that a rank is in.
[[nodiscard]] constexpr ContextId pair_context(ContextId whole, std::uint32_t ranks,
                                               std::uint32_t source, std::uint32_t destination) {
    return whole + 1 + 2 * ((source + destination) % ranks) + (source < destination ? 0 : 1);
}

class Pairs {
  public:
    Pairs(World& world, Communicator& whole) : world_(world), whole_(whole) {}

    /// ConfigError for what makes no sense; messages to oneself must meet within the group.
    void check(std::span<const PairMessage> group) const;
    /// Of a group that has been checked: those to oneself are done, the others under way.
    [[nodiscard]] std::vector<Handle> start(std::span<const PairMessage> group);

  private:
    struct Pair {
        std::unique_ptr<Communicator> communicator;
        GroupShape shape;
    };
    [[nodiscard]] Pair& pair(std::uint32_t source, std::uint32_t destination);
    [[nodiscard]] const PreparedPlan& plan(const Pair& p, std::uint64_t bytes);

    World& world_;
    Communicator& whole_;
    std::mutex mutex_;
    /// By (end of the pair, one host, bucket of sizes).
    std::map<std::tuple<std::uint32_t, bool, std::uint32_t>, std::unique_ptr<PreparedPlan>> plans_;
    std::map<std::pair<std::uint32_t, std::uint32_t>, Pair> pairs_;
    std::byte sent_for_nothing_{};
    std::byte received_for_nothing_{};
};

}  // namespace weft::live
