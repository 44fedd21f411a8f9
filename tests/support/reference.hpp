#pragma once
// What a collective must give, element by element, written apart from the kernels and from the
// runtime: arithmetic from the definitions of the formats, data whose sums round (so that another
// order of reduction shows), and the memory that a caller passes, with guards around the output.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "collectives/plan/plan.hpp"
#include "collectives/runtime/buffers.hpp"
#include "collectives/runtime/data_type.hpp"
#include "tests/support/sequential_plan.hpp"

namespace weft::test {

/// a (op) b, rounded to nearest even; NaN as the kernels have it. kAvg, kPreMulSum: the sum.
[[nodiscard]] Element combine(live::DataType type, live::ReduceOp op, Element a, Element b);
[[nodiscard]] Element divided(live::DataType type, Element a, std::uint32_t n);
[[nodiscard]] Element multiplied(live::DataType type, Element factor, Element a);
/// Finite, of several magnitudes; equal for equal (type, rank, i).
[[nodiscard]] Element random_element(live::DataType type, std::uint32_t rank, std::uint64_t i);

/// What a caller passes at one rank. `outputs` of the plan's collective.
class RankMemory {
  public:
    RankMemory(const PlanTemplate& plan, const Binding& b, std::uint32_t rank);
    void fill(const std::vector<Element>& values);
    [[nodiscard]] live::UserBuffers buffers();
    /// Throws when something was written past the output.
    [[nodiscard]] std::vector<Element> output() const;

  private:
    std::size_t size_;
    std::size_t in_;
    std::size_t out_;
    std::size_t in_at_ = 0;
    std::size_t out_at_ = 0;
    std::vector<std::byte> memory_;
};

struct ReferenceJob {
    live::DataType dtype = live::DataType::kF32;
    live::ReduceOp op = live::ReduceOp::kSum;
    std::uint64_t count = 0;
    bool in_place = false;
    Element factor = 0;      // of kPreMulSum
    std::uint64_t salt = 0;  // another one, other data
};

[[nodiscard]] bool reduces(const PlanTemplate& plan);
[[nodiscard]] std::vector<std::vector<Element>> inputs_of(const PlanTemplate& plan,
                                                          const ReferenceJob& job);
/// Every rank's output when `plan` runs step by step in one thread.
[[nodiscard]] std::vector<std::vector<Element>> expected(const PlanTemplate& plan,
                                                         const ReferenceJob& job);
/// Every rank's output when reductions go ((x0 op x1) op x2) ... by rank.
[[nodiscard]] std::vector<std::vector<Element>> expected_by_rank(const PlanTemplate& plan,
                                                                 const ReferenceJob& job);

}  // namespace weft::test
