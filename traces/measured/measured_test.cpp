// Measured times from a file: the three forms, and how they meet a workload.
#include "traces/measured/measured.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "base/result.hpp"
#include "traces/results.hpp"

using namespace weft;

namespace {

Workload job() {
    return read_workload({"t.yaml",
                          "workload: t\nworld: 8\ngroups: {TP: {size: 2}, PP: {size: 2, stride: "
                          "4}}\nstages:\n  - ranks: 0-3\n    ops:\n"
                          "      - {compute: 1ms}\n"
                          "      - {collective: allreduce, group: TP, size: 64MiB}\n"
                          "      - {collective: allreduce, group: TP, size: 1MiB, measured: 9us}\n"
                          "      - {send: 8MiB, group: PP, to: +1}\n"
                          "  - ranks: 4-7\n    ops:\n"
                          "      - {recv: 8MiB, group: PP, from: -1}\n"},
                         {});
}
std::string error_of(const std::string& text) {
    try {
        Workload w = job();
        apply(read_measured({"m", text}), w);
    } catch (const ConfigError& e) {
        std::string line = e.what();
        line.erase(std::remove(line.begin(), line.end(), '"'), line.end());
        return line;
    }
    return "no error";
}
Workload with(const std::string& text) {
    Workload w = job();
    apply(read_measured({"some/m.txt", text}), w);
    validate(w);
    return w;
}
bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("measured times as YAML reach the ops that they name", "[unit]") {
    const Workload w = with(
        "measured: two hosts\nstep: 461 ms\nbubble: 0\ncompute: 1ms\n"
        "families: [{group: TP, total: 3ms, exposed: 2ms}]\n"
        "collectives:\n  - {group: TP, collective: allreduce, size: 64MiB, time: 2.1ms}\n"
        "  - {group: PP, collective: sendrecv, size: 8MiB, time: 218us}\n");
    CHECK(w.measured.step == ms(461));
    CHECK(w.measured.bubble == SimDuration{0});
    CHECK(w.measured.compute == ms(1));
    REQUIRE(w.measured.families.size() == 1);
    CHECK(w.measured.families[0].exposed == ms(2));
    CHECK(w.measured.source == "m.txt");
    CHECK(w.programs[0].ops[1].measured == us(2100));
    CHECK(w.programs[0].ops[2].measured == us(9));  // as the trace says
    CHECK(w.programs[0].ops[3].measured == us(218));
    CHECK(w.programs[1].ops[0].measured == us(218));  // both ends of a message
}

TEST_CASE("measured times as CSV are the same", "[unit]") {
    const Workload w = with(
        "group,collective,size,time\r\n# a note\nstep,,,461ms\n"
        "TP, allreduce, 1MiB, 12us\n");
    CHECK(w.measured.step == ms(461));
    CHECK(w.programs[0].ops[1].measured == SimDuration{0});
    CHECK(w.programs[0].ops[2].measured == us(12));
}

TEST_CASE("measured times from a result.json are means over its algorithms", "[unit]") {
    Result r;
    r.step_time = ms(7);
    r.compute = ms(1);
    r.families.push_back({"TP", ms(3), ms(2), {}});
    CollectiveSummary c;
    c.family = "TP";
    c.kind = "allreduce";
    c.size = Bytes{64 << 20};
    c.count = 3;
    c.mean_time = us(100);
    r.collectives = {c, c};
    r.collectives[1].algorithm = "tree";
    r.collectives[1].count = 1;
    r.collectives[1].mean_time = us(200);
    const Workload w = with(to_json(r));
    CHECK(w.measured.step == ms(7));
    CHECK(w.measured.bubble == SimDuration{0});
    CHECK(w.measured.families[0].total == ms(3));
    CHECK(w.programs[0].ops[1].measured == us(125));
}

TEST_CASE("what is wrong with measured times is said in one line", "[unit]") {
    const std::string head = "group,collective,size,time\n";
    CHECK(has(error_of(" \n"), "empty"));
    CHECK(has(error_of("measured: x\n"), "no measured time"));
    CHECK(has(error_of("measured: x\nstep: 461\n"), "m:2: step: found 461"));
    CHECK(has(error_of("measured: x\nstep: 0s\n"), "a time above 0"));
    CHECK(has(error_of("measured: x\nstpe: 1s\n"), "stpe"));
    CHECK(has(error_of("step: 1s\n"), "measured"));
    CHECK(has(error_of(head + "TP,allreduce,64MiB\n"), "m:2: found 3 columns"));
    CHECK(has(error_of(head + "TP,allredcue,64MiB,1ms\n"), "m:2: collective: found allredcue"));
    CHECK(has(error_of(head + "TP,allreduce,64,1ms\n"), "m:2: size: found 64"));
    CHECK(has(error_of(head + "TP,allreduce,64MiB,0s\n"), "a time above 0"));
    CHECK(has(error_of(head + "TP,allreduce,32MiB,1ms\n"), "1048576B, 67108864B"));
    CHECK(has(error_of(head + "TP,alltoall,64MiB,1ms\n"), "that TP runs: allreduce"));
    CHECK(has(error_of(head + "TPP,allreduce,64MiB,1ms\n"), "a group of the workload"));
    CHECK(has(error_of(head + "TP,allreduce,1MiB,1ms\nTP,allreduce,1024KiB,1ms\n"), "m:3"));
    CHECK(has(error_of("measured: x\nfamilies: [{group: XP, total: 1s}]\n"), "XP"));
    CHECK(has(error_of("measured: x\nfamilies: [{group: TP, total: 1s}, {group: TP}]\n"),
              "TP again"));
}

TEST_CASE("a broken result.json is one line and names the field", "[unit]") {
    const nlohmann::json good = nlohmann::json::parse(to_json(Result{}));
    CHECK(has(error_of("{\"schema\": 1"), "broken JSON"));
    CHECK(has(error_of("{}"), "schema: found nothing"));
    for (const auto& [key, value] : std::vector<std::pair<std::string, nlohmann::json>>{
             {"schema", "weft/result/2"},
             {"step_time_ps", -1},
             {"step_time_ps", 18446744073709551615ULL},
             {"bubble_ps", 1.5},
             {"has_compute", "no"},
             {"families", 3},
             {"collectives", {1}},
             {"families", {{{"family", "TP"}}}}}) {
        nlohmann::json j = good;
        j[key] = value;
        CHECK(has(error_of(j.dump()), key));
    }
}
