#include "collectives/select/live.hpp"

#include <algorithm>
#include <bit>
#include <fmt/format.h>

namespace weft {

namespace {

using namespace literals;

/// Slices are a part of what a step moves, so that steps overlap and lanes share, but neither
/// smaller than what a message costs nor larger than what the caches hold. Inside a host a quarter;
/// between hosts a 64th or 128th: the last slices of an operation leave lanes idle, for as long as
/// one of them takes. Blocks of an exchange of all with all are n times as small.
Bytes slice_for(Collective collective, Bytes total, const GroupShape& shape) {
    const bool one_host = shape.uniform && shape.hosts == 1;
    const Bytes least = one_host ? 16_KiB : 32_KiB;
    const bool all_to_all = collective == Collective::kAllToAll;
    const Bytes most = one_host ? 128_KiB : all_to_all ? 64_KiB : 256_KiB;
    const auto n = static_cast<std::int64_t>(shape.n);
    const bool twice = collective == Collective::kAllReduce;  // every step, there and back
    const std::int64_t parts = one_host ? 4 : all_to_all ? 32 * n : twice ? 128 : 64;
    const std::int64_t step = total.count() / (parts * n);
    const auto power = std::bit_floor(static_cast<std::uint64_t>(std::max<std::int64_t>(step, 1)));
    return std::clamp(Bytes{static_cast<std::int64_t>(power)}, least, most);
}

/// Between hosts a connection holds what its lanes need to stay busy while acknowledgements wait
/// behind data, some 4 MiB. An exchange of all with all has n - 1 connections, whose slices meet at
/// the receivers: few at a time there, so that no queue gets longer than the others.
std::uint32_t slots_for(Collective collective, Bytes slice, const GroupShape& shape) {
    const bool one_host = shape.uniform && shape.hosts == 1;
    if (one_host || collective == Collective::kAllToAll) return AlgorithmParams().slots;
    return static_cast<std::uint32_t>(
        std::clamp<std::int64_t>(Bytes{4_MiB}.count() / slice.count(), 8, 32));
}

struct Name {
    const char* algorithm;
    const char* why;
};

// Beyond as many ranks an exchange of all with all is more messages, and connections, than work.
constexpr std::uint64_t kMany = 32;
constexpr Bytes kTreeMost = 256_KiB;
// Of a rooted collective: from here on a tree's fewer steps, or the root's fewer messages, show.
constexpr std::uint64_t kSome = 4;
constexpr std::uint32_t kBuckets = 64;  // of one algorithm

/// Two connections a rank, or some six, where an exchange of all with all takes n - 1.
Name name_for_many(Bytes total) {
    if (total <= kTreeMost) return {"tree", "one host of many ranks, little data: 2 log n steps"};
    return {"ring", "one host of many ranks: two connections a rank"};
}

Name name_for(Collective collective, Bytes total, const GroupShape& shape) {
    const bool one_host = shape.uniform && shape.hosts == 1;
    const bool several = shape.uniform && shape.hosts > 1 && shape.per_host > 1;
    switch (collective) {
        case Collective::kAllReduce:
            if (one_host && shape.n > kMany) return name_for_many(total);
            if (one_host) return {"hierarchical", "one host: two exchanges, whatever its ranks"};
            if (several)
                return {"hierarchical", "equal hosts of several ranks: only 1/g leaves a host"};
            return {"ring", "one rank a host, or unequal hosts: least bytes on every NIC"};
        case Collective::kAllGather:
            return {"ring", "least bytes on every NIC"};
        case Collective::kReduceScatter:
            return {"ring", "least bytes on every NIC"};
        case Collective::kAllToAll:
            return {"direct", "every block goes once"};
        case Collective::kBroadcast:
            if (shape.n > kSome && total <= kTreeMost) return {"tree", "little data: log n steps"};
            return {"chain", "the root sends everything once, in slices"};
        case Collective::kReduce:
            if (shape.n > kSome && total <= kTreeMost) return {"tree", "little data: log n steps"};
            return {"chain", "every rank sends and receives everything once, in slices"};
        case Collective::kGather:
        case Collective::kScatter:
            if (shape.n > kSome && total <= kTreeMost)
                return {"tree", "little data: the root has log n messages, not n - 1"};
            return {"direct", "every block goes once"};
        case Collective::kSendRecv:
            return {"direct", "one sender, one receiver"};
    }
    return {"", ""};
}

}  // namespace

LiveChoice choose_live(Collective collective, Bytes total, const GroupShape& shape,
                       std::uint32_t root, const std::string& wanted) {
    const Name name = name_for(collective, total, shape);
    LiveChoice choice;
    choice.algorithm = wanted.empty() ? name.algorithm : wanted;
    choice.why = wanted.empty() ? name.why : "asked for";
    choice.params.root = root;
    choice.params.channels = 1;
    choice.params.slice = slice_for(collective, total, shape);
    choice.params.slots = slots_for(collective, choice.params.slice, shape);
    choice.bucket = static_cast<std::uint32_t>(
        std::countr_zero(static_cast<std::uint64_t>(choice.params.slice.count())));
    if (choice.algorithm == "tree") {
        choice.tree_of_ranks =
            collective == Collective::kAllReduce && shape.uniform && shape.hosts == 1;
        choice.bucket += kBuckets;
    }
    return choice;
}

PlanTemplate build_live(Collective collective, const LiveChoice& choice, const GroupShape& shape) {
    GroupShape seen = shape;
    if (choice.tree_of_ranks) seen.uniform = false;
    PlanTemplate plan = build_plan(collective, choice.algorithm, seen, choice.params);
    for (Channel& c : plan.channels) {
        c.rail = -1;
        c.plane = -1;
    }
    return plan;
}

}  // namespace weft
