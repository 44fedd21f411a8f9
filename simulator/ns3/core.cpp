// Only single headers of ns-3 compile as C++20 with g++ 12: these do.
#include "simulator/ns3/core.hpp"

#include <algorithm>
#include <deque>
#include <memory>
#include <ns3/nstime.h>
#include <ns3/simulator.h>

#include "base/result.hpp"
#include "base/rng.hpp"
#include "flow_control/cc/congestion_control.hpp"

namespace weft::foreign {
namespace {

using packet::Kind;

struct Packet {
    Kind kind = Kind::kData;
    bool ask = false;  // for an answer at once
    bool congested = false;
    std::uint32_t flow = 0;
    std::uint32_t place = 0;   // on its way
    std::uint32_t number = 0;  // of an ACK: all before it have arrived
    std::int64_t bytes = 0;
    std::int64_t stamp = 0;   // when the data packet left its sender
    std::int64_t marked = 0;  // of an ACK
    std::vector<HopTelemetry> hops;
};

struct Port {
    Bandwidth rate;
    SimDuration latency;
    EcnProfile marking;
    std::deque<Packet> control, data, wire;
    std::int64_t waiting = 0;  // bytes of data
    std::uint64_t sent = 0;
    std::uint64_t draws = 0;
    bool busy = false;
    std::vector<std::uint32_t> flows;  // that start here
    std::size_t turn = 0;
    std::int64_t wake = INT64_MAX;  // of a paced flow
};

struct Flow {
    packet::Path path;
    std::unique_ptr<CongestionControl> cc;
    std::uint32_t packets = 0, next = 0, asked = 0, acked = 0, expected = 0;
    std::int64_t last = 0;  // payload of the last packet
    std::int64_t in_flight = 0, next_at = 0, offered_at = 0;
    std::uint64_t sent_bytes = 0, acked_bytes = 0;
    std::int64_t unreported = 0, marked = 0;
    std::int64_t notified_at = INT64_MIN / 2;
    std::int64_t timer = INT64_MAX;  // the next event for it
    bool started = false;
};

class Core {
  public:
    Core(const Fabric& fabric, const FlowSet& set, const packet::PacketOptions& options)
        : fabric_(fabric),
          set_(set),
          o_(options),
          congestion_(choose_congestion(options.congestion)),
          needs_(congestion_.row->make.needs),
          ports_(fabric.links().size()),
          flows_(set.flows.size()) {
        if (ns3::Time::GetResolution() != ns3::Time::PS) ns3::Time::SetResolution(ns3::Time::PS);
        const Health health(fabric);
        for (std::size_t l = 0; l < ports_.size(); ++l) {
            ports_[l].rate = health.rate(LinkId{l});
            ports_[l].latency = fabric.links()[l].latency;
        }
        const Router router(fabric);
        run_.flows.resize(flows_.size());
        for (std::uint32_t f = 0; f < flows_.size(); ++f) add(router, f);
    }
    ~Core() { ns3::Simulator::Destroy(); }
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    packet::FlowRun run() {
        ns3::Simulator::Run();
        run_.totals.events = ns3::Simulator::GetEventCount();
        run_.end = SimTime{now()};
        run_.connections = flows_.size();
        return std::move(run_);
    }

  private:
    template <class F>
    static void after(std::int64_t picoseconds, F what) {
        ns3::Simulator::Schedule(ns3::PicoSeconds(picoseconds), what);
    }
    static std::int64_t now() { return ns3::Simulator::Now().GetPicoSeconds(); }

    void add(const Router& router, std::uint32_t f);
    void mark_as_wanted(const packet::Path& path, const PathFacts& facts);
    void start(std::uint32_t f);
    void watch_timer(std::uint32_t f);

    void enqueue(LinkId link, Packet p);
    void kick(LinkId link);
    void transmit(LinkId link, Packet p);
    void arrive(LinkId link);
    void mark(LinkId link, Packet& p);

    [[nodiscard]] std::int64_t bytes_of(const Flow& f, std::uint32_t number) const {
        return o_.header.count() + (number + 1 == f.packets ? f.last : o_.payload.count());
    }
    [[nodiscard]] bool may_send(const Flow& f) const;
    [[nodiscard]] bool pull(LinkId link, Packet& p);
    [[nodiscard]] Packet make_packet(std::uint32_t f);
    void receive_data(Packet& p);
    void receive_ack(const Packet& p);
    void answer(Packet& p, Kind kind);

    const Fabric& fabric_;
    const FlowSet& set_;
    const packet::PacketOptions& o_;
    ChosenCongestion congestion_;
    CongestionNeeds needs_;
    std::vector<Port> ports_;  // by link
    std::vector<Flow> flows_;
    packet::FlowRun run_;
};

void Core::add(const Router& router, std::uint32_t f) {
    const FlowSpec& spec = set_.flows[f];
    if (spec.after != kNoTrigger || spec.connection != kOwnConnection)
        throw ConfigError({.file = {},
                           .line = 0,
                           .key = "flow " + std::to_string(f),
                           .found = "a trigger or a shared connection",
                           .expected = "a flow with a start of its own",
                           .example = {}});
    Flow& flow = flows_[f];
    flow.path = packet::flow_path(router, spec, f, o_.seed);
    const std::int64_t full = o_.payload.count();
    flow.packets = static_cast<std::uint32_t>((spec.size.count() + full - 1) / full);
    flow.last = spec.size.count() - (flow.packets - 1) * full;
    const LinkId first = flow.path.there.front();
    ports_[first.index()].flows.push_back(f);
    SimDuration trip;
    for (const LinkId l : flow.path.there)
        trip += transfer_time(o_.payload + o_.header, ports_[l.index()].rate) +
                ports_[l.index()].latency;
    for (const LinkId l : flow.path.back)
        trip += transfer_time(o_.ack, ports_[l.index()].rate) + ports_[l.index()].latency;
    const PathFacts facts{.line_rate = ports_[first.index()].rate,
                          .base_rtt = o_.base_rtt == SimDuration{} ? trip : o_.base_rtt,
                          .packet = o_.payload + o_.header,
                          .hops = static_cast<std::uint32_t>(flow.path.there.size())};
    flow.cc = congestion_.make(facts);
    mark_as_wanted(flow.path, facts);
    run_.flows[f] = {spec.start, SimTime::never(), SimTime::never(), {}};
    after(spec.start.ps(), [this, f] { start(f); });
}

void Core::mark_as_wanted(const packet::Path& path, const PathFacts& facts) {
    for (const LinkId l : path.there) {
        Port& p = ports_[l.index()];
        if (p.marking.on || fabric_.node(fabric_.link(l).from).kind != NodeKind::kSwitch) continue;
        if (!o_.mark_by_algorithm) {
            p.marking = o_.marking;
        } else if (needs_.marking != nullptr) {
            p.marking = needs_.marking(p.rate, facts);
        }
    }
}

void Core::start(std::uint32_t f) {
    flows_[f].started = true;
    flows_[f].offered_at = now();
    kick(flows_[f].path.there.front());
}

/// Sees to it that the timer of a flow's congestion control is called in time.
void Core::watch_timer(std::uint32_t f) {
    Flow& flow = flows_[f];
    const std::int64_t due = flow.cc->timer().ps();
    if (flow.acked == flow.packets || due == INT64_MAX || flow.timer <= due) return;
    flow.timer = due;
    after(std::max<std::int64_t>(0, due - now()), [this, f, due] {
        Flow& fl = flows_[f];
        if (fl.timer != due || fl.acked == fl.packets) return;
        fl.timer = INT64_MAX;
        while (fl.cc->timer().ps() <= now()) fl.cc->on_timer(SimTime{now()});
        watch_timer(f);
        kick(fl.path.there.front());
    });
}

void Core::enqueue(LinkId link, Packet p) {
    Port& port = ports_[link.index()];
    if (p.kind == Kind::kData) {
        if (!port.marking.at_dequeue) mark(link, p);
        port.waiting += p.bytes;
        port.data.push_back(std::move(p));
    } else {
        port.control.push_back(std::move(p));
    }
    kick(link);
}

void Core::mark(LinkId link, Packet& p) {
    Port& port = ports_[link.index()];
    const Bytes waiting{port.waiting};
    if (!port.marking.on || p.congested || waiting <= port.marking.low) return;
    p.congested = port.marking.marks(waiting, mix64(mix64(o_.seed, link.value()), port.draws++));
    if (p.congested) ++run_.totals.marked;
}

void Core::kick(LinkId link) {
    Port& port = ports_[link.index()];
    if (port.busy) return;
    Packet p;
    if (!port.control.empty()) {
        p = std::move(port.control.front());
        port.control.pop_front();
    } else if (!port.data.empty()) {
        if (port.marking.at_dequeue) mark(link, port.data.front());
        p = std::move(port.data.front());
        port.data.pop_front();
        port.waiting -= p.bytes;
    } else if (!pull(link, p)) {
        return;
    }
    transmit(link, std::move(p));
}

void Core::transmit(LinkId link, Packet p) {
    Port& port = ports_[link.index()];
    port.busy = true;
    port.sent += static_cast<std::uint64_t>(p.bytes);
    if (needs_.telemetry && p.kind == Kind::kData)
        p.hops.push_back({.at = SimTime{now()},
                          .rate = port.rate,
                          .queue = Bytes{port.waiting},
                          .sent = Bytes{static_cast<std::int64_t>(port.sent)}});
    ++run_.totals.all_hops;
    if (p.kind == Kind::kData) ++run_.totals.data_hops;
    const std::int64_t takes = transfer_time(Bytes{p.bytes}, port.rate).ps();
    port.wire.push_back(std::move(p));
    after(takes, [this, link] {
        ports_[link.index()].busy = false;
        kick(link);
    });
    after(takes + port.latency.ps(), [this, link] { arrive(link); });
}

void Core::arrive(LinkId link) {
    Port& port = ports_[link.index()];
    Packet p = std::move(port.wire.front());
    port.wire.pop_front();
    const Flow& flow = flows_[p.flow];
    const std::vector<LinkId>& way = p.kind == Kind::kData ? flow.path.there : flow.path.back;
    if (++p.place < way.size()) {
        const LinkId next = way[p.place];
        enqueue(next, std::move(p));
    } else if (p.kind == Kind::kData) {
        receive_data(p);
    } else {
        receive_ack(p);
    }
}

bool Core::may_send(const Flow& f) const {
    if (!f.started || f.next == f.packets) return false;
    const bool answer_due = f.acked < f.asked;
    return f.in_flight == 0 || !answer_due ||
           f.in_flight + bytes_of(f, f.next) <= f.cc->window().count();
}

/// The next packet of the flow whose turn it is; if all that may send are paced, it wakes for the
/// first of them.
bool Core::pull(LinkId link, Packet& p) {
    Port& port = ports_[link.index()];
    std::int64_t first = INT64_MAX;
    for (std::size_t i = 0; i < port.flows.size(); ++i) {
        const std::size_t at = (port.turn + i) % port.flows.size();
        const Flow& flow = flows_[port.flows[at]];
        if (!may_send(flow)) continue;
        first = std::min(first, flow.next_at);
        if (flow.next_at > now()) continue;
        port.turn = at + 1;
        p = make_packet(port.flows[at]);
        return true;
    }
    if (first == INT64_MAX || port.wake <= first) return false;
    port.wake = first;
    after(first - now(), [this, link, first] {
        Port& woken = ports_[link.index()];
        if (woken.wake == first) woken.wake = INT64_MAX;
        kick(link);
    });
    return false;
}

Packet Core::make_packet(std::uint32_t f) {
    Flow& flow = flows_[f];
    Packet p;
    p.flow = f;
    p.number = flow.next++;
    p.bytes = bytes_of(flow, p.number);
    p.stamp = now();
    flow.in_flight += p.bytes;
    flow.sent_bytes += static_cast<std::uint64_t>(p.bytes);
    flow.cc->sent(SimTime{now()}, Bytes{p.bytes});
    const std::int64_t full = (o_.payload + o_.header).count();
    p.ask = flow.next == flow.packets || flow.in_flight + full > flow.cc->window().count();
    if (p.ask) flow.asked = flow.next;
    const auto interval = [&](Bandwidth rate) {
        return p.bytes * 8'000'000'000'000 / rate.bits_per_second();
    };
    if (flow.cc->rate() < ports_[flow.path.there.front().index()].rate)
        flow.next_at = std::max(flow.next_at, now()) + interval(flow.cc->rate());
    if (set_.flows[f].rate > Bandwidth{0}) {
        flow.offered_at += interval(set_.flows[f].rate);
        flow.next_at = std::max(flow.next_at, flow.offered_at);
    }
    ++run_.totals.sent;
    watch_timer(f);
    return p;
}

void Core::receive_data(Packet& p) {
    Flow& flow = flows_[p.flow];
    WEFT_CHECK(p.number == flow.expected, "packet {} before {}", p.number, flow.expected);
    ++flow.expected;
    ++run_.totals.delivered;
    if (p.congested) {
        flow.marked += p.bytes;
        if (needs_.cnp && now() - flow.notified_at >= o_.notify_every.ps()) {
            flow.notified_at = now();
            answer(p, Kind::kNotify);
        }
    }
    flow.unreported += p.bytes - o_.header.count();
    if (flow.expected == flow.packets) run_.flows[p.flow].arrived = SimTime{now()};
    if (flow.unreported >= o_.ack_every.count() || p.ask) answer(p, Kind::kAck);
}

void Core::answer(Packet& p, Kind kind) {
    Flow& flow = flows_[p.flow];
    Packet a;
    a.kind = kind;
    a.flow = p.flow;
    a.number = flow.expected;
    a.bytes = o_.ack.count();
    a.stamp = p.stamp;
    if (kind == Kind::kAck) {
        a.hops = std::move(p.hops);
        a.marked = std::exchange(flow.marked, 0);
        flow.unreported = 0;
    }
    enqueue(flow.path.back.front(), std::move(a));
}

void Core::receive_ack(const Packet& p) {
    Flow& flow = flows_[p.flow];
    if (p.kind == Kind::kNotify) {
        flow.cc->on_cnp(SimTime{now()});
    } else if (p.number > flow.acked) {
        std::int64_t newly = 0;
        while (flow.acked < p.number) newly += bytes_of(flow, flow.acked++);
        flow.acked_bytes += static_cast<std::uint64_t>(newly);
        flow.in_flight -= newly;
        if (flow.acked == flow.packets) run_.flows[p.flow].acknowledged = SimTime{now()};
        flow.cc->on_ack({.now = SimTime{now()},
                         .rtt = ps(now() - p.stamp),
                         .acked = Bytes{newly},
                         .marked = Bytes{std::min(p.marked, newly)},
                         .in_flight = Bytes{flow.in_flight},
                         .acked_to = flow.acked_bytes,
                         .sent_to = flow.sent_bytes,
                         .hops = p.hops});
    }
    watch_timer(p.flow);
    kick(flow.path.there.front());
}

}  // namespace

packet::FlowRun run_on_core(const Fabric& fabric, const FlowSet& set,
                            const packet::PacketOptions& options) {
    return Core(fabric, set, options).run();
}

}  // namespace weft::foreign
