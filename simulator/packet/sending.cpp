// The sending end of connections: what may go, in which order, and what acknowledgements change.
#include <algorithm>

#include "base/rng.hpp"
#include "simulator/packet/network.hpp"

namespace weft::packet {
namespace {

constexpr SimDuration kLosslessTimeout = us(67'109);  // 4.096 us x 2^14, the usual RoCE setting
constexpr SimDuration kLossyTimeout = us(100);        // UEC's least (facts C2)
constexpr std::uint8_t kMostBackoff = 6;              // doublings of the timeout

}  // namespace

ConnectionId Network::connect(const Path& path) {
    const auto id = static_cast<ConnectionId>(connections_.size());
    Connection& c = connections_.emplace_back();
    wheel_.grow(std::size_t{owner_} + 2 + id);
    const bool scale_up =
        fabric_->link(path.there.front()).kind == LinkKind::kScaleUp && path.there.size() <= 2;
    c.payload = static_cast<std::uint32_t>(
        (scale_up ? options_.scale_up_payload : options_.payload).count());
    c.header = scale_up ? 0 : static_cast<std::uint32_t>(options_.header.count());
    lay(id, path);
    // A port that is down now is reckoned with as if it were up.
    const Port& port = ports_[c.port];
    const Bandwidth nominal = fabric_->link(path.there.front()).capacity;
    const PathFacts facts{
        .line_rate = port.up ? port.rate : nominal,
        .base_rtt = options_.base_rtt == SimDuration{} ? ps(c.base_round_trip) : options_.base_rtt,
        .packet = Bytes{c.payload + c.header},
        .hops = static_cast<std::uint32_t>(path.there.size())};
    c.cc = congestion_.make(facts);
    if (options_.spread != Spread::kPath && !chosen_by_switch(options_.spread))
        sprays_.emplace_back(spray_profile_, mix64(options_.seed, id));
    set_marking(path, c.row != kNone, facts);
    if (options_.credits) open_account(id);
    arm(id);
    return id;
}

/// Puts the connection on a path.
void Network::lay(ConnectionId id, const Path& path) {
    WEFT_CHECK(!path.there.empty() && !path.back.empty(), "a path without links");
    Connection& c = connections_[id];
    const auto store = [this](const std::vector<LinkId>& links) {
        const auto at = static_cast<std::uint32_t>(routes_.size());
        for (const LinkId l : links) routes_.push_back(l.value());
        routes_.push_back(kNone);
        return at;
    };
    c.port = path.there.front().value();
    c.first_there = store(path.there);
    c.there = c.first_there + 1;
    c.back = store(path.back);
    c.row = kNone;
    const bool through_a_nic = std::any_of(path.there.begin(), path.there.end(), [&](LinkId l) {
        return fabric_->link(l).kind == LinkKind::kPcie;
    });
    if (options_.spread != Spread::kPath && path.there.size() > 2 && !through_a_nic) {
        c.row = forwarding_.row(path.there.back());
        c.there = path.there.back().value();
    }
    c.base_round_trip = alone(id, Bytes{c.payload}).ps();
}

void Network::move(ConnectionId id, const Path& path) {
    Connection& c = connections_[id];
    const auto same = [&](LinkId l, std::uint32_t r) { return l.value() == r; };
    const auto there = routes_.begin() + c.first_there;
    const auto end = std::find(there, routes_.end(), kNone);
    if (std::equal(path.there.begin(), path.there.end(), there, end, same)) return;
    // Between the same ends switches spread its packets anyway; those on the way will arrive.
    const bool spread =
        c.row != kNone && same(path.there.front(), c.port) && same(path.there.back(), c.there);
    if (c.sending == Sending::kReady) {  // leaves the ring of its old port
        Port& p = ports_[c.port];
        std::uint32_t before = kNone;
        for (std::uint32_t at = p.ring_head; at != id; at = connections_[at].ring) before = at;
        (before == kNone ? p.ring_head : connections_[before].ring) = c.ring;
        if (p.ring_tail == id) p.ring_tail = before;
        c.sending = Sending::kNothing;
    }
    const std::uint32_t payer = routes_[c.back];
    lay(id, path);
    if (options_.credits) move_account(id, payer);
    if (!spread) {
        rewind(id);
        c.backoff = 0;
        if (c.acked != c.posted) c.give_up_at = now().ps() + timeout(c);
    }
    resume(id);
}

/// Whether the packets of the first link go on to the second as soon as their header has come.
bool Network::passes(std::uint32_t link, std::uint32_t next) const {
    return next != kNone && ports_[link].early && ports_[next].rate == ports_[link].rate;
}

SimDuration Network::alone(ConnectionId id, Bytes size) const {
    const Connection& c = connections_[id];
    const std::int64_t packets = (size.count() + c.payload - 1) / c.payload;
    const auto last =
        c.header + static_cast<std::uint32_t>(size.count() - (packets - 1) * c.payload);
    // Full packet k starts on link l at `first` + k x (the longest so far); then the last one.
    std::int64_t first = 0, longest = 0, begin = 0, end = 0, latencies = 0;
    for (std::uint32_t r = c.first_there; routes_[r] != kNone; ++r) {
        const Port& p = ports_[routes_[r]];
        const std::int64_t full = wire_time(p, c.header + c.payload);
        longest = std::max(longest, full);
        if (packets > 1) begin = std::max(begin, first + (packets - 2) * longest + full);
        end = begin + wire_time(p, last);
        const bool through = passes(routes_[r], routes_[r + 1]);
        first += full - (through ? rest_of(p, c.header + c.payload) : 0);
        begin = end - (through ? rest_of(p, last) : 0);
        latencies += p.latency;
    }
    const auto ack = static_cast<std::uint32_t>(options_.ack.count());
    for (std::uint32_t r = c.back; routes_[r] != kNone; ++r) {
        const Port& p = ports_[routes_[r]];
        end += wire_time(p, ack) + p.latency;
        if (passes(routes_[r], routes_[r + 1])) end -= rest_of(p, ack);
    }
    return ps(end + latencies);
}

/// Ports mark as the congestion control wants it, from the first connection that may use them on.
void Network::set_marking(const Path& path, bool spread, const PathFacts& facts) {
    const auto wanted = congestion_.row->make.needs.marking;
    if (!options_.mark_by_algorithm || wanted == nullptr) return;
    const auto mark_by = [&](LinkId l) {
        Port& p = ports_[l.index()];
        if (p.up && !p.marking.on && p.memory != kNone && marks(l))
            p.marking = wanted(p.rate, facts);
    };
    for (const LinkId l : path.there) mark_by(l);
    if (!spread || all_mark_) return;
    all_mark_ = true;
    for (std::size_t l = 0; l < ports_.size(); ++l)
        if (fabric_->links()[l].kind == LinkKind::kFabric) mark_by(LinkId{l});
}

void Network::send(ConnectionId id, Bytes size, std::uint64_t name) {
    WEFT_CHECK(size > Bytes{0}, "a message of {} bytes", size.count());
    const std::int64_t full = connections_[id].payload;
    const std::int64_t packets = (size.count() + full - 1) / full;
    std::uint32_t m = free_message_;
    if (m == kNone) {
        m = static_cast<std::uint32_t>(messages_.size());
        messages_.emplace_back();
    } else {
        free_message_ = messages_[m].next;
    }
    Connection& c = connections_[id];
    WEFT_CHECK(c.posted + packets < kNone, "{} packets on one connection", c.posted + packets);
    c.posted += static_cast<std::uint32_t>(packets);
    messages_[m] = {.end = c.posted,
                    .last = static_cast<std::uint32_t>(size.count() - (packets - 1) * full),
                    .next = kNone,
                    .name = name};
    if (c.newest != kNone && c.oldest != kNone) messages_[c.newest].next = m;
    if (c.oldest == kNone) c.oldest = m;
    if (c.current == kNone) c.current = m;
    if (c.receiving == kNone) c.receiving = m;
    c.newest = m;
    if (c.next + packets == c.posted) c.offered_at = std::max(c.offered_at, now().ps());
    if (options_.credits && c.acked + packets == c.posted) open_window(c);
    want(c, size.count() + packets * c.header);
    if (c.sending == Sending::kNothing) look_for_work(id);
}

/// Puts the connection where it belongs; if it may send, into the ring of its port.
void Network::look_for_work(ConnectionId id) {
    if (!may_send(id)) return arm(id);
    Connection& c = connections_[id];
    link_ring(ports_[c.port], id);
    kick(c.port);
}

/// Last in turn at its port.
void Network::link_ring(Port& p, ConnectionId id) {
    Connection& c = connections_[id];
    c.sending = Sending::kReady;
    c.ready_at = now().ps();
    c.ring = kNone;
    (p.ring_head == kNone ? p.ring_head : connections_[p.ring_tail].ring) = id;
    p.ring_tail = id;
}

bool Network::may_send(ConnectionId id) {
    Connection& c = connections_[id];
    while (!c.again.empty() && !c.lost.test(c.again.back(), c.acked)) c.again.pop_back();
    if (c.gave_up || (c.again.empty() && c.next == c.posted)) {
        c.sending = Sending::kNothing;
        return false;
    }
    if (c.again.empty() && c.next - c.acked >= most_ahead_) {
        c.sending = Sending::kWindow;
        return false;
    }
    const std::int64_t bytes =
        options_.fill_window ? 1 : bytes_of(c, c.again.empty() ? c.next : c.again.back());
    // A window that has shrunk may hold only packets that nobody answers yet: one more may ask.
    const bool answer_due = c.acked < c.asked;
    if (c.in_flight > 0 && answer_due && c.in_flight + bytes > c.cc->window().count()) {
        c.sending = Sending::kWindow;
        return false;
    }
    if (options_.credits && !c.credit.allows(Bytes{bytes})) {
        if (c.wanted > c.told) tell_wants(id);
        // Credit may be lost on its way: a window again then.
        if (c.give_up_at == INT64_MAX) c.give_up_at = now().ps() + kCreditPatience * timeout(c);
        c.sending = Sending::kWindow;
        return false;
    }
    if (c.next_at > now().ps()) {
        c.sending = Sending::kPaced;
        return false;
    }
    return true;
}

/// The next packet of the connection whose turn it is at a NIC's port.
PacketId Network::pull(std::uint32_t link) {
    Port& p = ports_[link];
    while (p.ring_head != kNone) {
        const ConnectionId id = p.ring_head;
        p.ring_head = connections_[id].ring;
        if (!may_send(id)) {
            arm(id);
            continue;
        }
        const PacketId packet = make_packet(id);
        const Connection& c = connections_[id];
        if (c.ready_at < p.resumed_at) record_held(*recorder_, link, id, c.ready_at);
        if (may_send(id)) link_ring(p, id);
        arm(id);
        return packet;
    }
    return kNone;
}

PacketId Network::make_packet(ConnectionId id) {
    const PacketId packet = pool_.take();
    Connection& c = connections_[id];
    Packet& p = pool_[packet];
    if (c.again.empty()) {
        p.seq = c.next++;
        const Message& m = messages_[c.current];
        p.ask = c.next == m.end;
        p.bytes = c.header + (p.ask ? m.last : c.payload);
        if (p.ask) c.current = m.next;
    } else {
        p.seq = c.again.back();
        c.again.pop_back();
        c.lost.clear(p.seq);
        p.bytes = bytes_of(c, p.seq);
        p.ask = true;
    }
    p.again = p.seq < c.highest;
    c.highest = std::max(c.highest, p.seq + 1);
    if (p.again) ++totals_.repeated;
    ++totals_.sent;
    p.flow = id;
    p.route = c.there;
    p.row = c.row;
    if (!sprays_.empty()) p.entropy = sprays_[id].next(p.seq, c.acked);
    p.stamp = now().ps();
    if (congestion_.row->make.needs.telemetry) p.extra = take_extra();
    if (options_.credits) {
        c.credit.sent(Bytes{p.bytes});
        p.marked = wants(c);
    }
    c.in_flight += p.bytes;
    c.sent_bytes += p.bytes;
    c.cc->sent(now(), Bytes{p.bytes});
    // Nothing more may go before an answer: the receiver is not to wait for more.
    const bool filled = c.in_flight + c.payload + c.header > c.cc->window().count() ||
                        c.next - c.acked >= most_ahead_;
    p.ask = p.ask || filled;
    if (p.ask) c.asked = std::max(c.asked, p.seq + 1);
    if (c.offer != 0 && !p.again)
        c.offered_at += static_cast<std::int64_t>(p.bytes) * 8'000'000'000'000 / c.offer;
    c.paced_from = std::max(c.next_at, now().ps());
    c.paced = p.bytes;
    c.paced_rate = 0;
    pace_by_rate(c);
    if (c.give_up_at == INT64_MAX || p.seq == c.acked) c.give_up_at = now().ps() + timeout(c);
    return packet;
}

/// When the next packet may go after the last one; a new rate counts from then on too, so that a
/// sender that was slow does not wait out what it had thought.
void Network::pace_by_rate(Connection& c) {
    std::int64_t rate = c.cc->rate().bits_per_second();
    if (options_.qp_rate > Bandwidth{0}) rate = std::min(rate, options_.qp_rate.bits_per_second());
    if (rate == c.paced_rate) return;
    c.paced_rate = rate;
    c.next_at = c.paced_from;
    if (rate < ports_[c.port].rate.bits_per_second())
        c.next_at += static_cast<std::int64_t>(c.paced) * 8'000'000'000'000 / rate;
    if (c.offer != 0) c.next_at = std::max(c.next_at, c.offered_at);
}

std::int64_t Network::timeout(const Connection& c) const {
    SimDuration least = options_.least_timeout;
    if (least == SimDuration{})
        least = options_.overflow == Overflow::kPause ? kLosslessTimeout : kLossyTimeout;
    return std::max(least.ps(), 4 * c.base_round_trip) << std::min(c.backoff, kMostBackoff);
}

std::uint32_t Network::bytes_of(const Connection& c, std::uint32_t seq) const {
    for (std::uint32_t m = c.oldest; m != kNone; m = messages_[m].next)
        if (seq < messages_[m].end)
            return c.header + (seq + 1 == messages_[m].end ? messages_[m].last : c.payload);
    WEFT_CHECK(false, "packet {} of {} posted", seq, c.posted);
    return 0;
}

/// On the wire, of the packets [from, to), none before the oldest message.
std::int64_t Network::bytes_between(const Connection& c, std::uint32_t from,
                                    std::uint32_t to) const {
    std::int64_t sum = std::int64_t{to - from} * (c.header + c.payload);
    for (std::uint32_t m = c.oldest; m != kNone && messages_[m].end <= to; m = messages_[m].next)
        if (messages_[m].end > from) sum -= c.payload - messages_[m].last;
    return sum;
}

}  // namespace weft::packet
