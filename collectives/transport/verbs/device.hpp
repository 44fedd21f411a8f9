#pragma once
// The RDMA device behind one NIC port of this rank: found by the port's address among the devices'
// RoCE v2 GIDs, opened, with one completion queue for all its queue pairs.
#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "collectives/transport/net/net_control.hpp"
#include "collectives/transport/verbs/verbs_api.hpp"

namespace weft::live::verbs {

using Gid = std::array<std::uint8_t, 16>;

/// The GID of an IPv4 address (::ffff:a.b.c.d) or IPv6 address; nullopt: not an address.
[[nodiscard]] std::optional<Gid> gid_of(const std::string& address);

class Device {
  public:
    /// For port number `port` of the rank's ports. The error is one line naming the port.
    [[nodiscard]] static Outcome<std::unique_ptr<Device>> open(std::shared_ptr<Api> api,
                                                               const Port& port);
    ~Device();
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;

    [[nodiscard]] Api& api() const { return *api_; }
    [[nodiscard]] ibv_context* context() const { return context_; }
    [[nodiscard]] ibv_pd* domain() const { return domain_; }
    [[nodiscard]] ibv_cq* queue() const { return queue_; }
    [[nodiscard]] ibv_comp_channel* channel() const { return channel_; }
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] const Gid& gid() const { return gid_; }
    [[nodiscard]] std::uint8_t gid_index() const { return gid_index_; }
    [[nodiscard]] std::uint8_t port() const { return port_; }
    [[nodiscard]] ibv_mtu mtu() const { return mtu_; }
    [[nodiscard]] std::uint32_t most_pieces() const { return most_pieces_; }  // of one write
    /// Room in the completion queue for one more queue pair; false: it is full. Any thread.
    [[nodiscard]] bool reserve(std::size_t completions);
    void release(std::size_t completions) { reserved_ -= completions; }

  private:
    explicit Device(std::shared_ptr<Api> api) : api_(std::move(api)) {}
    Status set_up(const Port& port);

    std::shared_ptr<Api> api_;
    ibv_context* context_ = nullptr;
    ibv_pd* domain_ = nullptr;
    ibv_comp_channel* channel_ = nullptr;
    ibv_cq* queue_ = nullptr;
    std::string name_;
    Gid gid_{};
    std::uint8_t gid_index_ = 0;
    std::uint8_t port_ = 1;
    ibv_mtu mtu_ = IBV_MTU_1024;
    std::uint32_t most_pieces_ = 1;
    std::size_t queue_size_ = 0;
    std::atomic<std::size_t> reserved_{0};
};

}  // namespace weft::live::verbs
