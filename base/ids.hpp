#pragma once
// Distinct integer ids. An id of one kind never converts to another kind or to an integer.
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>

namespace weft {

template <class Tag>
class Id {
  public:
    constexpr Id() = default;
    constexpr explicit Id(std::uint32_t v) : v_(v) {}
    constexpr explicit Id(std::size_t v) : v_(static_cast<std::uint32_t>(v)) {}
    constexpr explicit Id(int v) : v_(static_cast<std::uint32_t>(v)) {}
    [[nodiscard]] constexpr std::uint32_t value() const { return v_; }
    /// The id as an index into a flat array.
    [[nodiscard]] constexpr std::size_t index() const { return v_; }
    [[nodiscard]] constexpr bool valid() const { return v_ != kNone; }
    [[nodiscard]] static constexpr Id none() { return Id{}; }
    constexpr auto operator<=>(const Id&) const = default;

  private:
    static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
    std::uint32_t v_ = kNone;
};

using RankId = Id<struct RankTag>;  // a member of a group or of the world
using NodeId = Id<struct NodeTag>;  // a device of a fabric: GPU, NIC, switch
using LinkId = Id<struct LinkTag>;  // a directed link; also names the port it leaves from
using HostId = Id<struct HostTag>;  // a server
using GpuId = Id<struct GpuTag>;    // index among the GPUs of a fabric
using NicId = Id<struct NicTag>;    // index among the NICs of a fabric
using FlowId = Id<struct FlowTag>;

}  // namespace weft

template <class Tag>
struct std::hash<weft::Id<Tag>> {
    std::size_t operator()(weft::Id<Tag> id) const noexcept { return id.value(); }
};
