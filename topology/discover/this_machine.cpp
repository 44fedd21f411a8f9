// The part of discovery that asks the kernel of this machine.
#include <arpa/inet.h>
#include <array>
#include <bit>
#include <ifaddrs.h>
#include <memory>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include "topology/discover/machine.hpp"

namespace weft {

namespace {

/// The bytes of an address, of either family; none for another.
std::vector<std::uint8_t> bytes_of(const sockaddr* a) {
    std::vector<std::uint8_t> bytes;
    if (a && a->sa_family == AF_INET) {
        const auto* in = reinterpret_cast<const sockaddr_in*>(a);
        const auto* p = reinterpret_cast<const std::uint8_t*>(&in->sin_addr);
        bytes.assign(p, p + sizeof in->sin_addr);
    } else if (a && a->sa_family == AF_INET6) {
        const auto* in = reinterpret_cast<const sockaddr_in6*>(a);
        const auto* p = reinterpret_cast<const std::uint8_t*>(&in->sin6_addr);
        bytes.assign(p, p + sizeof in->sin6_addr);
    }
    return bytes;
}

std::string text_of(const std::vector<std::uint8_t>& bytes) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    const int family = bytes.size() == sizeof(in_addr) ? AF_INET : AF_INET6;
    const char* done = ::inet_ntop(family, bytes.data(), text.data(), text.size());
    return done ? done : "";
}

std::vector<InterfaceAddress> list_addresses() {
    std::vector<InterfaceAddress> all;
    ifaddrs* first = nullptr;
    if (::getifaddrs(&first) != 0) return all;
    const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(first, &::freeifaddrs);
    for (const ifaddrs* i = first; i; i = i->ifa_next) {
        const std::vector<std::uint8_t> bytes = bytes_of(i->ifa_addr);
        if (bytes.empty()) continue;
        int prefix = 0;
        for (const std::uint8_t b : bytes_of(i->ifa_netmask)) prefix += std::popcount(b);
        all.push_back({i->ifa_name, text_of(bytes), prefix});
    }
    return all;
}

}  // namespace

std::string subnet_of(const InterfaceAddress& a) {
    std::array<std::uint8_t, sizeof(in6_addr)> raw{};
    std::size_t size = 0;
    if (::inet_pton(AF_INET, a.address.c_str(), raw.data()) == 1)
        size = sizeof(in_addr);
    else if (::inet_pton(AF_INET6, a.address.c_str(), raw.data()) == 1)
        size = sizeof(in6_addr);
    if (size == 0 || a.prefix < 1 || a.prefix > static_cast<int>(8 * size)) return {};
    const bool link_local = size == sizeof(in_addr) ? raw[0] == 169 && raw[1] == 254
                                                    : raw[0] == 0xfe && (raw[1] & 0xc0) == 0x80;
    const bool loopback = size == sizeof(in_addr) && raw[0] == 127;
    if (link_local || loopback) return {};
    std::vector<std::uint8_t> bytes(raw.begin(), raw.begin() + static_cast<std::ptrdiff_t>(size));
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        const int kept = a.prefix - static_cast<int>(8 * i);
        if (kept <= 0) bytes[i] = 0;
        if (kept > 0 && kept < 8)
            bytes[i] = static_cast<std::uint8_t>(bytes[i] & (0xff << (8 - kept)));
    }
    return text_of(bytes) + "/" + std::to_string(a.prefix);
}

HostMachine this_machine() {
    utsname names{};
    return read_machine("/sys", list_addresses(), ::uname(&names) == 0 ? names.nodename : "");
}

}  // namespace weft
