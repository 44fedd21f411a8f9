#include "collectives/api/staged.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>
#include <vector>

#include "base/rng.hpp"
#include "collectives/algorithms/algorithm.hpp"
#include "tests/support/reference.hpp"

namespace weft::live {
namespace {

using test::Element;
using test::RankMemory;
using test::ReferenceJob;

constexpr std::size_t kGuard = 64;

/// Two windows a rank, aligned, with a guard behind each.
class Windows {
  public:
    Windows(std::uint32_t ranks, std::size_t bytes)
        : bytes_(bytes),
          each_((bytes + kGuard + 63) / 64 * 64),
          memory_(2 * ranks * each_ + 64, std::byte{0xa5}) {
        const auto at = reinterpret_cast<std::uintptr_t>(memory_.data());
        first_ = memory_.data() + (64 - at % 64) % 64;
    }
    [[nodiscard]] std::byte* of(std::uint32_t rank, std::uint64_t stage) const {
        return first_ + (2 * rank + stage % 2) * each_;
    }
    [[nodiscard]] bool whole(std::uint32_t ranks) const {
        for (std::uint32_t i = 0; i < 2 * ranks; ++i)
            for (std::size_t k = 0; k < kGuard; ++k)
                if (first_[i * each_ + bytes_ + k] != std::byte{0xa5}) return false;
        return true;
    }

  private:
    std::size_t bytes_;
    std::size_t each_;
    std::vector<std::byte> memory_;
    std::byte* first_;
};

PlanTemplate plan_of(Collective c, std::uint32_t n, std::uint32_t root) {
    AlgorithmParams params;
    params.root = root;
    return build_plan(c, "", {.n = n, .uniform = false}, params);
}

/// All ranks, stage by stage, in another order each time; whether every output is right.
bool runs_well(Collective c, std::uint32_t n, const ReferenceJob& job, std::size_t window) {
    const std::uint32_t root = n - 1;
    const PlanTemplate plan = plan_of(c, n, root);
    const Binding b{job.count, static_cast<std::uint32_t>(size_of(job.dtype)), job.in_place};
    const auto in = inputs_of(plan, job);
    std::vector<RankMemory> memory;
    std::vector<StagedCollective> ranks;
    memory.reserve(n);
    for (std::uint32_t r = 0; r < n; ++r) {
        memory.emplace_back(plan, b, r).fill(in[r]);
        const UserBuffers user = memory[r].buffers();
        ranks.emplace_back(CollectiveCall{.collective = c,
                                          .input = user.input,
                                          .output = user.output,
                                          .count = job.count,
                                          .dtype = job.dtype,
                                          .op = job.op,
                                          .root = root,
                                          .factor = &job.factor},
                           r, n, window);
    }
    const Windows windows(n, window);
    std::vector<std::uint32_t> order(n);
    std::iota(order.begin(), order.end(), 0U);
    RandomStream random(n, job.count, "order");
    for (std::uint64_t stage = 0; stage < ranks[0].stages(); ++stage) {
        for (std::size_t i = order.size(); i-- > 1;)
            std::swap(order[i], order[random.next() % (i + 1)]);
        std::vector<const std::byte*> shown(n);
        for (std::uint32_t r = 0; r < n; ++r) shown[r] = windows.of(r, stage + 1);
        for (const std::uint32_t r : order) ranks[r].work(stage, windows.of(r, stage), shown);
    }
    const auto want = expected_by_rank(plan, job);
    for (std::uint32_t r = 0; r < n; ++r)
        if (memory[r].output() != want[r]) return false;
    return windows.whole(n);
}

ReferenceJob job_of(DataType type, ReduceOp op, std::uint64_t bytes, bool in_place) {
    // 1 in bf16's upper half, a subnormal elsewhere: any factor does.
    return {type, op, bytes / size_of(type), in_place, 3};
}

TEST_CASE("in stages, every type and reduction is the order of ranks, bit by bit", "[unit]") {
    const std::uint32_t n = GENERATE(2, 3, 4, 7, 8);
    std::size_t turn = n;
    for (const DataType type : kDataTypes)
        for (const ReduceOp op : {ReduceOp::kSum, ReduceOp::kProd, ReduceOp::kMin, ReduceOp::kMax,
                                  ReduceOp::kAvg, ReduceOp::kPreMulSum}) {
            const bool in_place = ++turn % 2 == 0;
            CAPTURE(n, name_of(type), name_of(op), in_place);
            CHECK(runs_well(Collective::kAllReduce, n, job_of(type, op, 400, in_place), 256));
            CHECK(runs_well(Collective::kReduceScatter, n, job_of(type, op, 101, !in_place), 640));
            CHECK(runs_well(Collective::kReduce, n, job_of(type, op, 400, !in_place), 256));
            CHECK(runs_well(Collective::kReduce, n, job_of(type, op, 17'000, in_place), 4096));
        }
}

TEST_CASE("in stages, any number of pieces and any odd count", "[unit]") {
    const std::uint32_t n = GENERATE(2, 3, 4, 7, 8);
    const bool in_place = GENERATE(false, true);
    for (const Collective c :
         {Collective::kAllReduce, Collective::kReduceScatter, Collective::kAllGather,
          Collective::kAllToAll, Collective::kBroadcast, Collective::kReduce, Collective::kGather,
          Collective::kScatter})
        for (const std::uint64_t bytes : {1UL, 63UL, 4095UL, 16'384UL, 20'003UL}) {
            if (in_place && c == Collective::kAllToAll) continue;  // plans have no such thing
            const DataType type = bytes % 2 == 0 ? DataType::kF32 : DataType::kI8;
            CAPTURE(n, name_of(c), bytes, in_place);
            CHECK(runs_well(c, n, job_of(type, ReduceOp::kSum, bytes, in_place), 4096));
        }
}

TEST_CASE("in stages, results past the caches are the same", "[unit]") {
    const Collective c = GENERATE(Collective::kAllReduce, Collective::kAllGather,
                                  Collective::kReduce, Collective::kGather, Collective::kScatter);
    const std::uint32_t n = GENERATE(2, 3);
    CHECK(
        runs_well(c, n, job_of(DataType::kI64, ReduceOp::kSum, (4 << 20) + 24, false), 256 << 10));
}

TEST_CASE("in stages, all-to-all works in place", "[unit]") {
    constexpr std::uint32_t kRanks = 3;
    constexpr std::uint64_t kCount = 1000;
    std::vector<std::vector<std::int32_t>> data(kRanks, std::vector<std::int32_t>(3 * kCount));
    std::vector<StagedCollective> ranks;
    for (std::uint32_t r = 0; r < kRanks; ++r) {
        std::iota(data[r].begin(), data[r].end(), static_cast<std::int32_t>(r) * 10'000);
        ranks.emplace_back(CollectiveCall{.collective = Collective::kAllToAll,
                                          .input = data[r].data(),
                                          .output = data[r].data(),
                                          .count = kCount,
                                          .dtype = DataType::kI32},
                           r, kRanks, 1024);
    }
    const Windows windows(kRanks, 1024);
    for (std::uint64_t stage = 0; stage < ranks[0].stages(); ++stage)
        for (std::uint32_t r = 0; r < kRanks; ++r)
            ranks[r].work(
                stage, windows.of(r, stage),
                std::vector<const std::byte*>{windows.of(0, stage + 1), windows.of(1, stage + 1),
                                              windows.of(2, stage + 1)});
    for (std::uint32_t r = 0; r < kRanks; ++r)
        for (std::uint32_t m = 0; m < kRanks; ++m)
            CHECK(data[r][m * kCount + 7] ==
                  static_cast<std::int32_t>(m * 10'000 + r * kCount + 7));
}

TEST_CASE("two shots from three ranks and 16 KiB on, and few stages", "[unit]") {
    std::vector<float> x(1 << 18);
    const auto all_reduce = [&](std::uint64_t bytes, std::uint32_t n) {
        return StagedCollective({.collective = Collective::kAllReduce,
                                 .input = x.data(),
                                 .output = x.data(),
                                 .count = bytes / 4,
                                 .dtype = DataType::kF32},
                                0, n, 256 << 10);
    };
    CHECK_FALSE(all_reduce(1 << 20, 2).two_shots());
    CHECK_FALSE(all_reduce(16'380, 3).two_shots());
    CHECK(all_reduce(16'384, 3).two_shots());
    CHECK(all_reduce(256 << 10, 2).stages() == 2);
    CHECK(all_reduce(1 << 20, 2).stages() == 5);
    CHECK(all_reduce(128 << 10, 8).stages() == 3);
    CHECK(all_reduce(1 << 20, 8).stages() == 7);
}

}  // namespace
}  // namespace weft::live
