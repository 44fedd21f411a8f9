#include "traces/osu/osu.hpp"

#include <catch2/catch.hpp>

#include "base/result.hpp"

using namespace weft;

namespace {

const ImportHints kEight{.collective = {}, .hosts = 2, .gpus_per_host = 4};

std::string complaint(const std::string& text, const ImportHints& hints = kEight) {
    try {
        (void)osu::read(text, "osu.txt", hints);
    } catch (const ConfigError& e) {
        return e.what();
    }
    return "no error";
}

}  // namespace

TEST_CASE("OSU latencies become times with the range of the ranks", "[unit][osu]") {
    const Imported in = osu::read(
        "some launcher\n\n# OSU MPI Allreduce Latency Test v7.0\n# Datatype: MPI_FLOAT.\n"
        "# Size       Avg Latency(us)   Min Latency(us)   Max Latency(us)  Iterations\n"
        "4            5.50              5.10              6.00              1000\n"
        "1048576      90.25             88.00             95.50             100\n",
        "osu.txt", kEight);
    REQUIRE(in.cases.size() == 1);
    const MeasuredCase& c = in.cases[0];
    CHECK(c.collective == Collective::kAllReduce);
    CHECK(c.ranks() == 8);
    CHECK(c.library == "mpi");
    REQUIRE(c.points.size() == 2);
    CHECK(c.points[1].size == Bytes{1 << 20});
    CHECK(c.points[1].time == ns(90250));
    CHECK(c.points[1].low == us(88));
    CHECK(c.points[1].high == ns(95500));
}

TEST_CASE("a rank's share is multiplied to the whole array", "[unit][osu]") {
    const Imported in = osu::read(
        "# OSU NCCL Allgather Latency Test v7.0\n# Size       Avg Latency(us)\n"
        "0  1.00\n1024  10.00\n"
        "# OSU MPI-CUDA All-to-All Personalized Exchange Latency Test v7.0\n"
        "# Size       Avg Latency(us)\n1024  12.00\n"
        "# OSU MPI Reduce_scatter Latency Test\n# Size  Avg Latency(us)\n1024  12.00\n"
        "# OSU MPI Gather Latency Test v7.0\n# Size  Avg Latency(us)\n1024  7.00\n"
        "# OSU MPI Scatter Latency Test v7.0\n# Size  Avg Latency(us)\n1024  7.00\n"
        "# OSU MPI Reduce Latency Test v7.0\n# Size  Avg Latency(us)\n1024  7.00\n",
        "osu.txt", kEight);
    REQUIRE(in.cases.size() == 6);
    CHECK(in.cases[3].collective == Collective::kGather);
    CHECK(in.cases[3].points.at(0).size == Bytes{8 * 1024});
    CHECK(in.cases[4].collective == Collective::kScatter);
    CHECK(in.cases[4].points.at(0).size == Bytes{8 * 1024});
    CHECK(in.cases[5].collective == Collective::kReduce);
    CHECK(in.cases[5].points.at(0).size == Bytes{1024});
    CHECK(in.cases[0].library == "nccl");
    CHECK(in.cases[0].points.at(0).size == Bytes{8 * 1024});
    CHECK(in.cases[1].collective == Collective::kAllToAll);
    CHECK(in.cases[1].points.at(0).size == Bytes{8 * 1024});
    CHECK(in.cases[2].points.at(0).size == Bytes{1024});
}

TEST_CASE("what is wrong with OSU's output is told in one line", "[unit][osu]") {
    const std::string title = "# OSU MPI Allreduce Latency Test v7.0\n# Size  Avg Latency(us)\n";
    CHECK(complaint("# OSU MPI Bandwidth Test v7.0\n").find("a latency test") != std::string::npos);
    CHECK(complaint(title).find("no rows") != std::string::npos);
    CHECK(complaint(title + "1024\n").find("osu.txt:3: row") != std::string::npos);
    CHECK(complaint(title + "1024 fast\n").find("osu.txt:3: time") != std::string::npos);
    // 8 TiB from each of 2^20 ranks do not fit 63 bits.
    const ImportHints many{.collective = {}, .hosts = 1024, .gpus_per_host = 1024};
    CHECK(complaint("# OSU MPI Allgather Latency Test\n8796093022208 1.0\n", many)
              .find("of all ranks together") != std::string::npos);
    CHECK(complaint(title + "1024 1.0\n", {}).find("--gpus-per-host") != std::string::npos);
}
