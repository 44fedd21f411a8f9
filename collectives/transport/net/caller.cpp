#include "collectives/transport/net/caller.hpp"

#include <algorithm>
#include <cstring>
#include <errno.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/epoll.h>

namespace weft::live::net {

namespace {

// A connection from a port to itself: what TCP makes of a call to a free port of this host when
// that very port is chosen for the calling side.
bool is_self(int fd) {
    Address here;
    Address there;
    here.size = there.size = sizeof(sockaddr_storage);
    if (getsockname(fd, here.get(), &here.size) != 0) return false;
    if (getpeername(fd, there.get(), &there.size) != 0) return false;
    return here.family() != AF_UNIX && here.size == there.size &&
           std::memcmp(here.get(), there.get(), here.size) == 0;
}

}  // namespace

Caller::Caller(Loop& loop, const Options& options, Done done)
    : loop_(loop), options_(options), done_(std::move(done)) {
    timer_ = loop_.at(options_.deadline, [this] { give_up(); });
    // From the loop: `done` must not be called before the constructor has returned.
    retry_ = loop_.after({}, [this] {
        retry_ = 0;
        dial();
    });
}

void Caller::hang_up() {
    loop_.forget(std::exchange(watch_, 0));
    loop_.cancel(std::exchange(retry_, 0));
    loop_.cancel(std::exchange(timer_, 0));
    fd_ = Fd();
}

void Caller::finish(Called called) {
    hang_up();
    const Done done = std::move(done_);
    done(std::move(called));
}

void Caller::give_up() {
    timer_ = 0;
    finish({.end = Called::End::kTimeout,
            .what = last_.empty() ? fmt::format("{} does not answer", to_text(options_.to))
                                  : fmt::format("{}: {}", to_text(options_.to), last_)});
}

void Caller::dial() {
    side_.emplace(options_.secret, fresh_nonce(), options_.hello);
    said_hello_ = false;
    Fd fd(::socket(options_.to.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return again(words_of(errno));
    if (options_.from.size > 0) {
        const int one = 1;  // the port is chosen when the other end is known: there are more
        setsockopt(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (::bind(fd.get(), options_.from.get(), options_.from.size) != 0)
            return again(fmt::format("cannot use {}: {}", to_text(options_.from), words_of(errno)));
    }
    if (options_.to.family() != AF_UNIX) send_at_once(fd.get());
    const int result = ::connect(fd.get(), options_.to.get(), options_.to.size);
    const int error = result == 0 ? 0 : errno;
    if (error == ECONNREFUSED)
        return finish({.end = Called::End::kRefused,
                       .what = fmt::format("{}: {}", to_text(options_.to), words_of(error))});
    if (error != 0 && error != EINPROGRESS) return again(words_of(error));
    fd_ = std::move(fd);
    watch_ = loop_.watch(fd_.get(), error == 0 ? EPOLLIN : EPOLLOUT, [this](std::uint32_t) {
        if (side_->to_send().empty() && !said_hello_)
            connected();
        else
            hear();
    });
}

// The first event after connect(): a failure, or the challenge is awaited from now on.
void Caller::connected() {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error == ECONNREFUSED || (error == 0 && is_self(fd_.get())))
        return finish(
            {.end = Called::End::kRefused,
             .what = fmt::format("{}: {}", to_text(options_.to), words_of(ECONNREFUSED))});
    if (error != 0) return again(words_of(error));
    if (options_.to.family() == AF_UNIX && !same_user(fd_.get()))
        return finish({.end = Called::End::kStranger, .what = "a process of another user listens"});
    loop_.change(watch_, EPOLLIN);
    hear();
}

void Caller::hear() {
    std::array<std::byte, kChallengeSize + kAnswerSize> in;
    const ssize_t n = ::recv(fd_.get(), in.data(), side_->wanted(), 0);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
    if (n <= 0) return again(n == 0 ? "the connection is closed" : words_of(errno));
    const Handshake state = side_->take(ByteSpan(in).first(static_cast<std::size_t>(n)));
    if (state == Handshake::kRefused)
        return finish({.end = Called::End::kStranger,
                       .what = fmt::format("{} is not of this world: it does not know the secret",
                                           to_text(options_.to))});
    if (state == Handshake::kProved) {
        loop_.forget(std::exchange(watch_, 0));
        return finish({.end = Called::End::kOpen,
                       .connection = {.fd = fd_.release(),
                                      .peer = options_.hello.callee,
                                      .purpose = options_.hello.purpose,
                                      .tag = options_.hello.tag,
                                      .key = side_->key()},
                       .what = {}});
    }
    const ByteSpan hello = side_->to_send();
    if (hello.empty() || said_hello_) return;
    said_hello_ = true;
    if (::send(fd_.get(), hello.data(), hello.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(hello.size()))
        again(words_of(errno));
}

void Caller::again(const std::string& why) {
    last_ = why;
    loop_.forget(std::exchange(watch_, 0));
    fd_ = Fd();
    const int wait_ms = std::min(2 << std::min(attempts_++, 4), 20);
    retry_ = loop_.after(std::chrono::milliseconds(wait_ms), [this] {
        retry_ = 0;
        dial();
    });
}

}  // namespace weft::live::net
