#pragma once
// Tiny collectives of ranks that share memory: each writes its contribution to its place on a board
// and reads the others', without messages and without a Plan's cursor. Reductions go in order of
// ranks: ((x0 op x1) op x2) ...; an average divides once at the end; the bits are equal on all
// ranks. Half a microsecond for 8 bytes on two free cores.
// Contributions of more than a board holds go in pieces, up to what is worth it.
// Leaves out: asynchronous calls.
#include <memory>
#include <optional>
#include <vector>

#include "collectives/api/comm.hpp"
#include "collectives/transport/shm/board.hpp"

namespace weft::live {

class TinyCollectives {
  public:
    /// Of the communicator's members, all on this host. Null when there is no place for a board.
    [[nodiscard]] static Outcome<std::unique_ptr<TinyCollectives>> open(World& world,
                                                                        Communicator& communicator);
    /// Whether a call can go this way; the same answer at all members.
    [[nodiscard]] static bool fits(const CollectiveCall& call, std::uint32_t ranks);
    Status run(const CollectiveCall& call);

  private:
    TinyCollectives(World& world, Communicator& communicator, std::unique_ptr<ShmBoard> board);
    void publish(const CollectiveCall& call, std::uint64_t digest);
    [[nodiscard]] Status collect(const OperationHead& head, std::uint64_t digest);
    [[nodiscard]] Status disagreement(const OperationHead& head, std::uint32_t member);
    template <class Nothing>
    [[nodiscard]] Status wait_while(Nothing nothing, const OperationHead& head,
                                    std::uint32_t member);
    [[nodiscard]] std::optional<LiveError> look_around(const OperationHead& head,
                                                       std::uint32_t member);
    [[nodiscard]] Status run_piece(const CollectiveCall& piece, std::size_t stride,
                                   const OperationHead& head, std::uint64_t digest);
    /// `stride`: bytes between blocks of the output.
    void finish(const CollectiveCall& call, std::size_t stride);
    void fold(const CollectiveCall& call, std::size_t from);

    World& world_;
    Communicator& communicator_;
    std::unique_ptr<ShmBoard> board_;
    std::uint64_t generation_ = 0;
    std::vector<std::span<const std::byte>> seen_;  // by member
    std::vector<std::byte> scaled_;
    int checks_ = 0;
    int yields_ = 0;
    std::uint64_t alarms_seen_ = 0;
    Clock::time_point began_;
    Clock::time_point asked_;
};

}  // namespace weft::live
