#pragma once
// Plain memory of another process, read in one copy (process_vm_readv(2)). The
// kernel allows it to whoever may ptrace: not across users, PID namespaces or
// under Yama's ptrace_scope 1 and up. So it is tried once, on a word that the
// other process has named, and left alone where it fails.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <sys/types.h>
#include <vector>

#include "collectives/transport/shm/mapping.hpp"

namespace weft::live::shm {

class RemoteMemory {
  public:
    RemoteMemory() = default;
    /// The process at the other end of a unix socket, if it can be read: `word`
    /// lies at `address`.
    [[nodiscard]] static RemoteMemory open(int socket, std::uint64_t address, std::uint64_t word);
    explicit operator bool() const { return static_cast<bool>(process_); }

    enum class Read : std::uint8_t { kDone, kGone, kRefused };
    /// All of it, and of this very process: kGone when it has ended meanwhile.
    [[nodiscard]] Read read(std::uint64_t address, std::span<std::byte> to) const;

  private:
    pid_t pid_ = 0;
    File process_;  // tells this process from a later one of the same number
};

/// Memory that messages are put together in: the last used goes out first,
/// still in the cache.
class BufferPool {
  public:
    struct Buffer {
        std::unique_ptr<std::byte[]> data;
        std::size_t capacity = 0;
    };
    [[nodiscard]] Buffer take(std::size_t size);
    void give(Buffer buffer);

  private:
    std::vector<Buffer> free_;
};

}  // namespace weft::live::shm
