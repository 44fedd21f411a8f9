#include "collectives/transport/net/bulletin.hpp"

#include <algorithm>

namespace weft::live::net {

namespace {

constexpr std::chrono::seconds kMemory{60};
constexpr std::size_t kManyRounds = 1024;

bool is_end(const Alarm& a) {
    return ends_rank(a.kind);
}

double seconds_between(Clock::time_point then, Clock::time_point now) {
    return std::chrono::duration<double>(now - then).count();
}

bool same_matter(const Alarm& a, const Alarm& b) {
    return a.rank == b.rank && is_end(a) == is_end(b) && (is_end(a) || a.context == b.context);
}

}  // namespace

bool Bulletin::record(const Alarm& alarm) {
    const std::lock_guard lock(mutex_);
    if (is_end(alarm) && left_.count(alarm.rank) > 0) return false;
    for (const Alarm& a : alarms_)
        if (same_matter(a, alarm)) return false;
    if (is_end(alarm)) lost_.emplace(alarm.rank, Clock::now());
    alarms_.push_back(alarm);
    if (alarms_.back().what.size() > kMaxText) alarms_.back().what.resize(kMaxText);
    count_.fetch_add(1, std::memory_order_release);
    return true;
}

std::optional<Alarm> Bulletin::alarm(ContextId context,
                                     std::span<const std::uint32_t> members) const {
    if (count() == 0) return std::nullopt;
    const std::lock_guard lock(mutex_);
    for (const Alarm& a : alarms_)
        if ((is_end(a) || a.context == context) &&
            std::find(members.begin(), members.end(), a.rank) != members.end())
            return a;
    return std::nullopt;
}

std::vector<Alarm> Bulletin::all() const {
    const std::lock_guard lock(mutex_);
    return alarms_;
}

bool Bulletin::record(std::uint32_t rank, const Farewell& farewell) {
    const std::lock_guard lock(mutex_);
    return left_.emplace(rank, Left{farewell, Clock::now()}).second;
}

std::map<std::uint32_t, Farewell> Bulletin::farewells() const {
    const std::lock_guard lock(mutex_);
    std::map<std::uint32_t, Farewell> out;
    for (const auto& [rank, left] : left_) out.emplace(rank, left.farewell);
    return out;
}

bool Bulletin::gone(std::uint32_t rank) const {
    const std::lock_guard lock(mutex_);
    return lost_.count(rank) > 0 || left_.count(rank) > 0;
}

std::optional<Absent> Bulletin::ended(const Inquiry& inquiry, std::uint32_t rank,
                                      Clock::time_point now) const {
    if (const auto lost = lost_.find(rank); lost != lost_.end())
        return Absent{
            .rank = rank, .why = Absent::Why::kDead, .seconds = seconds_between(lost->second, now)};
    const auto left = left_.find(rank);
    if (left == left_.end()) return std::nullopt;
    for (const auto& [context, newest] : left->second.farewell.begun)
        if (context == inquiry.head.context && newest >= inquiry.head.operation)
            return std::nullopt;
    return Absent{
        .rank = rank, .why = Absent::Why::kLeft, .seconds = seconds_between(left->second.at, now)};
}

bool Bulletin::ask(const Inquiry& inquiry, Clock::time_point now, Clock::duration pause) {
    const Key key{inquiry.head.context, inquiry.head.operation, hash_of(inquiry.members)};
    const std::lock_guard lock(mutex_);
    forget_old(now);
    Round& round = rounds_[key];
    if (now - round.newest < pause) return false;
    round.before = round.newest;
    round.newest = now;
    return true;
}

bool Bulletin::due(const Inquiry& inquiry, Clock::time_point now, Clock::duration pause) const {
    const Key key{inquiry.head.context, inquiry.head.operation, hash_of(inquiry.members)};
    const std::lock_guard lock(mutex_);
    const auto round = rounds_.find(key);
    return round == rounds_.end() || now - round->second.newest >= pause;
}

void Bulletin::answer(std::uint32_t origin, const Answer& answer, Clock::time_point now) {
    const About about{answer.context, answer.operation, answer.rank};
    const std::lock_guard lock(mutex_);
    (origin == answer.rank ? self_ : silent_)[about] = {answer, now};
}

std::optional<Absent> Bulletin::absent(const Inquiry& inquiry, std::uint32_t rank,
                                       Clock::time_point now) const {
    const Key key{inquiry.head.context, inquiry.head.operation, hash_of(inquiry.members)};
    const About about{inquiry.head.context, inquiry.head.operation, rank};
    const std::lock_guard lock(mutex_);
    if (auto end = ended(inquiry, rank, now)) return end;
    if (left_.count(rank) > 0) return std::nullopt;
    const auto round = rounds_.find(key);
    if (round == rounds_.end()) return std::nullopt;
    const auto holds = [&](const Heard& h) {
        const bool early = now - round->second.newest < answering_;
        return h.at >= (early ? round->second.before : round->second.newest);
    };
    for (const auto* answers : {&self_, &silent_}) {
        const auto found = answers->find(about);
        if (found == answers->end() || !holds(found->second)) continue;
        const Answer& a = found->second.answer;
        if (a.present) return std::nullopt;
        return Absent{.rank = rank,
                      .why = a.why,
                      .head = a.head,
                      .seconds = static_cast<double>(a.milliseconds) * 1e-3 +
                                 seconds_between(found->second.at, now),
                      .where = a.where};
    }
    return std::nullopt;
}

void Bulletin::forget_old(Clock::time_point now) {
    if (rounds_.size() < kManyRounds) return;
    std::erase_if(rounds_, [&](const auto& r) { return now - r.second.newest > kMemory; });
    for (auto* answers : {&self_, &silent_})
        std::erase_if(*answers, [&](const auto& a) { return now - a.second.at > kMemory; });
}

}  // namespace weft::live::net
