#pragma once
// StagedCollective: what one rank does in a collective of ranks that share memory, as stages. In
// every stage a rank reads what all wrote in the stage before, and writes into a window of its own
// what they read in the next; between two stages all wait for all. A large call goes in pieces,
// which follow each other through the stages.
//   all-reduce, two ranks or less than 16 KiB ("one shot"): show the input | reduce everybody's
//   all-reduce ("two shots"): show the input | reduce one's block, show it | take others' blocks
//   reduce-scatter: show others' blocks | reduce one's own
//   reduce: as all-reduce, what is reduced taken by the root alone
//   all-gather, all-to-all, broadcast, gather, scatter: show | take
// Passes over memory, a rank, S bytes, two shots: S (n-1)/n in, S reduced, S/n shown again and
// S (n-1)/n taken, so about 3 S; a ring by messages makes 4 S and waits 2 (n - 1) times.
// Reductions go in order of ranks, ((x0 op x1) op x2) ..., whatever the piece: equal bits at all
// ranks; an average divides once at the end. Input and output may be the same memory.
// Leaves out: who waits how, agreement, deadlines (shared.hpp).
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "collectives/api/comm.hpp"

namespace weft::live {

class StagedCollective {
  public:
    /// The call, at `rank` of `ranks` (2 to 32), by windows of so many bytes. Never sendrecv.
    StagedCollective(const CollectiveCall& call, std::uint32_t rank, std::uint32_t ranks,
                     std::size_t window_bytes);

    [[nodiscard]] bool two_shots() const { return two_shots_; }
    /// Stage 0 to stages() - 1. The last one writes nothing into the window.
    [[nodiscard]] std::uint64_t stages() const { return pieces_ + latency_; }
    /// `mine`: this rank's window of this stage; `shown`: everybody's of the stage before (none at
    /// stage 0). Windows are aligned to 64 bytes.
    void work(std::uint64_t stage, std::byte* mine, std::span<const std::byte* const> shown);

  private:
    struct Range {
        std::uint64_t begin = 0;  // elements
        std::uint64_t end = 0;
        [[nodiscard]] std::uint64_t size() const { return end - begin; }
    };
    using Shown = std::span<const std::byte* const>;

    [[nodiscard]] Range piece(std::uint64_t k) const;
    [[nodiscard]] Range block(std::uint32_t rank, std::uint64_t elements) const;
    [[nodiscard]] const std::byte* input(std::uint64_t element) const {
        return static_cast<const std::byte*>(call_.input) + element * size_;
    }
    [[nodiscard]] std::byte* output(std::uint64_t element) const {
        return static_cast<std::byte*>(call_.output) + element * size_;
    }
    /// What of everybody's is reduced, and whereto.
    struct Fold {
        std::uint64_t own = 0;  // element of this rank's input
        std::size_t at = 0;     // byte of the others' windows
        std::uint64_t elements = 0;
        std::byte* out = nullptr;
        bool to_user = true;
    };
    [[nodiscard]] bool has(Buffer which) const {
        return provides(call_.collective, which, rank_, call_.root, ranks_);
    }
    [[nodiscard]] bool scales() const { return call_.op == ReduceOp::kPreMulSum && reduces_; }
    void show(const Range& p, std::byte* window) const;
    void show_elements(std::uint64_t from, std::byte* to, std::uint64_t elements) const;
    void reduce_block(const Range& p, std::byte* mine, Shown shown) const;
    void take(const Range& p, Shown shown) const;
    void place(const std::byte* from, std::uint64_t to, std::uint64_t elements) const;
    void fold(const Fold& f, Shown shown) const;

    CollectiveCall call_;
    std::uint32_t rank_;
    std::uint32_t ranks_;
    std::size_t size_;  // of an element
    bool reduces_;
    bool two_shots_ = false;  // an all-reduce, a reduce
    bool past_ = false;       // results go past the caches
    std::uint64_t step_ = 0;  // elements of a piece, or of a piece of a block
    std::uint64_t pieces_ = 1;
    std::uint64_t latency_ = 1;  // stages between a piece's first and its last
    std::size_t data_ = 0;       // where a window's input begins, behind the reduced block
};

}  // namespace weft::live
