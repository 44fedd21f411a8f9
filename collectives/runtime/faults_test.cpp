// Collectives under random faults: late, double, lost and overtaking messages, dead and slow lanes.
// The result is that of the sequential run, bit for bit, or the test fails.
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <mutex>

#include "base/rng.hpp"
#include "collectives/algorithms/algorithm.hpp"
#include "collectives/runtime/communicator.hpp"
#include "collectives/transport/fault/fault.hpp"
#include "collectives/transport/rank_threads.hpp"
#include "collectives/transport/trace/trace.hpp"
#include "tests/support/sequential_plan.hpp"

namespace weft::live {
namespace {

using namespace std::chrono_literals;
using test::Element;

constexpr std::uint32_t kRanks = 4;

float float_of(Element bits) {
    float x = 0;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}
Element bits_of(float x) {
    Element bits = 0;
    std::memcpy(&bits, &x, sizeof x);
    return bits;
}

struct Case {
    const char* name;
    Collective collective;
    const char* algorithm;
};
constexpr Case kCases[] = {
    {"ring all-reduce", Collective::kAllReduce, "ring"},
    {"hierarchical all-reduce", Collective::kAllReduce, "hierarchical"},
    {"all-gather", Collective::kAllGather, ""},
    {"all-to-all", Collective::kAllToAll, ""},
};

PlanTemplate plan_of(const Case& c, std::uint64_t slice) {
    const GroupShape shape{.n = kRanks, .uniform = true, .per_host = 2, .hosts = 2, .planes = 2};
    AlgorithmParams params;
    params.channels = 2;
    params.slots = 3;
    params.slice = Bytes{static_cast<std::int64_t>(slice)};
    return build_plan(c.collective, c.algorithm, shape, params);
}

/// Inputs whose sums round, so that another order or a second addition shows.
std::vector<std::vector<Element>> inputs_of(const PlanTemplate& plan, const Binding& b,
                                            std::uint64_t seed) {
    std::vector<std::vector<Element>> in(plan.n);
    for (std::uint32_t r = 0; r < plan.n; ++r) {
        in[r].resize(buffer_elements(plan, b, Buffer::kInput, r));
        RandomStream random(seed, r, "input");
        for (Element& e : in[r]) e = bits_of(static_cast<float>((random.uniform() - 0.3) * 100.0));
    }
    return in;
}

struct Outcomes {
    std::vector<FaultCounts> counts = std::vector<FaultCounts>(kRanks);
    std::chrono::duration<double> took{};
    std::vector<TraceLog> logs = std::vector<TraceLog>(kRanks);
    std::string wrong;  // the first difference
};

std::string difference(std::span<const std::uint32_t> got, const std::vector<Element>& want) {
    if (got.size() != want.size()) return fmt::format("{} elements", got.size());
    for (std::size_t i = 0; i < got.size(); ++i)
        if (got[i] != want[i]) return fmt::format("at {}: {:x}, not {:x}", i, got[i], want[i]);
    return {};
}

/// One rank's memory, apart from any other's.
struct Memory {
    std::vector<std::uint32_t> in, out;
};

Memory memory_of(const PlanTemplate& plan, const Binding& b, std::uint32_t rank,
                 const std::vector<Element>& input) {
    Memory m;
    for (const Element e : input) m.in.push_back(static_cast<std::uint32_t>(e));
    m.out.resize(buffer_elements(plan, b, Buffer::kOutput, rank), 0xdeadbeef);
    return m;
}

/// `times` operations in a row on one communicator of four ranks; compares all of them.
Outcomes run_under(const char* transport, const FaultPlan& faults, const PlanTemplate& plan,
                   std::uint64_t count, int times) {
    const Binding b{count, 4, false};
    test::SequentialRun sequential;
    sequential.combine = [](Element x, Element y) { return bits_of(float_of(x) + float_of(y)); };
    const auto inputs = inputs_of(plan, b, faults.seed);
    const auto want = sequential(plan, b, inputs);
    Outcomes result;
    std::mutex mutex;
    const auto world =
        with_trace(with_faults(transports().at(transport).make({.ranks = kRanks, .planes = 2}),
                               faults, &result.counts),
                   result.logs);
    std::atomic<std::uint32_t> finished{0};
    const Clock::time_point start = Clock::now();
    run_ranks(kRanks, [&](std::uint32_t r) {
        auto member = world->open(r, Clock::now() + 20s);
        if (!member) ++finished;  // nobody waits for it
        if (!member) throw std::runtime_error(to_string(member.error()));
        Engine engine(*member.value().control, *member.value().endpoint, {.patience = 20s});
        Communicator comm(engine);
        const PreparedPlan prepared(plan, r);
        for (int t = 0; t < times; ++t) {
            Memory m = memory_of(plan, b, r, inputs[r]);
            const Status s =
                comm.run(prepared, {.buffers = {reinterpret_cast<std::byte*>(m.in.data()),
                                                reinterpret_cast<std::byte*>(m.out.data())},
                                    .count = count,
                                    .dtype = DataType::kF32,
                                    .op = ReduceOp::kSum});
            const std::string wrong = s ? difference(m.out, want[r]) : to_string(s.error());
            const std::lock_guard lock(mutex);
            if (!wrong.empty() && result.wrong.empty())
                result.wrong = fmt::format("rank {}, operation {}: {}", r, t, wrong);
            if (!s) break;
        }
        // Others may still want their acknowledgements again.
        ++finished;
        engine.help([&] { return finished.load() == kRanks; }, Clock::now() + 20s);
        while (finished.load() < kRanks)
            engine.help([&] { return finished.load() == kRanks; }, Clock::now() + 1ms);
    });
    result.took = Clock::now() - start;
    return result;
}

/// Up to a tenth of all messages, of every kind; `cuts` of a million besides.
FaultPlan random_faults(std::uint64_t seed, std::uint32_t cuts) {
    RandomStream random(seed, 0, "plan");
    const auto share = [&] { return static_cast<std::uint32_t>(random.below(100'000)); };
    FaultPlan plan;
    plan.seed = seed;
    plan.delay = share();
    plan.reorder = share();
    plan.sent_late = share();
    plan.received_late = share();
    plan.duplicate = share();
    plan.late = share();
    plan.healed = share() / 4;
    plan.drop = share() / 4;
    plan.cut = cuts;
    plan.longest = std::chrono::microseconds(100 + random.below(2'000));
    plan.detect = std::chrono::microseconds(100 + random.below(2'000));
    plan.heal = std::chrono::microseconds(500 + random.below(4'000));
    return plan;
}

/// `runs` random schedules, taking turns at the collectives.
FaultCounts storm(const char* transport, std::uint64_t runs, std::uint32_t cuts) {
    FaultCounts sum;
    for (std::uint64_t seed = 1; seed <= runs; ++seed) {
        const Case& c = kCases[seed % std::size(kCases)];
        RandomStream random(seed, 1, "shape");
        // Every fifth so large that slices are granted, cut into pieces, put together.
        const bool large = seed % 5 == 0;
        const std::uint64_t slice = (large ? 8192ULL : 64ULL) << random.below(6);
        const std::uint64_t count = 1 + random.below(large ? 200'000 : 4'000);
        INFO(transport << ", " << c.name << ", seed " << seed << ", slice " << slice << ", count "
                       << count);
        const Outcomes o =
            run_under(transport, random_faults(seed, cuts), plan_of(c, slice), count, 2);
        CHECK(o.wrong == "");
        for (const FaultCounts& one : o.counts) {
            sum.struck += one.struck;
            sum.second_copies += one.second_copies;
            sum.second_unread += one.second_unread;
            sum.second_was_used += one.second_was_used;
            sum.lost += one.lost;
            sum.cuts += one.cuts;
        }
    }
    WARN(
        fmt::format("{}: {} runs, {} messages struck, {} second copies ({} first, {} in vain), "
                    "{} lost, {} cuts",
                    transport, runs, sum.struck, sum.second_copies, sum.second_was_used,
                    sum.second_unread, sum.lost, sum.cuts));
    CHECK(sum.second_was_used > 0);
    CHECK(sum.second_unread > 0);
    CHECK(sum.lost > 0);
    return sum;
}

TEST_CASE("collectives over inproc are bit-exact under random faults", "[property][slow]") {
    CHECK(storm("inproc", 20, 5'000).cuts > 0);
}

TEST_CASE("collectives over shm are bit-exact under random faults", "[property][slow]") {
    storm("shm", 20, 5'000);
}

TEST_CASE("collectives over tcp are bit-exact under random faults", "[property][slow]") {
    storm("tcp", 20, 0);
}

TEST_CASE("all lanes dead for a while, then healed: the operation completes", "[slow]") {
    for (const char* transport : {"inproc", "shm", "tcp"}) {
        INFO(transport);
        FaultPlan plan;
        plan.lanes = {{.kind = LaneFault::Kind::kCut, .after = 20, .lasts = 300ms}};
        const Outcomes o = run_under(transport, plan, plan_of(kCases[0], 1024), 20'000, 1);
        CHECK(o.wrong == "");
        CHECK(o.took >= 300ms);
        for (const FaultCounts& c : o.counts) CHECK(c.cuts >= 2);
    }
}

std::uint64_t bytes_sent(const Outcomes& o, std::uint32_t lane) {
    std::uint64_t bytes = 0;
    for (const TraceLog& log : o.logs)
        for (const TraceEvent& e : log)
            if (e.kind == TraceEvent::Kind::kSend && e.lane == lane) bytes += e.bytes;
    return bytes;
}

TEST_CASE("a lane that dies in mid-stream under tcp loses and doubles nothing", "[slow]") {
    FaultPlan plan;
    plan.lanes = {{.rank = 1, .lane = 0, .after = 20, .lasts = 600ms}};
    const Outcomes o = run_under("tcp", plan, plan_of(kCases[0], 64 * 1024), 1'000'000, 3);
    CHECK(o.wrong == "");
    CHECK(o.counts[1].cuts > 0);
    const auto down = [](const TraceEvent& e) { return e.kind == TraceEvent::Kind::kLaneDown; };
    CHECK(std::any_of(o.logs[1].begin(), o.logs[1].end(), down));
}

// How much each gets is judged by lane_chooser_test.cpp, whose clock is not the wall's.
TEST_CASE("a lane at a tenth of the other's rate loses nothing and is not left out", "[slow]") {
    for (const char* transport : {"inproc", "tcp"}) {
        INFO(transport);
        FaultPlan plan;
        const auto slow = [](std::int32_t lane, std::uint64_t rate) {
            return LaneFault{.kind = LaneFault::Kind::kSlow,
                             .lane = lane,
                             .lasts = 60s,
                             .bytes_per_second = rate};
        };
        plan.lanes = {slow(0, 1'000'000), slow(1, 10'000'000)};
        const Outcomes o = run_under(transport, plan, plan_of(kCases[0], 16 * 1024), 250'000, 4);
        CHECK(o.wrong == "");
        CHECK(bytes_sent(o, 0) > 0);
        CHECK(bytes_sent(o, 1) > 0);
        for (const FaultCounts& c : o.counts) CHECK(c.slowed > 0);
    }
}

/// All-reduce over tcp with a bit turned over in every hundredth message: what each rank says.
std::vector<std::string> under_corruption(bool verify, std::uint64_t& wrong) {
    const PlanTemplate plan = plan_of(kCases[0], 4096);
    const std::uint64_t count = 50'000;
    const auto world = with_faults(transports().at("tcp").make({.ranks = kRanks, .verify = verify}),
                                   {.corrupt = 10'000});
    std::vector<std::string> errors(kRanks);
    std::atomic<std::uint64_t> differ{0};
    run_ranks(kRanks, [&](std::uint32_t r) {
        auto member = world->open(r, Clock::now() + 20s);
        if (!member) throw std::runtime_error(to_string(member.error()));
        Engine engine(*member.value().control, *member.value().endpoint,
                      {.patience = 20s, .background = true});
        Communicator comm(engine);
        const PreparedPlan prepared(plan, r);
        std::vector<std::int32_t> in(count, 1), out(count);
        const Status s = comm.run(prepared, {.buffers = {in.data(), out.data()},
                                             .count = count,
                                             .dtype = DataType::kI32,
                                             .op = ReduceOp::kSum});
        if (!s) errors[r] = to_string(s.error());
        for (const std::int32_t x : out) differ += x != kRanks;
    });
    wrong = differ;
    return errors;
}

TEST_CASE("a bit turned over on the wire is an error with verification, a wrong sum without",
          "[slow]") {
    std::uint64_t wrong = 0;
    for (const std::string& e : under_corruption(true, wrong)) {
        CHECK_THAT(e, Catch::Contains("wrong CRC"));
        CHECK_THAT(e, Catch::Contains("lane"));
    }
    for (const std::string& e : under_corruption(false, wrong)) CHECK(e == "");
    CHECK(wrong > 0);
}

// By hand: runtime_fault_tests "[long]". WEFT_FAULT_RUNS: how many, 1000 otherwise;
// WEFT_TRANSPORT: one alone.
TEST_CASE("a thousand random schedules of faults", "[.][long]") {
    const char* text = std::getenv("WEFT_FAULT_RUNS");
    const std::uint64_t runs = text ? std::strtoull(text, nullptr, 10) : 1000;
    const char* one = std::getenv("WEFT_TRANSPORT");
    for (const std::string transport : {"inproc", "shm", "tcp"}) {
        if (one && transport != one) continue;
        storm(transport.c_str(), runs, transport == "tcp" ? 100 : 5'000);  // tcp: 150 ms each
    }
}

}  // namespace
}  // namespace weft::live
