#include "collectives/api/comm.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <thread>
#include <utility>

#include "base/rng.hpp"
#include "collectives/api/shared.hpp"
#include "collectives/runtime/kernels.hpp"
#include "collectives/select/live.hpp"

namespace weft::live {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t kHistory = 256;
constexpr const char* kWhyShared = "all ranks on one host, blocking: no messages";
constexpr std::uint32_t kLoaded = 1U << 20;  // above the buckets of the library's own choices
constexpr ContextId kShrunk = 0x80000000U;   // those of split() count up from 1

std::uint64_t total_bytes(const CollectiveCall& call, std::uint32_t ranks) {
    const std::uint64_t block = call.count * size_of(call.dtype);
    return blocked(call.collective) ? block * ranks : block;
}

/// Of a reduction.
std::uint64_t input_elements(const CollectiveCall& call, std::uint32_t ranks) {
    return blocked(call.collective) ? call.count * ranks : call.count;
}

[[noreturn]] void refuse(const char* key, const std::string& found, const std::string& expected,
                         const char* example) {
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = key,
                       .found = found,
                       .expected = expected,
                       .example = example});
}

std::vector<std::uint32_t> everybody(std::uint32_t ranks) {
    std::vector<std::uint32_t> all(ranks);
    for (std::uint32_t r = 0; r < ranks; ++r) all[r] = r;
    return all;
}

double seconds_since(Clock::time_point then) {
    return std::chrono::duration<double>(Clock::now() - then).count();
}

}  // namespace

Request::~Request() {
    // The engine has the caller's buffers until then; it gives up by itself in the end.
    (void)wait(Clock::time_point::max());
}

bool Request::test() {
    Engine& engine = comm_->world_->engine();
    return std::all_of(handles_.begin(), handles_.end(),
                       [&](const Handle& h) { return engine.test(h); });
}

bool Request::wait(Clock::time_point until) {
    Engine& engine = comm_->world_->engine();
    return std::all_of(handles_.begin(), handles_.end(),
                       [&](const Handle& h) { return engine.wait(h, until); });
}

Status Request::status() {
    Status s = Done{};
    for (const Handle& h : handles_)
        if (s) s = comm_->world_->engine().status(h);
    if (!noted_) {
        noted_ = true;
        record_.seconds = seconds_since(began_);
        record_.ok = s.ok();
        comm_->note(record_);
    }
    return s;
}

Comm::Comm(std::shared_ptr<World> world) : Comm(world, 0, everybody(world->ranks())) {}

Comm::Comm(std::shared_ptr<World> world, ContextId context, std::vector<std::uint32_t> members)
    : world_(std::move(world)),
      shape_(world_->shape(members)),
      communicator_(world_->engine(), context, std::move(members)),
      pairs_(*world_, communicator_) {}

Comm::~Comm() {
    // Before the plans that its operations run.
    world_->engine().forget(communicator_);
}

void Comm::check(const CollectiveCall& call) const {
    if (call.root >= ranks())
        refuse("root", std::to_string(call.root), fmt::format("a rank below {}", ranks()), "0");
    const auto lacks = [&](Buffer which, const void* memory) {
        return memory == nullptr && provides(call.collective, which, rank(), call.root, ranks());
    };
    if (call.count > 0 &&
        (lacks(Buffer::kInput, call.input) || lacks(Buffer::kOutput, call.output)))
        refuse("buffer", "a null pointer", "memory of the collective's size", "malloc(4 * count)");
    if (call.op == ReduceOp::kPreMulSum && !call.factor)
        refuse("factor", "a null pointer", "one element to multiply by", "&half");
    constexpr std::uint64_t kMost = std::uint64_t{1} << 56;
    if (call.count > kMost / (size_of(call.dtype) * ranks()))
        refuse("count", std::to_string(call.count), "less than 64 PiB in all", "1048576");
}

bool Comm::runs_loaded(const CollectiveCall& call) {
    if (!any_loaded_.load(std::memory_order_relaxed)) return false;
    const std::lock_guard lock(choosing_);
    return loaded_.find(call.collective, total_bytes(call, ranks()), call.root).plan != nullptr;
}

const Comm::Chosen& Comm::choose(const CollectiveCall& call) {
    const Bytes total{static_cast<std::int64_t>(total_bytes(call, ranks()))};
    const auto describe = [](const PlanTemplate& p) {
        return fmt::format("{}, {} channel{}, slices of {}", p.algorithm, p.channels.size(),
                           p.channels.size() == 1 ? "" : "s", to_string(p.channels[0].slice));
    };
    {
        const std::lock_guard lock(choosing_);
        const auto [number, own] =
            loaded_.find(call.collective, static_cast<std::uint64_t>(total.count()), call.root);
        if (own != nullptr) {
            Chosen& c = chosen_[{call.collective, call.root, kLoaded + number}];
            if (c.plan) return c;
            const PlanTemplate plan = own->build(shape_, call.root);
            c.plan = std::make_shared<PreparedPlan>(plan, rank());
            c.text = describe(plan);
            c.why = own->why();
            return c;
        }
    }
    const LiveChoice choice =
        choose_live(call.collective, total, shape_, call.root, world_->options().algorithm);
    const std::lock_guard lock(choosing_);
    Chosen& c = chosen_[{call.collective, call.root, choice.bucket}];
    if (c.plan) return c;
    const PlanTemplate plan = build_live(call.collective, choice, shape_);
    c.plan = std::make_shared<PreparedPlan>(plan, rank());
    c.text = describe(plan);
    c.why = choice.why;
    return c;
}

Status Comm::load_plan(const std::string& text, std::uint64_t least, std::uint64_t most) {
    std::optional<LoadedPlan> own;
    std::optional<ConfigError> refused;
    try {
        own.emplace(text, least, most, shape_);
    } catch (const ConfigError& e) {
        refused = e;  // once the others have been told
    }
    const std::uint64_t mine = own ? own->digest() : 0;
    std::vector<std::uint64_t> all(ranks());
    const Status s = run({.collective = Collective::kAllGather,
                          .input = &mine,
                          .output = all.data(),
                          .count = sizeof mine,
                          .dtype = DataType::kU8});
    if (refused) throw *refused;
    if (!s) return s;
    for (std::uint32_t r = 0; r < ranks(); ++r) {
        LiveError e{.rank = static_cast<int>(world_->rank()),
                    .peer = static_cast<int>(members()[r])};
        if (all[r] == 0)
            e.what = fmt::format("rank {} refused the plan that it was to load", members()[r]);
        else if (all[r] != all[0] && all[0] != 0)
            e.what =
                fmt::format("rank {} and rank {} load different plans", members()[0], members()[r]);
        if (!e.what.empty()) return e;
    }
    const std::lock_guard lock(choosing_);
    loaded_.add(std::move(*own));
    any_loaded_ = true;
    return Done{};
}

void Comm::unload_plans() {
    const std::lock_guard lock(choosing_);
    loaded_.clear();
    any_loaded_ = false;
}

SharedCollectives* Comm::shared() {
    if (shared_tried_) return shared_.get();
    shared_tried_ = true;
    if (!world_->shared_memory() || shape_.hosts != 1 || !shape_.uniform || ranks() < 2 ||
        ranks() > ShmBoard::kMembers)
        return nullptr;
    // All have a place, or nobody uses his.
    auto opened = SharedCollectives::open(*world_, communicator_);
    std::uint8_t mine = opened && opened.value() ? 1 : 0;
    const Chosen& c = choose({.collective = Collective::kAllReduce,
                              .input = &mine,
                              .output = &mine,
                              .count = 1,
                              .dtype = DataType::kU8,
                              .op = ReduceOp::kMin});
    const Status s = communicator_.run(
        *c.plan,
        {.buffers = {&mine, &mine}, .count = 1, .dtype = DataType::kU8, .op = ReduceOp::kMin});
    if (s && mine == 1) shared_ = std::move(opened.value());
    shared_now_.store(shared_.get());
    return shared_.get();
}

SharedCollectives* Comm::shared_for(const CollectiveCall& call) {
    const bool free = world_->options().algorithm.empty() && !runs_loaded(call);
    return free && SharedCollectives::fits(call, ranks()) ? shared() : nullptr;
}

Status Comm::run(const CollectiveCall& call) {
    check(call);
    const Clock::time_point began = Clock::now();
    if (SharedCollectives* memory = shared_for(call)) {
        const Status s = memory->run(call);
        note_shared(call, s.ok(), began);
        return s;
    }
    const Prepared p = prepare(call);
    OperationRecord record = p.record;
    const Status s = communicator_.run(*p.plan, p.call);
    record.seconds = seconds_since(began);
    record.ok = s.ok();
    note(record);
    return s;
}

Comm::Prepared Comm::prepare(const CollectiveCall& call) {
    const Chosen& chosen = choose(call);
    Prepared p{.plan = chosen.plan,
               .call = {.buffers = {call.input, call.output},
                        .count = call.count,
                        .dtype = call.dtype,
                        .op = call.op},
               .scaled = {},
               .record = {.number = 0,
                          .collective = call.collective,
                          .bytes = total_bytes(call, ranks()),
                          .plan = chosen.text,
                          .why = chosen.why,
                          .plan_hash = chosen.plan->hash()}};
    if (call.op == ReduceOp::kPreMulSum && reduces(call.collective)) {
        const std::uint64_t elements = input_elements(call, ranks());
        p.scaled.resize(elements * size_of(call.dtype));
        scale(call.dtype, call.factor, call.input, p.scaled.data(), elements);
        p.call.buffers.input = p.scaled.data();
    }
    return p;
}

std::unique_ptr<Request> Comm::start(const CollectiveCall& call) {
    check(call);
    std::unique_ptr<Request> request(new Request);
    request->comm_ = this;
    request->began_ = Clock::now();
    Prepared p = prepare(call);
    request->plan_ = std::move(p.plan);
    request->scaled_ = std::move(p.scaled);
    request->record_ = std::move(p.record);
    request->handles_.push_back(communicator_.start(*request->plan_, p.call));
    return request;
}

std::unique_ptr<Request> Comm::start(std::span<const PairMessage> group) {
    check(group);
    std::unique_ptr<Request> request(new Request);
    request->comm_ = this;
    request->began_ = Clock::now();
    request->record_ = {
        .collective = Collective::kSendRecv,
        .plan = fmt::format("{} message{}", group.size(), group.size() == 1 ? "" : "s"),
        .why = "pair by pair"};
    for (const PairMessage& m : group) request->record_.bytes += m.count * size_of(m.dtype);
    request->handles_ = pairs_.start(group);
    return request;
}

Status Comm::run(std::span<const PairMessage> group) {
    const std::unique_ptr<Request> request = start(group);
    (void)request->wait(Clock::time_point::max());
    return request->status();
}

Status Comm::barrier() {
    std::uint8_t nothing = 0;
    return run({.collective = Collective::kAllReduce,
                .input = &nothing,
                .output = &nothing,
                .count = 1,
                .dtype = DataType::kU8});
}

Outcome<std::unique_ptr<Comm>> Comm::split(std::int32_t colour, std::int32_t key) {
    struct Wish {
        std::int32_t colour;
        std::int32_t key;
        std::uint32_t next_context;
        std::uint32_t rank;
    };
    constexpr std::uint64_t kMost = kShrunk;
    const Wish mine{colour, key, world_->next_context(), rank()};
    std::vector<Wish> all(ranks());
    WEFT_TRY(run({.collective = Collective::kAllGather,
                  .input = &mine,
                  .output = all.data(),
                  .count = sizeof(Wish),
                  .dtype = DataType::kU8}));
    std::uint64_t next = 0;
    std::map<std::int32_t, std::uint32_t> sizes;  // by colour
    for (const Wish& w : all) {
        next = std::max<std::uint64_t>(next, w.next_context);
        if (w.colour >= 0) ++sizes[w.colour];
    }
    std::uint64_t mine_from = next;
    for (const auto& [c, size] : sizes) {
        if (c == colour) mine_from = next;
        next += contexts_of(size);
    }
    if (next > kMost)
        return LiveError{.what = "the world has no room for another communicator",
                         .rank = static_cast<int>(world_->rank())};
    world_->used_contexts_below(static_cast<ContextId>(next));
    if (colour < 0) return std::unique_ptr<Comm>();
    std::erase_if(all, [&](const Wish& w) { return w.colour != colour; });
    std::stable_sort(all.begin(), all.end(),
                     [](const Wish& a, const Wish& b) { return a.key < b.key; });
    std::vector<std::uint32_t> group;
    for (const Wish& w : all) {
        WEFT_CHECK(w.rank < ranks(), "rank {} of {}", w.rank, ranks());
        group.push_back(members()[w.rank]);
    }
    return std::unique_ptr<Comm>(
        new Comm(world_, static_cast<ContextId>(mine_from), std::move(group)));
}

ContextId Comm::context_of(const std::vector<std::uint32_t>& living) const {
    std::uint64_t name = mix64(mix64(communicator_.context(), 0x5348524bU), shrinks_);
    for (const std::uint32_t m : living) name = mix64(name, m);
    const auto members = static_cast<std::uint32_t>(living.size());
    return kShrunk + static_cast<ContextId>(name >> 32) % (kShrunk - contexts_of(members));
}

Outcome<std::unique_ptr<Comm>> Comm::shrink() {
    if (!broken()) revoke();
    // Other communicators' operations go on: a member may wait in one of them for this rank.
    const auto meanwhile = [this] {
        bool moved = false;
        world_->engine().help([&] { return std::exchange(moved, true); }, Clock::now());
        std::this_thread::sleep_for(1ms);
    };
    const Survivors left = world_->control().survivors(
        {.context = communicator_.context(), .generation = shrinks_, .members = members()},
        Clock::now() + world_->options().patience, meanwhile);
    LiveError error{.what = {}, .rank = static_cast<int>(world_->rank())};
    if (left.state == Survivors::State::kCountedOut) {
        error.what =
            "this rank was counted out: the others found it silent, or dead, and go on "
            "without it";
        return error;
    }
    if (left.state == Survivors::State::kOpen) {
        error.what = fmt::format("no agreement on who is left of communicator {}: {}",
                                 communicator_.context(), left.what);
        return error;
    }
    // In this communicator's order.
    std::vector<std::uint32_t> living = members();
    std::erase_if(living, [&](std::uint32_t m) {
        return !std::binary_search(left.ranks.begin(), left.ranks.end(), m);
    });
    const ContextId context = context_of(living);
    ++shrinks_;
    return std::unique_ptr<Comm>(new Comm(world_, context, std::move(living)));
}

void Comm::abort(const std::string& why) {
    world_->engine().abort(communicator_, {.what = why, .rank = static_cast<int>(world_->rank())},
                           Alarm::Kind::kAborted);
    leave_shared();
}

void Comm::revoke() {
    world_->engine().abort(
        communicator_,
        {.what = "the communicator is revoked", .rank = static_cast<int>(world_->rank())},
        Alarm::Kind::kRevoked);
    leave_shared();
}

void Comm::leave_shared() {
    // Broken already: whoever has not begun yet does not begin.
    if (SharedCollectives* memory = shared_now_.load()) memory->leave();
}

void Comm::note_shared(const CollectiveCall& call, bool ok, Clock::time_point began) {
    const std::uint64_t bytes = total_bytes(call, ranks());
    if (ok && SharedCollectives::is_small(call, ranks())) {  // a record costs as much as it takes
        const std::lock_guard lock(noting_);
        ++counters_.operations;
        ++counters_.shared;
        counters_.bytes += bytes;
        return;
    }
    note({.collective = call.collective,
          .bytes = bytes,
          .plan = SharedCollectives::how(call, ranks(), shared_->direct_ran()),
          .why = kWhyShared,
          .seconds = seconds_since(began),
          .ok = ok});
    const std::lock_guard lock(noting_);
    ++counters_.shared;
}

void Comm::note(const OperationRecord& record) {
    const std::lock_guard lock(noting_);
    ++counters_.operations;
    counters_.bytes += record.bytes;
    if (!record.ok) ++counters_.failed;
    history_.push_back(record);
    history_.back().number = counters_.operations;
    if (history_.size() > kHistory) history_.pop_front();
}

std::vector<OperationRecord> Comm::history() const {
    const std::lock_guard lock(noting_);
    return {history_.begin(), history_.end()};
}

Counters Comm::counters() const {
    const std::lock_guard lock(noting_);
    return counters_;
}

OperationRecord Comm::explain(const CollectiveCall& call) {
    if (shared_for(call) != nullptr)
        return {.collective = call.collective,
                .bytes = total_bytes(call, ranks()),
                .plan = SharedCollectives::how(call, ranks(), shared_->may_be_direct()),
                .why = kWhyShared};
    const Chosen& c = choose(call);
    return {.collective = call.collective,
            .bytes = total_bytes(call, ranks()),
            .plan = c.text,
            .why = c.why,
            .plan_hash = c.plan->hash()};
}

}  // namespace weft::live
