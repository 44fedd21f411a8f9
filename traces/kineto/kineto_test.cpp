// Kineto traces: what waited for what, which step, which groups, and traces that are refused.
#include "traces/kineto/kineto.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "base/result.hpp"

using namespace weft;

namespace {

std::string kernel(double ts, double dur, const std::string& name = "gemm") {
    return fmt::format(R"({{"ph": "X", "cat": "kernel", "name": "{}", "pid": 0, "tid": 7,
        "ts": {:.3f}, "dur": {:.3f}, "args": {{"stream": 7}}}})",
                       name, ts, dur);
}
std::string comm(double ts, double dur, const std::string& name, int in, int out,
                 const std::string& ranks = "[0, 1]", int size = 2) {
    return fmt::format(R"({{"ph": "X", "cat": "kernel", "name": "ncclDevKernel_X", "pid": 0,
        "tid": 20, "ts": {:.3f}, "dur": {:.3f}, "args": {{"Collective name": "{}",
        "In msg nelems": {}, "Out msg nelems": {}, "Group size": {}, "dtype": "BFloat16",
        "Process Group Name": "{}", "Process Group Description": "undefined",
        "Process Group Ranks": "{}"}}}})",
                       ts, dur, name, in, out, size, size, ranks);
}
std::string step(int number, double ts, double dur, const std::string& cat = "user_annotation") {
    return fmt::format(R"({{"ph": "X", "cat": "{}", "name": "ProfilerStep#{}", "pid": 9, "tid": 1,
        "ts": {:.3f}, "dur": {:.3f}}})",
                       cat, number, ts, dur);
}
std::string trace(const std::vector<std::string>& events,
                  const std::string& info = R"({"rank": 0, "world_size": 4})") {
    std::string text = "{\n\"schemaVersion\": 1, \"deviceProperties\": [{\"id\": 0}],\n";
    if (!info.empty()) text += "\"distributedInfo\": " + info + ",\n";
    text += R"("traceEvents": [{"ph": "M", "name": "process_name", "pid": 0, "args": {}},
        {"ph": "X", "cat": "cpu_op", "name": "aten::mm", "ts": 1, "dur": 2, "args": {}})";
    for (const std::string& e : events) text += ",\n" + e;
    return text + "]}";
}
Workload load(const std::string& text, std::uint32_t gpus = 0) {
    LoadOptions options;
    options.gpus = gpus;
    return read_workload({"t.json", text}, options);
}
std::string error_of(const std::string& text, std::uint32_t gpus = 0) {
    try {
        load(text, gpus);
    } catch (const ConfigError& e) {
        std::string line = e.what();
        line.erase(std::remove(line.begin(), line.end(), '"'), line.end());
        return line;
    }
    return "no error";
}
bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}
SimDuration compute(const Workload& w, std::size_t op) {
    return std::get<ComputeOp>(w.programs[0].ops.at(op).what).time;
}
const CollectiveOp& collective(const Workload& w, std::size_t op) {
    return std::get<CollectiveOp>(w.programs[0].ops.at(op).what);
}
using Ids = std::vector<std::uint32_t>;

}  // namespace

TEST_CASE("a kineto collective that compute waited for stands between it", "[unit]") {
    // 100 us of kernels, 3 us of launch, 50 us of all-reduce that nothing hides, 2 us, 80 us.
    const Workload w = load(trace({kernel(1000, 60), kernel(1060, 40),
                                   comm(1103, 50, "allreduce", 512, 512), kernel(1155, 80)}));
    REQUIRE(w.programs.size() == 1);
    REQUIRE(w.programs[0].ops.size() == 3);
    CHECK(compute(w, 0) == us(103));
    CHECK(collective(w, 1).kind == Collective::kAllReduce);
    CHECK(collective(w, 1).size == Bytes{1024});
    CHECK(w.programs[0].ops[1].after == Ids{0});
    CHECK(w.programs[0].ops[1].measured == us(50));
    CHECK(compute(w, 2) == us(82));
    CHECK(w.programs[0].ops[2].after == Ids{1, 0});
    CHECK(w.measured.step == us(235));
    REQUIRE(w.measured.families.size() == 1);
    CHECK(w.measured.families[0].total == us(50));
    CHECK(w.measured.families[0].exposed == us(50));
    CHECK(w.families[0].groups.size == 2);
    CHECK(w.world == 4);
}

TEST_CASE("a kineto collective beside compute starts where it did and delays nothing", "[unit]") {
    const Workload w =
        load(trace({kernel(0, 100), comm(40, 30, "_allgather_base", 64, 128), kernel(100, 20)}));
    REQUIRE(w.programs[0].ops.size() == 3);
    CHECK(compute(w, 0) == us(40));
    CHECK(collective(w, 1).kind == Collective::kAllGather);
    CHECK(collective(w, 1).size == Bytes{256});  // the output
    CHECK(w.programs[0].ops[1].after == Ids{0});
    CHECK(compute(w, 2) == us(80));
    CHECK(w.programs[0].ops[2].after == Ids{0});
    CHECK(w.measured.families[0].exposed == SimDuration{0});
}

TEST_CASE("two kineto collectives in one gap follow each other when they did", "[unit]") {
    const Workload w = load(trace({kernel(0, 10), comm(10, 20, "_reduce_scatter_base", 8, 4),
                                   comm(35, 20, "all_to_allv", 8, 8, "[0, 2]", 2), kernel(55, 5)}));
    REQUIRE(w.programs[0].ops.size() == 5);
    CHECK(compute(w, 2) == us(5));  // between the two
    CHECK(w.programs[0].ops[2].after == Ids{1, 0});
    CHECK(w.programs[0].ops[3].after == Ids{2});
    CHECK(w.programs[0].ops[4].after == Ids{3, 2});
    CHECK(w.families[collective(w, 3).family].groups.stride == 2);
    CHECK(w.families.size() == 2);
}

TEST_CASE("of several kineto steps the one of median length is replayed", "[unit]") {
    std::vector<std::string> events;
    double at = 100;
    for (const double length : {900.0, 300.0, 310.0, 320.0}) {
        const int number = static_cast<int>(events.size());
        events.push_back(step(number, at, length - 5));
        events.push_back(kernel(at + 1, length / 2));
        at += length;
    }
    const Workload w = load(trace(events));
    CHECK(w.measured.step == us(310));  // of 900, 300, 310: the last has no end
    CHECK(has(w.measured.source, "ProfilerStep#4"));
    CHECK(compute(w, 0) == us(310));
    events.push_back(step(0, 150, 10, "gpu_user_annotation"));  // the GPU's own is better
    CHECK(load(trace(events)).measured.step == us(1930 - 159 - 150));
}

TEST_CASE("kineto groups are found where they stand in full", "[unit]") {
    const std::string info = R"({"rank": 5, "world_size": 128, "pg_config":
        [{"pg_name": "2", "pg_desc": "undefined", "ranks": [1, 5]}]})";
    CHECK(has(error_of(trace({kernel(0, 1), comm(1, 9, "allreduce", 8, 8, "[1, 5]")}, info)),
              "no error"));
    const std::string text =
        trace({kernel(0, 1), comm(1, 9, "allreduce", 8, 8, "[1, 5, ...]", 32)}, info);
    const Workload w = load(text);  // cut short: the rule goes on
    CHECK(w.families[0].groups.size == 32);
    CHECK(w.families[0].groups.stride == 4);
    const std::string ended =
        trace({kernel(0, 1), comm(1, 9, "allreduce", 8, 8, "[1, 5, ..., 125]", 32)}, info);
    CHECK(load(ended).families[0].groups.stride == 4);
    const auto fails = [&](const std::string& ranks, int size) {
        return has(
            error_of(trace({kernel(0, 1), comm(1, 9, "allreduce", 8, 8, ranks, size)}, info)),
            "evenly spaced");
    };
    CHECK(fails("[1, 5, 6]", 3));
    CHECK(fails("[2, 6, ...]", 32));  // without rank 5
    CHECK(fails("[5, 9]", 4));
    CHECK(fails("[1, 5, ..., 121]", 32));
    CHECK(fails("[1, 5, ..., 125, 129]", 32));
    CHECK(fails("", 4));
    CHECK_FALSE(fails("", 128));  // all of the world
}

TEST_CASE("what a kineto trace lacks is said in one line", "[unit]") {
    const std::string ar = comm(1, 9, "allreduce", 8, 8);
    CHECK(has(error_of("{\"traceEvents\": [" + ar), "broken JSON"));
    CHECK(has(error_of("{\"traceEvents\": [1 2]}"), "broken JSON"));
    CHECK(has(error_of("{\"traceEvents\": {}}"), "a list"));
    CHECK(has(error_of("{\"a\": \"\\\"traceEvents\\\": [\", \"traceEvents\": []"), "broken JSON"));
    CHECK(has(error_of("{\"a\": [\"]\", {}], \"traceEvents\": [{}, []]}"), "no kernel"));
    CHECK(has(error_of(trace({})), "ProfilerActivity.CUDA"));
    CHECK(has(error_of(trace({kernel(0, 9), ar}, "")), "--gpus 64"));
    CHECK(load(trace({kernel(0, 9), ar}, ""), 8).world == 8);
    CHECK(has(error_of(trace({kernel(0, 9), ar}), 8), "--gpus"));
    CHECK(has(error_of(trace({kernel(0, 9, "ncclDevKernel_AllReduce")})), "Collective name"));
    CHECK(has(error_of(trace({comm(0, 9, "send", 8, 8)})), "pipeline stages"));
    CHECK(has(error_of(trace({comm(0, 9, "permute", 8, 8)})), "found permute"));
    CHECK(has(error_of(trace({kernel(-5, 9)})), "traceEvents[2].ts"));
    CHECK(has(error_of(trace({kernel(5, 1e18)})), "traceEvents[2].dur"));
    CHECK(has(error_of(trace({kernel(5, 0)})), "takes no time"));
    CHECK(has(error_of(trace({kernel(5, 1), kernel(8.9e15, 1)})), "more than 30 days"));
    CHECK(has(error_of(trace({kernel(0, 1)}, R"({"rank": 4, "world_size": 4})")), "rank"));
    std::string odd = comm(1, 9, "allreduce", 8, 8);
    odd.replace(odd.find("BFloat16"), 8, "Float7_x");
    CHECK(has(error_of(trace({odd})), "dtype"));
    std::string other = kernel(3, 1);
    other.replace(other.find("\"pid\": 0"), 8, "\"pid\": 1");
    CHECK(has(error_of(trace({kernel(0, 1), other})), "one rank"));
}

TEST_CASE("a kineto group of one rank is a copy", "[unit]") {
    const Workload w = load(trace({kernel(0, 5), comm(5, 5, "allreduce", 8, 8, "[0]", 1)}));
    REQUIRE(w.programs[0].ops.size() == 1);
    CHECK(compute(w, 0) == us(10));
}
