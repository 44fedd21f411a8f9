#pragma once
// Colour refinement for make_quotient(): 64-bit colours of ranks, groups, legs and links, refined
// together until no pass tells more apart. Colours are sums of mixed hashes, so no order matters;
// two different things get one colour with a probability of about 2^-64 a pair.
#include <cstdint>
#include <vector>

#include "simulator/flow/quotient.hpp"

namespace weft::flow {

class Refinement {
  public:
    explicit Refinement(const Universe& u);
    /// Refines until stable.
    void run();

    [[nodiscard]] std::uint64_t rank(std::size_t r) const { return rank_[r]; }
    [[nodiscard]] std::uint64_t group(std::size_t set, std::size_t g) const {
        return group_[set][g];
    }
    [[nodiscard]] std::uint64_t link(std::size_t l) const { return link_[l]; }
    [[nodiscard]] bool used(std::size_t l) const { return used_[l] != 0; }
    /// Colour of a stream of a group, and of its lanes in every epoch (one after the other).
    std::uint64_t stream(std::uint64_t group_colour, std::size_t variant, const StreamView& s,
                         std::vector<std::uint64_t>& lanes) const;

  private:
    void pass();
    void colour_legs();
    void visit_streams();
    void colour_links();
    void colour_groups();
    void colour_ranks();
    [[nodiscard]] std::size_t distinct() const;

    const Universe* u_;
    std::vector<std::uint64_t> rank_, link_, leg_, leg_sum_;
    std::vector<std::vector<std::uint64_t>> group_, group_sum_;
    std::vector<char> used_;
};

}  // namespace weft::flow
