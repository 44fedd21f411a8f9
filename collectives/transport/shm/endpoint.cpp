#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include "collectives/transport/regions.hpp"
#include "collectives/transport/shm/link.hpp"
#include "collectives/transport/shm/shm.hpp"

namespace weft::live {

namespace {

using shm::Got;
using shm::GotRef;
using shm::Link;
using shm::LinkLane;
using shm::Slot;

// Below this a copy into the arena costs less than the receiver's claim on the caller's memory.
constexpr std::size_t kPlaceFrom = 2048;
// Below this the kernel's work for each page costs more than a second copy.
constexpr std::size_t kFarFrom = 32 * 1024;
// cancel() waits for a peer that reads this rank's memory, but not for one that has stopped.
constexpr auto kLongestRead = std::chrono::milliseconds(900);

/// Everything written before is seen by whoever has said before that it sleeps, or the other way
/// round: a store and then a load, which no cheaper fence keeps in order.
class StoreLoadFence {
  public:
    void operator()() {
#if defined(__SANITIZE_THREAD__)
        word_.fetch_add(1, std::memory_order_seq_cst);
#else
        std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
    }

  private:
    std::atomic<std::uint32_t> word_{0};
};

std::uint64_t random_word() {
    std::uint64_t word = 0;
    (void)!::getrandom(&word, sizeof word, 0);
    return word;
}

class Impl final : public ShmEndpoint {
  public:
    Impl(NetControl& control, const ShmOptions& options, shm::Mapping segment, shm::File bell,
         shm::File poller);
    ~Impl() override;
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    [[nodiscard]] std::uint32_t rank() const override { return rank_; }
    [[nodiscard]] std::uint32_t ranks() const override {
        return static_cast<std::uint32_t>(links_.size());
    }
    Status connect(std::uint32_t peer, Clock::time_point deadline) override;
    [[nodiscard]] std::span<const Lane> lanes(std::uint32_t) const override {
        return options_.lanes;
    }
    [[nodiscard]] std::uint32_t register_region(std::span<std::byte> memory) override;
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
    [[nodiscard]] bool arm() override;
    void disarm() override;
    [[nodiscard]] std::span<const int> fds() const override { return fds_; }
    void wake() override;
    bool cut_lane(std::uint32_t peer, std::uint32_t lane) override;
    bool mend_lane(std::uint32_t peer, std::uint32_t lane) override;

    [[nodiscard]] shm::RankPage& page() override {
        return *reinterpret_cast<shm::RankPage*>(segment_.data());
    }
    [[nodiscard]] const shm::RankPage* page_of(std::uint32_t peer) const override {
        return links_[peer] ? &links_[peer]->page() : nullptr;
    }
    [[nodiscard]] const shm::RemoteMemory* memory_of(std::uint32_t peer) const override {
        return links_[peer] ? links_[peer]->memory() : nullptr;
    }
    void ring(std::span<const std::uint32_t> peers, bool surely) override {
        if (surely) fence_();
        for (const std::uint32_t peer : peers)
            if (peer != rank_) links_[peer]->ring();
    }
    [[nodiscard]] bool arena_is_free() const override { return arena_.all_free(); }

  private:
    struct Active {
        OperationHead head;
        std::uint64_t digest = 0;
    };
    enum class Standing : std::uint8_t { kEnded, kActive, kToCome };

    [[nodiscard]] Link& link(std::uint32_t peer) const {
        WEFT_CHECK(peer < links_.size() && links_[peer], "rank {} is not connected to {}", rank_,
                   peer);
        return *links_[peer];
    }
    void admit(shm::Meeting meeting);
    void admit_all();
    std::span<const Slot::Place> places_of(Link& l, Segments data, std::size_t size,
                                           shm::Kind& kind);
    [[nodiscard]] const Active* active(ContextId context, std::uint64_t operation) const;
    [[nodiscard]] Standing standing(const MessageKey& key) const;
    void write_head(const OperationHead& head);
    void forget(ContextId context, std::uint64_t operation);

    /// Wakes the peer. Whoever goes to sleep in this very moment is woken by the next settle():
    /// to make sure at once would mean to wait for the last stores to reach the other core.
    void ring(Link& l) {
        l.ring();
        owe(l);
    }
    void owe(Link& l) {
        if (std::exchange(l.unsettled, true)) return;
        unsettled_.push_back(&l);
    }
    void settle() {
        if (unsettled_.empty()) return;
        for (Link* l : unsettled_)
            for (LinkLane& lane : l->lanes) lane.rx.publish();
        fence_();
        for (Link* l : unsettled_) {
            l->ring();
            l->unsettled = false;
        }
        unsettled_.clear();
    }
    void poll_link(Link& l);
    void drop_taken_back(Link& l);
    void poll_lane(Link& l, std::uint32_t lane);
    void lane_changed(Link& l, std::uint32_t lane);
    void arrive(Link& l, std::uint32_t lane, Got& g);
    void post(Link& l, shm::PostedReceive receive);
    bool deliver(Link& l, std::uint32_t lane, Got& g, std::size_t posted);
    bool progress(Link& l, std::uint32_t lane, Got& g);
    void give_back(Link& l, std::uint32_t lane, Got& g);
    [[nodiscard]] bool has_news();
    [[nodiscard]] bool asleep() { return page().sleep % 2 != 0; }
    void drop_receives(Link& l, ContextId context, std::uint64_t operation);

    void emit(Completion c) {
        if (used_ < out_.size())
            out_[used_++] = std::move(c);
        else
            ready_.push_back(std::move(c));
    }
    void disagree(Link& l, const MessageKey& key);
    void complain(Fault::Kind kind, const MessageKey& key, std::uint32_t peer, std::string what);

    NetControl& control_;
    ShmOptions options_;
    std::uint32_t rank_;
    pid_t owner_ = ::getpid();
    shm::Mapping segment_;
    shm::File bell_;
    shm::File poller_;
    std::array<int, 1> fds_{};
    shm::Arena arena_;
    shm::BufferPool buffers_;
    std::unique_ptr<std::uint64_t> word_;  // random; whoever can read it can read messages
    StoreLoadFence fence_;
    RegionTable<std::optional<SharedHeap::Place>> regions_;
    std::vector<Active> active_;
    std::vector<std::pair<ContextId, std::uint64_t>> newest_;  // operation begun, by context
    std::vector<std::unique_ptr<Link>> links_;                 // by peer; null: not connected
    std::vector<Link*> connected_;
    std::vector<Link*> unsettled_;  // told something since the last settle()
    std::size_t first_ = 0;         // the link that poll() begins with: they take turns
    std::span<Completion> out_;     // of the poll() under way
    std::size_t used_ = 0;
    std::deque<Completion> ready_;  // completions that found no room
    std::deque<Fault> faults_;
    std::vector<std::pair<std::uint32_t, MessageKey>> complained_;  // said once: (peer, operation)
    std::vector<Slot::Place> places_;
    shm::MeetingPlace meetings_;
};

Impl::Impl(NetControl& control, const ShmOptions& options, shm::Mapping segment, shm::File bell,
           shm::File poller)
    : control_(control),
      options_(options),
      rank_(control.rank()),
      segment_(std::move(segment)),
      bell_(std::move(bell)),
      poller_(std::move(poller)),
      fds_{poller_.get()},
      arena_(segment_.data() + sizeof(shm::RankPage), options.arena_bytes),
      word_(std::make_unique<std::uint64_t>(random_word())),
      links_(control.ranks()),
      meetings_(control,
                {.segment = segment_.file(),
                 .bell = bell_.get(),
                 .segment_bytes = segment_.size(),
                 .lanes = static_cast<std::uint32_t>(options.lanes.size()),
                 .word = options.may_be_read ? word_.get() : nullptr},
                poller_.get()) {
    page().magic = shm::kMagic;
    page().rank = rank_;
}

Impl::~Impl() {
    // In a child of the process nothing of this is there any more.
    if (owner_ == ::getpid()) settle();
}

// --- who is there ---

Status Impl::connect(std::uint32_t peer, Clock::time_point deadline) {
    WEFT_CHECK(peer < links_.size() && peer != rank_, "rank {} connects to {}", rank_, peer);
    admit_all();
    if (links_[peer]) return Done{};
    const auto named = [&](LiveError e) {
        e.rank = static_cast<int>(rank_);
        e.peer = static_cast<int>(peer);
        return e;
    };
    if (!control_.same_host(peer))
        return named({.what = "cannot connect: the peer is on another host"});
    auto met = meetings_.meet(peer, deadline);
    if (!met.ok()) return named(met.error());
    admit(std::move(met.value()));
    return Done{};
}

void Impl::admit(shm::Meeting meeting) {
    auto& l = links_[meeting.peer];
    if (l) return;
    l = std::make_unique<Link>(std::move(meeting), rank_,
                               static_cast<std::uint32_t>(options_.lanes.size()), arena_, buffers_,
                               options_.heap);
    connected_.push_back(l.get());
}

void Impl::admit_all() {
    if (!meetings_.expecting()) return;
    for (shm::Meeting& m : meetings_.collect()) admit(std::move(m));
    while (const auto refused = meetings_.refused())
        complain(Fault::Kind::kUnreachable, {}, static_cast<std::uint32_t>(refused->peer),
                 refused->what);
}

// --- memory ---

std::uint32_t Impl::register_region(std::span<std::byte> memory) {
    return regions_.add(memory, options_.heap ? options_.heap->find(memory) : std::nullopt);
}

/// Where the peer can read the message, and how; empty when it must be copied.
std::span<const Slot::Place> Impl::places_of(Link& l, Segments data, std::size_t size,
                                             shm::Kind& kind) {
    places_.clear();
    if (size < kPlaceFrom || data.size() > Slot::kPlaces) return {};
    const auto shared = [&](const Segment& s) {
        if (s.size == 0) return true;
        const auto& place = regions_.at(s.region).note;
        return place && l.show(place->block);
    };
    if (options_.heap != nullptr && std::all_of(data.begin(), data.end(), shared))
        kind = shm::Kind::kPlace;
    else if (size >= kFarFrom && options_.messages_are_read && l.is_read())
        kind = shm::Kind::kFar;
    else
        return {};
    for (const Segment& s : data) {
        if (s.size == 0) continue;
        const auto& region = regions_.at(s.region);
        Slot::Place p{reinterpret_cast<std::uintptr_t>(s.data), s.size, 0, 0};
        if (kind == shm::Kind::kPlace) {
            const auto into = static_cast<std::uint64_t>(s.data - region.memory.data());
            p.offset = region.note->offset + into;
            p.block = region.note->block;
        }
        places_.push_back(p);
    }
    return places_;
}

// --- operations ---

const Impl::Active* Impl::active(ContextId context, std::uint64_t operation) const {
    for (const Active& a : active_)
        if (a.head.operation == operation && a.head.context == context) return &a;
    return nullptr;
}

Impl::Standing Impl::standing(const MessageKey& key) const {
    if (active(key.context, key.operation) != nullptr) return Standing::kActive;
    for (const auto& [context, newest] : newest_)
        if (context == key.context)
            return key.operation <= newest ? Standing::kEnded : Standing::kToCome;
    return Standing::kToCome;
}

void Impl::write_head(const OperationHead& h) {
    shm::RankPage::Head& row = page().heads[h.operation % shm::RankPage::kHeads];
    const std::uint64_t version = row.version;
    shm::store(row.version, version + 1);
    shm::store(row.operation, h.operation);
    shm::store(row.plan_hash, h.plan_hash);
    shm::store(row.count, h.count);
    shm::store(row.kinds, std::uint64_t{h.collective} | std::uint64_t{h.dtype} << 8 |
                              std::uint64_t{h.reduction} << 16 | std::uint64_t{h.reserved} << 24);
    shm::store(row.context, h.context);
    shm::store(row.root, h.root);
    shm::store(row.version, version + 2);
}

void Impl::begin(const OperationHead& head) {
    const auto known = std::find_if(newest_.begin(), newest_.end(),
                                    [&](const auto& n) { return n.first == head.context; });
    if (known == newest_.end()) {
        newest_.emplace_back(head.context, head.operation);
    } else {
        WEFT_CHECK(head.operation > known->second, "operation {} begins after {}", head.operation,
                   known->second);
        known->second = head.operation;
    }
    active_.push_back({head, head.digest()});
    write_head(head);
    for (Link* l : connected_)
        for (const GotRef& w : l->waiting) {
            const Got& g = l->lanes[w.lane].rx.at(w.index);
            if (g.key.operation == head.operation && g.key.context == head.context &&
                g.digest != active_.back().digest)
                disagree(*l, g.key);
        }
}

/// What has come of the operation, and nobody has asked for, is consumed.
void Impl::forget(ContextId context, std::uint64_t operation) {
    active_.erase(std::remove_if(active_.begin(), active_.end(),
                                 [&](const Active& a) {
                                     return a.head.operation == operation &&
                                            a.head.context == context;
                                 }),
                  active_.end());
    for (Link* l : connected_) {
        if (l->waiting.empty()) continue;
        bool any = false;
        const auto ended = [&](const GotRef& w) {
            shm::Receiver& rx = l->lanes[w.lane].rx;
            Got& g = rx.at(w.index);
            if (g.key.operation != operation || g.key.context != context) return false;
            rx.consume(g);
            any = true;
            return true;
        };
        l->waiting.erase(std::remove_if(l->waiting.begin(), l->waiting.end(), ended),
                         l->waiting.end());
        if (any) owe(*l);
    }
}

void Impl::end(ContextId context, std::uint64_t operation) {
    forget(context, operation);
    settle();
}

void Impl::drop_receives(Link& l, ContextId context, std::uint64_t operation) {
    const auto of_it = [&](const MessageKey& k) {
        return k.operation == operation && k.context == context;
    };
    l.posted.erase(std::remove_if(l.posted.begin(), l.posted.end(),
                                  [&](const auto& p) { return of_it(p.key); }),
                   l.posted.end());
    l.filling.erase(
        std::remove_if(l.filling.begin(), l.filling.end(),
                       [&](const GotRef& f) { return of_it(l.lanes[f.lane].rx.at(f.index).key); }),
        l.filling.end());
    for (LinkLane& lane : l.lanes)
        for (Got& g : lane.rx.all())
            if (of_it(g.key) && (g.state == Got::State::kFilling || g.state == Got::State::kShown))
                lane.rx.consume(g);
    owe(l);
}

void Impl::cancel(ContextId context, std::uint64_t operation) {
    const auto of_it = [&](const Completion& c) {
        return c.key.operation == operation && c.key.context == context &&
               c.kind != Completion::Kind::kLaneDown && c.kind != Completion::Kind::kLaneUp;
    };
    ready_.erase(std::remove_if(ready_.begin(), ready_.end(), of_it), ready_.end());
    const Clock::time_point give_up = Clock::now() + kLongestRead;
    for (Link* l : connected_) drop_receives(*l, context, operation);
    forget(context, operation);
    for (Link* l : connected_)
        for (std::uint32_t lane = 0; lane < l->lanes.size(); ++lane) {
            shm::Sender& tx = l->lanes[lane].tx;
            const auto sent = [&](const MessageKey& key) {
                if (key.operation == operation && key.context == context) return;
                emit(
                    {.kind = Completion::Kind::kSent, .peer = l->peer(), .lane = lane, .key = key});
            };
            tx.retire(sent);
            while (tx.cancel(context, operation) && Clock::now() < give_up && !l->hung_up()) {
                std::this_thread::yield();
                tx.retire(sent);
            }
            if (l->hung_up()) tx.reclaim();
            ring(*l);
        }
    settle();
}

// --- messages ---

bool Impl::post_send(std::uint32_t peer, std::uint32_t lane, const MessageKey& key, Segments data) {
    Link& l = link(peer);
    LinkLane& at = l.lanes[lane];
    regions_.check(data);
    if (at.tx.refuses()) return false;
    if (l.lanes.size() > 1 && (at.epoch % 2 != 0 || shm::load(l.epoch(lane)) != at.epoch))
        return false;
    const Active* a = active(key.context, key.operation);
    WEFT_CHECK(a != nullptr, "a message of operation {}, which has not begun", key.operation);
    shm::Kind kind = shm::Kind::kPlace;
    const auto places = places_of(l, data, total_size(data), kind);
    at.tx.post(key, a->digest, data, places, kind);
    ring(l);
    return true;
}

void Impl::post_recv(std::uint32_t peer, const MessageKey& key, Segments to) {
    regions_.check(to);
    post(link(peer), {key, to, total_size(to)});
}

void Impl::post_view(std::uint32_t peer, const MessageKey& key, std::size_t size) {
    post(link(peer), {key, std::nullopt, size});
}

void Impl::post(Link& l, shm::PostedReceive receive) {
    l.posted.push_back(receive);
    for (std::size_t i = 0; i < l.waiting.size();) {
        const GotRef w = l.waiting[i];
        Got& g = l.lanes[w.lane].rx.at(w.index);
        const bool dead = shm::load(l.epoch(w.lane)) % 2 != 0;
        if (g.key != receive.key || dead || !deliver(l, w.lane, g, l.posted.size() - 1)) {
            ++i;
            continue;
        }
        l.waiting.erase(l.waiting.begin() + static_cast<std::ptrdiff_t>(i));
        // Unless its sender had taken it back: the same message may have come on another lane.
        if (l.posted.empty() || l.posted.back().key != receive.key) return;
    }
}

void Impl::arrive(Link& l, std::uint32_t lane, Got& g) {
    switch (standing(g.key)) {
        case Standing::kEnded:
            return give_back(l, lane, g);
        case Standing::kActive:
            if (g.digest != active(g.key.context, g.key.operation)->digest) disagree(l, g.key);
            break;
        case Standing::kToCome:
            break;
    }
    for (std::size_t i = 0; i < l.posted.size(); ++i)
        if (l.posted[i].key == g.key && deliver(l, lane, g, i)) return;
    if (g.state == Got::State::kWaiting) l.waiting.push_back({lane, g.index});
}

/// False: the message stays where it is, or has been taken back by its sender (state kFree).
bool Impl::deliver(Link& l, std::uint32_t lane, Got& g, std::size_t posted) {
    const shm::PostedReceive receive = l.posted[posted];
    const Active* a = active(g.key.context, g.key.operation);
    if (a == nullptr || a->digest != g.digest) return false;
    if (g.size != receive.size) {
        complain(Fault::Kind::kWrongSize, g.key, l.peer(),
                 fmt::format("{} bytes came where {} were expected", g.size, receive.size));
        return false;
    }
    if (!l.lanes[lane].rx.claim(g)) {
        owe(l);
        return true;
    }
    l.posted.erase(l.posted.begin() + static_cast<std::ptrdiff_t>(posted));
    g.to = receive.to;
    if (!progress(l, lane, g)) l.filling.push_back({lane, g.index});
    return true;
}

/// True: nothing is left to be done for it by poll().
bool Impl::progress(Link& l, std::uint32_t lane, Got& g) {
    using Progress = shm::Receiver::Progress;
    bool tell = false;
    const Progress p = l.lanes[lane].rx.fill(g, tell);
    if (p == Progress::kComplete) {
        Completion c{.kind = Completion::Kind::kReceived,
                     .peer = l.peer(),
                     .lane = lane,
                     .key = g.key,
                     .data = g.to ? *g.to : Segments(g.view),
                     .ticket = g.index};
        if (g.to)
            give_back(l, lane, g);
        else
            g.state = Got::State::kShown;
        emit(std::move(c));
    } else if (p == Progress::kGivenUp) {
        // As if it had never come: the receive waits on.
        l.posted.push_back({g.key, g.to, g.size});
        give_back(l, lane, g);
    } else if (p == Progress::kCorrupt) {
        complain(Fault::Kind::kCorrupt, g.key, l.peer(), "a message breaks the layout's rules");
    }
    if (tell && p == Progress::kPending) ring(l);
    return p != Progress::kPending;
}

void Impl::give_back(Link& l, std::uint32_t lane, Got& g) {
    shm::Receiver& rx = l.lanes[lane].rx;
    rx.consume(g);
    // Word of a small message can wait until the next call; that of a large one frees memory.
    if (g.kind == shm::Kind::kInline) return owe(l);
    rx.publish();
    ring(l);
}

void Impl::release(const Completion& received) {
    Link& l = link(received.peer);
    Got& g = l.lanes[received.lane].rx.at(received.ticket);
    // After a cancel() it is gone already.
    if (g.state != Got::State::kShown || g.index != received.ticket) return;
    give_back(l, received.lane, g);
}

// --- progress ---

std::size_t Impl::poll(std::span<Completion> out) {
    used_ = 0;
    while (!ready_.empty() && used_ < out.size()) {
        out[used_++] = std::move(ready_.front());
        ready_.pop_front();
    }
    out_ = out;
    settle();
    admit_all();
    for (std::size_t i = 0; i < connected_.size() && used_ < out_.size(); ++i) {
        const std::size_t at =
            first_ + i < connected_.size() ? first_ + i : first_ + i - connected_.size();
        poll_link(*connected_[at]);
        if (used_ == out_.size()) first_ = at;
    }
    out_ = {};
    return std::exchange(used_, 0);
}

/// Messages of operations that their sender has given up, and that never began here.
void Impl::drop_taken_back(Link& l) {
    const auto gone = [&](const GotRef& w) {
        shm::Receiver& rx = l.lanes[w.lane].rx;
        if (!rx.taken_back(rx.at(w.index))) return false;
        rx.consume(rx.at(w.index));
        owe(l);
        return true;
    };
    l.waiting.erase(std::remove_if(l.waiting.begin(), l.waiting.end(), gone), l.waiting.end());
}

void Impl::poll_link(Link& l) {
    if (!l.waiting.empty()) drop_taken_back(l);
    for (std::uint32_t lane = 0; lane < l.lanes.size(); ++lane) poll_lane(l, lane);
    for (std::size_t i = 0; i < l.filling.size();) {
        const GotRef f = l.filling[i];
        shm::Receiver& rx = l.lanes[f.lane].rx;
        if (rx.has_more(rx.at(f.index)) && progress(l, f.lane, rx.at(f.index)))
            l.filling.erase(l.filling.begin() + static_cast<std::ptrdiff_t>(i));
        else
            ++i;
    }
}

void Impl::poll_lane(Link& l, std::uint32_t lane) {
    LinkLane& at = l.lanes[lane];
    if (l.lanes.size() > 1 && (shm::load(l.epoch(lane)) != at.epoch || at.epoch % 2 != 0))
        lane_changed(l, lane);
    while (used_ < out_.size() && at.epoch % 2 == 0 && at.rx.ready()) {
        Got* g = at.rx.next();
        if (g != nullptr)
            arrive(l, lane, *g);
        else
            owe(l);
    }
    if (at.rx.broken() && !std::exchange(at.broken, true))
        complain(Fault::Kind::kCorrupt, {}, l.peer(), "what came is no message of this version");
    at.tx.retire([&](const MessageKey& key) {
        emit({.kind = Completion::Kind::kSent, .peer = l.peer(), .lane = lane, .key = key});
    });
    if (at.tx.advance()) ring(l);
}

void Impl::lane_changed(Link& l, std::uint32_t lane) {
    LinkLane& at = l.lanes[lane];
    const std::uint32_t now = shm::load(l.epoch(lane));
    const bool was_up = at.epoch % 2 == 0;
    Completion c{.kind = Completion::Kind::kLaneDown, .peer = l.peer(), .lane = lane};
    if (was_up && now != at.epoch) {
        emit(c);
        at.tx.revoke_all([&](const MessageKey& key) {
            emit({.kind = Completion::Kind::kSendLost, .peer = l.peer(), .lane = lane, .key = key});
        });
        ring(l);
    }
    at.rx.drop_revoked([&](const Got& g) {
        const auto gone = [&](const GotRef& w) { return w.lane == lane && w.index == g.index; };
        l.waiting.erase(std::remove_if(l.waiting.begin(), l.waiting.end(), gone), l.waiting.end());
        owe(l);
    });
    if (now % 2 == 0 && now != at.epoch) {
        c.kind = Completion::Kind::kLaneUp;
        emit(c);
    }
    at.epoch = now;
}

bool Impl::has_news() {
    if (!ready_.empty() || !faults_.empty() || meetings_.settled()) return true;
    for (Link* l : connected_) {
        for (std::uint32_t lane = 0; lane < l->lanes.size(); ++lane) {
            LinkLane& at = l->lanes[lane];
            if (shm::load(l->epoch(lane)) != at.epoch) return true;
            if ((at.epoch % 2 == 0 && at.rx.ready()) || at.tx.has_news()) return true;
        }
        for (const GotRef& w : l->waiting) {
            shm::Receiver& rx = l->lanes[w.lane].rx;
            if (rx.taken_back(rx.at(w.index))) return true;
        }
        for (const GotRef& f : l->filling) {
            const shm::Receiver& rx = l->lanes[f.lane].rx;
            if (rx.has_more(l->lanes[f.lane].rx.at(f.index))) return true;
        }
    }
    return false;
}

bool Impl::arm() {
    if (!asleep()) shm::store(page().sleep, page().sleep + 1);
    fence_();
    settle();
    if (!has_news()) return true;
    shm::store(page().sleep, page().sleep + 1);
    return false;
}

void Impl::disarm() {
    if (!asleep()) return;
    shm::store(page().sleep, page().sleep + 1);
    std::uint64_t rung = 0;
    (void)!::read(bell_.get(), &rung, sizeof rung);
}

void Impl::wake() {
    const std::uint64_t one = 1;
    (void)!::write(bell_.get(), &one, sizeof one);
}

bool Impl::cut_lane(std::uint32_t peer, std::uint32_t lane) {
    Link& l = link(peer);
    if (l.lanes.size() < 2) return false;
    std::uint32_t now = shm::load(l.epoch(lane));
    if (now % 2 == 0) {
        std::atomic_ref<std::uint32_t>(l.epoch(lane)).compare_exchange_strong(now, now + 1);
        ring(l);
    }
    return true;
}

bool Impl::mend_lane(std::uint32_t peer, std::uint32_t lane) {
    Link& l = link(peer);
    if (l.lanes.size() < 2) return false;
    std::uint32_t now = shm::load(l.epoch(lane));
    if (now % 2 != 0) {
        std::atomic_ref<std::uint32_t>(l.epoch(lane)).compare_exchange_strong(now, now + 1);
        ring(l);
    }
    return true;
}

// --- faults ---

std::optional<Fault> Impl::fault() {
    if (faults_.empty()) return std::nullopt;
    Fault f = std::move(faults_.front());
    faults_.pop_front();
    return f;
}

void Impl::complain(Fault::Kind kind, const MessageKey& key, std::uint32_t peer, std::string what) {
    const MessageKey operation{key.operation, key.context, static_cast<std::uint32_t>(kind), 0};
    const auto said = std::pair(peer, operation);
    if (std::find(complained_.begin(), complained_.end(), said) != complained_.end()) return;
    complained_.push_back(said);
    Fault f;
    f.kind = kind;
    f.context = key.context;
    f.operation = key.operation;
    f.peer = peer;
    f.what = std::move(what);
    faults_.push_back(std::move(f));
}

void Impl::disagree(Link& l, const MessageKey& key) {
    const std::size_t before = faults_.size();
    complain(Fault::Kind::kDisagreement, key, l.peer(), {});
    if (faults_.size() == before) return;
    const OperationHead unknown{.operation = key.operation, .context = key.context};
    faults_.back().ours = active(key.context, key.operation)->head;
    faults_.back().theirs = l.head(key.context, key.operation).value_or(unknown);
}

}  // namespace

Outcome<std::unique_ptr<ShmEndpoint>> make_shm_endpoint(NetControl& control,
                                                        const ShmOptions& options) {
    WEFT_CHECK(!options.lanes.empty() && options.lanes.size() <= shm::PairPage::kLanes,
               "{} lanes between two ranks", options.lanes.size());
    auto segment =
        shm::Mapping::create(sizeof(shm::RankPage) + options.arena_bytes, shm::Access::kRead);
    if (!segment.ok()) return segment.error();
    shm::File bell(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    shm::File poller(::epoll_create1(EPOLL_CLOEXEC));
    epoll_event event{.events = EPOLLIN, .data = {}};
    if (!bell || !poller || ::epoll_ctl(poller.get(), EPOLL_CTL_ADD, bell.get(), &event) != 0)
        return LiveError{.what = fmt::format("shared memory: eventfd: {}", std::strerror(errno)),
                         .rank = static_cast<int>(control.rank())};
    return std::unique_ptr<ShmEndpoint>(std::make_unique<Impl>(
        control, options, std::move(segment.value()), std::move(bell), std::move(poller)));
}

}  // namespace weft::live
