#pragma once
// Result: what happened, one schema for all engines and for live runs. result.json holds this and
// the resolved Scenario and nothing that differs between machines, thread counts or symmetry on and
// off; host, wall time and command line go to run.json. Raw numbers carry the unit last.
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/units.hpp"
#include "collectives/plan/plan.hpp"

namespace weft {

/// All collectives (or p2p messages) of one kind, family and size.
/// What one mechanism of the endpoints has of a time.
struct TimePart {
    std::string name;  // "launch", "proxy thread"
    SimDuration time;
};

struct CollectiveSummary {
    std::string family;  // "TP"
    std::string kind;    // "allreduce", "sendrecv"
    std::string algorithm;
    std::uint32_t group_size = 0;
    Bytes size;               // nccl-tests total
    std::uint64_t count = 0;  // group-collectives executed over the whole world
    SimDuration mean_time;    // from the moment the last member arrived to the last member's end
    SimDuration min_time;
    SimDuration max_time;
    SimDuration mean_waiting;  // of a member, from its own arrival to the last member's
    SimDuration max_waiting;
    double algbw_gbytes_per_s = 0;  // size / mean_time
    double busbw_gbytes_per_s = 0;
    /// Of the first group alone on the fabric; they add up. Empty where none are told apart.
    std::vector<TimePart> parts;
};

/// Communication of one family on the slowest rank. total = waiting + transferring, to the ps.
struct FamilyTime {
    std::string family;
    SimDuration total;         // some collective of the family in flight on this rank
    SimDuration exposed;       // of that, no compute running on this rank
    SimDuration waiting;       // of total, only waiting for other members to arrive
    SimDuration transferring;  // of total, under way: launch and steps included
};

/// The collectives of a rank, each by itself: from its arrival to the last member's (waiting), and
/// from there to the end (transferring). in_collectives = waiting + transferring, to the ps; more
/// than the step where collectives of several families are in flight at once. Messages left out.
struct RankSplit {
    RankId rank;              // the lowest of
    std::uint32_t alike = 1;  // the ranks that spend the same
    SimDuration in_collectives;
    SimDuration waiting;
    SimDuration transferring;
};

struct LinkUse {
    LinkId link;
    std::string name;
    std::string kind;  // "scale-up", "pcie", "access", "fabric"
    std::int32_t rail = -1;
    std::int32_t plane = -1;
    std::int32_t tier = 0;
    Bytes carried;
    double utilisation = 0;   // carried / (capacity x step time)
    SimDuration busy;         // time with any traffic on it
    std::uint32_t alike = 1;  // links of equal kind, direction, utilisation and busy, with this one
};

/// Sum over the links of one kind, tier, plane and direction, for the drawing.
struct LinkGroupUse {
    std::string kind;
    std::int32_t tier = 0;
    std::int32_t plane = -1;
    std::int32_t rail = -1;
    bool up = true;  // away from the hosts
    std::uint32_t links = 0;
    Bytes carried;
    double mean_utilisation = 0;
    double max_utilisation = 0;
};

/// One bar of the timeline: of the slowest rank and of one rank per program.
struct Span {
    RankId rank;
    std::string track;  // "compute", "TP", "PP send"
    std::string label;
    SimTime start;
    SimTime end;
    SimTime ready;  // when this rank had arrived; start..: communication under way
};

/// One part of the step, as simulated and as measured, on the rank that does most of it.
struct TrustPart {
    std::string name;  // "TP allreduce", "compute"
    SimDuration simulated;
    SimDuration measured;
};

/// How far measured times of the job back a prediction: the job simulated on the machine that it
/// was measured on, beside what was measured (simulator/trust makes it).
struct Trust {
    enum class Verdict : std::uint8_t { kNothingMeasured, kReproduced, kNotReproduced };
    Verdict verdict = Verdict::kNothingMeasured;
    std::string measured_by;             // where the measured times come from
    std::string on;                      // where the job was simulated: "hpn7, library weft"
    std::int64_t limit_ppm = 0;          // of the step, in millionths
    SimDuration step;                    // what shares are of: measured, or else simulated
    bool step_measured = false;          //
    SimDuration simulated_step;          //
    std::vector<TrustPart> parts;        // compute, then by family
    std::string unexplained;             // the part that misses by most
    SimDuration unexplained_time;        // measured less simulated
    std::vector<std::string> silent;     // communication that has no measured time
    std::vector<std::string> unmatched;  // measured communication that is not in the workload
    bool predicted_anyway = false;       // not reproduced, and the user asked for the number
};

/// One of many runs that differ in their seed.
struct SeedRun {
    std::uint64_t seed = 0;
    SimDuration step_time;
    RankId slowest_rank;
    SimDuration compute;  // on the slowest rank
    RankSplit typical;    // of the rank that waits a median time
};
/// The run below whose step time `percent` of the runs lie, itself included (nearest rank); of
/// equal times the lowest seed first. runs not empty, percent 0 to 100: 0 is the shortest.
[[nodiscard]] const SeedRun& percentile(const std::vector<SeedRun>& runs, unsigned percent);

/// A range that the step time is believed in, 5 to 95 %, by one source of doubt.
struct Band {
    /// What one cause takes from the time, or adds to it.
    struct Part {
        std::string name;  // "scale_up.rate"
        SimDuration below;
        SimDuration above;
    };
    SimDuration low;
    SimDuration high;
    std::string by;           // "machine h100's ranges", "100 seeds"
    std::vector<Part> parts;  // what widens it, most first
};
/// "11.42 ms (10.9 .. 12.1 ms by machine h100's ranges)".
[[nodiscard]] std::string with_bands(SimDuration time, const std::vector<Band>& bands);

/// One sample of a port, or of several: sums, where nothing else is said.
struct QueueSample {
    Bytes most_queued;  // at one port
    Bytes mean_queued;  // of a port, at the instants at which it was looked at
    Bytes sent;
    std::uint64_t marked = 0;
    std::uint64_t lost = 0;  // dropped or trimmed
    std::uint64_t pauses = 0;
    SimDuration paused;
};

/// Ports of one kind, tier, plane and direction that have sent, or one port, sample by sample.
struct QueueSeries {
    std::string kind;
    std::int32_t tier = 0;
    std::int32_t plane = -1;
    bool up = true;
    std::uint32_t ports = 1;
    Bandwidth rate;     // of all together, nominal
    std::string worst;  // the port of the deepest queue
    Bytes most_queued;
    SimTime since;  // a single port: not looked at before
    std::vector<QueueSample> samples;
};

/// One port that was paused. Spans may have gaps in them (PacketSummary::pause_gap).
struct PausedPort {
    struct Span {
        SimTime from;
        SimTime to;
        std::uint64_t pauses = 0;
        SimDuration paused;
        std::size_t root = 0;  // among PacketSummary::pause_roots
    };
    std::string name;
    std::uint64_t pauses = 0;
    SimDuration paused;
    std::uint64_t storms = 0;  // detected by its watchdog
    std::size_t root = 0;      // for longest
    std::vector<Span> spans;
};

/// A flow that waited behind pauses whose root it does not use (simulator/packet/victims.hpp).
struct PauseVictim {
    std::string from;
    std::string to;
    SimDuration waited;
    std::string held_at;  // for longest
    std::string root;     // then
};

/// Nearest ranks.
struct Percentiles {
    std::int64_t p50 = 0;
    std::int64_t p95 = 0;
    std::int64_t p99 = 0;
    std::int64_t max = 0;
};

/// How long messages, or flows, of one sort take until their sender knows. Slowdown: over what they
/// take on idle links, in thousandths.
struct Completions {
    struct Size {
        Bytes largest;
        std::uint64_t count = 0;
        Percentiles time_ps;
        Percentiles slowdown_milli;
    };
    std::string what;         // "network messages"
    std::uint64_t count = 0;  //
    Percentiles time_ps;
    Percentiles slowdown_milli;
    std::vector<Size> sizes;  // smallest first
    /// How many are slowed down at most so much.
    std::vector<std::pair<std::int64_t, std::uint64_t>> slowdowns;
};

/// What happened to packets; only the packet engine fills it.
struct PacketSummary {
    bool used = false;
    std::uint64_t sent = 0;      // data packets that left senders, repeats included
    std::uint64_t repeated = 0;  // of those, sent before
    std::uint64_t marked = 0;    // by ECN, counted at each port
    std::uint64_t dropped = 0;
    std::uint64_t lost = 0;     // of the dropped: by links that lose packets
    std::uint64_t spoiled = 0;  // of the dropped: by their receiver, for an error on the way
    std::uint64_t storms = 0;   // of pauses that do not end, found by watchdogs
    std::uint64_t trimmed = 0;
    std::uint64_t timeouts = 0;
    std::uint64_t pauses = 0;  // PFC
    SimDuration paused;        // of the port that was paused longest
    std::string paused_link;   // that port; empty: none was
    Bytes deepest;             // most data ever waiting at one port
    std::string deepest_link;
    std::uint64_t data_hops = 0;  // data packets over links
    std::uint64_t all_hops = 0;   // packets of any kind

    // Where it was recorded.
    SimDuration sample;               // how long one is; the last may be shorter
    SimTime begin;                    // of the first one: the first packet of all
    SimTime end;                      // of the last one
    std::vector<QueueSeries> groups;  // from the hosts up
    std::vector<QueueSeries> deepest_ports;
    std::vector<PausedPort> paused_ports;  // longest first
    std::uint64_t ports_paused = 0;        // those and all others
    std::vector<std::string> pause_roots;  // ports whose queues those pauses go back to
    SimDuration pause_gap;                 // shorter gaps between pauses may be closed
    std::vector<PauseVictim> victims;      // who waited longest first
    std::uint64_t flows_held = 0;          // those and all others
    SimDuration held;                      // all of those together
    std::uint64_t connections = 0;
    std::vector<Completions> completions;

    /// In bytes; not in the JSON, since it differs between compilers.
    struct Memory {
        std::uint64_t all = 0;
        std::uint64_t packets = 0;
        std::uint64_t a_switch = 0;  // mean
        std::uint64_t a_flow = 0;    // mean, of its connection, without congestion control
        std::uint64_t records = 0;
    } memory;
};

struct Result {
    SimDuration step_time;    // the slowest rank's
    std::vector<Band> bands;  // of step_time; filled by who ran it again, simulate() does not
    RankId slowest_rank;
    bool has_compute = true;
    SimDuration compute;         // on the slowest rank
    SimDuration compute_slowed;  // of it, what communication on the same GPU cost
    SimDuration bubble;          // slowest rank: neither compute nor communication in flight
    std::vector<FamilyTime> families;
    std::vector<CollectiveSummary> collectives;
    /// From the least waiting (who is waited for) to the most; of many, both ends.
    std::vector<RankSplit> rank_splits;
    RankSplit typical_rank;      // of all ranks that have collectives, of median waiting
    std::vector<SeedRun> seeds;  // filled by who ran several; this is the run of median step time
    std::vector<LinkUse> busiest_links;     // the ten busiest, by utilisation then by id
    std::vector<LinkUse> busiest_distinct;  // the same, but of all that are alike only the first
    std::vector<LinkGroupUse> link_groups;
    std::vector<Span> timeline;
    /// The longest of: a link's bytes at the rate that the endpoint leaves it; a rank's compute.
    SimDuration lower_bound;
    std::string lower_bound_by;  // "the bytes of access link tor[0] > host[1].nic[0]"
    PacketSummary packets;
    std::vector<std::string> assumptions;
    std::vector<std::string> warnings;  // "3 links above 90 %: victim flows are not modelled"
    Trust trust;                        // filled by who compared; simulate() does not
    std::map<std::string, std::string> scenario;  // resolved, flat: "fabric.name" -> "hpn7"
};

/// A few lines about the packets; empty without.
[[nodiscard]] std::string packets_text(const PacketSummary& p);
/// What to_json() has of the packets, by itself.
[[nodiscard]] std::string to_json(const PacketSummary& p);

/// Canonical JSON text (sorted keys, fixed number format); equal results give equal bytes.
[[nodiscard]] std::string to_json(const Result& r);

}  // namespace weft
