#pragma once
// PacketOptions: what hosts, NICs and switches do with packets, beyond what the Fabric says.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/units.hpp"
#include "flow_control/link/ecn.hpp"
#include "flow_control/link/pfc.hpp"
#include "flow_control/link/shared_buffer.hpp"

namespace weft::packet {

/// What a receiver does with packets out of order, and a sender with loss.
enum class Recovery : std::uint8_t {
    kGoBackN,          // drops them and asks for the first that is missing: RoCE
    kSelectiveRepeat,  // places them and answers each at once; what they overtook is lost: IRN
                       // (Mittal et al., SIGCOMM 2018)
    kUnordered,        // places them, since paths differ: UEC
};

/// Who chooses among equal paths.
enum class Spread : std::uint8_t {
    kPath,  // the route of the connection: a hash of its 5-tuple, or what its owner pinned
    // The sender, packet by packet, by entropies that every switch hashes (lb/entropy.hpp):
    kEntropy,  // all in turn
    kBitmap,   // all in turn but those that were marked, lost or timed out
    kReps,     // those again whose answers came unmarked
    kMixed,    // those first, then as the bitmap says
    // The switches, by what waits at their ports (lb/adaptive.hpp, lb/flowlet.hpp):
    kShortest,    // packet by packet, the shortest queue
    kAdaptive,    // the same in eight levels of 4 KiB, ties in turn, as chips quantise
    kTwoChoices,  // two draws and the best of last time: DRILL
    kFlowlet,     // as kAdaptive, but only after a pause of the flow
};
[[nodiscard]] constexpr bool chosen_by_switch(Spread s) {
    return s >= Spread::kShortest;
}

/// What a switch does when a packet does not fit.
enum class Overflow : std::uint8_t {
    kPause,  // it does not come to that: PFC stops who sends
    kDrop,
    kTrim,  // the header goes on, in the control class
};

[[nodiscard]] constexpr const char* name_of(Recovery r) {
    constexpr const char* kNames[] = {"go-back-n", "selective", "unordered"};
    return kNames[static_cast<std::size_t>(r)];
}
[[nodiscard]] constexpr const char* name_of(Spread s) {
    constexpr const char* kNames[] = {"path",     "entropy",  "bitmap", "reps",   "mixed",
                                      "shortest", "adaptive", "drill",  "flowlet"};
    return kNames[static_cast<std::size_t>(s)];
}
[[nodiscard]] constexpr const char* name_of(Overflow o) {
    constexpr const char* kNames[] = {"pause", "drop", "trim"};
    return kNames[static_cast<std::size_t>(o)];
}

/// KP4 FEC on access and fabric links (flow_control/link/fec.hpp). Off: the latency of a fabric's
/// links holds it, as measured hops do (facts, DSISCA table 5), and nothing is lost.
struct FecOptions {
    bool on = false;
    double bit_error_rate = 0;  // before correction; what is not corrected is lost
    bool retry = false;         // or sent again by the link (Ultra Ethernet LLR)
};

struct PacketOptions {
    Bytes payload{4096};  // of a full packet
    Bytes header{64};     // on the wire besides
    Bytes ack{64};
    Bytes scale_up_payload{16384};  // moved as one over scale-up links, whose rates are net
    Bytes ack_every{16384};         // payload between two ACKs; 0: one a packet
    bool fill_window = false;       // a packet may go while less than a window is in flight, as in
                                    // HPCC's ns-3; else only what fits into it
    bool ack_first = true;          // ACKs go in the control class, before data
    Recovery recovery = Recovery::kGoBackN;
    /// A packet that so many later ones have overtaken is lost. 0: one for selective repeat; where
    /// unordered packets may be dropped 1.5 windows (UEC's SLEEK, facts C2); else only a timeout
    /// tells.
    std::uint32_t overtaken = 0;
    /// The receiver reorders in so much memory: no packet goes that lies further beyond the first
    /// that is missing. 0: it places packets where they belong, without a bound.
    Bytes reorder_buffer;
    /// A switch passes a packet on as soon as it has its header, to a port that is idle and no
    /// faster or slower than the one it comes by; else it stores the packet first.
    bool cut_through = false;
    /// A new rate also moves the packet that waits for its turn; else that waits as long as the old
    /// rate said, as for all but HPCC in the ns-3 of HPCC's authors.
    bool repace = true;
    Bandwidth qp_rate;   // most of one connection; 0: as congestion control has it
    Bandwidth nic_rate;  // most that a NIC's port takes from its connections; 0: its line rate
    Spread spread = Spread::kPath;
    std::uint32_t entropies = 64;      // a power of two, at most 256
    SimDuration flowlet_gap = us(10);  // a longer pause of a flow lets it take another port
    std::string congestion = "window";
    /// Receivers grant what goes beyond the first window: UEC's RCCC (cc/credits.hpp), beside the
    /// congestion control of the sender.
    bool credits = false;
    bool mark_by_algorithm = true;  // ECN as the congestion control wants it, else `marking`
    EcnProfile marking;
    bool mark_towards_hosts = true;  // at the last hop as well; RCCC's receivers do without
    Overflow overflow = Overflow::kPause;
    /// Of a switch, shared by its ports. Zero: 25.8 us of the rate of every port (165 MB for 51.2
    /// Tbit/s, as Tomahawk 5 has it).
    Bytes buffer;
    Bytes queue;  // most of one egress queue, data alone; 0: what the buffer allows
    /// Instead of all that: the profile of every switch; class 1 is data.
    std::optional<BufferProfile> memory;
    FecOptions fec;
    WatchdogProfile watchdog;           // of every switch port, against pauses that do not end
    SimDuration notify_every = us(50);  // between two CNPs of a connection (DCQCN's N)
    SimDuration base_rtt;               // what congestion control takes for it; 0: each path's own
    SimDuration least_timeout;          // 0: 67 ms where PFC keeps it lossless, else 100 us
    std::uint64_t seed = 1;
    bool record = false;  // what ports do over time, pauses and their victims (recorder.hpp)
};

/// What a result says of them: names and values with their units.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> described(const PacketOptions& o);
/// As the flags --watchdog and --fec have them.
[[nodiscard]] std::string text_of(const WatchdogProfile& w);
[[nodiscard]] std::string text_of(const FecOptions& f);

}  // namespace weft::packet
