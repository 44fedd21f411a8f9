#include "simulator/packet/network.hpp"

#include <algorithm>

#include "base/rng.hpp"
#include "flow_control/link/pfc.hpp"
#include "flow_control/link/trim.hpp"

namespace weft::packet {
namespace {

/// A pause frame of IEEE 802.1Qbb is one frame of the least size.
constexpr std::uint32_t kPauseBytes = 64;
constexpr std::int64_t kMemoryNs = 25'800;  // of every port's rate (options.hpp)

/// What still arrives after a pause was due; a simulated port obeys at the end of its packet.
Bytes headroom_of(const Link& l, SimDuration latency, const PacketOptions& o) {
    if (o.overflow != Overflow::kPause) return {};
    const Bytes full = o.payload + o.header;
    return pfc_headroom({.rate = l.capacity,
                         .cable = latency,
                         .mtu = full,
                         .blocking_mtu = full,
                         .response = {},
                         .interface = {},
                         .cell = {}});
}

}  // namespace

Network::Network(const Fabric& fabric, const PacketOptions& options)
    : fabric_(&fabric),
      options_(options),
      congestion_(choose_congestion(options.congestion)),
      known_(fabric),
      router_(fabric, {}, &known_),
      forwarding_(fabric, router_),
      ports_(fabric.links().size()),
      counts_(fabric.links().size()),
      is_switch_(fabric.nodes().size(), 0),
      header_bytes_(static_cast<std::uint32_t>(options.header.count())),
      wires_(static_cast<std::uint32_t>(fabric.links().size())) {
    if (options.watchdog.on) watches_.resize(wires_);
    if (options.reorder_buffer > Bytes{0})
        most_ahead_ = static_cast<std::uint32_t>(
            std::max<std::int64_t>(1, options.reorder_buffer.count() / options.payload.count()));
    if (options.credits) payers_.resize(wires_);
    chore_source_ = 2 * wires_ + static_cast<std::uint32_t>(watches_.size());
    payers_at_ = chore_source_ + 1;
    owner_ = payers_at_ + static_cast<std::uint32_t>(payers_.size());
    wheel_.grow(std::size_t{owner_} + 1);
    make_ports();
    make_memories();
    make_errors();
    prepare_spreading();
    if (options.record) start_recording();
}

Network::~Network() = default;

void Network::make_ports() {
    for (std::size_t i = 0; i < is_switch_.size(); ++i) {
        const NodeKind kind = fabric_->nodes()[i].kind;
        is_switch_[i] = kind == NodeKind::kSwitch || kind == NodeKind::kScaleUpSwitch ? 1 : 0;
    }
    for (std::size_t i = 0; i < ports_.size(); ++i) {
        const Link& l = fabric_->links()[i];
        Port& p = ports_[i];
        p.latency = latency_of(static_cast<std::uint32_t>(i)).ps();
        p.to = l.to.value();
        p.early = options_.cut_through && is_switch_[p.to] != 0 && l.kind != LinkKind::kScaleUp;
        if (l.kind != LinkKind::kScaleUp)
            p.header = static_cast<std::uint32_t>(options_.header.count());
        set_rate(LinkId{i}, known_.rate(LinkId{i}));
    }
}

void Network::make_memories() {
    for (std::size_t i = 0; i < is_switch_.size(); ++i) {
        const std::span<const LinkId> out = fabric_->out(NodeId{i});
        for (std::size_t k = 0; k < out.size(); ++k) {
            Port& p = ports_[out[k].index()];
            p.number = ports_[reverse(out[k]).index()].far = static_cast<std::uint16_t>(k);
            if (is_switch_[i] == 0) continue;
            p.memory = static_cast<std::uint32_t>(memories_.size());
            if (!options_.mark_by_algorithm && marks(out[k])) p.marking = options_.marking;
        }
        if (is_switch_[i] == 0) continue;
        std::vector<PortBuffer> ports;
        for (const LinkId l : out)
            ports.push_back({headroom_of(fabric_->link(l), latency_of(l.value()), options_)});
        memories_.emplace_back(options_.memory ? *options_.memory : memory_of(NodeId{i}), ports);
    }
}

bool Network::marks(LinkId link) const {
    return options_.mark_towards_hosts || is_switch_[fabric_->link(link).to.index()] != 0;
}

BufferProfile Network::memory_of(NodeId at) const {
    BufferProfile profile;
    Int128 rate = 0;
    Bytes headroom;
    for (const LinkId l : fabric_->out(at)) {
        rate += fabric_->link(l).capacity.bits_per_second();
        headroom += headroom_of(fabric_->link(l), latency_of(l.value()), options_);
    }
    profile.class_count = kClasses;
    profile.total = options_.buffer;
    if (profile.total == Bytes{})
        profile.total = Bytes{static_cast<std::int64_t>(rate * kMemoryNs / 8'000'000'000)};
    ClassBuffer& data = profile.classes[kPayload];
    data.lossless = options_.overflow == Overflow::kPause;
    if (data.lossless) {
        // Cables of kilometres ask for more than any switch has; the simulated one has it.
        profile.total = std::max(profile.total, 2 * headroom);
        data.resume_offset = 2 * (options_.payload + options_.header);
    } else {
        data.alpha_1024 = 1024;
    }
    if (options_.queue != Bytes{}) data.egress_limit = options_.queue;
    return profile;
}

void Network::drop(std::uint32_t link, PacketId id) {
    ++totals_.dropped;
    const Packet& p = pool_[id];
    if (p.kind == Kind::kData && !p.trimmed) ++totals_.dropped_data;
    if (p.lost) ++totals_.lost;
    if (p.spoiled) ++totals_.spoiled;
    ++counts_[link].dropped;
    if (!ports_[link].awake) wake(link);
    give_extra(pool_[id]);
    pool_.give(id);
}

void Network::wake_at(SimTime at) {
    wheel_.cancel(owner_);
    if (at != SimTime::never()) wheel_.set(owner_, std::max(at, now()));
}

Network::Stop Network::run() {
    std::uint32_t source = 0;
    while (reports_.empty()) {
        if (!wheel_.next(source)) return Stop::kIdle;
        if (now().ps() >= sample_at_) take_samples();
        ++totals_.events;
        if (source < wires_) {
            on_wire(source);
        } else if (source < 2 * wires_) {
            kick(source - wires_);
        } else if (source > owner_) {
            on_timer(source - owner_ - 1);
        } else if (source == owner_) {
            return Stop::kWoken;
        } else if (source >= payers_at_) {
            on_payer(source - payers_at_);
        } else if (source == chore_source_) {
            on_chores();
        } else {
            on_watch(source - 2 * wires_);
        }
    }
    return Stop::kReport;
}

void Network::on_wire(std::uint32_t link) {
    Port& p = ports_[link];
    const PacketId id = p.wire_head;
    Packet& packet = pool_[id];
    p.wire_head = packet.next;
    if (p.wire_head != kNone) wheel_.set(link, SimTime{packet.at});
    packet.at = now().ps();
    if (packet.lost) return drop(link, id);
    if (packet.kind == Kind::kPause) {
        if (packet.spoiled) return drop(link, id);
        on_pause(link, packet.seq != 0);
        pool_.give(id);
        return;
    }
    // A path may go on through a GPU or a NIC, which relay, or end in a switch.
    const bool there = packet.row == kNone ? routes_[packet.route] == kNone : is_switch_[p.to] == 0;
    if (there) return packet.spoiled ? drop(link, id) : receive(id);
    packet.ingress = link;
    packet.in = p.far;
    const std::uint32_t out = next_link(packet, NodeId{p.to});
    if (out == kNone) return drop(link, id);
    // A port of another rate cannot begin before the last bit has come.
    if (p.early && ports_[out].rate != p.rate) packet.at += rest_of(p, packet.bytes);
    enqueue(out, id);
}

void Network::enqueue(std::uint32_t link, PacketId id) {
    Port& out = ports_[link];
    Packet& p = pool_[id];
    if (!out.up ||
        (!watches_.empty() && p.cls == kPayload && watches_[link].dog.drops(options_.watchdog)))
        return drop(link, id);
    if (p.cls == kPayload && out.memory != kNone && p.ingress != kNone && !store(out, p)) {
        if (options_.overflow != Overflow::kTrim || p.kind != Kind::kData) return drop(link, id);
        cut(link, id);
    }
    Queue& q = out.queue[p.cls];
    if (!out.marking.at_dequeue) mark(link, out, p);
    q.push(pool_, id);
    if (p.cls == kPayload && q.bytes > counts_[link].most_queued)
        counts_[link].most_queued = q.bytes;
    if (!watches_.empty()) watch(link, false);
    kick(link);
}

/// Cuts the packet to its header, or the last one queued in its place: always the same of two would
/// starve flows that arrive in step (link/trim.hpp).
void Network::cut(std::uint32_t link, PacketId id) {
    Port& out = ports_[link];
    Queue& q = out.queue[kPayload];
    const std::uint64_t draw = mix64(mix64(options_.seed, link), out.draws++);
    if (TrimProfile{}.last_instead(draw) && !q.empty() && pool_[q.tail].kind == Kind::kData) {
        Packet& last = pool_[q.tail];
        release(out, last);
        if (store(out, pool_[id])) {
            q.bytes += pool_[id].bytes - last.bytes;
            std::swap(last, pool_[id]);
            std::swap(last.next, pool_[id].next);
        } else {
            static_cast<void>(store(out, last));
        }
    }
    Packet& p = pool_[id];
    p.trimmed = true;
    p.bytes = static_cast<std::uint32_t>(options_.ack.count());
    p.cls = kControl;
    ++totals_.trimmed;
    ++counts_[link].trimmed;
}

/// Finds room in the switch that the packet has come to; false: there is none.
bool Network::store(const Port& out, const Packet& p) {
    SharedBuffer& memory = memories_[out.memory];
    if (memory.arrive(p.in, kPayload, out.number, Bytes{p.bytes}) == Admission::kDrop) return false;
    if (memory.pause(p.in, kPayload)) {
        ++totals_.pauses;
        tell_pause(p.ingress, true);
    }
    return true;
}

void Network::release(const Port& out, const Packet& p) {
    if (out.memory == kNone || p.cls != kPayload || p.ingress == kNone) return;
    SharedBuffer& memory = memories_[out.memory];
    memory.leave(p.in, kPayload, out.number, Bytes{p.bytes});
    if (memory.resume(p.in, kPayload)) tell_pause(p.ingress, false);
}

/// A pause frame towards whoever sends on `in_link`, before everything that waits there.
void Network::tell_pause(std::uint32_t in_link, bool pause) {
    const std::uint32_t back = reverse(LinkId{in_link}).value();
    if (!ports_[back].up) return;  // it is told when the link is back
    if (pause && ports_[in_link].pauses != kNone) refresh_pause(in_link);
    if (pause && recorder_) record_cause(in_link);
    // One that still waits says the new word instead: a resume ahead of its pause would be none.
    const PacketId waiting = ports_[back].queue[kControl].head;
    if (waiting != kNone && pool_[waiting].kind == Kind::kPause) {
        pool_[waiting].seq = pause ? 1 : 0;
        return;
    }
    const PacketId id = pool_.take();
    Packet& p = pool_[id];
    p.kind = Kind::kPause;
    p.cls = kControl;
    p.bytes = kPauseBytes;
    p.seq = pause ? 1 : 0;
    Queue& q = ports_[back].queue[kControl];
    p.next = q.head;
    q.head = id;
    if (q.tail == kNone || p.next == kNone) q.tail = id;
    q.bytes += p.bytes;
    kick(back);
}

/// A pause frame has arrived over `link`: it is about the payload that goes the other way.
void Network::on_pause(std::uint32_t link, bool pause) {
    const std::uint32_t out = reverse(LinkId{link}).value();
    if (ports_[out].stuck) return;
    if (pause && ports_[out].pauses != kNone) hold_pause(out);
    set_paused(out, pause);
}

void Network::set_paused(std::uint32_t link, bool pause) {
    bool held = pause;
    if (!watches_.empty()) {
        Watch& w = watches_[link];
        if (pause) {
            const Port& p = ports_[link];
            const bool ends = p.pauses != kNone && !p.stuck;
            w.target.pause(now(), ends ? pauses_[p.pauses].until - now() : PfcProfile::kForEver);
        } else {
            w.target.resume(now());
        }
        held = pause && !w.dog.forwards(options_.watchdog);
    }
    hold(link, held);
    if (!watches_.empty()) watch(link, false);
    kick(link);
}

/// Stops the payload of a port, or lets it go.
void Network::hold(std::uint32_t link, bool held) {
    Port& p = ports_[link];
    if (p.paused == held) return;
    p.paused = held;
    if (held) {
        ++counts_[link].pauses;
        p.paused_at = now().ps();
        if (recorder_) recorder_->victims.pause(link);
        if (!p.awake) wake(link);
        return;
    }
    counts_[link].paused += ps(now().ps() - p.paused_at);
    if (recorder_) record_pause(link, now().ps());
}

/// Tells the watchdog of a port what has happened to it.
void Network::watch(std::uint32_t link, bool progress) {
    const Port& p = ports_[link];
    if (p.memory == kNone) return;
    Watch& w = watches_[link];
    w.dog.observe(now(), w.target, !p.queue[kPayload].empty(), progress);
    const SimTime due = w.dog.due(options_.watchdog);
    if (due != SimTime::never()) wheel_.at_latest(2 * wires_ + link, due);
}

void Network::on_watch(std::uint32_t link) {
    Watch& w = watches_[link];
    Port& p = ports_[link];
    const WatchdogEvent event = w.dog.check(now(), w.target, options_.watchdog);
    if (event == WatchdogEvent::kDetected) {
        ++counts_[link].storms;
        ++totals_.storms;
        while (w.dog.drops(options_.watchdog) && !p.queue[kPayload].empty()) {
            const PacketId id = p.queue[kPayload].pop(pool_);
            if (recorder_ && pool_[id].kind == Kind::kData)
                record_held(*recorder_, link, pool_[id].flow, pool_[id].at);
            release(p, pool_[id]);
            drop(link, id);
        }
    }
    if (event != WatchdogEvent::kNone) {
        hold(link, w.target.blocked(now()) && !w.dog.forwards(options_.watchdog));
        kick(link);
    }
    watch(link, false);
}

void Network::mark(std::uint32_t link, Port& p, Packet& packet) {
    if (!p.marking.on || packet.cls != kPayload || packet.kind != Kind::kData || packet.congested)
        return;
    const Bytes waiting{p.queue[kPayload].bytes};
    if (waiting <= p.marking.low) return;
    const std::uint64_t draw = mix64(mix64(options_.seed, link), p.draws++);
    if (!p.marking.marks(waiting, draw)) return;
    packet.congested = true;
    ++totals_.marked;
    ++counts_[link].marked;
}

void Network::stamp_hop(Port& p, Packet& packet) {
    if (packet.extra == kNone || packet.kind != Kind::kData) return;
    Extra& x = extras_[packet.extra];
    if (packet.hops == x.hops.size()) return;
    x.hops[packet.hops++] = {.at = now(),
                             .rate = p.rate,
                             .queue = Bytes{p.queue[kPayload].bytes},
                             .sent = Bytes{static_cast<std::int64_t>(p.sent_bytes)}};
}

/// Gives the wire its next packet, if it is free and something may go.
void Network::kick(std::uint32_t link) {
    Port& p = ports_[link];
    const std::uint32_t source = wires_ + link;
    const bool payload = !p.paused && (!p.queue[kPayload].empty() || p.ring_head != kNone);
    if (!p.up || (p.queue[kControl].empty() && !payload) || wheel_.pending(source)) return;
    if (p.free_at > now().ps()) return wheel_.set(source, SimTime{p.free_at});
    if (options_.cut_through && p.memory != kNone) {
        const Queue& first = p.queue[p.queue[kControl].empty() ? kPayload : kControl];
        const std::int64_t there = first.empty() ? 0 : pool_[first.head].at;
        if (there > now().ps()) return wheel_.set(source, SimTime{there});
    }
    PacketId id = kNone;
    if (!p.queue[kControl].empty()) {
        id = p.queue[kControl].pop(pool_);
    } else if (!p.queue[kPayload].empty()) {
        if (p.marking.at_dequeue) mark(link, p, pool_[p.queue[kPayload].head]);
        id = p.queue[kPayload].pop(pool_);
        if (pool_[id].at < p.resumed_at && pool_[id].kind == Kind::kData)
            record_held(*recorder_, link, pool_[id].flow, pool_[id].at);
        release(p, pool_[id]);
        if (!watches_.empty()) watch(link, true);
    } else {
        id = pull(link);
        if (id == kNone) return;
        const std::uint32_t bytes = pool_[id].bytes;
        transmit(link, id);
        if (options_.nic_rate > Bandwidth{0}) hold_back(link, bytes);
        return;
    }
    transmit(link, id);
}

/// The rate limiter of a NIC: its port rests after a packet of its own for as long as that would
/// take at the limit (answers wait too, for at most one packet).
void Network::hold_back(std::uint32_t link, std::uint32_t bytes) {
    if (fabric_->links()[link].kind != LinkKind::kAccess) return;
    Port& p = ports_[link];
    const SimDuration at_limit = transfer_time(Bytes{bytes}, options_.nic_rate);
    p.free_at += std::max<std::int64_t>(0, at_limit.ps() - wire_time(p, bytes));
}

void Network::transmit(std::uint32_t link, PacketId id) {
    Port& p = ports_[link];
    Packet& packet = pool_[id];
    p.sent_bytes += packet.bytes;
    if (packet.extra != kNone) stamp_hop(p, packet);
    std::int64_t takes = wire_time(p, packet.bytes);
    if (p.fault != kNone) takes += strike(p, packet);
    p.free_at = std::max(p.free_at, now().ps()) + takes;
    const std::int64_t at = p.free_at + p.latency - (p.early ? rest_of(p, packet.bytes) : 0);
    packet.next = kNone;
    if (p.wire_head == kNone) {
        p.wire_head = id;
        wheel_.set(link, SimTime{at});
    } else {
        pool_[p.wire_tail].next = id;
        pool_[p.wire_tail].at = at;
    }
    p.wire_tail = id;
    PortCounts& n = counts_[link];
    ++n.packets;
    if (!p.awake) wake(link);
    n.bytes += packet.bytes;
    ++totals_.all_hops;
    if (packet.kind == Kind::kData) {
        ++totals_.data_hops;
        if (!packet.trimmed) n.payload += packet.bytes - p.header;
    }
    const bool more =
        !p.queue[kControl].empty() || !p.queue[kPayload].empty() || p.ring_head != kNone;
    if (more && !wheel_.pending(wires_ + link)) wheel_.set(wires_ + link, SimTime{p.free_at});
}

}  // namespace weft::packet
