#include "tests/differential/scene.hpp"

#include "collectives/algorithms/algorithm.hpp"
#include "topology/fabrics/fabrics.hpp"

namespace weft::tests {
namespace {

double seconds(std::int64_t picoseconds) {
    return static_cast<double>(picoseconds) * 1e-12;
}

Workload workload_of(const Scene& scene) {
    Workload w;
    w.name = "scene";
    w.world = scene.ranks;
    w.families.push_back({"job", scene.groups});
    for (const Job& job : scene.jobs) {
        Program p;
        p.name = "job " + std::to_string(w.programs.size());
        p.labels = {"collective"};
        Op op;
        op.what = CollectiveOp{job.kind, 0, job.size};
        p.ops.push_back(op);
        w.programs.push_back(p);
    }
    for (std::uint32_t r = 0; r < scene.ranks; ++r) w.program_of.push_back(scene.groups.cell(r));
    return w;
}

Scene completed(Scene scene) {
    if (scene.groups.size == 1) scene.groups.size = scene.ranks;
    return scene;
}

}  // namespace

Theatre::Theatre(Scene scene)
    : scene_(completed(std::move(scene))),
      fabric_(make_fabric_from_text(scene_.fabric)),
      placement_(scene_.segments == 0 ? packed_placement(fabric_, scene_.ranks)
                                      : segments_placement(fabric_, scene_.ranks, scene_.segments)),
      workload_(workload_of(scene_)) {
    for (std::uint32_t j = 0; j < scene_.jobs.size(); ++j)
        plans_.push_back(build_plan(scene_.jobs[j].kind, scene_.algorithm,
                                    shape_of(fabric_, placement_, members(j))));
}

std::vector<RankId> Theatre::members(std::uint32_t cell) const {
    std::vector<RankId> group;
    for (std::uint32_t p = 0; p < scene_.groups.size; ++p)
        group.emplace_back(scene_.groups.rank_at(cell, p));
    return group;
}

Result Theatre::result(bool symmetry) const {
    Scenario s;
    s.fabric = &fabric_;
    s.workload = &workload_;
    s.placement = placement_;
    s.library.name = scene_.library;
    s.library.qps_per_connection = scene_.qps;
    s.library.algorithm = scene_.algorithm;
    s.network = NetworkModel::kFlow;
    s.endpoint = EndpointModel::kIdeal;
    s.failures = failures_;
    s.seed = scene_.seed;
    s.symmetry = symmetry;
    return simulate(s);
}

std::vector<double> Theatre::engine() const {
    const Result r = result();
    std::vector<double> times;
    for (const Job& job : scene_.jobs) {
        double time = -1;
        for (const CollectiveSummary& c : r.collectives)
            if (c.kind == name_of(job.kind) && c.size == job.size) time = seconds(c.max_time.ps());
        times.push_back(time);
    }
    return times;
}

NaiveResult Theatre::naive_result() const {
    NaiveScenario s;
    s.fabric = &fabric_;
    s.placement = placement_;
    s.hashed = scene_.library == "nccl-static";
    s.qps = scene_.qps;
    s.seed = scene_.seed;
    s.loops = scene_.loops;
    s.slices = scene_.slices;
    for (std::uint32_t j = 0; j < scene_.jobs.size(); ++j)
        s.collectives.push_back({&plans_[j], scene_.jobs[j].size, members(j)});
    for (const Failure& f : failures_)
        s.failures.push_back(
            {seconds(f.at.ps()), f.target.link, !f.one_way, f.rate, seconds(f.convergence.ps())});
    return naive_fluid(s);
}

std::vector<double> Theatre::naive() const {
    return naive_result().end;
}

}  // namespace weft::tests
