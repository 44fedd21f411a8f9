#include "collectives/transport/net/channel.hpp"

#include <array>
#include <errno.h>
#include <sys/epoll.h>

namespace weft::live::net {

Channel::Channel(Loop& loop, const Connection& connection, Side mine, std::size_t max_queue,
                 Calls calls)
    : loop_(loop),
      fd_(connection.fd),
      writer_(connection.key, mine),
      reader_(connection.key, mine),
      max_queue_(max_queue),
      calls_(std::move(calls)) {
    watch_ = loop_.watch(fd_.get(), EPOLLIN, [this](std::uint32_t events) { ready(events); });
}

Channel::~Channel() {
    loop_.forget(watch_);
    loop_.cancel(later_);
}

void Channel::ready(std::uint32_t events) {
    if ((events & EPOLLOUT) != 0) {
        flush();
        if (!closed_ && queued() == 0 && calls_.drained) calls_.drained();
    }
    if (!closed_ && (events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) read();
}

void Channel::read() {
    std::array<std::byte, 16 << 10> in;
    const ssize_t n = ::recv(fd_.get(), in.data(), in.size(), 0);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
    if (n <= 0) return close(n == 0 ? "connection closed" : words_of(errno));
    reader_.feed(ByteSpan(in).first(static_cast<std::size_t>(n)));
    while (const auto payload = reader_.next()) calls_.frame(*payload);
    if (reader_.broken()) close("what came was not a frame of this connection");
}

void Channel::flush() {
    if (closed_) return;
    while (sent_ < out_.size()) {
        const ssize_t n = ::send(fd_.get(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) break;  // read() meets the end too
        if (n < 0) break;
        sent_ += static_cast<std::size_t>(n);
    }
    if (sent_ == out_.size() || sent_ > (256U << 10)) {
        out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(sent_));
        sent_ = 0;
    }
    const bool wait = !out_.empty();
    if (wait != waiting_) {
        waiting_ = wait;
        loop_.change(watch_, wait ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
    // Not from here: whoever flushes may be walking through a list of channels.
    if (queued() > max_queue_ && later_ == 0)
        later_ = loop_.after({}, [this] { close("the other side takes nothing"); });
}

void Channel::close(const std::string& why) {
    if (closed_) return;
    closed_ = true;
    loop_.forget(watch_);
    const auto closed = calls_.closed;
    closed(why);
}

}  // namespace weft::live::net
