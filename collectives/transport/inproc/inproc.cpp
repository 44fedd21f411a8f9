#include "collectives/transport/inproc/inproc.hpp"

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <thread>
#include <utility>

#include "collectives/transport/inproc/board.hpp"
#include "collectives/transport/inproc/doorbell.hpp"
#include "collectives/transport/inproc/lane_queue.hpp"
#include "collectives/transport/regions.hpp"

namespace weft::live {

namespace {

constexpr std::uint32_t kMaxRanks = 64;
// cancel() waits for a peer that reads this rank's memory, but not for one that has crashed.
constexpr auto kLongestCopy = std::chrono::seconds(1);

struct World {
    explicit World(const TransportOptions& o)
        : ranks(o.ranks), board(o.ranks), bells(std::make_unique<Doorbell[]>(o.ranks)) {
        for (std::uint32_t rail = 0; rail < o.rails; ++rail)
            for (std::uint32_t plane = 0; plane < o.planes; ++plane)
                for (std::uint32_t path = 0; path < o.paths; ++path) {
                    const auto port = static_cast<std::int32_t>(rail * o.planes + plane);
                    lanes.push_back({.local_port = port,
                                     .remote_port = port,
                                     .rail = static_cast<std::int32_t>(rail),
                                     .plane = static_cast<std::int32_t>(plane),
                                     .path = path});
                }
        queues = std::make_unique<LaneQueue[]>(std::size_t{ranks} * ranks * lanes.size());
    }
    [[nodiscard]] LaneQueue& queue(std::uint32_t from, std::uint32_t to, std::uint32_t lane) const {
        return queues[(std::size_t{from} * ranks + to) * lanes.size() + lane];
    }

    /// Both directions.
    void set_dead(std::uint32_t a, std::uint32_t b, std::uint32_t lane, bool dead) const {
        queue(a, b, lane).dead.store(dead, std::memory_order_release);
        queue(b, a, lane).dead.store(dead, std::memory_order_release);
        bells[a].ring();
        bells[b].ring();
    }

    std::uint32_t ranks;
    Board board;
    std::unique_ptr<Doorbell[]> bells;
    std::vector<Lane> lanes;
    std::unique_ptr<LaneQueue[]> queues;
};

void copy_segments(Segments from, Segments to) {
    SegmentReader source(from);
    for (const Segment& s : to)
        for (std::size_t at = 0; at < s.size;) {
            const std::span<const std::byte> piece = source.next(s.size - at);
            std::memcpy(s.data + at, piece.data(), piece.size());
            at += piece.size();
        }
}

class InprocEndpoint final : public Endpoint {
  public:
    InprocEndpoint(World& world, std::uint32_t rank)
        : world_(world), rank_(rank), receives_(world.ranks) {}

    [[nodiscard]] std::uint32_t rank() const override { return rank_; }
    [[nodiscard]] std::uint32_t ranks() const override { return world_.ranks; }
    Status connect(std::uint32_t peer, Clock::time_point deadline) override;
    [[nodiscard]] std::span<const Lane> lanes(std::uint32_t) const override { return world_.lanes; }
    [[nodiscard]] std::uint32_t register_region(std::span<std::byte> memory) override {
        return regions_.add(memory);
    }
    void deregister_region(std::uint32_t region) override { regions_.remove(region); }
    void begin(const OperationHead& head) override;
    void end(ContextId context, std::uint64_t operation) override;
    void cancel(ContextId context, std::uint64_t operation) override;
    [[nodiscard]] bool post_send(std::uint32_t peer, std::uint32_t lane, const MessageKey& key,
                                 Segments data) override;
    void post_recv(std::uint32_t peer, const MessageKey& key, Segments to) override;
    void post_view(std::uint32_t peer, const MessageKey& key, std::size_t size) override;
    void release(const Completion& received) override;
    [[nodiscard]] std::size_t poll(std::span<Completion> out) override;
    [[nodiscard]] std::optional<Fault> fault() override;
    [[nodiscard]] bool arm() override { return world_.bells[rank_].arm(seen_); }
    void disarm() override { world_.bells[rank_].disarm(); }
    [[nodiscard]] std::span<const int> fds() const override {
        return {&world_.bells[rank_].fd(), 1};
    }
    void wake() override { world_.bells[rank_].ring(); }
    bool cut_lane(std::uint32_t peer, std::uint32_t lane) override;
    bool mend_lane(std::uint32_t peer, std::uint32_t lane) override;

  private:
    struct PostedReceive {
        MessageKey key;
        std::size_t size = 0;
        std::optional<Segments> to;
    };
    /// An operation that this rank is in.
    struct Begun {
        OperationHead head;
        std::uint64_t digest = 0;
        bool at_fault = false;  // reported; its messages stay where they are
    };
    /// Completions being handed out; full when `used` reaches the end.
    struct Sink {
        std::span<Completion> out;
        std::size_t used = 0;
        [[nodiscard]] bool full() const { return used == out.size(); }
        void put(Completion c) { out[used++] = std::move(c); }
    };
    void retire_sends(std::uint32_t peer, std::uint32_t lane, Sink& sink);
    void take_receives(std::uint32_t peer, std::uint32_t lane, Sink& sink);
    bool take(std::uint32_t peer, std::uint32_t lane, LaneQueue::Slot& slot, Sink& sink);
    bool consume(std::uint32_t peer, std::uint32_t lane, LaneQueue::Slot& slot, Sink& sink);
    void finish(std::uint32_t peer, LaneQueue::Slot& slot);
    [[nodiscard]] Begun* find(ContextId context, std::uint64_t operation);
    void forget(ContextId context, std::uint64_t operation);
    void revoke(std::uint32_t peer, std::uint32_t lane, ContextId context, std::uint64_t operation);
    void disagree(std::uint32_t peer, Begun& begun);
    void wrong_size(std::uint32_t peer, Begun& begun, std::size_t came, std::size_t expected);

    World& world_;
    std::uint32_t rank_;
    std::vector<std::uint32_t> connected_;
    std::vector<std::vector<PostedReceive>> receives_;  // by peer; short
    RegionTable<> regions_;
    std::vector<Begun> begun_;                  // in progress; few
    std::map<ContextId, std::uint64_t> ended_;  // newest ended operation
    std::uint64_t seen_ = 0;                    // the bell's count when the last poll began
    std::deque<Fault> faults_;
};

Status InprocEndpoint::connect(std::uint32_t peer, Clock::time_point deadline) {
    WEFT_CHECK(peer < world_.ranks && peer != rank_, "rank {} connects to {}", rank_, peer);
    if (std::find(connected_.begin(), connected_.end(), peer) != connected_.end()) return Done{};
    if (!world_.board.await_open(peer, deadline)) {
        std::string missing;
        for (const std::uint32_t r : world_.board.not_open()) missing += fmt::format(" {}", r);
        return LiveError{.what = "cannot connect: not arrived: rank" + missing,
                         .rank = static_cast<int>(rank_),
                         .peer = static_cast<int>(peer)};
    }
    connected_.push_back(peer);
    return Done{};
}

void InprocEndpoint::begin(const OperationHead& head) {
    begun_.push_back({.head = head, .digest = head.digest()});
}

InprocEndpoint::Begun* InprocEndpoint::find(ContextId context, std::uint64_t operation) {
    for (Begun& b : begun_)
        if (b.head.operation == operation && b.head.context == context) return &b;
    return nullptr;
}

void InprocEndpoint::forget(ContextId context, std::uint64_t operation) {
    std::erase_if(begun_, [&](const Begun& b) {
        return b.head.context == context && b.head.operation == operation;
    });
    std::uint64_t& newest = ended_[context];
    newest = std::max(newest, operation);
}

void InprocEndpoint::end(ContextId context, std::uint64_t operation) {
    forget(context, operation);
}

bool InprocEndpoint::post_send(std::uint32_t peer, std::uint32_t lane, const MessageKey& key,
                               Segments data) {
    regions_.check(data);
    LaneQueue& q = world_.queue(rank_, peer, lane);
    const std::uint64_t head = q.head.load(std::memory_order_relaxed);
    if (head - q.tail == LaneQueue::kDepth || q.dead.load(std::memory_order_acquire)) return false;
    LaneQueue::Slot& slot = q.slot(head);
    const Begun* begun = find(key.context, key.operation);
    WEFT_CHECK(begun, "a message of operation {}, which has not begun", key.operation);
    slot.key = key;
    slot.digest = begun->digest;
    slot.data = data;
    slot.state.store(LaneQueue::kPosted, std::memory_order_relaxed);
    q.head.store(head + 1, std::memory_order_release);
    world_.bells[peer].ring();
    return true;
}

void InprocEndpoint::post_recv(std::uint32_t peer, const MessageKey& key, Segments to) {
    regions_.check(to);
    receives_[peer].push_back({key, total_size(to), to});
}

void InprocEndpoint::post_view(std::uint32_t peer, const MessageKey& key, std::size_t size) {
    receives_[peer].push_back({key, size, std::nullopt});
}

void InprocEndpoint::finish(std::uint32_t peer, LaneQueue::Slot& slot) {
    slot.state.store(LaneQueue::kDone, std::memory_order_release);
    world_.bells[peer].ring();
}

void InprocEndpoint::release(const Completion& received) {
    LaneQueue& q = world_.queue(received.peer, rank_, received.lane);
    finish(received.peer, q.slots[received.ticket]);
}

std::size_t InprocEndpoint::poll(std::span<Completion> out) {
    seen_ = world_.bells[rank_].count();
    Sink sink{out};
    for (const std::uint32_t peer : connected_)
        for (std::uint32_t lane = 0; lane < world_.lanes.size(); ++lane) {
            retire_sends(peer, lane, sink);
            take_receives(peer, lane, sink);
        }
    return sink.used;
}

void InprocEndpoint::retire_sends(std::uint32_t peer, std::uint32_t lane, Sink& sink) {
    LaneQueue& q = world_.queue(rank_, peer, lane);
    const bool dead = q.dead.load(std::memory_order_acquire);
    if (dead != q.down_reported && !sink.full()) {
        q.down_reported = dead;
        const auto kind = dead ? Completion::Kind::kLaneDown : Completion::Kind::kLaneUp;
        sink.put({.kind = kind, .peer = peer, .lane = lane});
    }
    const std::uint64_t head = q.head.load(std::memory_order_relaxed);
    for (std::uint64_t i = q.tail; i < head && !sink.full(); ++i) {
        LaneQueue::Slot& slot = q.slot(i);
        std::uint32_t state = slot.state.load(std::memory_order_acquire);
        if (dead && state == LaneQueue::kPosted &&
            slot.state.compare_exchange_strong(state, LaneQueue::kRevoked))
            state = LaneQueue::kRevoked;
        if (state == LaneQueue::kDone || state == LaneQueue::kRevoked) {
            const bool sent = state == LaneQueue::kDone;
            sink.put({.kind = sent ? Completion::Kind::kSent : Completion::Kind::kSendLost,
                      .peer = peer,
                      .lane = lane,
                      .key = slot.key});
            slot.state.store(LaneQueue::kFree, std::memory_order_release);
        }
    }
    while (q.tail < head &&
           q.slot(q.tail).state.load(std::memory_order_relaxed) == LaneQueue::kFree)
        ++q.tail;
}

void InprocEndpoint::take_receives(std::uint32_t peer, std::uint32_t lane, Sink& sink) {
    LaneQueue& q = world_.queue(peer, rank_, lane);
    const std::uint64_t head = q.head.load(std::memory_order_acquire);
    bool earlier_all_taken = true;
    for (std::uint64_t i = q.first_open; i < head && !sink.full(); ++i) {
        LaneQueue::Slot& slot = q.slot(i);
        const bool open = slot.state.load(std::memory_order_acquire) == LaneQueue::kPosted;
        const bool taken = !open || take(peer, lane, slot, sink);
        earlier_all_taken = earlier_all_taken && taken;
        if (earlier_all_taken) q.first_open = i + 1;
    }
}

bool InprocEndpoint::take(std::uint32_t peer, std::uint32_t lane, LaneQueue::Slot& slot,
                          Sink& sink) {
    // Nothing of a slot is looked at before it is this side's: the sender may take back a message
    // and use the slot for another at any time.
    std::uint32_t expected = LaneQueue::kPosted;
    if (!slot.state.compare_exchange_strong(expected, LaneQueue::kTaken)) return true;  // revoked
    if (consume(peer, lane, slot, sink)) return true;
    slot.state.store(LaneQueue::kPosted, std::memory_order_release);
    if (world_.queue(peer, rank_, lane).dead.load(std::memory_order_acquire))
        world_.bells[peer].ring();
    return false;
}

bool InprocEndpoint::consume(std::uint32_t peer, std::uint32_t lane, LaneQueue::Slot& slot,
                             Sink& sink) {
    Begun* begun = find(slot.key.context, slot.key.operation);
    if (!begun) {
        const auto ended = ended_.find(slot.key.context);
        const bool late = ended != ended_.end() && slot.key.operation <= ended->second;
        if (late) finish(peer, slot);
        return late;
    }
    if (slot.digest != begun->digest) {
        disagree(peer, *begun);
        return false;
    }
    auto& posted = receives_[peer];
    const auto match = std::find_if(posted.begin(), posted.end(),
                                    [&](const PostedReceive& r) { return r.key == slot.key; });
    if (match == posted.end()) return false;
    const std::size_t size = total_size(slot.data);
    if (match->size != size) {
        wrong_size(peer, *begun, size, match->size);
        return false;
    }
    const LaneQueue& q = world_.queue(peer, rank_, lane);
    Completion c{.kind = Completion::Kind::kReceived,
                 .peer = peer,
                 .lane = lane,
                 .key = slot.key,
                 .data = slot.data,
                 .ticket = static_cast<std::uint64_t>(&slot - q.slots.data())};
    if (match->to) {
        copy_segments(slot.data, *match->to);
        c.data = *match->to;
        finish(peer, slot);
    }
    *match = posted.back();
    posted.pop_back();
    sink.put(std::move(c));
    return true;
}

void InprocEndpoint::disagree(std::uint32_t peer, Begun& begun) {
    if (begun.at_fault) return;
    begun.at_fault = true;
    const OperationHead& ours = begun.head;
    Fault f{.kind = Fault::Kind::kDisagreement,
            .context = ours.context,
            .operation = ours.operation,
            .peer = peer,
            .ours = ours,
            .theirs = {},
            .what = {}};
    f.theirs = world_.board.head(peer, ours.context, ours.operation).value_or(f.theirs);
    faults_.push_back(std::move(f));
}

void InprocEndpoint::wrong_size(std::uint32_t peer, Begun& begun, std::size_t came,
                                std::size_t expected) {
    if (begun.at_fault) return;
    begun.at_fault = true;
    faults_.push_back(
        {.kind = Fault::Kind::kWrongSize,
         .context = begun.head.context,
         .operation = begun.head.operation,
         .peer = peer,
         .ours = {},
         .theirs = {},
         .what = fmt::format("{} bytes came where {} were expected", came, expected)});
}

std::optional<Fault> InprocEndpoint::fault() {
    if (faults_.empty()) return std::nullopt;
    Fault first = std::move(faults_.front());
    faults_.pop_front();
    return first;
}

void InprocEndpoint::cancel(ContextId context, std::uint64_t operation) {
    for (auto& posted : receives_)
        std::erase_if(posted, [&](const PostedReceive& r) {
            return r.key.context == context && r.key.operation == operation;
        });
    for (const std::uint32_t peer : connected_)
        for (std::uint32_t lane = 0; lane < world_.lanes.size(); ++lane)
            revoke(peer, lane, context, operation);
    forget(context, operation);
}

void InprocEndpoint::revoke(std::uint32_t peer, std::uint32_t lane, ContextId context,
                            std::uint64_t operation) {
    const Clock::time_point give_up = Clock::now() + kLongestCopy;
    LaneQueue& q = world_.queue(rank_, peer, lane);
    const std::uint64_t head = q.head.load(std::memory_order_relaxed);
    for (std::uint64_t i = q.tail; i < head; ++i) {
        LaneQueue::Slot& slot = q.slot(i);
        if (slot.state.load(std::memory_order_acquire) == LaneQueue::kFree) continue;
        if (slot.key.context != context || slot.key.operation != operation) continue;
        std::uint32_t state = LaneQueue::kPosted;
        while (!slot.state.compare_exchange_strong(state, LaneQueue::kRevoked) &&
               state == LaneQueue::kTaken && Clock::now() < give_up) {
            std::this_thread::yield();
            state = LaneQueue::kPosted;
        }
        slot.state.store(LaneQueue::kFree, std::memory_order_release);
    }
}

bool InprocEndpoint::cut_lane(std::uint32_t peer, std::uint32_t lane) {
    world_.set_dead(rank_, peer, lane, true);
    return true;
}

bool InprocEndpoint::mend_lane(std::uint32_t peer, std::uint32_t lane) {
    world_.set_dead(rank_, peer, lane, false);
    return true;
}

class InprocTransport final : public Transport {
  public:
    explicit InprocTransport(const TransportOptions& options) : world_(options) {}
    [[nodiscard]] Outcome<Member> open(std::uint32_t rank, Clock::time_point) override {
        WEFT_CHECK(rank < world_.ranks, "rank {} of {}", rank, world_.ranks);
        Member member;
        member.control = control_on(world_.board, rank);
        member.endpoint = std::make_unique<InprocEndpoint>(world_, rank);
        return member;
    }
    [[nodiscard]] bool opens_alone() const override { return true; }

  private:
    World world_;
};

}  // namespace

std::unique_ptr<Transport> make_inproc(const TransportOptions& o) {
    if (o.ranks < 1 || o.ranks > kMaxRanks)
        throw ConfigError({.file = {},
                           .line = 0,
                           .key = "ranks",
                           .found = std::to_string(o.ranks),
                           .expected = fmt::format("1 to {} for transport inproc", kMaxRanks),
                           .example = "4"});
    WEFT_CHECK(o.rails * o.planes * o.paths > 0, "a pair of ranks needs a lane");
    return std::make_unique<InprocTransport>(o);
}

}  // namespace weft::live
