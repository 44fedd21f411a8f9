#include "collectives/transport/verbs/verbs.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <map>
#include <net/if.h>

#include "collectives/transport/net/threaded_world.hpp"
#include "collectives/transport/verbs/endpoint.hpp"

namespace weft::live {

namespace {

/// An IPv4 port with an RDMA device, and the subnet it is in.
struct Found {
    std::uint32_t address = 0;
    std::uint32_t subnet = 0;
    Port port;
};

std::vector<Found> find_ports() {
    std::vector<Found> all;
    auto api = verbs::load_api();
    if (!api) return all;
    std::vector<verbs::Gid> gids;
    for (ibv_context* device : api.value()->open_devices()) {
        for (const ibv_gid_entry& e : api.value()->gids(device)) {
            verbs::Gid gid;
            std::copy(std::begin(e.gid.raw), std::end(e.gid.raw), gid.begin());
            if (e.gid_type == IBV_GID_TYPE_ROCE_V2) gids.push_back(gid);
        }
        api.value()->close(device);
    }
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) return all;
    for (const ifaddrs* i = list; i != nullptr; i = i->ifa_next) {
        if (i->ifa_addr == nullptr || i->ifa_addr->sa_family != AF_INET) continue;
        const auto& address = reinterpret_cast<const sockaddr_in*>(i->ifa_addr)->sin_addr;
        const auto& mask = reinterpret_cast<const sockaddr_in*>(i->ifa_netmask)->sin_addr;
        std::array<char, INET_ADDRSTRLEN> text{};
        ::inet_ntop(AF_INET, &address, text.data(), text.size());
        const auto gid = verbs::gid_of(text.data());
        if (!gid || std::find(gids.begin(), gids.end(), *gid) == gids.end()) continue;
        all.push_back({.address = ntohl(address.s_addr),
                       .subnet = ntohl(address.s_addr & mask.s_addr),
                       .port = {.interface = i->ifa_name, .address = text.data()}});
    }
    ::freeifaddrs(list);
    std::sort(all.begin(), all.end(),
              [](const Found& a, const Found& b) { return a.address < b.address; });
    return all;
}

/// The ports of one rank of a world of threads.
std::vector<Port> deal(const std::vector<Found>& found, std::uint32_t rank,
                       const TransportOptions& o) {
    std::map<std::uint32_t, std::vector<Port>> subnets;
    for (const Found& f : found) subnets[f.subnet].push_back(f.port);
    std::vector<Port> ports;
    for (std::uint32_t rail = 0; rail < o.rails; ++rail)
        for (std::uint32_t plane = 0; plane < o.planes; ++plane) {
            const auto& subnet =
                std::next(subnets.begin(), static_cast<long>(plane % subnets.size()))->second;
            Port port = subnet[(rank * o.rails + rail) % subnet.size()];
            port.rail = static_cast<std::int32_t>(rail);
            port.plane = static_cast<std::int32_t>(plane);
            ports.push_back(port);
        }
    return ports;
}

}  // namespace

Outcome<std::unique_ptr<Endpoint>> make_verbs_endpoint(NetControl& control,
                                                       const VerbsOptions& options,
                                                       std::shared_ptr<verbs::Api> api) {
    std::vector<std::unique_ptr<verbs::Device>> devices;
    LiveError none{.what = "no RDMA device; verbs was given no NIC port"};
    bool any = false;
    for (const Port& port : options.ports) {
        auto device = verbs::Device::open(api, port);
        devices.push_back(device ? std::move(device.value()) : nullptr);
        if (device)
            any = true;
        else
            none = device.error();
    }
    if (!any) return none;
    return std::unique_ptr<Endpoint>(std::make_unique<verbs::VerbsEndpoint>(
        control, options, std::move(api), std::move(devices)));
}

Outcome<std::unique_ptr<Endpoint>> make_verbs_endpoint(NetControl& control,
                                                       const VerbsOptions& options) {
    auto api = verbs::load_api();
    if (!api) return api.error();
    return make_verbs_endpoint(control, options, std::move(api.value()));
}

std::vector<Port> verbs_ports() {
    std::vector<Port> ports;
    for (const Found& f : find_ports()) ports.push_back(f.port);
    return ports;
}

std::string why_no_verbs() {
    const auto api = verbs::load_api();
    return api ? "no RDMA device with an IPv4 address" : api.error().what;
}

std::unique_ptr<Transport> make_verbs(const TransportOptions& o) {
    const std::vector<Found> found = find_ports();
    const auto ports = [found, o](std::uint32_t rank) {
        return found.empty() ? std::vector<Port>() : deal(found, rank, o);
    };
    const auto net = [ports](std::uint32_t rank) {
        NetOptions options;
        options.ports = ports(rank);
        return options;
    };
    const auto make = [ports, o](NetControl& control) -> Outcome<std::unique_ptr<Endpoint>> {
        VerbsOptions options;
        options.ports = ports(control.rank());
        options.paths = o.paths;
        if (options.ports.empty())
            return LiveError{.what = "no RDMA device; verbs needs one (ibv_devices lists them)"};
        return make_verbs_endpoint(control, options);
    };
    return make_threaded_world({.ranks = o.ranks, .net = net, .make = make});
}

}  // namespace weft::live
