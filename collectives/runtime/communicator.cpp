#include "collectives/runtime/communicator.hpp"

#include <utility>

#include "collectives/runtime/executor.hpp"

namespace weft::live {

Communicator::Communicator(Endpoint& endpoint, CommunicatorOptions options)
    : endpoint_(endpoint), options_(std::move(options)) {}

Status Communicator::run(const PreparedPlan& plan, const Call& call) {
    if (broken_) return *broken_;
    WEFT_CHECK(plan.rank() == rank() && plan.plan().n == endpoint_.ranks(),
               "a plan of rank {} of {} runs at rank {} of {}", plan.rank(), plan.plan().n, rank(),
               endpoint_.ranks());
    Binding binding{.count = call.count,
                    .element_size = static_cast<std::uint32_t>(size_of(call.dtype)),
                    .in_place = false};
    binding.in_place = is_in_place(plan.plan(), binding, rank(), call.buffers);
    Executor executor(*this, plan, call, binding, ++operations_);
    const Status status = executor.run();
    if (!status) {
        broken_ = status.error();
        endpoint_.abort(*broken_);
    }
    return status;
}

LaneChooser& Communicator::chooser(std::uint32_t peer, const Channel& channel) {
    const auto key = std::make_tuple(peer, channel.rail, channel.plane);
    const auto found = choosers_.find(key);
    if (found != choosers_.end()) return found->second;
    LaneChooser made(endpoint_.lanes(peer), channel.rail, channel.plane);
    for (const auto& [dead_peer, lane] : dead_lanes_)
        if (dead_peer == peer) made.kill(lane);
    return choosers_.emplace(key, std::move(made)).first->second;
}

void Communicator::lane_down(std::uint32_t peer, std::uint32_t lane) {
    dead_lanes_.emplace_back(peer, lane);
    for (auto& [key, chooser] : choosers_)
        if (std::get<0>(key) == peer) chooser.kill(lane);
}

}  // namespace weft::live
