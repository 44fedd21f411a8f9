#pragma once
// fault: a decorator that makes an Endpoint misbehave within the contract (transport.hpp), so that
// what stands above it meets late, double, lost and overtaking messages and dead or slow lanes.
//
// A message's fate is drawn from (seed, sender, receiver, key), so both ends know it without a
// word, and it befalls the first attempt only. The plan is the same at all ranks.
//     delay      held back at the sender; what follows on the lane waits behind it
//     reorder    held back alone: what follows on the lane overtakes it
//     sent_late, received_late    the completion is held back at the sender, at the receiver
//     duplicate  a second copy comes later, by any lane
//     late       lane down and kSendLost at the sender, while a copy still comes, before or after
//                the one that is sent again
//     healed     the same, and the copy comes when the lane is up again
//     drop       never leaves; lane down and kSendLost after `detect`
//     cut        leaves, and the transport's own lane is cut under it for `heal` (cut_lane): its
//                fence, and one key that comes twice by two lanes, are put to the test
//     corrupt    a bit of it is turned over below the checksum (corrupt_lane; tcp alone can).
//                With verification its operation ends with an error that says "wrong CRC" and
//                names the lane; without it the result is wrong, and nobody is told
// A second copy travels under a key of its own and owns its bytes (spoiled once the first copy was
// consumed): by contract an inner transport never sees a key twice without a dead lane, and the
// decorator at the receiver keeps the promise that no byte of it reaches the caller's memory: it
// lands as a view, and whichever copy comes second is given back unread.
// Words of topology/failure.hpp: down = LaneFault kCut; flap = several; degraded = kSlow; loss =
// drop; delay = delay; stuck = a kCut that nobody mends. Leaves out: a second kReceived of one
// receive (the contract has none). Works alike on every transport; cuts where cut_lane() does.
//
// As text (parse_fault_plan, `weft bench --fault`): clauses with ';' between them.
//     seed=7; drop=1%; late=0.5%; duplicate=1%; longest=3ms; kill lane=1 rank=0 at=5ms lasts=300ms
//     NAME=SHARE     of messages: delay, reorder, sent_late, received_late, duplicate, late,
//                    healed, drop, corrupt, cut; together not more than 100%
//     NAME=TIME      longest, detect, heal (below)
//     seed=NUMBER    another number, other messages
//     kill ...       a lane carries nothing: lane=, rank= (default: all), after= (messages posted),
//                    at= (time since the first), lasts= (default: for ever)
//     slow rate=...  a lane carries that much a second: the same words
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "collectives/transport/transport.hpp"

namespace weft::live {

/// Of lanes, on a schedule. Begins when a rank has posted `after` messages and `at` has passed
/// since its first.
struct LaneFault {
    enum class Kind : std::uint8_t { kCut, kSlow };
    Kind kind = Kind::kCut;
    std::int32_t rank = -1;  // at which end; -1: both
    std::int32_t lane = -1;  // -1: all, to every peer
    std::uint64_t after = 0;
    std::chrono::microseconds at{0};
    std::chrono::microseconds lasts{50'000};
    std::uint64_t bytes_per_second = 0;  // kSlow
};

struct FaultPlan {
    std::uint64_t seed = 0;
    // Of a million messages; together not more than that.
    std::uint32_t delay = 0;
    std::uint32_t reorder = 0;
    std::uint32_t sent_late = 0;
    std::uint32_t received_late = 0;
    std::uint32_t duplicate = 0;
    std::uint32_t late = 0;
    std::uint32_t healed = 0;
    std::uint32_t drop = 0;
    std::uint32_t corrupt = 0;
    std::uint32_t cut = 0;
    std::chrono::microseconds longest{3'000};  // of what is held back
    std::chrono::microseconds detect{2'000};   // from a loss to its report
    std::chrono::microseconds heal{5'000};     // from a report, or a cut, to the lane's return
    std::vector<LaneFault> lanes;
    /// Of a million messages, in all.
    [[nodiscard]] std::uint64_t share() const;
};
/// ConfigError for text that is no plan.
[[nodiscard]] FaultPlan parse_fault_plan(const std::string& text);

/// What has happened at one rank.
struct FaultCounts {
    std::uint64_t struck = 0;           // messages that met a fate
    std::uint64_t second_copies = 0;    // posted
    std::uint64_t second_unread = 0;    // arrived after the first, at this rank
    std::uint64_t second_was_used = 0;  // arrived before it
    std::uint64_t lost = 0;             // kSendLost made here
    std::uint64_t cuts = 0;
    std::uint64_t slowed = 0;
    std::uint64_t corrupted = 0;
};

/// `counts`, if given, outlives the endpoint.
[[nodiscard]] std::unique_ptr<Endpoint> with_faults(std::unique_ptr<Endpoint> inner,
                                                    const FaultPlan& plan,
                                                    FaultCounts* counts = nullptr);
/// A world all of whose ranks have it. `counts`: one each, or empty.
[[nodiscard]] std::unique_ptr<Transport> with_faults(std::unique_ptr<Transport> inner,
                                                     const FaultPlan& plan,
                                                     std::vector<FaultCounts>* counts = nullptr);

}  // namespace weft::live
