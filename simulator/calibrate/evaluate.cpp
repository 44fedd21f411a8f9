#include "simulator/calibrate/evaluate.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "base/result.hpp"
#include "simulator/execute/nccl_choice.hpp"
#include "topology/fabrics/fabrics.hpp"

namespace weft {
namespace {

constexpr const char* kFamily = "GPUs";

/// One collective of every size of the curve, one after the other.
Workload workload_of(const MeasuredCase& c) {
    Workload w;
    w.name = c.id;
    w.source = c.source;
    w.world = c.hosts * c.gpus_per_host;
    w.has_compute = false;
    w.families = {{.name = kFamily,
                   .groups = {.size = c.ranks(),
                              .stride = c.each_rail ? c.gpus_per_host : 1,
                              .order = {},
                              .where = {}}}};
    w.program_of.assign(w.world, 0);
    Program p;
    p.name = "collectives";
    for (const MeasuredPoint& point : c.points) {
        Op op;
        op.what = CollectiveOp{.kind = c.collective, .family = 0, .size = point.size};
        op.label = static_cast<std::uint32_t>(p.labels.size());
        p.labels.push_back(to_string(point.size));
        p.ops.push_back(std::move(op));
    }
    w.programs.push_back(std::move(p));
    return w;
}

/// The first GPUs of every host, or whole hosts over several segments.
Placement placement_of(const Fabric& fabric, const MeasuredSetup& setup) {
    const std::size_t ranks = std::size_t{setup.hosts} * setup.gpus_per_host;
    if (setup.segments > 1) return segments_placement(fabric, ranks, setup.segments);
    Placement p;
    p.description = fmt::format("{} GPUs of each host", setup.gpus_per_host);
    for (std::size_t g = 0; g < fabric.gpus().size() && p.gpu_of.size() < ranks; ++g)
        if (fabric.gpus()[g].local < static_cast<std::int32_t>(setup.gpus_per_host))
            p.gpu_of.push_back(GpuId{static_cast<std::uint32_t>(g)});
    if (p.gpu_of.size() != ranks)
        throw ConfigError({.file = {},
                           .line = 0,
                           .key = "gpus-per-host",
                           .found = std::to_string(setup.gpus_per_host),
                           .expected = "at most the GPUs of a " + setup.host,
                           .example = "8"});
    return p;
}

/// Hosts in full segments, and at least the segments asked for.
std::string hpn_segments(const MeasuredSetup& setup) {
    constexpr std::uint32_t kHosts = 128;
    return std::to_string(std::max(setup.segments, (setup.hosts + kHosts - 1) / kHosts));
}

const CollectiveSummary* summary_of(const Result& r, Bytes size) {
    for (const CollectiveSummary& c : r.collectives)
        if (c.size == size) return &c;
    return nullptr;
}

}  // namespace

Fabric fabric_of(const MeasuredSetup& setup) {
    constexpr std::uint32_t kDcnHosts = 64;  // of a pod
    constexpr std::uint32_t kTraysOfARack = 18;
    if (setup.network == "hpn") return make_fabric("hpn7", {{"segments", hpn_segments(setup)}});
    if (setup.network == "hpn-single-plane")
        return make_fabric("hpn7", {{"segments", hpn_segments(setup)}, {"mode", "single-plane"}});
    if (setup.network == "dcn-plus")
        return make_fabric("dcn+",
                           {{"pods", std::to_string((setup.hosts + kDcnHosts - 1) / kDcnHosts)}});
    KeyValues given{{"hosts", std::to_string(setup.hosts)}, {"template", setup.host}};
    if (setup.network.starts_with("nvlink")) {  // racks filled alike
        const std::uint32_t racks = (setup.hosts + kTraysOfARack - 1) / kTraysOfARack;
        given.emplace_back("hosts_per_domain", std::to_string((setup.hosts + racks - 1) / racks));
    }
    return make_fabric("hosts", given);
}

/// The model of a published library: NCCL up to 2.20 and of no version has the older figures, from
/// 2.21 on the newer. Others send over NCCL's connections and decide as Weft does.
std::string carried_as(const std::string& library) {
    constexpr int kNewer = 21;
    const std::string prefix = "nccl-2.";
    const bool versioned = library.starts_with(prefix);
    if (!versioned && library != "nccl") return "nccl-static";
    int minor = 0;
    for (std::size_t i = prefix.size(); versioned && i < library.size() && minor < kNewer; ++i) {
        if (library[i] < '0' || library[i] > '9') break;
        minor = minor * 10 + (library[i] - '0');
    }
    return nccl::name_of(minor < kNewer ? nccl::Version::k2_18 : nccl::Version::k2_30);
}

Library library_of(const MeasuredSetup& setup) {
    Library l;
    l.name = carried_as(setup.library);
    l.algorithm = setup.algorithm == "nvlstree" ? "nvls-tree" : setup.algorithm;
    l.nvls = setup.nvls;
    l.pxn = true;
    l.merge_ports = setup.network != "efa";
    return l;
}

CaseModel::CaseModel(const MeasuredCase& measured, EndpointModel endpoint)
    : measured_(&measured),
      fabric_(std::make_unique<Fabric>(fabric_of(measured))),
      workload_(std::make_unique<Workload>(workload_of(measured))) {
    scenario_.fabric = fabric_.get();
    scenario_.workload = workload_.get();
    scenario_.placement = placement_of(*fabric_, measured);
    scenario_.library = library_of(measured);
    scenario_.endpoint = endpoint;
}

std::vector<SimDuration> CaseModel::times(const MachineProfile& machine) const {
    Scenario s = scenario_;
    s.machine = machine;
    const Result r = simulate(s);
    std::vector<SimDuration> times;
    for (const MeasuredPoint& p : measured_->points) {
        const CollectiveSummary* one = summary_of(r, p.size);
        WEFT_CHECK(one != nullptr, "no collective of {}", to_string(p.size));
        times.push_back(one->mean_time);
    }
    return times;
}

std::vector<std::optional<SimDuration>> CaseModel::predicted_by_nccl() const {
    const Partition& p = workload_->families.front().groups;
    std::vector<RankId> group;
    for (std::uint32_t i = 0; i < p.size; ++i) group.emplace_back(p.rank_at(0, i));
    const std::optional<nccl::Tuner> tuner = nccl_tuner(scenario_, group);
    std::vector<std::optional<SimDuration>> times;
    for (const MeasuredPoint& point : measured_->points) {
        times.emplace_back();
        if (!tuner) continue;
        const nccl::Candidate c = tuner->choose(measured_->collective, point.size);
        if (c.bytes_per_s > 0) times.back() = c.predicted;
    }
    return times;
}

std::vector<std::string> CaseModel::carried() const {
    const Result r = simulate(scenario_);
    std::vector<std::string> how;
    for (const MeasuredPoint& p : measured_->points) {
        const CollectiveSummary* one = summary_of(r, p.size);
        how.push_back(one == nullptr ? "" : one->algorithm);
    }
    return how;
}

}  // namespace weft
