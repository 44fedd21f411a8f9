#include "tools/reproduce/hpcc.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <fmt/format.h>
#include <mutex>
#include <nlohmann/json.hpp>
#include <span>
#include <thread>

#include "tools/accuracy/plot.hpp"
#include "topology/io/htsim/topo.hpp"
#include "traces/traffic/poisson.hpp"

namespace weft::tools {
namespace {

using Json = nlohmann::ordered_json;
using packet::FlowGroup;
using packet::FlowTimes;
using packet::SizeBin;

constexpr const char* kControls[] = {"dcqcn:set=vendor", "timely", "dctcp", "hpcc"};

std::vector<std::string> traffics(SimDuration time) {
    constexpr std::int64_t kMicro = 1'000'000;
    const bool whole = time.ps() % kMicro == 0;
    const std::string within =
        fmt::format("time={}{}", whole ? time.ps() / kMicro : time.ps(), whole ? "us" : "ps");
    return {"websearch:load=50%," + within,
            "websearch:load=30%,incast=60,incast_size=500KB,incast_load=2%," + within};
}

packet::PacketOptions packet_options(const HpccOptions& options, const std::string& control) {
    packet::PacketOptions o;
    o.congestion = control;
    o.payload = Bytes{1000};
    o.buffer = Bytes{32'000'000};
    o.ack_every = Bytes{0};        // each packet
    o.repace = control == "hpcc";  // as the authors' ns-3 has it
    o.seed = options.seed;
    return o;
}

Percentiles short_slowdown(const FlowSet& set, const packet::FlowRun& run) {
    FlowSet few;
    packet::FlowRun times;
    for (std::size_t f = 0; f < set.flows.size(); ++f) {
        if (set.flows[f].tag != kBackgroundTag || set.flows[f].size > kShortFlow) continue;
        few.flows.push_back(set.flows[f]);
        times.flows.push_back(run.flows[f]);
    }
    const std::vector<FlowGroup> groups = packet::summarize(few, times);
    return groups.empty() ? Percentiles{} : groups.front().slowdown_milli;
}

void run_one(const Fabric& fabric, const HpccOptions& options, HpccRun& r) {
    const FlowSet set = traffic::generate(r.traffic, fabric.gpus().size(),
                                          Bandwidth{100'000'000'000}, options.seed);
    const packet::FlowRun run = packet::run_flows(
        fabric, set, packet_options(options, r.control), [&](const packet::Network& n) {
            for (const SharedBuffer& memory : n.memories())
                r.fullest_switch = std::max(r.fullest_switch, memory.peak());
        });
    r.groups = packet::summarize(set, run);
    r.short_slowdown_milli = short_slowdown(set, run);
    r.pauses = run.totals.pauses;
}

std::string ratio(std::int64_t milli) {
    return fmt::format("{:.2f}", static_cast<double>(milli) / 1000);
}

/// Of the background flows; none where so short a time has none.
std::span<const SizeBin> bins_of(const HpccRun& r) {
    for (const FlowGroup& g : r.groups)
        if (g.tag == kBackgroundTag) return g.bins;
    return {};
}

/// Runs of one traffic are next to each other.
std::vector<std::vector<const HpccRun*>> by_traffic(const std::vector<HpccRun>& runs) {
    std::vector<std::vector<const HpccRun*>> all;
    for (const HpccRun& r : runs) {
        if (all.empty() || all.back().front()->traffic != r.traffic) all.emplace_back();
        all.back().push_back(&r);
    }
    return all;
}

/// p50, p95 and p99 of every control, a line a size.
std::string bins_text(const std::vector<const HpccRun*>& runs) {
    std::string out = fmt::format("  {:>12} {:>6}", "up to", "flows");
    for (const HpccRun* r : runs) out += fmt::format("  {:>22}", short_name(*r));
    out += "\n";
    const std::span<const SizeBin> first = bins_of(*runs.front());
    for (std::size_t b = 0; b < first.size(); ++b) {
        out += fmt::format("  {:>12} {:>6}", to_string(first[b].largest), first[b].flows);
        for (const HpccRun* r : runs) {
            if (b >= bins_of(*r).size()) continue;  // some of its flows did not finish
            const Percentiles& p = bins_of(*r)[b].slowdown_milli;
            out += fmt::format("  {:>6} {:>7} {:>7}", ratio(p.p50), ratio(p.p95), ratio(p.p99));
        }
        out += "\n";
    }
    return out;
}

std::string summary_text(const std::vector<const HpccRun*>& runs) {
    std::string out;
    const std::int64_t best = runs.back()->short_slowdown_milli.p99;
    for (const HpccRun* r : runs) {
        const Percentiles& p = r->short_slowdown_milli;
        std::size_t unfinished = 0;
        for (const FlowGroup& g : r->groups) unfinished += g.flows - g.finished;
        out += fmt::format(
            "  {:<7} flows up to {}: p50 {}, p95 {}, p99 {} ({:.1f} x hpcc); {} pauses, the "
            "fullest "
            "switch held {}{}\n",
            short_name(*r), to_string(kShortFlow), ratio(p.p50), ratio(p.p95), ratio(p.p99),
            static_cast<double>(p.p99) / static_cast<double>(std::max<std::int64_t>(best, 1)),
            r->pauses, to_string(r->fullest_switch),
            unfinished == 0 ? "" : fmt::format("; {} flows unfinished", unfinished));
    }
    return out;
}

Json percentiles_json(const Percentiles& p) {
    return {{"p50", p.p50}, {"p95", p.p95}, {"p99", p.p99}, {"max", p.max}};
}

/// One plot; the colours are those of the other pages.
Plot plot_of(const std::vector<const HpccRun*>& runs) {
    constexpr const char* kColours[] = {"#d55e00", "#e69f00", "#0072b2", "#009e73"};
    double most = 10;
    for (const HpccRun* r : runs)
        for (const SizeBin& b : bins_of(*r))
            most = std::max(most, static_cast<double>(b.slowdown_milli.p99) / 1000);
    std::vector<std::pair<double, std::string>> ticks;
    for (const int t : {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000})
        if (t <= most * 1.2) ticks.emplace_back(t, std::to_string(t));
    const bool incast = runs.front()->groups.size() > 1;
    Plot plot(
        incast ? "WebSearch at 30 % and 60-to-1 incasts: slowdown of WebSearch flows"
               : "WebSearch at 50 %: slowdown",
        {.low = 1000,
         .high = 4e7,
         .title = "flow size (a dot a twentieth of the flows)",
         .ticks = {{1e3, "1 kB"}, {1e4, "10 kB"}, {1e5, "100 kB"}, {1e6, "1 MB"}, {1e7, "10 MB"}}},
        {.low = 0.9, .high = most * 1.2, .title = "completion over time alone", .ticks = ticks},
        300);
    for (std::size_t i = 0; i < runs.size(); ++i) {
        Plot::Points p99, p50;
        for (const SizeBin& b : bins_of(*runs[i])) {
            const double size = std::max(1000.0, static_cast<double>(b.largest.count()));
            p99.emplace_back(size, static_cast<double>(b.slowdown_milli.p99) / 1000);
            p50.emplace_back(size, static_cast<double>(b.slowdown_milli.p50) / 1000);
        }
        const Plot::Style solid{.colour = kColours[i % std::size(kColours)]};
        const Plot::Style dashed{.colour = solid.colour, .dashed = true};
        const std::string name = short_name(*runs[i]);
        plot.line(p99, solid, name + ", p99");
        plot.dots(p99, solid);
        plot.line(p50, dashed, name + ", p50");
        plot.key(solid, name + ", p99");
        plot.key(dashed, name + ", p50");
    }
    return plot;
}

}  // namespace

const char* hpcc_topology() {
    return R"(Nodes 320
Tiers 3
Podsize 64
Tier 0
Downlink_speed_Gbps 100
Radix_Down 16
Radix_Up 4
Downlink_Latency_ns 1000
Oversubscribed 1
Tier 1
Downlink_speed_Gbps 400
Radix_Down 4
Radix_Up 4
Downlink_Latency_ns 1000
Oversubscribed 1
Tier 2
Downlink_speed_Gbps 400
Radix_Down 5
Downlink_Latency_ns 1000
)";
}

std::vector<HpccRun> reproduce_hpcc(const HpccOptions& options, const ProgressSink& progress) {
    const Fabric fabric = htsim::read_topology(hpcc_topology(), "hpcc");
    std::vector<HpccRun> runs;
    for (const std::string& traffic : traffics(options.time))
        for (const char* control : kControls) runs.push_back({traffic, control, {}, {}, 0, {}});
    std::atomic<std::size_t> next{0};
    std::exception_ptr failure;
    std::mutex lock;
    const auto work = [&] {
        try {
            for (std::size_t k = next++; k < runs.size(); k = next++) {
                {
                    const std::lock_guard guard{lock};
                    if (progress)
                        progress(static_cast<double>(k) / static_cast<double>(runs.size()),
                                 runs[k].control);
                }
                run_one(fabric, options, runs[k]);
            }
        } catch (...) {
            const std::lock_guard guard{lock};
            failure = std::current_exception();
        }
    };
    std::vector<std::thread> helpers;
    for (unsigned t = 1; t < options.threads; ++t) helpers.emplace_back(work);
    work();
    for (std::thread& helper : helpers) helper.join();
    if (failure) std::rethrow_exception(failure);
    return runs;
}

std::string short_name(const HpccRun& r) {
    return r.control.substr(0, r.control.find(':'));
}

std::string to_text(const std::vector<HpccRun>& runs) {
    std::string out = "Slowdown p50, p95, p99 by flow size: 320 hosts of 100 Gbps, a fat tree.\n";
    for (const std::vector<const HpccRun*>& of : by_traffic(runs))
        out += "\n" + of.front()->traffic + "\n" + bins_text(of) + summary_text(of);
    return out;
}

std::string to_json(const std::vector<HpccRun>& runs, const HpccOptions& options) {
    Json rows = Json::array();
    for (const HpccRun& r : runs) {
        Json groups = Json::array();
        for (const FlowGroup& g : r.groups) {
            Json bins = Json::array();
            for (const SizeBin& b : g.bins)
                bins.push_back({{"largest_bytes", b.largest.count()},
                                {"flows", b.flows},
                                {"slowdown_milli", percentiles_json(b.slowdown_milli)}});
            groups.push_back({{"tag", g.tag},
                              {"flows", g.flows},
                              {"finished", g.finished},
                              {"completion_ps", percentiles_json(g.completion_ps)},
                              {"slowdown_milli", percentiles_json(g.slowdown_milli)},
                              {"by_size", bins}});
        }
        rows.push_back({{"traffic", r.traffic},
                        {"control", r.control},
                        {"pauses", r.pauses},
                        {"fullest_switch_bytes", r.fullest_switch.count()},
                        {"short_flow_bytes", kShortFlow.count()},
                        {"short_slowdown_milli", percentiles_json(r.short_slowdown_milli)},
                        {"groups", groups}});
    }
    const Json j{{"schema", "weft/reproduce-hpcc/1"},
                 {"time_ps", options.time.ps()},
                 {"seed", options.seed},
                 {"runs", rows}};
    return j.dump(1) + "\n";
}

std::string to_svg(const std::vector<HpccRun>& runs) {
    constexpr int kWidth = 880;
    constexpr int kHeight = 392;
    std::string plots;
    int y = 0;
    for (const std::vector<const HpccRun*>& of : by_traffic(runs)) {
        plots += fmt::format(R"(<svg y="{}")", y) + plot_of(of).svg().substr(4);
        y += kHeight;
    }
    return fmt::format(R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" )"
                       R"(width="{0}" height="{1}">)",
                       kWidth, y) +
           "\n" + plots + "</svg>\n";
}

}  // namespace weft::tools
