#include "collectives/api/comm.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <numeric>
#include <thread>

#include "collectives/plan/checker.hpp"
#include "collectives/plan/io/plan_json.hpp"
#include "collectives/runtime/kernels.hpp"
#include "tests/support/world_threads.hpp"

namespace weft::live {
namespace {

using namespace std::chrono_literals;
using test::in_world;
using test::require;

WorldOptions over(const std::string& transport) {
    WorldOptions o;
    o.transport = transport;
    o.patience = 20s;
    return o;
}

CollectiveCall sum_of(const std::vector<float>& in, std::vector<float>& out) {
    return {.collective = Collective::kAllReduce,
            .input = in.data(),
            .output = out.data(),
            .count = in.size(),
            .dtype = DataType::kF32};
}

Status all_reduce(Comm& comm, std::size_t count, ReduceOp op = ReduceOp::kSum) {
    std::vector<float> in(count, 1.0F);
    std::vector<float> out(count);
    CollectiveCall call = sum_of(in, out);
    call.op = op;
    return comm.run(call);
}

TEST_CASE("all collectives, blocking and not, over shared memory and TCP", "[unit]") {
    const std::string transport = GENERATE("shm", "tcp", "auto");
    const std::uint32_t n = GENERATE(1, 2, 3, 4);
    CAPTURE(transport, n);
    in_world(n, over(transport), [&](Comm& comm) {
        const std::uint32_t r = comm.rank();
        for (const std::size_t count : {0UL, 1UL, 100UL, 5000UL, 100'000UL}) {
            std::vector<std::int32_t> in(count * n);
            std::iota(in.begin(), in.end(), static_cast<std::int32_t>(r) * 1000);
            std::vector<std::int32_t> out(count * n);
            for (const bool waits : {true, false}) {
                const auto go = [&](Collective c, std::uint32_t root) {
                    std::fill(out.begin(), out.end(), -1);
                    const CollectiveCall call{.collective = c,
                                              .input = in.data(),
                                              .output = out.data(),
                                              .count = count,
                                              .dtype = DataType::kI32,
                                              .root = root};
                    Status s = Done{};
                    if (waits) {
                        s = comm.run(call);
                    } else {
                        const auto request = comm.start(call);
                        require(request->wait(Clock::now() + 20s), "in time");
                        s = request->status();
                    }
                    require(s.ok(), s.ok() ? "" : to_string(s.error()));
                };
                const auto value = [&](std::uint32_t rank, std::size_t i) {
                    return static_cast<std::int32_t>(rank * 1000 + i);
                };
                const auto total = [&](std::size_t i) {
                    std::int32_t sum = 0;
                    for (std::uint32_t q = 0; q < n; ++q) sum += value(q, i);
                    return sum;
                };
                go(Collective::kAllReduce, 0);
                for (std::size_t i = 0; i < count; ++i) require(out[i] == total(i), "allreduce");
                go(Collective::kReduceScatter, 0);
                for (std::size_t i = 0; i < count; ++i)
                    require(out[i] == total(r * count + i), "reducescatter");
                go(Collective::kAllGather, 0);
                for (std::size_t i = 0; i < count * n; ++i)
                    require(out[i] == value(static_cast<std::uint32_t>(i / count), i % count),
                            "allgather");
                go(Collective::kAllToAll, 0);
                for (std::size_t i = 0; i < count * n; ++i)
                    require(out[i] ==
                                value(static_cast<std::uint32_t>(i / count), r * count + i % count),
                            "alltoall");
                go(Collective::kBroadcast, n - 1);
                for (std::size_t i = 0; i < count; ++i)
                    require(out[i] == value(n - 1, i), "broadcast");
                const std::uint32_t root = n / 2;
                go(Collective::kReduce, root);
                for (std::size_t i = 0; i < count; ++i)
                    require(out[i] == (r == root ? total(i) : -1), "reduce");
                go(Collective::kGather, root);
                for (std::size_t i = 0; i < count * n; ++i) {
                    const auto from = static_cast<std::uint32_t>(i / count);
                    require(out[i] == (r == root ? value(from, i % count) : -1), "gather");
                }
                go(Collective::kScatter, root);
                for (std::size_t i = 0; i < count; ++i)
                    require(out[i] == value(root, r * count + i), "scatter");
            }
        }
        const Status s = comm.barrier();
        require(s.ok(), "barrier");
    });
}

TEST_CASE("averages and pre-multiplied sums", "[unit]") {
    in_world(4, over("shm"), [](Comm& comm) {
        for (const std::size_t count : {10UL, 100'000UL}) {
            std::vector<float> in(count, static_cast<float>(comm.rank()));
            std::vector<float> out(count);
            CollectiveCall call = sum_of(in, out);
            call.op = ReduceOp::kAvg;
            require(comm.run(call).ok() && out.front() == 1.5F && out.back() == 1.5F, "avg");
            const float half = 0.5F;
            call.op = ReduceOp::kPreMulSum;
            call.factor = &half;
            require(comm.run(call).ok() && out.front() == 3.0F && out.back() == 3.0F, "mulsum");
            require(in.front() == static_cast<float>(comm.rank()), "the input is as it was");
        }
    });
}

TEST_CASE("what the root alone has is not looked at elsewhere", "[unit]") {
    const std::string transport = GENERATE("shm", "tcp");
    in_world(3, over(transport), [](Comm& comm) {
        const bool root = comm.rank() == 1;
        for (const std::size_t count : {3UL, 50'000UL}) {
            std::vector<std::int32_t> mine(count, static_cast<std::int32_t>(comm.rank()));
            std::vector<std::int32_t> all(root ? 3 * count : 0, -1);
            const auto run = [&](Collective c, const void* in, void* out) {
                const CollectiveCall call{.collective = c,
                                          .input = in,
                                          .output = out,
                                          .count = count,
                                          .dtype = DataType::kI32,
                                          .root = 1};
                const Status s = comm.run(call);
                require(s.ok(), s.ok() ? "" : to_string(s.error()));
                const auto request = comm.start(call);
                require(request->wait(Clock::now() + 20s) && request->status().ok(), "started");
            };
            run(Collective::kGather, mine.data(), root ? all.data() : nullptr);
            for (std::size_t i = 0; i < all.size(); ++i)
                require(all[i] == static_cast<std::int32_t>(i / count), "gathered");
            run(Collective::kScatter, root ? all.data() : nullptr, mine.data());
            require(mine[count - 1] == static_cast<std::int32_t>(comm.rank()), "scattered");
            run(Collective::kReduce, mine.data(), root ? all.data() : nullptr);
            if (root) require(all[0] == 3 && all[count - 1] == 3, "reduced");
            bool refused = false;
            try {
                (void)comm.run({.collective = Collective::kGather,
                                .input = nullptr,
                                .output = all.data(),
                                .count = 1,
                                .dtype = DataType::kI32,
                                .root = 1});
            } catch (const ConfigError&) {
                refused = true;
            }
            require(refused, "everybody has an input to gather");
        }
    });
}

TEST_CASE("groups made by splitting run at the same time as their parent", "[unit]") {
    in_world(4, over("shm"), [](Comm& comm) {
        const std::uint32_t r = comm.rank();
        auto made = comm.split(static_cast<std::int32_t>(r % 2), -static_cast<std::int32_t>(r));
        require(made.ok() && made.value(), "split");
        Comm& half = *made.value();
        require(half.ranks() == 2, "two of each colour");
        require(half.members()[0] == 2 + r % 2 && half.members()[1] == r % 2, "ordered by key");
        std::vector<float> in(50'000, static_cast<float>(r));
        std::vector<float> mine(in.size());
        std::vector<float> all(in.size());
        // The parent's operation is under way while the halves run theirs, in another order at
        // odd and even ranks.
        const auto request = comm.start(sum_of(in, all));
        require(half.run(sum_of(in, mine)).ok(), "half");
        require(mine[7] == static_cast<float>(2 * (r % 2) + 2), "sum of a half");
        require(request->wait(Clock::now() + 20s) && request->status().ok(), "parent");
        require(all[7] == 6.0F, "sum of all");
        auto none = comm.split(r == 0 ? 0 : -1, 0);
        require(none.ok() && (none.value() != nullptr) == (r == 0), "a colour of -1 gets nothing");
    });
}

TEST_CASE("asynchronous operations move while nobody waits, and end in order", "[unit]") {
    in_world(3, over("auto"), [](Comm& comm) {
        std::vector<std::vector<float>> in(4, std::vector<float>(30'000, 1.0F));
        std::vector<std::vector<float>> out(4, std::vector<float>(30'000));
        std::vector<std::unique_ptr<Request>> requests;
        for (std::size_t i = 0; i < in.size(); ++i)
            requests.push_back(comm.start(sum_of(in[i], out[i])));
        const auto until = Clock::now() + 20s;
        while (Clock::now() < until && !requests.back()->test()) std::this_thread::sleep_for(1ms);
        for (const auto& q : requests) require(q->test() && q->status().ok(), "finished");
        require(out.back()[0] == 3.0F, "the sum");
        require(comm.counters().operations == 4, "counted");
        require(comm.history().size() == 4 && comm.history()[0].plan.find("allreduce/") == 0,
                "remembered");
    });
}

TEST_CASE("ranks whose options differ do not meet, and are told why", "[unit]") {
    const test::MeetingPlace place;
    run_ranks(3, [&](std::uint32_t r) {
        WorldOptions options = over("shm");
        options.meet_within = 20s;
        if (r == 2) options.algorithm = "ring";
        const auto world = World::join(place.id(), r, 3, options);
        require(!world.ok(), "they met");
        const std::string text = to_string(world.error());
        require(text.find("algorithm") != text.npos && text.find("ring") != text.npos &&
                    text.find("rank 2") != text.npos,
                text);
    });
}

TEST_CASE("a member that does not call is named when patience ends", "[unit]") {
    const std::string transport = GENERATE("shm", "tcp");
    const std::size_t count = GENERATE(16, 60'000);
    CAPTURE(transport, count);
    WorldOptions options = over(transport);
    options.patience = 500ms;
    std::atomic<int> over_with{0};
    in_world(3, options, [&](Comm& comm) {
        require(all_reduce(comm, count).ok(), "before");
        const auto until = Clock::now() + 20s;
        if (comm.rank() == 2) {
            while (over_with < 2 && Clock::now() < until) std::this_thread::sleep_for(1ms);
            return;
        }
        const Status s = all_reduce(comm, count);
        ++over_with;
        require(!s.ok(), "it cannot have worked");
        const std::string text = to_string(s.error());
        require(text.find("rank 2 (late") != text.npos, text);
        require(Clock::now() < until - 10s, "in time");
    });
}

TEST_CASE("a member that dies is named, and those that live go on without it", "[unit]") {
    const std::string transport = GENERATE("shm", "tcp");
    CAPTURE(transport);
    const test::MeetingPlace place;
    constexpr std::uint32_t kRanks = 4;
    std::atomic<std::uint32_t> begun{0};
    run_ranks(kRanks, [&](std::uint32_t r) {
        auto world = World::join(place.id(), r, kRanks, over(transport));
        require(world.ok(), "join");
        auto comm = std::make_unique<Comm>(world.value());
        require(all_reduce(*comm, 1000).ok(), "before");
        ++begun;
        if (r == 2) {
            // Not while another is still in the first one, which its death would end.
            const auto until = Clock::now() + 20s;
            while (begun < kRanks && Clock::now() < until) std::this_thread::sleep_for(1ms);
            world.value()->vanish();
            return;
        }
        const Status s = all_reduce(*comm, 60'000);
        require(!s.ok(), "it cannot have worked");
        const std::string text = to_string(s.error());
        require(text.find("rank 2") != text.npos, text);
        auto smaller = comm->shrink();
        require(smaller.ok(), smaller.ok() ? "" : to_string(smaller.error()));
        std::string who;
        for (const std::uint32_t m : smaller.value()->members()) who += std::to_string(m);
        require(who == "013", "the survivors are " + who + ", after: " + text);
        std::vector<float> in(60'000, 1.0F);
        std::vector<float> out(in.size());
        require(smaller.value()->run(sum_of(in, out)).ok() && out[5] == 3.0F, "after");
    });
}

TEST_CASE("abort from another thread ends a wait for a member that never comes", "[unit]") {
    const std::string transport = GENERATE("shm", "tcp");
    CAPTURE(transport);
    std::atomic<int> over_with{0};
    in_world(3, over(transport), [&](Comm& comm) {
        if (comm.rank() == 2) {
            const auto until = Clock::now() + 20s;
            while (over_with < 2 && Clock::now() < until) std::this_thread::sleep_for(1ms);
            return;
        }
        std::thread other;
        const auto start = Clock::now();
        if (comm.rank() == 0)
            other = std::thread([&] {
                std::this_thread::sleep_for(50ms);
                comm.abort("enough");
            });
        const Status s = all_reduce(comm, 60'000);
        if (other.joinable()) other.join();
        require(Clock::now() - start < 5s, "at once");
        require(!s.ok() && to_string(s.error()).find("enough") != std::string::npos,
                s.ok() ? "it worked" : to_string(s.error()));
        ++over_with;
    });
}

TEST_CASE("after an abort no memory of a call in progress is touched", "[unit]") {
    in_world(3, over("shm"), [](Comm& comm) {
        std::vector<float> in(1 << 18, 1.0F);
        std::vector<float> out(in.size());
        const auto again = [&] {
            while (true)
                if (const Status s = comm.run(sum_of(in, out)); !s) return s;
        };
        if (comm.rank() != 0) {
            require(!again().ok(), "aborted");
            return;
        }
        std::atomic<bool> touched{false};
        std::thread other([&] {
            std::this_thread::sleep_for(20ms);
            comm.abort("enough");
            std::fill(out.begin(), out.end(), 7.0F);
            std::this_thread::sleep_for(20ms);
            touched = std::count(out.begin(), out.end(), 7.0F) != std::int64_t{1} << 18;
        });
        const Status s = again();
        other.join();
        require(to_string(s.error()).find("enough") != std::string::npos, to_string(s.error()));
        require(!touched, "it wrote into the output");
    });
}

TEST_CASE("large blocks are read where they lie, unless a member's call forbids it", "[unit]") {
    in_world(3, over("shm"), [](Comm& comm) {
        const std::uint32_t n = comm.ranks();
        const std::uint32_t r = comm.rank();
        const std::size_t count = 20'000;
        std::vector<std::uint32_t> in(count * n);
        std::vector<std::uint32_t> out(count * n);
        const auto value = [&](std::size_t rank, std::size_t i) {
            return static_cast<std::uint32_t>(rank * 1'000'003 + i);
        };
        // Who has its input where its output goes; nobody, one, all.
        for (const std::uint32_t in_place : {0U, 1U, n}) {
            for (const Collective c : {Collective::kAllGather, Collective::kAllToAll}) {
                const bool here = r < in_place;
                const bool all_to_all = c == Collective::kAllToAll;
                const std::size_t inputs = all_to_all ? count * n : count;
                std::uint32_t* from = !here        ? in.data()
                                      : all_to_all ? out.data()
                                                   : out.data() + r * count;
                for (std::size_t i = 0; i < inputs; ++i) from[i] = value(r, i);
                require(comm.run({.collective = c,
                                  .input = from,
                                  .output = out.data(),
                                  .count = count,
                                  .dtype = DataType::kU32})
                            .ok(),
                        "done");
                for (std::size_t i = 0; i < count * n; ++i)
                    require(out[i] == value(i / count, i % count + (all_to_all ? r * count : 0)),
                            name_of(c));
                const bool direct =
                    comm.history().back().plan.find("each other's") != std::string::npos;
                require(direct == (!all_to_all || in_place == 0), comm.history().back().plan);
            }
        }
    });
}

TEST_CASE("what ran and why: by shared memory, by messages, as asked", "[unit]") {
    WorldOptions options = over("shm");
    in_world(3, options, [](Comm& comm) {
        const auto plan = [&](std::size_t count) {
            std::vector<float> in(count);
            std::vector<float> out(count);
            return comm.explain(sum_of(in, out)).plan;
        };
        require(plan(4) == "shared memory, one shot, no pieces", plan(4));
        require(plan(3000) == "shared memory, one shot", plan(3000));
        require(plan(100'000) == "shared memory, two shots", plan(100'000));
        require(all_reduce(comm, 4).ok() && all_reduce(comm, 100'000).ok(), "both");
        require(comm.counters().shared == 2 && comm.counters().operations == 2, "counted");
        require(comm.history().size() == 1, "the small one is only counted");
    });
    options.algorithm = "ring";
    in_world(3, options, [](Comm& comm) {
        require(all_reduce(comm, 100'000).ok() && comm.counters().shared == 0, "as asked");
        require(comm.history().at(0).plan.find("allreduce/ring") == 0, "a ring");
    });
}

TEST_CASE("a Plan of one's own runs for its sizes, by name or as data", "[unit]") {
    const std::string transport = GENERATE("shm", "tcp");
    in_world(4, over(transport), [](Comm& comm) {
        const auto sum = [&](std::size_t count, const std::string& plan) {
            std::vector<float> in(count, static_cast<float>(comm.rank() + 1));
            std::vector<float> out(count);
            require(comm.explain(sum_of(in, out)).plan.find(plan) == 0,
                    comm.explain(sum_of(in, out)).plan);
            for (const bool waits : {true, false}) {
                std::fill(out.begin(), out.end(), 0.0F);
                if (waits) {
                    require(comm.run(sum_of(in, out)).ok(), "run");
                } else {
                    const auto request = comm.start(sum_of(in, out));
                    require(request->wait(Clock::now() + 20s) && request->status().ok(), "start");
                }
                for (const float x : out) require(x == 10.0F, "the sum");
            }
        };
        require(comm.load_plan("allreduce/ring channels=3 slice=4KiB", 1000, 300'000).ok(), "name");
        sum(10'000, "allreduce/ring, 3 channels, slices of 4 KiB");
        GroupShape shape{.n = 4, .uniform = true, .per_host = 1, .hosts = 4};
        PlanTemplate mine = expand(build_plan(Collective::kAllReduce, "tree", shape));
        mine.algorithm = "allreduce/mine";
        require(comm.load_plan(plan_to_json(mine), 20'000, 50'000).ok(), "data");
        sum(10'000, "allreduce/mine");
        sum(1'000, "allreduce/ring, 3");
        comm.unload_plans();
        sum(10'000, comm.world().shared_memory() ? "shared memory" : "allreduce/hierarchical");
    });
}

TEST_CASE("a Plan that some members refuse, or not all give, is loaded by none", "[unit]") {
    in_world(3, over("shm"), [](Comm& comm) {
        const auto load = [&](const std::string& plan) -> std::string {
            try {
                const Status s = comm.load_plan(plan, 0, ~0ULL);
                return s.ok() ? "" : to_string(s.error());
            } catch (const ConfigError& e) {
                return std::string("refused: ") + e.what();
            }
        };
        const bool odd = comm.rank() == 1;
        std::string said = load(odd ? "allreduce/ring slots=0" : "allreduce/ring");
        require(said.find(odd ? "refused: slots" : "rank 1 refused") == 0, said);
        said = load(odd ? "allreduce/ring channels=2" : "allreduce/ring");
        require(said.find("rank 0 and rank 1 load different plans") == 0, said);
        GroupShape shape{.n = 3, .uniform = true, .per_host = 1, .hosts = 3};
        PlanTemplate wrong = build_plan(Collective::kAllReduce, "ring", shape);
        wrong.channels[0].stages.pop_back();
        said = load(plan_to_json(wrong));
        require(said.find("refused: ") == 0 && said.find("the checker proves") != said.npos, said);
        shape.n = shape.hosts = 2;
        said = load(plan_to_json(build_plan(Collective::kAllReduce, "ring", shape)));
        require(said.find("as the communicator has") != said.npos, said);
        require(all_reduce(comm, 10'000).ok() && comm.history().size() < 10, "and goes on");
    });
}

TEST_CASE("arguments that make no sense are refused and break nothing", "[unit]") {
    in_world(2, over("shm"), [](Comm& comm) {
        float x = 0;
        const auto refused = [&](const CollectiveCall& call) {
            try {
                (void)comm.run(call);
                return false;
            } catch (const ConfigError&) {
                return true;
            }
        };
        require(refused({.input = nullptr, .output = &x, .count = 1}), "a null input");
        require(refused({.input = &x, .output = &x, .count = 1, .root = 2}), "a root too far");
        require(refused({.input = &x, .output = &x, .count = ~0ULL}), "a count too large");
        require(all_reduce(comm, 10).ok(), "and goes on");
    });
}

}  // namespace
}  // namespace weft::live
