// Every shipped Plan is proved; readers and cursor equal the naive expander.
#include <catch2/catch.hpp>
#include <map>
#include <tuple>

#include "base/rng.hpp"
#include "collectives/plan/checker.hpp"
#include "collectives/plan/cursor.hpp"
#include "tests/property/naive_expander.hpp"
#include "tests/property/plan_shapes.hpp"

using namespace weft;
using weft::testing::for_each_plan;
using weft::testing::NaiveChannel;
using weft::testing::NaiveExpander;
using weft::testing::NaiveOp;

TEST_CASE("every shipped Plan is proved", "[property]") {
    for (const std::size_t n : {1u, 2u, 3u, 7u, 8u, 11u, 16u, 64u})
        for_each_plan(n, {0, 1, 2, 5}, [](const PlanTemplate& p, const std::string& name) {
            if (p.n == 64 && p.channels.size() > 16) return;
            const CheckReport r = check_plan(p);
            INFO(name << ": " << r.problem);
            CHECK(r.ok);
        });
}

TEST_CASE("expanding a Plan keeps its proof and its order", "[property]") {
    for_each_plan(12, {2}, [](const PlanTemplate& p, const std::string& name) {
        INFO(name);
        const CheckReport a = check_plan(p);
        const CheckReport b = check_plan(expand(p), &a);
        CHECK(b.ok);
        CHECK(a.fingerprint == b.fingerprint);
        CHECK(a.steps == b.steps);
    });
}

TEST_CASE("a ring over 1024 ranks is proved within seconds", "[property]") {
    GroupShape s;
    s.n = 1024;
    s.per_host = 8;
    s.hosts = 128;
    AlgorithmParams params;
    params.channels = 1;
    PlanTemplate p = build_plan(Collective::kAllReduce, "ring", s, params);
    p.in_place_ok = false;  // once is enough here
    const CheckReport r = check_plan(p);
    INFO(r.problem);
    CHECK(r.ok);
    CHECK(r.steps == 2 * 1023);
    CHECK(r.transfers == 2ULL * 1023 * 1024);
}

namespace {

struct Part {
    std::uint64_t begin, end;
};

/// The semantics page's rounding, written again.
Part naive_part(const PlanTemplate& p, const Binding& b, std::size_t channel, std::uint32_t rank,
                int buffer, std::uint32_t unit, const Cut& cut, std::uint32_t slice) {
    std::uint64_t before = 0, total = 0;
    for (std::size_t c = 0; c < p.channels.size(); ++c) {
        total += p.channels[c].weight;
        if (c < channel) before += p.channels[c].weight;
    }
    std::uint64_t begin = b.count * before / total;
    std::uint64_t end = b.count * (before + p.channels[channel].weight) / total;
    if (p.blocked()) {
        const Collective c = p.collective;
        const bool alone =
            (buffer == 0 && (c == Collective::kAllGather || c == Collective::kGather)) ||
            (buffer == 1 && (c == Collective::kReduceScatter || c == Collective::kScatter));
        const std::uint64_t block = alone ? unit - rank : unit;
        begin += block * b.count;
        end += block * b.count;
    } else {
        const std::uint64_t m = end - begin, u = p.channels[channel].units;
        end = begin + m * (unit + 1) / u;
        begin = begin + m * unit / u;
    }
    const std::uint64_t from = std::min(end, begin + slice * cut.slice_elements);
    return {from, std::min(end, from + cut.slice_elements)};
}

struct Log {
    std::map<std::tuple<std::uint32_t, std::uint32_t, int>, std::vector<Operation>> of;
};

/// Runs one cursor alone: every operation finishes, in random order.
Log run_alone(Cursor& cursor, RandomStream& random) {
    Log log;
    std::vector<Operation> open;
    Operation ops[4];
    while (!cursor.done()) {
        const std::size_t k = cursor.next(ops);
        for (std::size_t i = 0; i < k; ++i) {
            log.of[{ops[i].channel, ops[i].stage, static_cast<int>(ops[i].kind)}].push_back(ops[i]);
            open.push_back(ops[i]);
        }
        if (open.empty()) {
            REQUIRE((k > 0 || cursor.done()));
            continue;
        }
        const std::size_t pick = random.below(open.size());
        const Operation op = open[pick];
        open.erase(open.begin() + static_cast<std::ptrdiff_t>(pick));
        if (op.kind == Operation::Kind::kSend) cursor.sent(op);
        if (op.kind == Operation::Kind::kReceive) cursor.arrived(op);
        if (op.kind == Operation::Kind::kCopy) cursor.copied(op);
    }
    return log;
}

void compare(const PlanTemplate& p, const Binding& b, const Cursor& cursor, std::uint32_t channel,
             const std::vector<NaiveOp>& naive, const std::vector<Operation>& got) {
    const Cut cut = cursor.cut_of(channel);
    std::size_t next = 0;
    for (std::uint32_t loop = 0; loop < cut.loops; ++loop)
        for (const NaiveOp& op : naive)
            for (std::uint32_t a = loop * cut.loop_slices;
                 a < std::min(cut.slices, (loop + 1) * cut.loop_slices); ++a) {
                std::uint64_t size = 0;
                for (std::size_t i = 0; i < op.units.size(); ++i) {
                    const Part x =
                        naive_part(p, b, channel, cursor.rank(), op.place[i], op.units[i], cut, a);
                    size += x.end - x.begin;
                }
                if (size == 0) continue;
                if (next >= got.size()) FAIL("the cursor stops early");
                const Operation& o = got[next++];
                bool same = o.peer == op.peer && o.step == op.step && o.slice == a &&
                            o.elements == size && o.pieces == op.units.size();
                for (std::uint32_t i = 0; same && i < op.units.size(); ++i) {
                    const Piece piece = cursor.piece(o, i);
                    const Part x =
                        naive_part(p, b, channel, cursor.rank(), op.place[i], op.units[i], cut, a);
                    const Part y =
                        naive_part(p, b, channel, cursor.rank(), op.local[i], op.units[i], cut, a);
                    same = static_cast<int>(piece.buffer) == op.place[i] &&
                           piece.range.begin == x.begin && piece.range.end == x.end &&
                           static_cast<int>(piece.local_buffer) == op.local[i] &&
                           piece.local.begin == y.begin && piece.local.end == y.end;
                }
                if (!same)
                    FAIL("rank " << cursor.rank() << " stage " << op.stage << " step " << op.step
                                 << " slice " << a << ": the cursor differs");
            }
    CHECK(next == got.size());
}

void compare_rank(const PlanTemplate& p, const Binding& b, std::uint32_t rank,
                  RandomStream& random) {
    Cursor cursor(p, b, rank);
    Log log = run_alone(cursor, random);
    NaiveExpander naive(p, rank, b.in_place);
    for (std::uint32_t c = 0; c < p.channels.size(); ++c) {
        const NaiveChannel want = naive.channel(p.channels[c]);
        for (std::uint32_t s = 0; s < p.channels[c].stages.size(); ++s) {
            compare(p, b, cursor, c, want.sends[s], log.of[{c, s, 0}]);
            compare(p, b, cursor, c, want.recvs[s], log.of[{c, s, 1}]);
        }
        compare(p, b, cursor, c, want.copies, log.of[{c, 0, 2}]);
    }
}

constexpr std::uint32_t kTreeChunks = 3;

/// All-reduce up and down one tree; radix 0: in order.
PlanTemplate up_and_down_tree(std::uint32_t n, std::uint32_t radix, std::uint32_t chain) {
    PlanTemplate p;
    p.algorithm = "tree";
    p.n = n;
    Tree tree;
    tree.root = n / 3;
    tree.radix = std::max(radix, 1U);
    tree.in_order = radix == 0;
    tree.chain = chain;
    tree.chunk_count = kTreeChunks;
    Stage down;
    down.cells.size = n;
    down.pattern = tree;
    Stage up = down;
    tree.up = true;
    up.pattern = tree;
    up.arrival = Arrival::kReduce;
    Channel c;
    c.units = kTreeChunks;
    c.slice = Bytes{128};
    c.stages = {up, down};
    p.channels = {c};
    return p;
}

}  // namespace

// Every rank; a fifth of them at the larger sizes where the address sanitizer makes it minutes.
#ifdef __SANITIZE_ADDRESS__
constexpr std::uint32_t kRankStep = 5;
#else
constexpr std::uint32_t kRankStep = 1;
#endif

TEST_CASE("the cursor equals the naive expander transfer by transfer", "[property]") {
    RandomStream random(5, 0, "alone");
    for (std::size_t n = 1; n <= 32; ++n)
        for_each_plan(n, {1, 3}, [&](const PlanTemplate& p, const std::string& name) {
            INFO(name);
            const bool in_place = p.in_place_ok && p.n % 2 == 0;
            const Binding b{p.blocked() ? 41U : 97U * p.n + 5, 4, in_place};
            for (std::uint32_t r = 0; r < p.n; r += (p.n > 16 ? kRankStep : 1))
                compare_rank(p, b, r, random);
        });
}

TEST_CASE("in network is only what a switch can reduce or multicast, in no order", "[property]") {
    GroupShape shape;
    shape.n = 8;
    shape.per_host = 4;
    shape.hosts = 2;
    const PlanTemplate nvls = build_plan(Collective::kAllReduce, "nvls", shape);
    CHECK(nvls.channels[0].stages.front().in_network);
    CHECK_FALSE(nvls.deterministic);
    CHECK(check_plan(nvls).ok);
    PlanTemplate ordered = nvls;
    ordered.deterministic = true;
    CHECK_THAT(check_plan(ordered).problem, Catch::Contains("stage 0: what is reduced"));
    PlanTemplate ring = nvls;
    ring.channels[0].stages[1].in_network = true;
    CHECK_THAT(check_plan(ring).problem, Catch::Contains("stage 1: only a reducing scatter"));
    PlanTemplate copy = nvls;
    copy.channels[0].stages[0].arrival = Arrival::kCopy;
    CHECK_FALSE(check_plan(copy).ok);
    // The same without the mark, whatever else: the fallback is the plan itself.
    PlanTemplate plain = nvls;
    for (Stage& s : plain.channels[0].stages) s.in_network = false;
    CHECK(plain.hash() != nvls.hash());
    CHECK(check_plan(plain).fingerprint == check_plan(nvls).fingerprint);
}

TEST_CASE("trees of every shape, up and down in several chunks, are proved", "[property]") {
    RandomStream random(6, 0, "alone");
    for (std::uint32_t n = 1; n <= 18; ++n)
        for (const std::uint32_t radix : {0U, 1U, 2U, 3U})
            for (const std::uint32_t chain : {1U, 2U, 3U}) {
                if (n % chain != 0) continue;
                INFO("n " << n << " radix " << radix << " chain " << chain);
                const PlanTemplate p = up_and_down_tree(n, radix, chain);
                const CheckReport report = check_plan(p);
                INFO(report.problem);
                CHECK(report.ok);
                std::uint32_t steps = 0;
                for (const Stage& s : p.channels[0].stages) steps += dependent_steps(p, s);
                CHECK(report.steps + 2 * (n > 1 ? kTreeChunks - 1 : 0) == steps);
                for (std::uint32_t r = 0; r < n; ++r)
                    compare_rank(p, {97U * n + 5, 4, false}, r, random);
            }
}
