#include "collectives/transport/shm/remote_memory.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>

namespace weft::live::shm {

namespace {

constexpr std::size_t kBuffersKept = 8;
constexpr std::size_t kSmallestBuffer = 64 * 1024;

}  // namespace

RemoteMemory RemoteMemory::open(int socket, std::uint64_t address, std::uint64_t word) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid <= 0)
        return {};
    RemoteMemory m;
    m.pid_ = peer.pid;
#ifdef SYS_pidfd_open
    m.process_ = File(static_cast<int>(::syscall(SYS_pidfd_open, peer.pid, 0)));
#endif
    std::uint64_t found = 0;
    if (!m.process_ || m.read(address, std::as_writable_bytes(std::span(&found, 1))) != Read::kDone)
        return {};
    if (found != word) return {};
    return m;
}

RemoteMemory::Read RemoteMemory::read(std::uint64_t address, std::span<std::byte> to) const {
    while (!to.empty()) {
        const iovec local{to.data(), to.size()};
        const iovec remote{reinterpret_cast<void*>(address), to.size()};
        const ssize_t n = ::process_vm_readv(pid_, &local, 1, &remote, 1, 0);
        if (n <= 0) return n < 0 && errno == ESRCH ? Read::kGone : Read::kRefused;
        to = to.subspan(static_cast<std::size_t>(n));
        address += static_cast<std::uint64_t>(n);
    }
    pollfd ended{process_.get(), POLLIN, 0};
    return ::poll(&ended, 1, 0) == 0 ? Read::kDone : Read::kGone;
}

BufferPool::Buffer BufferPool::take(std::size_t size) {
    const auto fits = std::find_if(free_.rbegin(), free_.rend(),
                                   [&](const Buffer& b) { return b.capacity >= size; });
    if (fits != free_.rend()) {
        Buffer b = std::move(*fits);
        free_.erase(std::next(fits).base());
        return b;
    }
    const std::size_t capacity = std::max(kSmallestBuffer, std::bit_ceil(size));
    return {std::make_unique_for_overwrite<std::byte[]>(capacity), capacity};
}

void BufferPool::give(Buffer buffer) {
    if (free_.size() == kBuffersKept) free_.erase(free_.begin());
    free_.push_back(std::move(buffer));
}

}  // namespace weft::live::shm
