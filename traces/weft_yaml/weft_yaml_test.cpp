// Weft's own workload format.
#include "traces/weft_yaml/weft_yaml.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "base/result.hpp"

using namespace weft;

namespace {

std::string text_of(const std::string& ops, const std::string& more = "") {
    return "workload: t\nworld: 8\n" + more +
           "groups: {TP: {size: 2}, PP: {size: 4, stride: 2}}\n" + "stages:\n  - ops:\n" + ops;
}
Workload load(const std::string& text, std::uint32_t gpus = 0) {
    LoadOptions options;
    options.gpus = gpus;
    return read_workload({"t.yaml", text}, options);
}
std::string error_of(const std::string& text, std::uint32_t gpus = 0) {
    try {
        load(text, gpus);
    } catch (const ConfigError& e) {
        std::string line = e.what();  // the quotes around what was found do not matter here
        line.erase(std::remove(line.begin(), line.end(), '"'), line.end());
        return line;
    }
    return "no error";
}
using Ids = std::vector<std::uint32_t>;

}  // namespace

TEST_CASE("a yaml workload reads ops, groups, ids and repeats", "[unit]") {
    const Workload w =
        load(text_of("      - {compute: 900us, label: attention}\n"
                     "      - repeat: 2\n"
                     "        ops:\n"
                     "          - {collective: allreduce, group: TP, size: 64MiB,"
                     " id: grads, async: true}\n"
                     "          - {compute: 1ms}\n"
                     "      - {collective: alltoall, group: TP, size: 1MB,"
                     " after: grads, phase: step}\n"));
    CHECK(w.name == "t");
    REQUIRE(w.programs.size() == 1);
    const std::vector<Op>& ops = w.programs[0].ops;
    REQUIRE(ops.size() == 6);
    CHECK(std::get<ComputeOp>(ops[0].what).time == us(900));
    CHECK(std::get<CollectiveOp>(ops[1].what).size == Bytes{64 << 20});
    CHECK(ops[1].after == Ids{0});
    CHECK(ops[2].after == Ids{0});  // nothing waits for an async op
    CHECK(ops[3].after == Ids{2});
    CHECK(ops[3].microbatch == 1);
    CHECK(ops[5].after == Ids{3});  // the latest op of that id
    CHECK(ops[5].phase == Phase::kStep);
    CHECK(ops[5].microbatch == -1);
    CHECK(w.has_compute);
}

TEST_CASE("a yaml pipeline is a chain: the ends have one neighbour", "[unit]") {
    const std::string start = "workload: t\nworld: 2\ngroups: {PP: {size: 2}}\nstages:\n";
    const std::string good = start + "  - {ranks: 0, ops: [{send: 1MiB, group: PP, to: +1}]}\n" +
                             "  - {ranks: 1, ops: [{recv: 1MiB, group: PP, from: -1}]}\n";
    CHECK(load(good).programs.size() == 2);
    CHECK_FALSE(load(good).has_compute);
    const std::string beyond =
        start + "  - {ops: [{send: 1MiB, group: PP, to: +1}, {recv: 1MiB, group: PP, from: -1}]}\n";
    CHECK(error_of(beyond).find("a peer inside the group") != std::string::npos);
    const std::string unequal = start + "  - {ranks: 0, ops: [{send: 1MiB, group: PP, to: +1}]}\n" +
                                "  - {ranks: 1, ops: [{recv: 2MiB, group: PP, from: -1}]}\n";
    CHECK(error_of(unequal).find("send of 1 MiB over PP +1 against receive of 2 MiB over PP -1") !=
          std::string::npos);
}

TEST_CASE("a bad yaml workload is refused with file, line and key", "[unit]") {
    const auto says = [](const std::string& text, const std::string& words) {
        const std::string e = error_of(text);
        INFO(e);
        CHECK(e.find(words) != std::string::npos);
        CHECK(e.find('\n') == std::string::npos);
    };
    says(text_of("      - {compute: 900}\n"), "t.yaml:6: stages[0].ops[0].compute: found 900");
    says(text_of("      - {compute: -1ms}\n"), "t.yaml:6: stages[0].ops[0].compute: found -1");
    says(text_of("      - {compute: nan}\n"), "compute: found nan");
    says(text_of("      - {compute: 1ms, labl: x}\n"), "labl: found an unknown key");
    says(text_of("      - {compute: 1ms, compute: 2ms}\n"), "the key compute again");
    says(text_of("      - {label: x}\n"), "found none of them, expected one of compute");
    says(text_of("      - {compute: 1ms, send: 1B}\n"), "found several of them");
    says(text_of("      - {collective: allredce, group: TP, size: 1MiB}\n"),
         "collective: found allredce, expected one of allreduce");
    says(text_of("      - {collective: allreduce, group: DP, size: 1MiB}\n"),
         "group: found DP, expected one of");
    says(text_of("      - {collective: allreduce, group: TP, size: 64}\n"), "size: found 64");
    says(text_of("      - {collective: allreduce, group: TP}\n"), "no such key");
    says(text_of("      - {compute: 1ms, after: grads}\n"), "after: found grads");
    says(text_of("      - {repeat: 0, ops: [{compute: 1ms}]}\n"), "repeat: found 0");
    says(text_of("      - {repeat: 9}\n"), "t.yaml:6: stages[0].ops[0].ops: found no such key");
    says(text_of("      - {repeat: 9, ops: []}\n"), "found no operation");
    says(text_of("      - {repeat: 1000000, ops: [{repeat: 1000000, ops: [{compute: 1ms}]}]}\n"),
         "at most 1000000 after repeats");
    says(text_of("      - {send: 1MiB, group: PP, to: 0}\n"), "to: found 0");
    says(text_of("      - &a {compute: 1ms}\n      - *a\n"), "an anchor");
    says("workload: t\nworld: 8\nstages: []\n", "stages: found no stage");
    says("workload: t\nworld: 8\nstages:\n  - {ranks: 0-3, ops: [{compute: 1ms}]}\n",
         "found no stage for rank 4");
    says("workload: t\nworld: 8\nstages:\n  - {ranks: 0-8, ops: [{compute: 1ms}]}\n",
         "t.yaml:4: stages[0].ranks: found 0-8, expected ranks from 0 to 7");
    says("workload: t\nworld: 8\ngroups: {TP: {size: 3}}\nstages:\n  - {ops: [{compute: 1ms}]}\n",
         "t.yaml:3: groups.TP.size: found size x stride = 3");
    says("workload: t\nworld: 8\ngroups: {TP: {size: 16}}\nstages:\n  - {ops: [{compute: 1s}]}\n",
         "t.yaml:3: groups.TP.size: found 16, expected an integer from 1 to 8");
    says("workload: t\nworld: many\nstages: []\n", "t.yaml:2: world: found many");
    says("workload: t\nworld: [\n", "t.yaml:3");
    CHECK(error_of(text_of("      - {compute: 1ms}\n"), 16).find("world: found 8, expected 16") !=
          std::string::npos);
}
