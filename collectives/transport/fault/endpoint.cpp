#include "collectives/transport/fault/endpoint.hpp"

#include <algorithm>
#include <cstring>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/check.hpp"
#include "base/rng.hpp"

namespace weft::live::fault {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMostHeld = 64;  // of a lane
constexpr std::size_t kAtOnce = 32;
constexpr auto kRetry = 500us;
constexpr std::uint32_t kSecondCopy = 1U << 31;  // of a sequence number
constexpr std::byte kSpoiled{0xee};

Id id_of(std::uint32_t peer, const MessageKey& k) {
    return {peer, k.context, k.operation, k.stream, k.sequence};
}
MessageKey second(MessageKey key) {
    key.sequence |= kSecondCopy;
    return key;
}
MessageKey first(MessageKey key) {
    key.sequence &= ~kSecondCopy;
    return key;
}
bool is_second(const MessageKey& key) {
    return (key.sequence & kSecondCopy) != 0;
}
bool of_message(const Completion& c) {
    return c.kind != Completion::Kind::kLaneDown && c.kind != Completion::Kind::kLaneUp;
}
template <class Key>
bool belongs(const Key& key, ContextId context, std::uint64_t operation) {
    return key.context == context && key.operation == operation;
}

}  // namespace

Draw draw(const FaultPlan& plan, std::uint32_t from, std::uint32_t to, const MessageKey& key) {
    const std::uint64_t pair = std::uint64_t{from} << 32 | to;
    const std::uint64_t place = std::uint64_t{key.stream} << 32 | key.sequence;
    const std::uint64_t message = mix64(mix64(key.operation, key.context), place);
    RandomStream random(mix64(plan.seed, pair), message, "fate");
    std::uint64_t at = random.below(1'000'000);
    const auto longest = static_cast<std::uint64_t>(plan.longest.count());
    const std::chrono::microseconds wait(random.below(longest + 1));
    const std::pair<std::uint32_t, Fate> rows[] = {
        {plan.delay, Fate::kDelay},         {plan.reorder, Fate::kReorder},
        {plan.sent_late, Fate::kSentLate},  {plan.received_late, Fate::kReceivedLate},
        {plan.duplicate, Fate::kDuplicate}, {plan.late, Fate::kLate},
        {plan.healed, Fate::kHealed},       {plan.drop, Fate::kDrop},
        {plan.corrupt, Fate::kCorrupt},     {plan.cut, Fate::kCut},
    };
    for (const auto& [share, fate] : rows) {
        if (at < share) return {fate, wait};
        at -= share;
    }
    return {};
}

FaultEndpoint::FaultEndpoint(std::unique_ptr<Endpoint> inner, const FaultPlan& plan,
                             FaultCounts* counts)
    : inner_(std::move(inner)),
      plan_(plan),
      counts_(counts ? *counts : own_counts_),
      timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)),
      lanes_(inner_->ranks()) {
    WEFT_CHECK(timer_ >= 0, "timerfd: errno {}", errno);
    fds_.assign(inner_->fds().begin(), inner_->fds().end());
    fds_.push_back(timer_);
    for (const LaneFault& f : plan.lanes)
        if (f.rank < 0 || static_cast<std::uint32_t>(f.rank) == rank())
            schedule_.push_back({.fault = f, .begun = false, .until = {}});
}

FaultEndpoint::~FaultEndpoint() {
    inner_.reset();  // before the bytes of the copies that it may still have
    ::close(timer_);
}

Status FaultEndpoint::connect(std::uint32_t peer, Clock::time_point deadline) {
    Status status = inner_->connect(peer, deadline);
    if (status) meet(peer);
    return status;
}

/// A peer that connects first is met here before this rank connects to it.
void FaultEndpoint::meet(std::uint32_t peer) {
    if (!lanes_[peer].empty()) return;
    connected_.push_back(peer);
    lanes_[peer].resize(inner_->lanes(peer).size());
}

// ---- Sending ----

std::optional<Clock::duration> FaultEndpoint::slowness(std::uint32_t lane, std::size_t size,
                                                       Clock::time_point now) {
    for (const Scheduled& s : schedule_) {
        if (s.fault.kind != LaneFault::Kind::kSlow || !s.begun || now >= s.until) continue;
        if (s.fault.lane >= 0 && static_cast<std::uint32_t>(s.fault.lane) != lane) continue;
        ++counts_.slowed;
        const double seconds =
            static_cast<double>(size) / static_cast<double>(s.fault.bytes_per_second);
        return std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
    }
    return std::nullopt;
}

bool FaultEndpoint::post_send(std::uint32_t peer, std::uint32_t index, const MessageKey& key,
                              Segments data) {
    WEFT_CHECK(!is_second(key), "sequence number {} is too high", key.sequence);
    LaneState& lane = lanes_[peer][index];
    if (lane.told_down || lane.down()) return false;
    const Clock::time_point now = Clock::now();
    if (!first_post_) first_post_ = now;
    run_schedule(now);
    const bool known = struck_.count(id_of(peer, key)) > 0;
    const Draw d = known ? Draw{} : draw(plan_, rank(), peer, key);
    const auto slow = slowness(index, total_size(data), now);
    if (lane.queue.size() + lane.alone.size() + lane.swallowed.size() >= kMostHeld) return false;
    const bool straight = lane.queue.empty() && !slow && d.fate != Fate::kDelay;
    if (d.fate == Fate::kReorder) {
        lane.alone.push_back({now + d.wait, key, data});
    } else if (d.fate == Fate::kDrop || d.fate == Fate::kLate || d.fate == Fate::kHealed) {
        lane.swallowed.push_back({now + plan_.detect, key, data});
    } else if (straight) {
        if (d.fate == Fate::kCorrupt && inner_->corrupt_lane(peer, index)) ++counts_.corrupted;
        if (!inner_->post_send(peer, index, key, data)) return false;
    } else {
        const Clock::time_point start = std::max(now, lane.free);
        lane.free = start + slow.value_or(0ns);
        const auto wait = d.fate == Fate::kDelay ? d.wait : 0us;
        lane.queue.push_back({std::max(lane.free, now + wait), key, data});
    }
    ++posted_;
    if (d.fate == Fate::kNone) return true;
    ++counts_.struck;
    struck_.insert(id_of(peer, key));
    // The late copy comes as likely before the loss is noticed as after it.
    if (d.fate == Fate::kLate) make_ghost(peer, key, data, now + plan_.detect / 2 + d.wait);
    if (d.fate == Fate::kHealed)
        make_ghost(peer, key, data, now + plan_.detect + plan_.heal + d.wait);
    if (d.fate == Fate::kDuplicate) make_ghost(peer, key, data, now + d.wait);
    if (d.fate == Fate::kCut) cut(peer, index, now + plan_.heal);
    return true;
}

void FaultEndpoint::make_ghost(std::uint32_t peer, const MessageKey& key, Segments data,
                               Clock::time_point due) {
    Ghost& g = ghosts_.emplace_back();
    g.peer = peer;
    g.key = second(key);
    g.due = due;
    g.bytes.reserve(total_size(data));
    for (const Segment& s : data) g.bytes.insert(g.bytes.end(), s.data, s.data + s.size);
    g.region = inner_->register_region(g.bytes);
    g.segment = {.region = g.region, .data = g.bytes.data(), .size = g.bytes.size()};
}

void FaultEndpoint::cut(std::uint32_t peer, std::uint32_t index, Clock::time_point until) {
    LaneState& lane = lanes_[peer][index];
    if (!lane.mend && !inner_->cut_lane(peer, index)) return;
    if (!lane.mend) ++counts_.cuts;
    lane.mend = std::max(lane.mend.value_or(until), until);
}

// ---- What is due ----

void FaultEndpoint::run_schedule(Clock::time_point now) {
    if (!first_post_) return;
    for (Scheduled& s : schedule_) {
        if (s.begun || posted_ < s.fault.after || now < *first_post_ + s.fault.at) continue;
        s.begun = true;
        s.until = now + s.fault.lasts;
        if (s.fault.kind != LaneFault::Kind::kCut) continue;
        for (const std::uint32_t peer : connected_)
            for (std::uint32_t l = 0; l < lanes_[peer].size(); ++l)
                if (s.fault.lane < 0 || static_cast<std::uint32_t>(s.fault.lane) == l)
                    cut(peer, l, s.until);
    }
}

void FaultEndpoint::progress(Clock::time_point now) {
    retry_.reset();
    run_schedule(now);
    for (const std::uint32_t peer : connected_)
        for (std::uint32_t l = 0; l < lanes_[peer].size(); ++l) run_lane(peer, l, now);
    run_ghosts(now);
    for (std::size_t i = 0; i < later_.size();) {
        if (later_[i].due > now) {
            ++i;
            continue;
        }
        ready_.push_back(later_[i].completion);
        later_.erase(later_.begin() + static_cast<std::ptrdiff_t>(i));
    }
}

void FaultEndpoint::run_lane(std::uint32_t peer, std::uint32_t index, Clock::time_point now) {
    LaneState& lane = lanes_[peer][index];
    if (lane.mend && *lane.mend <= now) {
        lane.mend.reset();
        inner_->mend_lane(peer, index);
    }
    if (lane.down_until && *lane.down_until <= now) lane.down_until.reset();
    for (const Held& m : lane.swallowed)
        if (m.due <= now) lane.down_until = now + plan_.heal;
    tell(peer, index);
    while (!lane.queue.empty() && lane.queue.front().due <= now) {
        const Held& m = lane.queue.front();
        if (!inner_->post_send(peer, index, m.key, m.data)) {
            retry_ = now + kRetry;
            break;
        }
        lane.queue.pop_front();
    }
    std::erase_if(lane.alone, [&](const Held& m) {
        if (m.due > now) return false;
        const bool gone = inner_->post_send(peer, index, m.key, m.data);
        if (!gone) retry_ = now + kRetry;
        return gone;
    });
}

/// What the caller is to know of a lane; with it everything held for it comes back.
void FaultEndpoint::tell(std::uint32_t peer, std::uint32_t index) {
    LaneState& lane = lanes_[peer][index];
    if (lane.down() == lane.told_down) return;
    lane.told_down = lane.down();
    const auto kind = lane.told_down ? Completion::Kind::kLaneDown : Completion::Kind::kLaneUp;
    ready_.push_back({.kind = kind, .peer = peer, .lane = index});
    if (!lane.told_down) return;
    lane.free = {};
    std::vector<Held> queued(lane.queue.begin(), lane.queue.end());
    lane.queue.clear();
    give_back(peer, index, queued);
    give_back(peer, index, lane.alone);
    give_back(peer, index, lane.swallowed);
}

void FaultEndpoint::give_back(std::uint32_t peer, std::uint32_t index, std::vector<Held>& from) {
    for (const Held& m : from)
        ready_.push_back(
            {.kind = Completion::Kind::kSendLost, .peer = peer, .lane = index, .key = m.key});
    counts_.lost += from.size();
    from.clear();
}

void FaultEndpoint::run_ghosts(Clock::time_point now) {
    for (Ghost& g : ghosts_) {
        if (g.posted || g.due > now) continue;
        const auto& lanes = lanes_[g.peer];
        // Not by the lane that it would have come by, if there is a choice.
        for (std::uint32_t i = 0; i < lanes.size() && !g.posted; ++i) {
            const auto l = static_cast<std::uint32_t>((g.key.sequence + 1 + i) % lanes.size());
            g.posted = inner_->post_send(g.peer, l, g.key, {&g.segment, 1});
        }
        if (!g.posted) retry_ = now + kRetry;
        counts_.second_copies += g.posted ? 1 : 0;
    }
}

// ---- Receiving ----

bool FaultEndpoint::comes_twice(std::uint32_t peer, const MessageKey& key) const {
    const Fate fate = draw(plan_, peer, rank(), key).fate;
    return fate == Fate::kDuplicate || fate == Fate::kLate || fate == Fate::kHealed;
}

void FaultEndpoint::post_recv(std::uint32_t peer, const MessageKey& key, Segments to) {
    if (!comes_twice(peer, key)) return inner_->post_recv(peer, key, to);
    twins_[id_of(peer, key)].to = to;
    inner_->post_view(peer, key, total_size(to));
    inner_->post_view(peer, second(key), total_size(to));
}

void FaultEndpoint::post_view(std::uint32_t peer, const MessageKey& key, std::size_t size) {
    views_.insert(id_of(peer, key));
    inner_->post_view(peer, key, size);
    if (!comes_twice(peer, key)) return;
    twins_[id_of(peer, key)] = {};
    inner_->post_view(peer, second(key), size);
}

void FaultEndpoint::release(const Completion& received) {
    views_.erase(id_of(received.peer, received.key));
    const auto twin = twins_.find(id_of(received.peer, received.key));
    if (twin == twins_.end()) return inner_->release(received);
    WEFT_CHECK(twin->second.shown, "a view that is not shown is released");
    inner_->release(*twin->second.shown);
    // Only now: with this the sender may change what the caller was looking at.
    if (twin->second.second) inner_->release(*twin->second.second);
    twin->second.shown.reset();
    twin->second.second.reset();
}

void FaultEndpoint::on_twin(const Completion& c) {
    Twin& twin = twins_.at(id_of(c.peer, first(c.key)));
    if (++twin.arrived == 2) {
        ++(is_second(c.key) ? counts_.second_unread : counts_.second_was_used);
        if (twin.shown)
            twin.second = c;
        else
            inner_->release(c);
        return;
    }
    Completion told = c;
    told.key = first(c.key);
    if (!twin.to) {
        twin.shown = c;
        ready_.push_back(told);
        return;
    }
    SegmentReader source(c.data);
    for (const Segment& s : *twin.to)
        for (std::size_t at = 0; at < s.size;) {
            const std::span<const std::byte> piece = source.next(s.size - at);
            std::memcpy(s.data + at, piece.data(), piece.size());
            at += piece.size();
        }
    inner_->release(c);
    told.data = *twin.to;
    told.ticket = 0;
    ready_.push_back(told);
}

void FaultEndpoint::on_ghost(const Completion& c) {
    const auto ghost = std::find_if(ghosts_.begin(), ghosts_.end(), [&](const Ghost& g) {
        return g.peer == c.peer && g.key == c.key;
    });
    if (ghost == ghosts_.end()) return;
    inner_->deregister_region(ghost->region);
    ghosts_.erase(ghost);
}

void FaultEndpoint::on(const Completion& c, Clock::time_point now) {
    using Kind = Completion::Kind;
    if (!of_message(c)) {
        meet(c.peer);
        lanes_[c.peer][c.lane].inner_down = c.kind == Kind::kLaneDown;
        return tell(c.peer, c.lane);
    }
    if (c.kind == Kind::kReceived) {
        if (twins_.count(id_of(c.peer, first(c.key))) > 0) return on_twin(c);
        const Draw d = draw(plan_, c.peer, rank(), c.key);
        if (d.fate != Fate::kReceivedLate) return ready_.push_back(c);
        ++counts_.struck;
        return later_.push_back({now + d.wait, c});
    }
    if (is_second(c.key)) return on_ghost(c);
    if (c.kind != Kind::kSent) return ready_.push_back(c);
    for (Ghost& g : ghosts_)
        // The contract protects what is posted; what is not yet may be anything by now.
        if (!g.posted && g.peer == c.peer && first(g.key) == c.key)
            std::fill(g.bytes.begin(), g.bytes.end(), kSpoiled);
    const Draw d = draw(plan_, rank(), c.peer, c.key);
    if (d.fate != Fate::kSentLate) return ready_.push_back(c);
    later_.push_back({now + d.wait, c});
}

std::size_t FaultEndpoint::poll(std::span<Completion> out) {
    const Clock::time_point now = Clock::now();
    progress(now);
    std::array<Completion, kAtOnce> some;
    // Until there is no more: what is kept here does not show in what this returns.
    for (std::size_t room = 0; (room = std::min(out.size(), some.size())) > ready_.size();) {
        const std::size_t n = inner_->poll(std::span(some).first(room - ready_.size()));
        for (std::size_t i = 0; i < n; ++i) on(some[i], now);
        if (n == 0) break;
    }
    const std::size_t n = std::min(out.size(), ready_.size());
    for (std::size_t i = 0; i < n; ++i) {
        out[i] = ready_.front();
        ready_.pop_front();
    }
    return n;
}

// ---- The end of operations ----

void FaultEndpoint::drop_ghosts(ContextId context, std::uint64_t operation) {
    std::erase_if(ghosts_, [&](const Ghost& g) {
        if (!belongs(g.key, context, operation)) return false;
        inner_->deregister_region(g.region);
        return true;
    });
}

void FaultEndpoint::end(ContextId context, std::uint64_t operation) {
    const bool copies = std::any_of(ghosts_.begin(), ghosts_.end(), [&](const Ghost& g) {
        return g.posted && belongs(g.key, context, operation);
    });
    const bool awaited = std::any_of(twins_.begin(), twins_.end(), [&](const auto& t) {
        return t.second.arrived < 2 && belongs(t.first, context, operation);
    });
    // The caller has nothing outstanding, but second copies may be under way.
    if (copies || awaited) return cancel(context, operation);
    inner_->end(context, operation);
    const auto over = [&](const auto& x) { return belongs(x, context, operation); };
    std::erase_if(struck_, over);
    std::erase_if(twins_, [&](const auto& t) { return over(t.first); });
    drop_ghosts(context, operation);
}

void FaultEndpoint::cancel(ContextId context, std::uint64_t operation) {
    const auto over = [&](const auto& x) { return belongs(x, context, operation); };
    // Views that the caller has not seen yet; it releases those that it has.
    const auto unseen = [&](const Completion& c) {
        if (!of_message(c) || !over(c.key)) return false;
        if (c.kind == Completion::Kind::kReceived && views_.count(id_of(c.peer, c.key)) > 0)
            release(c);
        return true;
    };
    std::erase_if(ready_, unseen);
    std::erase_if(later_, [&](const Later& l) { return unseen(l.completion); });
    for (auto& lanes : lanes_)
        for (LaneState& lane : lanes) {
            const auto mine = [&](const Held& m) { return over(m.key); };
            std::erase_if(lane.queue, mine);
            std::erase_if(lane.alone, mine);
            std::erase_if(lane.swallowed, mine);
        }
    inner_->cancel(context, operation);
    std::erase_if(struck_, over);
    std::erase_if(views_, over);
    std::erase_if(twins_, [&](const auto& t) { return over(t.first); });
    drop_ghosts(context, operation);
}

// ---- Sleeping ----

Clock::time_point FaultEndpoint::next_due() const {
    Clock::time_point next = retry_.value_or(Clock::time_point::max());
    const auto at = [&](Clock::time_point t) { next = std::min(next, t); };
    for (const std::uint32_t peer : connected_)
        for (const LaneState& lane : lanes_[peer]) {
            if (lane.mend) at(*lane.mend);
            if (lane.down_until) at(*lane.down_until);
            // What is overdue waits for room, until `retry_`.
            if (!lane.queue.empty() && !retry_) at(lane.queue.front().due);
            for (const Held& m : lane.alone)
                if (!retry_) at(m.due);
            for (const Held& m : lane.swallowed) at(m.due);
        }
    for (const Ghost& g : ghosts_)
        if (!g.posted && !retry_) at(g.due);
    for (const Later& l : later_) at(l.due);
    for (const Scheduled& s : schedule_)
        if (!s.begun && first_post_ && posted_ >= s.fault.after) at(*first_post_ + s.fault.at);
    return next;
}

void FaultEndpoint::set_timer(Clock::time_point due) const {
    const auto left = std::max(due - Clock::now(), Clock::duration(1));
    const bool ever = due != Clock::time_point::max();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
    itimerspec when{};
    if (ever)
        when.it_value = {.tv_sec = static_cast<std::time_t>(seconds.count()),
                         .tv_nsec = static_cast<long>((left - seconds) / 1ns)};
    WEFT_CHECK(::timerfd_settime(timer_, 0, &when, nullptr) == 0, "timerfd: errno {}", errno);
}

bool FaultEndpoint::arm() {
    const Clock::time_point due = next_due();
    const bool quiet = inner_->arm() && ready_.empty() && due > Clock::now();
    if (quiet) set_timer(due);
    return quiet;
}

void FaultEndpoint::disarm() {
    inner_->disarm();
    std::uint64_t rung = 0;
    [[maybe_unused]] const auto got = ::read(timer_, &rung, sizeof rung);
}

}  // namespace weft::live::fault
