#include "collectives/runtime/communicator.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <functional>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

#include "base/rng.hpp"
#include "collectives/algorithms/algorithm.hpp"
#include "collectives/transport/rank_threads.hpp"
#include "tests/support/reference.hpp"

namespace weft::live {
namespace {

using namespace std::chrono_literals;
using test::Element;

using Job = test::ReferenceJob;
using test::expected;
using test::inputs_of;
using test::RankMemory;
using test::reduces;

/// One rank of a transport with its engine.
class Rank {
  public:
    Rank(Transport& transport, std::uint32_t rank, std::chrono::milliseconds patience) {
        auto member = transport.open(rank, Clock::now() + 20s);
        if (!member) throw std::runtime_error(to_string(member.error()));
        member_ = std::move(member.value());
        engine_ = std::make_unique<Engine>(*member_.control, *member_.endpoint,
                                           EngineOptions{.patience = patience});
    }
    [[nodiscard]] Engine& engine() const { return *engine_; }
    [[nodiscard]] Member& member() { return member_; }

  private:
    Member member_;
    std::unique_ptr<Engine> engine_;
};

/// The same job live, `times` in a row on one communicator; all outputs of all times.
std::vector<std::vector<std::vector<Element>>> live(const PlanTemplate& plan, const Job& job,
                                                    int times) {
    const std::size_t size = size_of(job.dtype);
    const auto inputs = inputs_of(plan, job);
    const Binding b{job.count, static_cast<std::uint32_t>(size), job.in_place};
    const auto transport = transports().at("inproc").make({.ranks = plan.n, .planes = 2});
    std::vector<std::vector<std::vector<Element>>> out(times);
    for (auto& o : out) o.resize(plan.n);
    run_ranks(plan.n, [&](std::uint32_t r) {
        const Rank rank(*transport, r, 20s);
        Communicator comm(rank.engine());
        const PreparedPlan prepared(plan, r);
        for (int t = 0; t < times; ++t) {
            RankMemory memory(plan, b, r);
            memory.fill(inputs[r]);
            const Status s = comm.run(prepared, {.buffers = memory.buffers(),
                                                 .count = job.count,
                                                 .dtype = job.dtype,
                                                 .op = job.op});
            if (!s) throw std::runtime_error(to_string(s.error()));
            out[t][r] = memory.output();
        }
    });
    return out;
}

std::string first_difference(const std::vector<Element>& got, const std::vector<Element>& want) {
    if (got.size() != want.size()) return fmt::format("{} elements", got.size());
    for (std::size_t i = 0; i < got.size(); ++i)
        if (got[i] != want[i]) return fmt::format("at {}: {:x}, not {:x}", i, got[i], want[i]);
    return "none";
}

void check_equal(const PlanTemplate& plan, const Job& job) {
    INFO(fmt::format("{} {} n={} {} {} count={} {}", name_of(plan.collective), plan.algorithm,
                     plan.n, name_of(job.dtype), name_of(job.op), job.count,
                     job.in_place ? "in place" : "out of place"));
    const auto want = expected(plan, job);
    const auto got = live(plan, job, 2);
    for (std::uint32_t r = 0; r < plan.n; ++r) {
        for (const int time : {0, 1}) {
            INFO("rank " << r << ", run " << time);
            CHECK(first_difference(got[time][r], want[r]) == "none");
        }
    }
}

/// n ranks on hosts of per_host.
GroupShape shape(std::size_t n, std::size_t per_host) {
    return {.n = n, .uniform = true, .per_host = per_host, .hosts = n / per_host, .planes = 2};
}

/// Small slices, so that small data exercise slots, loops and several lanes.
AlgorithmParams small_slices(std::uint32_t channels, std::uint32_t root) {
    AlgorithmParams p;
    p.channels = channels;
    p.root = root;
    p.slots = 3;
    p.slice = Bytes{256};
    return p;
}

PlanTemplate ring_plan(std::uint32_t n) {
    AlgorithmParams p = small_slices(2, 0);
    p.slice = Bytes{4096};
    return build_plan(Collective::kAllReduce, "ring", shape(n, 1), p);
}

/// Every algorithm of the registry over n ranks, on every host size that divides n.
void for_each_plan(std::uint32_t n, const std::function<void(const PlanTemplate&)>& body) {
    for (const auto& row : builtin_algorithms().rows())
        for (std::uint32_t per_host = 1; per_host <= n; ++per_host) {
            if (n % per_host != 0) continue;
            const std::uint32_t channels = 1 + (n + per_host) % 3;
            body(row.make.build(shape(n, per_host), small_slices(channels, n / 3)));
        }
}

TEST_CASE("parts of a communicator have operations of their own and one fate", "[unit]") {
    constexpr std::uint32_t kRanks = 3;
    const auto transport = transports().at("inproc").make({.ranks = kRanks, .planes = 2});
    AlgorithmParams params;
    params.slice = Bytes{4096};
    const PlanTemplate plan =
        build_plan(Collective::kSendRecv, "", {.n = 2, .uniform = false}, params);
    std::mutex mutex;
    std::string told;
    std::atomic<std::uint32_t> over{0};
    run_ranks(kRanks, [&](std::uint32_t r) {
        const Rank rank(*transport, r, 20s);
        Communicator whole(rank.engine());
        if (r < 2) {
            Communicator there(whole, 1, {0, 1});
            Communicator back(whole, 2, {1, 0});
            const PreparedPlan out(plan, r);
            const PreparedPlan home(plan, 1 - r);
            for (const std::uint64_t count : {0UL, 1UL, 50'000UL}) {
                std::vector<float> mine(count + 1, static_cast<float>(r));
                std::vector<float> theirs(count + 1);
                const auto call = [&](bool sends) {
                    return Call{
                        .buffers = {sends ? mine.data() : nullptr, sends ? nullptr : theirs.data()},
                        .count = count,
                        .token = count == 0};
                };
                const Handle a = there.start(out, call(r == 0));
                const Handle b = back.start(home, call(r == 1));
                for (const Handle& h : {b, a})
                    if (!rank.engine().wait(h, Clock::now() + 20s))
                        throw std::runtime_error("a hang");
                if (count > 0 && theirs[count - 1] != static_cast<float>(1 - r))
                    throw std::runtime_error("wrong data");
            }
            // Ends that differ break the whole, for the third rank too.
            std::vector<float> data(9);
            const Status s = there.run(
                out, {.buffers = {r == 0 ? data.data() : nullptr, data.data()}, .count = 8 + r});
            if (s) throw std::runtime_error("it cannot have worked");
        }
        const auto until = Clock::now() + 20s;
        std::vector<float> one(1);
        AlgorithmParams all;
        const PreparedPlan sum(
            build_plan(Collective::kAllReduce, "ring", {.n = kRanks, .uniform = false}, all), r);
        const Status s = whole.run(sum, {.buffers = {one.data(), one.data()}, .count = 1});
        {
            const std::lock_guard lock(mutex);
            if (r == 2) told = s ? "it cannot have worked" : to_string(s.error());
        }
        ++over;
        while (over < kRanks && Clock::now() < until) std::this_thread::sleep_for(1ms);
    });
    CHECK_THAT(told,
               Catch::Contains("count") && Catch::Contains("rank 0") && Catch::Contains("rank 1"));
}

TEST_CASE("every algorithm, n = 1..16: live equals the sequential run, twice", "[property][slow]") {
    const std::uint32_t n = GENERATE(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
    for_each_plan(n, [&](const PlanTemplate& plan) {
        for (const bool in_place : {false, true}) {
            if (in_place && !plan.in_place_ok) continue;
            for (const std::uint64_t count : {0, 1, 13, 211})
                check_equal(plan, {DataType::kF32, ReduceOp::kSum, count, in_place});
        }
    });
}

TEST_CASE("every type and reduction: live equals the sequential run", "[property][slow]") {
    for (const std::uint32_t n : {2U, 4U, 6U})
        for_each_plan(n, [&](const PlanTemplate& plan) {
            if (!reduces(plan)) return;
            for (const DataType type : kDataTypes) {
                for (const ReduceOp op : kReduceOps) check_equal(plan, {type, op, 97, false});
            }
        });
}

/// Every rank runs `body(communicator, rank)`; what each returned.
std::vector<Status> on_every_rank(Transport& transport, std::uint32_t n,
                                  std::chrono::milliseconds patience,
                                  const std::function<Status(Communicator&, std::uint32_t)>& body) {
    std::vector<Status> status(n, Status{Done{}});
    run_ranks(n, [&](std::uint32_t r) {
        const Rank rank(transport, r, patience);
        Communicator comm(rank.engine());
        status[r] = body(comm, r);
    });
    return status;
}

/// Runs `plan` with `count` floats of rank-dependent content, out of place.
Status run_floats(Communicator& comm, const PlanTemplate& plan, std::uint64_t count,
                  DataType dtype = DataType::kF32) {
    const PreparedPlan prepared(plan, comm.rank());
    RankMemory memory(plan, {count, 8, false}, comm.rank());
    return comm.run(prepared, {.buffers = memory.buffers(), .count = count, .dtype = dtype});
}

TEST_CASE("ranks that disagree get an error naming both, within a second", "[unit]") {
    const auto transport = transports().at("inproc").make({.ranks = 4});
    const auto start = Clock::now();
    const auto status = on_every_rank(*transport, 4, 20s, [](Communicator& comm, std::uint32_t r) {
        const Status first = run_floats(comm, ring_plan(4), 1000);
        if (!first) return first;
        return run_floats(comm, ring_plan(4), r == 2 ? 1001 : 1000);
    });
    CHECK(Clock::now() - start < 1s);
    bool named = false;
    for (const Status& s : status) {
        REQUIRE_FALSE(s.ok());
        const std::string text = to_string(s.error());
        INFO(text);
        CHECK_THAT(text, Catch::Contains("allreduce 2 of communicator 0 is not the same on rank"));
        CHECK_THAT(text, Catch::Contains("rank 2"));
        named = named || text.find("1001 on rank 2") != std::string::npos;
    }
    CHECK(named);
}

TEST_CASE("a different type or plan is a disagreement too", "[unit]") {
    for (const bool type : {true, false}) {
        const auto transport = transports().at("inproc").make({.ranks = 2});
        const auto status =
            on_every_rank(*transport, 2, 20s, [&](Communicator& comm, std::uint32_t r) {
                PlanTemplate plan = ring_plan(2);
                if (!type && r == 1) plan.channels.pop_back();
                return run_floats(comm, plan, 64, type && r == 1 ? DataType::kI32 : DataType::kF32);
            });
        for (const Status& s : status) {
            REQUIRE_FALSE(s.ok());
            CHECK_THAT(to_string(s.error()), Catch::Contains(type ? "; type " : "; plan "));
        }
    }
}

TEST_CASE("a rank that opens but never calls is named when patience ends", "[unit]") {
    std::atomic<int> over{0};
    const auto transport = transports().at("inproc").make({.ranks = 3});
    const auto status =
        on_every_rank(*transport, 3, 60ms, [&](Communicator& comm, std::uint32_t r) -> Status {
            if (r != 1) {
                const Status s = run_floats(comm, ring_plan(3), 100);
                ++over;
                return s;
            }
            while (over < 2) std::this_thread::sleep_for(1ms);
            return Done{};
        });
    CHECK(status[1].ok());
    for (const std::uint32_t r : {0U, 2U}) {
        REQUIRE_FALSE(status[r].ok());
        const std::string text = to_string(status[r].error());
        INFO(text);
        CHECK_THAT(text, Catch::Contains("not arrived: rank 1 (late"));
        CHECK_THAT(text, Catch::Contains("channel 0, stage 0"));
    }
    // The rank right after the missing one waits for it, at the first step.
    const LiveError& direct = status[2].error();
    CHECK(direct.rank == 2);
    if (direct.what.find("gave up") == std::string::npos) {
        CHECK(direct.peer == 1);
        CHECK(direct.step == 0);
        CHECK(direct.elapsed_s >= 0.06);
    }
}

TEST_CASE("a group revoked before its first operation here is known to be", "[unit]") {
    const auto transport = transports().at("inproc").make({.ranks = 2});
    std::atomic<bool> revoked{false};
    std::atomic<int> over{0};
    const auto start = Clock::now();
    const auto status =
        on_every_rank(*transport, 2, 20s, [&](Communicator& comm, std::uint32_t r) -> Status {
            Communicator group(comm.engine(), 7, {0, 1});
            if (r == 0) comm.engine().abort(group, {.what = "enough"}, Alarm::Kind::kRevoked);
            if (r == 0) revoked = true;
            while (!revoked) std::this_thread::sleep_for(1ms);
            // The alarm is met while another communicator works, long before the group does.
            Status s = run_floats(comm, ring_plan(2), 100);
            if (s) s = run_floats(group, ring_plan(2), 100);
            ++over;
            while (over < 2) std::this_thread::sleep_for(1ms);
            return s;
        });
    CHECK(Clock::now() - start < 10s);
    for (const Status& s : status) {
        REQUIRE_FALSE(s.ok());
        CHECK_THAT(to_string(s.error()), Catch::Contains("enough"));
    }
}

TEST_CASE("a rank that leaves before an operation is named at once", "[unit]") {
    const auto transport = transports().at("inproc").make({.ranks = 3});
    const auto start = Clock::now();
    const auto status =
        on_every_rank(*transport, 3, 20s, [](Communicator& comm, std::uint32_t r) -> Status {
            if (r == 1) return Done{};
            return run_floats(comm, ring_plan(3), 100);
        });
    CHECK(Clock::now() - start < 5s);
    for (const std::uint32_t r : {0U, 2U}) {
        REQUIRE_FALSE(status[r].ok());
        CHECK_THAT(to_string(status[r].error()), Catch::Contains("not arrived: rank 1 (left)"));
    }
}

TEST_CASE("a rank that never opens its endpoint is named", "[unit]") {
    const auto transport = transports().at("inproc").make({.ranks = 2});
    const Rank rank(*transport, 0, 40ms);
    Communicator comm(rank.engine());
    const Status s = run_floats(comm, ring_plan(2), 10);
    REQUIRE_FALSE(s.ok());
    CHECK_THAT(to_string(s.error()), Catch::Contains("not arrived: rank 1"));
    CHECK_FALSE(run_floats(comm, ring_plan(2), 10).ok());  // and stays broken
}

namespace {

struct Active {
    Clock::time_point first;
    Clock::time_point last;
    int slices = 0;
};

/// First and last slice of each rank in one all-reduce of 1 MiB.
std::vector<Active> activity(std::uint32_t ranks) {
    std::vector<Active> active(ranks);
    const auto transport = transports().at("inproc").make({.ranks = ranks});
    run_ranks(ranks, [&](std::uint32_t r) {
        const Rank rank(*transport, r, 20s);
        Active& mine = active[r];
        Communicator comm(rank.engine());
        comm.on_slice = [&](const SliceEvent&) {
            mine.last = Clock::now();
            if (mine.slices++ == 0) mine.first = mine.last;
        };
        const Status s = run_floats(comm, ring_plan(ranks), 1 << 18);
        if (!s) throw std::runtime_error(to_string(s.error()));
    });
    return active;
}

/// Sum of the ranks' active times over the time from the first slice of all to the last.
double overlap(const std::vector<Active>& active) {
    auto begin = active[0].first;
    auto end = active[0].last;
    Clock::duration sum{};
    for (const Active& a : active) {
        begin = std::min(begin, a.first);
        end = std::max(end, a.last);
        sum += a.last - a.first;
    }
    return std::chrono::duration<double>(sum) / std::chrono::duration<double>(end - begin);
}

}  // namespace

TEST_CASE("ranks move data at the same time", "[unit]") {
    constexpr std::uint32_t kRanks = 4;
    // One rank after the other would always give at most 1. A busy machine may hold a rank back for
    // most of a run, so the best of a few runs counts.
    double best = 0;
    for (int run = 0; run < 10 && best <= 2; ++run) {
        const std::vector<Active> active = activity(kRanks);
        for (const Active& a : active) CHECK(a.slices >= static_cast<int>(2 * (kRanks - 1)));
        best = std::max(best, overlap(active));
    }
    CHECK(best > 2);
}

TEST_CASE("slices take all lanes of the wanted plane and no other", "[unit]") {
    for (const std::int32_t plane : {-1, 0, 1}) {
        PlanTemplate plan = ring_plan(2);
        for (Channel& c : plan.channels) c.plane = plane;
        const auto transport = transports().at("inproc").make({.ranks = 2, .planes = 2});
        std::mutex mutex;
        std::set<std::uint32_t> lanes;
        const auto status =
            on_every_rank(*transport, 2, 20s, [&](Communicator& comm, std::uint32_t) {
                comm.on_slice = [&](const SliceEvent& e) {
                    const std::lock_guard lock(mutex);
                    lanes.insert(e.lane);
                };
                return run_floats(comm, plan, 100'000);
            });
        CHECK((status[0].ok() && status[1].ok()));
        const std::set<std::uint32_t> both{0, 1};
        const std::set<std::uint32_t> one{static_cast<std::uint32_t>(plane)};
        CHECK(lanes == (plane < 0 ? both : one));
    }
}

TEST_CASE("a lane that dies in mid-operation changes nothing but the way", "[unit]") {
    PlanTemplate plan = ring_plan(3);
    for (Channel& c : plan.channels) c.plane = 0;
    const Job job{DataType::kF32, ReduceOp::kSum, 50'000, false};
    const auto inputs = inputs_of(plan, job);
    const auto want = expected(plan, job);
    const Binding b{job.count, 4, false};
    const auto transport = transports().at("inproc").make({.ranks = 3, .planes = 2});
    std::atomic<int> slices{0};
    std::atomic<int> other_lane{0};
    std::vector<std::vector<Element>> got(3);
    run_ranks(3, [&](std::uint32_t r) {
        Rank rank(*transport, r, 20s);
        Communicator comm(rank.engine());
        comm.on_slice = [&](const SliceEvent& e) {
            if (r == 0 && ++slices == 20) rank.member().endpoint->cut_lane(1, 0);
            other_lane += e.lane == 1;
        };
        const PreparedPlan prepared(plan, r);
        RankMemory memory(plan, b, r);
        memory.fill(inputs[r]);
        const Status s = comm.run(prepared, {.buffers = memory.buffers(), .count = job.count});
        if (!s) throw std::runtime_error(to_string(s.error()));
        got[r] = memory.output();
    });
    CHECK(got == want);
    CHECK(other_lane.load() > 0);
}

TEST_CASE("when every lane to a peer is dead the error says so", "[unit]") {
    const auto transport = transports().at("inproc").make({.ranks = 2, .planes = 2});
    const auto status =
        on_every_rank(*transport, 2, 300ms, [](Communicator& comm, std::uint32_t r) {
            for (const std::uint32_t lane : {0U, 1U})
                comm.engine().endpoint().cut_lane(1 - r, lane);
            return run_floats(comm, ring_plan(2), 1000);
        });
    for (const Status& s : status) {
        REQUIRE_FALSE(s.ok());
        CHECK_THAT(to_string(s.error()), Catch::Contains("every lane to rank"));
    }
}

}  // namespace
}  // namespace weft::live
