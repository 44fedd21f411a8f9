#include "collectives/transport/tcp/tcp.hpp"

#include <fmt/format.h>

#include "collectives/transport/net/threaded_world.hpp"
#include "collectives/transport/tcp/endpoint.hpp"

namespace weft::live {

namespace {

constexpr std::uint32_t kMostPorts = 254;  // of a kind: numbers in an address

void check(bool ok, const char* key, std::uint64_t found, const std::string& expected) {
    if (ok) return;
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = key,
                       .found = std::to_string(found),
                       .expected = expected,
                       .example = "2"});
}

std::vector<Port> loopback_ports(const TransportOptions& options) {
    std::vector<Port> ports;
    for (std::uint32_t rail = 0; rail < options.rails; ++rail)
        for (std::uint32_t plane = 0; plane < options.planes; ++plane)
            ports.push_back({.interface = "lo",
                             .address = fmt::format("127.0.{}.{}", plane + 1, rail + 1),
                             .rail = static_cast<std::int32_t>(rail),
                             .plane = static_cast<std::int32_t>(plane)});
    return ports;
}

}  // namespace

std::unique_ptr<Endpoint> make_tcp_endpoint(NetControl& control, const TcpOptions& options) {
    return std::make_unique<tcp::TcpEndpoint>(control, options);
}

std::unique_ptr<Transport> make_tcp(const TransportOptions& o) {
    const std::string range = fmt::format("1 to {} for transport tcp", kMostPorts);
    check(o.rails >= 1 && o.rails <= kMostPorts, "rails", o.rails, range);
    check(o.planes >= 1 && o.planes <= kMostPorts, "planes", o.planes, range);
    check(o.paths >= 1 && o.paths <= tcp::kMostPaths, "paths", o.paths,
          fmt::format("1 to {} for transport tcp", tcp::kMostPaths));
    const TcpOptions tcp{.paths = o.paths, .verify = o.verify};
    const auto make = [tcp](NetControl& control) -> Outcome<std::unique_ptr<Endpoint>> {
        return make_tcp_endpoint(control, tcp);
    };
    const auto net = [ports = loopback_ports(o)](std::uint32_t) {
        NetOptions options;
        options.ports = ports;
        return options;
    };
    return make_threaded_world({.ranks = o.ranks, .net = net, .make = make});
}

}  // namespace weft::live
