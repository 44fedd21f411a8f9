// Window: no congestion control; in flight stays within a fixed window and PFC keeps the fabric
// lossless. What Meta runs for training since 400G (PFC and the receiver's clear-to-send alone,
// DCQCN switched off) and DeepSeek on InfiniBand (facts C1, observation). The default window is 1.5
// times rate x base round trip, so that one flow fills its path with some slack.
#include "flow_control/cc/congestion_control.hpp"

namespace weft {
namespace {

class Window final : public CongestionControl {
  public:
    Window(std::int64_t per_mille, const PathFacts& path) {
        rate_ = path.line_rate;
        const Bytes product = bytes_in(path.base_rtt, path.line_rate);
        window_ = std::max(path.packet, Bytes{product.count() / 1000 * per_mille} + path.packet);
    }
    void on_ack(const Ack&) override {}
};

}  // namespace

CongestionRegistry::Row window_row() {
    return {
        {"window",
         "A fixed window at line rate; PFC keeps the fabric lossless",
         "Gangidi et al., RDMA over Ethernet for distributed AI training at Meta scale, SIGCOMM "
         "2024; DeepSeek-V3 hardware paper, ISCA 2025",
         {{"window", "bandwidth-delay products, per mille", "1500", "of the path"}}},
        {{}, [](const Parameters& p, const PathFacts& path) -> std::unique_ptr<CongestionControl> {
             return std::make_unique<Window>(p.count("window", 1, 1'000'000), path);
         }}};
}

}  // namespace weft
