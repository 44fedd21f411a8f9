#include "collectives/transport/shm/mapping.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace weft::live::shm {

namespace {

constexpr std::size_t kFilesMost = 4;
// Linux 5.1; glibc's headers may be older.
constexpr int kSealFutureWrite = 0x0010;

LiveError failed(const char* call) {
    return {.what = fmt::format("shared memory: {}: {}", call, std::strerror(errno))};
}

}  // namespace

File::File(int fd) : fd_(fd), owner_(::getpid()) {}

File& File::operator=(File&& other) noexcept {
    if (this == &other) return *this;
    close();
    fd_ = std::exchange(other.fd_, -1);
    owner_ = std::exchange(other.owner_, 0);
    return *this;
}

void File::close() {
    if (fd_ >= 0 && owner_ == ::getpid()) ::close(fd_);
    fd_ = -1;
}

Mapping::Mapping(Mapping&& other) noexcept
    : file_(std::move(other.file_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      owner_(std::exchange(other.owner_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
    if (this == &other) return *this;
    unmap();
    file_ = std::move(other.file_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    owner_ = std::exchange(other.owner_, 0);
    return *this;
}

void Mapping::unmap() {
    // In a child the memory was never mapped (MADV_DONTFORK).
    if (data_ != nullptr && owner_ == ::getpid()) ::munmap(data_, size_);
    data_ = nullptr;
}

Status Mapping::map(Access access) {
    const int protection = access == Access::kWrite ? PROT_READ | PROT_WRITE : PROT_READ;
    void* at = ::mmap(nullptr, size_, protection, MAP_SHARED, file_.get(), 0);
    if (at == MAP_FAILED) return failed("mmap");
    data_ = static_cast<std::byte*>(at);
    owner_ = ::getpid();
    if (::madvise(at, size_, MADV_DONTFORK) != 0) return failed("madvise");
    return Done{};
}

Outcome<Mapping> Mapping::create(std::size_t size, Access others) {
    Mapping m;
    m.file_ = File(::memfd_create("weft", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!m.file_) return failed("memfd_create");
    m.size_ = size;
    if (::ftruncate(m.file(), static_cast<off_t>(size)) != 0) return failed("ftruncate");
    WEFT_TRY(m.map(Access::kWrite));
    // After this nobody maps it for writing any more; what is mapped already stays writable. A
    // kernel that does not know the seal leaves the readers' promise instead.
    if (others == Access::kRead) (void)::fcntl(m.file(), F_ADD_SEALS, kSealFutureWrite);
    if (::fcntl(m.file(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return failed("seals");
    return m;
}

Outcome<Mapping> Mapping::open(File file, std::size_t size, Access access) {
    struct stat found {};
    if (::fstat(file.get(), &found) != 0) return failed("fstat");
    if (found.st_size != static_cast<off_t>(size))
        return LiveError{.what = fmt::format("shared memory: {} bytes came where {} were expected",
                                             found.st_size, size)};
    const int seals = ::fcntl(file.get(), F_GET_SEALS);
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || (seals & F_SEAL_SEAL) == 0)
        return LiveError{.what = "shared memory: came without the seals that keep it whole"};
    Mapping m;
    m.file_ = std::move(file);
    m.size_ = size;
    WEFT_TRY(m.map(access));
    m.close_file();
    return m;
}

bool send_files(int socket, std::span<const std::byte> bytes, std::span<const int> files) {
    WEFT_CHECK(files.size() <= kFilesMost, "{} files in one message", files.size());
    iovec io{const_cast<std::byte*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(kFilesMost * sizeof(int))> room{};
    msghdr message{};
    message.msg_iov = &io;
    message.msg_iovlen = 1;
    if (!files.empty()) {
        message.msg_control = room.data();
        message.msg_controllen = CMSG_SPACE(files.size_bytes());
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(files.size_bytes());
        std::memcpy(CMSG_DATA(header), files.data(), files.size_bytes());
    }
    const ssize_t sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent == static_cast<ssize_t>(bytes.size());
}

Came receive_files(int socket, std::span<std::byte> bytes, std::span<File> files) {
    iovec io{bytes.data(), bytes.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(kFilesMost * sizeof(int))> room{};
    msghdr message{};
    message.msg_iov = &io;
    message.msg_iovlen = 1;
    message.msg_control = room.data();
    message.msg_controllen = room.size();
    const ssize_t got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return Came::kNothing;
    std::size_t kept = 0;
    for (cmsghdr* h = got >= 0 ? CMSG_FIRSTHDR(&message) : nullptr; h != nullptr;
         h = CMSG_NXTHDR(&message, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < n; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof fd);
            File file(fd);  // closed here when there is no room for it
            if (kept < files.size()) files[kept++] = std::move(file);
        }
    }
    if (got != static_cast<ssize_t>(bytes.size()) || (message.msg_flags & MSG_CTRUNC) != 0)
        return Came::kGone;
    return Came::kMessage;
}

bool hung_up(int socket) {
    pollfd p{socket, POLLRDHUP, 0};
    return ::poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

}  // namespace weft::live::shm
