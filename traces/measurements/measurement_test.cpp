#include "traces/measurements/measurement.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "base/result.hpp"

using namespace weft;

namespace {

std::string with_points(const std::string& extra, const std::string& points) {
    return "measurements: mine\ncases:\n  - {id: one, title: t, source: s, use: fit, machine: "
           "h100,\n"
           "     host: dgx-h100, hosts: 2, gpus-per-host: 8, network: roce, library: nccl-2.20" +
           extra + ",\n     points: " + points + "}\n";
}

std::string complaint(const std::string& text) {
    try {
        (void)read_measurements(text, "m.yaml");
    } catch (const ConfigError& e) {
        return e.what();
    }
    return "no error";
}

}  // namespace

TEST_CASE("rates, times and shares of a peak become times", "[unit][measurements]") {
    const auto time = [](const std::string& extra, const std::string& points) {
        return read_measurements(with_points(extra, points), "m").cases.at(0).points.at(0).time;
    };
    // 16 ranks: all-reduce moves 2 x 15/16 of the size.
    CHECK(time("", "[[1GB, 100GB/s]]") == us(18750));
    CHECK(time(", collective: allgather", "[[1GB, 100GB/s]]") == us(9375));
    CHECK(time(", collective: sendrecv", "[[1GB, 100GB/s]]") == us(10000));
    CHECK(time(", rate: algbw", "[[1GB, 100GB/s]]") == us(10000));
    CHECK(time(", peak: 200GB/s", "[[1GB, 0.5]]") == us(18750));
    CHECK(time("", "[[1GB, 29.9us]]") == ns(29900));
    // Over each rail a ring of the two hosts.
    CHECK(time(", each-rail: true", "[[1GB, 100GB/s]]") == us(10000));
}

TEST_CASE("why a prediction misses is kept as it stands", "[unit][measurements]") {
    const auto all =
        read_measurements(with_points(", why: no switch is told", "[[8B, 72us]]"), "m");
    CHECK(all.cases.at(0).why == "no switch is told");
    CHECK(read_measurements(with_points("", "[[8B, 72us]]"), "m").cases.at(0).why.empty());
}

TEST_CASE("a range keeps both ends, whichever comes first", "[unit][measurements]") {
    const auto all =
        read_measurements(with_points("", "[[8B, 72us, 69us], [16B, 70us, 74us]]"), "m");
    const MeasuredPoint& p = all.cases.at(0).points.at(0);
    CHECK(p.low == us(69));
    CHECK(p.high == us(72));
    CHECK(p.time == ns(70500));
    CHECK(p.line == 5);
}

TEST_CASE("busbw and time undo each other", "[unit][measurements]") {
    const SimDuration t =
        time_of_busbw(Collective::kAllReduce, 8, Bytes{1 << 30}, Bandwidth{480LL * 8'000'000'000});
    CHECK(busbw_of(Collective::kAllReduce, 8, Bytes{1 << 30}, t) <=
          Bandwidth{480LL * 8'000'000'000});
    CHECK(busbw_of(Collective::kAllReduce, 8, Bytes{1 << 30}, t - ps(1)) >
          Bandwidth{480LL * 8'000'000'000});
}

TEST_CASE("a decision takes what both sides share from `both`", "[unit][measurements]") {
    const auto all = read_measurements(
        "measurements: d\ndecisions:\n  - {id: d1, title: t, source: s, faster: a,"
        " ratio: [1.5, 1.64], size: 4GiB,\n"
        "     both: {machine: h200, host: dgx-h200, gpus-per-host: 8, library: nccl-2.20},\n"
        "     a: {what: NVLS, run: nvls, nvls: true}, b: {what: ring, run: r, algorithm: ring}}\n",
        "m");
    const Decision& d = all.decisions.at(0);
    CHECK(d.a.machine == "h200");
    CHECK(d.a.nvls);
    CHECK_FALSE(d.b.nvls);
    CHECK(d.b.algorithm == "ring");
    CHECK(d.ratio_low == 1.5);
    CHECK(d.ratio_high == 1.64);
    CHECK(d.size == Bytes{4LL << 30});
}

TEST_CASE("what is wrong with measurements is told in one line", "[unit][measurements]") {
    const auto [points, expected] = GENERATE(table<std::string, std::string>({
        {"[]", "m.yaml:5: cases[0].points"},
        {"[[1MiB]]", "[size, value] or [size, one end, other end]"},
        {"[[1MiB, fast]]", "m.yaml:5: cases[0].points"},
        {"[[1MiB, 0us]]", "a time above 0"},
        {"[[0B, 1us]]", "a size from 1 B"},
        {"[[2MiB, 1us], [1MiB, 1us]]", "sizes in ascending order"},
        {"[[1MiB, 1bps/s]]", "m.yaml:5: cases[0].points"},
        {"[[1PiB, 1kB/s]]", "m.yaml:5: cases[0].points"},
    }));
    const std::string what = complaint(with_points("", points));
    INFO(what);
    CHECK(what.find(expected) != std::string::npos);
    CHECK(what.find('\n') == std::string::npos);
}

TEST_CASE("a setup that cannot be run is refused", "[unit][measurements]") {
    CHECK(complaint("measurements: x\n").find("cases or decisions") != std::string::npos);
    CHECK(complaint(with_points(", use2: x", "[[1MiB, 1us]]")).find("unknown key") !=
          std::string::npos);
    CHECK(complaint(with_points(", rate: fast", "[[1MiB, 1us]]")).find("busbw") !=
          std::string::npos);
    CHECK(complaint(with_points(", peak: 10GB/s", "[[1MiB, 3]]")).find("share of the peak") !=
          std::string::npos);
    const std::string one =
        "measurements: x\ncases:\n  - {id: a, title: t, source: s, use: test,"
        " machine: m, host: h, library: l, points: [[1B, 1us]]";
    CHECK(complaint(one + "}\n").find("at least 2 ranks") != std::string::npos);
    CHECK(complaint(one + ", gpus-per-host: 2, network: roce}\n").find("none for one host") !=
          std::string::npos);
    const std::string twice = one + ", gpus-per-host: 2}\n";
    CHECK(complaint(twice + twice.substr(twice.find("  - "))).find("each id once") !=
          std::string::npos);
}

TEST_CASE("the published measurements are part of the program", "[unit][measurements]") {
    const Measurements all = builtin_measurements();
    REQUIRE(all.cases.size() >= 60);
    std::map<Use, std::size_t> uses;
    for (const MeasuredCase& c : all.cases) {
        INFO(c.id);
        ++uses[c.use];
        CHECK_FALSE(c.source.empty());
        CHECK_FALSE(c.points.empty());
        for (const MeasuredPoint& p : c.points) {
            CHECK(p.low <= p.time);
            CHECK(p.time <= p.high);
            // No wire of 2026 gives a GPU 4 TB/s.
            CHECK(busbw_of(c.collective, c.ranks(), p.size, p.time) < 4000_GBps);
        }
    }
    CHECK(uses[Use::kSimulated] >= 4);
    CHECK(all.decisions.size() >= 30);
}

TEST_CASE("each collective has curves to fit and curves to test", "[unit][measurements]") {
    const Measurements all = builtin_measurements();
    for (const Collective collective : {Collective::kAllReduce, Collective::kAllGather,
                                        Collective::kReduceScatter, Collective::kAllToAll}) {
        INFO(name_of(collective));
        std::map<Use, int> curves;
        for (const MeasuredCase& c : all.cases)
            if (c.collective == collective && c.points.size() >= 7) ++curves[c.use];
        CHECK(curves[Use::kFit] >= 3);
        CHECK(curves[Use::kTest] >= 2);
    }
}

TEST_CASE("fit and test differ by machine or scale, never by row", "[unit][measurements]") {
    // No setup is in both parts: machine, hosts and GPUs decide.
    const Measurements all = builtin_measurements();
    std::map<std::string, std::set<Use>> parts;
    for (const MeasuredCase& c : all.cases)
        if (c.use != Use::kSimulated && c.source.find("SimAI") == std::string::npos)
            parts[c.machine + "/" + std::to_string(c.hosts) + "/" + std::to_string(c.gpus_per_host)]
                .insert(c.use);
    for (const auto& [setup, used] : parts) {
        INFO(setup);
        CHECK(used.size() == 1);
    }
}

TEST_CASE("a case of several collectives becomes one of each", "[unit][measurements]") {
    const auto all = read_measurements(
        with_points(", collective: [allgather, reducescatter]", "[[1GB, 100GB/s]]"), "m");
    REQUIRE(all.cases.size() == 2);
    CHECK(all.cases[0].id == "one-allgather");
    CHECK(all.cases[1].id == "one-reducescatter");
    CHECK(all.cases[1].collective == Collective::kReduceScatter);
    CHECK(all.cases[1].points.at(0).time == us(9375));
}

TEST_CASE("published values are read as they stand", "[unit][measurements]") {
    const Measurements all = builtin_measurements();
    const MeasuredCase* a100 = find_case(all, "azure-a100-8");
    REQUIRE(a100 != nullptr);
    CHECK(a100->use == Use::kFit);
    CHECK(a100->points.front().time == ps(44'800'000));  // 1 KiB at .04 GB/s
    const MeasuredCase* p5 = find_case(all, "aws-p5-2");
    REQUIRE(p5 != nullptr);
    CHECK(p5->use == Use::kTest);
    CHECK(p5->points.back().high == us(66132));
    const MeasuredCase* ratio = find_case(all, "simai-nic-16");
    REQUIRE(ratio != nullptr);
    CHECK(ratio->use == Use::kTest);
    CHECK(ratio->ranks() == 128);
    CHECK(ratio->points.at(7).size == Bytes{2LL << 30});  // .92 of 388 GB/s
    CHECK(ratio->points.at(7).time == time_of_busbw(Collective::kAllReduce, 128, Bytes{2LL << 30},
                                                    Bandwidth{2'855'680'000'000}));
    CHECK(find_case(all, "no-such-case") == nullptr);
}
