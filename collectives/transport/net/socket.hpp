#pragma once
// Sockets of this folder: non-blocking, closed on exec, TCP or abstract unix. Abstract names leave
// no file behind, whatever way a process ends.
#include <cstdint>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <utility>

#include "base/result.hpp"

namespace weft::live::net {

/// Owns a file descriptor.
class Fd {
  public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Fd();
    [[nodiscard]] int get() const { return fd_; }
    [[nodiscard]] int release() { return std::exchange(fd_, -1); }
    explicit operator bool() const { return fd_ >= 0; }

  private:
    int fd_ = -1;
};

/// A socket address of any of our kinds.
struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;
    [[nodiscard]] const sockaddr* get() const {
        return reinterpret_cast<const sockaddr*>(&storage);
    }
    [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
    [[nodiscard]] int family() const { return storage.ss_family; }
};
/// From a numeric IPv4 or IPv6 address ("fe80::1%eth0" too).
[[nodiscard]] Outcome<Address> tcp_address(const std::string& numeric, std::uint16_t port);
[[nodiscard]] Address unix_address(const std::string& abstract_name);
/// "10.0.0.1:4711", "[::1]:4711", "unix socket".
[[nodiscard]] std::string to_text(const Address& address);
/// The first address of an interface of that name, IPv4 before IPv6; what is no interface's name
/// comes back as it is.
[[nodiscard]] std::string address_of_interface(const std::string& name_or_address);

[[nodiscard]] Outcome<Fd> listen_on(const Address& address);
[[nodiscard]] std::uint16_t port_of(const Fd& listener);
/// Whether the process at the other end of a unix socket runs as this user.
[[nodiscard]] bool same_user(int unix_socket);
/// The same, or root, who can look into any process anyway.
[[nodiscard]] bool may_look(int unix_socket);
/// Its process id as seen from here; 0 where it is not visible.
[[nodiscard]] std::int32_t process_of(int unix_socket);
void send_at_once(int tcp_socket);  // TCP_NODELAY; nothing on other sockets

/// "Connection refused".
[[nodiscard]] std::string words_of(int error_number);

}  // namespace weft::live::net
