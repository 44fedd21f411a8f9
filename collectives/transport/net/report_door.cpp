#include "collectives/transport/net/report_door.hpp"

#include <charconv>
#include <errno.h>
#include <fmt/format.h>
#include <sys/epoll.h>

namespace weft::live::net {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMostVisitors = 8;
constexpr milliseconds kPatience{2'000};    // with one of them
constexpr milliseconds kMakeWithin{1'200};  // then without what cannot be had
constexpr milliseconds kTryAgain{2};
constexpr milliseconds kPause{100};
constexpr std::string_view kPrefix = "weft-doctor-";

/// The number that the text begins with, up to a dash or the end; what is left of the text.
template <class T>
bool take_number(std::string_view& text, T& out, int base) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
    if (error != std::errc()) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (text.empty()) return true;
    const bool dash = text[0] == '-';
    text.remove_prefix(1);
    return dash;
}

}  // namespace

std::string to_text(const DoorName& n) {
    return fmt::format("{}{:016x}-{}-{:08x}", kPrefix, n.job, n.rank, n.random);
}

std::optional<DoorName> parse_door_name(std::string_view text) {
    if (text.substr(0, kPrefix.size()) != kPrefix) return std::nullopt;
    std::string_view left = text.substr(kPrefix.size());
    DoorName n;
    const bool good = take_number(left, n.job, 16) && take_number(left, n.rank, 10) &&
                      take_number(left, n.random, 16);
    // One name for one door: no other spelling of the same numbers.
    if (!good || to_text(n) != text) return std::nullopt;
    return n;
}

ReportDoor::ReportDoor(Loop& loop, Fd listener, Make make)
    : loop_(loop), listener_(std::move(listener)), make_(std::move(make)) {
    watch_ = loop_.watch(listener_.get(), EPOLLIN, [this](std::uint32_t) { accept_some(); });
}

ReportDoor::~ReportDoor() {
    loop_.forget(watch_);
    loop_.cancel(pause_);
    for (const Entry& v : visitors_) {
        loop_.forget(v->watch);
        loop_.cancel(v->timer);
    }
}

void ReportDoor::accept_some() {
    Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
        // Without descriptors the listener would be ready for ever.
        loop_.change(watch_, 0);
        pause_ = loop_.after(kPause, [this] { loop_.change(watch_, EPOLLIN); });
    }
    if (!fd || visitors_.size() >= kMostVisitors || !may_look(fd.get())) return;
    const Entry v(new Visitor);
    v->fd = std::move(fd);
    v->came = Clock::now();
    visitors_.push_back(v);
    serve(v);
}

// The engine may be in use by another thread: again in a moment.
void ReportDoor::serve(const Entry& v) {
    v->timer = 0;
    const bool late = Clock::now() - v->came > kMakeWithin;
    v->bytes = make_(late);
    if (!v->bytes && !late) {
        v->timer = loop_.after(kTryAgain, [this, v] { serve(v); });
        return;
    }
    if (!v->bytes || v->bytes->size() > kMaxReport) return drop(v);
    v->timer = loop_.after(kPatience, [this, v] {
        v->timer = 0;
        drop(v);
    });
    send(v);
}

void ReportDoor::send(const Entry& v) {
    while (v->sent < v->bytes->size()) {
        const ssize_t n = ::send(v->fd.get(), v->bytes->data() + v->sent,
                                 v->bytes->size() - v->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) {
            if (v->watch == 0)
                v->watch =
                    loop_.watch(v->fd.get(), EPOLLOUT, [this, v](std::uint32_t) { send(v); });
            return;
        }
        if (n <= 0) break;
        v->sent += static_cast<std::size_t>(n);
    }
    drop(v);
}

void ReportDoor::drop(const Entry& v) {
    loop_.forget(std::exchange(v->watch, 0));
    loop_.cancel(std::exchange(v->timer, 0));
    std::erase(visitors_, v);
    v->fd = Fd();
}

}  // namespace weft::live::net
