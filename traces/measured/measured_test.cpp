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
/// A record of PyTorch's flight recorder: TP is [0, 1], PP is [0, 4].
std::string entry(const std::string& group, int number, const std::string& what,
                  const std::string& shape, const std::string& more) {
    return R"({"process_group": [")" + group + R"(", ""], "collective_seq_id": )" +
           std::to_string(number) + R"(, "op_id": 1, "profiling_name": "nccl:)" + what +
           R"(", "input_sizes": [)" + shape + R"(], "input_dtypes": ["Float"], "output_sizes": [)" +
           shape + R"(], "output_dtypes": ["Float"], "state": "completed")" + more + "}";
}
std::string dump(const std::string& entries, const std::string& ranks = "[0, 1]") {
    return R"({"version": "2.10", "pg_config": {"1": {"name": "1", "desc": "", "ranks": ")" +
           ranks + R"("}, "0": {"name": "0", "desc": "default_pg", "ranks": "[0,1,2,3,4,5,6,7]"}},
           "entries": [)" +
           entries + "]}";
}
/// A line of NCCL's Inspector.
std::string line(const std::string& id, int rank, int number, int ranks, const std::string& coll,
                 std::int64_t bytes, int us) {
    nlohmann::json j;
    j["header"] = {{"id", id}, {"rank", rank}, {"n_ranks", ranks}, {"nnodes", 1}};
    j["coll_perf"] = {{"coll", coll},
                      {"coll_sn", number},
                      {"coll_msg_size_bytes", bytes},
                      {"coll_exec_time_us", us}};
    return j.dump() + "\n";
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

TEST_CASE("a flight recorder's group is the family of the same ranks", "[unit]") {
    const std::string mib = "[262144]";
    const std::string timed = R"(, "duration_ms": 0.012)";
    const std::string slower = R"(, "duration_ms": 0.5)";
    const std::string one = dump(entry("1", 1, "all_reduce", mib, timed) + "," +
                                 entry("1", 2, "all_reduce", mib, R"(, "duration_ms": 0.02)") +
                                 "," + entry("1", 3, "all_reduce", mib, "") + "," +  // never ended
                                 entry("0", 4, "all_reduce_barrier", "[1]", slower) + "," +
                                 entry("1", 5, "send 0->1", mib, slower));
    Workload w = with(one);
    CHECK(w.programs[0].ops[2].measured == us(16));
    CHECK(w.programs[0].ops[1].measured == SimDuration{0});
    REQUIRE(w.measured.unmatched.size() == 1);
    CHECK(has(w.measured.unmatched[0], "allreduce of 4 B over default_pg (8 ranks)"));
    CHECK(has(w.measured.source, "waiting for others included"));
    // Another member arrived last, the first time: its time is that of the collective.
    w = with(one + "\n" + dump(entry("1", 1, "all_reduce", mib, R"(, "duration_ms": 0.01)")));
    CHECK(w.programs[0].ops[2].measured == us(15));
    CHECK(has(w.measured.source, "shortest of 2 members"));
    // Other groups of the family count as well, each collective once.
    w = with(one + dump(entry("1", 1, "all_reduce", mib, R"(, "duration_ms": 0.04)"), "[2, 3]"));
    CHECK(w.programs[0].ops[2].measured == us(24));
    CHECK(has(error_of(dump(entry("1", 1, "all_reduce", mib, timed), "[1, 2]")),
              "allreduce of 1 MiB over group 1"));
    CHECK(has(error_of(dump(entry("1", 1, "all_reduce", mib, ""))), "TORCH_NCCL_ENABLE_TIMING=1"));
}

TEST_CASE("an Inspector's communicator is the family of its size that runs the like", "[unit]") {
    // TP and PP both have two members; only TP runs all-reduces.
    const std::string lines = line("0x1", 0, 7, 2, "AllReduce", 1 << 20, 30) +
                              line("0x1", 1, 7, 2, "AllReduce", 1 << 20, 12) +
                              line("0x2", 0, 7, 2, "AllReduce", 1 << 20, 14) +
                              line("0x3", 0, 1, 8, "AllGather", 1 << 20, 99);
    const Workload w = with(lines);
    CHECK(w.programs[0].ops[2].measured == us(13));
    REQUIRE(w.measured.unmatched.size() == 1);
    CHECK(has(w.measured.unmatched[0], "allgather of 8 MiB over a communicator (8 ranks)"));
    CHECK(has(w.measured.source, "NCCL Inspector, shortest of 2 members"));
    CHECK(has(error_of(line("0x1", 0, 7, 2, "AllToAll", 1 << 20, 30)), "no timed collective"));
    CHECK(has(error_of(line("0x1", 0, 7, 4, "AllReduce", 1 << 20, 30)), "(4 ranks)"));
}

TEST_CASE("two families that answer to a communicator are both named", "[unit]") {
    Workload w = read_workload(
        {"t.yaml",
         "workload: t\nworld: 4\ngroups: {TP: {size: 2}, DP: {size: 2, stride: 2}}\nstages:\n"
         "  - ops:\n      - {collective: allreduce, group: TP, size: 1MiB}\n"
         "      - {collective: allreduce, group: DP, size: 1MiB}\n"
         "      - {collective: allreduce, group: DP, size: 2MiB}\n"},
        {});
    const std::string both = line("0x1", 0, 1, 2, "AllReduce", 1 << 20, 30);
    apply(read_measured({"m", both + line("0x1", 0, 2, 2, "AllReduce", 2 << 20, 40)}), w);
    CHECK(w.programs[0].ops[0].measured == SimDuration{0});
    CHECK(w.programs[0].ops[2].measured == us(40));
    REQUIRE(w.measured.unmatched.size() == 1);
    CHECK(has(w.measured.unmatched[0], "which of TP and DP"));
    std::string named = both;
    named.replace(named.find("\"id\""), 4, "\"comm_name\":\"dp\",\"id\"");
    apply(read_measured({"m", named}), w);
    CHECK(w.programs[0].ops[1].measured == us(30));
}

TEST_CASE("a broken record is one line and names where it breaks", "[unit]") {
    const std::string good = line("0x1", 0, 7, 2, "AllReduce", 1 << 20, 30);
    CHECK(has(error_of(good + good.substr(0, 50)), "m:2: found broken JSON"));
    CHECK(has(error_of(good + "{}"), "record 2.header: found nothing"));
    CHECK(has(error_of(line("0x1", 0, 7, -2, "AllReduce", 1, 30)), "record 1.header.n_ranks"));
    CHECK(has(error_of(line("0x1", 0, 7, 1 << 20, "AllGather", std::int64_t{1} << 40, 30)),
              "1 PiB over all ranks"));
    CHECK(has(error_of("{\"traceEvents\": []}"), "replay it"));
    CHECK(has(error_of("{\"a\": 1}"), "no known form"));
    const std::string timed = R"(, "duration_ms": 1)";
    CHECK(
        has(error_of(dump(entry("7", 1, "all_reduce", "[1]", timed))), "entries[0].process_group"));
    CHECK(
        has(error_of(dump(entry("1", 1, "all_reduce", "[-1]", timed))), "entries[0].input_sizes"));
    CHECK(has(error_of(dump(entry("1", 1, "all_reduce", "[4194304, 1073741824]", timed))),
              "at most 1 PiB"));
    CHECK(has(error_of(dump(entry("1", 1, "all_reduce", "[1]", R"(, "duration_ms": "1")"))),
              "entries[0].duration_ms"));
    CHECK(has(error_of(dump("", "[0, 1, ...]")), "pg_config.1.ranks"));
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
    CHECK(has(error_of(head + ",allreduce,64MiB,1ms\n"), "a group of the workload"));
    CHECK(has(error_of(head + "TPP,allreduce,64MiB,1ms\n"), "a group of the workload"));
    CHECK(has(error_of(head + "TP,allreduce,1MiB,1ms\nTP,allreduce,1024KiB,1ms\n"), "m:3"));
    CHECK(has(error_of("measured: x\nfamilies: [{group: XP, total: 1s}]\n"), "XP"));
    CHECK(has(error_of("measured: x\nfamilies: [{group: TP, total: 1s}, {group: TP}]\n"),
              "TP again"));
}

TEST_CASE("a broken result.json is one line and names the field", "[unit]") {
    const nlohmann::json good = nlohmann::json::parse(to_json(Result{}));
    CHECK(has(error_of("{\"schema\": 1"), "broken JSON"));
    CHECK(has(error_of("{}"), "no known form"));
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
