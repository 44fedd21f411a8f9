#include "traces/measurements/import.hpp"

#include <catch2/catch.hpp>

#include "base/result.hpp"

using namespace weft;

TEST_CASE("the format of measured output is told from its content", "[unit][measurements]") {
    const ImportHints hints{.collective = Collective::kAllReduce, .hosts = 1, .gpus_per_host = 8};
    const auto format = [&](const std::string& text) {
        return import_measurements(text, "x", hints).format;
    };
    CHECK(format("size_bytes,time_us\n8,2\n") == "csv");
    CHECK(format("# OSU MPI Allreduce Latency Test\n# Size Avg Latency(us)\n8 2\n") == "osu");
    CHECK(format("size time algbw busbw\n8 2.0 0 0\n") == "nccl-tests");
    CHECK(format("# mine\nmeasurements: m\ncases:\n  - {id: a, title: t, source: s, use: fit,"
                 " machine: m, host: h, library: l, gpus-per-host: 2, points: [[8B, 2us]]}\n") ==
          "measurements");
}

TEST_CASE("other text is refused with the formats that are known", "[unit][measurements]") {
    try {
        (void)import_measurements("once upon a time\n", "x.txt", {});
        FAIL("no error");
    } catch (const ConfigError& e) {
        const std::string what = e.what();
        CHECK(what.find("x.txt:1") != std::string::npos);
        CHECK(what.find("nccl-tests") != std::string::npos);
        CHECK(what.find('\n') == std::string::npos);
    }
    CHECK_THROWS_AS(load_import("no/such/file.log", {}), ConfigError);
}

TEST_CASE("points of one size become one with the range of all", "[unit][measurements]") {
    const Imported in =
        import_measurements("size_bytes,time_us\n8,4\n4,1\n8,2\n", "x",
                            {.collective = Collective::kAllReduce, .hosts = 1, .gpus_per_host = 2});
    const MeasuredCase& c = in.cases.at(0);
    REQUIRE(c.points.size() == 2);
    CHECK(c.points[0].size == Bytes{4});
    CHECK(c.points[1].low == us(2));
    CHECK(c.points[1].time == us(3));
    CHECK(c.points[1].high == us(4));
}
