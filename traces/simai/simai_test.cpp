// The SimAI / AICB reader: traps of real files, and the schedule made from them.
#include "traces/simai/simai.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fmt/format.h>
#include <map>

#include "base/result.hpp"
#include "tests/support/skip.hpp"

using namespace weft;

namespace {

const std::string kPolicy = "HYBRID_TRANSFORMER_FWD_IN_BCKWD ";

std::string layer(const std::string& name, const std::string& columns) {
    return name + " -1 " + columns + " 100\n";
}
std::string file_of(const std::string& header, const std::vector<std::string>& layers) {
    std::string text = kPolicy + header + "\n" + std::to_string(layers.size()) + "\n";
    for (const std::string& l : layers) text += l;
    return text;
}
const std::string kPlain = "5 ALLGATHER 64 7 NONE 0 9 NONE 0";

Workload load(const std::string& text, std::uint32_t gpus = 0) {
    LoadOptions options;
    options.gpus = gpus;
    return read_workload({"t.txt", text}, options);
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
bool states(const Workload& w, const std::string& words) {
    for (const std::string& a : w.assumptions)
        if (a.find(words) != std::string::npos) return true;
    return false;
}
const GroupFamily& family(const Workload& w, const std::string& name) {
    for (const GroupFamily& f : w.families)
        if (f.name == name) return f;
    throw std::runtime_error("no family " + name);
}
/// "F0 F1 B0 ..." of a program: the order in which its micro-batches compute.
std::string order_of(const Program& p) {
    std::string order;
    for (const Op& op : p.ops) {
        if (!std::holds_alternative<ComputeOp>(op.what) || op.microbatch < 0) continue;
        if (op.phase == Phase::kBackwardWeight) continue;
        order += fmt::format("{}{}{}", order.empty() ? "" : " ",
                             op.phase == Phase::kForward ? "F" : "B", op.microbatch);
    }
    return order;
}
std::uint64_t group_collectives(const Workload& w) {
    std::uint64_t total = 0;
    std::vector<std::uint64_t> ranks(w.programs.size());
    for (const std::uint32_t p : w.program_of) ++ranks[p];
    for (std::size_t p = 0; p < w.programs.size(); ++p)
        for (const Op& op : w.programs[p].ops)
            if (const auto* c = std::get_if<CollectiveOp>(&op.what))
                total += ranks[p] / w.families[c->family].groups.size;
    return total;
}

}  // namespace

TEST_CASE("a simai header is read in any order and spelling", "[unit]") {
    for (const char* const header :
         {"model_parallel_NPU_group: 2 ep: 1 pp: 2 vpp: 8 ga: 1 all_gpus: 8 checkpoints: 0 "
          "checkpoint_initiates: 0 pp_comm: 6291456.0",
          "all_gpus: 8\tpp_comm 6291456 ga: 1 pp:2 model_parallel_NPU_group:\t2",
          "checkpoints: 2 0 1 pp_comm: 6291456 pp: 2 all_gpus: 8 model_parallel_NPU_group: 2"}) {
        const simai::File f =
            simai::parse({"t.txt", file_of(header, {layer("embedding_layer", kPlain)})});
        CHECK(f.header.tp == 2);
        CHECK(f.header.pp == 2);
        CHECK(f.header.ep == 1);
        CHECK(f.header.world == 8);
        CHECK(f.header.pp_comm == Bytes{6291456});
    }
}

TEST_CASE("layers take tabs, spaces, CR and NONE with a size; BROADCAST is ignored", "[unit]") {
    const std::string text = kPolicy + "model_parallel_NPU_group: 2 all_gpus: 4\r\n3\r\n" +
                             "a\t-1\t 14356000\tNONE\t0   4756000\tALLGATHER\t357468\t 1\tNONE" +
                             "    0\t100 \r\nb -1 1 NONE 33554432 1 NONE 5 1 NONE 0 100\r\n\r\n" +
                             "norm -1 0 BROADCAST 16384 1 NONE 0 1 ALLREDUCE_DP_EP 6.0 100";
    const simai::File f = simai::parse({"t.txt", text});
    REQUIRE(f.layers.size() == 3);
    CHECK(f.layers[0].columns[1].compute == ns(4756000));
    CHECK(f.layers[0].columns[1].comm->size == Bytes{357468});
    CHECK_FALSE(f.layers[1].columns[0].comm);
    CHECK_FALSE(f.layers[2].columns[0].comm);
    CHECK(f.ignored_broadcasts == 1);
    CHECK(f.layers[2].columns[2].comm->group == simai::Group::kDpEp);
    CHECK(states(load(text), "1 BROADCAST entries are ignored"));
}

TEST_CASE("a customized policy has a thirteenth column", "[unit]") {
    const std::string start = "HYBRID_CUSTOMIZED model_parallel_NPU_group: 2 all_gpus: 4\n1\n";
    const std::string line = "a -1 5 ALLREDUCE 64 5 NONE 0 5 NONE 0 100";
    CHECK(load(start + line + " HYBRID_TRANSFORMER\n").programs[0].ops.size() == 4);
    CHECK(error_of(start + line + "\n").find("t.txt:3: layer a: found 12 columns") == 0);
    CHECK(error_of(start + line + " SIDEWAYS\n").find("a.policy") != std::string::npos);
}

TEST_CASE("groups follow the rank order tp-ep-dp-pp", "[unit]") {
    const Workload w = load(file_of(
        "model_parallel_NPU_group: 2 ep: 2 pp: 2 all_gpus: 16 pp_comm: 8",
        {layer("embedding_layer", "5 ALLREDUCE 64 5 ALLTOALL_EP 64 5 REDUCESCATTER_DP_EP 64"),
         layer("mlp", "5 NONE 0 5 NONE 0 5 ALLREDUCE 64")}));
    const auto cell_of = [&](const char* name, std::uint32_t rank) {
        const Partition& g = family(w, name).groups;
        std::vector<std::uint32_t> members;
        for (std::uint32_t p = 0; p < g.size; ++p) members.push_back(g.rank_at(g.cell(rank), p));
        return members;
    };
    using Ranks = std::vector<std::uint32_t>;
    CHECK(cell_of("TP", 5) == Ranks{4, 5});
    CHECK(cell_of("EP", 5) == Ranks{5, 7});
    CHECK(cell_of("DP", 5) == Ranks{1, 3, 5, 7});
    CHECK(cell_of("DP_EP", 5) == Ranks{1, 5});
    CHECK(cell_of("PP", 5) == Ranks{5, 13});
    CHECK(w.program_of[7] == 0);
    CHECK(w.program_of[8] == 1);
}

TEST_CASE("pipelines run 1F1B: warm-up, steady, cool-down", "[unit]") {
    std::vector<std::string> layers;
    for (int m = 0; m < 4; ++m) layers.push_back(layer("embedding_layer", kPlain));
    const Workload w =
        load(file_of("model_parallel_NPU_group: 1 pp: 3 ga: 4 all_gpus: 3 "
                     "pp_comm: 1000",
                     layers));
    REQUIRE(w.programs.size() == 3);
    CHECK(order_of(w.programs[0]) == "F0 F1 F2 B0 F3 B1 B2 B3");
    CHECK(order_of(w.programs[1]) == "F0 F1 B0 F2 B1 F3 B2 B3");
    CHECK(order_of(w.programs[2]) == "F0 B0 F1 B1 F2 B2 F3 B3");
    int sends = 0;
    int receives = 0;
    for (const Op& op : w.programs[1].ops)
        if (const auto* p = std::get_if<P2pOp>(&op.what)) {
            CHECK(p->size == Bytes{1000});
            ++(p->send ? sends : receives);
        }
    CHECK(sends == 8);
    CHECK(receives == 8);
    CHECK(states(w, "1F1B"));
}

TEST_CASE("a layer computes, then communicates; backward runs in reverse", "[unit]") {
    const Workload w = load(file_of("model_parallel_NPU_group: 2 all_gpus: 4 ga: 1",
                                    {layer("embedding_layer", "5 ALLREDUCE 64 6 NONE 0 7 NONE 0"),
                                     layer("mlp", "8 NONE 0 9 ALLGATHER 128 10 ALLREDUCE 256")}));
    const std::vector<Op>& ops = w.programs[0].ops;
    REQUIRE(ops.size() == 9);
    CHECK(std::get<ComputeOp>(ops[0].what).time == ns(5));
    CHECK(std::get<CollectiveOp>(ops[1].what).size == Bytes{64});
    CHECK(std::get<ComputeOp>(ops[2].what).time == ns(8));
    CHECK(std::get<ComputeOp>(ops[3].what).time == ns(9));  // mlp first
    CHECK(std::get<CollectiveOp>(ops[4].what).kind == Collective::kAllGather);
    CHECK(std::get<ComputeOp>(ops[5].what).time == ns(10));
    CHECK(w.families[std::get<CollectiveOp>(ops[6].what).family].name == "DP");
    CHECK(std::get<ComputeOp>(ops[7].what).time == ns(6));  // beside the DP all-reduce
    CHECK(ops[7].after == std::vector<std::uint32_t>{5});
    for (std::uint32_t i = 1; i < 6; ++i) CHECK(ops[i].after == std::vector<std::uint32_t>{i - 1});
}

TEST_CASE("once a step: reductions, then norms, the optimiser, and gathers", "[unit]") {
    const Workload w =
        load(file_of("model_parallel_NPU_group: 2 all_gpus: 4 ga: 1",
                     {layer("grad_gather", "1 NONE 0 1 NONE 0 1 ALLGATHER 1000"),
                      layer("grad_param_comm", "1 NONE 0 1 NONE 0 1 REDUCESCATTER 2000"),
                      layer("grad_param_compute", "1 NONE 0 34 NONE 0 1 NONE 0"),
                      layer("embedding_grads", "1 NONE 0 1 ALLREDUCE 3000 1 NONE 0"),
                      layer("embedding_layer", "5 NONE 0 6 NONE 0 7 ALLREDUCE 50"),
                      layer("optimizer1", "0 ALLREDUCE 4 0 NONE 0 0 NONE 0")}));
    std::vector<std::string> labels;
    for (const Op& op : w.programs[0].ops) labels.push_back(w.programs[0].labels[op.label]);
    CHECK(labels == std::vector<std::string>{"embedding_layer", "embedding_layer",
                                             "embedding_layer", "embedding_layer",
                                             "grad_param_comm", "embedding_grads", "optimizer1",
                                             "grad_param_compute", "grad_gather"});
    const std::vector<Op>& ops = w.programs[0].ops;
    CHECK(ops[4].after == std::vector<std::uint32_t>{2, 3});
    CHECK(ops[5].after == ops[4].after);
    CHECK(ops[6].after.size() == 2);
    CHECK(ops[8].after == std::vector<std::uint32_t>{7});
}

TEST_CASE("a parameter gather in the forward column runs over DP, and that is said", "[unit]") {
    const Workload w =
        load(file_of("model_parallel_NPU_group: 2 all_gpus: 4",
                     {layer("grad_norm", "1 ALLGATHER 100 1 NONE 0 1 REDUCESCATTER 200"),
                      layer("embedding_layer", kPlain)}));
    const Op& last = w.programs[0].ops.back();
    CHECK(w.families[std::get<CollectiveOp>(last.what).family].name == "DP");
    CHECK(states(w, "parameter gather"));
}

TEST_CASE("what does nothing is left out and counted", "[unit]") {
    const Workload w =
        load(file_of("model_parallel_NPU_group: 4 all_gpus: 4",
                     {layer("embedding_layer", "1 ALLREDUCE 0 1 ALLREDUCE 8 1 ALLREDUCE 99")}));
    CHECK_FALSE(w.has_compute);
    CHECK(w.programs[0].ops.size() == 1);
    CHECK(states(w, "compute: none in the trace"));
    CHECK(states(w, "1 group-collectives of 0 bytes"));
    CHECK(states(w, "4 collectives in groups of one"));
    CHECK(states(w, "1 group-collectives are executed"));
}

TEST_CASE("the flag --gpus gives or widens the world", "[unit]") {
    const std::string old = file_of("model_parallel_NPU_group: 2", {layer("a", kPlain)});
    CHECK(error_of(old) ==
          "t.txt:1: all_gpus: found no world size in the header, expected the key all_gpus, or "
          "--gpus on the command line, for example --gpus 64");
    CHECK(load(old, 8).world == 8);
    const std::string sized =
        file_of("model_parallel_NPU_group: 2 all_gpus: 4", {layer("a", kPlain)});
    CHECK(states(load(sized, 8), "made for 4 ranks and is replayed on 8"));
    CHECK(error_of(sized, 1).find("a group is larger than the world") != std::string::npos);
    CHECK(error_of(sized, 7).find("a multiple of tp 2 x pp 1") != std::string::npos);
}

TEST_CASE("micro-batches follow the embedding lines; disagreement is said", "[unit]") {
    const std::vector<std::string> three{layer("embedding_layer", kPlain),
                                         layer("embedding_layer", kPlain),
                                         layer("embedding_layer", kPlain)};
    const auto with = [&](const std::string& ga) {
        return load(file_of("model_parallel_NPU_group: 2 all_gpus: 2 " + ga, three));
    };
    CHECK(order_of(with("ga: 3").programs[0]) == "F0 B0 F1 B1 F2 B2");
    CHECK(order_of(with("").programs[0]) == "F0 B0 F1 B1 F2 B2");
    CHECK(states(with("ga: 2"), "ga 2, the layers form 3"));
    CHECK(order_of(with("ga: 1").programs[0]) == "F0 F0 F0 B0 B0 B0");
    const std::string text = "MICRO\n7\nmicro_test -1 1 NONE 0 1 NONE 0 1 ALLREDUCE 4096 1\n";
    CHECK(load(text, 8).programs[0].ops.size() == 1);
    CHECK(states(load(text, 8), "says 7 layers, 1 are there"));
}

TEST_CASE("a bad simai file is refused in one line", "[unit]") {
    const std::string good = layer("a", kPlain);
    const std::string head = "model_parallel_NPU_group: 2 all_gpus: 4";
    const auto says = [](const std::string& text, const std::string& words) {
        const std::string e = error_of(text);
        INFO(e);
        CHECK(e.find(words) != std::string::npos);
        CHECK(e.find('\n') == std::string::npos);
    };
    says("", "t.txt: found an empty file");
    says("SIDEWAYS\n1\n", "t.txt:1: found SIDEWAYS, expected the start of a known trace format");
    says("MICRO\n", "t.txt:1: the number of layers: found the end of the file");
    says("MICRO\n1\n", "t.txt:2: layers: found the end of the file");
    says("MICRO\nx\n" + good, "t.txt:2: number of layers: found x");
    says(file_of(head + " pp: -1", {good}), "t.txt:1: pp: found -1, expected a whole number");
    says(file_of(head + " pp: 0", {good}), "t.txt:1: pp: found 0");
    says(file_of(head + " pp_comm: 1.5", {good}), "t.txt:1: pp_comm: found 1.5");
    says(file_of(head + " pp_comm: nan", {good}), "t.txt:1: pp_comm: found nan");
    says(file_of(head + " pp: 2 pp: 2", {good}), "pp: found the key again");
    says(file_of(head + " ppp: 2", {good}), "ppp: found an unknown key, expected one of pp");
    says(file_of(head + " ep:", {good}), "ep: found the end of the line");
    says(file_of(head + " ep: 5", {good}), "ep: found 5, expected a divisor of the data-parallel");
    says(file_of(head + " checkpoints: 3 1", {good}), "checkpoints: found 3 with 1 words left");
    says(file_of(head, {"a -1 5 NONE\n"}), "t.txt:3: layer a: found 4 columns, expected 12");
    says(file_of(head, {layer("a", "x NONE 0 1 NONE 0 1 NONE 0")}), "a.forward compute: found x");
    says(file_of(head, {layer("a", "1 SCATTER 0 1 NONE 0 1 NONE 0")}),
         "a.forward collective: found SCATTER");
    says(file_of(head, {layer("a", "1 ALLREDUCE 99999999999999999999 1 NONE 0 1 NONE 0")}),
         "a.forward bytes: found 99999999999999999999");
    says("MICRO\n1\na\x01\n", "layer a\\x01: found 1 columns");
}

TEST_CASE("every real simai file loads, in under a second each", "[integration]") {
    WEFT_NEEDS_SHARED(data, "simai");
    int files = 0;
    for (const char* folder : {"aicb/generated", "aicb/bundled", "workload"})
        for (const auto& entry : std::filesystem::directory_iterator(data / folder)) {
            if (entry.path().extension() != ".txt") continue;
            INFO(entry.path().filename().string());
            LoadOptions options;
            const std::string name = entry.path().filename().string();
            // Files that name no world size.
            if (std::string(folder) == "aicb/bundled") options.gpus = 64;
            const auto start = std::chrono::steady_clock::now();
            const Workload w = load_workload(entry.path().string(), options);
            CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(1));
            CHECK_FALSE(w.programs.empty());
            CHECK(group_collectives(w) > 0);
            ++files;
        }
    CHECK(files >= 20);
}

TEST_CASE("9216 GPUs stay rules: twelve programs and the counted group-collectives",
          "[integration]") {
    WEFT_NEEDS_SHARED(path, "simai/workload/workload_analytical.txt");
    const Workload w = load_workload(path.string());
    CHECK(w.world == 9216);
    CHECK(w.programs.size() == 12);
    CHECK(w.families.size() == 5);
    // Counted by a separate script over the columns of the file: 13,198,128 with those of 0 bytes.
    CHECK(group_collectives(w) == 12'202'800);
    CHECK(states(w, "12202800 group-collectives are executed"));
    CHECK(states(w, "995328 group-collectives of 0 bytes"));
    CHECK(w.has_compute);
}
