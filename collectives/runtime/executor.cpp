#include "collectives/runtime/executor.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <tuple>
#include <utility>

#include "collectives/runtime/kernels.hpp"

namespace weft::live {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t kOperationsAtOnce = 64;
// Others cannot move, nor abort, while a connection is made.
constexpr auto kConnectAtOnce = 500ms;

Binding bind(const PreparedPlan& plan, const Call& call) {
    Binding b{.count = call.token ? 1 : call.count,
              .element_size = static_cast<std::uint32_t>(call.token ? 1 : size_of(call.dtype)),
              .in_place = false};
    b.in_place = is_in_place(plan.plan(), b, plan.rank(), call.buffers);
    return b;
}

std::uint32_t stream_of(const Operation& op) {
    return op.channel << 16 | op.stage;
}

void append(std::vector<Segment>& to, const Segment& s) {
    if (s.size == 0) return;
    if (!to.empty() && to.back().region == s.region && to.back().data + to.back().size == s.data)
        to.back().size += s.size;
    else
        to.push_back(s);
}

}  // namespace

Executor::Executor(Communicator& communicator, const PreparedPlan& plan, const Call& call,
                   std::uint64_t number)
    : comm_(communicator),
      endpoint_(communicator.engine().endpoint()),
      plan_(plan),
      call_(call),
      binding_(bind(plan, call)),
      buffers_(endpoint_, plan.plan(), binding_, plan.rank(), call.buffers, communicator.scratch_),
      cursor_(plan.plan(), binding_, plan.rank()),
      head_{.operation = number,
            .plan_hash = plan.hash(),
            .count = call.count,
            .context = communicator.context(),
            .collective = static_cast<std::uint8_t>(plan.plan().collective),
            .dtype = static_cast<std::uint8_t>(call.dtype),
            .reduction = static_cast<std::uint8_t>(call.op),
            .reserved = 0,
            .root = plan.plan().root} {}

bool Executor::connect() {
    bool any = false;
    const auto limit = std::min<Clock::duration>(kConnectAtOnce, comm_.engine().options().patience);
    while (connecting()) {
        const std::uint32_t peer = comm_.members_[plan_.peers()[connected_]];
        const Status status = endpoint_.connect(peer, Clock::now() + limit);
        if (!status) {
            unreachable_ = status.error().what;
            return any;
        }
        ++connected_;
        any = true;
    }
    return any;
}

bool Executor::advance() {
    if (connecting()) {
        const bool any = connect();
        if (connecting()) return any;
    }
    const bool posted = post_ready();
    return (!unposted_.empty() && post_sends()) || posted;
}

std::unique_ptr<Executor::Flight> Executor::new_flight(const Operation& op) {
    std::unique_ptr<Flight> f;
    if (spare_.empty()) {
        f = std::make_unique<Flight>();
    } else {
        f = std::move(spare_.back());
        spare_.pop_back();
    }
    f->op = op;
    f->peer = comm_.members_[op.peer];
    f->key = {head_.operation, head_.context, stream_of(op), op.sequence};
    f->size = op.elements * binding_.element_size;
    f->segments.clear();
    for (std::uint32_t i = 0; i < op.pieces; ++i) {
        const Piece piece = cursor_.piece(op, i);
        append(f->segments, buffers_.at(piece.buffer, piece.range));
    }
    return f;
}

bool Executor::post_ready() {
    std::array<Operation, kOperationsAtOnce> ready;
    const std::size_t n = cursor_.next(ready);
    for (std::size_t i = 0; i < n; ++i) {
        const Operation& op = ready[i];
        if (op.kind == Operation::Kind::kCopy) continue;
        std::unique_ptr<Flight> f = new_flight(op);
        if (op.kind == Operation::Kind::kSend) {
            unposted_.push_back(std::move(f));
            continue;
        }
        if (op.arrival == Arrival::kReduce)
            endpoint_.post_view(f->peer, f->key, f->size);
        else
            endpoint_.post_recv(f->peer, f->key, f->segments);
        receiving_.push_back(std::move(f));
    }
    post_sends();
    // Local copies last: by now the peers have something to do.
    for (std::size_t i = 0; i < n; ++i)
        if (ready[i].kind == Operation::Kind::kCopy) copy(ready[i]);
    return n > 0;
}

bool Executor::post_sends() {
    bool any = false;
    const Clock::time_point now = Clock::now();
    waiting_.clear();
    for (auto& f : unposted_) {
        // Behind one of its own connection that waits, so that the next one is not sent first.
        const std::uint64_t connection = std::uint64_t{f->peer} << 32 | f->key.stream;
        if (std::find(waiting_.begin(), waiting_.end(), connection) != waiting_.end()) continue;
        if (!post_send(*f, now)) {
            waiting_.push_back(connection);
            continue;
        }
        sending_.push_back(std::move(f));
        any = true;
    }
    unposted_.erase(std::remove(unposted_.begin(), unposted_.end(), nullptr), unposted_.end());
    return any;
}

/// By the first lane that takes it. Without one it waits: for room, for a lane to heal, or for the
/// news that the peer is gone.
bool Executor::post_send(Flight& f, Clock::time_point now) {
    const Channel& channel = plan_.plan().channels[f.op.channel];
    LaneChooser& lanes = comm_.engine().lanes(f.peer);
    full_.clear();
    while (const auto lane = lanes.choose(channel.rail, channel.plane, f.size, now, full_)) {
        f.lane = *lane;
        if (endpoint_.post_send(f.peer, *lane, f.key, f.segments)) {
            lanes.post(*lane, f.size, now);
            return true;
        }
        full_.push_back(*lane);
    }
    return false;
}

std::unique_ptr<Executor::Flight> Executor::take(Flights& from, const Completion& c) {
    const auto found = std::find_if(from.begin(), from.end(), [&](const auto& f) {
        return f->key == c.key && f->peer == c.peer;
    });
    WEFT_CHECK(found != from.end(), "a completion of rank {} that nobody waits for", c.peer);
    std::unique_ptr<Flight> f = std::move(*found);
    *found = std::move(from.back());
    from.pop_back();
    return f;
}

void Executor::handle(const Completion& c) {
    if (c.kind == Completion::Kind::kReceived) {
        std::unique_ptr<Flight> f = take(receiving_, c);
        apply(c, *f);
        cursor_.arrived(f->op);
        spare_.push_back(std::move(f));
        return;
    }
    std::unique_ptr<Flight> f = take(sending_, c);
    LaneChooser& lanes = comm_.engine().lanes(c.peer);
    if (c.kind == Completion::Kind::kSendLost) {
        lanes.lost(f->lane, f->size);
        unposted_.push_back(std::move(f));
        return;
    }
    lanes.complete(f->lane, f->size, Clock::now());
    cursor_.sent(f->op);
    spare_.push_back(std::move(f));
}

void Executor::apply(const Completion& c, const Flight& f) {
    if (f.op.arrival == Arrival::kReduce) {
        if (total_size(c.data) == f.size)
            reduce_into_place(c, f);
        else
            fail({.what = fmt::format("{} bytes came where {} were expected", total_size(c.data),
                                      f.size),
                  .peer = static_cast<int>(c.peer),
                  .lane = static_cast<int>(c.lane),
                  .step = f.op.step});
        endpoint_.release(c);
    }
    if (!comm_.on_slice) return;
    comm_.on_slice({.channel = f.op.channel,
                    .stage = f.op.stage,
                    .step = f.op.step,
                    .peer = c.peer,
                    .lane = c.lane,
                    .bytes = f.size});
}

void Executor::reduce_into_place(const Completion& c, const Flight& f) {
    const Operation& op = f.op;
    SegmentReader incoming(c.data);
    for (std::uint32_t i = 0; i < op.pieces; ++i) {
        const Piece piece = cursor_.piece(op, i);
        const Segment out = buffers_.at(piece.buffer, piece.range);
        const Segment local = buffers_.at(piece.local_buffer, piece.local);
        for (std::size_t at = 0; at < out.size;) {
            const std::span<const std::byte> bytes = incoming.next(out.size - at);
            reduce(call_.dtype, call_.op, bytes.data(), local.data + at, out.data + at,
                   bytes.size() / binding_.element_size);
            at += bytes.size();
        }
        if (call_.op == ReduceOp::kAvg && plan_.last_reduction(op.channel, op.stage, op.index, i))
            divide(call_.dtype, out.data, piece.range.size(), plan_.plan().n);
    }
}

void Executor::copy(const Operation& op) {
    for (std::uint32_t i = 0; i < op.pieces; ++i) {
        const Piece piece = cursor_.piece(op, i);
        const Segment to = buffers_.at(piece.buffer, piece.range);
        const Segment from = buffers_.at(piece.local_buffer, piece.local);
        if (to.data != from.data) std::memcpy(to.data, from.data, to.size);
    }
    cursor_.copied(op);
}

void Executor::fail(LiveError error) {
    if (failure_) return;
    error.rank = static_cast<int>(endpoint_.rank());
    failure_ = std::move(error);
}

const Executor::Flight* Executor::oldest() const {
    const Flights& pending = receiving_.empty() ? sending_ : receiving_;
    const auto found =
        std::min_element(pending.begin(), pending.end(), [](const auto& a, const auto& b) {
            return std::tie(a->op.channel, a->op.stage, a->op.step) <
                   std::tie(b->op.channel, b->op.stage, b->op.step);
        });
    return found == pending.end() ? nullptr : found->get();
}

std::string Executor::waits_for() const {
    if (connecting()) return unreachable_;
    const Flight* f = oldest();
    if (!unposted_.empty()) {
        const Flight& stuck = *unposted_.front();
        if (!comm_.engine().lanes(stuck.peer).any_alive())
            return fmt::format("every lane to rank {} is dead", stuck.peer);
    }
    if (!f) return "a lane that takes more";
    const char* what = f->op.kind == Operation::Kind::kSend ? "the peer has not consumed a slice of"
                                                            : "nothing came on lanes";
    std::string text = what;
    if (f->op.kind != Operation::Kind::kSend)
        text += fmt::format(" 0..{} of", endpoint_.lanes(f->peer).size() - 1);
    return text + fmt::format(" channel {}, stage {}", f->op.channel, f->op.stage);
}

LiveError Executor::no_progress(Clock::duration waited) const {
    LiveError e{.what = "no progress: " + waits_for(), .rank = static_cast<int>(endpoint_.rank())};
    e.elapsed_s = std::chrono::duration<double>(waited).count();
    if (connecting()) {
        e.peer = static_cast<int>(comm_.members_[plan_.peers()[connected_]]);
    } else if (const Flight* f = oldest()) {
        e.peer = static_cast<int>(f->peer);
        e.step = f->op.step;
        if (f->op.kind == Operation::Kind::kSend) e.lane = static_cast<int>(f->lane);
    }
    return e;
}

}  // namespace weft::live
