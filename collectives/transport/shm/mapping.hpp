#pragma once
// Memory that processes of one host share, without a name: a sealed memfd, passed over a unix
// socket (SCM_RIGHTS, unix(7)). It cannot shrink under a reader (F_SEAL_SHRINK, fcntl(2)), is gone
// when the last process that has it is, needs no room in /dev/shm, no privilege and no common PID
// namespace. Children made by fork() do not inherit the mapping, and close nothing of their
// parent's. Leaves out: huge pages (a memfd has them only where the host reserves them).
#include <cstddef>
#include <cstdint>
#include <span>
#include <sys/types.h>
#include <utility>

#include "base/result.hpp"

namespace weft::live::shm {

/// A file descriptor that this process closes, and a child of it does not.
class File {
  public:
    File() = default;
    explicit File(int fd);
    ~File() { close(); }
    File(File&& other) noexcept
        : fd_(std::exchange(other.fd_, -1)), owner_(std::exchange(other.owner_, 0)) {}
    File& operator=(File&& other) noexcept;
    [[nodiscard]] int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    void close();

  private:
    int fd_ = -1;
    pid_t owner_ = 0;
};

enum class Access : std::uint8_t { kRead, kWrite };

class Mapping {
  public:
    Mapping() = default;
    ~Mapping() { unmap(); }
    Mapping(Mapping&& other) noexcept;
    Mapping& operator=(Mapping&& other) noexcept;

    /// New, zeroed, written by this process; `others` is what peers that get file() may do.
    [[nodiscard]] static Outcome<Mapping> create(std::size_t size, Access others);
    /// What a peer sent: refused unless it is sealed against shrinking and has exactly this size.
    [[nodiscard]] static Outcome<Mapping> open(File file, std::size_t size, Access access);

    [[nodiscard]] std::byte* data() const { return data_; }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] int file() const { return file_.get(); }
    /// The memory stays; it can no longer be passed on.
    void close_file() { file_.close(); }
    explicit operator bool() const { return data_ != nullptr; }

  private:
    [[nodiscard]] Status map(Access access);
    void unmap();
    File file_;
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
    pid_t owner_ = 0;
};

/// One message with files; false when it cannot be sent at once or the peer is gone.
[[nodiscard]] bool send_files(int socket, std::span<const std::byte> bytes,
                              std::span<const int> files);
enum class Came : std::uint8_t { kMessage, kNothing, kGone };
/// One message of exactly this size with at most `files` files; anything else is kGone.
[[nodiscard]] Came receive_files(int socket, std::span<std::byte> bytes, std::span<File> files);
/// Whether the other end has closed the socket, or died.
[[nodiscard]] bool hung_up(int socket);

}  // namespace weft::live::shm
