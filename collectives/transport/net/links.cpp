#include "collectives/transport/net/links.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace weft::live::net {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kGone{100};        // refused for so long: nobody is there
constexpr milliseconds kRetry{20};        // while that is being found out
constexpr milliseconds kPatience{1'000};  // of one call, and between calls that can wait
constexpr std::size_t kMaxLinks = 6;      // to one neighbour: both may have called on two planes
constexpr std::size_t kMaxQueue = 4 << 20;
constexpr std::size_t kMaxPlanes = 2;

}  // namespace

Links::Links(Switchboard& board, milliseconds silence, Calls calls)
    : board_(board),
      loop_(board.loop()),
      silence_(silence),
      // Many ranks are many links, and often share their cores.
      interval_(board.ranks() <= 32 ? std::min(milliseconds(100), silence / 4) : silence / 4),
      calls_(std::move(calls)),
      heard_(board.ranks()) {}

Links::~Links() {
    for (auto& [peer, n] : neighbours_) {
        loop_.cancel(n.timer);
        for (Way& way : n.ways) loop_.cancel(way.timer);
        for (auto& [number, link] : n.links) loop_.forget(link.process_watch);
    }
    loop_.cancel(mend_timer_);
    loop_.cancel(beat_timer_);
}

std::set<std::uint32_t> Links::wanted() const {
    const std::uint32_t n = board_.ranks();
    const std::uint32_t me = board_.rank();
    std::set<std::uint32_t> out;
    // The next living rank from `at` on, upwards or downwards.
    const auto living = [&](std::uint32_t at, std::uint32_t step) {
        while (at != me && gone_.count(at) > 0) at = (at + step) % n;
        return at;
    };
    for (std::uint64_t jump = 1; jump < n; jump *= 2) {
        const auto j = static_cast<std::uint32_t>(jump);
        out.insert(living((me + j) % n, 1));
        out.insert(living((me + n - j) % n, n - 1));
    }
    out.erase(me);
    return out;
}

std::vector<Links::Way> Links::ways_to(std::uint32_t peer) const {
    std::vector<Way> out;
    if (board_.same_host(peer)) {
        out.emplace_back();
        return out;
    }
    const auto& mine = board_.card(board_.rank()).ports;
    const auto& theirs = board_.card(peer).ports;
    std::set<std::int32_t> planes;
    for (std::size_t i = 0; i < mine.size() && planes.size() < kMaxPlanes; ++i) {
        if (planes.count(mine[i].plane) > 0) continue;
        const auto fits = [&](const Port& p) { return p.plane == mine[i].plane; };
        const auto best = [&](const Port& p) { return fits(p) && p.rail == mine[i].rail; };
        auto found = std::find_if(theirs.begin(), theirs.end(), best);
        if (found == theirs.end()) found = std::find_if(theirs.begin(), theirs.end(), fits);
        if (found == theirs.end()) continue;
        planes.insert(mine[i].plane);
        out.emplace_back();
        out.back().plane = mine[i].plane;
        out.back().local_port = static_cast<int>(i);
        out.back().remote_port = static_cast<int>(found - theirs.begin());
    }
    if (out.empty() && !mine.empty() && !theirs.empty()) {
        out.emplace_back();
        out.back().local_port = out.back().remote_port = 0;
    }
    return out;
}

Links::Neighbour& Links::neighbour(std::uint32_t peer) {
    Neighbour& n = neighbours_[peer];
    if (n.ways.empty() && started_) n.ways = ways_to(peer);
    return n;
}

void Links::start(std::function<void()> settled) {
    started_ = true;
    settled_ = std::move(settled);
    const std::set<std::uint32_t> all = wanted();
    for (auto& [peer, n] : neighbours_)  // those that called before
        for (auto& [number, link] : n.links) {
            for (Way& w : neighbour(peer).ways) w.worked = w.worked || w.plane == link.plane;
            watch_process(peer, link);
        }
    for (const std::uint32_t peer : all)
        if (neighbour(peer).links.empty()) unsettled_.insert(peer);
    for (const std::uint32_t peer : all) {
        Neighbour& n = neighbour(peer);
        if (board_.rank() < peer) {
            call_all(peer);
        } else {
            n.timer = loop_.after(kPatience, [this, peer] {
                neighbour(peer).timer = 0;
                if (neighbour(peer).links.empty()) call_all(peer);
            });
        }
    }
    last_beat_ = Clock::now();
    beat();
    settle();
}

void Links::settle() {
    if (!unsettled_.empty() || !settled_) return;
    const auto settled = std::move(settled_);
    settled_ = nullptr;
    settled();
}

void Links::call_all(std::uint32_t peer) {
    if (gone_.count(peer) > 0) return;
    for (std::size_t w = 0; w < neighbour(peer).ways.size(); ++w) call(peer, w);
}

void Links::call_later(std::uint32_t peer, std::size_t way, milliseconds wait) {
    Way& w = neighbour(peer).ways[way];
    if (w.timer != 0) return;
    w.timer = loop_.after(wait, [this, peer, way] {
        neighbour(peer).ways[way].timer = 0;
        if (gone_.count(peer) == 0) call(peer, way);
    });
}

void Links::call(std::uint32_t peer, std::size_t way) {
    Way& w = neighbour(peer).ways[way];
    if (w.caller) return;
    const auto options = board_.route(peer, Purpose::kControl, static_cast<std::uint32_t>(w.plane),
                                      w.local_port, w.remote_port, Clock::now() + kPatience);
    if (!options) {  // an address that makes no sense: never worked, will never
        unsettled_.erase(peer);
        return;
    }
    w.caller = std::make_unique<Caller>(
        loop_, options.value(), [this, peer, way](const Called& c) { called(peer, way, c); });
}

void Links::called(std::uint32_t peer, std::size_t way, const Called& called) {
    Neighbour& n = neighbour(peer);
    Way& w = n.ways[way];
    // The caller is calling us: it goes when it has returned.
    loop_.post([caller = std::shared_ptr<Caller>(std::move(w.caller))] {});
    unsettled_.erase(peer);
    if (called.end == Called::End::kOpen) {
        w.worked = true;
        w.refused = false;
        add(peer, called.connection, Side::kCaller);
    } else if (called.end == Called::End::kTimeout) {
        call_later(peer, way, kPatience);
    } else {
        refused(peer, way);
    }
    settle();
}

// Nobody listens on a way. A rank closes its ways all at once, when it ends: one that has worked
// tells of its death, unless it is being heard on another. That may have to be waited for: what a
// dead plane carried, the end of a connection too, never comes.
void Links::refused(std::uint32_t peer, std::size_t way) {
    Neighbour& n = neighbour(peer);
    n.ways[way].refused = true;
    if (gone_.count(peer) > 0) return;
    // A way that has never worked may lead to another host with the same address.
    const auto worked = [](const Way& w) { return w.worked; };
    const bool proof =
        std::any_of(n.ways.begin(), n.ways.end(), worked)
            ? n.ways[way].worked
            : std::all_of(n.ways.begin(), n.ways.end(), [](const Way& w) { return w.refused; });
    if (!proof || (!n.links.empty() && !silent(peer))) {
        n.refused_since.reset();
        return call_later(peer, way, kPatience);
    }
    const auto now = Clock::now();
    if (!n.refused_since) n.refused_since = now;
    if (now - *n.refused_since >= kGone)
        return declare_dead(peer, n.why.empty() ? "nobody listens where it did" : n.why);
    call_later(peer, way, kRetry);
}

void Links::adopt(const Connection& connection) {
    const std::uint32_t peer = connection.peer;
    const bool welcome =
        peer != board_.rank() && gone_.count(peer) == 0 && neighbour(peer).links.size() < kMaxLinks;
    if (!welcome) return turn_away(connection, Side::kCallee);
    Neighbour& n = neighbour(peer);
    if (connection.tag < n.ways.size()) n.ways[connection.tag].worked = true;
    add(peer, connection, Side::kCallee);
    unsettled_.erase(peer);
    settle();
}

void Links::add(std::uint32_t peer, const Connection& connection, Side side) {
    if (gone_.count(peer) > 0) return turn_away(connection, side);
    Neighbour& n = neighbour(peer);
    n.refused_since.reset();
    const std::uint64_t number = next_link_++;
    Link& link = n.links[number];
    link.plane = static_cast<std::int32_t>(static_cast<std::uint32_t>(connection.tag));
    link.channel = std::make_unique<Channel>(
        loop_, connection, side, kMaxQueue,
        Channel::Calls{[this, peer](ByteSpan payload) { heard(peer, payload); },
                       [this, peer, number](const std::string& why) { lost(peer, number, why); }});
    heard_[peer].store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
    watch_process(peer, link);
    for (const auto& block : calls_.known()) {
        Writer w;
        w.block(block);
        link.channel->send(w.bytes());
    }
    link.channel->send({});
    link.channel->flush();
}

// Who was taken for dead, or counted out, and comes back finds out why nobody speaks to it.
void Links::turn_away(const Connection& connection, Side side) {
    Channel channel(loop_, connection, side, kMaxQueue,
                    {[](ByteSpan) {}, [](const std::string&) {}});
    for (const auto& block : calls_.known()) {
        Writer w;
        w.block(block);
        channel.send(w.bytes());
    }
    channel.flush();
}

// A dead process whose children hold its sockets closes nothing; its end itself can be seen.
void Links::watch_process(std::uint32_t peer, Link& link) {
    if (!started_ || !board_.same_host(peer)) return;
    const std::int32_t process = process_of(link.channel->fd());
    if (process <= 0 || process == ::getpid()) return;
    link.process = Fd(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
    if (!link.process) return;
    link.process_watch = loop_.watch(link.process.get(), EPOLLIN, [this, peer](std::uint32_t) {
        Neighbour& n = neighbour(peer);
        for (auto& [number, l] : n.links) loop_.forget(std::exchange(l.process_watch, 0));
        // Its farewell may be under way still.
        if (n.timer != 0) loop_.cancel(n.timer);
        n.timer = loop_.after(kGone, [this, peer] {
            neighbour(peer).timer = 0;
            declare_dead(peer, "its process has ended");
        });
    });
}

void Links::lost(std::uint32_t peer, std::uint64_t link, const std::string& why) {
    Neighbour& n = neighbour(peer);
    const auto at = n.links.find(link);
    loop_.forget(at->second.process_watch);
    const std::int32_t plane = at->second.plane;
    n.links.erase(at);
    if (gone_.count(peer) > 0 || !started_) return;
    n.why = why;
    if (n.links.empty()) {
        for (Way& w : n.ways) w.refused = false;
        n.refused_since.reset();
        return call_all(peer);
    }
    const bool covered = std::any_of(n.links.begin(), n.links.end(),
                                     [&](const auto& l) { return l.second.plane == plane; });
    for (std::size_t w = 0; w < n.ways.size(); ++w)
        if (!covered && n.ways[w].plane == plane)
            call_later(peer, w, board_.rank() < peer ? kPatience / 4 : kPatience);
}

void Links::declare_dead(std::uint32_t peer, const std::string& why) {
    if (gone_.count(peer) == 0) calls_.dead(peer, why);
}

void Links::gone(std::uint32_t peer) {
    if (!gone_.insert(peer).second) return;
    unsettled_.erase(peer);
    settle();
    const auto found = neighbours_.find(peer);
    if (found == neighbours_.end()) return;
    Neighbour& n = found->second;
    loop_.cancel(std::exchange(n.timer, 0));
    for (Way& w : n.ways) {
        loop_.cancel(std::exchange(w.timer, 0));
        loop_.post([caller = std::shared_ptr<Caller>(std::move(w.caller))] {});
    }
    heard_[peer].store(0, std::memory_order_relaxed);
    // Those that left may pass on news until they close; the dead close by themselves.
    if (mend_timer_ == 0 && started_)
        mend_timer_ = loop_.after(milliseconds(200), [this] { mend(); });
}

// The overlay without those that are gone. Later than at once: at the end of a job all leave.
void Links::mend() {
    mend_timer_ = 0;
    for (const std::uint32_t peer : wanted()) {
        Neighbour& n = neighbour(peer);
        if (n.links.empty() && n.timer == 0) call_all(peer);
    }
}

void Links::heard(std::uint32_t peer, ByteSpan payload) {
    if (gone_.count(peer) == 0)
        heard_[peer].store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
    Reader r(payload);
    while (r.ok() && r.left() > 0) {
        const ByteSpan block = r.block();
        if (r.ok()) calls_.heard(peer, block);
    }
}

void Links::spread(std::vector<std::byte> block, std::uint32_t except) {
    news_.emplace_back(std::move(block), except);
}

void Links::flush() {
    if (news_.empty()) return;
    const auto news = std::move(news_);
    news_.clear();
    for (auto& [peer, n] : neighbours_) {
        if (n.links.empty()) continue;
        const auto send = [&links = n.links](Writer& batch) {
            for (auto& [number, link] : links) link.channel->send(batch.bytes());
            batch = Writer();
        };
        Writer batch;
        for (const auto& [block, except] : news) {
            if (except == peer) continue;
            if (batch.size() > 0 && batch.size() + block.size() + 4 > kMaxPayload) send(batch);
            if (block.size() + 4 <= kMaxPayload) batch.block(block);
        }
        if (batch.size() > 0) send(batch);
        for (auto& [number, link] : n.links) link.channel->flush();
    }
}

std::vector<std::uint32_t> Links::neighbours() const {
    std::vector<std::uint32_t> out;
    for (const auto& [peer, n] : neighbours_) out.push_back(peer);
    return out;
}

bool Links::all_sent() const {
    return news_.empty() && std::all_of(neighbours_.begin(), neighbours_.end(), [](const auto& n) {
               return std::all_of(n.second.links.begin(), n.second.links.end(),
                                  [](const auto& l) { return l.second.channel->queued() == 0; });
           });
}

void Links::beat() {
    const auto now = Clock::now();
    // Time in which this rank itself was stopped, or starved, is not the others' silence: what they
    // said meanwhile has not been read yet. The rest counts, or nobody would ever be silent here.
    const auto pause = now - last_beat_ - interval_;
    if (pause > silence_ / 2)
        for (auto& at : heard_) {
            const auto heard = at.load(std::memory_order_relaxed);
            if (heard != 0)
                at.store(std::min(now.time_since_epoch().count(),
                                  heard + Clock::duration(pause).count()),
                         std::memory_order_relaxed);
        }
    last_beat_ = now;
    for (auto& [peer, n] : neighbours_) {
        for (auto& [number, link] : n.links) {
            link.channel->send({});
            link.channel->flush();
        }
    }
    beat_timer_ = loop_.after(interval_, [this] { beat(); });
}

std::optional<Clock::duration> Links::silent(std::uint32_t peer) const {
    const Clock::rep at = heard_[peer].load(std::memory_order_relaxed);
    if (at == 0) return std::nullopt;
    const auto quiet = Clock::now() - Clock::time_point(Clock::duration(at));
    if (quiet <= silence_) return std::nullopt;
    return quiet;
}

}  // namespace weft::live::net
