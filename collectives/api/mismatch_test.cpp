// Whatever ranks can disagree about: each kind ends with an error at every rank, in time, that
// names two ranks and the operation, and never with a hang or with wrong data.
#include <algorithm>
#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <limits>
#include <mutex>
#include <set>
#include <thread>

#include "collectives/algorithms/algorithm.hpp"
#include "collectives/api/comm.hpp"
#include "collectives/transport/net/unique_id.hpp"
#include "tests/support/world_threads.hpp"

namespace weft::live {
namespace {

using namespace std::chrono_literals;
using test::require;

constexpr std::uint32_t kRanks = 3;
constexpr std::uint32_t kOdd = 1;  // the rank that does something else
constexpr std::size_t kFew = 16;   // elements: without messages where memory is shared
constexpr std::size_t kMany = 60'000;

/// From when all ranks are about to make the call, until all are through.
class Watch {
  public:
    void begin() {
        {
            const std::lock_guard lock(mutex_);
            ++begun_;
            last_ = Clock::now();
        }
        const auto until = Clock::now() + 20s;
        while (Clock::now() < until) {
            {
                const std::lock_guard lock(mutex_);
                if (begun_ == kRanks) return;
            }
            std::this_thread::yield();
        }
    }
    void end() {
        const std::lock_guard lock(mutex_);
        end_ = Clock::now();
        ++ended_;
    }
    [[nodiscard]] std::uint32_t ended() {
        const std::lock_guard lock(mutex_);
        return ended_;
    }
    [[nodiscard]] Clock::duration took() const { return end_ - last_; }

  private:
    std::mutex mutex_;
    std::uint32_t begun_ = 0;
    std::uint32_t ended_ = 0;
    Clock::time_point last_;
    Clock::time_point end_;
};

/// One rank at the moment of the mistake.
struct Scene {
    Comm& comm;
    Watch& watch;
    std::size_t count = 0;
    bool odd = false;

    template <class Change>
    [[nodiscard]] CollectiveCall call(Change change) {
        CollectiveCall c{.input = in.data(), .output = out.data(), .count = count};
        change(c, odd);
        return c;
    }
    template <class Change>
    Status with(Change change) {
        return comm.run(call(change));
    }
    Status plain(Collective collective = Collective::kAllReduce) {
        return with([&](CollectiveCall& c, bool) { c.collective = collective; });
    }
    Status one_after_the_other(Collective first, Collective second) {
        if (const Status s = plain(first); !s) return s;
        return plain(second);
    }
    /// On a group that this rank believes in, with its own Plan of it.
    Status raw(std::vector<std::uint32_t> members, const char* algorithm) {
        AlgorithmParams params;
        params.slice = Bytes{4096};
        const GroupShape shape{.n = members.size(), .uniform = true, .per_host = members.size()};
        const auto me = std::find(members.begin(), members.end(), comm.rank()) - members.begin();
        const PreparedPlan plan(build_plan(Collective::kAllReduce, algorithm, shape, params),
                                static_cast<std::uint32_t>(me));
        Communicator group(comm.world().engine(), 77, std::move(members));
        return group.run(plan, {.buffers = {in.data(), out.data()}, .count = count});
    }
    std::vector<double> in = std::vector<double>(kRanks * (count + 1) + kMany, 1.0);
    std::vector<double> out = std::vector<double>(kRanks * (count + 1) + kMany);
};

enum class Judged : std::uint8_t {
    kAtOnce,      // within a second
    kByPatience,  // nobody can know before
};
constexpr auto kPatience = 700ms;

/// A mistake in calling.
struct CallKind {
    const char* name;
    std::vector<const char*> said;
    std::function<Status(Scene&)> act;
    Judged judged = Judged::kAtOnce;
    bool only_shm = false;  // elsewhere they agree, whichever way they are called
    bool odd_fails = true;
};

constexpr const char* kSame = "is not the same on rank";
using Call = CollectiveCall;

std::vector<CallKind> arguments_that_differ() {
    return {
        {"count",
         {kSame, "allreduce", "count "},
         [](Scene& s) { return s.with([](Call& c, bool odd) { c.count += odd; }); }},
        {"a few elements against many",
         {kSame, "allreduce", "count "},
         [](Scene& s) {
             return s.with([](Call& c, bool odd) { c.count = odd ? kFew : kMany + c.count; });
         }},
        {"type of another size",
         {kSame, "allreduce", "type "},
         [](Scene& s) {
             return s.with([](Call& c, bool odd) { c.dtype = odd ? DataType::kF64 : c.dtype; });
         }},
        {"type of the same size",
         {kSame, "allreduce", "type "},
         [](Scene& s) {
             return s.with([](Call& c, bool odd) { c.dtype = odd ? DataType::kI32 : c.dtype; });
         }},
        {"reduction",
         {kSame, "allreduce", "reduction "},
         [](Scene& s) {
             return s.with([](Call& c, bool odd) { c.op = odd ? ReduceOp::kMax : c.op; });
         }},
        {"pre-multiplied or not",
         {kSame, "allreduce", "reduction "},
         [](Scene& s) {
             const float half = 0.5F;
             return s.with([&](Call& c, bool odd) {
                 c.op = odd ? ReduceOp::kPreMulSum : c.op;
                 c.factor = &half;
             });
         }},
        {"operation",
         {kSame, "allreduce on rank", "allgather on rank"},
         [](Scene& s) { return s.plain(s.odd ? Collective::kAllGather : Collective::kAllReduce); }},
        {"operation with as much data",
         {kSame, "reducescatter on rank", "alltoall on rank"},
         [](Scene& s) {
             return s.plain(s.odd ? Collective::kAllToAll : Collective::kReduceScatter);
         }},
        {"root",
         {kSame, "broadcast", "root "},
         [](Scene& s) {
             return s.with([](Call& c, bool odd) {
                 c.collective = Collective::kBroadcast;
                 c.root = odd ? 1 : 0;
             });
         }},
        {"root of a reduce",
         {kSame, "reduce", "root "},
         [](Scene& s) {
             const Status first = s.with([](Call& c, bool odd) {
                 c.collective = Collective::kReduce;
                 c.root = odd ? 1 : 2;
             });
             return first ? s.comm.barrier() : first;
         }},
        {"gather against scatter",
         {kSame, "gather on rank", "scatter on rank"},
         // Who has its block has done its part, and hears of it at the next call.
         [](Scene& s) {
             const Status first = s.plain(s.odd ? Collective::kGather : Collective::kScatter);
             return first ? s.comm.barrier() : first;
         }},
    };
}

std::vector<CallKind> calls_that_differ() {
    return {
        {"order",
         {kSame, "allreduce on rank", "allgather on rank"},
         [](Scene& s) {
             return s.odd ? s.one_after_the_other(Collective::kAllGather, Collective::kAllReduce)
                          : s.one_after_the_other(Collective::kAllReduce, Collective::kAllGather);
         }},
        {"one call left out",
         {kSame, "allreduce on rank", "allgather on rank"},
         [](Scene& s) {
             return s.odd ? s.plain(Collective::kAllGather)
                          : s.one_after_the_other(Collective::kAllReduce, Collective::kAllGather);
         }},
        {"one call too many",
         {kSame, "allreduce on rank", "alltoall on rank"},
         [](Scene& s) {
             return s.odd ? s.one_after_the_other(Collective::kAllToAll, Collective::kAllReduce)
                          : s.plain();
         }},
        {"blocking or not",
         {kSame, "allreduce"},
         [](Scene& s) {
             if (!s.odd) return s.plain();
             const auto request = s.comm.start(s.call([](Call&, bool) {}));
             require(request->wait(Clock::now() + 20s), "a hang");
             return request->status();
         },
         Judged::kAtOnce,
         true},
        {"a barrier against a collective",
         {kSame, "allreduce"},
         [](Scene& s) { return s.odd ? s.comm.barrier() : s.plain(); }},
        {"a split against a collective",
         {kSame, "allreduce on rank", "allgather on rank"},
         [](Scene& s) -> Status {
             if (!s.odd) return s.plain();
             const auto made = s.comm.split(0, 0);
             if (!made) return made.error();
             return Done{};
         }},
    };
}

std::vector<CallKind> groups_that_differ() {
    return {
        {"algorithm, hence Plan",
         {kSame, "allreduce", "plan "},
         [](Scene& s) {
             return s.raw({0, 1, 2}, s.odd ? "tree" : "ring");
         }},
        {"members of a group",
         {kSame, "allreduce", "plan "},
         [](Scene& s) {
             return s.odd ? s.raw({0, 1}, "ring") : s.raw({0, 1, 2}, "ring");
         }},
        {"order of communicators",
         {"allreduce", "not arrived", "(in allreduce"},
         [](Scene& s) -> Status {
             auto other = s.comm.split(0, 0);
             if (!other) return other.error();
             Scene second{*other.value(), s.watch, s.count, s.odd};
             if (const Status first = s.odd ? second.plain() : s.plain(); !first) return first;
             return s.odd ? s.plain() : second.plain();
         },
         Judged::kByPatience},
        {"a member that does not call",
         {"allreduce", "not arrived: rank 1 (late"},
         [](Scene& s) -> Status {
             if (!s.odd) return s.plain();
             const auto until = Clock::now() + 20s;
             while (s.watch.ended() < kRanks - 1 && Clock::now() < until)
                 std::this_thread::sleep_for(1ms);
             return Done{};
         },
         Judged::kByPatience,
         false,
         false},
    };
}

std::vector<CallKind> call_kinds() {
    std::vector<CallKind> all = arguments_that_differ();
    for (const auto& more : {calls_that_differ(), groups_that_differ()})
        all.insert(all.end(), more.begin(), more.end());
    return all;
}

/// The numbers after "rank".
std::set<int> ranks_in(const std::string& text) {
    std::set<int> named;
    for (std::size_t at = text.find("rank "); at != text.npos; at = text.find("rank ", at + 1))
        if (const char c = text.c_str()[at + 5]; c >= '0' && c <= '9') named.insert(c - '0');
    return named;
}

struct Ended {
    std::vector<std::string> texts =
        std::vector<std::string>(kRanks);  // "" where there was no error
    Clock::duration took{0};               // from when all ranks had begun to the last one's end
};

Ended run_calls(const CallKind& kind, const std::string& transport, std::size_t count) {
    Ended e;
    Watch watch;
    WorldOptions options;
    options.transport = transport;
    options.patience = kind.judged == Judged::kByPatience ? kPatience : 20s;
    test::in_world(kRanks, options, [&](Comm& comm) {
        Scene scene{comm, watch, count, comm.rank() == kOdd};
        require(scene.plain().ok(), "before");
        require(comm.barrier().ok(), "before");
        watch.begin();
        const Status s = kind.act(scene);
        watch.end();
        if (!s) e.texts[comm.rank()] = to_string(s.error());
        // Nobody leaves before all have said why they gave up.
        for (const auto until = Clock::now() + 25s; watch.ended() < kRanks && Clock::now() < until;)
            std::this_thread::sleep_for(1ms);
    });
    e.took = watch.took();
    return e;
}

void check_texts(const Ended& e, const CallKind& kind) {
    for (std::uint32_t r = 0; r < kRanks; ++r) {
        if (r == kOdd && !kind.odd_fails) continue;
        const std::string& text = e.texts[r];
        INFO(text);
        REQUIRE(text != "");
        const std::set<int> named = ranks_in(text);
        CHECK(named.count(kOdd) == 1);
        CHECK(named.size() >= 2);
        for (const char* words : kind.said) CHECK_THAT(text, Catch::Contains(words));
    }
}

double seconds(Clock::duration d) {
    return std::chrono::duration<double>(d).count();
}

/// Every kind over every transport and size, `times` each.
void all_call_kinds(int times, Clock::duration within) {
    for (const CallKind& kind : call_kinds()) {
        std::vector<double> took;
        for (const char* transport : {"shm", "tcp"})
            for (const std::size_t count : {kFew, kMany})
                for (int i = 0; i < times; ++i) {
                    if (kind.only_shm && std::string("shm") != transport) continue;
                    INFO(kind.name << " over " << transport << ", " << count);
                    const Ended e = run_calls(kind, transport, count);
                    check_texts(e, kind);
                    CHECK(e.took < within);
                    took.push_back(seconds(e.took));
                }
        std::sort(took.begin(), took.end());
        if (times > 1)
            WARN(fmt::format("{}: {:.3f} {:.3f} {:.3f} s", kind.name, took.front(),
                             took[took.size() / 2], took.back()));
    }
}

/// A mistake in joining.
struct JoinKind {
    const char* name;
    std::vector<const char*> said;
    std::function<void(NetOptions&, UniqueId&)> change;  // of the odd rank
    Judged judged = Judged::kAtOnce;
    bool odd_knows = true;  // or it may say something of its own
};

std::vector<JoinKind> join_kinds() {
    const auto option = [](const char* key, const char* value) {
        return [=](NetOptions& o, UniqueId&) {
            for (auto& [k, v] : o.environment)
                if (k == key) v = value;
        };
    };
    return {
        {"option transport", {"transport=auto", "transport=tcp"}, option("transport", "tcp")},
        {"option algorithm", {"algorithm=", "algorithm=ring"}, option("algorithm", "ring")},
        {"option paths", {"paths=1", "paths=2"}, option("paths", "2")},
        {"option verify", {"verify=0", "verify=1"}, option("verify", "1")},
        {"an option that others lack",
         {"extra"},
         [](NetOptions& o, UniqueId&) { o.environment.emplace_back("extra", "1"); }},
        {"version", {"runs weft 0.0.7"}, [](NetOptions& o, UniqueId&) { o.version = "0.0.7"; }},
        {"number of ranks",
         {"believes in", " 3", " 4"},
         [](NetOptions& o, UniqueId&) { o.ranks = 4; }},
        {"secret",
         {"not arrived: rank 1"},
         [](NetOptions&, UniqueId& id) {
             auto parts = net::unpack(id).value();
             parts.secret[3] ^= std::byte{1};
             id = net::pack(parts);
         },
         Judged::kByPatience,
         false},
    };
}

Ended run_joins(const JoinKind& kind) {
    Ended e;
    Watch watch;
    const test::MeetingPlace place;
    run_ranks(kRanks, [&](std::uint32_t r) {
        UniqueId id = place.id();
        NetOptions options{.rank = r, .ranks = kRanks};
        options.environment = {
            {"transport", "auto"}, {"algorithm", ""}, {"paths", "1"}, {"verify", "0"}};
        if (r == kOdd) kind.change(options, id);
        auto control = NetControl::start(id, options);
        require(control.ok(), "start");
        watch.begin();
        const bool patient = kind.judged == Judged::kAtOnce;
        const Status s = control.value()->meet(Clock::now() + (patient ? 20s : kPatience));
        watch.end();
        if (!s) e.texts[r] = to_string(s.error());
    });
    e.took = watch.took();
    return e;
}

void all_join_kinds(int times, Clock::duration within) {
    for (const JoinKind& kind : join_kinds()) {
        std::vector<double> took;
        for (int i = 0; i < times; ++i) {
            INFO(kind.name);
            Ended e = run_joins(kind);
            REQUIRE(e.texts[kOdd] != "");
            if (!kind.odd_knows) e.texts[kOdd] = e.texts[0];
            for (const std::string& text : e.texts) {
                INFO(text);
                CHECK_THAT(text, Catch::Contains("rank 1"));
                for (const char* words : kind.said) CHECK_THAT(text, Catch::Contains(words));
            }
            CHECK(e.took < within);
            took.push_back(seconds(e.took));
        }
        std::sort(took.begin(), took.end());
        if (times > 1)
            WARN(fmt::format("{}: {:.3f} {:.3f} {:.3f} s", kind.name, took.front(),
                             took[took.size() / 2], took.back()));
    }
}

// A second on a machine that is not busy; see [.strict].
constexpr auto kLoose = 8s;

TEST_CASE("21 kinds of calls that differ are errors that name two ranks and the operation",
          "[integration]") {
    CHECK(call_kinds().size() == 21);
    all_call_kinds(1, kLoose);
}

TEST_CASE("8 kinds of ranks that must not meet do not, and are told why", "[integration]") {
    CHECK(join_kinds().size() == 8);
    all_join_kinds(1, kLoose);
}

// By hand, on an idle machine: minimum, median and maximum of the time to the last rank's error.
TEST_CASE("all kinds of mismatches within a second", "[.strict]") {
    all_call_kinds(10, 1s);
    all_join_kinds(10, 1s);
}

}  // namespace
}  // namespace weft::live
