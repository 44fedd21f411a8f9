#include "collectives/runtime/executor.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <tuple>
#include <utility>

#include "collectives/runtime/agreement.hpp"
#include "collectives/runtime/kernels.hpp"

namespace weft::live {

namespace {

constexpr std::size_t kOperationsAtOnce = 64;

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

std::string list(const std::vector<std::uint32_t>& ranks) {
    std::string text;
    for (const std::uint32_t r : ranks) text += (text.empty() ? "" : ", ") + std::to_string(r);
    return text;
}

}  // namespace

Executor::Executor(Communicator& communicator, const PreparedPlan& plan, const Call& call,
                   const Binding& binding, std::uint64_t number)
    : comm_(communicator),
      endpoint_(communicator.endpoint_),
      plan_(plan),
      call_(call),
      binding_(binding),
      buffers_(endpoint_, plan.plan(), binding_, call.buffers, communicator.scratch_),
      cursor_(plan.plan(), binding_, plan.rank()),
      head_{.operation = number,
            .plan_hash = plan.hash(),
            .count = call.count,
            .dtype = static_cast<std::uint32_t>(call.dtype),
            .reduction = static_cast<std::uint32_t>(call.op)} {}

Executor::~Executor() {
    // On the way out after an error the caller's memory must not be in anybody's hands.
    if (!sending_.empty() || !receiving_.empty()) endpoint_.cancel();
}

Status Executor::run() {
    endpoint_.announce(head_);
    WEFT_TRY(connect());
    while (true) {
        bool progress = post_ready();
        progress = (!unposted_.empty() && post_sends()) || progress;
        progress = drain() || progress;
        if (failure_) return *failure_;
        // Empty operations finish inside the cursor: it may be done without having shown any.
        if (cursor_.done()) break;
        if (progress) {
            idle_since_.reset();
            continue;
        }
        if (auto error = trouble()) return *error;
        endpoint_.wait(*idle_since_ + comm_.options_.patience);
    }
    if (auto fault = endpoint_.fault()) return explain(*fault, plan_.rank());
    return Done{};
}

Status Executor::connect() {
    const Clock::time_point deadline = Clock::now() + comm_.options_.patience;
    for (const std::uint32_t peer : plan_.peers()) WEFT_TRY(endpoint_.connect(peer, deadline));
    return Done{};
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
    f->key = {head_.operation, stream_of(op), op.sequence};
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
            endpoint_.post_view(op.peer, f->key);
        else
            endpoint_.post_recv(op.peer, f->key, f->segments);
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
    for (auto& f : unposted_) {
        LaneChooser& lanes = comm_.chooser(f->op.peer, plan_.plan().channels[f->op.channel]);
        const auto lane = lanes.choose(f->size);
        if (!lane) {
            fail({.what = "every lane to the peer is dead",
                  .peer = static_cast<int>(f->op.peer),
                  .step = f->op.step});
            return false;
        }
        f->lane = *lane;
        if (!endpoint_.post_send(f->op.peer, *lane, f->key, f->segments)) continue;
        lanes.post(*lane, f->size);
        sending_.push_back(std::move(f));
        any = true;
    }
    unposted_.erase(std::remove(unposted_.begin(), unposted_.end(), nullptr), unposted_.end());
    return any;
}

bool Executor::drain() {
    std::array<Completion, 32> done;
    const std::size_t n = endpoint_.poll(done);
    for (std::size_t i = 0; i < n; ++i) handle(done[i]);
    return n > 0;
}

std::unique_ptr<Executor::Flight> Executor::take(Flights& from, const Completion& c) {
    const auto found = std::find_if(from.begin(), from.end(), [&](const auto& f) {
        return f->key == c.key && f->op.peer == c.peer;
    });
    WEFT_CHECK(found != from.end(), "a completion of rank {} that nobody waits for", c.peer);
    std::unique_ptr<Flight> f = std::move(*found);
    *found = std::move(from.back());
    from.pop_back();
    return f;
}

void Executor::handle(const Completion& c) {
    if (c.kind == Completion::Kind::kLaneDown) return comm_.lane_down(c.peer, c.lane);
    if (c.kind == Completion::Kind::kReceived) {
        std::unique_ptr<Flight> f = take(receiving_, c);
        apply(c, *f);
        cursor_.arrived(f->op);
        spare_.push_back(std::move(f));
        return;
    }
    std::unique_ptr<Flight> f = take(sending_, c);
    comm_.chooser(c.peer, plan_.plan().channels[f->op.channel]).complete(c.lane, f->size);
    if (c.kind == Completion::Kind::kSendLost) {
        unposted_.push_back(std::move(f));
        return;
    }
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
    if (!comm_.options_.on_slice) return;
    comm_.options_.on_slice({.channel = f.op.channel,
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

std::optional<LiveError> Executor::trouble() {
    if (auto fault = endpoint_.fault()) return explain(*fault, plan_.rank());
    const Clock::time_point now = Clock::now();
    if (!idle_since_) idle_since_ = now;
    if (now - *idle_since_ < comm_.options_.patience) return std::nullopt;
    return timeout(now - *idle_since_);
}

void Executor::fail(LiveError error) {
    if (failure_) return;
    error.rank = static_cast<int>(plan_.rank());
    failure_ = std::move(error);
}

LiveError Executor::timeout(Clock::duration waited) {
    LiveError e{.what = "no progress", .rank = static_cast<int>(plan_.rank())};
    e.elapsed_s = std::chrono::duration<double>(waited).count();
    const Flights& pending = receiving_.empty() ? sending_ : receiving_;
    const auto earliest =
        std::min_element(pending.begin(), pending.end(), [](const auto& a, const auto& b) {
            return std::tie(a->op.channel, a->op.stage, a->op.step) <
                   std::tie(b->op.channel, b->op.stage, b->op.step);
        });
    if (earliest != pending.end()) {
        const Operation& op = (*earliest)->op;
        const std::size_t lanes = endpoint_.lanes(op.peer).size();
        e.peer = static_cast<int>(op.peer);
        e.step = op.step;
        if (op.kind == Operation::Kind::kSend) e.lane = static_cast<int>((*earliest)->lane);
        e.what += (op.kind == Operation::Kind::kSend)
                      ? ": the peer has not consumed a slice of"
                      : fmt::format(": nothing came on lanes 0..{} of", lanes - 1);
        e.what += fmt::format(" channel {}, stage {}", op.channel, op.stage);
    }
    const auto missing = endpoint_.not_arrived(head_.operation);
    e.what += missing.empty() ? "; all ranks have arrived" : "; not arrived: rank " + list(missing);
    return e;
}

}  // namespace weft::live
