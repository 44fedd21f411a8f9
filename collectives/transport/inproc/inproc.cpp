#include "collectives/transport/inproc/inproc.hpp"

#include <algorithm>
#include <cstring>
#include <thread>
#include <utility>

#include "collectives/transport/inproc/board.hpp"
#include "collectives/transport/inproc/doorbell.hpp"
#include "collectives/transport/inproc/lane_queue.hpp"

namespace weft::live {

namespace {

constexpr std::uint32_t kMaxRanks = 64;
// A sleeping rank looks for faults that ring no bell at least this often.
constexpr auto kLongestNap = std::chrono::milliseconds(100);
// cancel() waits for a peer that reads this rank's memory, but not for one that has crashed.
constexpr auto kLongestCopy = std::chrono::seconds(5);

Doorbell::Patience patience_for(std::uint32_t ranks) {
    // With a core for every rank a short spin beats a trip through the kernel; with fewer cores
    // than ranks, whoever spins keeps the core from the one waited for.
    if (ranks <= std::thread::hardware_concurrency()) return {.checks = 4000, .yields = 16};
    return {.checks = 16, .yields = 8};
}

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
        patience = patience_for(ranks);
    }
    [[nodiscard]] LaneQueue& queue(std::uint32_t from, std::uint32_t to, std::uint32_t lane) const {
        return queues[(std::size_t{from} * ranks + to) * lanes.size() + lane];
    }
    void ring_all() const {
        for (std::uint32_t r = 0; r < ranks; ++r) bells[r].ring();
    }

    std::uint32_t ranks;
    Board board;
    std::unique_ptr<Doorbell[]> bells;
    std::vector<Lane> lanes;
    std::unique_ptr<LaneQueue[]> queues;
    Doorbell::Patience patience;
};

class InprocEndpoint final : public Endpoint {
  public:
    InprocEndpoint(World& world, std::uint32_t rank)
        : world_(world), rank_(rank), receives_(world.ranks) {
        world_.board.open(rank);
    }

    [[nodiscard]] std::uint32_t rank() const override { return rank_; }
    [[nodiscard]] std::uint32_t ranks() const override { return world_.ranks; }
    Status connect(std::uint32_t peer, Clock::time_point deadline) override;
    [[nodiscard]] std::span<const Lane> lanes(std::uint32_t) const override { return world_.lanes; }
    [[nodiscard]] std::uint32_t register_region(std::span<std::byte> memory) override;
    void deregister_region(std::uint32_t region) override;
    void announce(const OperationHead& head) override;
    [[nodiscard]] bool post_send(std::uint32_t peer, std::uint32_t lane, const MessageKey& key,
                                 Segments data) override;
    void post_recv(std::uint32_t peer, const MessageKey& key, Segments to) override;
    void post_view(std::uint32_t peer, const MessageKey& key) override;
    void release(const Completion& received) override;
    [[nodiscard]] std::size_t poll(std::span<Completion> out) override;
    void wait(Clock::time_point until) override;
    [[nodiscard]] std::optional<Fault> fault() override;
    void abort(const LiveError& error) override;
    void cancel() override;
    [[nodiscard]] std::vector<std::uint32_t> not_arrived(std::uint64_t operation) override;

  private:
    struct Region {
        std::byte* data = nullptr;
        std::size_t size = 0;
        bool operator==(const Region&) const = default;
    };
    struct PostedReceive {
        MessageKey key;
        std::optional<Segments> to;
    };
    /// Completions being handed out; full when `used` reaches the end.
    struct Sink {
        std::span<Completion> out;
        std::size_t used = 0;
        [[nodiscard]] bool full() const { return used == out.size(); }
        void put(Completion c) { out[used++] = std::move(c); }
    };
    void check_registered(Segments segments) const;
    void retire_sends(std::uint32_t peer, std::uint32_t lane, Sink& sink);
    void take_receives(std::uint32_t peer, std::uint32_t lane, Sink& sink);
    bool take(std::uint32_t peer, std::uint32_t lane, LaneQueue::Slot& slot, Sink& sink);
    void finish(std::uint32_t peer, LaneQueue::Slot& slot);
    void compare_with(std::uint32_t neighbour, std::uint64_t& verified);
    void disagree(std::uint32_t peer, std::uint64_t operation);
    void wrong_size(std::uint32_t peer, std::size_t came, std::size_t expected);

    World& world_;
    std::uint32_t rank_;
    std::vector<std::uint32_t> connected_;
    std::vector<std::vector<PostedReceive>> receives_;  // by peer; short
    std::vector<std::optional<Region>> regions_;
    OperationHead head_;
    std::uint64_t digest_ = 0;
    std::uint64_t seen_ = 0;             // the bell's count when the last poll began
    std::uint64_t verified_before_ = 0;  // operations compared with the ring predecessor's
    std::uint64_t verified_after_ = 0;   // ... and with the successor's
    std::optional<Fault> fault_;
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

std::uint32_t InprocEndpoint::register_region(std::span<std::byte> memory) {
    const auto free = std::find(regions_.begin(), regions_.end(), std::nullopt);
    const auto index = static_cast<std::uint32_t>(free - regions_.begin());
    if (free == regions_.end()) regions_.emplace_back();
    regions_[index] = Region{memory.data(), memory.size()};
    return index;
}

void InprocEndpoint::deregister_region(std::uint32_t region) {
    WEFT_CHECK(region < regions_.size() && regions_[region], "region {} is not registered", region);
    regions_[region].reset();
}

void InprocEndpoint::check_registered(Segments segments) const {
    for (const Segment& s : segments) {
        if (s.size == 0) continue;
        WEFT_CHECK(s.region < regions_.size() && regions_[s.region], "region {} is not registered",
                   s.region);
        const Region& region = *regions_[s.region];
        WEFT_CHECK(s.data >= region.data && s.data + s.size <= region.data + region.size,
                   "{} bytes lie outside of region {}", s.size, s.region);
    }
}

void InprocEndpoint::announce(const OperationHead& head) {
    head_ = head;
    digest_ = head.digest();
    world_.board.announce(rank_, head);
}

bool InprocEndpoint::post_send(std::uint32_t peer, std::uint32_t lane, const MessageKey& key,
                               Segments data) {
    check_registered(data);
    LaneQueue& q = world_.queue(rank_, peer, lane);
    const std::uint64_t head = q.head.load(std::memory_order_relaxed);
    if (head - q.tail == LaneQueue::kDepth || q.dead.load(std::memory_order_acquire)) return false;
    LaneQueue::Slot& slot = q.slot(head);
    slot.key = key;
    slot.digest = digest_;
    slot.data = data;
    slot.state.store(LaneQueue::kPosted, std::memory_order_relaxed);
    q.head.store(head + 1, std::memory_order_release);
    world_.bells[peer].ring();
    return true;
}

void InprocEndpoint::post_recv(std::uint32_t peer, const MessageKey& key, Segments to) {
    check_registered(to);
    receives_[peer].push_back({key, to});
}

void InprocEndpoint::post_view(std::uint32_t peer, const MessageKey& key) {
    receives_[peer].push_back({key, std::nullopt});
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
    if (dead && !q.down_reported && !sink.full()) {
        q.down_reported = true;
        sink.put({.kind = Completion::Kind::kLaneDown, .peer = peer, .lane = lane});
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
    if (slot.key.operation == head_.operation && slot.digest != digest_) {
        disagree(peer, head_.operation);
        return false;
    }
    auto& posted = receives_[peer];
    const auto match = std::find_if(posted.begin(), posted.end(),
                                    [&](const PostedReceive& r) { return r.key == slot.key; });
    if (match == posted.end()) return false;
    const std::size_t size = total_size(slot.data);
    if (match->to && total_size(*match->to) != size) {
        wrong_size(peer, size, total_size(*match->to));
        return false;
    }
    std::uint32_t expected = LaneQueue::kPosted;
    if (!slot.state.compare_exchange_strong(expected, LaneQueue::kTaken)) return true;  // revoked
    const LaneQueue& q = world_.queue(peer, rank_, lane);
    Completion c{.kind = Completion::Kind::kReceived,
                 .peer = peer,
                 .lane = lane,
                 .key = slot.key,
                 .data = slot.data,
                 .ticket = static_cast<std::uint64_t>(&slot - q.slots.data())};
    if (match->to) {
        SegmentReader from(slot.data);
        for (const Segment& to : *match->to)
            for (std::size_t at = 0; at < to.size;) {
                const std::span<const std::byte> piece = from.next(to.size - at);
                std::memcpy(to.data + at, piece.data(), piece.size());
                at += piece.size();
            }
        c.data = *match->to;
        finish(peer, slot);
    }
    *match = posted.back();
    posted.pop_back();
    sink.put(std::move(c));
    return true;
}

void InprocEndpoint::wait(Clock::time_point until) {
    const Clock::time_point nap = std::min(until, Clock::now() + kLongestNap);
    world_.bells[rank_].wait(seen_, nap, world_.patience);
}

void InprocEndpoint::disagree(std::uint32_t peer, std::uint64_t operation) {
    if (fault_) return;
    Fault f;
    f.kind = Fault::Kind::kDisagreement;
    f.peer = peer;
    f.theirs = world_.board.head(peer, operation).value_or(OperationHead{.operation = operation});
    f.ours = world_.board.head(rank_, operation).value_or(head_);
    fault_ = std::move(f);
}

void InprocEndpoint::wrong_size(std::uint32_t peer, std::size_t came, std::size_t expected) {
    if (fault_) return;
    Fault f;
    f.kind = Fault::Kind::kWrongSize;
    f.peer = peer;
    f.what = fmt::format("{} bytes came where {} were expected", came, expected);
    fault_ = std::move(f);
}

void InprocEndpoint::compare_with(std::uint32_t neighbour, std::uint64_t& verified) {
    const std::uint64_t both = std::min(world_.board.newest(neighbour), head_.operation);
    for (; verified < both; ++verified) {
        const auto theirs = world_.board.head(neighbour, verified + 1);
        const auto ours = world_.board.head(rank_, verified + 1);
        if (theirs && ours && !(*theirs == *ours)) disagree(neighbour, verified + 1);
    }
}

std::optional<Fault> InprocEndpoint::fault() {
    if (!fault_ && world_.board.aborted()) fault_ = world_.board.abort_fault();
    if (!fault_ && world_.ranks > 1) {
        compare_with((rank_ + world_.ranks - 1) % world_.ranks, verified_before_);
        compare_with((rank_ + 1) % world_.ranks, verified_after_);
    }
    return fault_;
}

void InprocEndpoint::abort(const LiveError& error) {
    world_.board.abort(rank_, to_string(error));
    world_.ring_all();
}

void InprocEndpoint::cancel() {
    const Clock::time_point give_up = Clock::now() + kLongestCopy;
    for (auto& posted : receives_) posted.clear();
    for (const std::uint32_t peer : connected_)
        for (std::uint32_t lane = 0; lane < world_.lanes.size(); ++lane) {
            LaneQueue& q = world_.queue(rank_, peer, lane);
            const std::uint64_t head = q.head.load(std::memory_order_relaxed);
            for (; q.tail < head; ++q.tail) {
                LaneQueue::Slot& slot = q.slot(q.tail);
                std::uint32_t state = LaneQueue::kPosted;
                slot.state.compare_exchange_strong(state, LaneQueue::kRevoked);
                while (slot.state.load(std::memory_order_acquire) == LaneQueue::kTaken &&
                       Clock::now() < give_up)
                    std::this_thread::yield();
                slot.state.store(LaneQueue::kFree, std::memory_order_release);
            }
        }
}

std::vector<std::uint32_t> InprocEndpoint::not_arrived(std::uint64_t operation) {
    std::vector<std::uint32_t> missing;
    for (std::uint32_t r = 0; r < world_.ranks; ++r)
        if (world_.board.newest(r) < operation) missing.push_back(r);
    return missing;
}

class InprocTransport final : public Transport {
  public:
    explicit InprocTransport(const TransportOptions& options) : world_(options) {}
    [[nodiscard]] std::unique_ptr<Endpoint> open(std::uint32_t rank) override {
        WEFT_CHECK(rank < world_.ranks, "rank {} of {}", rank, world_.ranks);
        return std::make_unique<InprocEndpoint>(world_, rank);
    }
    bool kill_lane(std::uint32_t from, std::uint32_t to, std::uint32_t lane) override {
        world_.queue(from, to, lane).dead.store(true, std::memory_order_release);
        world_.bells[from].ring();
        return true;
    }

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
