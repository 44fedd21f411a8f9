#include "collectives/api/pairs.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <numeric>
#include <set>
#include <thread>

#include "base/rng.hpp"
#include "collectives/api/comm.hpp"
#include "tests/support/world_threads.hpp"

namespace weft::live {
namespace {

using namespace std::chrono_literals;
using test::in_world;
using test::require;
using Way = PairMessage::Way;

WorldOptions over(const std::string& transport, std::chrono::milliseconds patience = 20s) {
    WorldOptions o;
    o.transport = transport;
    o.patience = patience;
    return o;
}

PairMessage to(std::uint32_t peer, const std::vector<std::int32_t>& data) {
    return {Way::kSend, peer, const_cast<std::int32_t*>(data.data()), data.size(), DataType::kI32};
}
PairMessage from(std::uint32_t peer, std::vector<std::int32_t>& data) {
    return {Way::kReceive, peer, data.data(), data.size(), DataType::kI32};
}

void good(const Status& s) {
    require(s.ok(), s.ok() ? "" : to_string(s.error()));
}

Status run_one(Comm& comm, const PairMessage& m) {
    return comm.run(std::span<const PairMessage>(&m, 1));
}

void await(const std::function<bool()>& what) {
    const auto until = Clock::now() + 20s;
    while (!what() && Clock::now() < until) std::this_thread::sleep_for(1ms);
    require(what(), "a hang");
}

TEST_CASE("contexts of the pairs that one rank is in are all different", "[unit]") {
    for (const std::uint32_t n : {1U, 2U, 3U, 8U, 257U})
        for (const std::uint32_t r : {0U, n / 2, n - 1}) {
            std::set<ContextId> seen;
            for (std::uint32_t q = 0; q < n; ++q) {
                if (q == r) continue;
                seen.insert(pair_context(100, n, r, q));
                seen.insert(pair_context(100, n, q, r));
            }
            CHECK(seen.size() == 2 * (n - 1));
            for (const ContextId c : seen) CHECK((c > 100 && c < 100 + contexts_of(n)));
        }
}

// ---- Random patterns ----

struct Drawn {
    std::uint32_t source = 0;
    std::uint32_t destination = 0;
    std::uint64_t count = 0;
    std::int32_t first = 0;
};

std::vector<Drawn> draw(RandomStream& random, std::uint32_t ranks) {
    std::vector<Drawn> all(random.below(4 * ranks));
    for (Drawn& d : all) {
        d.source = static_cast<std::uint32_t>(random.below(ranks));
        d.destination = static_cast<std::uint32_t>(random.below(ranks));
        const std::uint64_t most[] = {1, 10, 2000, 100'000};
        d.count = random.below(most[random.below(4)]);
        d.first = static_cast<std::int32_t>(random.below(1 << 30));
    }
    return all;
}

/// A rank's part of what was drawn: messages of a pair in order, pairs in an order of its own.
class Part {
  public:
    Part(const std::vector<Drawn>& all, std::uint32_t rank, RandomStream& own) {
        std::map<std::pair<std::uint32_t, Way>, std::vector<PairMessage>> by_pair;
        std::size_t left = 0;
        for (const Drawn& d : all) {
            if (d.source == rank) {
                memory_.emplace_back(d.count);
                std::iota(memory_.back().begin(), memory_.back().end(), d.first);
                by_pair[{d.destination, Way::kSend}].push_back(to(d.destination, memory_.back()));
                ++left;
            }
            if (d.destination == rank) {
                memory_.emplace_back(d.count, -1);
                wanted_.emplace_back(&memory_.back(), d.first);
                by_pair[{d.source, Way::kReceive}].push_back(from(d.source, memory_.back()));
                ++left;
            }
        }
        for (; left > 0; --left) {
            auto at = by_pair.begin();
            std::advance(at, own.below(by_pair.size()));
            group.push_back(at->second.front());
            at->second.erase(at->second.begin());
            if (at->second.empty()) by_pair.erase(at);
        }
    }
    void judge() const {
        for (const auto& [got, first] : wanted_)
            for (std::size_t i = 0; i < got->size(); ++i)
                require((*got)[i] == first + static_cast<std::int32_t>(i), "wrong data");
    }
    std::vector<PairMessage> group;

  private:
    std::deque<std::vector<std::int32_t>> memory_;
    std::vector<std::pair<const std::vector<std::int32_t>*, std::int32_t>> wanted_;
};

/// Groups one after the other, some at the same time, with collectives between them.
void random_patterns(Comm& comm, int rounds) {
    RandomStream common(7, comm.ranks(), "pattern");
    RandomStream own(7, comm.rank(), "order");
    for (int i = 0; i < rounds; ++i) {
        const Part first(draw(common, comm.ranks()), comm.rank(), own);
        const Part second(draw(common, comm.ranks()), comm.rank(), own);
        const auto under_way = comm.start(first.group);
        good(comm.run(second.group));
        if (i % 3 == 0) good(comm.barrier());
        require(under_way->wait(Clock::now() + 20s), "a hang");
        good(under_way->status());
        first.judge();
        second.judge();
    }
}

TEST_CASE("random patterns of messages arrive, to oneself, empty and large ones too", "[unit]") {
    const std::string transport = GENERATE("shm", "tcp", "auto");
    const std::uint32_t n = GENERATE(1, 2, 5);
    CAPTURE(transport, n);
    in_world(n, over(transport), [](Comm& comm) { random_patterns(comm, 12); });
}

TEST_CASE("random patterns arrive under faults", "[unit]") {
    const std::string transport = GENERATE("shm", "tcp");
    CAPTURE(transport);
    WorldOptions options = over(transport);
    options.fault =
        "seed=5; delay=2%; reorder=2%; duplicate=2%; late=2%; drop=1%; longest=2ms; heal=5ms";
    // Who leaves cannot tell any more that what was sent again had come.
    std::atomic<int> done{0};

    in_world(3, options, [&](Comm& comm) {
        random_patterns(comm, 12);
        ++done;
        await([&] { return done == 3; });
    });
}

// ---- Order, and who waits for whom ----

TEST_CASE("all send before they receive, and nobody hangs", "[unit]") {
    const std::string transport = GENERATE("shm", "tcp");
    in_world(4, over(transport), [](Comm& comm) {
        const std::uint32_t n = comm.ranks();
        std::vector<std::int32_t> mine(300'000, static_cast<std::int32_t>(comm.rank()));
        std::vector<std::int32_t> theirs(mine.size());
        const std::uint32_t before = (comm.rank() + n - 1) % n;
        const std::array ring{to((comm.rank() + 1) % n, mine), from(before, theirs)};
        good(comm.run(ring));
        require(theirs.front() == static_cast<std::int32_t>(before) && theirs.back() == theirs[0],
                "from the one before");
    });
}

TEST_CASE("a pair plays ping-pong while the others run collectives", "[unit]") {
    in_world(4, over("shm"), [](Comm& comm) {
        std::vector<std::int32_t> ball{0};
        std::atomic<bool> played{comm.rank() >= 2};
        std::thread pair;
        if (comm.rank() < 2)
            pair = std::thread([&] {
                for (int i = 0; i < 100; ++i) {
                    const bool serves = (comm.rank() == 0) == (i % 2 == 0);
                    if (serves) ++ball[0];
                    good(run_one(comm,
                                 serves ? to(1 - comm.rank(), ball) : from(1 - comm.rank(), ball)));
                }
                played = true;
            });
        for (int i = 0; i < 50; ++i) good(comm.barrier());
        if (pair.joinable()) pair.join();
        require(played && (comm.rank() >= 2 || ball[0] == 100), "all hits");
    });
}

TEST_CASE("messages of two communicators of the same ranks do not mix", "[unit]") {
    const std::string transport = GENERATE("shm", "tcp");
    in_world(2, over(transport), [](Comm& world) {
        auto made = world.split(0, 0);
        require(made.ok(), "split");
        Comm& other = *made.value();
        std::vector<std::int32_t> a(50'000, 1);
        std::vector<std::int32_t> b(50'000, 2);
        std::vector<std::unique_ptr<Request>> requests;
        const auto start = [&](Comm& comm, std::vector<std::int32_t>& data) {
            const PairMessage m = comm.rank() == 0 ? to(1, data) : from(0, data);
            requests.push_back(comm.start(std::span<const PairMessage>(&m, 1)));
        };
        if (world.rank() == 1) {
            a.assign(a.size(), 0);
            b.assign(b.size(), 0);
            start(other, b);
            start(world, a);
        } else {
            start(world, a);
            start(other, b);
        }
        for (const auto& r : requests) {
            require(r->wait(Clock::now() + 20s), "a hang");
            good(r->status());
        }
        require(a.back() == 1 && b.back() == 2, "each its own");
    });
}

// ---- What goes wrong ----

struct Difference {
    const char* name;
    std::array<const char*, 2> said;
    PairMessage sent;
    PairMessage received;
};

TEST_CASE("ends that differ are an error that names both, and breaks the communicator", "[unit]") {
    const std::string transport = GENERATE("shm", "tcp");
    const auto message = [](Way way, std::uint64_t count, DataType type) {
        return PairMessage{way, way == Way::kSend ? 2U : 0U, nullptr, count, type};
    };
    const Difference difference =
        GENERATE_COPY(Difference{"count",
                                 {"7 on rank", "8 on rank"},
                                 message(Way::kSend, 7, DataType::kI32),
                                 message(Way::kReceive, 8, DataType::kI32)},
                      Difference{"large",
                                 {"70000 on rank", "70001 on rank"},
                                 message(Way::kSend, 70'000, DataType::kI32),
                                 message(Way::kReceive, 70'001, DataType::kI32)},
                      Difference{"type",
                                 {"int32 on rank", "float on rank"},
                                 message(Way::kSend, 7, DataType::kI32),
                                 message(Way::kReceive, 7, DataType::kF32)},
                      Difference{"none sent",
                                 {" 0 on rank", "8 on rank"},
                                 message(Way::kSend, 0, DataType::kI32),
                                 message(Way::kReceive, 8, DataType::kI32)},
                      Difference{"none wanted",
                                 {"7 on rank", " 0 on rank"},
                                 message(Way::kSend, 7, DataType::kI32),
                                 message(Way::kReceive, 0, DataType::kI32)});
    CAPTURE(transport, difference.name);
    std::atomic<int> told{0};
    in_world(3, over(transport), [&](Comm& comm) {
        good(comm.barrier());
        const auto start = Clock::now();
        Status s = Done{};
        std::vector<std::int32_t> memory(100'000);
        PairMessage mine = comm.rank() == 0 ? difference.sent : difference.received;
        mine.data = memory.data();
        if (comm.rank() != 1) s = run_one(comm, mine);
        if (s) s = comm.barrier();
        require(!s.ok(), "it cannot have worked");
        require(Clock::now() - start < 10s, "at once");
        const std::string text = to_string(s.error());
        require(text.find("sendrecv") != text.npos && text.find("rank 0") != text.npos &&
                    text.find("rank 2") != text.npos,
                text);
        for (const char* said : difference.said) require(text.find(said) != text.npos, text);
        require(comm.broken().has_value(), "broken");
        ++told;
        await([&] { return told == 3; });
    });
}

TEST_CASE("who does not come is named when patience ends", "[unit]") {
    const std::string transport = GENERATE("shm", "tcp");
    const Way way = GENERATE(Way::kSend, Way::kReceive);
    CAPTURE(transport);
    std::atomic<bool> told{false};
    in_world(3, over(transport, 500ms), [&](Comm& comm) {
        good(comm.barrier());
        if (comm.rank() != 1) return await([&] { return told.load(); });
        std::vector<std::int32_t> data(200'000);
        const Status s = run_one(comm, {way, 2, data.data(), data.size(), DataType::kI32});
        told = true;
        require(!s.ok(), "it cannot have worked");
        const std::string text = to_string(s.error());
        require(text.find("rank 2 (late") != text.npos, text);
    });
}

TEST_CASE("who dies is named at the other end", "[unit]") {
    const std::string transport = GENERATE("shm", "tcp");
    CAPTURE(transport);
    const test::MeetingPlace place;
    constexpr std::uint32_t kRanks = 3;
    std::atomic<std::uint32_t> begun{0};
    run_ranks(kRanks, [&](std::uint32_t r) {
        auto world = World::join(place.id(), r, kRanks, over(transport));
        require(world.ok(), "join");
        auto comm = std::make_unique<Comm>(world.value());
        std::vector<std::int32_t> data(1000, 5);
        if (r > 0) good(run_one(*comm, r == 1 ? to(2, data) : from(1, data)));
        good(comm->barrier());
        ++begun;
        if (r == 2) {
            await([&] { return begun == kRanks; });
            world.value()->vanish();
            return;
        }
        const Status s = run_one(*comm, from(2, data));
        require(!s.ok(), "it cannot have worked");
        const std::string text = to_string(s.error());
        require(text.find("rank 2") != text.npos, text);
        auto smaller = comm->shrink();
        require(smaller.ok(), smaller.ok() ? "" : to_string(smaller.error()));
        std::vector<std::int32_t> theirs(data.size());
        data.assign(data.size(), static_cast<std::int32_t>(r));
        const std::array both{from(1 - r, theirs), to(1 - r, data)};
        good(smaller.value()->run(both));
        require(theirs[7] == static_cast<std::int32_t>(1 - r), "among those that live");
    });
}

TEST_CASE("revoked or aborted, whoever waits for a message hears of it", "[unit]") {
    const std::string transport = GENERATE("shm", "tcp");
    const bool revokes = GENERATE(true, false);
    CAPTURE(transport, revokes);
    std::atomic<int> told{0};
    in_world(3, over(transport), [&](Comm& comm) {
        good(comm.barrier());
        const auto start = Clock::now();
        std::vector<std::int32_t> data(10);
        if (comm.rank() == 0) {
            std::this_thread::sleep_for(30ms);
            revokes ? comm.revoke() : comm.abort("enough");
        }
        const Status s = run_one(comm, from((comm.rank() + 1) % 3, data));
        require(!s.ok() && Clock::now() - start < 10s, "at once");
        const std::string text = to_string(s.error());
        require(text.find(revokes ? "revoked" : "enough") != text.npos, text);
        ++told;
        await([&] { return told == 3; });
    });
}

TEST_CASE("groups that make no sense are refused whole", "[unit]") {
    in_world(2, over("shm"), [](Comm& comm) {
        std::vector<std::int32_t> data(8);
        std::vector<std::int32_t> less(7);
        const auto refused = [&](std::vector<PairMessage> group, const char* word) {
            group.push_back(to(1 - comm.rank(), data));  // would be for ever
            try {
                (void)comm.run(group);
            } catch (const ConfigError& e) {
                require(std::string(e.what()).find(word) != std::string::npos, e.what());
                return;
            }
            require(false, word);
        };
        refused({to(2, data)}, "below 2");
        refused({{Way::kReceive, 0, nullptr, 5, DataType::kI32}}, "null pointer");
        refused({{Way::kSend, 0, data.data(), std::uint64_t{1} << 60, DataType::kI32}}, "64 PiB");
        refused({to(comm.rank(), data)}, "itself");
        refused({to(comm.rank(), data), from(comm.rank(), less)}, "same count and type");
        require(comm.run(std::span<const PairMessage>()).ok(), "an empty one is nothing");
        good(comm.barrier());
    });
}

}  // namespace
}  // namespace weft::live
