#include "simulator/execute/report.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <set>
#include <tuple>

#include "simulator/endpoint/detailed.hpp"
#include "simulator/endpoint/fitted.hpp"
#include "simulator/execute/intervals.hpp"
#include "simulator/execute/split.hpp"

namespace weft {
namespace {

constexpr std::size_t kBusiestLinks = 10;
constexpr std::size_t kSpansPerRank = 16'000;
constexpr std::size_t kPricesShown = 4;
constexpr double kHighLoad = 0.9;
constexpr Int128 kPsPerSecond = 1'000'000'000'000;

class Reporter {
  public:
    Reporter(const Scenario& s, const World& w, const Machine& m)
        : s_(s), world_(w), machine_(m), q_(w.quotient()) {}

    Result make() {
        find_slowest();
        account();
        RankSplits splits = rank_splits(world_, machine_);
        r_.rank_splits = std::move(splits.rows);
        r_.typical_rank = splits.typical;
        summarise_collectives();
        measure_links();
        bound();
        r_.packets = machine_.carrier().summary();
        draw_timeline();
        describe();
        return std::move(r_);
    }

  private:
    [[nodiscard]] const Program& program_of(RankId r) const {
        return s_.workload->programs[s_.workload->program_of[r.index()]];
    }
    void find_slowest();
    void account();
    void summarise_collectives();
    /// Utilisation, negated for order, then the link.
    struct Load {
        double negated;
        std::uint32_t link;
        bool operator<(const Load& o) const {
            return std::tie(negated, link) < std::tie(o.negated, o.link);
        }
    };
    void measure_links();
    void rank_links(std::vector<Load> loads);
    [[nodiscard]] LinkUse use_of(const Load& load, std::uint32_t alike) const;
    void bound();
    void draw_timeline();
    void add_spans(RankId rank);
    void describe();
    void describe_compute();
    void describe_algorithms();
    void warn_of_switches();
    void warn_of_extrapolation();
    void describe_prices();
    void describe_remainder();
    [[nodiscard]] std::string remainder_text(std::size_t exchange) const;
    void describe_figures();
    void describe_packets();
    /// Of the first group that runs an exchange under a variant; nullptr: none does.
    [[nodiscard]] const flow::Traffic* first_traffic(std::size_t exchange, std::size_t v) const;
    [[nodiscard]] std::vector<TimePart> parts_of(std::size_t exchange, std::size_t v) const;

    const Scenario& s_;
    const World& world_;
    const Machine& machine_;
    const flow::Quotient& q_;
    Result r_;
    flow::ClassId slowest_ = 0;
};

void Reporter::find_slowest() {
    for (flow::ClassId c = 1; c < q_.ranks.size(); ++c) {
        const SimTime mine = machine_.finished(c);
        const SimTime worst = machine_.finished(slowest_);
        if (mine > worst || (mine == worst && q_.ranks[c].first < q_.ranks[slowest_].first))
            slowest_ = c;
    }
    r_.slowest_rank = q_.ranks[slowest_].first;
    r_.step_time = machine_.finished(slowest_) - SimTime{};
    r_.has_compute = s_.workload->has_compute;
}

void Reporter::account() {
    const CompiledProgram& p =
        world_.workload().programs[s_.workload->program_of[r_.slowest_rank.index()]];
    const std::vector<OpTimes>& times = machine_.times(slowest_);
    std::vector<Intervals> in_flight(s_.workload->families.size());
    std::vector<Intervals> moving(in_flight.size());
    Intervals compute;
    for (std::size_t i = 0; i < p.ops.size(); ++i) {
        const CompiledOp& op = p.ops[i];
        if (op.kind == CompiledOp::Kind::kCompute) {
            compute.add(times[i].start, times[i].end);
            r_.compute_slowed += times[i].end - times[i].start -
                                 machine_.work(slowest_, static_cast<std::uint32_t>(i));
            continue;
        }
        const Exchange& e = world_.workload().exchanges[op.exchange];
        const std::uint32_t family = world_.workload().sets[e.set].family;
        const bool collective = op.kind == CompiledOp::Kind::kCollective;
        in_flight[family].add(collective ? times[i].ready : times[i].start, times[i].end);
        moving[family].add(times[i].start, times[i].end);
    }
    compute.join();
    r_.compute = compute.length();
    std::set<std::uint32_t> used;
    for (const SetKey& k : world_.workload().sets) used.insert(k.family);
    Intervals busy = compute;
    for (const std::uint32_t f : used) {
        in_flight[f].join();
        moving[f].join();
        busy.add(in_flight[f]);
        const SimDuration total = in_flight[f].length();
        const SimDuration transferring = moving[f].length();
        r_.families.push_back({.family = s_.workload->families[f].name,
                               .total = total,
                               .exposed = total - in_flight[f].overlap(compute),
                               .waiting = total - transferring,
                               .transferring = transferring});
    }
    busy.join();
    r_.bubble = r_.step_time - busy.length();
}

/// One row per family, kind, size and algorithm; messages up and down a chain are one row.
void Reporter::summarise_collectives() {
    const CompiledWorkload& w = world_.workload();
    using Key = std::tuple<std::string, std::string, Bytes, std::string>;
    struct Row {
        std::size_t exchange = 0;
        std::size_t variant = 0;
        ExchangeStats stats;
    };
    std::map<Key, Row> rows;
    for (std::size_t x = 0; x < w.exchanges.size(); ++x) {
        const Exchange& e = w.exchanges[x];
        const std::string& family = s_.workload->families[w.sets[e.set].family].name;
        if (e.size.count() == 0) continue;
        for (std::size_t v = 0; v < machine_.stats()[x].size(); ++v) {
            const ExchangeStats& st = machine_.stats()[x][v];
            if (st.count == 0) continue;
            Row& row = rows[{family, name_of(e.kind), e.size, world_.algorithm(e.set, v)}];
            row.exchange = x;
            row.variant = v;
            row.stats.add(st);
        }
    }
    for (const auto& [key, row] : rows) {
        const Exchange& e = w.exchanges[row.exchange];
        const SetKey& set = w.sets[e.set];
        CollectiveSummary c;
        std::tie(c.family, c.kind, c.size, c.algorithm) = key;
        c.group_size = set.offset == 0 ? s_.workload->families[set.family].groups.size : 2;
        if (c.group_size == 1) continue;
        c.count = row.stats.count;
        c.mean_time = SimDuration{static_cast<std::int64_t>(row.stats.total_ps / c.count)};
        c.min_time = row.stats.least;
        c.max_time = row.stats.most;
        c.mean_waiting =
            SimDuration{static_cast<std::int64_t>(row.stats.waiting_ps / c.count / c.group_size)};
        c.max_waiting = row.stats.longest_wait;
        const double ps = static_cast<double>(std::max<std::int64_t>(c.mean_time.ps(), 1));
        c.algbw_gbytes_per_s = static_cast<double>(c.size.count()) * 1000.0 / ps;
        c.busbw_gbytes_per_s = c.algbw_gbytes_per_s * busbw_factor(e.kind, c.group_size);
        c.parts = parts_of(row.exchange, row.variant);
        r_.collectives.push_back(std::move(c));
    }
}

void Reporter::measure_links() {
    const Fabric& fabric = *s_.fabric;
    const double seconds =
        static_cast<double>(std::max<std::int64_t>(r_.step_time.ps(), 1)) * 1e-12;
    std::map<std::tuple<std::string, int, int, int, bool>, LinkGroupUse> groups;
    std::vector<Load> loads;
    std::size_t high = 0;
    for (std::uint32_t l = 0; l < fabric.links().size(); ++l) {
        const Link& link = fabric.links()[l];
        const Int128 bits = machine_.carrier().carried_bits(LinkId{l});
        const double utilisation = static_cast<double>(bits) /
                                   (static_cast<double>(link.capacity.bits_per_second()) * seconds);
        if (bits > 0) loads.push_back({-utilisation, l});
        if (utilisation > kHighLoad) ++high;
        const bool up = fabric.leads_up(LinkId{l});
        LinkGroupUse& g = groups[{name_of(link.kind), link.tier, link.plane, link.rail, up}];
        g = {.kind = name_of(link.kind),
             .tier = link.tier,
             .plane = link.plane,
             .rail = link.rail,
             .up = up,
             .links = g.links + 1,
             .carried = g.carried + Bytes{static_cast<std::int64_t>(bits / 8)},
             .mean_utilisation = g.mean_utilisation + utilisation,
             .max_utilisation = std::max(g.max_utilisation, utilisation)};
    }
    for (auto& [key, g] : groups) {
        g.mean_utilisation /= g.links;
        r_.link_groups.push_back(std::move(g));
    }
    rank_links(std::move(loads));
    if (high > 0 && s_.network != NetworkModel::kPacket)
        r_.warnings.push_back(
            fmt::format("{} links above 90 %: victim flows are not modelled", high));
}

LinkUse Reporter::use_of(const Load& load, std::uint32_t alike) const {
    const LinkId id{load.link};
    const Link& link = s_.fabric->link(id);
    const Int128 bits = machine_.carrier().carried_bits(id);
    return {.link = id,
            .name = s_.fabric->name_of(id),
            .kind = name_of(link.kind),
            .rail = link.rail,
            .plane = link.plane,
            .tier = link.tier,
            .carried = Bytes{static_cast<std::int64_t>(bits / 8)},
            .utilisation = -load.negated,
            .busy = machine_.carrier().busy(id),
            .alike = alike};
}

/// The ten busiest, and the ten busiest that differ: symmetric jobs load hundreds of links alike.
void Reporter::rank_links(std::vector<Load> loads) {
    using Likeness = std::tuple<double, LinkKind, bool, SimDuration>;
    const auto likeness = [&](const Load& l) {
        const Link& link = s_.fabric->links()[l.link];
        return Likeness{l.negated, link.kind, s_.fabric->leads_up(LinkId{l.link}),
                        machine_.carrier().busy(LinkId{l.link})};
    };
    std::map<Likeness, std::pair<Load, std::uint32_t>> alike;  // the first of each, how many
    for (const Load& l : loads) ++alike.try_emplace(likeness(l), l, 0).first->second.second;
    const auto busiest = [](std::vector<Load>& from) {
        const std::size_t top = std::min(from.size(), kBusiestLinks);
        std::partial_sort(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(top),
                          from.end());
        from.resize(top);
    };
    std::vector<Load> distinct;
    for (const auto& [key, group] : alike) distinct.push_back(group.first);
    busiest(loads);
    busiest(distinct);
    for (const Load& l : loads) r_.busiest_links.push_back(use_of(l, alike.at(likeness(l)).second));
    for (const Load& l : distinct)
        r_.busiest_distinct.push_back(use_of(l, alike.at(likeness(l)).second));
}

void Reporter::bound() {
    Int128 most = 0;
    LinkId link;
    for (const flow::LinkClass& c : q_.links) {
        std::int64_t rate = 0;
        for (const auto& epoch : world_.universe().capacity)
            rate = std::max(rate, epoch[c.first.index()]);
        if (rate == 0) continue;
        const Int128 time = machine_.carrier().carried_bits(c.first) * kPsPerSecond / rate;
        if (time > most || (time == most && link.valid() && c.first < link)) link = c.first;
        most = std::max(most, time);
    }
    if (link.valid())
        r_.lower_bound_by =
            fmt::format("the bytes of {} link {}", name_of(s_.fabric->link(link).kind),
                        s_.fabric->name_of(link));
    for (flow::ClassId c = 0; c < q_.ranks.size(); ++c) {
        const RankId first = q_.ranks[c].first;
        Int128 compute = 0;
        const std::vector<Op>& ops = program_of(first).ops;
        for (std::uint32_t i = 0; i < ops.size(); ++i)
            if (std::holds_alternative<ComputeOp>(ops[i].what)) compute += machine_.work(c, i).ps();
        if (compute > most)
            r_.lower_bound_by = fmt::format("the compute of rank {}", first.value());
        most = std::max(most, compute);
    }
    r_.lower_bound = SimDuration{static_cast<std::int64_t>(most)};
    WEFT_CHECK(r_.step_time >= r_.lower_bound, "{} ps is below the bound {} ps", r_.step_time.ps(),
               r_.lower_bound.ps());
}

void Reporter::add_spans(RankId rank) {
    const Program& p = program_of(rank);
    const CompiledProgram& compiled =
        world_.workload().programs[s_.workload->program_of[rank.index()]];
    const std::vector<OpTimes>& times = machine_.times(q_.class_of_rank[rank.index()]);
    std::size_t spans = 0;
    for (std::size_t i = 0; i < p.ops.size(); ++i) {
        const Op& op = p.ops[i];
        if (times[i].end == times[i].ready) continue;
        if (++spans > kSpansPerRank) continue;
        Span s{.rank = rank,
               .track = "compute",
               .label = {},
               .start = times[i].start,
               .end = times[i].end,
               .ready = times[i].ready};
        if (op.label < p.labels.size()) s.label = p.labels[op.label];
        if (compiled.ops[i].kind != CompiledOp::Kind::kCompute) {
            const Exchange& e = world_.workload().exchanges[compiled.ops[i].exchange];
            s.track = s_.workload->families[world_.workload().sets[e.set].family].name;
            if (compiled.ops[i].kind == CompiledOp::Kind::kSend) s.track += " send";
            if (compiled.ops[i].kind == CompiledOp::Kind::kReceive) s.track += " recv";
            s.label += fmt::format("{}{} {}", s.label.empty() ? "" : ": ", name_of(e.kind),
                                   to_string(e.size));
        }
        r_.timeline.push_back(std::move(s));
    }
    if (spans > kSpansPerRank)
        r_.warnings.push_back(fmt::format("timeline of rank {}: the first {} of {} bars",
                                          rank.value(), kSpansPerRank, spans));
}

void Reporter::draw_timeline() {
    add_spans(r_.slowest_rank);
    std::vector<RankId> first(s_.workload->programs.size());
    for (std::uint32_t r = s_.workload->world; r-- > 0;)
        first[s_.workload->program_of[r]] = RankId{r};
    for (const RankId r : first)
        if (r.valid() && r != r_.slowest_rank) add_spans(r);
}

/// What makes compute take other times than the trace says.
void Reporter::describe_compute() {
    if (s_.overlap.model != OverlapModel::kIdeal) {
        const Slowdown one = slowdown(s_.overlap, {1, 1});
        const double times = static_cast<double>(one.num) / static_cast<double>(one.den);
        r_.assumptions.push_back(
            fmt::format("overlap {}: beside one collective compute takes {:.3f} times as long (80 "
                        "% of peak becomes {:.1f} %)",
                        to_string(s_.overlap), times, 80 / times));
    }
    if (s_.jitter.any()) r_.assumptions.push_back("jitter of compute: " + to_string(s_.jitter));
}

void Reporter::describe_algorithms() {
    std::set<std::string> chosen;
    for (const CollectiveSummary& c : r_.collectives)
        chosen.insert(fmt::format("{} of {} runs as {}", c.kind, c.family, c.algorithm));
    r_.assumptions.insert(r_.assumptions.end(), chosen.begin(), chosen.end());
    r_.assumptions.push_back(
        nccl_version(s_.library)
            ? fmt::format("algorithms and protocols: the tuning model of {}; PAT runs as the ring, "
                          "point to point by the cheaper of direct and rail-aligned; Plans keep "
                          "their own number of channels",
                          s_.library.name)
        : s_.library.algorithm.empty()
            ? "algorithms: the cheapest by launch, fill and bytes alone on the fabric"
            : fmt::format("algorithms: {} where it serves the collective", s_.library.algorithm));
}

/// What was to be reduced in network and had no switch for it.
void Reporter::warn_of_switches() {
    std::set<std::string> told;
    const auto& sets = world_.universe().sets;
    for (std::size_t set = 0; set < sets.size(); ++set)
        for (std::size_t v = 0; v < sets[set].traffic.size(); ++v)
            for (const auto& t : sets[set].traffic[v])
                if (t && t->epochs().front().sent_cells > 0)
                    told.insert(
                        fmt::format("{}: a scale-up switch does not reduce in network; "
                                    "counted as sent point to point",
                                    world_.algorithm(set, v)));
    r_.warnings.insert(r_.warnings.end(), told.begin(), told.end());
}

/// What runs unlike anything that the machine's figures were fitted to.
void Reporter::warn_of_extrapolation() {
    if (s_.endpoint != EndpointModel::kCalibrated) return;
    std::vector<Ran> ran;
    for (const Exchange& e : world_.workload().exchanges) {
        Ran one{.collective = e.kind, .hosts = 1, .size = e.size};
        for (const auto& variant : world_.universe().sets[e.set].traffic)
            for (const auto& t : variant)
                if (t) one.hosts = std::max(one.hosts, static_cast<std::uint32_t>(t->hosts()));
        ran.push_back(one);
    }
    const std::string beyond = beyond_fit(s_.machine, ran);
    if (beyond.empty()) return;
    r_.warnings.push_back(fmt::format(
        "machine {}'s figures are extrapolated by the model's structure, not by data: {}",
        s_.machine.name, beyond));
}

void Reporter::describe_packets() {
    const packet::PacketOptions& p = s_.packet;
    auto& m = r_.scenario;
    for (const auto& [name, value] : packet::described(p)) m["packet." + name] = value;
    r_.assumptions.push_back(fmt::format(
        "packets of {} and {} of headers, congestion control {}, paths by {}, {}, a full switch: "
        "{}",
        to_string(p.payload), to_string(p.header), p.congestion, name_of(p.spread),
        name_of(p.recovery), name_of(p.overflow)));
}

/// The figures in use.
void Reporter::describe_figures() {
    auto& m = r_.scenario;
    for (std::size_t i = 0; i < kCosts && s_.endpoint == EndpointModel::kCalibrated; ++i)
        m[fmt::format("machine.{}", cost_table()[i].name)] =
            cost_text(static_cast<Cost>(i), s_.machine.costs[i].value);
    for (std::size_t i = 0; i < kDetails && s_.endpoint == EndpointModel::kDetailed; ++i)
        m[fmt::format("detailed.{}", detail_table()[i].name)] =
            value_text(detail_table()[i].unit, s_.machine.detailed.figures[i].value);
}

const flow::Traffic* Reporter::first_traffic(std::size_t exchange, std::size_t v) const {
    if (machine_.stats()[exchange][v].count == 0) return nullptr;
    const Exchange& e = world_.workload().exchanges[exchange];
    for (const auto& t : world_.universe().sets[e.set].traffic[v])
        if (t) return t.get();
    return nullptr;
}

std::vector<TimePart> Reporter::parts_of(std::size_t exchange, std::size_t v) const {
    const flow::Traffic* first = first_traffic(exchange, v);
    if (first == nullptr || s_.endpoint != EndpointModel::kDetailed) return {};
    const Exchange& e = world_.workload().exchanges[exchange];
    std::vector<EndpointPart> parts;
    (void)price_detailed(s_, *first, e.size, 0, world_.protocol(e.set, v), &parts);
    std::vector<TimePart> named;
    for (const EndpointPart& p : parts) named.push_back({p.name, p.time});
    return named;
}

/// Alphas: what the first group of each exchange pays, where only a few are run.
void Reporter::describe_prices() {
    const CompiledWorkload& w = world_.workload();
    if (w.exchanges.size() > kPricesShown) return;
    for (std::size_t x = 0; x < w.exchanges.size(); ++x) {
        const Exchange& e = w.exchanges[x];
        for (std::size_t v = 0; v < machine_.stats()[x].size(); ++v) {
            const flow::Traffic* first = first_traffic(x, v);
            if (first == nullptr) continue;
            const EndpointPrice p =
                endpoint_price(s_, *first, e.size, 0, world_.protocol(e.set, v));
            const flow::Fill& fill = first->epochs().front().fill;
            r_.assumptions.push_back(fmt::format(
                "alphas of {} of {} as {}: {}: launch {}, {} scale-up steps of {}, {} network "
                "steps of {}, paths {} together; {} slice loops; bytes x {:.3f}",
                name_of(e.kind), to_string(e.size), world_.algorithm(e.set, v), p.protocol,
                to_string(p.launch), fill.scale_up, to_string(p.steps.scale_up), fill.network,
                to_string(p.steps.network), to_string(fill.latency),
                first->fewest_loops(e.size).loops,
                static_cast<double>(p.overhead_per_mille) / 1000));
        }
    }
}

/// "allreduce on 1 host, 8 ranks, nccl-2.30 of 64 MiB x 0.973"; empty where none is applied.
std::string Reporter::remainder_text(std::size_t exchange) const {
    const Exchange& e = world_.workload().exchanges[exchange];
    const auto& variants = world_.universe().sets[e.set].traffic;
    for (std::size_t v = 0; v < variants.size(); ++v) {
        if (machine_.stats()[exchange][v].count == 0) continue;
        for (const auto& t : variants[v]) {
            const Remainder* r = t ? remainder_of(s_, *t) : nullptr;
            if (r == nullptr) continue;
            const EndpointPrice p = endpoint_price(s_, *t, e.size, 0, world_.protocol(e.set, v));
            if (p.remainder_per_mille == 1000) continue;
            return fmt::format("{} of {} x {}.{:03}{}", to_string(r->of), to_string(e.size),
                               p.remainder_per_mille / 1000, p.remainder_per_mille % 1000,
                               p.at_wire ? " (held at the wire's own time)" : "");
        }
    }
    return {};
}

/// What of the machine's own curves, beyond its named figures, is in the times.
void Reporter::describe_remainder() {
    constexpr std::size_t kMostShown = 4;
    if (s_.machine.remainder.empty() || s_.endpoint != EndpointModel::kCalibrated) return;
    std::vector<std::string> applied;
    std::size_t more = 0;
    for (std::size_t x = 0; x < world_.workload().exchanges.size(); ++x) {
        std::string one = remainder_text(x);
        if (one.empty()) continue;
        if (applied.size() == kMostShown)
            ++more;
        else
            applied.push_back(std::move(one));
    }
    if (more > 0) applied.push_back(fmt::format("{} more", more));
    const std::string machine = "remainder of machine " + s_.machine.name;
    r_.assumptions.push_back(
        applied.empty() ? fmt::format("{}: not applied, nothing ran like its curves ({}{})",
                                      machine, to_string(s_.machine.remainder.front().of),
                                      s_.machine.remainder.size() > 1 ? " and others" : "")
                        : fmt::format("{}: besides its figures, times by its own curves: {}",
                                      machine, fmt::join(applied, "; ")));
}

void Reporter::describe() {
    const auto add = [&](const std::vector<std::string>& more) {
        r_.assumptions.insert(r_.assumptions.end(), more.begin(), more.end());
    };
    add(s_.fabric->assumptions());
    add(s_.workload->assumptions);
    add(endpoint_assumptions(s_));
    describe_compute();
    describe_algorithms();
    warn_of_switches();
    warn_of_extrapolation();
    describe_prices();
    describe_remainder();
    auto& m = r_.scenario;
    m["fabric.name"] = s_.fabric->name();
    for (const auto& [key, value] : s_.fabric->parameters()) m["fabric." + key] = value;
    m["fabric.digest"] = fmt::format("{:016x}", s_.fabric->digest());
    m["workload.name"] = s_.workload->name;
    m["workload.source"] = s_.workload->source;
    m["workload.ranks"] = fmt::format("{}", s_.workload->world);
    m["placement"] = s_.placement.description;
    m["library.name"] = s_.library.name;
    m["library.qps_per_connection"] = fmt::format("{}", s_.library.qps_per_connection);
    m["library.channels"] = fmt::format("{}", s_.library.channels);
    m["library.algorithm"] = s_.library.algorithm;
    m["network"] = name_of(s_.network);
    if (s_.network == NetworkModel::kPacket) describe_packets();
    m["endpoint"] = name_of(s_.endpoint);
    m["machine"] = s_.machine.name;
    describe_figures();
    m["hash_seeds"] = name_of(s_.hash_seeds);
    m["overlap"] = to_string(s_.overlap);
    m["jitter"] = to_string(s_.jitter);
    m["seed"] = fmt::format("{}", s_.seed);
    for (std::size_t i = 0; i < s_.failures.size(); ++i)
        m[fmt::format("failure.{}", i)] = to_string(*s_.fabric, s_.failures[i]);
}

}  // namespace

Result make_result(const Scenario& s, const World& world, const Machine& machine) {
    return Reporter(s, world, machine).make();
}

}  // namespace weft
