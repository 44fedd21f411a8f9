#include "traces/nccl_tests/nccl_tests.hpp"

#include <catch2/catch.hpp>

#include "base/result.hpp"

using namespace weft;

namespace {

const std::string kRanks =
    "# Using devices\n"
    "#  Rank  0 Group  0 Pid  11 on node-a device  0 [0x0f] NVIDIA H100 80GB HBM3\n"
    "#  Rank  1 Group  0 Pid  12 on node-a device  1 [0x15] NVIDIA H100 80GB HBM3\n"
    "#  Rank  2 Group  0 Pid  11 on node-b device  0 [0x0f] NVIDIA H100 80GB HBM3\n"
    "#  Rank  3 Group  0 Pid  12 on node-b device  1 [0x15] NVIDIA H100 80GB HBM3\n";
const std::string kColumns =
    "#                                    out-of-place             in-place\n"
    "#       size  count  type  redop  root  time  algbw  busbw #wrong  time  algbw  busbw "
    "#wrong\n"
    "#        (B)    (elements)              (us)  (GB/s)  (GB/s)       (us)  (GB/s)  (GB/s)\n";

Imported read(const std::string& text, const ImportHints& hints = {}) {
    return nccl_tests::read(text, "log.txt", hints);
}

std::string complaint(const std::string& text, const ImportHints& hints = {}) {
    try {
        (void)read(text, hints);
    } catch (const ConfigError& e) {
        return e.what();
    }
    return "no error";
}

}  // namespace

TEST_CASE("a table of nccl-tests becomes a case with its setup", "[unit][nccl-tests]") {
    const Imported in = read(
        "mpirun -x NCCL_ALGO=Ring ./build/all_gather_perf -b 1K -e 2K\n"
        "# nThread 1 nGpus 1 minBytes 1024 maxBytes 2048 step: 2(factor) graph: 1\n" +
        kRanks + "NCCL version 2.26.2+cuda12.8\n" + kColumns +
        "        1024   64   float  none   -1   12.5   0.08   0.06   0   12.1   0.08   0.06   0\n"
        "        2048  128   float  none   -1   13.0   0.16   0.12   0    N/A    N/A    N/A  N/A\n"
        "# Out of bounds values : 0 OK\n# Avg bus bandwidth    : 0.1\n");
    REQUIRE(in.cases.size() == 1);
    const MeasuredCase& c = in.cases[0];
    CHECK(c.collective == Collective::kAllGather);
    CHECK(c.hosts == 2);
    CHECK(c.gpus_per_host == 2);
    CHECK(c.machine == "h100");
    CHECK(c.library == "nccl-2.26");
    CHECK(c.algorithm == "ring");
    CHECK(c.graph);
    CHECK(c.network == "unknown");
    REQUIRE(c.points.size() == 2);
    CHECK(c.points[0].low == ns(12100));
    CHECK(c.points[0].high == ns(12500));
    CHECK(c.points[0].line == 12);
    CHECK(c.points[1].time == us(13));
}

TEST_CASE("several runs in one file are several cases", "[unit][nccl-tests]") {
    const std::string row =
        "  1024  256  float  sum  -1  12.5  0.08  0.12  0  12.1  0.08  0.13  0\n";
    const Imported in =
        read("# Collective test starting: all_reduce_perf\n# nThread 1 nGpus 4\n" + kColumns + row +
             "# Collective test concluded: all_reduce_perf\n"
             "# Collective test starting: reduce_scatter_perf_mpi\n"
             "# nThread 1 nGpus 8\n" +
             kColumns + row + row);
    REQUIRE(in.cases.size() == 2);
    CHECK(in.cases[0].collective == Collective::kAllReduce);
    CHECK(in.cases[0].ranks() == 4);
    CHECK(in.cases[1].collective == Collective::kReduceScatter);
    CHECK(in.cases[1].ranks() == 8);
    CHECK(in.cases[1].points.size() == 1);
    CHECK(in.cases[0].id != in.cases[1].id);
}

TEST_CASE("prefixes of launchers and lines of NCCL are looked through", "[unit][nccl-tests]") {
    const Imported in = read(
        "[1,0]<stdout>:# nThread 1 nGpus 1\n"
        "[1,0]<stdout>:a:1:9 [0] NCCL INFO comm 0x5 rank 0 nRanks 16 nNodes 2 localRanks 8\n"
        "[1,0]<stdout>:a:1:9 [0] NCCL INFO 16 coll channels, 4 collnet channels, 8 nvls channels, "
        "32 p2p channels, 2 p2p channels per peer\n"
        "[1,0]<stdout>:a:1:9 [0] NCCL INFO Connected all rings\n"
        "[1,0]<stdout>:NCCL version 2.18.3+cuda12.2\n"
        "[1,0]<stdout>:#  size  count  type  redop  root  time  algbw  busbw  #wrong  time  algbw  "
        "busbw  #wrong\n"
        "[1,0]<stdout>:  1048576  262144  float  sum  -1[0] a:1:9 [0] NCCL INFO 1048576 Bytes -> "
        "Algo 1 proto 2 time 79.147949\n"
        "[1,0]<stdout>:b:2:9 [1] NCCL INFO 1048576 Bytes -> Algo 1 proto 2 time 79.147949\n"
        "[1,0]<stdout>:  123.2  8.51  15.95  0[0]  121.3  8.64  16.21  0\n",
        {.collective = Collective::kAllReduce});
    REQUIRE(in.cases.size() == 1);
    CHECK(in.cases[0].ranks() == 16);
    CHECK(in.cases[0].points.at(0).high == ns(123200));
    CHECK(in.nccl.version == "2.18.3");
    CHECK(in.nccl.channels == 16);
    CHECK(in.nccl.nvls_channels == 8);
    CHECK(in.nccl.p2p_channels == 32);
    CHECK(in.nccl.rings);
    CHECK_FALSE(in.nccl.trees);
    REQUIRE(in.nccl.choices.size() == 1);
    CHECK(in.nccl.choices[0].algorithm == "ring");
    CHECK(in.nccl.choices[0].protocol == "simple");
    CHECK(in.nccl.choices[0].predicted.ps() / 1000 == 79147);
}

TEST_CASE("what NCCL says it chose is read by name too", "[unit][nccl-tests]") {
    NcclFacts facts;
    CHECK(
        nccl_tests::read_log_line("a:1:2 [0] NCCL INFO AllReduce: 2097152 Bytes -> Algo NVLS "
                                  "proto SIMPLE channel{Lo..Hi}={0..15}",
                                  7, facts));
    REQUIRE(facts.choices.size() == 1);
    CHECK(facts.choices[0].collective == "AllReduce");
    CHECK(facts.choices[0].size == Bytes{2 << 20});
    CHECK(facts.choices[0].algorithm == "nvls");
    CHECK(facts.choices[0].protocol == "simple");
    CHECK(facts.choices[0].channels == 16);
    CHECK(facts.choices[0].line == 7);
    CHECK_FALSE(nccl_tests::read_log_line("nothing of the kind", 8, facts));
}

TEST_CASE("without a program the columns tell the collective", "[unit][nccl-tests]") {
    const auto kind = [](const std::string& row) {
        return read("# nThread 1 nGpus 4\n" + kColumns + row).cases.at(0).collective;
    };
    CHECK(kind("1048576 262144 float sum -1 100 10.48 15.72 0 100 10.48 15.72 0\n") ==
          Collective::kAllReduce);
    CHECK(kind("1048576 65536 float sum -1 100 10.48 7.86 0 100 10.48 7.86 0\n") ==
          Collective::kReduceScatter);
    CHECK(kind("1048576 262144 float none 0 100 10.48 10.48 0 100 10.48 10.48 0\n") ==
          Collective::kBroadcast);
    CHECK(kind("1048576 262144 float sum 0 100 10.48 10.48 0 100 10.48 10.48 0\n") ==
          Collective::kReduce);
    // All-gather and all-to-all print the same columns.
    const std::string either = "# nThread 1 nGpus 4\n" + kColumns +
                               "1048576 65536 float none -1 100 10.48 7.86 0 100 10.48 7.86 0\n";
    CHECK(complaint(either).find("--collective") != std::string::npos);
    CHECK(read(either, {.collective = Collective::kAllToAll}).cases.at(0).collective ==
          Collective::kAllToAll);
}

TEST_CASE("a table without algbw is read where the program is named", "[unit][nccl-tests]") {
    const Imported in = read(
        "all_reduce_perf\n# nThread 1 nGpus 8\n# size count type redop root time busbw\n"
        "1024 256 float sum -1 12.5 0.08\n");
    CHECK(in.cases.at(0).points.at(0).time == ns(12500));
}

TEST_CASE("old columns, few columns and blank operators are read", "[unit][nccl-tests]") {
    const Imported old = read(
        "./alltoall_perf\n# nThread 1 nGpus 8\n"
        "#  size  count  type  redop  time  algbw  busbw  error  time  algbw  busbw  error\n"
        " 268435456  1048576  float   5209.5  51.5  45.1  0e+00  5195.6  51.7  45.2  1e+00\n");
    CHECK(old.cases.at(0).points.at(0).high == ns(5'209'500));
    const Imported few = read(
        "$ ./build/all_reduce_perf -b 32k -e 16G -f 2 -g 8\n"
        "  size    time   algbw   busbw\n   (B)    (us)  (GB/s)  (GB/s)\n"
        " 32_768   43.83    0.75    1.31\n 65_536   46.80    1.40    2.45\n",
        {.hosts = 1, .gpus_per_host = 8});
    REQUIRE(few.cases.at(0).points.size() == 2);
    CHECK(few.cases[0].points[1].size == Bytes{65536});
    CHECK(few.cases[0].points[1].time == ns(46800));
}

TEST_CASE("a row cut short by the end of the file is left out and noted", "[unit][nccl-tests]") {
    const Imported in = read("all_reduce_perf\n# nThread 1 nGpus 8\n" + kColumns +
                             "1024 256 float sum -1 12.5 0.08 0.14 0 12.1 0.08 0.15 0\n"
                             "2048 512 float sum -1 13.5 0.1");
    CHECK(in.cases.at(0).points.size() == 1);
    REQUIRE(in.notes.size() == 1);
    CHECK(in.notes[0].find("log.txt:7") != std::string::npos);
}

TEST_CASE("wrong results are noted with their case", "[unit][nccl-tests]") {
    const Imported in = read("all_reduce_perf\n# nThread 1 nGpus 8\n" + kColumns +
                             "1024 256 float sum -1 12.5 0.08 0.14 3 12.1 0.08 0.15 0\n");
    REQUIRE(in.cases.at(0).notes.size() == 1);
    CHECK(in.cases[0].notes[0].find("3 wrong results") != std::string::npos);
}

TEST_CASE("what is wrong with a log is told in one line", "[unit][nccl-tests]") {
    const auto [text, expected] = GENERATE(table<std::string, std::string>({
        {"# nThread 1 nGpus 8\n", "log.txt:1: found \"no table\""},
        {"1024 256 float sum -1 12.5\n3 4 float sum -1 1 1 1 0 1 1 1 0\n", "log.txt:6: row"},
        {"1024 256 float sum -1 x 0.08 0.14 3 12.1 0.08 0.15 0\n", "log.txt:6: time"},
        {"1024 256 float sum -1 -4 0.08 0.14 3 12.1 0.08 0.15 0\n", "log.txt:6: time"},
        {"1024 256 float sum -1 1 1 1 1 1 1 1 1 1 1 1\n", "columns as the header on line 4"},
        {"99999999999999999 256 float sum -1 1 1 1 0 1 1 1 0\n", "at most 1 PiB"},
    }));
    const std::string head = "all_reduce_perf\n# nThread 1 nGpus 8\n" + kColumns;
    const std::string what = complaint(text.front() == '#' ? text : head + text);
    INFO(what);
    CHECK(what.find(expected) != std::string::npos);
    CHECK(what.find('\n') == std::string::npos);
}

TEST_CASE("a program that Weft does not model is named", "[unit][nccl-tests]") {
    const std::string row = "1024 256 float sum 0 12.5 0.08 0.14 0 12.1 0.08 0.15 0\n";
    CHECK(complaint("hypercube_perf\n# nThread 1 nGpus 8\n" + kColumns + row)
              .find("hypercube_perf") != std::string::npos);
    const auto kind = [&](const char* program) {
        const std::string text = std::string(program) + "\n# nThread 1 nGpus 8\n" + kColumns;
        return read(text + row).cases.at(0).collective;
    };
    CHECK(kind("gather_perf") == Collective::kGather);
    CHECK(kind("scatter_perf") == Collective::kScatter);
    CHECK(kind("reduce_perf") == Collective::kReduce);
    CHECK(complaint("all_reduce_perf\n" + kColumns + row).find("--gpus-per-host") !=
          std::string::npos);
}
