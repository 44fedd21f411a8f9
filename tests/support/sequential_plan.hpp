#pragma once
// Runs a Plan on concrete data in one thread, whole transfers at a time, written from the semantics
// alone (collectives/plan/plan.hpp) and sharing nothing with the runtime: no cursor, no slices, no
// kernels. What the runtime computes must be equal bit for bit.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "collectives/plan/plan.hpp"

namespace weft::test {

/// One element of any type, as its raw bytes in the low end.
using Element = std::uint64_t;

struct SequentialRun {
    /// incoming (op) local.
    std::function<Element(Element, Element)> combine;
    /// Applied once to every element of the result of a reducing collective (avg); may be empty.
    std::function<Element(Element)> finish;

    /// inputs[rank] holds what the rank's input buffer holds; returns the output buffers.
    [[nodiscard]] std::vector<std::vector<Element>> operator()(
        const PlanTemplate& plan, const Binding& binding,
        const std::vector<std::vector<Element>>& inputs) const;
};

}  // namespace weft::test
