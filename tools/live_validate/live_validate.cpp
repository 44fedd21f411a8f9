#include "tools/live_validate/live_validate.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <unistd.h>

#include "collectives/algorithms/algorithm.hpp"
#include "tools/bench/runner.hpp"
#include "tools/discover/gather.hpp"
#include "tools/flags.hpp"
#include "tools/launch/launch.hpp"
#include "tools/live_validate/namespaces.hpp"
#include "tools/live_validate/prediction.hpp"
#include "topology/io/document.hpp"
#include "topology/io/yaml.hpp"

namespace weft::tools {

namespace {

constexpr std::uint32_t kElement = 4;  // float

struct Row {
    std::string collective;
    Bytes size;
    double live = 0;  // seconds: the median of `seconds`
    std::vector<double> seconds;
    SimDuration simulated;
    std::uint64_t wrong = 0;
    std::string plan;
    std::uint64_t plan_hash = 0;
    [[nodiscard]] double error() const {
        return static_cast<double>(simulated.ps()) * 1e-12 / live - 1;
    }
};

[[noreturn]] void refuse(const char* key, const std::string& found, const std::string& expected,
                         const std::string& example) {
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = key,
                       .found = printable(found),
                       .expected = expected,
                       .example = example});
}

std::uint32_t whole_mbit(const Bandwidth nic) {
    constexpr std::int64_t kMega = 1'000'000;
    const std::int64_t mbit = nic.bits_per_second() / kMega;
    if (mbit * kMega != nic.bits_per_second() || mbit < 1 || mbit > 100'000)
        refuse("--rate", to_string(nic), "whole megabits per second, 1Mbps to 100Gbps", "250Mbps");
    return static_cast<std::uint32_t>(mbit);
}

void check_name(const std::string& name) {
    for (const char c : name)
        if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-' && c != '_')
            refuse("--take", name, "the name that the namespaces begin with", "lab");
}

Row measure(Runner& ranks, const LiveValidation& v, const std::string& name, Bytes size) {
    const PlanTemplate plan = live_plan(parse_collective(name), size, v.hosts);
    const Binding binding = bind_total(plan, size, kElement);
    const Answer answer = ranks.run({.collective = name,
                                     .count = binding.count,
                                     .dtype = "float",
                                     .op = "sum",
                                     .root = 0,
                                     .in_place = false,
                                     .warmup = v.warmup,
                                     .iterations = v.iterations,
                                     .check = true});
    if (answer.plan_hash != plan.hash())
        throw BenchFailed(
            fmt::format("the ranks ran another Plan than is simulated: {}", answer.plan));
    Row row{.collective = name,
            .size = total_size(plan, binding),
            .live = 0,
            .seconds = answer.seconds,
            .simulated = {},
            .wrong = answer.wrong,
            .plan = answer.plan,
            .plan_hash = answer.plan_hash};
    std::vector<double> ordered = row.seconds;
    std::sort(ordered.begin(), ordered.end());
    row.live = ordered[ordered.size() / 2];
    return row;
}

void print_head(const LiveValidation& v, const std::string& runner, Bandwidth nic) {
    fmt::print(
        "weft validate --live: {} hosts x 2 rails x 2 planes, {} a NIC; {}\n"
        "simulated: the same Plans, flow engine, ideal endpoint, {} of data a NIC (8948 of 9014 "
        "bytes)\n\n{:<14} {:>9} {:>11} {:>11} {:>11} {:>11} {:>9}  plan\n",
        v.hosts, to_string(nic), runner, to_string(goodput(nic)), "collective", "size", "live",
        "fastest", "slowest", "simulated", "error");
}

void print_row(const Row& r) {
    const auto ms = [](double seconds) { return fmt::format("{:.2f} ms", seconds * 1e3); };
    const auto [least, most] = std::minmax_element(r.seconds.begin(), r.seconds.end());
    fmt::print("{:<14} {:>9} {:>11} {:>11} {:>11} {:>11} {:>+7.1f} %  {}{}\n", r.collective,
               to_string(r.size), ms(r.live), ms(*least), ms(*most),
               ms(static_cast<double>(r.simulated.ps()) * 1e-12), 100 * r.error(), r.plan,
               r.wrong > 0 ? fmt::format("  {} WRONG ELEMENTS", r.wrong) : "");
    std::fflush(stdout);
}

/// By collective, then over all rows.
struct Verdict {
    double worst = 0;  // |error|
    double mean = 0;
    std::uint64_t wrong = 0;
};

Verdict verdict_of(const std::vector<Row>& rows, const std::string& collective = {}) {
    Verdict v;
    std::size_t counted = 0;
    for (const Row& r : rows) {
        if (!collective.empty() && r.collective != collective) continue;
        v.worst = std::max(v.worst, std::abs(r.error()));
        v.mean += std::abs(r.error());
        v.wrong += r.wrong;
        ++counted;
    }
    if (counted > 0) v.mean /= static_cast<double>(counted);
    return v;
}

void print_verdict(const LiveValidation& v, const std::vector<Row>& rows) {
    fmt::print("\n{:<14} {:>12} {:>12}\n", "|error|", "mean", "worst");
    for (const std::string& name : v.collectives) {
        const Verdict one = verdict_of(rows, name);
        fmt::print("{:<14} {:>10.1f} % {:>10.1f} %\n", name, 100 * one.mean, 100 * one.worst);
    }
    const Verdict all = verdict_of(rows);
    fmt::print("{:<14} {:>10.1f} % {:>10.1f} %\n", "all", 100 * all.mean, 100 * all.worst);
}

nlohmann::json json_of(const LiveValidation& v, Bandwidth nic, const std::string& fabric,
                       const std::vector<Row>& rows) {
    nlohmann::json list = nlohmann::json::array();
    for (const Row& r : rows)
        list.push_back({{"collective", r.collective},
                        {"size_bytes", r.size.count()},
                        {"live_s_median", r.live},
                        {"live_s", r.seconds},
                        {"simulated_ps", r.simulated.ps()},
                        {"error", r.error()},
                        {"wrong", r.wrong},
                        {"plan", r.plan},
                        {"plan_hash", r.plan_hash}});
    const Verdict all = verdict_of(rows);
    return {{"hosts", v.hosts},
            {"nic_bits_per_second", nic.bits_per_second()},
            {"data_bits_per_second", goodput(nic).bits_per_second()},
            {"fabric", fabric},
            {"rows", list},
            {"error_mean", all.mean},
            {"error_worst", all.worst}};
}

/// A limit that was given and is not kept: one line each.
bool beyond(const char* flag, const std::string& limit, double error) {
    if (limit.empty()) return false;
    if (error * 1e9 <= static_cast<double>(parse_flag(flag, limit, parse_share))) return false;
    fmt::print(stderr, "weft: {} {}: {:.1f} %\n", flag, limit, 100 * error);
    return true;
}

int judge(const LiveValidation& v, const std::vector<Row>& rows) {
    const Verdict all = verdict_of(rows);
    bool bad = all.wrong > 0;
    bad |= beyond("--within", v.within, all.worst);
    bad |= beyond("--mean-within", v.mean_within, all.mean);
    return bad ? 1 : 0;
}

constexpr const char* kPorts = "r0p0,r1p0,r0p1,r1p1";

std::string launch_in(const std::string& name) {
    return "ip netns exec " + name + "-%r env WEFT_HOST=host%r";
}

/// Of namespaces that others made: what stands in them. No driver knows what a port is shaped to.
std::string discovered_text(const LiveValidation& v, Bandwidth nic) {
    const Scratch scratch;
    const std::string file = scratch.path() + "/fabric.yaml";
    const std::string rate = fmt::format("{}bps", goodput(nic).bits_per_second());
    if (run_ranks(v.hosts, launch_in(v.take),
                  {"--quiet", "--interfaces", kPorts, "--rate", rate, "-o", file}) != 0)
        throw BenchFailed("the namespaces " + v.take + "-* cannot be discovered");
    return read_text_file(file);
}

int run_on(const LiveValidation& v, const std::string& name, Bandwidth nic) {
    const std::string text = v.take.empty() ? fabric_text(v.hosts, nic) : discovered_text(v, nic);
    const Fabric fabric = parse_fabric(text, "the namespace fabric");
    BenchConfig config;
    config.ranks = v.hosts;
    config.transport = "tcp";
    config.interfaces = kPorts;
    config.launch = launch_in(name);
    const std::unique_ptr<Runner> ranks = run_on_processes(config);
    if (!v.json) print_head(v, ranks->name(), nic);
    std::vector<Row> rows;
    for (const std::string& collective : v.collectives)
        for (const std::string& text : v.sizes) {
            Row& row = rows.emplace_back(
                measure(*ranks, v, collective, parse_flag("--sizes", text, parse_bytes)));
            row.simulated = simulated_time(
                fabric, live_plan(parse_collective(collective), row.size, v.hosts), row.size);
            if (!v.json) print_row(row);
        }
    if (v.json) fmt::print("{}\n", json_of(v, nic, text, rows).dump(2));
    if (!v.json) print_verdict(v, rows);
    return judge(v, rows);
}

}  // namespace

int validate_live(const LiveValidation& v) {
    const Bandwidth nic = parse_flag("--rate", v.rate, parse_bandwidth);
    const std::uint32_t mbit = whole_mbit(nic);
    check_name(v.take);
    for (const std::string& c : v.collectives) (void)parse_collective(c);
    for (const std::string& s : v.sizes)
        if (parse_flag("--sizes", s, parse_bytes).count() < std::int64_t{kElement} * v.hosts)
            refuse("--sizes", s, "at least one element a host", "16MiB");
    try {
        const std::string name =
            v.take.empty() ? fmt::format("weft-validate-{}", ::getpid()) : v.take;
        std::optional<NamespaceFabric> made;
        if (v.take.empty()) made.emplace(name, v.hosts, mbit);
        return run_on(v, name, nic);
    } catch (const ConfigError&) {
        throw;
    } catch (const std::runtime_error& e) {
        fmt::print(stderr, "weft: validate --live: {}\n", e.what());
        return 1;
    }
}

}  // namespace weft::tools
