#include "collectives/transport/net/net_control.hpp"

#include <fmt/format.h>
#include <future>
#include <set>
#include <sodium.h>
#include <unistd.h>

#include "collectives/transport/net/bulletin.hpp"
#include "collectives/transport/net/ledger.hpp"
#include "collectives/transport/net/links.hpp"
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
          links_(
              board, options.silence,
              {.heard = [this](std::uint32_t from, ByteSpan block) { hear(from, block); },
               .known = [this] { return known(); },
               .dead = [this](std::uint32_t peer, const std::string& why) { died(peer, why); }}) {
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
    void tell(const std::variant<Alarm, Inquiry, Answer, Farewell>& body) {
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
        if (alarm.kind == Alarm::Kind::kRankLost && alarm.rank != board.rank())
            links_.gone(alarm.rank);
        const std::lock_guard lock(wake_mutex_);
        if (wake_) wake_();
    }

    void hear(std::uint32_t from, ByteSpan block) {
        const auto rumour = parse_rumour(block, board.ranks());
        if (!rumour) return;
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
    std::uint64_t sequence_ = 0;
    std::vector<SeenWindow> windows_;
    Clock::time_point refuted_;
    Links links_;
};

class NetControlImpl final : public NetControl {
  public:
    NetControlImpl(const UniqueId& id, const IdParts& parts, const NetOptions& options)
        : id_(id), process_(::getpid()), core_(std::make_unique<Core>(parts, options)) {}
    // In a child of fork() the thread does not exist, and the sockets and the epoll set are shared
    // with the parent: there nothing is ended.
    ~NetControlImpl() override {
        if (::getpid() != process_) static_cast<void>(core_.release());
    }
    Status listen() { return core_->board.listen(); }

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
    void leave() override { core_->leave(); }

  private:
    UniqueId id_;
    pid_t process_;
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
