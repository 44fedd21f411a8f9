// weft-live-product: every collective x type x reduction x number of ranks x in place or not x size
// x transport, live, bit for bit against the reference order. `--help` for what can be left out.
// Ranks are threads, each joined as a process is; they run one case after the other in step.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <barrier>
#include <chrono>
#include <cstdio>
#include <fmt/format.h>
#include <mutex>
#include <string>
#include <vector>

#include "collectives/select/live.hpp"
#include "tests/support/reference.hpp"
#include "tests/support/world_threads.hpp"

namespace weft::test {
namespace {

using live::CollectiveCall;
using live::Comm;
using live::DataType;
using live::ReduceOp;

constexpr std::array kTried{Collective::kAllReduce,     Collective::kAllGather,
                            Collective::kReduceScatter, Collective::kAllToAll,
                            Collective::kBroadcast,     Collective::kReduce,
                            Collective::kGather,        Collective::kScatter};
constexpr std::array kOps{ReduceOp::kSum, ReduceOp::kProd, ReduceOp::kMin,
                          ReduceOp::kMax, ReduceOp::kAvg,  ReduceOp::kPreMulSum};

struct Options {
    std::vector<std::string> transports{"shm", "tcp"};
    std::vector<std::uint32_t> ranks{1, 2, 3, 4, 7, 8, 16};
    std::uint32_t every = 1;  // only every so many-th case
    bool medium = true;       // the pairwise array at 1 MiB + 3
    bool large = true;        // 64 MiB
};

struct Case {
    Collective collective = Collective::kAllReduce;
    ReferenceJob job;
    std::uint32_t root = 0;
    bool waits = true;  // blocking
    [[nodiscard]] std::string text(std::uint32_t n, const std::string& transport) const {
        return fmt::format("{} {} {} n={} count={} {} {} over {}", name_of(collective),
                           name_of(job.dtype), name_of(job.op), n, job.count,
                           job.in_place ? "in place" : "out of place",
                           waits ? "blocking" : "asynchronous", transport);
    }
};

Element factor_of(DataType type) {
    // 1/2, or 3 for integers.
    switch (type) {
        case DataType::kF32:
            return 0x3f000000;
        case DataType::kF64:
            return 0x3fe0000000000000;
        case DataType::kBf16:
            return 0x3f00;
        case DataType::kF16:
            return 0x3800;
        case DataType::kFp8E4m3:
            return 0x30;
        case DataType::kFp8E5m2:
            return 0x38;
        default:
            return 3;
    }
}

/// 0, 1, odd, 4 KiB - 1 and 4 KiB, in bytes of one block, as elements of the type.
std::vector<std::uint64_t> small_counts(DataType type) {
    const std::size_t size = size_of(type);
    std::vector<std::uint64_t> counts{0, 1, 13, (4096 - 1) / size, 4096 / size};
    counts.erase(std::unique(counts.begin(), counts.end()), counts.end());
    return counts;
}

void add(std::vector<Case>& all, Collective c, DataType type, ReduceOp op, std::uint64_t count,
         bool in_place, std::uint32_t n) {
    Case one{.collective = c, .job = {type, op, count, in_place, factor_of(type)}};
    if (rooted(c)) one.root = static_cast<std::uint32_t>(count) % n;
    for (const bool waits : {true, false}) {
        one.waits = waits;
        all.push_back(one);
    }
}

std::vector<Case> small_cases(std::uint32_t n) {
    std::vector<Case> all;
    for (const Collective c : kTried)
        for (const DataType type : live::kDataTypes)
            for (const ReduceOp op : kOps)
                for (const std::uint64_t count : small_counts(type))
                    for (const bool in_place : {false, true}) {
                        if (!reduces(c) && op != ReduceOp::kSum) continue;
                        if (in_place && c == Collective::kAllToAll) continue;
                        add(all, c, type, op, count, in_place, n);
                    }
    return all;
}

/// Every pair of values of two parameters occurs: greedily, in a fixed order.
std::vector<Case> pairwise_cases(std::uint32_t n) {
    std::vector<Case> all;
    std::size_t turn = n;
    for (const DataType type : live::kDataTypes) {
        const std::uint64_t count = ((1 << 20) + 3) / size_of(type) / n;
        for (const ReduceOp op : kOps)
            add(all, Collective::kAllReduce, type, op, count * n, ++turn % 2 == 0, n);
        add(all, Collective::kReduceScatter, type, kOps[turn % kOps.size()], count,
            turn / kOps.size() % 2 == 0, n);
        add(all, Collective::kReduce, type, kOps[(turn + 3) % kOps.size()], count * n,
            turn / kOps.size() % 2 == 1, n);
        for (const Collective c :
             {Collective::kAllGather, Collective::kAllToAll, Collective::kBroadcast,
              Collective::kGather, Collective::kScatter})
            add(all, c, type, ReduceOp::kSum, count, c != Collective::kAllToAll && ++turn % 2 == 0,
                n);
    }
    return all;
}

std::vector<Case> large_cases(std::uint32_t n) {
    std::vector<Case> all;
    if (n > 8) return all;
    for (const DataType type : {DataType::kF32, DataType::kBf16})
        add(all, Collective::kAllReduce, type, ReduceOp::kSum, (64 << 20) / size_of(type), false,
            n);
    return all;
}

/// One case at all ranks, in step: prepared and judged by one of them.
class Runner {
  public:
    Runner(std::uint32_t n, std::string transport, std::vector<Case> cases)
        : n_(n),
          transport_(std::move(transport)),
          cases_(std::move(cases)),
          step_(static_cast<std::ptrdiff_t>(n)),
          memory_(n) {}

    /// Returns the number of cases that went wrong.
    std::uint64_t run() {
        live::WorldOptions options;
        options.transport = transport_;
        in_world(n_, options, [&](Comm& comm) { at_rank(comm); });
        return wrong_;
    }

  private:
    void at_rank(Comm& comm) {
        for (const Case& c : cases_) {
            if (comm.rank() == 0) prepare(comm, c);
            step_.arrive_and_wait();
            live_run(comm, c);
            step_.arrive_and_wait();
            if (comm.rank() == 0) judge(c);
        }
    }

    void prepare(Comm& comm, const Case& c) {
        const GroupShape shape = comm.world().shape(comm.members());
        const Bytes total{static_cast<std::int64_t>(c.job.count * size_of(c.job.dtype) *
                                                    (blocked(c.collective) ? n_ : 1))};
        plan_ = build_live(c.collective, choose_live(c.collective, total, shape, c.root), shape);
        const Binding b{c.job.count, static_cast<std::uint32_t>(size_of(c.job.dtype)),
                        c.job.in_place};
        const auto in = inputs_of(plan_, c.job);
        for (std::uint32_t r = 0; r < n_; ++r) {
            memory_[r] = std::make_unique<RankMemory>(plan_, b, r);
            memory_[r]->fill(in[r]);
        }
        errors_.clear();
    }

    void live_run(Comm& comm, const Case& c) {
        const live::UserBuffers buffers = memory_[comm.rank()]->buffers();
        const Element factor = c.job.factor;
        const CollectiveCall call{.collective = c.collective,
                                  .input = buffers.input,
                                  .output = buffers.output,
                                  .count = c.job.count,
                                  .dtype = c.job.dtype,
                                  .op = c.job.op,
                                  .root = c.root,
                                  .factor = &factor};
        Status s = Done{};
        if (c.waits) {
            s = comm.run(call);
            if (comm.rank() == 0) shared_ = comm.explain(call).plan.rfind("shared memory", 0) == 0;
        } else {
            const auto request = comm.start(call);
            require(request->wait(live::Clock::now() + std::chrono::minutes(2)), "a hang");
            s = request->status();
            if (comm.rank() == 0) shared_ = false;
        }
        if (s) return;
        const std::lock_guard lock(mutex_);
        errors_.push_back(to_string(s.error()));
    }

    void judge(const Case& c) {
        const auto want = shared_ ? expected_by_rank(plan_, c.job) : expected(plan_, c.job);
        std::string fault = errors_.empty() ? "" : errors_.front();
        for (std::uint32_t r = 0; r < n_ && fault.empty(); ++r) {
            const std::vector<Element> got = memory_[r]->output();
            for (std::size_t i = 0; i < want[r].size(); ++i)
                if (got[i] != want[r][i]) {
                    fault = fmt::format("rank {} at {}: {:x}, not {:x}", r, i, got[i], want[r][i]);
                    break;
                }
        }
        if (fault.empty()) return;
        ++wrong_;
        fmt::print("WRONG {}: {}\n", c.text(n_, transport_), fault);
        require(errors_.empty(), "a broken communicator");
    }

    std::uint32_t n_;
    std::string transport_;
    std::vector<Case> cases_;
    std::barrier<> step_;
    std::vector<std::unique_ptr<RankMemory>> memory_;
    PlanTemplate plan_;
    bool shared_ = false;
    std::mutex mutex_;
    std::vector<std::string> errors_;
    std::uint64_t wrong_ = 0;
};

int run(const Options& o) {
    std::uint64_t cases = 0;
    std::uint64_t wrong = 0;
    const auto start = std::chrono::steady_clock::now();
    for (const std::string& transport : o.transports)
        for (const std::uint32_t n : o.ranks) {
            std::vector<Case> all = small_cases(n);
            const auto append = [&](const std::vector<Case>& more) {
                all.insert(all.end(), more.begin(), more.end());
            };
            if (o.medium) append(pairwise_cases(n));
            if (o.large) append(large_cases(n));
            std::vector<Case> chosen;
            for (std::size_t i = 0; i < all.size(); ++i)
                if ((i * 7 + n) % o.every == 0) chosen.push_back(all[i]);
            cases += chosen.size();
            wrong += Runner(n, transport, std::move(chosen)).run();
            const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
            fmt::print("{} n={}: {} cases so far, {} wrong, {:.0f} s\n", transport, n, cases, wrong,
                       took.count());
            std::fflush(stdout);
        }
    return wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace weft::test

int main(int argc, char** argv) {
    weft::test::Options o;
    CLI::App app{"Every collective live, bit for bit against the reference order."};
    app.add_option("--transports", o.transports, "shm, tcp, auto")->delimiter(',');
    app.add_option("--ranks", o.ranks)->delimiter(',');
    app.add_option("--every", o.every, "only every so many-th case")->check(CLI::Range(1, 100000));
    app.add_flag("--medium,!--no-medium", o.medium, "the pairwise array at 1 MiB + 3");
    app.add_flag("--large,!--no-large", o.large, "64 MiB");
    CLI11_PARSE(app, argc, argv);
    return weft::test::run(o);
}
