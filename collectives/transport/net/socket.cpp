#include "collectives/transport/net/socket.hpp"

#include <arpa/inet.h>
#include <cstddef>
#include <cstring>
#include <errno.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <memory>
#include <netdb.h>
#include <netinet/tcp.h>
#include <string.h>
#include <system_error>
#include <unistd.h>

#include "base/check.hpp"

namespace weft::live::net {

Fd::~Fd() {
    if (fd_ >= 0) ::close(fd_);
}

std::string words_of(int error_number) {
    return std::generic_category().message(error_number);
}

Outcome<Address> tcp_address(const std::string& numeric, std::uint16_t port) {
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const std::string service = fmt::format("{}", port);
    if (getaddrinfo(numeric.c_str(), service.c_str(), &hints, &found) != 0 || found == nullptr)
        return LiveError{.what = fmt::format("\"{}\" is not a numeric IPv4 or IPv6 address",
                                             printable(numeric))};
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
    Address out;
    out.size = found->ai_addrlen;
    std::memcpy(&out.storage, found->ai_addr, found->ai_addrlen);
    return out;
}

Address unix_address(const std::string& abstract_name) {
    Address out;
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    WEFT_CHECK(abstract_name.size() + 1 < sizeof name.sun_path, "a name of {} bytes",
               abstract_name.size());
    std::memcpy(name.sun_path + 1, abstract_name.data(), abstract_name.size());
    out.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + abstract_name.size());
    std::memcpy(&out.storage, &name, sizeof name);
    return out;
}

std::string to_text(const Address& address) {
    if (address.family() == AF_UNIX) return "unix socket";
    char host[NI_MAXHOST] = "";
    char port[NI_MAXSERV] = "";
    if (getnameinfo(address.get(), address.size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return "unknown address";
    return address.family() == AF_INET6 ? fmt::format("[{}]:{}", host, port)
                                        : fmt::format("{}:{}", host, port);
}

std::string address_of_interface(const std::string& name_or_address) {
    ifaddrs* list = nullptr;
    if (getifaddrs(&list) != 0) return name_or_address;
    const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, freeifaddrs);
    for (const int family : {AF_INET, AF_INET6}) {
        for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
            if (at->ifa_addr == nullptr || at->ifa_addr->sa_family != family) continue;
            if (name_or_address != at->ifa_name) continue;
            const socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
            char host[NI_MAXHOST] = "";
            if (getnameinfo(at->ifa_addr, size, host, sizeof host, nullptr, 0, NI_NUMERICHOST) == 0)
                return host;
        }
    }
    return name_or_address;
}

Outcome<Fd> listen_on(const Address& address) {
    Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const auto failed = [&](const char* what) {
        return LiveError{
            .what = fmt::format("cannot {} on {}: {}", what, to_text(address), words_of(errno))};
    };
    if (!fd) return failed("open a socket");
    const int one = 1;
    if (address.family() == AF_INET6)
        setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    if (::bind(fd.get(), address.get(), address.size) != 0) return failed("listen");
    if (::listen(fd.get(), 4096) != 0) return failed("listen");
    return fd;
}

std::uint16_t port_of(const Fd& listener) {
    Address at;
    at.size = sizeof at.storage;
    if (getsockname(listener.get(), at.get(), &at.size) != 0) return 0;
    if (at.family() == AF_INET) return ntohs(reinterpret_cast<sockaddr_in*>(at.get())->sin_port);
    if (at.family() == AF_INET6) return ntohs(reinterpret_cast<sockaddr_in6*>(at.get())->sin6_port);
    return 0;
}

bool same_user(int unix_socket) {
    ucred who{};
    socklen_t size = sizeof who;
    return getsockopt(unix_socket, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 &&
           who.uid == geteuid();
}

bool may_look(int unix_socket) {
    ucred who{};
    socklen_t size = sizeof who;
    return getsockopt(unix_socket, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 &&
           (who.uid == geteuid() || who.uid == 0);
}

std::int32_t process_of(int unix_socket) {
    ucred who{};
    socklen_t size = sizeof who;
    return getsockopt(unix_socket, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 ? who.pid : 0;
}

void send_at_once(int tcp_socket) {
    const int one = 1;
    setsockopt(tcp_socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

}  // namespace weft::live::net
