#include "collectives/transport/verbs/device.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>

namespace weft::live::verbs {

namespace {

constexpr int kMostCompletions = 32767;
constexpr std::uint32_t kMostPieces = 8;

Gid bytes_of(const ibv_gid& gid) {
    Gid out;
    std::memcpy(out.data(), gid.raw, out.size());
    return out;
}

/// The port of this device that has the address, or nullopt.
std::optional<ibv_gid_entry> entry_of(Api& api, ibv_context* context, const Gid& wanted) {
    for (const ibv_gid_entry& e : api.gids(context))
        if (e.gid_type == IBV_GID_TYPE_ROCE_V2 && bytes_of(e.gid) == wanted) return e;
    return std::nullopt;
}

}  // namespace

std::optional<Gid> gid_of(const std::string& address) {
    Gid gid{};
    in_addr v4{};
    if (::inet_pton(AF_INET, address.c_str(), &v4) == 1) {
        gid[10] = gid[11] = 0xff;
        std::memcpy(gid.data() + 12, &v4, 4);
        return gid;
    }
    if (::inet_pton(AF_INET6, address.c_str(), gid.data()) == 1) return gid;
    return std::nullopt;
}

Outcome<std::unique_ptr<Device>> Device::open(std::shared_ptr<Api> api, const Port& port) {
    const auto wanted = gid_of(port.address);
    std::unique_ptr<Device> device(new Device(std::move(api)));
    Api& a = *device->api_;
    std::string names;
    for (ibv_context* context : a.open_devices()) {
        names += (names.empty() ? "" : ", ") + a.name(context);
        const auto entry =
            wanted && device->context_ == nullptr ? entry_of(a, context, *wanted) : std::nullopt;
        if (!entry) {
            a.close(context);
            continue;
        }
        device->context_ = context;
        device->gid_ = *wanted;
        device->gid_index_ = static_cast<std::uint8_t>(entry->gid_index);
        device->port_ = static_cast<std::uint8_t>(entry->port_num);
    }
    if (device->context_ == nullptr)
        return LiveError{
            .what = names.empty() ? fmt::format("no RDMA device; verbs needs one for port {} ({})",
                                                port.interface, port.address)
                                  : fmt::format("no RDMA device has port {} ({}); there are {}",
                                                port.interface, port.address, names)};
    WEFT_TRY(device->set_up(port));
    return device;
}

Status Device::set_up(const Port& port) {
    const auto failed = [&](const char* what) {
        return LiveError{.what = fmt::format("RDMA device {} of port {}: cannot {}: {}", name_,
                                             port.interface, what, std::strerror(errno))};
    };
    name_ = api_->name(context_);
    ibv_device_attr limits{};
    ibv_port_attr state{};
    if (api_->query_device(context_, limits) != 0) return failed("ask for limits");
    if (api_->query_port(context_, port_, state) != 0) return failed("ask for the port");
    mtu_ = state.active_mtu;
    most_pieces_ =
        std::clamp<std::uint32_t>(static_cast<std::uint32_t>(limits.max_sge), 1, kMostPieces);
    queue_size_ = static_cast<std::size_t>(std::min(limits.max_cqe, kMostCompletions));
    domain_ = api_->alloc_pd(context_);
    if (domain_ == nullptr) return failed("make a protection domain");
    channel_ = api_->create_channel(context_);
    if (channel_ == nullptr) return failed("make a completion channel");
    queue_ = api_->create_cq(context_, static_cast<int>(queue_size_), channel_);
    if (queue_ == nullptr) return failed("make a completion queue");
    return Done{};
}

bool Device::reserve(std::size_t completions) {
    if (reserved_.fetch_add(completions) + completions <= queue_size_) return true;
    reserved_ -= completions;
    return false;
}

Device::~Device() {
    if (queue_ != nullptr) api_->destroy_cq(queue_);
    if (channel_ != nullptr) api_->destroy_channel(channel_);
    if (domain_ != nullptr) api_->dealloc_pd(domain_);
    if (context_ != nullptr) api_->close(context_);
}

}  // namespace weft::live::verbs
