#include "collectives/transport/verbs/introducer.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include "collectives/transport/net/frame.hpp"
#include "collectives/transport/net/socket.hpp"

namespace weft::live::verbs {

namespace {

constexpr std::size_t kMostThreads = 8;
constexpr auto kExchange = std::chrono::seconds(5);
constexpr auto kSlice = std::chrono::milliseconds(50);  // between looks whether to stop

/// Frames over a connection, in turn: say, hear, say, hear.
class Talk {
  public:
    Talk(const Connection& c, bool caller, const std::atomic<bool>& stop)
        : fd_(c.fd),
          writer_(c.key, caller ? net::Side::kCaller : net::Side::kCallee),
          reader_(c.key, caller ? net::Side::kCaller : net::Side::kCallee),
          stop_(stop) {}
    bool say(std::span<const std::byte> payload) {
        std::vector<std::byte> frame;
        writer_.write(payload, frame);
        // Some hundred bytes into a fresh socket never wait.
        return ::send(fd_, frame.data(), frame.size(), MSG_NOSIGNAL) ==
               static_cast<ssize_t>(frame.size());
    }
    std::optional<std::vector<std::byte>> hear(Clock::time_point deadline) {
        while (!stop_ && Clock::now() < deadline) {
            if (const auto payload = reader_.next())
                return std::vector<std::byte>(payload->begin(), payload->end());
            if (reader_.broken()) return std::nullopt;
            pollfd ready{.fd = fd_, .events = POLLIN, .revents = 0};
            (void)::poll(&ready, 1, static_cast<int>(kSlice.count()));
            std::array<std::byte, 512> in;
            const ssize_t n = ::recv(fd_, in.data(), in.size(), MSG_DONTWAIT);
            if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return std::nullopt;
            if (n > 0) reader_.feed(std::span(in).first(static_cast<std::size_t>(n)));
        }
        return std::nullopt;
    }

  private:
    int fd_;
    net::FrameWriter writer_;
    net::FrameReader reader_;
    const std::atomic<bool>& stop_;
};

/// Instead of a record: why there is no queue pair.
constexpr std::byte kRefusal{'!'};
constexpr std::size_t kMostWords = 400;

std::vector<std::byte> refusal(const std::string& why) {
    std::vector<std::byte> out{kRefusal};
    const auto text = std::as_bytes(std::span(why)).first(std::min(why.size(), kMostWords));
    out.insert(out.end(), text.begin(), text.end());
    return out;
}

std::optional<std::string> why_refused(std::span<const std::byte> shown) {
    if (shown.empty() || shown[0] != kRefusal || shown.size() > kMostWords + 1) return std::nullopt;
    std::string why;
    for (const std::byte b : shown.subspan(1)) {
        const char c = static_cast<char>(b);
        why += c >= ' ' && c <= '~' ? c : '?';
    }
    return why;
}

constexpr std::uint64_t tag_of(const Link::Place& place) {
    return std::uint64_t{place.lane} << 32 | place.epoch;
}

}  // namespace

void Workers::put(std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    if (stop_) return;
    queue_.push_back(std::move(work));
    if (queue_.size() > idle_ && threads_.size() < kMostThreads)
        threads_.emplace_back([this] { run(); });
    else
        more_.notify_one();
}

void Workers::stop() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
        queue_.clear();
        more_.notify_all();
    }
    for (std::thread& t : threads_) t.join();
    threads_.clear();
}

void Workers::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        ++idle_;
        more_.wait(lock, [&] { return stop_ || !queue_.empty(); });
        --idle_;
        if (stop_) return;
        const std::function<void()> work = std::move(queue_.front());
        queue_.pop_front();
        lock.unlock();
        work();
        lock.lock();
    }
}

Introducer::Introducer(World world) : world_(std::move(world)) {
    world_.control.on_connection(Purpose::kVerbs, [this](Connection c) { accept(c); });
}

Introducer::~Introducer() {
    world_.control.on_connection(Purpose::kVerbs, {});
    stopping_ = true;
    calls_.stop();
    answers_.stop();
    for (const Connection& c : early_) const net::Fd closed(c.fd);
}

bool Introducer::dial(std::uint32_t peer, std::uint32_t lane, std::uint32_t seen,
                      Clock::time_point deadline) {
    Link::Place place{.peer = peer, .lane = lane, .epoch = 0};
    {
        const std::lock_guard lock(mutex_);
        Attempt& attempt = attempts_[{peer, lane}];
        if (attempt.dialling || attempt.accepting || attempt.made > seen) return false;
        attempt.dialling = true;
        attempt.committed = false;
        attempt.made_before = attempt.made;
        place.epoch = ++attempt.epoch;
    }
    calls_.put([this, place, deadline] { call(place, deadline); });
    return true;
}

void Introducer::call(const Link::Place& place, Clock::time_point deadline) {
    const std::vector<Lane> lanes = world_.lanes(place.peer);
    const Lane& lane = lanes[place.lane];
    auto connection = world_.control.dial(place.peer, Purpose::kVerbs, tag_of(place),
                                          lane.local_port, lane.remote_port, deadline);
    if (connection) {
        introduce(place, connection.value(), true);
        return;
    }
    {
        const std::lock_guard lock(mutex_);
        attempts_[{place.peer, place.lane}].dialling = false;
    }
    world_.done({.place = place, .link = nullptr, .dialled = true, .why = connection.error().what});
}

void Introducer::start() {
    std::vector<Connection> early;
    {
        const std::lock_guard lock(mutex_);
        started_ = true;
        early.swap(early_);
    }
    for (const Connection& c : early) answer(c);
}

void Introducer::accept(const Connection& connection) {
    {
        const std::lock_guard lock(mutex_);
        if (!started_) {
            early_.push_back(connection);
            return;
        }
    }
    answer(connection);
}

void Introducer::answer(const Connection& connection) {
    net::Fd fd(connection.fd);
    const Link::Place place{.peer = connection.peer,
                            .lane = static_cast<std::uint32_t>(connection.tag >> 32),
                            .epoch = static_cast<std::uint32_t>(connection.tag)};
    const std::uint32_t rank = world_.control.rank();
    if (place.peer >= world_.control.ranks() || place.peer == rank ||
        place.lane >= world_.lanes(place.peer).size())
        return;
    {
        const std::lock_guard lock(mutex_);
        Attempt& attempt = attempts_[{place.peer, place.lane}];
        const bool crossing = attempt.dialling && !attempt.committed && rank > place.peer;
        if (attempt.accepting || (attempt.dialling && !crossing)) return;
        if (place.epoch <= attempt.made) return;
        attempt.epoch = std::max(attempt.epoch, place.epoch);
        attempt.made = place.epoch;
        attempt.accepting = true;
    }
    // Held by the work itself: closed, whether or not it is ever done.
    auto held = std::make_shared<net::Fd>(fd.release());
    answers_.put([this, place, connection, held] {
        Connection taken = connection;
        taken.fd = held->release();
        introduce(place, taken, false);
    });
}

Outcome<std::unique_ptr<Link>> Introducer::make(const Link::Place& place) {
    const std::vector<Lane> lanes = world_.lanes(place.peer);
    const Lane& lane = lanes[place.lane];
    Device* device = world_.devices[static_cast<std::size_t>(lane.local_port)];
    WEFT_CHECK(device != nullptr, "port {} has no RDMA device", lane.local_port);
    return Link::make(
        *device, next_id_++, place,
        flow_label(static_cast<std::uint32_t>(lane.rail), static_cast<std::uint32_t>(lane.plane),
                   lane.path, world_.control.rank() < place.peer));
}

void Introducer::introduce(const Link::Place& place, const Connection& connection, bool caller) {
    const net::Fd fd(connection.fd);
    Result result{.place = place, .link = nullptr, .dialled = caller, .why = {}};
    result.why = exchange(place, connection, caller, result.link);
    {
        const std::lock_guard lock(mutex_);
        Attempt& attempt = attempts_[{place.peer, place.lane}];
        (caller ? attempt.dialling : attempt.accepting) = false;
        if (result.link) attempt.made = std::max(attempt.made, place.epoch);
    }
    world_.done(std::move(result));
}

/// A call that has been answered goes on, unless one of the peer's has been taken since it began.
bool Introducer::commit(const Link::Place& place) {
    const std::lock_guard lock(mutex_);
    Attempt& attempt = attempts_[{place.peer, place.lane}];
    attempt.committed = !attempt.accepting && attempt.made == attempt.made_before;
    return attempt.committed;
}

/// The called side shows its record first, so that a call that is refused costs no queue pair.
std::string Introducer::exchange(const Link::Place& place, const Connection& connection,
                                 bool caller, std::unique_ptr<Link>& link) {
    const auto deadline = Clock::now() + kExchange;
    Talk talk(connection, caller, stopping_);
    std::optional<std::vector<std::byte>> shown;
    if (caller) {
        shown = talk.hear(deadline);
        if (!shown) return "the peer shows no queue pair";
        if (const auto why = why_refused(*shown)) return "the peer says: " + *why;
        if (!commit(place)) return "the peer has called meanwhile";
    }
    auto made = make(place);
    if (!made) {
        (void)talk.say(refusal(made.error().what));
        return made.error().what;
    }
    link = std::move(made.value());
    if (!talk.say(encode_record(link->mine()))) return "the connection is closed";
    if (!caller) shown = talk.hear(deadline);
    if (!shown) return "the peer shows no queue pair";
    if (const auto why = why_refused(*shown)) return "the peer says: " + *why;
    const auto theirs = parse_record(*shown);
    if (!theirs || theirs->lane != place.lane || theirs->epoch != place.epoch)
        return "the peer shows a queue pair that is none";
    if (const Status s = link->connect(*theirs); !s) return s.error().what;
    const std::array ready{std::byte{1}};
    if (!talk.say(ready) || !talk.hear(deadline)) return "the peer's queue pair is not ready";
    return {};
}

}  // namespace weft::live::verbs
