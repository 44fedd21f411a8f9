// weft check: prove that an algorithm computes its collective.
#include <fmt/format.h>
#include <fstream>
#include <map>
#include <memory>

#include "collectives/algorithms/algorithm.hpp"
#include "collectives/plan/checker.hpp"
#include "collectives/plan/io/plan_json.hpp"
#include "tools/commands.hpp"
#include "topology/io/document.hpp"

namespace weft::tools {
namespace {

constexpr const char* kHelp = R"(Prove a collective's Plan: what it computes, that it cannot block.

  weft check allreduce --algorithm ring --ranks 16
  weft check allreduce --algorithm hierarchical --ranks 64 --per-host 8
  weft check alltoall --ranks 4 --edges --size 1MiB    bytes that each rank sends each other
  weft check allreduce --ranks 8 --export ring.json    the Plan as data (docs/plans-as-data.md)
  weft check --plan ring.json                 prove a Plan that is data
  weft check --all                            every algorithm at several sizes
  weft check --list                           algorithms, their steps and bytes, their papers)";

struct Options {
    std::string collective = "allreduce";
    std::string algorithm;
    std::uint32_t ranks = 16;
    std::uint32_t per_host = 0;
    std::uint32_t channels = 0;
    std::uint32_t root = 0;
    std::string size = "1GiB";
    std::string plan;       // a file
    std::string export_to;  // a file, or "-"
    bool edges = false;
    bool all = false;
    bool list = false;
};

GroupShape shape_from(std::uint32_t ranks, std::uint32_t per_host) {
    if (ranks == 0)
        throw ConfigError({.file = {},
                           .line = 0,
                           .key = "--ranks",
                           .found = "0",
                           .expected = "1 or more",
                           .example = "16"});
    const std::uint32_t g = per_host > 0 ? per_host : ranks % 8 == 0 ? 8 : 1;
    if (ranks % g != 0)
        throw ConfigError({.file = {},
                           .line = 0,
                           .key = "--per-host",
                           .found = std::to_string(g),
                           .expected = fmt::format("a divisor of {} ranks", ranks),
                           .example = "1"});
    GroupShape s;
    s.n = ranks;
    s.per_host = g;
    s.hosts = ranks / g;
    return s;
}

using EdgeBytes = std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t>;

EdgeBytes edge_bytes(const PlanTemplate& p, const Binding& b) {
    EdgeBytes out;
    for (std::uint32_t rank = 0; rank < p.n; ++rank)
        for (std::size_t c = 0; c < p.channels.size(); ++c)
            for (std::size_t s = 0; s < p.channels[c].stages.size(); ++s)
                for (std::uint32_t e = 0; e < edge_count(p, c, s, rank); ++e)
                    out[{rank, edge_at(p, c, s, rank, e).dst}] +=
                        edge_elements(p, b, c, s, rank, e) * b.element_size;
    return out;
}

int export_plan(const PlanTemplate& p, const std::string& file) {
    const std::string text = plan_to_json(p);
    if (file == "-") {
        fmt::print("{}", text);
        return 0;
    }
    std::ofstream out(file, std::ios::binary);
    out << text;
    out.close();
    if (out) return 0;
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = "--export",
                       .found = printable(file),
                       .expected = "a file that can be written",
                       .example = "plan.json"});
}

int check_data(const Options& o) {
    const PlanTemplate p = plan_from_json(read_text_file(o.plan), o.plan);
    const CheckReport r = check_plan(p);
    fmt::print("{}: {} as {} over {} ranks, {} channels\n", o.plan, p.algorithm,
               name_of(p.collective), p.n, p.channels.size());
    if (!r.ok) {
        fmt::print("REJECTED: {}\n", r.problem);
        return 1;
    }
    fmt::print("proved: every output is the collective's{}, no cycle of waits, {} transfers\n",
               p.in_place_ok ? " (in place too)" : "", r.transfers);
    fmt::print("steps:  {}\norder fingerprint {:016x}, plan hash {:016x}\n", r.steps, r.fingerprint,
               p.hash());
    return 0;
}

int check_one(const Options& o) {
    const Collective collective = parse_collective(o.collective);
    const GroupShape shape = shape_from(o.ranks, o.per_host);
    AlgorithmParams params;
    params.channels = o.channels;
    params.root = o.root;
    const auto& row = find_algorithm(collective, o.algorithm);
    const PlanTemplate p = build_plan(collective, o.algorithm, shape, params);
    if (!o.export_to.empty()) return export_plan(p, o.export_to);
    const CheckReport r = check_plan(p);
    if (!o.edges)
        fmt::print("{} over {} ranks, {} a host, {} channels\n", p.algorithm, p.n, shape.per_host,
                   p.channels.size());
    if (!r.ok) {
        fmt::print("REJECTED: {}\n", r.problem);
        return 1;
    }
    const Binding b = bind_total(p, parse_bytes(o.size), 4);
    const EdgeBytes edges = edge_bytes(p, b);
    if (o.edges) {
        fmt::print("steps {}\n", r.steps);
        for (const auto& [edge, bytes] : edges)
            fmt::print("{} {} {}\n", edge.first, edge.second, bytes);
        return 0;
    }
    std::map<std::uint32_t, std::uint64_t> sent;
    std::uint64_t most = 0;
    for (const auto& [edge, bytes] : edges) most = std::max(most, sent[edge.first] += bytes);
    const double size = static_cast<double>(total_size(p, b).count());
    fmt::print("proved: every output is the collective's{}, no cycle of waits, {} transfers\n",
               p.in_place_ok ? " (in place too)" : "", r.transfers);
    fmt::print("steps:  {}    (textbook: {})\n", r.steps, row.make.steps);
    fmt::print("bytes:  {:.4f} S sent by the busiest rank, S the size    (textbook: {})\n",
               size > 0 ? static_cast<double>(most) / size : 0.0, row.make.bytes);
    if (!p.deterministic)
        fmt::print(
            "        sent point to point as proved; a switch reduces or multicasts what is in "
            "network, in its own order\n");
    if (reduces(collective) && p.n <= 64) {
        const std::uint32_t at = rooted(collective) ? p.root : 0;
        fmt::print("order:  unit 0 of channel 0 is {}\n", reduction_order(p, 0, at, 0));
    }
    fmt::print("order fingerprint {:016x}, plan hash {:016x}\n", r.fingerprint, p.hash());
    return 0;
}

int check_all() {
    int bad = 0;
    for (const auto& row : builtin_algorithms().rows()) {
        std::size_t plans = 0;
        for (const std::uint32_t n : {1U, 2U, 3U, 7U, 8U, 11U, 16U, 64U})
            for (std::uint32_t g = 1; g <= n; ++g) {
                if (n % g != 0) continue;
                for (const std::uint32_t channels : {1U, 2U, 5U}) {
                    AlgorithmParams params;
                    params.channels = channels;
                    const CheckReport r = check_plan(row.make.build(shape_from(n, g), params));
                    ++plans;
                    if (r.ok) continue;
                    ++bad;
                    fmt::print("REJECTED {} n {} g {} channels {}: {}\n", row.info.name, n, g,
                               channels, r.problem);
                }
            }
        fmt::print("{:<24} {} plans proved, n = 1, 2, 3, 7, 8, 11, 16, 64\n", row.info.name, plans);
    }
    return bad == 0 ? 0 : 1;
}

int list() {
    for (const auto& row : builtin_algorithms().rows())
        fmt::print("{:<24} {}\n{:<24} steps {}; sent {}; time {}\n{:<24} {}\n", row.info.name,
                   row.info.description, "", row.make.steps, row.make.bytes, row.make.time, "",
                   row.info.source);
    return 0;
}

}  // namespace

void add_check(CLI::App& app, std::function<int()>& run) {
    CLI::App* cmd = app.add_subcommand("check", kHelp);
    const auto o = std::make_shared<Options>();
    cmd->add_option("collective", o->collective,
                    "allreduce, allgather, reducescatter, alltoall, broadcast, sendrecv");
    cmd->add_option("--algorithm", o->algorithm,
                    "name from --list; default: the collective's first");
    cmd->add_option("--ranks", o->ranks, "ranks of the group; memory grows with their square")
        ->check(CLI::Range(1, 2048));
    cmd->add_option("--per-host", o->per_host, "ranks a host; default 8 where that divides, else 1")
        ->check(CLI::Range(1, 4096));
    cmd->add_option("--channels", o->channels, "default: the algorithm's own choice")
        ->check(CLI::Range(1, 64));
    cmd->add_option("--root", o->root, "root of broadcast and send/recv");
    cmd->add_option("--size", o->size, "nccl-tests size for bytes, elements of 4 B");
    cmd->add_flag("--edges", o->edges, "print steps, then source, destination and bytes");
    cmd->add_option("--plan", o->plan, "a Plan as JSON, instead of an algorithm");
    cmd->add_option("--export", o->export_to, "write the Plan as JSON to this file; -: print it");
    cmd->add_flag("--all", o->all, "prove every algorithm at several sizes");
    cmd->add_flag("--list", o->list, "list the algorithms");
    cmd->callback([o, &run] {
        run = [o] {
            if (o->list) return list();
            if (o->all) return check_all();
            return o->plan.empty() ? check_one(*o) : check_data(*o);
        };
    });
}

}  // namespace weft::tools
