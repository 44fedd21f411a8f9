#pragma once
// CongestionControl: how much one sender may have in flight and how fast it may send.
//
// A pure state machine: no clock (every call brings the time), no packet, no engine. The packet
// engine and the runtime drive it alike:
//
//     cc = row.make(parameters, path);
//     before a packet: in flight + packet <= cc->window(), and paced at cc->rate()
//     after it:        cc->sent(now, bytes)
//     cc->on_ack(...) / on_cnp(...) / on_nack(...) / on_timeout(...); at cc->timer(): on_timer(...)
//
// window(), rate() and timer() are plain fields, read once a packet; the virtual calls come once an
// acknowledgement. Bytes are bytes on the wire of data packets, headers included, on both sides of
// the comparison. Leaves out: which bytes (transport), which path (flow_control/lb), queues. Every
// answer stays within 0 < rate <= path.line_rate and window >= one packet, whatever the calls, in
// any order: the generic tests send random strings of them. Arithmetic: integers, or double with
// + - * / and sqrt alone, so results are the same on every machine.
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/parameters.hpp"
#include "base/registry.hpp"
#include "base/units.hpp"
#include "flow_control/link/ecn.hpp"

namespace weft {

/// What one egress port adds to a packet that asks for it (HPCC, figure 7). `sent` counts all bytes
/// that have left the port, `queue` what waits there as the packet leaves.
struct HopTelemetry {
    SimTime at;
    Bandwidth rate;
    Bytes queue;
    Bytes sent;
};

/// What the path looks like when the connection is made.
struct PathFacts {
    Bandwidth line_rate;     // of the sender's port
    SimDuration base_rtt;    // data packet there, acknowledgement back, empty queues
    Bytes packet;            // a full data packet on the wire
    std::uint32_t hops = 2;  // links of the path, one way
};

/// One acknowledgement, as the sender sees it. A receiver that coalesces reports the state of the
/// packet that made it answer (`rtt`, `hops`) and sums (`acked`, `marked`).
struct Ack {
    SimTime now;
    SimDuration rtt;             // now - when the packet that caused this left the sender
    Bytes acked;                 // newly acknowledged by this
    Bytes marked;                // of those, in packets that carried congestion-experienced
    Bytes in_flight;             // after this
    std::uint64_t acked_to = 0;  // bytes acknowledged so far, this included
    std::uint64_t sent_to = 0;   // bytes sent so far: acknowledged after this = one round trip on
    std::span<const HopTelemetry> hops;  // in path order; empty when not asked for
};

class CongestionControl {
  public:
    virtual ~CongestionControl() = default;

    virtual void on_ack(const Ack& ack) = 0;
    /// A congestion notification packet of the receiver (DCQCN).
    virtual void on_cnp(SimTime now) { (void)now; }
    /// The receiver, or a switch that trimmed, says that `lost` bytes did not arrive.
    virtual void on_nack(SimTime now, Bytes lost) { (void)now, (void)lost; }
    /// Nothing came back for a retransmission timeout.
    virtual void on_timeout(SimTime now) { (void)now; }
    /// Due at timer(). Must move timer() on.
    virtual void on_timer(SimTime now) { (void)now; }

    /// Call for every data packet that leaves.
    void sent(SimTime now, Bytes bytes) {
        sent_since_ += bytes;
        if (sent_since_ >= byte_stage_) on_bytes(now);
    }

    /// In flight never exceeds this. kNoWindow: only the rate limits.
    [[nodiscard]] Bytes window() const { return window_; }
    /// Packets are paced at this.
    [[nodiscard]] Bandwidth rate() const { return rate_; }
    /// When on_timer() wants to be called; never() when not.
    [[nodiscard]] SimTime timer() const { return timer_; }

    static constexpr Bytes kNoWindow{std::int64_t{1} << 60};

  protected:
    /// `byte_stage_` bytes have been sent since the count was last set to zero.
    virtual void on_bytes(SimTime now) { (void)now; }

    Bytes window_ = kNoWindow;
    Bandwidth rate_;
    SimTime timer_ = SimTime::never();
    Bytes sent_since_;
    Bytes byte_stage_ = kNoWindow;
};

/// What an algorithm asks of the network and of the receiver.
struct CongestionNeeds {
    bool telemetry = false;  // in-band, on every hop
    bool cnp = false;        // receivers send notification packets, at most one per interval
    bool trimming = false;   // switches cut packets that do not fit; else it lives without
    bool credits = false;    // receivers grant what may be sent
    /// How switches mark by default, by the rate of the port; an algorithm without ECN has none.
    EcnProfile (*marking)(Bandwidth port_rate, const PathFacts& path) = nullptr;
};

/// What its defaults hold to on one bottleneck; the generic tests measure it. Less than the usual
/// needs a reason.
struct CongestionPromises {
    int fairness_percent = 90;  // Jain's index of two flows, the second of which came later
    int reaction_rtts = 5;      // until a halved bottleneck is not overfed by 10 %; 0: never
    const char* why = "";
};

struct CongestionAlgorithm {
    CongestionNeeds needs;
    std::unique_ptr<CongestionControl> (*make)(const Parameters& p,
                                               const PathFacts& path) = nullptr;
    CongestionPromises promises = {};
};

using CongestionRegistry = Registry<CongestionAlgorithm>;
/// All of them, in the order of listings.
[[nodiscard]] const CongestionRegistry& congestion_controls();
/// ConfigError for an unknown name, key or value. `text`: "dcqcn", "dcqcn:increase=300us".
struct ChosenCongestion {
    const CongestionRegistry::Row* row = nullptr;
    Parameters parameters;
    [[nodiscard]] std::unique_ptr<CongestionControl> make(const PathFacts& path) const {
        return row->make.make(parameters, path);
    }
};
[[nodiscard]] ChosenCongestion choose_congestion(const std::string& text);

}  // namespace weft
