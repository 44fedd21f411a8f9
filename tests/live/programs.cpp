// weft-live-programs: random programs over several communicators. Every rank draws the same
// program from the seed: overlapping groups made by splitting, on them collectives of random kind,
// type, reduction, size and root, blocking or not, in place or not, waited for in an order of each
// rank's own; and groups of messages between random pairs. Every byte that comes out is compared
// with the reference order.
// Ranks are threads, each joined as a process is. `--fault` puts faults under all of them.
#include <CLI/CLI.hpp>
#include <array>
#include <barrier>
#include <chrono>
#include <cstdio>
#include <deque>
#include <fmt/format.h>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/rng.hpp"
#include "collectives/select/live.hpp"
#include "tests/support/reference.hpp"
#include "tests/support/world_threads.hpp"

namespace weft::test {
namespace {

using live::CollectiveCall;
using live::Comm;
using live::DataType;
using live::ReduceOp;
using Values = std::vector<std::vector<Element>>;  // by rank of the group

constexpr std::array kTried{Collective::kAllReduce,     Collective::kAllGather,
                            Collective::kReduceScatter, Collective::kAllToAll,
                            Collective::kBroadcast,     Collective::kReduce,
                            Collective::kGather,        Collective::kScatter};
constexpr std::array kOps{ReduceOp::kSum, ReduceOp::kProd, ReduceOp::kMin, ReduceOp::kMax,
                          ReduceOp::kAvg};
constexpr std::size_t kGroups = 4;          // besides the world
constexpr std::size_t kCalls = 24;          // of a program
constexpr std::uint64_t kAtOnce = 1 << 22;  // bytes under way at a rank, more or less

struct Options {
    double minutes = 10;
    std::uint64_t seed = 1;
    std::string transport = "shm";
    std::uint32_t ranks = 4;
    std::uint64_t most = 1 << 18;  // bytes of a call
    std::string fault;
};

/// One call of a program, the same at all ranks.
struct Step {
    std::size_t group = 0;
    Collective collective = Collective::kAllReduce;
    ReferenceJob job;
    std::uint32_t root = 0;
    bool waits = true;
    bool then_finish = false;  // all that is under way
};

Step draw_step(RandomStream& random, std::size_t groups, std::uint64_t most) {
    Step s;
    s.group = random.below(groups);
    s.collective = kTried[random.below(kTried.size())];
    s.job.dtype = live::kDataTypes[random.below(live::kDataTypes.size())];
    s.job.op = kOps[random.below(kOps.size())];
    // As many small ones as large ones, on a scale of powers of two.
    std::uint64_t bytes = 1;
    while (bytes * 2 <= most && random.below(20) != 0) bytes *= 2;
    s.job.count = random.below(bytes + 1) / size_of(s.job.dtype);
    s.job.in_place = random.below(2) == 1 && s.collective != Collective::kAllToAll;
    s.job.salt = random.below(1'000'000);
    s.root = static_cast<std::uint32_t>(random.below(1'000'000));
    s.waits = random.below(3) == 0;
    s.then_finish = random.below(6) == 0;
    return s;
}

/// What all ranks share: what must come out, computed by the first that wants to know.
class Referee {
  public:
    [[nodiscard]] std::shared_ptr<const Values> want(std::size_t group, std::size_t call,
                                                     const PlanTemplate& plan,
                                                     const ReferenceJob& job, bool by_rank) {
        const std::lock_guard lock(mutex_);
        auto& known = known_[{group, call}];
        if (!known)
            known = std::make_shared<const Values>(by_rank ? expected_by_rank(plan, job)
                                                           : expected(plan, job));
        return known;
    }
    void forget() {
        const std::lock_guard lock(mutex_);
        known_.clear();
    }
    void count(std::uint64_t bytes, const std::string& fault) {
        const std::lock_guard lock(mutex_);
        ++calls;
        this->bytes += bytes;
        if (fault.empty()) return;
        ++wrong;
        fmt::print("WRONG {}\n", fault);
    }
    std::uint64_t calls = 0, bytes = 0, wrong = 0;

  private:
    std::mutex mutex_;
    std::map<std::pair<std::size_t, std::size_t>, std::shared_ptr<const Values>> known_;
};

/// A rank's part of messages between random pairs of a group: the same draw at all members, the
/// pairs in an order of their own.
class Messages {
  public:
    Messages(const Comm& comm, RandomStream pattern, RandomStream& own, std::uint64_t most) {
        std::map<std::pair<std::uint32_t, bool>, std::vector<live::PairMessage>> pairs;
        std::size_t left = 0;
        const auto add = [&](std::uint32_t peer, bool sends, std::uint64_t bytes,
                             std::uint64_t what) {
            std::vector<std::uint8_t>& memory = memory_.emplace_back(bytes);
            if (sends)
                for (std::size_t i = 0; i < bytes; ++i) memory[i] = value(what, i);
            else
                wanted_.emplace_back(&memory, what);
            const auto way =
                sends ? live::PairMessage::Way::kSend : live::PairMessage::Way::kReceive;
            pairs[{peer, sends}].push_back({way, peer, memory.data(), bytes, DataType::kU8});
            total += bytes;
            ++left;
        };
        for (std::uint64_t k = pattern.below(3 * comm.ranks()) + 1; k > 0; --k) {
            const auto source = static_cast<std::uint32_t>(pattern.below(comm.ranks()));
            const auto destination = static_cast<std::uint32_t>(pattern.below(comm.ranks()));
            const std::uint64_t bytes = pattern.below(std::uint64_t{2} << pattern.below(18)) % most;
            const std::uint64_t what = pattern.next();
            if (source == comm.rank()) add(destination, true, bytes, what);
            if (destination == comm.rank()) add(source, false, bytes, what);
        }
        for (; left > 0; --left) {
            auto at = pairs.begin();
            std::advance(at, own.below(pairs.size()));
            std::vector<live::PairMessage>& list = at->second;
            group.push_back(list.front());
            list.erase(list.begin());
            if (list.empty()) pairs.erase(at);
        }
    }
    /// Empty: all is as it was sent.
    [[nodiscard]] std::string fault() const {
        for (const auto& [memory, what] : wanted_)
            for (std::size_t i = 0; i < memory->size(); ++i)
                if ((*memory)[i] != value(what, i)) return fmt::format("a message at {}", i);
        return {};
    }
    std::vector<live::PairMessage> group;
    std::uint64_t total = 0;  // bytes

  private:
    static std::uint8_t value(std::uint64_t what, std::size_t i) {
        return static_cast<std::uint8_t>(what + i * 31 + (i >> 8));
    }
    std::deque<std::vector<std::uint8_t>> memory_;
    std::vector<std::pair<const std::vector<std::uint8_t>*, std::uint64_t>> wanted_;
};

/// One rank's part of one program.
class Program {
  public:
    Program(Comm& world, const Options& options, std::uint64_t number, Referee& referee)
        : options_(options),
          common_(options.seed, number, "program"),
          own_(options.seed, number * 1000 + world.rank(), "waits"),
          number_(number),
          referee_(referee) {
        groups_.push_back({.comm = &world, .made = nullptr, .number = 0});
        // Of the world, or of a group of it: in some this rank is not.
        for (std::size_t i = 1; i <= kGroups; ++i) {
            Group& from = groups_[common_.below(groups_.size())];
            std::vector<std::int32_t> colours;
            std::vector<std::int32_t> keys;
            for (std::uint32_t r = 0; r < world.ranks(); ++r) {
                colours.push_back(static_cast<std::int32_t>(common_.below(4)) - 1);
                keys.push_back(static_cast<std::int32_t>(common_.below(8)));
            }
            Group made{.comm = nullptr, .made = nullptr, .number = i};
            if (from.comm) {
                auto split = from.comm->split(colours[world.rank()], keys[world.rank()]);
                require(split.ok(), split.ok() ? "" : to_string(split.error()));
                made.made = std::move(split.value());
                made.comm = made.made.get();
            }
            groups_.push_back(std::move(made));
        }
    }

    void run() {
        for (std::size_t i = 0; i < kCalls; ++i) {
            const Step step = draw_step(common_, groups_.size(), options_.most);
            const bool messages = common_.below(5) == 0;
            if (groups_[step.group].comm && messages) send(*groups_[step.group].comm, step, i);
            if (groups_[step.group].comm && !messages) begin(step, i);
            if (step.then_finish || under_way_ > kAtOnce) finish();
        }
        finish();
    }

  private:
    struct Group {
        Comm* comm = nullptr;  // null: this rank is no member
        std::unique_ptr<Comm> made;
        std::size_t number = 0;
    };
    struct Begun {
        Step step;
        std::size_t call = 0;
        PlanTemplate plan;
        RankMemory memory;
        std::unique_ptr<live::Request> request;
        bool shared = false;  // went by shared memory alone
    };

    struct Sent {
        std::unique_ptr<Messages> messages;
        std::unique_ptr<live::Request> request;
    };

    void send(Comm& comm, const Step& step, std::size_t i) {
        const RandomStream pattern(options_.seed, number_ * 1000 + i, "pattern");
        Sent s{std::make_unique<Messages>(comm, pattern, own_, options_.most), nullptr};
        s.request = comm.start(s.messages->group);
        under_way_ += s.messages->total;
        sent_.push_back(std::move(s));
        if (step.waits) settle();
    }

    /// The messages, all of them.
    void settle() {
        for (const Sent& s : sent_) {
            require(s.request->wait(live::Clock::now() + std::chrono::minutes(1)),
                    "a hang: messages");
            const Status status = s.request->status();
            require(status.ok(), status.ok() ? "" : to_string(status.error()));
            referee_.count(s.messages->total, s.messages->fault());
        }
        sent_.clear();
    }

    void begin(Step step, std::size_t i) {
        Comm& comm = *groups_[step.group].comm;
        step.root = rooted(step.collective) ? step.root % comm.ranks() : 0;
        const GroupShape shape = comm.world().shape(comm.members());
        const std::uint64_t total = step.job.count * size_of(step.job.dtype) *
                                    (blocked(step.collective) ? comm.ranks() : 1);
        const Bytes size{static_cast<std::int64_t>(total)};
        PlanTemplate plan = build_live(step.collective,
                                       choose_live(step.collective, size, shape, step.root), shape);
        const Binding b{step.job.count, static_cast<std::uint32_t>(size_of(step.job.dtype)),
                        step.job.in_place};
        RankMemory memory(plan, b, comm.rank());
        memory.fill(inputs_of(plan, step.job)[comm.rank()]);
        begun_.push_back(std::make_unique<Begun>(
            Begun{step, i, std::move(plan), std::move(memory), nullptr, false}));
        Begun& call = *begun_.back();
        const live::UserBuffers buffers = call.memory.buffers();
        const CollectiveCall what{.collective = step.collective,
                                  .input = buffers.input,
                                  .output = buffers.output,
                                  .count = step.job.count,
                                  .dtype = step.job.dtype,
                                  .op = step.job.op,
                                  .root = step.root};
        under_way_ += total;
        if (!step.waits) {
            call.request = comm.start(what);
            return;
        }
        const Status s = comm.run(what);
        call.shared = comm.explain(what).plan.rfind("shared memory", 0) == 0;
        judge(call, s);
        begun_.pop_back();
    }

    /// In an order of this rank's own.
    void finish() {
        while (!begun_.empty()) {
            const std::size_t at = own_.below(begun_.size());
            Begun& call = *begun_[at];
            const auto until = live::Clock::now() + std::chrono::minutes(1);
            require(call.request->wait(until), "a hang: " + text(call));
            judge(call, call.request->status());
            begun_.erase(begun_.begin() + static_cast<std::ptrdiff_t>(at));
        }
        settle();
        under_way_ = 0;
    }

    void judge(const Begun& call, const Status& s) {
        require(s.ok(), s.ok() ? "" : text(call) + ": " + to_string(s.error()));
        Comm& comm = *groups_[call.step.group].comm;
        // Groups of one number and different members differ in their first member.
        const std::size_t group = call.step.group << 16 | comm.members()[0];
        const auto want = referee_.want(group, call.call, call.plan, call.step.job, call.shared);
        const std::vector<Element> got = call.memory.output();
        const std::vector<Element>& right = (*want)[comm.rank()];
        std::string fault;
        for (std::size_t i = 0; i < right.size() && fault.empty(); ++i)
            if (got[i] != right[i])
                fault = fmt::format("{}: at {}: {:x}, not {:x}", text(call), i, got[i], right[i]);
        referee_.count(right.size() * size_of(call.step.job.dtype), fault);
    }

    [[nodiscard]] std::string text(const Begun& call) const {
        const Comm& comm = *groups_[call.step.group].comm;
        return fmt::format("program {}, call {}, rank {} of {}: {} {} {} count {} {} {}", number_,
                           call.call, comm.rank(), comm.ranks(), name_of(call.step.collective),
                           name_of(call.step.job.dtype), name_of(call.step.job.op),
                           call.step.job.count, call.step.job.in_place ? "in place" : "apart",
                           call.step.waits ? "blocking" : "asynchronous");
    }

    const Options& options_;
    RandomStream common_;
    RandomStream own_;
    std::uint64_t number_;
    Referee& referee_;
    std::vector<Group> groups_;
    std::vector<std::unique_ptr<Begun>> begun_;
    std::vector<Sent> sent_;
    std::uint64_t under_way_ = 0;
};

int run(const Options& o) {
    Referee referee;
    std::uint64_t programs = 0;
    bool more = true;
    const auto start = live::Clock::now();
    const auto ends = start + std::chrono::duration_cast<live::Clock::duration>(
                                  std::chrono::duration<double>(o.minutes * 60));
    // All ranks are through with a program: nobody asks for what should have come of it.
    const auto next = [&]() noexcept {
        referee.forget();
        ++programs;
        more = live::Clock::now() < ends;
    };
    std::barrier step(static_cast<std::ptrdiff_t>(o.ranks), next);
    live::WorldOptions options;
    options.transport = o.transport;
    options.fault = o.fault;
    in_world(o.ranks, options, [&](Comm& world) {
        try {
            for (std::uint64_t number = 1; more; ++number) {
                Program(world, o, number, referee).run();
                step.arrive_and_wait();
            }
        } catch (const std::exception& e) {
            // The others wait for this rank, at the barrier or in a collective.
            fmt::print("FAILED {}\n", e.what());
            std::fflush(stdout);
            std::_Exit(2);
        }
    });
    const std::chrono::duration<double> took = live::Clock::now() - start;
    fmt::print("{} n={} seed {}: {} programs, {} outputs, {:.1f} MB compared, {} wrong, {:.0f} s\n",
               o.transport, o.ranks, o.seed, programs, referee.calls,
               static_cast<double>(referee.bytes) / 1e6, referee.wrong, took.count());
    return referee.wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace weft::test

int main(int argc, char** argv) {
    weft::test::Options o;
    CLI::App app{"Random programs over several communicators, bit for bit."};
    app.add_option("--minutes", o.minutes, "begin no program after this time")
        ->check(CLI::Range(0.0, 10000.0));
    app.add_option("--seed", o.seed);
    app.add_option("--transport", o.transport, "shm, tcp, auto");
    app.add_option("--ranks", o.ranks)->check(CLI::Range(1, 64));
    app.add_option("--most", o.most, "bytes of a call");
    app.add_option("--fault", o.fault, "a plan of faults, transport/fault/fault.hpp");
    CLI11_PARSE(app, argc, argv);
    return weft::test::run(o);
}
