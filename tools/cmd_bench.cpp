// weft bench: runs a collective live and prints what nccl-tests prints. The ranks are processes, or
// threads of this one (inproc). Time of one iteration = the slowest rank's; the table shows the
// median iteration. With --against another library's processes take turns with ours, size by size.
// busbw = algbw x the factor of nccl-tests' doc/PERFORMANCE.md (2(n-1)/n for all-reduce, ...).
#include <algorithm>
#include <cstdio>
#include <fmt/format.h>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <unistd.h>
#include <vector>

#include "base/units.hpp"
#include "collectives/algorithms/algorithm.hpp"
#include "collectives/plan/plan.hpp"
#include "collectives/runtime/data_type.hpp"
#include "collectives/transport/fault/fault.hpp"
#include "tools/bench/runner.hpp"
#include "tools/bench_data.hpp"
#include "tools/commands.hpp"

namespace weft::tools {

namespace {

constexpr const char* kFooter = R"(
Columns are nccl-tests': size is the total (for allgather, reducescatter and alltoall: of all
blocks), count the elements of the vector or of one block, algbw = size / time, busbw = algbw x
2(n-1)/n (allreduce), (n-1)/n (allgather, reducescatter, alltoall) or 1: what a link must carry.
#wrong counts elements that are not bit for bit what they must be; any makes the exit status 1.

With processes four columns follow: the fastest iteration and the 99th percentile in us, CPU seconds
a GB (of size, all ranks together), and which Plan ran. With --against: the other library's median
and fastest, and its median over ours (above 1: ours is faster). From 64 MiB on inside one host
`roof` is the share of the memory roofline that was reached: the time in which the same processes,
all at once, copy past the caches every input read once and every output written once, over ours.

Examples
  weft bench allreduce -n 4                             8 B to 64 MiB, float, sum, shared memory
  weft bench allreduce -n 2 --against openmpi           in turns with Open MPI
  weft bench alltoall -n 4 --against gloo               in turns with Gloo, over loopback TCP
  weft bench allreduce -n 4 --transport tcp --interfaces r0p0,r1p0,r0p1,r1p1
      --launch 'ip netns exec lv%r'                     each rank in a network namespace
  weft bench allreduce -n 4 --fault 'seed=7; drop=0.1%; late=0.1%; kill lane=0 at=1s lasts=100ms'
                                                        under faults (transport/fault/fault.hpp)
  weft bench allreduce -n 8 -b 1MiB -e 1MiB --dtype bfloat16 --op avg
  weft bench alltoall -n 4 --algorithm rail --channels 2)";

[[noreturn]] void refuse(const char* key, const std::string& found, const std::string& expected,
                         const std::string& example) {
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = key,
                       .found = found,
                       .expected = expected,
                       .example = example});
}

void print_header(const BenchConfig& config, const std::string& runner, const std::string& peer) {
    const bool processes = config.transport != "inproc";
    fmt::print("# weft bench {}: {} {}{}\n", config.collective, config.ranks, runner,
               peer.empty() ? "" : ", in turns with " + peer);
    fmt::print(
        "# minBytes {} maxBytes {} step: {}(factor) warmup iters: {} iters: {} (median) "
        "validation: {}\n#\n",
        parse_bytes(config.min_size).count(), parse_bytes(config.max_size).count(), config.factor,
        config.warmup, config.iterations, config.check ? 1 : 0);
    fmt::print("# {:>53}  {:^33}  {:^33}\n", "", "out-of-place", "in-place");
    const char* columns = "{:>9} {:>7} {:>7} {:>7}";
    const auto group = [&](const char* a, const char* b, const char* c, const char* d) {
        return fmt::format(fmt::runtime(columns), a, b, c, d);
    };
    const auto more = [&](const char* a, const char* b, const char* c) {
        return processes ? fmt::format("  {:>9} {:>9} {:>7}", a, b, c) : std::string();
    };
    const auto peers = [&](const char* a, const char* b, const char* c) {
        return peer.empty() ? std::string() : fmt::format("  {:>9} {:>9} {:>6}", a, b, c);
    };
    fmt::print("#{:>11}  {:>12}  {:>8}  {:>6}  {:>6}  {}  {}{}{}{}\n", "size", "count", "type",
               "redop", "root", group("time", "algbw", "busbw", "#wrong"),
               group("time", "algbw", "busbw", "#wrong"), more("min", "p99", "CPU"),
               peers("peer", "its min", "ratio"), processes ? "   roof  plan" : "");
    fmt::print("#{:>11}  {:>12}  {:>8}  {:>6}  {:>6}  {}  {}{}{}\n", "(B)", "(elements)", "", "",
               "", group("(us)", "(GB/s)", "(GB/s)", ""), group("(us)", "(GB/s)", "(GB/s)", ""),
               more("(us)", "(us)", "(s/GB)"), peers("(us)", "(us)", ""));
}

std::string time_text(double us) {
    const int digits = us < 100 ? 2 : us < 10000 ? 1 : 0;
    return fmt::format("{:.{}f}", us, digits);
}

/// Of times in seconds, the one below which a share of them lies.
double quantile(std::vector<double> times, double share) {
    if (times.empty()) return 0;
    const auto last = static_cast<double>(times.size() - 1);
    const auto at = times.begin() + static_cast<std::ptrdiff_t>(share * last + 0.5);
    std::nth_element(times.begin(), at, times.end());
    return *at;
}

void append(Answer& all, const Answer& more) {
    all.seconds.insert(all.seconds.end(), more.seconds.begin(), more.seconds.end());
    all.cpu_seconds += more.cpu_seconds;
    all.wrong += more.wrong;
    all.plan = more.plan;
}

/// The runners of one table.
struct Bench {
    const BenchConfig& config;
    PlanTemplate plan;  // what the buffers are
    std::unique_ptr<Runner> ours;
    std::unique_ptr<Runner> peer;
    nlohmann::json rows = nlohmann::json::array();
    std::uint64_t wrong = 0;
    double busbw = 0;  // sum over `measured`
    int measured = 0;
};

struct Figures {
    Answer ours;
    Answer peer;
    double roofline_s = 0;  // 0: not measured
};

constexpr Bytes kRooflineFrom{std::int64_t{64} << 20};

/// The time in which all ranks together can read every input and write every output once.
double measure_roofline(Bench& b, std::uint64_t count) {
    const BenchCase c{
        .plan = &b.plan, .count = count, .dtype = live::parse_data_type(b.config.dtype)};
    std::uint64_t elements = 0;
    for (std::uint32_t r = 0; r < b.config.ranks; ++r)
        elements += elements_of(c, Buffer::kInput, r) + elements_of(c, Buffer::kOutput, r);
    const std::uint64_t bytes = elements * live::size_of(c.dtype) / b.config.ranks / 2;
    const Answer a = b.ours->run({.collective = kCopy,
                                  .count = bytes / sizeof(float),
                                  .warmup = 2,
                                  .iterations = std::max(5U, b.config.iterations / 4)});
    return quantile(a.seconds, 0.5);
}

/// Ours and the peer's in turns, so that what else the machine does befalls both.
Figures measure(Bench& b, std::uint64_t count, bool in_place) {
    const BenchConfig& c = b.config;
    const std::uint32_t rounds = b.peer ? c.rounds : 1;
    Job job{.collective = name_of(b.plan.collective),
            .count = count,
            .dtype = c.dtype,
            .op = c.op,
            .root = c.root,
            .in_place = in_place,
            .warmup = c.warmup,
            .iterations = std::max(1U, c.iterations / rounds),
            .check = c.check};
    Figures f;
    for (std::uint32_t i = 0; i < rounds; ++i) {
        append(f.ours, b.ours->run(job));
        if (b.peer) append(f.peer, b.peer->run(job));
    }
    const Binding binding{
        count, static_cast<std::uint32_t>(live::size_of(live::parse_data_type(c.dtype))), false};
    const bool one_host = c.transport == "shm" || c.transport == "auto";
    if (one_host && !in_place && total_size(b.plan, binding) >= kRooflineFrom)
        f.roofline_s = measure_roofline(b, count);
    b.wrong += f.ours.wrong;
    return f;
}

/// The four columns of one way of placing.
std::string figures_text(Bench& b, const Answer& a, Bytes size) {
    const double factor = busbw_factor(b.plan.collective, b.config.ranks);
    const double seconds = quantile(a.seconds, 0.5);
    const double algbw = seconds > 0 ? static_cast<double>(size.count()) / seconds / 1e9 : 0.0;
    b.busbw += algbw * factor;
    ++b.measured;
    return fmt::format("{:>9} {:>7.2f} {:>7.2f} {:>7}", time_text(seconds * 1e6), algbw,
                       algbw * factor, b.config.check ? std::to_string(a.wrong) : "N/A");
}

nlohmann::json row_of(const Bench& b, const Figures& f, Bytes size, bool in_place) {
    nlohmann::json row{{"size_bytes", size.count()},
                       {"in_place", in_place},
                       {"time_s_median", quantile(f.ours.seconds, 0.5)},
                       {"time_s_min", quantile(f.ours.seconds, 0)},
                       {"time_s_p99", quantile(f.ours.seconds, 0.99)},
                       {"cpu_s", f.ours.cpu_seconds},
                       {"iterations", f.ours.seconds.size()},
                       {"wrong", f.ours.wrong},
                       {"plan", f.ours.plan}};
    if (f.roofline_s > 0) row["roofline_s"] = f.roofline_s;
    if (b.peer)
        row["peer"] = {{"name", b.peer->name()},
                       {"time_s_median", quantile(f.peer.seconds, 0.5)},
                       {"time_s_min", quantile(f.peer.seconds, 0)},
                       {"cpu_s", f.peer.cpu_seconds}};
    return row;
}

/// What follows nccl-tests' columns, about the out-of-place runs.
std::string extra_text(const Bench& b, const Figures& f, Bytes size) {
    if (b.config.transport == "inproc") return {};
    const double bytes =
        static_cast<double>(size.count()) * static_cast<double>(f.ours.seconds.size());
    std::string text =
        fmt::format("  {:>9} {:>9} {:>7.2f}", time_text(quantile(f.ours.seconds, 0) * 1e6),
                    time_text(quantile(f.ours.seconds, 0.99) * 1e6),
                    bytes > 0 ? f.ours.cpu_seconds / bytes * 1e9 : 0.0);
    if (b.peer) {
        const double theirs = quantile(f.peer.seconds, 0.5);
        const double ours = quantile(f.ours.seconds, 0.5);
        text += fmt::format("  {:>9} {:>9} {:>6.2f}", time_text(theirs * 1e6),
                            time_text(quantile(f.peer.seconds, 0) * 1e6),
                            ours > 0 ? theirs / ours : 0.0);
    }
    const double ours = quantile(f.ours.seconds, 0.5);
    text += f.roofline_s > 0 && ours > 0 ? fmt::format("  {:>5.2f}", f.roofline_s / ours)
                                         : fmt::format("  {:>5}", "-");
    return text + "  " + f.ours.plan;
}

void run_size(Bench& b, std::int64_t size) {
    const live::DataType dtype = live::parse_data_type(b.config.dtype);
    const Binding binding =
        bind_total(b.plan, Bytes{size}, static_cast<std::uint32_t>(live::size_of(dtype)));
    const Bytes total = total_size(b.plan, binding);
    const Figures out = measure(b, binding.count, false);
    std::string line = figures_text(b, out.ours, total);
    b.rows.push_back(row_of(b, out, total, false));
    if (b.plan.in_place_ok) {
        const Figures in = measure(b, binding.count, true);
        line += "  " + figures_text(b, in.ours, total);
        b.rows.push_back(row_of(b, in, total, true));
    } else {
        line += fmt::format("  {:>33}", "");
    }
    fmt::print("{:>12}  {:>12}  {:>8}  {:>6}  {:>6}  {}{}\n", total.count(), binding.count,
               live::name_of(dtype), reduces(b.plan.collective) ? b.config.op : "none",
               rooted(b.plan.collective) ? std::to_string(b.config.root) : "-1", line,
               extra_text(b, out, total));
    std::fflush(stdout);
}

/// Prints the table and writes the JSON; returns the exit status.
int run_table(Bench& b) {
    const BenchConfig& c = b.config;
    const std::int64_t last = parse_bytes(c.max_size).count();
    for (std::int64_t size = parse_bytes(c.min_size).count(); size <= last;
         size = std::max<std::int64_t>(size * c.factor, 1))
        run_size(b, size);
    fmt::print("# Out of bounds values : {} {}\n", b.wrong, b.wrong == 0 ? "OK" : "FAILED");
    fmt::print("# Avg bus bandwidth    : {:.4g}\n", b.measured > 0 ? b.busbw / b.measured : 0.0);
    if (!c.json.empty()) {
        const nlohmann::json all{
            {"collective", c.collective}, {"ranks", c.ranks}, {"transport", c.transport},
            {"dtype", c.dtype},           {"op", c.op},       {"rows", b.rows}};
        std::ofstream file(c.json);
        file << all.dump(2) << "\n";
        if (!file.flush()) refuse("--json", c.json, "a file that can be written", "bench.json");
    }
    return b.wrong == 0 ? 0 : 1;
}

void validate(const BenchConfig& c) {
    const bool known = c.transport == "inproc" || c.transport == "shm" || c.transport == "tcp" ||
                       c.transport == "auto";
    if (!known) refuse("--transport", c.transport, "shm, tcp, auto or inproc", "shm");
    (void)live::parse_fault_plan(c.fault);
    const bool threads = c.transport == "inproc";
    if (threads && !c.against.empty())
        refuse("--against", c.against, "ranks that are processes", "--transport shm");
    if (!threads && (c.channels > 0 || c.per_host > 0))
        refuse("--channels, --per-host", "one of them", "--transport inproc with them", "inproc");
    if (c.rounds < 1 || c.rounds > 1000)
        refuse("--rounds", std::to_string(c.rounds), "1 to 1000", "3");
    if (c.ranks < 1) refuse("-n", std::to_string(c.ranks), "at least 1 rank", "4");
    if (c.factor < 2) refuse("-f", std::to_string(c.factor), "a factor of at least 2", "2");
    if (c.iterations < 1) refuse("--iters", "0", "at least 1 timed iteration", "20");
    if (c.planes < 1 || c.planes > 16)
        refuse("--planes", std::to_string(c.planes), "1 to 16 lanes per pair of ranks", "2");
    if (parse_bytes(c.max_size) > Bytes{std::int64_t{1} << 40})
        refuse("-e", c.max_size, "at most 1 TiB", "64MiB");
    if (c.factor > 1024) refuse("-f", std::to_string(c.factor), "at most 1024", "2");
    if (parse_bytes(c.min_size) > parse_bytes(c.max_size))
        refuse("-b", c.min_size, "a size of at most -e (" + c.max_size + ")", "8B");
    if (c.root >= c.ranks)
        refuse("--root", std::to_string(c.root), fmt::format("a rank below {}", c.ranks), "0");
}

/// Two buffers a rank, each as large as the larger of input and output.
void check_memory(const BenchConfig& config, const PlanTemplate& plan) {
    const live::DataType dtype = live::parse_data_type(config.dtype);
    const std::size_t element = live::size_of(dtype);
    const Binding b =
        bind_total(plan, parse_bytes(config.max_size), static_cast<std::uint32_t>(element));
    const BenchCase c{
        .plan = &plan, .count = b.count, .dtype = dtype, .op = live::parse_reduce_op(config.op)};
    std::uint64_t need = 0;
    for (std::uint32_t r = 0; r < config.ranks; ++r)
        need += 2 * element *
                std::max(elements_of(c, Buffer::kInput, r), elements_of(c, Buffer::kOutput, r));
    const std::uint64_t have = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                               static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    if (need > have)
        refuse("-e", config.max_size,
               fmt::format("a size whose buffers ({} for {} ranks) fit into {} of memory",
                           to_string(Bytes{static_cast<std::int64_t>(need)}), config.ranks,
                           to_string(Bytes{static_cast<std::int64_t>(have)})),
               "64MiB");
}

int run_bench(const BenchConfig& config) {
    validate(config);
    Bench b{.config = config, .plan = bench_plan(config), .ours = {}, .peer = {}};
    check_memory(config, b.plan);
    try {
        b.ours = config.transport == "inproc" ? run_on_threads(config, b.plan)
                                              : run_on_processes(config);
        if (!config.against.empty()) b.peer = run_on_peer(config);
        print_header(config, b.ours->name(), b.peer ? b.peer->name() : "");
        return run_table(b);
    } catch (const BenchFailed& e) {
        fmt::print(stderr, "weft: {}\n", e.what());
        return 1;
    }
}

}  // namespace

/// The ranks of one process are like the GPUs of one host, unless --per-host says otherwise.
PlanTemplate bench_plan(const BenchConfig& c) {
    const std::uint32_t per_host = c.per_host > 0 ? c.per_host : c.ranks;
    if (c.ranks % per_host != 0)
        refuse("--per-host", std::to_string(per_host),
               fmt::format("a divisor of the {} ranks", c.ranks), "1");
    const GroupShape shape{.n = c.ranks,
                           .uniform = true,
                           .per_host = per_host,
                           .hosts = c.ranks / per_host,
                           .planes = c.planes,
                           .nics_per_rank = 1};
    AlgorithmParams params;
    params.channels = c.channels;
    params.root = c.root;
    return build_plan(parse_collective(c.collective), c.algorithm, shape, params);
}

void add_bench(CLI::App& app, std::function<int()>& run) {
    auto config = std::make_shared<BenchConfig>();
    CLI::App* cmd = app.add_subcommand(
        "bench", "Run a collective live; nccl-tests' columns, other libraries beside.");
    cmd->footer(kFooter);
    cmd->add_option("collective", config->collective,
                    "allreduce, allgather, reducescatter, alltoall, broadcast or sendrecv")
        ->capture_default_str();
    cmd->add_option("-n,--ranks", config->ranks, "ranks")->capture_default_str();
    cmd->add_option("--transport", config->transport,
                    "shm, tcp or auto: ranks are processes; inproc: threads")
        ->capture_default_str();
    cmd->add_option("-b,--min-size", config->min_size, "first size, with unit")
        ->capture_default_str();
    cmd->add_option("-e,--max-size", config->max_size, "last size, with unit")
        ->capture_default_str();
    cmd->add_option("-f,--factor", config->factor, "each size is this many times the one before")
        ->capture_default_str();
    cmd->add_option("--algorithm", config->algorithm, "by name; default: the collective's first");
    cmd->add_option("--channels", config->channels, "0: the algorithm's own number")
        ->capture_default_str();
    cmd->add_option("--dtype", config->dtype,
                    "float, double, bfloat16, half, f8e4m3, f8e5m2, int8, uint8, int32, uint32, "
                    "int64, uint64")
        ->capture_default_str();
    cmd->add_option("--op", config->op, "sum, prod, min, max, avg")->capture_default_str();
    cmd->add_option("--root", config->root, "broadcast's source")->capture_default_str();
    cmd->add_option("--planes", config->planes, "lanes between two ranks")->capture_default_str();
    cmd->add_option("--per-host", config->per_host,
                    "ranks that a hierarchical algorithm takes as one host; 0: all")
        ->capture_default_str();
    cmd->add_option("--warmup", config->warmup, "untimed iterations")->capture_default_str();
    cmd->add_option("--iters", config->iterations, "timed iterations")->capture_default_str();
    cmd->add_option("--interfaces", config->interfaces,
                    "NIC ports, interface[:rail:plane],...; default: loopback");
    cmd->add_option("--fault", config->fault,
                    "faults that messages meet, as \"seed=7; drop=1%; kill lane=1 at=5ms\"");
    cmd->add_option("--launch", config->launch, "put before each rank's command; %r is the rank");
    cmd->add_option("--against", config->against,
                    "openmpi (shared memory), openmpi-ucx, openmpi-tcp or gloo, in turns");
    cmd->add_option("--rounds", config->rounds, "turns of each library")->capture_default_str();
    cmd->add_option("--json", config->json, "write all figures to this file");
    cmd->add_flag("--check,!--no-check", config->check, "compare every element; on by default");
    cmd->callback([config, &run] { run = [config] { return run_bench(*config); }; });
}

}  // namespace weft::tools
