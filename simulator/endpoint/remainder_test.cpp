#include "simulator/endpoint/remainder.hpp"

#include <catch2/catch.hpp>

#include "base/result.hpp"
#include "simulator/endpoint/profile.hpp"
#include "simulator/scenario.hpp"
#include "topology/fabrics/fabrics.hpp"

using namespace weft;

namespace {

MachineProfile with(std::vector<RemainderRow> rows) {
    MachineProfile p = nccl_tuning_profile();
    p.name = "lab";
    p.remainder = {{.of = {.collective = Collective::kAllReduce,
                           .hosts = 2,
                           .ranks = 16,
                           .library = "weft",
                           .algorithm = "ring"},
                    .rows = std::move(rows)}};
    return p;
}

/// One or two collectives side by side on the first GPUs of hosts.
struct Run {
    std::uint32_t hosts = 2;
    std::uint32_t ranks = 16;
    Collective kind = Collective::kAllReduce;
    std::string library = "weft";
    std::string algorithm = "ring";
    Bytes size = 64_MiB;
    EndpointModel endpoint = EndpointModel::kCalibrated;
    std::uint32_t groups = 1;  // of neighbouring ranks that share the NICs' switch or NVLink
};

Result run(const Run& how, const MachineProfile& machine) {
    const Fabric fabric =
        make_fabric("hosts", {{"hosts", std::to_string(how.hosts)}, {"template", "dgx-h100"}});
    Workload w;
    w.world = how.ranks;
    w.has_compute = false;
    w.families = {
        {.name = "GPUs",
         .groups = {
             .size = how.ranks / how.groups, .stride = how.groups, .order = {}, .where = {}}}};
    w.program_of.assign(w.world, 0);
    Op op;
    op.what = CollectiveOp{.kind = how.kind, .family = 0, .size = how.size};
    Program p;
    p.name = "one";
    p.labels = {"x"};
    p.ops.push_back(op);
    w.programs = {p};
    Scenario s;
    s.fabric = &fabric;
    s.workload = &w;
    for (std::uint32_t r = 0; r < how.ranks; ++r) s.placement.gpu_of.emplace_back(r);
    s.library.name = how.library;
    s.library.algorithm = how.algorithm;
    s.endpoint = how.endpoint;
    s.machine = machine;
    return simulate(s);
}

/// Time with the remainder over the time without.
double ratio(const Run& how, const MachineProfile& machine) {
    return static_cast<double>(run(how, machine).step_time.ps()) /
           static_cast<double>(run(how, nccl_tuning_profile()).step_time.ps());
}

std::string complaint(const std::string& rows) {
    try {
        (void)parse_profile("machine: lab\ncosts: {}\nremainder:\n" + rows, "m.yaml");
    } catch (const ConfigError& e) {
        return e.what();
    }
    return "accepted";
}

bool says(const Result& r, const std::string& text) {
    for (const std::string& a : r.assumptions)
        if (a.find(text) != std::string::npos) return true;
    return false;
}

}  // namespace

TEST_CASE("between two sizes a remainder is linear in the size's logarithm", "[unit]") {
    const std::vector<RemainderRow> rows{{1_MiB, 1200}, {16_MiB, 800}, {64_MiB, 900}};
    CHECK(remainder_at(rows, 1_MiB) == 1200);
    CHECK(remainder_at(rows, 2_MiB) == 1100);
    CHECK(remainder_at(rows, 4_MiB) == 1000);
    CHECK(remainder_at(rows, 8_MiB) == 900);
    CHECK(remainder_at(rows, 16_MiB) == 800);
    CHECK(remainder_at(rows, 32_MiB) == 850);
    CHECK(remainder_at(rows, Bytes{3 << 20}) == 1042);  // log2(3) / 4 of 400 less
    CHECK(remainder_at({{Bytes{(1LL << 62) + 1}, 700}, {Bytes{(1LL << 62) + 2}, 800}},
                       Bytes{(1LL << 62) + 2}) == 800);
}

TEST_CASE("outside of its sizes a remainder fades within a factor of two", "[unit]") {
    const std::vector<RemainderRow> rows{{4_MiB, 1200}, {16_MiB, 800}};
    CHECK(remainder_at(rows, 2_MiB) == 1000);
    CHECK(remainder_at(rows, 1_KiB) == 1000);
    CHECK(remainder_at(rows, Bytes{3 << 20}) == 1117);
    CHECK(remainder_at(rows, Bytes{24 << 20}) == 917);
    CHECK(remainder_at(rows, 32_MiB) == 1000);
    CHECK(remainder_at(rows, 1_GiB) == 1000);
    CHECK(remainder_at({}, 1_GiB) == 1000);
}

TEST_CASE("a remainder's YAML form reads back as written", "[unit]") {
    MachineProfile p = with({{Bytes{1000}, 983}, {1_MiB, 1200}, {Bytes{(1 << 20) + 1}, 10}});
    p.remainder.push_back({.of = {.collective = Collective::kAllToAll, .nvls = true},
                           .rows = {{64_KiB, kMostRemainder}}});
    const MachineProfile q = parse_profile(to_yaml(p), "m.yaml");
    CHECK(q.remainder == p.remainder);
    CHECK(parse_profile(to_yaml(nccl_tuning_profile()), "m.yaml").remainder.empty());
    for (const MachineProfile& shipped : builtin_profiles()) CHECK(shipped.remainder.empty());
}

TEST_CASE("a bad remainder is refused with file, line and key", "[unit]") {
    const std::string of = "collective: allreduce, hosts: 2, ranks: 16, library: nccl-2.30";
    const auto one = [&](const std::string& more) {
        return complaint("  - {" + of + ", " + more + "}\n");
    };
    CHECK(one("factors: [[1KiB, 98.3%]]") == "accepted");
    for (const char* bad :
         {"factors: []", "factors: 3", "factors: [1KiB]", "factors: [[1KiB]]",
          "factors: [[1KiB, 98.3]]", "factors: [[1 parsec, 98.3%]]", "factors: [[0B, 98.3%]]",
          "factors: [[1KiB, 0.9%]]", "factors: [[1KiB, 10001%]]", "factors: [[[1KiB], 100%]]",
          "factors: [[2KiB, 99%], [1KiB, 98%]]", "factors: [[1KiB, 99%], [1KiB, 98%]]",
          "factors: [[1KiB, 99%]], gpus: 8", "nvls: maybe, factors: [[1KiB, 99%]]",
          "nvls: true, algorithm: ring, factors: [[1KiB, 99%]]", "algorithm: ring"}) {
        INFO(bad);
        CHECK(one(bad).find("m.yaml:4: remainder") == 0);
    }
    for (const char* bad :
         {"{hosts: 2, ranks: 16, library: x, factors: [[1KiB, 99%]]}",
          "{collective: shuffle, hosts: 2, ranks: 16, library: x, factors: [[1KiB, 99%]]}",
          "{collective: allreduce, hosts: 3, ranks: 16, library: x, factors: [[1KiB, 99%]]}",
          "{collective: allreduce, hosts: 0, ranks: 16, library: x, factors: [[1KiB, 99%]]}",
          "{collective: allreduce, hosts: 2, ranks: 16, factors: [[1KiB, 99%]]}", "3"}) {
        INFO(bad);
        CHECK(complaint(std::string("  - ") + bad + "\n").find("m.yaml:4: remainder") == 0);
    }
    const std::string whole = "  - {" + of + ", factors: [[1KiB, 99%]]}\n";
    CHECK(complaint(whole + whole).find("m.yaml:5: remainder[1].collective") == 0);
    CHECK(complaint(whole + whole).find("a second time") != std::string::npos);
}

TEST_CASE("a collective alone takes its figures' time by the remainder", "[unit]") {
    const MachineProfile slow = with({{1_MiB, 1300}, {1_GiB, 1100}});
    for (const Bytes size : {1_MiB, 32_MiB, 1_GiB}) {
        const double wanted = static_cast<double>(remainder_at(slow.remainder[0].rows, size));
        CHECK(ratio({.size = size}, slow) == Approx(wanted / 1000).epsilon(0.001));
    }
    CHECK(ratio({.size = 1_MiB}, with({{1_MiB, 700}})) == Approx(0.7).epsilon(0.001));
    const Result r = run({}, slow);
    CHECK(says(r, "remainder of machine lab: besides its figures"));
    CHECK(says(r, "allreduce on 2 hosts, 16 ranks, weft ring of 64 MiB x 1.180"));
    CHECK_FALSE(says(run({}, nccl_tuning_profile()), "remainder"));
}

TEST_CASE("no remainder makes bytes faster than the wire", "[unit]") {
    const MachineProfile fast = with({{1_MiB, 50}, {1_GiB, 50}});
    for (const Bytes size : {1_MiB, 64_MiB, 1_GiB}) {
        const Result r = run({.size = size}, fast);
        const Result ideal =
            run({.size = size, .endpoint = EndpointModel::kIdeal}, nccl_tuning_profile());
        CHECK(r.step_time >= ideal.step_time);
        CHECK(r.step_time.ps() < ideal.step_time.ps() * 13 / 10);
        CHECK(says(r, "held at the wire's own time"));
    }
}

TEST_CASE("a remainder touches nothing but what was measured", "[unit]") {
    const MachineProfile p = with({{1_MiB, 1300}, {1_GiB, 1300}});
    CHECK(ratio({}, p) > 1.29);
    const std::vector<Run> others{{.kind = Collective::kAllGather},
                                  {.hosts = 4, .ranks = 32},
                                  {.hosts = 4, .ranks = 16},  // on two of four: see below
                                  {.hosts = 1, .ranks = 8},
                                  {.hosts = 2, .ranks = 12},
                                  {.library = "nccl-static"},
                                  {.algorithm = "hierarchical"},
                                  {.size = 2_GiB},
                                  {.size = 512_KiB},
                                  {.endpoint = EndpointModel::kIdeal}};
    for (std::size_t i = 0; i < others.size(); ++i) {
        if (i == 2) {  // the same two hosts of a larger fabric are what was measured
            CHECK(ratio(others[i], p) > 1.29);
            continue;
        }
        INFO(i);
        const Result with_it = run(others[i], p);
        MachineProfile bare = p;
        bare.remainder.clear();
        CHECK(with_it.step_time == run(others[i], bare).step_time);
        if (others[i].endpoint == EndpointModel::kCalibrated)
            CHECK(says(with_it, "remainder of machine lab: not applied"));
    }
}

TEST_CASE("a remainder holds beside other traffic", "[unit]") {
    MachineProfile p = with({{1_MiB, 1200}, {1_GiB, 1200}});
    p.remainder[0].of.ranks = 8;  // two groups of four GPUs a host, through one NVSwitch
    const Run both{.size = 1_GiB, .groups = 2};
    CHECK(ratio(both, p) == Approx(1.2).epsilon(0.01));
}
