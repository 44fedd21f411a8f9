#include "simulator/packet/flow_run.hpp"

#include <algorithm>
#include <map>
#include <numeric>

#include "base/result.hpp"
#include "base/rng.hpp"
#include "simulator/packet/troubles.hpp"

namespace weft::packet {
namespace {

/// The path that the flow's 5-tuple hashes to, if there is any.
std::optional<Path> way_of(const Router& router, const FlowSpec& spec, std::uint32_t f,
                           std::uint64_t seed) {
    const Edge edge = router.edge(spec.src, spec.dst);
    const auto port = static_cast<std::uint16_t>(49152 + mix64(seed, f) % 16384);
    const std::optional<Route> route = router.ecmp(edge, port);
    if (!route || route->links.empty()) return {};
    return path_of(router.fabric(), *route);
}

class Runner {
  public:
    Runner(const Fabric& fabric, const FlowSet& set, const PacketOptions& options,
           const std::vector<Failure>& failures)
        : fabric_(fabric),
          set_(set),
          options_(options),
          failures_(failures),
          changes_(change_times(failures)),
          troubles_(fabric, failures_),
          known_(fabric),
          router_(fabric, {}, &known_),
          network_(fabric, options),
          waiting_(set.triggers.size()),
          activations_(set.triggers.size(), 0) {
        run_.flows.resize(set.flows.size());
        for (std::uint32_t f = 0; f < set.flows.size(); ++f) {
            run_.flows[f].start = run_.flows[f].arrived = run_.flows[f].acknowledged =
                SimTime::never();
            if (set.flows[f].after == kNoTrigger) {
                timed_.push_back(f);
            } else {
                waiting_[set.flows[f].after].push_back(f);
            }
        }
        std::stable_sort(timed_.begin(), timed_.end(), [&](std::uint32_t a, std::uint32_t b) {
            return set.flows[a].start < set.flows[b].start;
        });
    }

    FlowRun run(const std::function<void(const Network&)>& look) {
        while (true) {
            change_due();
            start_due();
            const Network::Stop stop = network_.run();
            for (const Network::Report& r : network_.take_reports()) tell(r);
            if (stop == Network::Stop::kIdle && next_ == timed_.size()) break;
        }
        run_.totals = network_.totals();
        run_.end = network_.now();
        if (look) look(network_);
        return std::move(run_);
    }

  private:
    void start_due() {
        while (next_ < timed_.size() && set_.flows[timed_[next_]].start <= network_.now())
            start(timed_[next_++]);
        const bool more = next_ < timed_.size();
        SimTime wake = more ? set_.flows[timed_[next_]].start : SimTime::never();
        if (change_ < changes_.size() && (more || under_way_ > 0))
            wake = std::min(wake, changes_[change_]);
        network_.wake_at(wake);
    }

    /// Failures whose time has come.
    void change_due() {
        if (change_ == changes_.size() || changes_[change_] > network_.now()) return;
        while (change_ < changes_.size() && changes_[change_] <= network_.now()) ++change_;
        const SimTime now = network_.now();
        const Health health = health_at(fabric_, failures_, now, SeenBy::kPackets);
        for (std::size_t l = 0; l < fabric_.links().size(); ++l)
            if (network_.rate(LinkId{l}) != health.rate(LinkId{l}))
                network_.set_rate(LinkId{l}, health.rate(LinkId{l}));
        troubles_.apply(network_, now);
        const Health known = health_at(fabric_, failures_, now, SeenBy::kRouting);
        if (known == known_) return;
        known_ = known;
        router_.health_changed();
        network_.routing_knows(known_);
        for (ConnectionId c = 0; c < flow_of_.size(); ++c)
            if (const auto way =
                    way_of(router_, set_.flows[flow_of_[c]], flow_of_[c], options_.seed))
                network_.move(c, *way);
    }

    void start(std::uint32_t f) {
        const FlowSpec& spec = set_.flows[f];
        const ConnectionId c = connection_of(f);
        FlowTimes& t = run_.flows[f];
        t.start = network_.now();
        t.alone = network_.alone(c, spec.size);
        network_.send(c, spec.size, f);
        ++under_way_;
    }

    ConnectionId connection_of(std::uint32_t f) {
        const std::uint32_t shared = set_.flows[f].connection;
        if (shared == kOwnConnection) return connect(f);
        const auto [at, fresh] = shared_.try_emplace(shared);
        if (fresh) at->second = connect(f);
        return at->second;
    }

    ConnectionId connect(std::uint32_t f) {
        const FlowSpec& spec = set_.flows[f];
        std::optional<Path> path = way_of(router_, spec, f, options_.seed);
        // One that begins while there is no way waits for the way that there was.
        if (!path) path = flow_path(Router(fabric_), spec, f, options_.seed);
        ++run_.connections;
        flow_of_.push_back(f);
        const ConnectionId c = network_.connect(*path);
        network_.offer_at(c, spec.rate);
        return c;
    }

    void tell(const Network::Report& r) {
        const FlowSpec& spec = set_.flows[r.message];
        FlowTimes& t = run_.flows[r.message];
        if (r.what != Network::What::kArrived) --under_way_;
        if (r.what == Network::What::kGaveUp) return;
        const bool acknowledged = r.what == Network::What::kAcknowledged;
        (acknowledged ? t.acknowledged : t.arrived) = network_.now();
        activate(acknowledged ? spec.send_done : spec.recv_done);
    }

    void activate(std::uint32_t trigger) {
        if (trigger == kNoTrigger) return;
        const FlowTrigger& t = set_.triggers[trigger];
        const std::uint32_t n = ++activations_[trigger];
        const std::vector<std::uint32_t>& flows = waiting_[trigger];
        if (t.kind == FlowTrigger::Kind::kMultishot) {
            if (n <= flows.size()) start(flows[n - 1]);
        } else if (n == (t.kind == FlowTrigger::Kind::kBarrier ? t.count : 1)) {
            for (const std::uint32_t f : flows) start(f);
        }
    }

    const Fabric& fabric_;
    const FlowSet& set_;
    const PacketOptions& options_;
    const std::vector<Failure> failures_;
    const std::vector<SimTime> changes_;
    std::size_t change_ = 0;
    std::size_t under_way_ = 0;  // flows neither done nor given up
    Troubles troubles_;
    Health known_;  // by routing
    Router router_;
    Network network_;
    std::vector<std::uint32_t> timed_;  // by start
    std::size_t next_ = 0;
    std::vector<std::vector<std::uint32_t>> waiting_;  // by trigger
    std::vector<std::uint32_t> activations_;
    std::map<std::uint32_t, ConnectionId> shared_;  // by FlowSpec::connection
    std::vector<std::uint32_t> flow_of_;            // the first, by connection
    FlowRun run_;
};

}  // namespace

Path flow_path(const Router& router, const FlowSpec& spec, std::uint32_t f, std::uint64_t seed) {
    if (const std::optional<Path> way = way_of(router, spec, f, seed)) return *way;
    throw ConfigError(
        {.file = {},
         .line = 0,
         .key = "flow " + std::to_string(f),
         .found = spec.src == spec.dst ? "a flow to itself" : "no way to its destination",
         .expected = "two hosts that reach each other",
         .example = {}});
}

FlowRun run_flows(const Fabric& fabric, const FlowSet& set, const PacketOptions& options,
                  const std::function<void(const Network&)>& look,
                  const std::vector<Failure>& failures) {
    check_failures(fabric, failures);
    return Runner(fabric, set, options, failures).run(look);
}

}  // namespace weft::packet
