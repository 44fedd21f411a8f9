#pragma once
// ProgramBuilder: one Program, op by op, with labels interned. For the trace formats.
#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "traces/workload.hpp"

namespace weft {

class ProgramBuilder {
  public:
    explicit ProgramBuilder(std::string name) { program_.name = std::move(name); }

    /// Where the ops that follow belong.
    void at(const std::string& label, std::int32_t microbatch, Phase phase) {
        const auto [entry, fresh] =
            labels_.try_emplace(label, static_cast<std::uint32_t>(program_.labels.size()));
        if (fresh) program_.labels.push_back(label);
        label_ = entry->second;
        microbatch_ = microbatch;
        phase_ = phase;
    }
    std::uint32_t add(std::variant<ComputeOp, CollectiveOp, P2pOp> what,
                      std::vector<std::uint32_t> after, SimDuration measured = {}) {
        program_.ops.push_back(
            {std::move(what), std::move(after), label_, microbatch_, phase_, measured});
        return static_cast<std::uint32_t>(program_.ops.size() - 1);
    }
    [[nodiscard]] const Op& op(std::uint32_t index) const { return program_.ops[index]; }
    [[nodiscard]] std::size_t size() const { return program_.ops.size(); }
    [[nodiscard]] Program take() { return std::move(program_); }

  private:
    Program program_;
    std::unordered_map<std::string, std::uint32_t> labels_;  // looked up, never walked
    std::uint32_t label_ = 0;
    std::int32_t microbatch_ = -1;
    Phase phase_ = Phase::kForward;
};

}  // namespace weft
