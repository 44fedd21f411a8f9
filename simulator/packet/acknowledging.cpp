// What answers and timers change at the sending end of connections: what has arrived, what is lost.
#include <algorithm>

#include "simulator/packet/network.hpp"

namespace weft::packet {
namespace {

constexpr std::uint8_t kMostTimeouts = 16;  // in a row, then the connection gives up

}  // namespace

void Network::on_ack(ConnectionId id, const Packet& p) {
    Connection& c = connections_[id];
    const bool advances = p.seq > c.acked;
    std::int64_t newly = take_cumulative(c, p.seq);
    if (p.extra != kNone) newly += take_selective(c, extras_[p.extra]);
    c.acked_bytes += static_cast<std::uint64_t>(newly);
    take_off(c, newly);
    const std::int64_t lost = infer_losses(c);
    if (!sprays_.empty())
        sprays_[id].feedback(p.entropy, p.congested ? PathNews::kMarked : PathNews::kGood, now(),
                             spray_profile_);
    const Extra* x = p.extra == kNone ? nullptr : &extras_[p.extra];
    c.cc->on_ack({.now = now(),
                  .rtt = ps(now().ps() - p.stamp),
                  .acked = Bytes{newly},
                  .marked = Bytes{std::min<std::int64_t>(p.marked, newly)},
                  .in_flight = Bytes{c.in_flight},
                  .acked_to = c.acked_bytes,
                  .sent_to = c.sent_bytes,
                  .hops = x == nullptr ? std::span<const HopTelemetry>{}
                                       : std::span{x->hops}.first(p.hops)});
    if (lost > 0) c.cc->on_nack(now(), Bytes{lost});
    if (newly > 0) c.backoff = 0;
    // Counts for the first packet that is missing: answers to later ones change nothing.
    if (advances) c.waited = false;
    if (advances) c.give_up_at = c.acked == c.next ? INT64_MAX : now().ps() + timeout(c);
    finish_acked(c);
    resume(id);
}

/// So much has been acknowledged. After going back, what counts is what has gone out again.
void Network::take_off(Connection& c, std::int64_t newly) {
    if (options_.recovery != Recovery::kGoBackN) return;  // learn() has
    if (c.acked == c.next) {
        c.in_flight = 0;
    } else {
        c.in_flight = c.highest > c.next ? bytes_between(c, c.acked, c.next) : c.in_flight - newly;
    }
}

/// Packet `seq` is known to have arrived, for the first time; its bytes.
std::int64_t Network::learn(Connection& c, std::uint32_t seq) {
    const std::int64_t bytes = bytes_of(c, seq);
    if (c.lost.test(seq, c.acked)) {
        c.lost.clear(seq);  // it was only late
    } else {
        c.in_flight -= bytes;
    }
    return bytes;
}

/// The bytes of a packet that was in flight until now; 0: it was not.
std::int64_t Network::take_for_lost(Connection& c, std::uint32_t seq, PathNews how) {
    if (known_arrived(c, seq) || seq >= c.next || c.lost.test(seq, c.acked)) return 0;
    const std::int64_t bytes = bytes_of(c, seq);
    c.lost.set(seq, c.acked);
    c.in_flight -= bytes;
    want(c, bytes);
    if (!sprays_.empty())
        sprays_[static_cast<std::size_t>(&c - connections_.data())].lost(seq, how, now(),
                                                                         spray_profile_);
    return bytes;
}

/// Packets that enough later ones have overtaken, each once: after that only a timeout tells.
std::int64_t Network::infer_losses(Connection& c) {
    std::int64_t reorder = options_.overtaken;
    if (reorder == 0 && options_.recovery == Recovery::kSelectiveRepeat) reorder = 1;
    if (reorder == 0 && options_.recovery == Recovery::kUnordered &&
        options_.overflow == Overflow::kDrop)
        reorder = c.cc->window().count() / (c.payload + c.header) * 3 / 2 + 1;
    if (reorder == 0 || c.newest_arrived <= reorder) return 0;
    const auto to = static_cast<std::uint32_t>(c.newest_arrived - reorder);
    const std::uint32_t from = std::max(c.acked, c.judged);
    if (to <= from) return 0;
    c.judged = to;
    std::int64_t sum = 0;
    std::vector<std::uint32_t> lost;
    for (std::uint32_t s = to; s-- != from;) {
        const std::int64_t bytes = take_for_lost(c, s, PathNews::kLost);
        if (bytes > 0) lost.push_back(s);
        sum += bytes;
    }
    c.again.insert(c.again.begin(), lost.begin(), lost.end());
    return sum;
}

/// After something that may let a waiting connection go.
void Network::resume(ConnectionId id) {
    if (options_.repace) pace_by_rate(connections_[id]);
    if (connections_[id].sending == Sending::kReady) return arm(id);
    look_for_work(id);
}

std::int64_t Network::take_cumulative(Connection& c, std::uint32_t upto) {
    if (upto <= c.acked) return 0;
    std::int64_t newly = 0;
    if (options_.recovery == Recovery::kGoBackN) {
        newly = bytes_between(c, c.acked, upto);
    } else {
        for (std::uint32_t s = c.acked; s != upto; ++s) {
            if (c.arrived_there.test(s, c.acked)) {
                c.arrived_there.clear(s);
            } else {
                newly += learn(c, s);
            }
        }
    }
    c.acked = upto;
    c.newest_arrived = std::max(c.newest_arrived, upto);
    if (c.next < upto) go_to(c, upto);
    return newly;
}

std::int64_t Network::take_selective(Connection& c, const Extra& x) {
    std::int64_t newly = 0;
    for (std::uint64_t bits = x.arrived, s = x.first; bits != 0; bits >>= 1, ++s) {
        const auto seq = static_cast<std::uint32_t>(s);
        if ((bits & 1) == 0 || known_arrived(c, seq)) continue;
        newly += learn(c, seq);
        c.arrived_there.set(seq, c.acked);
        c.newest_arrived = std::max(c.newest_arrived, seq + 1);
    }
    return newly;
}

/// The next new packet is `seq`.
void Network::go_to(Connection& c, std::uint32_t seq) {
    c.next = seq;
    c.current = c.oldest;
    while (c.current != kNone && messages_[c.current].end <= seq)
        c.current = messages_[c.current].next;
}

void Network::on_nack(ConnectionId id, const Packet& p) {
    Connection& c = connections_[id];
    const std::int64_t newly = take_cumulative(c, p.seq);
    c.acked_bytes += static_cast<std::uint64_t>(newly);
    take_off(c, newly);
    std::int64_t lost = 0;
    if (options_.recovery == Recovery::kGoBackN) {
        if (c.next > c.acked) lost = bytes_between(c, c.acked, c.next);
        want(c, lost);
        go_to(c, c.acked);
        c.in_flight = 0;
    } else {
        lost = take_for_lost(c, p.echo, PathNews::kLost);
        if (lost > 0) c.again.push_back(p.echo);
    }
    if (lost > 0) c.cc->on_nack(now(), Bytes{lost});
    finish_acked(c);
    resume(id);
}

void Network::on_timer(ConnectionId id) {
    Connection& c = connections_[id];
    while (c.cc->timer() <= now()) c.cc->on_timer(now());
    if (c.give_up_at <= now().ps() && !c.waited && c.lost.test(c.acked, c.acked)) {
        c.waited = true;  // what is missing is known, and waits for credit: a while more
        c.give_up_at = now().ps() + kCreditPatience * timeout(c);
    } else if (c.give_up_at <= now().ps()) {
        c.waited = false;
        ++totals_.timeouts;
        if (++c.backoff == kMostTimeouts) return give_up(c);
        rewind(id);
        c.give_up_at = now().ps() + timeout(c);
        c.cc->on_timeout(now());
    }
    resume(id);
}

/// Everything that is not acknowledged will be sent again.
void Network::rewind(ConnectionId id) {
    Connection& c = connections_[id];
    c.again.clear();
    // Whatever was granted may have been lost as well: a window again.
    if (options_.credits)
        c.credit = CreditAccount{std::max(c.credit.left(), Bytes{c.cc->window()})};
    if (options_.recovery == Recovery::kGoBackN) {
        if (c.next > c.acked) want(c, bytes_between(c, c.acked, c.next));
        go_to(c, c.acked);
    } else {
        for (std::uint32_t s = c.next; s-- != c.acked;) {
            static_cast<void>(take_for_lost(c, s, PathNews::kTimeout));
            if (c.lost.test(s, c.acked)) c.again.push_back(s);
        }
        c.judged = c.next;
    }
    c.in_flight = 0;
}

/// One timer for all that a connection may wait for.
void Network::arm(ConnectionId id) {
    const Connection& c = connections_[id];
    // Nothing is owed: timers of the congestion control catch up when there is.
    if (c.gave_up || c.acked == c.posted) return wheel_.cancel(owner_ + 1 + id);
    std::int64_t at = std::min(c.give_up_at, c.cc->timer().ps());
    if (c.sending == Sending::kPaced) at = std::min(at, c.next_at);
    if (at != INT64_MAX) wheel_.at_latest(owner_ + 1 + id, SimTime{std::max(at, now().ps())});
}

/// What is not acknowledged by now never will be.
void Network::give_up(Connection& c) {
    c.gave_up = true;
    c.give_up_at = INT64_MAX;
    c.sending = Sending::kNothing;
    for (std::uint32_t m = c.oldest; m != kNone; m = messages_[m].next)
        reports_.push_back({messages_[m].name, What::kGaveUp});
}

void Network::finish_acked(Connection& c) {
    while (c.oldest != kNone && messages_[c.oldest].end <= c.acked) {
        const std::uint32_t m = c.oldest;
        c.oldest = messages_[m].next;
        reports_.push_back({messages_[m].name, What::kAcknowledged});
        messages_[m].next = free_message_;
        free_message_ = m;
    }
}

}  // namespace weft::packet
