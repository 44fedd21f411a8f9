#pragma once
// DirectReads: blocks that nobody reduces, read out of the processes that have them
// (process_vm_readv): one copy, where windows (staged.hpp) make two. Each says where its input lies
// and whether it can read everybody's; they read; each says that it has, and only then may inputs
// be changed. What one cannot, none does: all hear the same words and go by windows instead.
//   all-gather, all-to-all, gather (at its root), scatter, broadcast of two; S (n-1)/n read a rank
// Whoever reads a rank's input after that rank has broken off reads what then lies there, or is
// refused by the system; its own call ends with an error all the same.
// Leaves out: who waits how, agreement on the call, deadlines (shared.hpp).
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "collectives/api/comm.hpp"

namespace weft::live {

class DirectReads {
  public:
    enum class Says : std::uint64_t {
        kReady = 1,   // my input lies at `address`; I can read yours
        kNotNow = 2,  // this call's buffers do not allow it
        kNever = 3,   // the system does not
        kHaveRead = 4,
    };
    struct Word {
        Says says = Says::kNever;
        std::uint64_t address = 0;
    };

    /// `members`: world ranks, all connected to the endpoint, which outlives this.
    DirectReads(ShmEndpoint& endpoint, std::uint32_t rank, std::vector<std::uint32_t> members);

    /// Whether it is worth trying; the same answer at all members.
    [[nodiscard]] static bool pays(const CollectiveCall& call, std::uint32_t ranks);

    [[nodiscard]] Word offer(const CollectiveCall& call) const;
    /// What all have said, by member. An error when it is no word.
    Status hear(std::span<const std::span<const std::byte>> said);
    [[nodiscard]] bool somebody(Says says) const;
    [[nodiscard]] bool all_say(Says says) const;
    /// After all are kReady: fills the output.
    [[nodiscard]] Word read(const CollectiveCall& call) const;

  private:
    [[nodiscard]] bool reads_from(const CollectiveCall& call, std::uint32_t member) const;
    /// Where a member's block lies in its input, and goes in this rank's output; bytes.
    struct Way {
        std::size_t from = 0;
        std::size_t to = 0;
    };
    [[nodiscard]] Way way(const CollectiveCall& call, std::uint32_t member) const;
    void keep_own(const CollectiveCall& call) const;

    ShmEndpoint& endpoint_;
    std::uint32_t rank_;
    std::vector<std::uint32_t> members_;
    std::vector<Word> heard_;
};

}  // namespace weft::live
