// What links do when they fail: packets that are lost, spoiled or late; pauses that do not get
// through; ends that pause for ever; errors that FEC leaves.
//
// Models: a dead link loses what is on it and what waits for it, and forgets its pause; when it is
// back the far end says again whether it pauses. Where pause frames may be lost, a pause holds for
// 65535 quanta and is said again every half of that (IEEE 802.1Qbb; link/pfc.hpp), so that a lost
// resume costs 84 us at 400 Gbit/s and not the rest of the run; elsewhere a pause holds until it is
// ended. Leaves out: retries on top of retries; routing that learns of losses.
#include <algorithm>

#include "base/rng.hpp"
#include "flow_control/link/fec.hpp"
#include "simulator/packet/network.hpp"

namespace weft::packet {
namespace {

constexpr std::int64_t kWhole = 1'000'000'000;
constexpr std::int64_t kCodewordBits = 5140;  // of payload (link/fec.hpp)

/// A uniform draw of 64 bits below it means yes.
std::uint64_t threshold(std::int64_t share) {
    if (share >= kWhole) return ~std::uint64_t{0};
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(share) << 64) / kWhole);
}

bool of_network(const Link& l) {
    return l.kind == LinkKind::kAccess || l.kind == LinkKind::kFabric;
}

}  // namespace

SimDuration Network::latency_of(std::uint32_t link) const {
    const Link& l = fabric_->link(LinkId{link});
    return options_.fec.on && of_network(l) ? l.latency + fec_latency(l.capacity) : l.latency;
}

/// Errors that FEC leaves, on all links of the network.
void Network::make_errors() {
    const FecOptions& fec = options_.fec;
    if (!fec.on || fec.bit_error_rate <= 0) return;
    for (std::uint32_t i = 0; i < wires_; ++i) {
        const Link& l = fabric_->link(LinkId{i});
        if (!of_network(l)) continue;
        Fault& f = fault_of(i);
        f.codeword = loss_threshold(codeword_loss(fec.bit_error_rate));
        f.interleave = fec_interleave(l.capacity);
        if (fec.retry)
            f.retry = retry_delay({.rate = l.capacity,
                                   .cable = l.latency,
                                   .frame = options_.payload + options_.header})
                          .ps();
        else
            expect_lost_pauses(i);
    }
}

void Network::set_rate(LinkId link, Bandwidth rate) {
    Port& p = ports_[link.index()];
    const bool was_up = p.up;
    p.rate = rate;
    p.up = rate > Bandwidth{0};
    if (!p.up) return lose(link.value());
    constexpr Int128 kBits = Int128{8} * 1'000'000'000'000;
    p.ps_per_byte = static_cast<std::uint64_t>(((kBits << kRateBits) + rate.bits_per_second() / 2) /
                                               rate.bits_per_second());
    if (!was_up)
        for (const LinkId l : {link, reverse(link)}) pause_again(l.value());
    kick(link.value());
}

void Network::lose(std::uint32_t link) {
    Port& p = ports_[link];
    while (p.wire_head != kNone) {
        const PacketId id = p.wire_head;
        p.wire_head = pool_[id].next;
        drop(link, id);
    }
    wheel_.cancel(link);
    for (Queue& q : p.queue)
        while (!q.empty()) {
            const PacketId id = q.pop(pool_);
            release(p, pool_[id]);
            drop(link, id);
        }
    expect_lost_pauses(link);
    if (!p.stuck && p.paused) set_paused(link, false);
}

void Network::set_trouble(LinkId link, const LinkTrouble& t) {
    Port& p = ports_[link.index()];
    if (t.loss != 0 || t.corrupt != 0) {
        expect_lost_pauses(link.value());
        static_cast<void>(fault_of(link.value()));
    }
    if (p.fault != kNone) {
        faults_[p.fault].loss = threshold(t.loss);
        faults_[p.fault].spoil = threshold(t.corrupt);
    }
    const std::int64_t latency = (latency_of(link.value()) + t.delay).ps();
    // A delay that ends: the wire waits until nothing overtakes.
    if (p.wire_head != kNone && latency < p.latency) p.free_at += p.latency - latency;
    p.latency = latency;
    if (p.stuck == t.stuck) return;
    p.stuck = t.stuck;
    if (t.stuck && recorder_) recorder_->victims.will_pause(link.value(), link.value());
    set_paused(link.value(), t.stuck);
    if (!t.stuck) pause_again(link.value());
}

Network::Fault& Network::fault_of(std::uint32_t link) {
    Port& p = ports_[link];
    if (p.fault == kNone) {
        p.fault = static_cast<std::uint32_t>(faults_.size());
        faults_.emplace_back().key = mix64(mix64(options_.seed, link), hash_text("failure"));
    }
    return faults_[p.fault];
}

/// What befalls a packet that enters the wire: draws of (seed, link, its ordinal there). How much
/// longer the wire is taken: a retry of the link layer.
std::int64_t Network::strike(const Port& p, Packet& packet) {
    Fault& f = faults_[p.fault];
    RandomStream draws(f.key, f.ordinal++, "packet");
    if (draws.next() < f.loss) packet.lost = true;
    if (draws.next() < f.spoil) packet.spoiled = true;
    if (f.codeword == 0) return 0;
    const Int128 touched =
        Int128{packet.bytes} * 8 + Int128{kCodewordBits} * f.interleave;  // bits of codewords
    const Int128 most = Int128{f.codeword} * touched / kCodewordBits;
    if (Int128{draws.next()} >= most) return 0;
    if (f.retry == 0) packet.lost = true;
    return f.retry;
}

/// Pause frames over `carrier` may get lost from now on.
void Network::expect_lost_pauses(std::uint32_t carrier) {
    const std::uint32_t link = reverse(LinkId{carrier}).value();
    Port& p = ports_[link];
    if (p.pauses != kNone) return;
    p.pauses = static_cast<std::uint32_t>(pauses_.size());
    pauses_.emplace_back();
    if (p.paused && !p.stuck) hold_pause(link);
    if (pauses(link)) pause_again(link);
}

/// Whether the switch that `link` leads to wants it to pause.
bool Network::pauses(std::uint32_t link) const {
    const Port& back = ports_[reverse(LinkId{link}).index()];
    return back.memory != kNone && memories_[back.memory].paused(back.number, kPayload);
}

/// The switch says again that it pauses.
void Network::pause_again(std::uint32_t link) {
    const bool both = ports_[link].up && ports_[reverse(LinkId{link}).index()].up;
    if (both && pauses(link)) tell_pause(link, true);
}

/// The pause of a port ends by itself.
void Network::hold_pause(std::uint32_t link) {
    PauseClock& c = pauses_[ports_[link].pauses];
    c.until = now() + PfcProfile{}.holds(fabric_->link(LinkId{link}).capacity);
    chores_.push({c.until, link});
    wheel_.at_latest(chore_source_, c.until);
}

/// The far end will say its pause again.
void Network::refresh_pause(std::uint32_t link) {
    PauseClock& c = pauses_[ports_[link].pauses];
    c.source.paused(now(), PfcProfile{}.refresh(fabric_->link(LinkId{link}).capacity));
    chores_.push({c.source.refresh_at, link});
    wheel_.at_latest(chore_source_, c.source.refresh_at);
}

void Network::on_chores() {
    while (!chores_.empty() && chores_.top().first <= now()) {
        const std::uint32_t link = chores_.top().second;
        chores_.pop();
        const Port& p = ports_[link];
        PauseClock& c = pauses_[p.pauses];
        if (c.until <= now()) {
            c.until = SimTime::never();
            if (p.paused && !p.stuck) set_paused(link, false);
        }
        if (!c.source.due(now())) continue;
        c.source.resumed();
        pause_again(link);
    }
    if (!chores_.empty()) wheel_.at_latest(chore_source_, chores_.top().first);
}

void Network::routing_knows(const Health& known) {
    if (known_ == known) return;
    known_ = known;
    router_.health_changed();
    forwarding_.remake();
}

}  // namespace weft::packet
