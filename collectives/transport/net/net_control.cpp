#include "collectives/transport/net/net_control.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <future>
#include <set>
#include <sodium.h>
#include <unistd.h>

#include "collectives/transport/net/bulletin.hpp"
#include "collectives/transport/net/counts.hpp"
#include "collectives/transport/net/ledger.hpp"
#include "collectives/transport/net/links.hpp"
#include "collectives/transport/net/report_door.hpp"
#include "collectives/transport/net/rumour.hpp"
#include "collectives/transport/net/store.hpp"
#include "collectives/transport/net/switchboard.hpp"

namespace weft::live {

namespace net {

namespace {

using std::chrono::milliseconds;

// Everything that works in the loop: what rumours mean.
class Core {
  public:
    Core(const IdParts& parts, const NetOptions& options)
        : board(parts, options),
          bulletin(std::max<Clock::duration>(milliseconds(50), pause() / 4)),
          windows_(options.ranks),
          links_(board, options.silence,
                 {.heard = [this](std::uint32_t from, ByteSpan block) { hear(from, block); },
                  .known = [this] { return known(); },
                  .dead = [this](std::uint32_t peer, const std::string& why) { died(peer, why); }}),
          counts(board.loop(), options.rank, pause(),
                 {.tell = [this](const CensusWord& word) { tell(word); },
                  .gone = [this](std::uint32_t rank) { return bulletin.gone(rank); },
                  .count_out =
                      [this](ContextId context, std::uint32_t rank, const std::string& why) {
                          raise({.kind = Alarm::Kind::kCountedOut,
                                 .context = context,
                                 .rank = rank,
                                 .peer = board.rank(),
                                 .what = why});
                      }}) {
        board.on_connection(Purpose::kControl, [this](const Connection& c) { links_.adopt(c); });
        board.loop().each_turn([this] { links_.flush(); });
    }
    ~Core() { board.stop(); }
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    void start(Clock::time_point deadline) {
        const auto settled = std::make_shared<std::promise<void>>();
        auto future = settled->get_future();
        board.loop().post([this, settled] { links_.start([settled] { settled->set_value(); }); });
        // Whoever is slow to answer is called on; that is no reason to stay here.
        static_cast<void>(future.wait_until(deadline));
    }

    void began(const OperationHead& head) {
        const auto expected = ledger.began(head);
        if (expected) disagree(head, *expected);
    }

    void raise(const Alarm& alarm) {
        WEFT_CHECK(alarm.rank < board.ranks() && alarm.peer < board.ranks(), "rank {} or {} of {}",
                   alarm.rank, alarm.peer, board.ranks());
        if (!bulletin.record(alarm)) return;
        board.loop().post([this, alarm] {
            links_.spread(encode(Rumour{board.rank(), 0, alarm}), board.rank());
            alarmed(alarm);
        });
    }

    void inquire(const Inquiry& inquiry) {
        if (!bulletin.due(inquiry, Clock::now(), pause())) return;
        {
            const std::lock_guard lock(mutex_);
            if (!asking_.insert(key_of(inquiry)).second) return;
        }
        // All that wait may come here at the same time: one of them is enough.
        const std::uint32_t most_us = 200 * board.ranks();
        const std::chrono::microseconds wait(randombytes_uniform(std::min(most_us, 100'000U)));
        board.loop().post([this, inquiry, wait] {
            board.loop().after(wait, [this, inquiry] {
                {
                    const std::lock_guard lock(mutex_);
                    asking_.erase(key_of(inquiry));
                }
                if (bulletin.ask(inquiry, Clock::now(), pause())) tell(inquiry);
            });
        });
    }

    [[nodiscard]] std::vector<Absent> absent(const Inquiry& inquiry,
                                             std::span<const std::uint32_t> members) const {
        const auto now = Clock::now();
        std::vector<Absent> out;
        for (const std::uint32_t m : members) {
            if (m == board.rank() || m >= board.ranks()) continue;
            if (auto a = bulletin.absent(inquiry, m, now)) {
                out.push_back(std::move(*a));
            } else if (const auto quiet = links_.silent(m)) {
                out.push_back({.rank = m,
                               .why = Absent::Why::kSilent,
                               .seconds = std::chrono::duration<double>(*quiet).count()});
            }
        }
        return out;
    }

    /// What this rank tells `weft doctor`; nothing if whoever moves operations cannot say now.
    [[nodiscard]] std::optional<RankReport> report(bool now_or_never) {
        RankReport out;
        {
            const std::lock_guard lock(fill_mutex_);
            out.engine = !fill_ || fill_(out);
        }
        if (!out.engine && !now_or_never) return std::nullopt;
        out.version = WEFT_VERSION;
        out.job = board.job();
        out.rank = board.rank();
        out.ranks = board.ranks();
        out.age_ms = milliseconds_of(Clock::now() - born_);
        out.homes = board.homes();
        for (const Page& page : ledger.pages()) add(out, page);
        for (const Alarm& a : bulletin.all())
            if (ends_rank(a.kind))
                out.gone.push_back({.rank = a.rank, .left = false, .what = a.what});
        for (const auto& [rank, farewell] : bulletin.farewells())
            out.gone.push_back({.rank = rank, .left = true, .what = {}});
        for (std::uint32_t r = 0; r < board.ranks(); ++r)
            if (const auto quiet = links_.silent(r))
                out.silent.push_back({.rank = r, .ms = milliseconds_of(*quiet)});
        return out;
    }

    void on_report(std::function<bool(RankReport&)> fill) {
        const std::lock_guard lock(fill_mutex_);
        fill_ = std::move(fill);
    }

    void open_report_door(Fd listener) {
        board.loop().post([this, l = std::make_shared<Fd>(std::move(listener))] {
            door_.emplace(board.loop(), std::move(*l), [this](bool now_or_never) {
                const auto r = report(now_or_never);
                return r ? std::optional(encode(*r)) : std::nullopt;
            });
        });
    }

    void on_alarm(std::function<void()> wake) {
        const std::lock_guard lock(wake_mutex_);
        wake_ = std::move(wake);
    }

    void leave() {
        const auto sent = std::make_shared<std::promise<void>>();
        auto future = sent->get_future();
        board.loop().post([this, sent] {
            const Farewell farewell{ledger.newest()};
            if (bulletin.record(board.rank(), farewell))
                links_.spread(encode(Rumour{board.rank(), 0, farewell}), board.rank());
            links_.flush();
            await_sent(sent, Clock::now() + kFarewell);
        });
        static_cast<void>(future.wait_for(2 * kFarewell));
    }

    Switchboard board;
    Ledger ledger;
    Bulletin bulletin;

  private:
    static constexpr milliseconds kFarewell{200};
    using Key = std::tuple<ContextId, std::uint64_t, std::uint64_t>;

    static std::uint64_t milliseconds_of(Clock::duration d) {
        return static_cast<std::uint64_t>(std::chrono::duration_cast<milliseconds>(d).count());
    }

    // What the ledger knows of a communicator, beside what the engine said of it.
    void add(RankReport& out, const Page& page) const {
        auto g = std::find_if(out.groups.begin(), out.groups.end(),
                              [&](const auto& known) { return known.context == page.context; });
        if (g == out.groups.end()) {
            g = out.groups.insert(g, RankReport::Group{.context = page.context});
            if (page.context == 0) g->members.push_back({0, board.ranks()});
        }
        g->newest = page.newest;
        g->finished = page.finished;
        g->idle_ms = static_cast<std::uint64_t>(page.idle_seconds * 1e3);
        for (const auto& [head, seconds] : page.under_way) {
            const auto begun = static_cast<std::uint64_t>(seconds * 1e3);
            // The engine has said how long its own stands still; of others their age is known.
            const auto known = std::find_if(
                g->under_way.begin(), g->under_way.end(),
                [&, number = head.operation](const auto& o) { return o.head.operation == number; });
            if (known == g->under_way.end())
                g->under_way.push_back({.head = head, .begun_ms = begun, .still_ms = begun});
            else
                *known = {.head = head, .begun_ms = begun, .still_ms = known->still_ms};
        }
        // What has ended between the two looks has no begin.
        std::erase_if(g->under_way, [&](const auto& o) {
            return std::none_of(page.under_way.begin(), page.under_way.end(), [&](const auto& u) {
                return u.first.operation == o.head.operation;
            });
        });
        std::sort(g->under_way.begin(), g->under_way.end(),
                  [](const auto& a, const auto& b) { return a.head.operation < b.head.operation; });
        if (g->waits_for.empty()) g->waits_for = page.where;
        if (page.under_way.empty()) return;
        std::vector<std::uint32_t> members;
        for (const Range& range : g->members)
            for (std::uint32_t i = 0; i < range.count; ++i) members.push_back(range.first + i);
        g->absent = absent({page.under_way.front().first, g->members}, members);
    }

    static Key key_of(const Inquiry& q) {
        return {q.head.context, q.head.operation, hash_of(q.members)};
    }
    // Between two inquiries about one operation: all may answer, and each answer goes to all.
    [[nodiscard]] Clock::duration pause() const {
        const std::uint64_t n = board.ranks();
        return milliseconds(std::clamp<std::uint64_t>(n * n / 64, 100, 1'000));
    }

    void await_sent(const std::shared_ptr<std::promise<void>>& sent, Clock::time_point until) {
        if (links_.all_sent() || Clock::now() >= until) return sent->set_value();
        board.loop().after(milliseconds(1), [this, sent, until] { await_sent(sent, until); });
    }

    // A new rumour of this rank; in the loop.
    void tell(const Rumour::Body& body) {
        links_.spread(encode(Rumour{board.rank(), ++sequence_, body}), board.rank());
    }

    std::vector<std::vector<std::byte>> known() const {
        std::vector<std::vector<std::byte>> out;
        for (const Alarm& a : bulletin.all()) out.push_back(encode(Rumour{board.rank(), 0, a}));
        for (const auto& [rank, farewell] : bulletin.farewells())
            out.push_back(encode(Rumour{rank, 0, farewell}));
        return out;
    }

    void died(std::uint32_t peer, const std::string& why) {
        raise({.kind = Alarm::Kind::kRankLost,
               .rank = peer,
               .what = fmt::format("its process is gone: {}", why)});
        links_.gone(peer);
    }

    void alarmed(const Alarm& alarm) {
        if (alarm.kind == Alarm::Kind::kCountedOut) outcasts_.insert(alarm.rank);
        if (ends_rank(alarm.kind)) {
            if (alarm.rank != board.rank()) links_.gone(alarm.rank);
            counts.dead(alarm.rank);
        }
        const std::lock_guard lock(wake_mutex_);
        if (wake_) wake_();
    }

    void hear(std::uint32_t from, ByteSpan block) {
        const auto rumour = parse_rumour(block, board.ranks());
        // Those that were counted out may still talk; nobody listens any more.
        if (!rumour || outcasts_.count(rumour->origin) > 0) return;
        const bool news = std::visit([&](const auto& b) { return hear(*rumour, b); }, rumour->body);
        if (news) links_.spread({block.begin(), block.end()}, from);
    }

    // These say whether the rumour is new.
    bool hear(const Rumour&, const Alarm& alarm) {
        if (!bulletin.record(alarm)) return false;
        alarmed(alarm);
        return true;
    }
    bool hear(const Rumour& rumour, const Farewell& farewell) {
        if (!bulletin.record(rumour.origin, farewell)) return false;
        links_.gone(rumour.origin);
        counts.dead(rumour.origin);
        return true;
    }
    bool hear(const Rumour& rumour, const CensusWord& word) {
        if (!first_time(rumour)) return false;
        counts.hear(rumour.origin, word);
        return true;
    }
    bool hear(const Rumour& rumour, const Inquiry& inquiry) {
        if (!first_time(rumour)) return false;
        bulletin.ask(inquiry, Clock::now(), {});
        if (contains(inquiry.members, board.rank())) consider(inquiry.head, rumour.origin);
        for (const std::uint32_t peer : links_.neighbours())
            if (contains(inquiry.members, peer)) report_silence(inquiry.head, peer);
        return true;
    }
    bool hear(const Rumour& rumour, const Answer& answer) {
        if (!first_time(rumour)) return false;
        bulletin.answer(rumour.origin, answer, Clock::now());
        const bool mistaken = answer.rank == board.rank() && rumour.origin != board.rank();
        if (mistaken && Clock::now() - refuted_ > pause() / 2) {
            refuted_ = Clock::now();
            answer_for_self(answer.context, answer.operation,
                            ledger.standing(answer.context, answer.operation));
        }
        return true;
    }
    bool first_time(const Rumour& rumour) {
        return rumour.origin != board.rank() && windows_[rumour.origin].first_time(rumour.sequence);
    }

    void consider(const OperationHead& head, std::uint32_t asker) {
        const Standing mine = ledger.ask(head, asker);
        if (mine.state == Standing::State::kNotBegun)
            answer_for_self(head.context, head.operation, mine);
        else if (mine.state == Standing::State::kBegun && mine.head != head)
            disagree(mine.head, {head, asker});
    }

    void answer_for_self(ContextId context, std::uint64_t operation, const Standing& mine) {
        tell(Answer{.context = context,
                    .operation = operation,
                    .rank = board.rank(),
                    .present = mine.state != Standing::State::kNotBegun,
                    .why = mine.busy ? Absent::Why::kElsewhere : Absent::Why::kLate,
                    .head = mine.head,
                    .milliseconds = static_cast<std::uint64_t>(mine.seconds * 1e3),
                    .where = mine.where});
    }

    void report_silence(const OperationHead& head, std::uint32_t peer) {
        const auto quiet = links_.silent(peer);
        if (!quiet) return;
        const auto ms = std::chrono::duration_cast<milliseconds>(*quiet).count();
        const Answer answer{.context = head.context,
                            .operation = head.operation,
                            .rank = peer,
                            .why = Absent::Why::kSilent,
                            .milliseconds = static_cast<std::uint64_t>(ms)};
        bulletin.answer(board.rank(), answer, Clock::now());
        tell(answer);
    }

    void disagree(const OperationHead& ours, const Expectation& theirs) {
        raise({.kind = Alarm::Kind::kDisagreement,
               .context = ours.context,
               .rank = board.rank(),
               .peer = theirs.asker,
               .ours = ours,
               .theirs = theirs.head,
               .what = fmt::format("rank {} and rank {} run different operations as number {}",
                                   board.rank(), theirs.asker, ours.operation)});
    }

    std::mutex mutex_;
    std::set<Key> asking_;
    std::mutex wake_mutex_;
    std::function<void()> wake_;
    std::mutex fill_mutex_;  // also while it runs
    std::function<bool(RankReport&)> fill_;
    Clock::time_point born_ = Clock::now();
    std::optional<ReportDoor> door_;
    std::uint64_t sequence_ = 0;
    std::vector<SeenWindow> windows_;
    std::set<std::uint32_t> outcasts_;
    Clock::time_point refuted_;
    Links links_;

  public:
    Counts counts;  // after what it speaks through
};

class NetControlImpl final : public NetControl {
  public:
    NetControlImpl(const UniqueId& id, const IdParts& parts, const NetOptions& options)
        : id_(id),
          process_(::getpid()),
          doctor_(options.doctor),
          core_(std::make_unique<Core>(parts, options)) {}
    // In a child of fork() the thread does not exist, and the sockets and the epoll set are shared
    // with the parent: there nothing is ended.
    ~NetControlImpl() override {
        if (::getpid() != process_) static_cast<void>(core_.release());
    }
    Status listen() {
        WEFT_TRY(core_->board.listen());
        if (!doctor_) return Done{};
        const DoorName name{
            .job = core_->board.job(), .rank = core_->board.rank(), .random = randombytes_random()};
        auto listener = listen_on(unix_address(to_text(name)));
        if (!listener) return listener.error();
        core_->open_report_door(std::move(listener.value()));
        return Done{};
    }

    [[nodiscard]] std::uint32_t rank() const override { return core_->board.rank(); }
    [[nodiscard]] std::uint32_t ranks() const override { return core_->board.ranks(); }
    void began(const OperationHead& head) override { core_->began(head); }
    void finished(ContextId context, std::uint64_t operation) override {
        core_->ledger.finished(context, operation);
    }
    void waits_for(ContextId context, const std::string& what) override {
        core_->ledger.waits_for(context, what);
    }
    void raise(const Alarm& alarm) override { core_->raise(alarm); }
    [[nodiscard]] std::uint64_t alarms() const override { return core_->bulletin.count(); }
    [[nodiscard]] std::optional<Alarm> alarm(
        ContextId context, std::span<const std::uint32_t> members) const override {
        return core_->bulletin.alarm(context, members);
    }
    void inquire(const OperationHead& head, std::span<const std::uint32_t> members) override {
        core_->inquire({head, ranges_of(members)});
    }
    [[nodiscard]] std::vector<Absent> absent(
        const OperationHead& head, std::span<const std::uint32_t> members) const override {
        return core_->absent({head, ranges_of(members)}, members);
    }
    void on_alarm(std::function<void()> wake) override { core_->on_alarm(std::move(wake)); }

    void publish(const std::string& name, std::vector<std::byte> card) override {
        core_->board.publish(name, std::move(card));
    }
    Status meet(Clock::time_point deadline) override {
        auto store = open_store(id_);
        if (!store) return store.error();
        return meet(*store.value(), deadline);
    }
    Status meet(Store& store, Clock::time_point deadline) override {
        WEFT_TRY(core_->board.meet(store, deadline));
        core_->start(deadline);
        return Done{};
    }
    [[nodiscard]] std::span<const std::byte> card(std::uint32_t peer,
                                                  const std::string& name) const override {
        const auto& shown = core_->board.card(peer).shown;
        const auto found = shown.find(name);
        return found == shown.end() ? ByteSpan() : ByteSpan(found->second);
    }
    [[nodiscard]] const std::vector<Port>& ports(std::uint32_t peer) const override {
        return core_->board.card(peer).ports;
    }
    [[nodiscard]] bool same_host(std::uint32_t peer) const override {
        return core_->board.same_host(peer);
    }
    void on_connection(Purpose purpose, std::function<void(Connection)> take) override {
        WEFT_CHECK(purpose != Purpose::kControl && purpose != Purpose::kStore,
                   "that purpose is this room's own");
        core_->board.on_connection(purpose, std::move(take));
    }
    Outcome<Connection> dial(std::uint32_t peer, Purpose purpose, std::uint64_t tag, int local_port,
                             int remote_port, Clock::time_point deadline) override {
        return core_->board.dial(peer, purpose, tag, local_port, remote_port, deadline);
    }
    [[nodiscard]] Survivors survivors(const Group& group, Clock::time_point until,
                                      const std::function<void()>& meanwhile) override {
        return core_->counts.run(group, until, meanwhile);
    }
    void on_report(std::function<bool(RankReport&)> fill) override {
        core_->on_report(std::move(fill));
    }
    void leave() override { core_->leave(); }

  private:
    UniqueId id_;
    pid_t process_;
    bool doctor_;
    std::unique_ptr<Core> core_;
};

}  // namespace

}  // namespace net

Outcome<std::unique_ptr<NetControl>> NetControl::start(const UniqueId& id,
                                                       const NetOptions& options) {
    auto parts = net::unpack(id);
    if (!parts) return parts.error();
    if (options.ranks == 0 || options.rank >= options.ranks || options.ranks > net::kMaxRanks)
        return LiveError{
            .what = fmt::format("rank {} of {} ranks does not exist", options.rank, options.ranks)};
    auto out = std::make_unique<net::NetControlImpl>(id, parts.value(), options);
    WEFT_TRY(out->listen());
    return std::unique_ptr<NetControl>(std::move(out));
}

}  // namespace weft::live
