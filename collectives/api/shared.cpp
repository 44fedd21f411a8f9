#include "collectives/api/shared.hpp"

#include <algorithm>
#include <cstring>
#include <thread>
#include <utility>

#include "collectives/runtime/agreement.hpp"
#include "collectives/runtime/kernels.hpp"
#include "collectives/runtime/relax.hpp"
#include "collectives/transport/shm/shm.hpp"

namespace weft::live {

namespace {

using namespace std::chrono_literals;

constexpr auto kFirstInquiry = 50ms;
constexpr auto kNextInquiry = 200ms;
constexpr auto kLongestYielding = 20ms;  // then it sleeps, and looks at its deadlines
// Set in the head of what goes this way, so that it never agrees with what goes by messages.
constexpr std::uint8_t kSharedKind = 1;

/// Bytes that every rank writes on its board.
std::size_t contribution(const CollectiveCall& call, std::uint32_t ranks) {
    const std::size_t block = call.count * size_of(call.dtype);
    switch (call.collective) {
        case Collective::kReduceScatter:
        case Collective::kAllToAll:
        case Collective::kScatter:
            return block * ranks;
        default:
            return block;
    }
}

}  // namespace

Outcome<std::unique_ptr<SharedCollectives>> SharedCollectives::open(World& world,
                                                                    Communicator& communicator) {
    WEFT_TRY(world.engine().connect(communicator));
    auto board =
        ShmBoard::open(*world.shared_memory(), communicator.context(), communicator.members());
    if (!board) return std::unique_ptr<SharedCollectives>();
    return std::unique_ptr<SharedCollectives>(
        new SharedCollectives(world, communicator, std::move(board)));
}

SharedCollectives::SharedCollectives(World& world, Communicator& communicator,
                                     std::unique_ptr<ShmBoard> board)
    : world_(world),
      communicator_(communicator),
      board_(std::move(board)),
      seen_(communicator.ranks()),
      windows_(communicator.ranks()),
      direct_(*world.shared_memory(), communicator.rank(), communicator.members()) {
    const auto here =
        std::count(world.hosts().begin(), world.hosts().end(), world.hosts()[world.rank()]);
    const bool enough_cores = here <= std::int64_t{std::thread::hardware_concurrency()};
    checks_ = enough_cores ? 4000 : 4;
    yields_ = enough_cores ? 16 : 1000;
}

bool SharedCollectives::fits(const CollectiveCall& call, std::uint32_t ranks) {
    return call.collective != Collective::kSendRecv && ranks >= 2 && ranks <= ShmBoard::kMembers;
}

template <class Nothing>
Status SharedCollectives::wait_while(Nothing nothing, const OperationHead& head,
                                     std::uint32_t member) {
    for (int turn = 0; nothing(); ++turn) {
        if (turn < checks_) {
            relax();
            continue;
        }
        if (turn == checks_) {
            began_ = Clock::now();
            asked_ = began_ + kFirstInquiry - kNextInquiry;
        }
        if (turn < checks_ + yields_) {
            std::this_thread::yield();
            // Among busy strangers each yield may cost a time slice of theirs.
            if (turn % 8 == 0 && Clock::now() - began_ > kLongestYielding) turn = checks_ + yields_;
            continue;
        }
        if (auto error = look_around(head, member)) return *error;
        board_->settle();
        world_.engine().help([&] { return !nothing(); }, Clock::now() + 10ms);
    }
    return Done{};
}

bool SharedCollectives::is_small(const CollectiveCall& call, std::uint32_t ranks) {
    return contribution(call, ranks) <= ShmBoard::kMost;
}

const char* SharedCollectives::how(const CollectiveCall& call, std::uint32_t ranks, bool direct) {
    if (is_small(call, ranks)) return "shared memory, one shot, no pieces";
    if (direct && DirectReads::pays(call, ranks)) return "shared memory, each other's memory";
    return StagedCollective(call, 0, ranks, ShmBoard::kWindow).two_shots()
               ? "shared memory, two shots"
               : "shared memory, one shot";
}

void SharedCollectives::leave() {
    left_.store(true, std::memory_order_relaxed);
    const std::lock_guard until_it_has_left(running_);
}

Status SharedCollectives::run(const CollectiveCall& call) {
    const std::lock_guard lock(running_);
    const auto turn = world_.engine().take_turn(communicator_);
    if (!turn) return turn.error();
    const OperationHead head{.operation = turn.value(),
                             .plan_hash = 0,
                             .count = call.count,
                             .context = communicator_.context(),
                             .collective = static_cast<std::uint8_t>(call.collective),
                             .dtype = static_cast<std::uint8_t>(call.dtype),
                             .reduction = static_cast<std::uint8_t>(call.op),
                             .reserved = kSharedKind,
                             .root = call.root};
    Control& control = world_.control();
    control.began(head);
    const std::uint64_t digest = head.digest();
    const Status status = run_as_fits(call, head, digest);
    board_->settle();
    control.finished(head.context, head.operation);
    if (!status) world_.engine().fail(communicator_, status.error());
    return status;
}

Status SharedCollectives::run_as_fits(const CollectiveCall& call, const OperationHead& head,
                                      std::uint64_t digest) {
    if (is_small(call, communicator_.ranks())) return run_small(call, head, digest);
    if (!direct_refused_ && DirectReads::pays(call, communicator_.ranks())) {
        const auto done = run_direct(call, head, digest);
        if (!done) return done.error();
        direct_refused_ |= direct_.somebody(DirectReads::Says::kNever);
        direct_ran_ = done.value();
        if (direct_ran_) return Done{};
    }
    direct_ran_ = false;
    return run_staged(call, head, digest);
}

Status SharedCollectives::run_small(const CollectiveCall& call, const OperationHead& head,
                                    std::uint64_t digest) {
    ++generation_;
    publish(call, digest);
    WEFT_TRY(collect(head, digest));
    finish(call);
    return Done{};
}

Status SharedCollectives::run_staged(const CollectiveCall& call, const OperationHead& head,
                                     std::uint64_t digest) {
    StagedCollective work(call, communicator_.rank(), communicator_.ranks(), ShmBoard::kWindow);
    for (std::uint64_t stage = 0; stage < work.stages(); ++stage) {
        if (left_.load(std::memory_order_relaxed)) return *communicator_.broken();
        work.work(stage, board_->window(generation_ + 1), windows_);
        if (stage + 1 == work.stages()) break;
        board_->publish(++generation_, digest, {});
        WEFT_TRY(collect(head, digest));
        for (std::uint32_t m = 0; m < windows_.size(); ++m)
            windows_[m] = board_->window_of(m, generation_);
    }
    return Done{};
}

Outcome<bool> SharedCollectives::run_direct(const CollectiveCall& call, const OperationHead& head,
                                            std::uint64_t digest) {
    const auto say = [&](const DirectReads::Word& word) -> Status {
        board_->publish(++generation_, digest, std::as_bytes(std::span(&word, 1)));
        WEFT_TRY(collect(head, digest));
        return direct_.hear(seen_);
    };
    WEFT_TRY(say(direct_.offer(call)));
    if (!direct_.all_say(DirectReads::Says::kReady)) return false;
    // Nobody may change its input before all have read it.
    WEFT_TRY(say(direct_.read(call)));
    return direct_.all_say(DirectReads::Says::kHaveRead);
}

void SharedCollectives::publish(const CollectiveCall& call, std::uint64_t digest) {
    std::size_t bytes = contribution(call, communicator_.ranks());
    const auto* data = static_cast<const std::byte*>(call.input);
    if (!provides(call.collective, Buffer::kInput, communicator_.rank(), call.root,
                  communicator_.ranks()))
        bytes = 0;
    if (call.op == ReduceOp::kPreMulSum && reduces(call.collective)) {
        scaled_.resize(bytes);
        scale(call.dtype, call.factor, data, scaled_.data(), bytes / size_of(call.dtype));
        data = scaled_.data();
    }
    board_->publish(generation_, digest, {data, bytes});
}

Status SharedCollectives::collect(const OperationHead& head, std::uint64_t digest) {
    // Everybody's, of a broadcast too: so ranks that disagree find out, and whoever publishes the
    // next generation knows that the one before the last has been read.
    for (std::uint32_t m = 0; m < communicator_.ranks(); ++m) {
        ShmBoard::Seen seen = ShmBoard::Seen::kNothing;
        WEFT_TRY(wait_while(
            [&] {
                seen = board_->look(m, generation_, digest, seen_[m]);
                return seen == ShmBoard::Seen::kNothing;
            },
            head, m));
        if (seen == ShmBoard::Seen::kDisagrees) return disagreement(head, m);
    }
    return Done{};
}

Status SharedCollectives::disagreement(const OperationHead& head, std::uint32_t member) {
    // The other's head is known to its control: ask, and the answer comes as an alarm.
    Control& control = world_.control();
    const Clock::time_point until = Clock::now() + 500ms;
    while (Clock::now() < until) {
        control.inquire(head, communicator_.members());
        if (const auto alarm = control.alarm(head.context, communicator_.members()))
            return explain(*alarm, control.rank());
        std::this_thread::sleep_for(1ms);
    }
    return LiveError{.what = describe(head) + " is not the same on rank " +
                             std::to_string(control.rank()) + " and rank " +
                             std::to_string(communicator_.members()[member]),
                     .rank = static_cast<int>(control.rank()),
                     .peer = static_cast<int>(communicator_.members()[member])};
}

std::optional<LiveError> SharedCollectives::look_around(const OperationHead& head,
                                                        std::uint32_t member) {
    Control& control = world_.control();
    if (const auto error = communicator_.broken()) return error;
    if (control.alarms() != alarms_seen_) {
        alarms_seen_ = control.alarms();
        if (const auto alarm = control.alarm(head.context, communicator_.members()))
            return explain(*alarm, control.rank());
    }
    const Clock::time_point now = Clock::now();
    const bool over = now - began_ >= world_.options().patience;
    if (!over && now < asked_ + kNextInquiry) return std::nullopt;
    const std::vector<Absent> absent = control.absent(head, communicator_.members());
    const bool gone = std::any_of(absent.begin(), absent.end(), [](const Absent& a) {
        return a.why == Absent::Why::kDead || a.why == Absent::Why::kLeft;
    });
    if (over || gone)
        return LiveError{.what = "no progress; " + explain(absent) + "; in " + describe(head),
                         .rank = static_cast<int>(control.rank()),
                         .peer = static_cast<int>(communicator_.members()[member]),
                         .elapsed_s = std::chrono::duration<double>(now - began_).count()};
    asked_ = now;
    control.waits_for(head.context,
                      "rank " + std::to_string(communicator_.members()[member]) + " has not come");
    control.inquire(head, communicator_.members());
    return std::nullopt;
}

void SharedCollectives::finish(const CollectiveCall& call) {
    if (!provides(call.collective, Buffer::kOutput, communicator_.rank(), call.root,
                  communicator_.ranks()))
        return;
    auto* out = static_cast<std::byte*>(call.output);
    const std::size_t block = call.count * size_of(call.dtype);
    const std::size_t own = std::size_t{communicator_.rank()} * block;
    switch (call.collective) {
        case Collective::kAllReduce:
        case Collective::kReduce:
            return fold(call, 0);
        case Collective::kReduceScatter:
            return fold(call, own);
        case Collective::kBroadcast:
            if (block > 0 && seen_[call.root].data() != out)
                std::memcpy(out, seen_[call.root].data(), block);
            return;
        case Collective::kScatter:
            if (block > 0) std::memcpy(out, seen_[call.root].data() + own, block);
            return;
        case Collective::kAllGather:
        case Collective::kGather:
            for (std::uint32_t m = 0; m < seen_.size() && block > 0; ++m)
                std::memcpy(out + m * block, seen_[m].data(), block);
            return;
        case Collective::kAllToAll:
            for (std::uint32_t m = 0; m < seen_.size() && block > 0; ++m)
                std::memcpy(out + m * block, seen_[m].data() + own, block);
            return;
        case Collective::kSendRecv:
            return;
    }
}

void SharedCollectives::fold(const CollectiveCall& call, std::size_t from) {
    if (call.count == 0) return;
    auto* out = static_cast<std::byte*>(call.output);
    const std::size_t bytes = call.count * size_of(call.dtype);
    if (seen_.size() == 1)
        std::memcpy(out, seen_[0].data() + from, bytes);
    else
        reduce(call.dtype, call.op, seen_[1].data() + from, seen_[0].data() + from, out,
               call.count);
    for (std::uint32_t m = 2; m < seen_.size(); ++m)
        reduce(call.dtype, call.op, seen_[m].data() + from, out, out, call.count);
    if (call.op == ReduceOp::kAvg) divide(call.dtype, out, call.count, communicator_.ranks());
}

}  // namespace weft::live
