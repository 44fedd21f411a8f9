// validate(): what execution relies on.
#include "traces/workload.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "base/result.hpp"

using namespace weft;

namespace {

/// Two stages of two ranks; families TP (pairs of consecutive ranks) and PP (chains over stages).
Workload sound() {
    Workload w;
    w.world = 4;
    w.families = {{"TP", {}}, {"PP", {}}};
    w.families[0].groups.size = 2;
    w.families[1].groups.size = 2;
    w.families[1].groups.stride = 2;
    w.program_of = {0, 0, 1, 1};
    w.programs = {{"stage 0", {"x"}, {}}, {"stage 1", {"x"}, {}}};
    const CollectiveOp reduce{Collective::kAllReduce, 0, Bytes{64}};
    w.programs[0].ops = {{ComputeOp{us(1)}, {}, 0, 0, Phase::kForward},
                         {reduce, {0}, 0, 0, Phase::kForward},
                         {P2pOp{true, 1, +1, Bytes{8}}, {1}, 0, 0, Phase::kForward}};
    w.programs[1].ops = {{P2pOp{false, 1, -1, Bytes{8}}, {}, 0, 0, Phase::kForward},
                         {reduce, {0}, 0, 0, Phase::kForward}};
    return w;
}
template <class Change>
std::string error_after(const Change& change) {
    Workload w = sound();
    change(w);
    try {
        validate(w);
    } catch (const ConfigError& e) {
        std::string line = e.what();  // the quotes around what was found do not matter here
        line.erase(std::remove(line.begin(), line.end(), '"'), line.end());
        return line;
    }
    return "no error";
}
template <class Change>
void refuses(const std::string& words, const Change& change) {
    const std::string e = error_after(change);
    INFO(e);
    CHECK(e.find(words) != std::string::npos);
}

}  // namespace

TEST_CASE("a sound workload passes", "[unit]") {
    CHECK(error_after([](Workload& /*w*/) {}) == "no error");
}

TEST_CASE("a workload that cannot be executed is refused", "[unit]") {
    refuses("world: found 0 ranks", [](Workload& w) { w.world = 0; });
    refuses("programs for 4 ranks", [](Workload& w) { w.world = 8; });
    refuses("no program for rank 3", [](Workload& w) { w.program_of[3] = 2; });
    refuses("groups.TP: found groups of 3 ranks",
            [](Workload& w) { w.families[0].groups.size = 3; });
    refuses("at most the world of 4", [](Workload& w) { w.families[0].groups.size = 8; });
    refuses("both at least 1", [](Workload& w) { w.families[0].groups.stride = 0; });
    refuses("rank 0 not exactly once", [](Workload& w) {
        w.families[0].groups.order = {1, 1, 2, 3};
        w.families[0].groups.where = {0, 1, 2, 3};
    });
    refuses("the name again", [](Workload& w) { w.families[1].name = "TP"; });
    refuses("only earlier ops", [](Workload& w) { w.programs[0].ops[0].after = {0}; });
    refuses("a label of the program", [](Workload& w) { w.programs[0].ops[0].label = 1; });
    refuses("a known family", [](Workload& w) {
        w.programs[0].ops[1].what = CollectiveOp{Collective::kAllReduce, 2, Bytes{64}};
    });
    refuses("from 0 to 1 PiB", [](Workload& w) {
        w.programs[0].ops[1].what = CollectiveOp{Collective::kAllReduce, 0, Bytes{-1}};
    });
    refuses("from 0 to 30 days",
            [](Workload& w) { w.programs[0].ops[0].what = ComputeOp{SimDuration{-1}}; });
    refuses("an offset that is not 0", [](Workload& w) {
        w.programs[0].ops[2].what = P2pOp{true, 1, 0, Bytes{8}};
    });
}

TEST_CASE("members of a group must make the same calls in the same order", "[unit]") {
    refuses("all-reduce of 64 B over TP against nothing more", [](Workload& w) {
        w.program_of = {0, 1, 0, 1};
        w.families[1].groups.stride = 1;
        w.programs[1].ops.pop_back();
    });
    refuses("number 1 of their calls", [](Workload& w) {
        w.families[1].groups.stride = 1;
        w.program_of = {0, 1, 0, 1};
        w.programs[1].ops[1].what = CollectiveOp{Collective::kAllGather, 0, Bytes{64}};
    });
}

TEST_CASE("sends and receives must meet inside a chain", "[unit]") {
    refuses("a peer inside the group", [](Workload& w) {
        w.programs[1].ops.push_back({P2pOp{true, 1, +1, Bytes{8}}, {}, 0, 0, Phase::kForward});
    });
    refuses("send of 8 B over PP +1 against nothing more", [](Workload& w) {
        w.programs[1].ops.erase(w.programs[1].ops.begin());
        w.programs[1].ops[0].after.clear();
    });
    refuses("against receive of 9 B", [](Workload& w) {
        w.programs[1].ops[0].what = P2pOp{false, 1, -1, Bytes{9}};
    });
}
