// Receiver credits: what a sender may send is granted by the port that receives (UEC RCCC).
#include "flow_control/cc/credits.hpp"
#include "simulator/packet/network.hpp"

namespace weft::packet {

/// A connection joins the pacer of the port that it comes to.
void Network::open_account(ConnectionId id) {
    Connection& c = connections_[id];
    Payer& payer = payers_[routes_[c.back]];
    if (!payer.pacer)
        payer.pacer = std::make_unique<CreditPacer>(
            CreditOptions{.line_rate = fabric_->link(LinkId{routes_[c.back]}).capacity});
    c.payee = static_cast<std::uint32_t>(payer.payees.size());
    payer.payees.push_back(id);
}

/// The connection now comes to another port than `old`, which owes it what it has not granted.
void Network::move_account(ConnectionId id, std::uint32_t old) {
    Connection& c = connections_[id];
    if (routes_[c.back] == old) return;
    const Bytes owed = payers_[old].pacer->leaves(c.payee);
    open_account(id);
    payers_[routes_[c.back]].pacer->wants(now(), c.payee, owed);
    pace(routes_[c.back]);
}

/// A sender that was idle may send up to a window before any credit comes.
void Network::open_window(Connection& c) {
    c.credit = CreditAccount{c.cc->window()};
    c.wanted = c.told - c.cc->window().count();
    c.speculates = true;
}

/// So much more is to be sent than was known.
void Network::want(Connection& c, std::int64_t bytes) {
    if (options_.credits) c.wanted += bytes;
}

/// What a packet says that leaves now.
std::uint32_t Network::wants(Connection& c) {
    c.told = std::max(c.told, c.wanted);
    return static_cast<std::uint32_t>((c.told + kWantUnit - 1) / kWantUnit);
}

/// A sender without credit says that it wants more, in a packet of its own.
void Network::tell_wants(ConnectionId id) {
    Connection& c = connections_[id];
    send_control(c.port, c.first_there + 1, Kind::kWant, id, wants(c));
}

void Network::send_control(std::uint32_t link, std::uint32_t route, Kind kind, ConnectionId id,
                           std::uint32_t amount) {
    const PacketId packet = pool_.take();
    Packet& p = pool_[packet];
    p.kind = kind;
    p.cls = kControl;
    p.bytes = static_cast<std::uint32_t>(options_.ack.count());
    p.flow = id;
    p.route = route;
    p.marked = amount;
    enqueue(link, packet);
}

/// A packet has told its receiver what its sender wants by then.
void Network::hear_wants(Connection& c, std::uint32_t told) {
    const std::uint32_t port = routes_[c.back];
    // Counted modulo 2^32 units: an older packet, which says less, comes out negative.
    const auto more = static_cast<std::int32_t>(told - c.heard);
    if (more <= 0) return;
    c.heard = told;
    const Bytes bytes{more * kWantUnit};
    totals_.credit_wanted += static_cast<std::uint64_t>(bytes.count());
    payers_[port].pacer->wants(now(), c.payee, bytes);
    pace(port);
}

void Network::pace(std::uint32_t port) {
    const SimTime at = payers_[port].pacer->timer();
    if (at != SimTime::never()) wheel_.at_latest(payers_at_ + port, std::max(at, now()));
}

/// The port grants its next credit.
void Network::on_payer(std::uint32_t port) {
    Payer& payer = payers_[port];
    if (const auto grant = payer.pacer->grant(now())) {
        const ConnectionId id = payer.payees[grant->sender];
        const auto amount = static_cast<std::uint32_t>(grant->bytes.count());
        totals_.credit_granted += amount;
        send_control(port, connections_[id].back + 1, Kind::kCredit, id, amount);
    }
    pace(port);
}

void Network::on_credit(const Packet& p) {
    Connection& c = connections_[p.flow];
    // From the first credit on it sends by credit alone: what is left of the window is wanted.
    if (std::exchange(c.speculates, false) && c.credit.left() > Bytes{0}) {
        c.wanted += c.credit.left().count();
        c.credit = CreditAccount{Bytes{0}};
    }
    c.credit.granted(Bytes{p.marked});
    resume(p.flow);
}

}  // namespace weft::packet
