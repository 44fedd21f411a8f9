#pragma once
// Collectives of ranks that share memory: each writes its contribution to its place on a board and
// reads the others', without messages and without a Plan's cursor. Reductions go in order of ranks:
// ((x0 op x1) op x2) ...; an average divides once at the end; the bits are equal on all ranks.
// Up to 8 KiB: written, read, done; half a microsecond for 8 bytes on two free cores. More goes
// through windows of 256 KiB in stages (staged.hpp): a rank waits for the others once or twice a
// piece, where messages of a ring would have it wait 2 (n - 1) times, each time at the price of a
// switch of processes where ranks are more than cores. Large blocks that are only moved are read
// out of the other processes (direct.hpp), where the system allows it at all members.
// Leaves out: asynchronous calls, several hosts.
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "collectives/api/comm.hpp"
#include "collectives/api/direct.hpp"
#include "collectives/api/staged.hpp"
#include "collectives/transport/shm/board.hpp"

namespace weft::live {

class SharedCollectives {
  public:
    /// Of the communicator's members, all on this host. Null when there is no place for a board.
    [[nodiscard]] static Outcome<std::unique_ptr<SharedCollectives>> open(
        World& world, Communicator& communicator);
    /// Whether a call can go this way; the same answer at all members.
    [[nodiscard]] static bool fits(const CollectiveCall& call, std::uint32_t ranks);
    [[nodiscard]] static bool is_small(const CollectiveCall& call, std::uint32_t ranks);
    /// In words; `direct`: members read each other's memory where that pays.
    [[nodiscard]] static const char* how(const CollectiveCall& call, std::uint32_t ranks,
                                         bool direct);
    /// Whether members did so in the last call; whether they may in the next.
    [[nodiscard]] bool direct_ran() const { return direct_ran_; }
    [[nodiscard]] bool may_be_direct() const { return !direct_refused_; }
    Status run(const CollectiveCall& call);
    /// Of a communicator that has been broken, from any thread: returns when run() touches no
    /// memory of its caller any more.
    void leave();

  private:
    SharedCollectives(World& world, Communicator& communicator, std::unique_ptr<ShmBoard> board);
    void publish(const CollectiveCall& call, std::uint64_t digest);
    [[nodiscard]] Status collect(const OperationHead& head, std::uint64_t digest);
    [[nodiscard]] Status disagreement(const OperationHead& head, std::uint32_t member);
    template <class Nothing>
    [[nodiscard]] Status wait_while(Nothing nothing, const OperationHead& head,
                                    std::uint32_t member);
    [[nodiscard]] std::optional<LiveError> look_around(const OperationHead& head,
                                                       std::uint32_t member);
    [[nodiscard]] Status run_as_fits(const CollectiveCall& call, const OperationHead& head,
                                     std::uint64_t digest);
    [[nodiscard]] Status run_small(const CollectiveCall& call, const OperationHead& head,
                                   std::uint64_t digest);
    [[nodiscard]] Status run_staged(const CollectiveCall& call, const OperationHead& head,
                                    std::uint64_t digest);
    /// False, at all members: nothing can be read, and the windows have to do.
    [[nodiscard]] Outcome<bool> run_direct(const CollectiveCall& call, const OperationHead& head,
                                           std::uint64_t digest);
    void finish(const CollectiveCall& call);
    void fold(const CollectiveCall& call, std::size_t from);

    World& world_;
    Communicator& communicator_;
    std::unique_ptr<ShmBoard> board_;
    std::mutex running_;
    std::atomic<bool> left_{false};
    std::uint64_t generation_ = 0;
    std::vector<std::span<const std::byte>> seen_;  // by member
    std::vector<const std::byte*> windows_;         // by member, of the stage before
    std::vector<std::byte> scaled_;
    DirectReads direct_;
    bool direct_refused_ = false;  // to some member; known to all
    bool direct_ran_ = false;
    int checks_ = 0;
    int yields_ = 0;
    std::uint64_t alarms_seen_ = 0;
    Clock::time_point began_;
    Clock::time_point asked_;
};

}  // namespace weft::live
