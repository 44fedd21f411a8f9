#include "collectives/transport/tcp/link_watch.hpp"

#include <array>
#include <cstring>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

namespace weft::live::tcp {

std::vector<LinkChange> parse_link_changes(std::span<const std::byte> message) {
    std::vector<LinkChange> changes;
    while (message.size() >= sizeof(nlmsghdr)) {
        nlmsghdr header{};
        std::memcpy(&header, message.data(), sizeof header);
        if (header.nlmsg_len < sizeof header || header.nlmsg_len > message.size()) break;
        if ((header.nlmsg_type == RTM_NEWLINK || header.nlmsg_type == RTM_DELLINK) &&
            header.nlmsg_len >= NLMSG_HDRLEN + sizeof(ifinfomsg)) {
            ifinfomsg info{};
            std::memcpy(&info, message.data() + NLMSG_HDRLEN, sizeof info);
            const bool carrier = header.nlmsg_type == RTM_NEWLINK &&
                                 (info.ifi_flags & IFF_UP) != 0 &&
                                 (info.ifi_flags & IFF_RUNNING) != 0;
            changes.push_back({.interface = info.ifi_index, .carrier = carrier});
        }
        const std::size_t step = std::size_t{NLMSG_ALIGN(header.nlmsg_len)};
        if (step >= message.size()) break;
        message = message.subspan(step);
    }
    return changes;
}

LinkWatch::LinkWatch() {
    fd_ = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd_ < 0) return;
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = RTMGRP_LINK;
    if (::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return;
    ::close(fd_);
    fd_ = -1;
}

LinkWatch::~LinkWatch() {
    if (fd_ >= 0) ::close(fd_);
}

std::vector<LinkChange> LinkWatch::read() {
    std::vector<LinkChange> all;
    std::array<std::byte, 16384> message;
    while (fd_ >= 0) {
        sockaddr_nl from{};
        socklen_t size = sizeof from;
        const ssize_t got = ::recvfrom(fd_, message.data(), message.size(), MSG_DONTWAIT,
                                       reinterpret_cast<sockaddr*>(&from), &size);
        if (got <= 0) break;
        if (from.nl_pid != 0) continue;  // only the kernel is believed
        const auto some = parse_link_changes({message.data(), static_cast<std::size_t>(got)});
        all.insert(all.end(), some.begin(), some.end());
    }
    return all;
}

}  // namespace weft::live::tcp
