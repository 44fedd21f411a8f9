#include "collectives/transport/inproc/board.hpp"

#include <algorithm>
#include <utility>

namespace weft::live {

namespace {

class BoardControl final : public Control {
  public:
    BoardControl(Board& board, std::uint32_t rank) : board_(board), rank_(rank) {
        board_.open(rank);
    }
    ~BoardControl() override { board_.leave(rank_); }
    BoardControl(const BoardControl&) = delete;
    BoardControl& operator=(const BoardControl&) = delete;

    [[nodiscard]] std::uint32_t rank() const override { return rank_; }
    [[nodiscard]] std::uint32_t ranks() const override { return board_.ranks(); }
    void began(const OperationHead& head) override { board_.began(rank_, head); }
    void finished(ContextId context, std::uint64_t operation) override {
        board_.finished(rank_, context, operation);
    }
    void waits_for(ContextId context, const std::string& what) override {
        board_.waits_for(rank_, context, what);
    }
    void raise(const Alarm& alarm) override { board_.raise(alarm); }
    [[nodiscard]] std::uint64_t alarms() const override { return board_.alarms(); }
    [[nodiscard]] std::optional<Alarm> alarm(
        ContextId context, std::span<const std::uint32_t> members) const override {
        return board_.alarm(context, members);
    }
    void inquire(const OperationHead& head, std::span<const std::uint32_t> members) override {
        board_.compare(rank_, head, members);
    }
    [[nodiscard]] std::vector<Absent> absent(
        const OperationHead& head, std::span<const std::uint32_t> members) const override {
        return board_.absent(head, members);
    }
    void on_alarm(std::function<void()> wake) override { board_.on_alarm(rank_, std::move(wake)); }

  private:
    Board& board_;
    std::uint32_t rank_;
};

}  // namespace

std::unique_ptr<Control> control_on(Board& board, std::uint32_t rank) {
    return std::make_unique<BoardControl>(board, rank);
}

void Board::open(std::uint32_t rank) {
    const std::lock_guard lock(mutex_);
    WEFT_CHECK(!ranks_[rank].open, "rank {} is opened twice", rank);
    ranks_[rank].open = true;
    ranks_[rank].opened = Clock::now();
    opened_.notify_all();
}

void Board::leave(std::uint32_t rank) {
    const std::lock_guard lock(mutex_);
    ranks_[rank].left = true;
    ranks_[rank].wake = nullptr;
}

bool Board::await_open(std::uint32_t rank, Clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    return opened_.wait_until(lock, deadline, [&] { return ranks_[rank].open; });
}

std::vector<std::uint32_t> Board::not_open() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::uint32_t> missing;
    for (std::uint32_t r = 0; r < ranks_.size(); ++r)
        if (!ranks_[r].open) missing.push_back(r);
    return missing;
}

void Board::began(std::uint32_t rank, const OperationHead& head) {
    const std::lock_guard lock(mutex_);
    History& history = ranks_[rank].contexts[head.context];
    WEFT_CHECK(head.operation > history.newest, "operation {} begins out of order", head.operation);
    history.heads[head.operation % kHistory] = head;
    history.newest = head.operation;
    history.since = Clock::now();
    history.waits_for.clear();
}

void Board::finished(std::uint32_t rank, ContextId context, std::uint64_t operation) {
    const std::lock_guard lock(mutex_);
    History& history = ranks_[rank].contexts[context];
    history.finished = std::max(history.finished, operation);
    history.since = Clock::now();
}

void Board::waits_for(std::uint32_t rank, ContextId context, const std::string& what) {
    const std::lock_guard lock(mutex_);
    ranks_[rank].contexts[context].waits_for = what;
}

std::optional<OperationHead> Board::head(std::uint32_t rank, ContextId context,
                                         std::uint64_t operation) const {
    const std::lock_guard lock(mutex_);
    const auto history = ranks_[rank].contexts.find(context);
    if (history == ranks_[rank].contexts.end()) return std::nullopt;
    const OperationHead& found = history->second.heads[operation % kHistory];
    if (found.operation != operation) return std::nullopt;
    return found;
}

void Board::raise(const Alarm& alarm) {
    const std::lock_guard lock(mutex_);
    // One of a kind and a raiser is enough: inquiries repeat themselves.
    const auto same = [&](const Alarm& a) {
        return a.kind == alarm.kind && a.context == alarm.context && a.rank == alarm.rank;
    };
    if (std::any_of(alarms_.begin(), alarms_.end(), same)) return;
    alarms_.push_back(alarm);
    count_.fetch_add(1, std::memory_order_release);
    for (const Row& row : ranks_)
        if (row.wake) row.wake();
}

std::optional<Alarm> Board::alarm(ContextId context, std::span<const std::uint32_t> members) const {
    const std::lock_guard lock(mutex_);
    const auto concerns = [&](const Alarm& a) {
        return (a.context == context || ends_rank(a.kind)) &&
               std::find(members.begin(), members.end(), a.rank) != members.end();
    };
    const auto found = std::find_if(alarms_.begin(), alarms_.end(), concerns);
    return found == alarms_.end() ? std::nullopt : std::optional(*found);
}

void Board::on_alarm(std::uint32_t rank, std::function<void()> wake) {
    const std::lock_guard lock(mutex_);
    ranks_[rank].wake = std::move(wake);
}

void Board::compare(std::uint32_t rank, const OperationHead& head,
                    std::span<const std::uint32_t> members) {
    for (const std::uint32_t member : members) {
        const auto theirs = this->head(member, head.context, head.operation);
        if (!theirs || *theirs == head) continue;
        raise({.kind = Alarm::Kind::kDisagreement,
               .context = head.context,
               .rank = rank,
               .peer = member,
               .ours = head,
               .theirs = *theirs,
               .what = {}});
        return;
    }
}

Absent Board::whereabouts(std::uint32_t rank, ContextId context) const {
    const Row& row = ranks_[rank];
    Absent a{.rank = rank, .why = Absent::Why::kUnknown, .head = {}, .seconds = 0, .where = {}};
    if (!row.open) return a;
    a.why = row.left ? Absent::Why::kLeft : Absent::Why::kLate;
    Clock::time_point since = row.opened;
    if (const auto own = row.contexts.find(context); own != row.contexts.end()) {
        since = own->second.since;
        a.head = own->second.heads[own->second.newest % kHistory];
    }
    for (const auto& [id, history] : row.contexts) {
        if (row.left || history.finished == history.newest) continue;
        a.why = Absent::Why::kElsewhere;
        a.head = history.heads[history.newest % kHistory];
        a.where = history.waits_for;
        since = history.since;
    }
    a.seconds = std::chrono::duration<double>(Clock::now() - since).count();
    return a;
}

std::vector<Absent> Board::absent(const OperationHead& head,
                                  std::span<const std::uint32_t> members) const {
    const std::lock_guard lock(mutex_);
    std::vector<Absent> missing;
    for (const std::uint32_t member : members) {
        const auto history = ranks_[member].contexts.find(head.context);
        const bool begun =
            history != ranks_[member].contexts.end() && history->second.newest >= head.operation;
        if (!begun) missing.push_back(whereabouts(member, head.context));
    }
    return missing;
}

}  // namespace weft::live
