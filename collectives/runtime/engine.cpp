#include "collectives/runtime/engine.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "collectives/runtime/agreement.hpp"
#include "collectives/runtime/communicator.hpp"
#include "collectives/runtime/executor.hpp"
#include "collectives/runtime/relax.hpp"

namespace weft::live {

namespace {

using namespace std::chrono_literals;

constexpr auto kLongestCheck = 40us;  // of one who finds nothing, before it offers its core
constexpr auto kShortestCheck = 1us;
constexpr auto kFirstInquiry = 50ms;  // of an operation that does not move
constexpr auto kNextInquiry = 200ms;
constexpr auto kLongestYielding = 20ms;  // then it sleeps, and looks at its deadlines
constexpr auto kLongestNap = 100ms;
constexpr auto kAnswerEvery = 5ms;  // while nothing is under way here
constexpr auto kShortNap = 1ms;     // of one who waits for what the leader does not look at

}  // namespace

Pending::~Pending() = default;

Engine::Engine(Control& control, Endpoint& endpoint, EngineOptions options)
    : control_(control), endpoint_(endpoint), options_(options) {
    // With a core for every rank a short spin beats a trip through the kernel; with fewer cores
    // than ranks, whoever spins keeps the core from the one waited for.
    const std::uint32_t here = options_.ranks_here > 0 ? options_.ranks_here : endpoint.ranks();
    const bool enough_cores = here <= std::thread::hardware_concurrency();
    checks_ = enough_cores ? kLongestCheck : kShortestCheck;
    yields_ = enough_cores ? 16 : 200;
    control_.on_alarm([&endpoint] { endpoint.wake(); });
    if (options_.background) background_ = std::thread([this] { work_in_background(); });
}

Engine::~Engine() {
    {
        const std::lock_guard lock(mutex_);
        closing_ = true;
        changed_.notify_all();
        work_.notify_all();
        endpoint_.wake();
    }
    if (background_.joinable()) background_.join();
    control_.on_alarm({});
}

Engine::Lock Engine::enter() {
    callers_.fetch_add(1, std::memory_order_relaxed);
    Lock lock(mutex_);
    callers_.fetch_sub(1, std::memory_order_relaxed);
    return lock;
}

Engine::Team& Engine::team_of(Communicator& communicator) {
    for (const auto& t : teams_)
        if (t->communicator == &communicator) return *t;
    teams_.push_back(std::make_unique<Team>());
    teams_.back()->communicator = &communicator;
    // Alarms that came before its first operation concern it too.
    if (communicator.whole().broken_) communicator.broken_ = communicator.whole().broken_;
    const auto alarm = alarm_of(communicator);
    if (alarm && !communicator.broken_) communicator.broken_ = explain(*alarm, control_.rank());
    return *teams_.back();
}

std::optional<Alarm> Engine::alarm_of(Communicator& communicator) const {
    const auto own = control_.alarm(communicator.context(), communicator.members());
    const Communicator& whole = communicator.whole();
    if (own || &whole == &communicator) return own;
    return control_.alarm(whole.context(), whole.members());
}

Handle Engine::enqueue(Communicator& communicator, const PreparedPlan& plan, const Call& call) {
    WEFT_CHECK(plan.rank() == communicator.rank() && plan.plan().n == communicator.ranks(),
               "a plan of rank {} of {} runs at rank {} of {}", plan.rank(), plan.plan().n,
               communicator.rank(), communicator.ranks());
    Handle handle(new Pending);
    handle->plan_ = &plan;
    handle->call_ = std::make_unique<Call>(call);
    Team& team = team_of(communicator);
    if (communicator.broken_) {
        handle->status_ = *communicator.broken_;
        return handle;
    }
    team.queue.push_back(handle);
    if (team.queue.size() == 1) begin_first(team);
    return handle;
}

Handle Engine::start(Communicator& communicator, const PreparedPlan& plan, const Call& call) {
    const Lock lock = enter();
    Handle handle = enqueue(communicator, plan, call);
    if (!handle->status_ && background_.joinable()) work_.notify_one();
    return handle;
}

Status Engine::run(Communicator& communicator, const PreparedPlan& plan, const Call& call) {
    Lock lock = enter();
    const Handle handle = enqueue(communicator, plan, call);
    wait_for(lock, handle, Clock::time_point::max());
    return *handle->status_;
}

bool Engine::wait(const Handle& handle, Clock::time_point until) {
    Lock lock = enter();
    wait_for(lock, handle, until);
    return handle->status_.has_value();
}

bool Engine::test(const Handle& handle) {
    Lock lock = enter();
    if (!handle->status_ && !led_) {
        round();
        (void)look_after(Clock::now());
    }
    return handle->status_.has_value();
}

Status Engine::status(const Handle& handle) const {
    const std::lock_guard lock(mutex_);
    WEFT_CHECK(handle->status_, "the operation is not finished");
    return *handle->status_;
}

void Engine::wait_for(Lock& lock, const Handle& handle, Clock::time_point until) {
    while (!handle->status_) {
        if (!led_) {
            lead(
                lock, [&] { return handle->status_.has_value(); }, until);
            if (!handle->status_) return;  // too late
            continue;
        }
        // Whoever waits for something is awake anyway: the engine's own thread makes way.
        if (in_background_) endpoint_.wake();
        callers_.fetch_add(1, std::memory_order_relaxed);
        const auto nap = std::min(until, Clock::now() + kLongestNap);
        changed_.wait_until(lock, nap, [&] { return handle->status_ || !led_; });
        callers_.fetch_sub(1, std::memory_order_relaxed);
        if (!handle->status_ && led_ && Clock::now() >= until) return;
    }
}

void Engine::lead(Lock& lock, const std::function<bool()>& enough, Clock::time_point until) {
    led_ = true;
    Idle idle;
    while (!enough()) {
        if (round()) {
            idle = {};
            if (callers_.load(std::memory_order_relaxed) == 0) continue;
            lock.unlock();
            std::this_thread::yield();
            lock.lock();
            continue;
        }
        rest(lock, idle, until);
        if ((idle.yields > 0 || connecting()) && Clock::now() >= until) break;
    }
    led_ = false;
    changed_.notify_all();
    if (background_.joinable() && busy()) work_.notify_one();
}

bool Engine::round() {
    bool moved = collect();
    for (std::size_t i = 0; i < teams_.size(); ++i)
        if (!teams_[i]->queue.empty()) moved = advance(*teams_[i]) || moved;
    if (control_.alarms() != alarms_seen_) moved = heed_alarms() || moved;
    return heed_faults() || moved;
}

bool Engine::collect() {
    std::array<Completion, 32> done;
    const std::size_t n = endpoint_.poll(done);
    for (std::size_t i = 0; i < n; ++i) deliver(done[i]);
    return n > 0;
}

void Engine::deliver(const Completion& c) {
    if (c.kind == Completion::Kind::kLaneDown) return lanes(c.peer).kill(c.lane);
    if (c.kind == Completion::Kind::kLaneUp) return lanes(c.peer).revive(c.lane);
    for (const auto& team : teams_) {
        if (team->communicator->context() != c.key.context || team->queue.empty()) continue;
        Pending& p = *team->queue.front();
        if (!p.executor_ || p.executor_->head().operation != c.key.operation) continue;
        p.moved_ = true;
        return p.executor_->handle(c);
    }
}

void Engine::begin_first(Team& team) {
    Pending& p = *team.queue.front();
    Communicator& c = *team.communicator;
    p.executor_ = std::make_unique<Executor>(c, *p.plan_, *p.call_, ++c.operations_);
    endpoint_.begin(p.executor_->head());
    control_.began(p.executor_->head());
    p.moved_ = true;
}

bool Engine::advance(Team& team) {
    Pending& p = *team.queue.front();
    const bool moved = p.executor_->advance();
    p.moved_ = p.moved_ || moved;
    if (p.executor_->failure()) {
        give_up(team, *p.executor_->failure());
        return true;
    }
    if (!p.executor_->done()) return moved;
    endpoint_.end(team.communicator->context(), p.executor_->head().operation);
    finish(team, Done{});
    return true;
}

void Engine::finish(Team& team, const Status& status) {
    Pending& p = *team.queue.front();
    control_.finished(team.communicator->context(), p.executor_->head().operation);
    p.executor_.reset();
    p.status_ = status;
    team.queue.pop_front();
    if (!team.queue.empty()) begin_first(team);
    changed_.notify_all();
}

void Engine::break_off(Team& team, const LiveError& error) {
    Communicator& whole = team.communicator->whole();
    if (!whole.broken_) whole.broken_ = error;
    for (const auto& t : teams_)
        if (&t->communicator->whole() == &whole) drop_queue(*t);
    changed_.notify_all();
}

void Engine::drop_queue(Team& team) {
    Communicator& c = *team.communicator;
    if (!c.broken_) c.broken_ = c.whole().broken_;
    while (!team.queue.empty()) {
        Pending& p = *team.queue.front();
        if (p.executor_) {
            const std::uint64_t operation = p.executor_->head().operation;
            endpoint_.cancel(c.context(), operation);
            control_.finished(c.context(), operation);
            p.executor_.reset();
        }
        p.status_ = *c.broken_;
        team.queue.pop_front();
    }
}

void Engine::give_up(Team& team, const LiveError& error) {
    control_.raise({.kind = Alarm::Kind::kAborted,
                    .context = team.communicator->whole().context(),
                    .rank = control_.rank(),
                    .peer = 0,
                    .ours = {},
                    .theirs = {},
                    .what = to_string(error)});
    break_off(team, error);
}

bool Engine::heed_alarms() {
    alarms_seen_ = control_.alarms();
    bool any = false;
    for (const auto& team : teams_) {
        if (team->communicator->broken_) continue;
        Communicator& c = *team->communicator;
        const auto alarm = alarm_of(c);
        if (!alarm) continue;
        // What is said of a part alone, others of the whole have not heard.
        const bool of_part = &c.whole() != &c && alarm->context == c.context();
        const LiveError error = explain(*alarm, control_.rank());
        if (of_part)
            give_up(*team, error);
        else
            break_off(*team, error);
        any = true;
    }
    return any;
}

bool Engine::heed_faults() {
    bool any = false;
    while (const auto fault = endpoint_.fault()) {
        for (const auto& team : teams_) {
            if (team->communicator->context() != fault->context || team->queue.empty()) continue;
            const Pending& p = *team->queue.front();
            if (!p.executor_ || p.executor_->head().operation != fault->operation) continue;
            give_up(*team, explain(*fault, control_.rank()));
            any = true;
        }
    }
    return any;
}

void Engine::rest(Lock& lock, Idle& idle, Clock::time_point until) {
    const bool awake = !connecting();  // which takes its time by itself
    if (awake && idle.yields == 0) {
        const Clock::time_point now = Clock::now();
        if (idle.since == Clock::time_point{}) idle.since = now;
        if (now - idle.since < checks_) {
            relax();
            if (callers_.load(std::memory_order_relaxed) == 0) return;
        }
    }
    if (awake && idle.yields < yields_) {
        ++idle.yields;
        lock.unlock();
        std::this_thread::yield();
        lock.lock();
        // Among busy strangers each yield may cost a time slice of theirs.
        if (idle.yields % 8 == 0 && Clock::now() - idle.since > kLongestYielding)
            idle.yields = yields_;
        return;
    }
    ++idle.yields;
    const Clock::time_point next = std::min(look_after(Clock::now()), until);
    if (endpoint_.arm()) {
        lock.unlock();
        wait_readable(endpoint_.fds(), next);
        lock.lock();
    }
    endpoint_.disarm();
}

Clock::time_point Engine::look_after(Clock::time_point now) {
    Clock::time_point next = now + kLongestNap;
    for (std::size_t i = 0; i < teams_.size(); ++i) {
        Team& team = *teams_[i];
        if (team.queue.empty()) continue;
        Pending& p = *team.queue.front();
        if (p.moved_) {
            p.moved_ = false;
            p.absent_.clear();
            p.still_since_ = now;
            p.asked_ = now + kFirstInquiry - kNextInquiry;
        }
        if (const auto error = stuck(team, p, now)) {
            give_up(team, *error);
            return now;
        }
        next = std::min({next, p.asked_ + kNextInquiry, p.still_since_ + options_.patience});
    }
    return next;
}

std::optional<LiveError> Engine::stuck(const Team& team, Pending& p, Clock::time_point now) {
    const Communicator& c = *team.communicator;
    const OperationHead& head = p.executor_->head();
    const auto waited = now - p.still_since_;
    const bool over = waited >= options_.patience;
    if (!over && now < p.asked_ + kNextInquiry) return std::nullopt;
    // An answer may be under way at the end; whoever had not come while nothing moved is the one.
    std::vector<Absent> absent = control_.absent(head, c.members());
    if (!absent.empty()) p.absent_ = std::move(absent);
    const auto gone = std::find_if(p.absent_.begin(), p.absent_.end(), [](const Absent& a) {
        return a.why == Absent::Why::kDead || a.why == Absent::Why::kLeft;
    });
    if (over || gone != p.absent_.end()) {
        LiveError e = p.executor_->no_progress(waited);
        e.what += "; " + explain(p.absent_) + "; in " + describe(head);
        return e;
    }
    p.asked_ = now;
    control_.waits_for(c.context(), p.executor_->waits_for());
    control_.inquire(head, c.members());
    return std::nullopt;
}

void Engine::abort(Communicator& communicator, const LiveError& error, Alarm::Kind kind) {
    // Before the lock, which another thread may hold while it connects.
    control_.raise({.kind = kind,
                    .context = communicator.context(),
                    .rank = control_.rank(),
                    .peer = 0,
                    .ours = {},
                    .theirs = {},
                    .what = error.what});
    const Lock lock = enter();
    Team alone{.communicator = &communicator, .queue = {}};
    break_off(alone, error);
}

Outcome<std::uint64_t> Engine::take_turn(Communicator& communicator) {
    Lock lock = enter();
    const Team& team = team_of(communicator);
    while (!team.queue.empty()) {
        lock.unlock();
        help([&] { return team.queue.empty(); }, Clock::now() + kLongestNap);
        lock.lock();
    }
    if (communicator.broken_) return *communicator.broken_;
    return ++communicator.operations_;
}

void Engine::help(const std::function<bool()>& enough, Clock::time_point until) {
    Lock lock = enter();
    if (!led_) return lead(lock, enough, until);
    if (in_background_) endpoint_.wake();
    callers_.fetch_add(1, std::memory_order_relaxed);
    changed_.wait_until(lock, std::min(until, Clock::now() + kShortNap),
                        [&] { return !led_ || enough(); });
    callers_.fetch_sub(1, std::memory_order_relaxed);
}

void Engine::fail(Communicator& communicator, const LiveError& error) {
    const Lock lock = enter();
    Team alone{.communicator = &communicator, .queue = {}};
    give_up(alone, error);
}

Status Engine::connect(const Communicator& communicator) {
    const Clock::time_point until = Clock::now() + options_.patience;
    for (const std::uint32_t peer : communicator.members()) {
        if (peer == control_.rank()) continue;
        while (true) {
            const Lock lock = enter();
            const Status s = endpoint_.connect(peer, Clock::now() + 500ms);
            if (s) break;
            if (const auto alarm = control_.alarm(communicator.context(), communicator.members()))
                return explain(*alarm, control_.rank());
            if (Clock::now() >= until) return s;
        }
    }
    return Done{};
}

std::optional<LiveError> Engine::error_of(const Communicator& communicator) const {
    const std::lock_guard lock(mutex_);
    return communicator.broken_;
}

void Engine::forget(Communicator& communicator) {
    const Lock lock = enter();
    for (const auto& team : teams_)
        if (team->communicator == &communicator && !team->queue.empty())
            break_off(*team, {.what = "the communicator ended",
                              .rank = static_cast<int>(control_.rank())});
    std::erase_if(teams_, [&](const auto& t) { return t->communicator == &communicator; });
}

LaneChooser& Engine::lanes(std::uint32_t peer) {
    const auto found = lanes_.find(peer);
    if (found != lanes_.end()) return found->second;
    return lanes_.emplace(peer, LaneChooser(endpoint_.lanes(peer))).first->second;
}

bool Engine::busy() const {
    return std::any_of(teams_.begin(), teams_.end(),
                       [](const auto& t) { return !t->queue.empty(); });
}

bool Engine::connecting() const {
    return std::any_of(teams_.begin(), teams_.end(), [](const auto& t) {
        return !t->queue.empty() && t->queue.front()->executor_->connecting();
    });
}

void Engine::work_in_background() {
    Lock lock(mutex_);
    const auto wanted = [&] {
        return closing_ || (busy() && !led_ && callers_.load(std::memory_order_relaxed) == 0);
    };
    while (!closing_) {
        if (!endpoint_.restless()) {
            work_.wait(lock, wanted);
        } else if (!work_.wait_for(lock, kAnswerEvery, wanted)) {
            if (!led_) (void)round();
            continue;
        }
        if (closing_) return;
        in_background_ = true;
        const auto enough = [&] {
            return closing_ || !busy() || callers_.load(std::memory_order_relaxed) > 0;
        };
        lead(lock, enough, Clock::time_point::max());
        in_background_ = false;
    }
}

}  // namespace weft::live
