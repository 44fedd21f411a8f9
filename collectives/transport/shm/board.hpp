#pragma once
// ShmBoard: collectives among ranks that share memory, without messages. Each member writes
// its contribution to a place of its own and reads those of the others where they lie: an
// all-reduce of 8 bytes costs one cache line written and one read per member. Up to 8 KiB a member,
// and a window of 256 KiB beside them, which is touched when it is used.
//
// Use, for generations 1, 2, 3, ... (all-reduce; an all-gather or barrier reads less):
//   while (!board.may_publish(g)) rest();          // true at once where every operation reads all
//   board.publish(g, head.digest(), mine);
//   for m: while ((seen = board.look(m, g, digest, bytes)) == Seen::kNothing) rest();
//   ... reduce in order of members, straight from `bytes`
//   board.settle();
// rest() is the caller's: spin some microseconds, yield, then settle(), arm() the endpoint, look
// again, and sleep on its fds(): members that publish wake those that sleep. Deadlines and alarms
// are the caller's as well: nothing here waits.
// A contribution stays readable until its writer publishes generation g + 2.
// After its board has ended too, until 16 more boards have been opened at its writer.
// Each member has 16 places, one a board: agree that everyone has got one before using it.
// Leaves out: agreement who is a member, other hosts, more than 32 members.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "collectives/transport/shm/shm.hpp"

namespace weft::live {

class ShmBoard {
  public:
    static constexpr std::size_t kMost = 8192;                      // bytes of a contribution
    static constexpr std::size_t kWindow = std::size_t{256} << 10;  // apart from it
    static constexpr std::size_t kMembers = 32;

    /// `members`: world ranks, this one among them, all others connected to `endpoint`, which
    /// outlives the board. `context`: of the communicator, not used again before every member has
    /// ended its board. Null: this rank has no free place.
    [[nodiscard]] static std::unique_ptr<ShmBoard> open(ShmEndpoint& endpoint, ContextId context,
                                                        std::vector<std::uint32_t> members);
    ~ShmBoard();
    ShmBoard(const ShmBoard&) = delete;
    ShmBoard& operator=(const ShmBoard&) = delete;

    /// Nobody reads this rank's contribution to generation - 2 any more.
    [[nodiscard]] bool may_publish(std::uint64_t generation);
    /// Generations rise by one. Wakes members that sleep.
    void publish(std::uint64_t generation, std::uint64_t digest, std::span<const std::byte> bytes);

    enum class Seen : std::uint8_t {
        kNothing,    // it has not published this generation yet
        kHere,       // `bytes` shows its contribution
        kDisagrees,  // it publishes something else under this number, or nonsense
    };
    [[nodiscard]] Seen look(std::size_t member, std::uint64_t generation, std::uint64_t digest,
                            std::span<const std::byte>& bytes);
    /// This member's window of a generation, to be written before publish(); another's, readable
    /// from when look() has shown that generation, as long as its contribution.
    [[nodiscard]] std::byte* window(std::uint64_t generation);
    [[nodiscard]] const std::byte* window_of(std::size_t member, std::uint64_t generation) const;
    /// Wakes whoever went to sleep in the moment in which this rank published. Before sleeping and
    /// after each operation; not in publish(), where it would cost a third of the time.
    void settle();

  private:
    ShmBoard(ShmEndpoint& endpoint, ContextId context, std::vector<std::uint32_t> members,
             std::size_t place);

    struct Member {
        const shm::RankPage* page = nullptr;
        std::size_t place = ~std::size_t{0};  // not known yet
    };
    /// Finds the member's place; false until it has opened its board.
    [[nodiscard]] bool find(Member& m) const;
    ShmEndpoint& endpoint_;
    std::uint64_t tag_;  // 1 + context
    std::size_t place_;
    shm::BoardPlace* mine_;
    std::vector<std::uint32_t> ranks_;
    std::vector<Member> members_;
};

}  // namespace weft::live
