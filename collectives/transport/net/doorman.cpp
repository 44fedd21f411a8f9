#include "collectives/transport/net/doorman.hpp"

#include <algorithm>
#include <errno.h>
#include <sys/epoll.h>

namespace weft::live::net {

namespace {

// Taken in one turn, so that those who are being checked get their turn too.
constexpr int kAcceptsPerTurn = 16;

}  // namespace

Doorman::Doorman(Loop& loop, Fd listener, const Secret& secret, std::uint32_t rank, Take take)
    : loop_(loop),
      listener_(std::move(listener)),
      secret_(secret),
      rank_(rank),
      take_(std::move(take)) {
    int domain = 0;
    socklen_t size = sizeof domain;
    getsockopt(listener_.get(), SOL_SOCKET, SO_DOMAIN, &domain, &size);
    unix_ = domain == AF_UNIX;
    watch_ = loop_.watch(listener_.get(), EPOLLIN, [this](std::uint32_t) { accept_some(); });
}

Doorman::~Doorman() {
    loop_.forget(watch_);
    loop_.cancel(timer_);
    loop_.cancel(resume_);
    for (const Entry& entry : pending_) loop_.forget(entry->watch);
}

void Doorman::accept_some() {
    for (int i = 0; i < kAcceptsPerTurn; ++i) {
        Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!fd) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
                drop_oldest();
                pause();
            }
            return;
        }
        if (unix_ && !same_user(fd.get())) continue;
        admit(std::move(fd));
    }
}

// Without descriptors the listener would be ready for ever and never accept.
void Doorman::pause() {
    if (resume_ != 0) return;
    loop_.change(watch_, 0);
    resume_ = loop_.after(std::chrono::milliseconds(10), [this] {
        resume_ = 0;
        loop_.change(watch_, EPOLLIN);
    });
}

void Doorman::admit(Fd fd) {
    if (pending_.size() >= kMaxPending) drop_oldest();
    const Entry entry(new Pending{.fd = std::move(fd),
                                  .side = ListeningSide(secret_, fresh_nonce()),
                                  .until = Clock::now() + kPatience});
    const ByteSpan challenge = entry->side.challenge();
    // A new socket's buffer takes 32 bytes; one that does not is not worth a second try.
    if (::send(entry->fd.get(), challenge.data(), challenge.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(challenge.size()))
        return;
    entry->watch =
        loop_.watch(entry->fd.get(), EPOLLIN, [this, entry](std::uint32_t) { hear(entry); });
    pending_.push_back(entry);
    if (timer_ == 0) timer_ = loop_.at(entry->until, [this] { expire(); });
}

void Doorman::hear(const Entry& entry) {
    std::array<std::byte, kHelloSize> in;
    const ssize_t n = ::recv(entry->fd.get(), in.data(), entry->side.wanted(), 0);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
    if (n <= 0) return drop(entry);
    const Handshake state = entry->side.take(ByteSpan(in).first(static_cast<std::size_t>(n)));
    if (state == Handshake::kWaiting) return;
    const Hello& hello = entry->side.hello();
    const bool good = state == Handshake::kProved && hello.callee == rank_;
    const ByteSpan answer = entry->side.answer();
    if (!good || ::send(entry->fd.get(), answer.data(), answer.size(), MSG_NOSIGNAL) !=
                     static_cast<ssize_t>(answer.size()))
        return drop(entry);
    loop_.forget(entry->watch);
    const Connection connection{.fd = entry->fd.release(),
                                .peer = hello.caller,
                                .purpose = hello.purpose,
                                .tag = hello.tag,
                                .key = entry->side.key()};
    std::erase(pending_, entry);
    if (!unix_) send_at_once(connection.fd);
    take_(connection, hello);
}

void Doorman::drop(const Entry& entry) {
    loop_.forget(entry->watch);
    std::erase(pending_, entry);
}

void Doorman::drop_oldest() {
    if (pending_.empty()) return;
    const Entry oldest = pending_.front();
    // Its proof may lie in the socket already: it would be a pity.
    hear(oldest);
    if (!pending_.empty() && pending_.front() == oldest) drop(oldest);
}

void Doorman::expire() {
    timer_ = 0;
    const auto now = Clock::now();
    while (!pending_.empty() && pending_.front()->until <= now) drop(Entry(pending_.front()));
    if (!pending_.empty()) timer_ = loop_.at(pending_.front()->until, [this] { expire(); });
}

}  // namespace weft::live::net
