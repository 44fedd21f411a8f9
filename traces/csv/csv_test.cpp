#include "traces/csv/csv.hpp"

#include <catch2/catch.hpp>

#include "base/result.hpp"

using namespace weft;

namespace {

const ImportHints kEight{.collective = Collective::kAllReduce, .hosts = 1, .gpus_per_host = 8};

std::string complaint(const std::string& text, const ImportHints& hints = kEight) {
    try {
        (void)csv::read(text, "m.csv", hints);
    } catch (const ConfigError& e) {
        return e.what();
    }
    return "no error";
}

}  // namespace

TEST_CASE("units stand in the names of a CSV or in its cells", "[unit][csv]") {
    const auto point = [](const std::string& text) {
        return csv::read(text, "m.csv", kEight).cases.at(0).points.at(0);
    };
    CHECK(point("size_bytes,time_us\n1048576,29.9\n").time == ns(29900));
    CHECK(point("size;time\n1MiB;29.9us\n").time == ns(29900));
    CHECK(point("# mine\nsize [MiB]\ttime (ms)\n1\t2\n").time == ms(2));
    // 8 ranks: 1.75 x 1 GB / 175 GB/s.
    CHECK(point("size_bytes,busbw (GB/s)\n1000000000,175\n").time == ms(10));
    CHECK(point("size_bytes,algbw_GB/s\n1000000000,100\n").time == ms(10));
    const MeasuredPoint p = point("size_bytes,low_us,time_us,high_us,host\n8,1,2,4,\"a\"\n");
    CHECK(p.low == us(1));
    CHECK(p.high == us(4));
    CHECK(p.line == 2);
}

TEST_CASE("a column of collectives makes a case of each", "[unit][csv]") {
    const Imported in =
        csv::read("collective,size_KiB,time_us\nallgather,2,5\nalltoall,2,6\nallgather,1,4\n",
                  "m.csv", {.collective = {}, .hosts = 2, .gpus_per_host = 8});
    REQUIRE(in.cases.size() == 2);
    CHECK(in.cases[0].id == "m-allgather");
    CHECK(in.cases[0].points.at(0).size == Bytes{1024});
    CHECK(in.cases[1].collective == Collective::kAllToAll);
}

TEST_CASE("what is wrong with a CSV is told in one line", "[unit][csv]") {
    const auto [text, expected] = GENERATE(table<std::string, std::string>({
        {"", "m.csv:1: found \"no line\""},
        {"size_bytes\n", "names with commas"},
        {"size_bytes,speed\n1,2\n", "one of time, busbw and algbw"},
        {"size_bytes,time_us,time_ms\n1,2,3\n", "each column once"},
        {"size_bytes,time_us,low_us\n1,2,3\n", "low and high together"},
        {"size_bytes,time_us\n", "no rows"},
        {"size_bytes,time_us\n1\n", "m.csv:2: row"},
        {"size_bytes,time\n1,2\n", "m.csv:2: time"},
        {"size_bytes,time_us\n1,2x\n", "m.csv:2: time"},
        {"size_bytes,time_us\n0,2\n", "m.csv:2: size"},
        {"size_bytes,time_us,low_us,high_us\n8,2,3,4\n", "within its range"},
        {"size_bytes,busbw_GB/s\n8,0\n", "m.csv:2: rate"},
    }));
    const std::string what = complaint(text);
    INFO(what);
    CHECK(what.find(expected) != std::string::npos);
    CHECK(what.find('\n') == std::string::npos);
}

TEST_CASE("a CSV needs to be told its collective and ranks", "[unit][csv]") {
    const std::string text = "size_bytes,time_us\n8,2\n";
    CHECK(complaint(text, {}).find("--collective") != std::string::npos);
    CHECK(complaint(text, {.collective = Collective::kAllReduce}).find("--gpus-per-host") !=
          std::string::npos);
    CHECK(complaint("collective,size_bytes,time_us\ngossip,8,2\n", {}).find("one of allreduce") !=
          std::string::npos);
}
