// weft bench: runs a collective live and prints what nccl-tests prints. The ranks are threads of
// this process. Time of one iteration = the slowest rank's; the table shows the median iteration.
// busbw = algbw x the factor of nccl-tests' doc/PERFORMANCE.md (2(n-1)/n for all-reduce, ...).
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fmt/format.h>
#include <memory>
#include <optional>
#include <string>
#include <unistd.h>
#include <vector>

#include "base/units.hpp"
#include "collectives/algorithms/algorithm.hpp"
#include "collectives/plan/plan.hpp"
#include "collectives/runtime/communicator.hpp"
#include "collectives/transport/rank_threads.hpp"
#include "collectives/transport/transport.hpp"
#include "tools/bench_data.hpp"
#include "tools/commands.hpp"

namespace weft::tools {

namespace {

constexpr const char* kFooter = R"(
Columns are nccl-tests': size is the total (for allgather, reducescatter and alltoall: of all
blocks), count the elements of the vector or of one block, algbw = size / time, busbw = algbw x
2(n-1)/n (allreduce), (n-1)/n (allgather, reducescatter, alltoall) or 1: what a link must carry.
#wrong counts elements that are not bit for bit what they must be; any makes the exit status 1.

Examples
  weft bench allreduce -n 4                             8 B to 64 MiB, float, sum
  weft bench allreduce -n 8 -b 1MiB -e 1MiB --dtype bfloat16 --op avg
  weft bench alltoall -n 4 --algorithm rail --channels 2)";

struct Config {
    std::string collective = "allreduce";
    std::uint32_t ranks = 2;
    std::string transport = "inproc";
    std::string min_size = "8B";
    std::string max_size = "64MiB";
    std::uint32_t factor = 2;
    std::string algorithm;
    std::string dtype = "float";
    std::string op = "sum";
    std::uint32_t root = 0;
    std::uint32_t channels = 0;
    std::uint32_t planes = 2;
    std::uint32_t per_host = 0;
    std::uint32_t warmup = 5;
    std::uint32_t iterations = 20;
    bool check = true;
};

[[noreturn]] void refuse(const char* key, const std::string& found, const std::string& expected,
                         const std::string& example) {
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = key,
                       .found = found,
                       .expected = expected,
                       .example = example});
}

/// The ranks of one process are like the GPUs of one host, unless --per-host says otherwise.
PlanTemplate bench_plan(const Config& c) {
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

/// The world, a plan per rank, and a communicator per rank, for one run of the tool.
class Bench {
  public:
    Bench(const Config& config, PlanTemplate plan);
    /// Median time in seconds of one size, and the number of wrong elements when checked.
    struct Figures {
        double seconds = 0;
        std::optional<std::uint64_t> wrong;
    };
    [[nodiscard]] Figures measure(std::uint64_t count, bool in_place);
    [[nodiscard]] const PlanTemplate& plan() const { return plan_; }
    [[nodiscard]] live::DataType dtype() const { return dtype_; }
    [[nodiscard]] live::ReduceOp op() const { return op_; }

  private:
    using Memory = std::unique_ptr<std::byte[]>;
    struct Rank {
        live::Member member;
        std::unique_ptr<live::Engine> engine;
        std::unique_ptr<live::Communicator> communicator;
        std::unique_ptr<live::PreparedPlan> plan;
        Memory input;
        Memory output;
        std::size_t input_bytes = 0;
        std::size_t output_bytes = 0;
        std::vector<double> seconds;  // of each timed iteration
        std::uint64_t wrong = 0;
        std::optional<LiveError> error;
    };
    void run_rank(std::uint32_t r, const BenchCase& c, bool in_place);
    [[nodiscard]] live::UserBuffers buffers_of(Rank& rank, std::uint32_t r, const BenchCase& c,
                                               bool in_place);
    void fail_if_any_failed() const;

    const Config& config_;
    PlanTemplate plan_;
    live::DataType dtype_;
    live::ReduceOp op_;
    std::unique_ptr<live::Transport> transport_;
    std::vector<Rank> ranks_;
};

/// A collective that did not complete: the run failed, exit status 1.
class BenchFailed : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

Bench::Bench(const Config& config, PlanTemplate plan)
    : config_(config),
      plan_(std::move(plan)),
      dtype_(live::parse_data_type(config.dtype)),
      op_(live::parse_reduce_op(config.op)),
      transport_(live::transports()
                     .at(config.transport)
                     .make({.ranks = config.ranks, .planes = config.planes})),
      ranks_(config.ranks) {
    const auto deadline = live::Clock::now() + std::chrono::seconds(30);
    live::run_ranks(config.ranks, [&](std::uint32_t r) {
        Rank& rank = ranks_[r];
        auto member = transport_->open(r, deadline);
        if (!member) throw BenchFailed(to_string(member.error()));
        rank.member = std::move(member.value());
        rank.engine = std::make_unique<live::Engine>(*rank.member.control, *rank.member.endpoint);
        rank.communicator = std::make_unique<live::Communicator>(*rank.engine);
        rank.plan = std::make_unique<live::PreparedPlan>(plan_, r);
    });
}

live::UserBuffers Bench::buffers_of(Rank& rank, std::uint32_t r, const BenchCase& c,
                                    bool in_place) {
    const std::size_t size = live::size_of(c.dtype);
    const auto grow = [](Memory& memory, std::size_t& have, std::size_t need) {
        if (have >= need && memory) return;
        memory = std::make_unique<std::byte[]>(std::max<std::size_t>(need, 1));
        have = need;
    };
    // In place, one buffer serves as both; the larger of the two has room for either.
    const std::uint64_t larger =
        std::max(elements_of(c, Buffer::kInput, r), elements_of(c, Buffer::kOutput, r));
    grow(rank.input, rank.input_bytes, larger * size);
    if (!in_place) {
        grow(rank.output, rank.output_bytes, larger * size);
        return {rank.input.get(), rank.output.get()};
    }
    std::byte* base = rank.input.get();
    std::byte* own = base + r * c.count * size;
    if (plan_.collective == Collective::kAllGather) return {own, base};
    if (plan_.collective == Collective::kReduceScatter) return {base, own};
    return {base, base};
}

void Bench::run_rank(std::uint32_t r, const BenchCase& c, bool in_place) {
    Rank& rank = ranks_[r];
    const live::UserBuffers buffers = buffers_of(rank, r, c, in_place);
    const live::Call call{.buffers = buffers, .count = c.count, .dtype = c.dtype, .op = c.op};
    const auto once = [&] {
        const Status s = rank.communicator->run(*rank.plan, call);
        if (!s) rank.error = s.error();
        return s.ok();
    };
    rank.seconds.clear();
    rank.wrong = 0;
    fill_input(c, r, const_cast<void*>(buffers.input));
    if (!once()) return;
    if (config_.check) rank.wrong = count_wrong(c, r, buffers.output);
    for (std::uint32_t i = 0; i < config_.warmup; ++i)
        if (!once()) return;
    for (std::uint32_t i = 0; i < config_.iterations; ++i) {
        const auto start = live::Clock::now();
        if (!once()) return;
        rank.seconds.push_back(std::chrono::duration<double>(live::Clock::now() - start).count());
    }
}

void Bench::fail_if_any_failed() const {
    // Most ranks only say that another one gave up; that one knows more.
    const LiveError* best = nullptr;
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
        const auto& e = ranks_[r].error;
        if (e && (best == nullptr || e->what.find("gave up") == std::string::npos)) best = &*e;
    }
    if (best != nullptr) throw BenchFailed(to_string(*best));
}

Bench::Figures Bench::measure(std::uint64_t count, bool in_place) {
    const BenchCase c{.plan = &plan_, .count = count, .dtype = dtype_, .op = op_};
    live::run_ranks(config_.ranks, [&](std::uint32_t r) { run_rank(r, c, in_place); },
                    {.pin = true});
    fail_if_any_failed();
    Figures f;
    std::vector<double> slowest(config_.iterations, 0.0);
    std::uint64_t wrong = 0;
    for (const Rank& rank : ranks_) {
        for (std::size_t i = 0; i < slowest.size(); ++i)
            slowest[i] = std::max(slowest[i], rank.seconds[i]);
        wrong += rank.wrong;
    }
    const auto middle = slowest.begin() + static_cast<std::ptrdiff_t>(slowest.size() / 2);
    std::nth_element(slowest.begin(), middle, slowest.end());
    f.seconds = *middle;
    if (config_.check) f.wrong = wrong;
    return f;
}

bool reduces(Collective c) {
    return c == Collective::kAllReduce || c == Collective::kReduceScatter;
}

void print_header(const Config& config, const Bench& bench) {
    fmt::print("# weft bench {}: {} ranks, transport {}, algorithm {}, {} channel{}\n",
               config.collective, config.ranks, config.transport, bench.plan().algorithm,
               bench.plan().channels.size(), bench.plan().channels.size() == 1 ? "" : "s");
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
    fmt::print("#{:>11}  {:>12}  {:>8}  {:>6}  {:>6}  {}  {}\n", "size", "count", "type", "redop",
               "root", group("time", "algbw", "busbw", "#wrong"),
               group("time", "algbw", "busbw", "#wrong"));
    fmt::print("#{:>11}  {:>12}  {:>8}  {:>6}  {:>6}  {}  {}\n", "(B)", "(elements)", "", "", "",
               group("(us)", "(GB/s)", "(GB/s)", ""), group("(us)", "(GB/s)", "(GB/s)", ""));
}

std::string time_text(double us) {
    const int digits = us < 100 ? 2 : us < 10000 ? 1 : 0;
    return fmt::format("{:.{}f}", us, digits);
}

/// The four columns of one way of placing; adds its bus bandwidth to `sum`.
std::string figures_text(const Bench::Figures& f, Bytes size, double factor, double& sum) {
    const double algbw = f.seconds > 0 ? static_cast<double>(size.count()) / f.seconds / 1e9 : 0.0;
    sum += algbw * factor;
    return fmt::format("{:>9} {:>7.2f} {:>7.2f} {:>7}", time_text(f.seconds * 1e6), algbw,
                       algbw * factor, f.wrong ? std::to_string(*f.wrong) : "N/A");
}

/// Prints the table; returns the number of wrong elements.
std::uint64_t run_table(const Config& config, Bench& bench) {
    const PlanTemplate& plan = bench.plan();
    const auto element = static_cast<std::uint32_t>(live::size_of(bench.dtype()));
    const double factor = busbw_factor(plan.collective, config.ranks);
    const std::int64_t last = parse_bytes(config.max_size).count();
    const bool both = plan.in_place_ok;
    std::uint64_t wrong = 0;
    double busbw = 0;
    int measured = 0;
    for (std::int64_t size = parse_bytes(config.min_size).count(); size <= last;
         size = std::max<std::int64_t>(size * config.factor, 1)) {
        const Binding b = bind_total(plan, Bytes{size}, element);
        const Bytes total = total_size(plan, b);
        const Bench::Figures out = bench.measure(b.count, false);
        std::string line = figures_text(out, total, factor, busbw);
        wrong += out.wrong.value_or(0);
        ++measured;
        if (both) {
            const Bench::Figures in = bench.measure(b.count, true);
            line += "  " + figures_text(in, total, factor, busbw);
            wrong += in.wrong.value_or(0);
            ++measured;
        }
        const bool rooted = plan.collective == Collective::kBroadcast;
        fmt::print("{:>12}  {:>12}  {:>8}  {:>6}  {:>6}  {}\n", total.count(), b.count,
                   live::name_of(bench.dtype()),
                   reduces(plan.collective) ? live::name_of(bench.op()) : "none",
                   rooted ? std::to_string(plan.root) : "-1", line);
        std::fflush(stdout);
    }
    fmt::print("# Out of bounds values : {} {}\n", wrong, wrong == 0 ? "OK" : "FAILED");
    fmt::print("# Avg bus bandwidth    : {:.4g}\n", measured > 0 ? busbw / measured : 0.0);
    return wrong;
}

void validate(const Config& c) {
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
void check_memory(const Config& config, const Bench& bench) {
    const PlanTemplate& plan = bench.plan();
    const std::size_t element = live::size_of(bench.dtype());
    const Binding b =
        bind_total(plan, parse_bytes(config.max_size), static_cast<std::uint32_t>(element));
    const BenchCase c{.plan = &plan, .count = b.count, .dtype = bench.dtype(), .op = bench.op()};
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

int run_bench(const Config& config) {
    validate(config);
    Bench bench(config, bench_plan(config));
    check_memory(config, bench);
    print_header(config, bench);
    try {
        return run_table(config, bench) == 0 ? 0 : 1;
    } catch (const BenchFailed& e) {
        fmt::print(stderr, "weft: {}\n", e.what());
        return 1;
    }
}

}  // namespace

void add_bench(CLI::App& app, std::function<int()>& run) {
    auto config = std::make_shared<Config>();
    CLI::App* cmd = app.add_subcommand(
        "bench", "Run a collective live, ranks as threads; nccl-tests' columns.");
    cmd->footer(kFooter);
    cmd->add_option("collective", config->collective,
                    "allreduce, allgather, reducescatter, alltoall, broadcast or sendrecv")
        ->capture_default_str();
    cmd->add_option("-n,--ranks", config->ranks, "ranks, each a thread")->capture_default_str();
    cmd->add_option("--transport", config->transport, "how bytes move between ranks")
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
    cmd->add_flag("--check,!--no-check", config->check, "compare every element; on by default");
    cmd->callback([config, &run] { run = [config] { return run_bench(*config); }; });
}

}  // namespace weft::tools
