// The receiving end of connections: what has arrived, and what the sender is told of it.
#include <algorithm>
#include <bit>

#include "simulator/packet/network.hpp"

namespace weft::packet {

void Network::receive(PacketId id) {
    Packet p = pool_[id];
    pool_.give(id);
    switch (p.kind) {
        case Kind::kData:
            receive_data(p);
            break;
        case Kind::kAck:
            on_ack(p.flow, p);
            break;
        case Kind::kNack:
            on_nack(p.flow, p);
            break;
        case Kind::kNotify:
            connections_[p.flow].cc->on_cnp(now());
            resume(p.flow);
            break;
        case Kind::kCredit:
            on_credit(p);
            break;
        case Kind::kWant:
            hear_wants(connections_[p.flow], p.marked);
            break;
        case Kind::kPause:
            break;
    }
    give_extra(p);
}

void Network::receive_data(Packet& p) {
    Connection& c = connections_[p.flow];
    if (options_.credits) hear_wants(c, p.marked);
    const bool known = p.seq < c.expected || c.arrived.test(p.seq, c.expected);
    if (p.trimmed) {
        if (!known) answer(p, Kind::kNack);
        return;
    }
    if (p.congested) {
        c.marked += p.bytes;
        notify(p);
    }
    if (known) {
        ++totals_.duplicates;
        return answer(p, Kind::kAck);
    }
    if (options_.recovery == Recovery::kGoBackN && p.seq != c.expected) {
        ++totals_.refused;
        if (!c.asked_again) answer(p, Kind::kNack);
        c.asked_again = true;
        return;
    }
    ++totals_.delivered;
    c.asked_again = false;
    c.unreported += p.bytes - c.header;
    bool whole = false;
    bool gap_closed = false;
    if (p.seq == c.expected) {
        ++c.expected;
        while (c.arrived.test(c.expected, c.expected)) c.arrived.clear(c.expected++);
        gap_closed = c.expected > p.seq + 1;
        whole = finish_arrived(c);
    } else {
        c.arrived.set(p.seq, c.expected);
    }
    if (options_.recovery != Recovery::kGoBackN) note(p);
    const bool at_once = options_.recovery == Recovery::kSelectiveRepeat
                             ? gap_closed || p.seq >= c.expected
                             : options_.recovery == Recovery::kUnordered && p.congested;
    if (c.unreported >= options_.ack_every.count() || p.ask || whole || at_once)
        answer(p, Kind::kAck);
}

/// Adds a packet to those that the next ACK names one by one; what does not fit goes first.
void Network::note(Packet& p) {
    Connection& c = connections_[p.flow];
    if (c.since != 0) {
        const std::uint32_t back = c.first_unreported - p.seq;
        if (p.seq < c.first_unreported && back < 64 && (c.since << back >> back) == c.since) {
            c.since <<= back;
            c.first_unreported = p.seq;
        } else if (p.seq < c.first_unreported || p.seq - c.first_unreported >= 64) {
            answer(p, Kind::kAck);
        }
    }
    if (c.since == 0) c.first_unreported = p.seq;
    c.since |= std::uint64_t{1} << (p.seq - c.first_unreported);
}

bool Network::finish_arrived(Connection& c) {
    bool some = false;
    while (c.receiving != kNone && messages_[c.receiving].end <= c.expected) {
        reports_.push_back({messages_[c.receiving].name, What::kArrived});
        c.receiving = messages_[c.receiving].next;
        some = true;
    }
    return some;
}

/// A congestion notification, at most one an interval and connection.
void Network::notify(const Packet& cause) {
    if (!congestion_.row->make.needs.cnp) return;
    Connection& c = connections_[cause.flow];
    if (now().ps() - c.notified_at < options_.notify_every.ps()) return;
    c.notified_at = now().ps();
    go_back(cause, Kind::kNotify, kNone);
}

/// An ACK or a NACK for what has come since the last one.
void Network::answer(Packet& cause, Kind kind) {
    Connection& c = connections_[cause.flow];
    std::uint32_t extra = std::exchange(cause.extra, kNone);  // telemetry goes back
    // Bits of packets that all-before covers say nothing new.
    if (kind == Kind::kAck && c.since != 0 &&
        c.first_unreported + static_cast<std::uint32_t>(std::bit_width(c.since)) > c.expected) {
        if (extra == kNone) extra = take_extra();
        extras_[extra].arrived = c.since;
        extras_[extra].first = c.first_unreported;
    }
    go_back(cause, kind, extra);
    if (kind != Kind::kAck) return;
    c.since = 0;
    c.unreported = 0;
    c.marked = 0;
}

void Network::go_back(const Packet& cause, Kind kind, std::uint32_t extra) {
    const PacketId id = pool_.take();
    Packet& p = pool_[id];
    const Connection& c = connections_[cause.flow];
    p.kind = kind;
    p.cls = options_.ack_first ? kControl : kPayload;
    p.bytes = static_cast<std::uint32_t>(options_.ack.count());
    p.flow = cause.flow;
    p.route = c.back + 1;
    p.seq = c.expected;
    p.echo = cause.seq;
    p.stamp = cause.stamp;
    p.marked = c.marked;
    p.hops = cause.hops;
    p.entropy = cause.entropy;
    p.congested = cause.congested;
    p.extra = extra;
    enqueue(routes_[c.back], id);
}

std::uint32_t Network::take_extra() {
    if (free_extra_ == kNone) {
        extras_.emplace_back();
        return static_cast<std::uint32_t>(extras_.size() - 1);
    }
    const std::uint32_t x = free_extra_;
    free_extra_ = extras_[x].next;
    extras_[x].arrived = 0;
    return x;
}

void Network::give_extra(Packet& p) {
    if (p.extra == kNone) return;
    extras_[p.extra].next = free_extra_;
    free_extra_ = p.extra;
    p.extra = kNone;
}

}  // namespace weft::packet
