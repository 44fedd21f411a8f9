#include "collectives/transport/net/ports.hpp"

#include <arpa/inet.h>
#include <array>
#include <fmt/format.h>
#include <fstream>
#include <ifaddrs.h>
#include <memory>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <optional>
#include <sys/socket.h>

namespace weft::live {

namespace {

constexpr const char* kKey = "interfaces";

[[noreturn]] void refuse(const std::string& found, const std::string& expected) {
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = kKey,
                       .found = printable(found),
                       .expected = expected,
                       .example = "eth0:0:0,eth1:1:0"});
}

struct Listed {
    std::string interface;
    std::string address;
    bool up = false;
};

std::string text_of(const sockaddr* address, socklen_t size) {
    std::array<char, NI_MAXHOST> host{};
    if (::getnameinfo(address, size, host.data(), host.size(), nullptr, 0, NI_NUMERICHOST) != 0)
        return {};
    return host.data();
}

/// Every interface with its addresses, IPv4 before IPv6; an interface without any has one row.
std::vector<Listed> list_interfaces() {
    ifaddrs* first = nullptr;
    if (::getifaddrs(&first) != 0) return {};
    const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(first, &::freeifaddrs);
    std::vector<Listed> rows;
    for (const int family : {AF_INET, AF_INET6, AF_PACKET})
        for (const ifaddrs* i = first; i; i = i->ifa_next) {
            if (!i->ifa_addr || i->ifa_addr->sa_family != family) continue;
            const bool up = (i->ifa_flags & IFF_UP) != 0;
            const socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
            rows.push_back(
                {i->ifa_name, family == AF_PACKET ? "" : text_of(i->ifa_addr, size), up});
        }
    return rows;
}

std::int64_t number_in(const std::string& path, std::int64_t otherwise) {
    std::ifstream file(path);
    std::int64_t value = 0;
    return file >> value ? value : otherwise;
}

void describe(Port& port) {
    const std::string base = "/sys/class/net/" + port.interface;
    const std::int64_t megabits = number_in(base + "/speed", 0);
    port.bits_per_second = megabits > 0 ? static_cast<std::uint64_t>(megabits) * 1'000'000 : 0;
    port.numa = static_cast<std::int32_t>(number_in(base + "/device/numa_node", -1));
}

std::optional<std::int32_t> small_number(const std::string& text) {
    if (text.empty() || text.size() > 4 || text.find_first_not_of("0123456789") != text.npos)
        return std::nullopt;
    return static_cast<std::int32_t>(std::stol(text));
}

/// r1p0 -> rail 1, plane 0.
bool read_name(const std::string& name, Port& port) {
    const std::size_t p = name.find('p');
    if (name.empty() || name[0] != 'r' || p == name.npos) return false;
    const auto rail = small_number(name.substr(1, p - 1));
    const auto plane = small_number(name.substr(p + 1));
    if (!rail || !plane) return false;
    port.rail = *rail;
    port.plane = *plane;
    return true;
}

std::vector<std::string> split(const std::string& text, char at) {
    std::vector<std::string> parts{""};
    for (const char c : text) {
        if (c == at)
            parts.emplace_back();
        else
            parts.back().push_back(c);
    }
    return parts;
}

bool is_address(const std::string& text) {
    std::array<std::byte, sizeof(in6_addr)> any{};
    return ::inet_pton(AF_INET, text.c_str(), any.data()) == 1 ||
           ::inet_pton(AF_INET6, text.c_str(), any.data()) == 1;
}

Port find_port(const std::string& item, std::int32_t position, const std::vector<Listed>& all) {
    Port port;
    port.rail = position;
    std::vector<std::string> parts{item};
    if (!is_address(item)) parts = split(item, ':');
    const std::string& name = parts[0];
    if (parts.size() == 3) {
        const auto rail = small_number(parts[1]);
        const auto plane = small_number(parts[2]);
        if (!rail || !plane) refuse(item, "interface:rail:plane with two numbers");
        port.rail = *rail;
        port.plane = *plane;
    } else if (parts.size() != 1) {
        refuse(item, "an interface, or interface:rail:plane");
    } else {
        read_name(name, port);
    }
    std::string known;
    bool down = false;
    for (const Listed& row : all) {
        if (row.interface != name && row.address != name) {
            if (known.find(row.interface) == known.npos) known += " " + row.interface;
            continue;
        }
        if (!row.up) down = true;
        if (!row.up || row.address.empty()) continue;
        port.interface = row.interface;
        port.address = row.address;
        describe(port);
        return port;
    }
    if (down) refuse(name, "an interface that is up");
    refuse(name, "an interface with an address, one of" + known);
}

}  // namespace

std::vector<Port> find_ports(const std::string& interfaces) {
    const std::vector<Listed> all = list_interfaces();
    std::vector<Port> ports;
    for (const std::string& item : split(interfaces, ','))
        ports.push_back(find_port(item, static_cast<std::int32_t>(ports.size()), all));
    return ports;
}

}  // namespace weft::live
