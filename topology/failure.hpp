#pragma once
// Failure: one thing that goes wrong with links in mid-run, for every engine and for live runs.
//
// Models: what becomes of a cable, of all cables of a switch or NIC, or of all cables of a plane,
// from a time on, for ever or for a while; and how long routing takes to act upon it. Leaves out:
// hosts and GPUs that die, causes that strike several links at random.
//     down      nothing passes; what is on the wire or waits for it is lost
//     up        healthy: ends what began on the link before, failures of the fabric itself included
//     degraded  another rate
//     flap      down for `off` at the start of every `every`
//     loss      each packet is lost with probability `share`
//     corrupt   each packet arrives with probability `share` with an error that its last receiver
//               finds (ICRC, a stomped CRC): it costs the whole way
//     delay     `extra` latency
//     stuck     the far end pauses the link for ever (a PFC storm): of a NIC, all that leads to it
// A dead link stays dead until `up` or the failure's end; of several rates the last begun counts.
// Routing acts `convergence` after each change of a rate, and takes a cable with one dead direction
// for dead: link fault signalling (IEEE 802.3, 46.3.4) stops both.
// Text, one line, one grammar for --fail, for files (topology/io/failures.hpp) and for results:
//     KIND TARGET [rate R] [every D off D] [share P] [extra D] [one-way] [@T] [for D | until T]
//     [convergence D]                 TARGET: "A > B", a switch or NIC, or "plane N"; no KIND: down
#include <optional>
#include <string>
#include <vector>

#include "base/units.hpp"
#include "topology/fabric.hpp"

namespace weft {

enum class FailureKind : std::uint8_t {
    kDown,
    kUp,
    kDegraded,
    kFlap,
    kLoss,
    kCorrupt,
    kDelay,
    kStuck
};
[[nodiscard]] const char* name_of(FailureKind k);

/// What is struck: one of the three.
struct FailureTarget {
    LinkId link;  // the direction that it names comes first
    NodeId node;
    std::int32_t plane = kAny;
    bool operator==(const FailureTarget&) const = default;
};

struct Failure {
    FailureKind kind = FailureKind::kDown;
    FailureTarget target;
    bool one_way = false;  // of a link: not the other direction
    SimTime at;
    SimTime until = SimTime::never();
    Bandwidth rate;           // degraded
    SimDuration every;        // flap
    SimDuration off;          // flap
    std::int64_t share = 0;   // loss, corrupt; parts per 10^9
    SimDuration extra;        // delay
    SimDuration convergence;  // until routing has moved the traffic elsewhere
    bool operator==(const Failure&) const = default;
};

/// Links change at most so often in a run.
inline constexpr std::size_t kMostChanges = 1000;

/// The common case: both directions of a cable go down.
[[nodiscard]] Failure link_down(LinkId link, SimTime at, SimDuration convergence = {});
/// The same for a rate.
[[nodiscard]] Failure link_degraded(LinkId link, Bandwidth rate, SimTime at,
                                    SimDuration convergence = {});

/// Whether it changes what links carry; what else there is only packets see.
[[nodiscard]] bool changes_rates(FailureKind k);
/// The directed links that it strikes.
[[nodiscard]] std::vector<LinkId> links_of(const Fabric& fabric, const Failure& f);

/// One line, see above. `convergence`: where the text says none. ConfigError without place.
[[nodiscard]] Failure parse_failure(const Fabric& fabric, const std::string& text,
                                    SimDuration convergence = {});
/// The exact text that parse_failure() reads.
[[nodiscard]] std::string to_string(const Fabric& fabric, const Failure& f);
/// ConfigError where a failure makes no sense on this fabric, or all together change too often.
void check_failures(const Fabric& fabric, const std::vector<Failure>& failures);

/// What links do, or what routing has learnt of it.
enum class SeenBy : std::uint8_t { kPackets, kRouting };
/// Rates at a time.
[[nodiscard]] Health health_at(const Fabric& fabric, const std::vector<Failure>& failures,
                               SimTime now, SeenBy seen);
/// When something begins, ends or is learnt: ascending, from zero on; zero is always there.
[[nodiscard]] std::vector<SimTime> change_times(const std::vector<Failure>& failures);

/// What befalls packets of a link besides its rate.
struct LinkTrouble {
    std::int64_t loss = 0;     // parts per 10^9
    std::int64_t corrupt = 0;  // of what is not lost
    SimDuration delay;
    bool stuck = false;
    bool operator==(const LinkTrouble&) const = default;
};
/// The links in trouble at a time, ascending. Shares and delays of one link add up.
[[nodiscard]] std::vector<std::pair<LinkId, LinkTrouble>> troubles_at(
    const Fabric& fabric, const std::vector<Failure>& failures, SimTime now);

}  // namespace weft
