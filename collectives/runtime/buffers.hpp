#pragma once
// Where the elements of one operation lie at one rank: the caller's input and output, and scratch
// memory of the runtime, for partial sums that no output holds.
#include <array>
#include <cstdint>
#include <vector>

#include "collectives/plan/plan.hpp"
#include "collectives/transport/transport.hpp"

namespace weft::live {

/// What a caller passes: as in MPI and NCCL, in place when the two meet in the usual way (the same
/// address; for all-gather and reduce-scatter this rank's block of the larger buffer).
struct UserBuffers {
    const void* input = nullptr;
    void* output = nullptr;
};

[[nodiscard]] bool is_in_place(const PlanTemplate& plan, const Binding& binding, std::uint32_t rank,
                               const UserBuffers& user);

class Buffers {
  public:
    /// Registers the memory with the endpoint until destruction. `scratch` grows as needed.
    Buffers(Endpoint& endpoint, const PlanTemplate& plan, const Binding& binding,
            std::uint32_t rank, const UserBuffers& user, std::vector<std::byte>& scratch);
    ~Buffers();
    Buffers(const Buffers&) = delete;
    Buffers& operator=(const Buffers&) = delete;

    [[nodiscard]] Segment at(Buffer buffer, const ElementRange& range) const;

  private:
    struct Memory {
        std::byte* data = nullptr;
        std::uint64_t elements = 0;
        std::uint32_t region = 0;
    };
    Endpoint& endpoint_;
    std::uint32_t element_size_;
    std::array<Memory, 3> memory_;  // by Buffer
};

}  // namespace weft::live
