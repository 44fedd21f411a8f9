#pragma once
// The endpoint of fault.hpp: what is held back, by whom and until when.
#include <array>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "collectives/transport/fault/fault.hpp"

namespace weft::live::fault {

enum class Fate : std::uint8_t {
    kNone,
    kDelay,
    kReorder,
    kSentLate,
    kReceivedLate,
    kDuplicate,
    kLate,
    kHealed,
    kDrop,
    kCorrupt,
    kCut
};
/// Of the first attempt to send a message.
struct Draw {
    Fate fate = Fate::kNone;
    std::chrono::microseconds wait{0};  // up to FaultPlan::longest
};
[[nodiscard]] Draw draw(const FaultPlan& plan, std::uint32_t from, std::uint32_t to,
                        const MessageKey& key);

/// A message between this rank and a peer, ordered.
struct Id {
    std::uint32_t peer = 0;
    ContextId context = 0;
    std::uint64_t operation = 0;
    std::uint32_t stream = 0;
    std::uint32_t sequence = 0;
    auto operator<=>(const Id&) const = default;
};

class FaultEndpoint final : public Endpoint {
  public:
    FaultEndpoint(std::unique_ptr<Endpoint> inner, const FaultPlan& plan, FaultCounts* counts);
    ~FaultEndpoint() override;

    [[nodiscard]] std::uint32_t rank() const override { return inner_->rank(); }
    [[nodiscard]] std::uint32_t ranks() const override { return inner_->ranks(); }
    Status connect(std::uint32_t peer, Clock::time_point deadline) override;
    [[nodiscard]] std::span<const Lane> lanes(std::uint32_t peer) const override {
        return inner_->lanes(peer);
    }
    [[nodiscard]] std::uint32_t register_region(std::span<std::byte> memory) override {
        return inner_->register_region(memory);
    }
    void deregister_region(std::uint32_t region) override { inner_->deregister_region(region); }
    void begin(const OperationHead& head) override { inner_->begin(head); }
    void end(ContextId context, std::uint64_t operation) override;
    void cancel(ContextId context, std::uint64_t operation) override;
    [[nodiscard]] bool post_send(std::uint32_t peer, std::uint32_t lane, const MessageKey& key,
                                 Segments data) override;
    void post_recv(std::uint32_t peer, const MessageKey& key, Segments to) override;
    void post_view(std::uint32_t peer, const MessageKey& key, std::size_t size) override;
    void release(const Completion& received) override;
    [[nodiscard]] std::size_t poll(std::span<Completion> out) override;
    [[nodiscard]] std::optional<Fault> fault() override { return inner_->fault(); }
    [[nodiscard]] bool arm() override;
    void disarm() override;
    [[nodiscard]] std::span<const int> fds() const override { return fds_; }
    void wake() override { inner_->wake(); }
    bool cut_lane(std::uint32_t peer, std::uint32_t lane) override {
        return inner_->cut_lane(peer, lane);
    }
    bool mend_lane(std::uint32_t peer, std::uint32_t lane) override {
        return inner_->mend_lane(peer, lane);
    }
    bool corrupt_lane(std::uint32_t peer, std::uint32_t lane) override {
        return inner_->corrupt_lane(peer, lane);
    }
    /// A first copy may come when the operation is over here, thanks to the second.
    [[nodiscard]] bool restless() const override { return true; }

  private:
    struct Held {
        Clock::time_point due;
        MessageKey key;
        Segments data;
    };
    struct LaneState {
        std::deque<Held> queue;       // leave in this order
        std::vector<Held> alone;      // overtaken
        std::vector<Held> swallowed;  // never leave; `due`: when that is noticed
        Clock::time_point free;       // of a slow lane
        bool inner_down = false;
        std::optional<Clock::time_point> down_until;  // declared dead here
        bool told_down = false;
        std::optional<Clock::time_point> mend;  // of a cut
        [[nodiscard]] bool down() const { return inner_down || down_until; }
    };
    /// A second copy.
    struct Ghost {
        std::uint32_t peer = 0;
        MessageKey key;
        Clock::time_point due;
        bool posted = false;
        std::vector<std::byte> bytes;
        std::uint32_t region = 0;
        Segment segment;
    };
    /// A receive of a message that comes twice.
    struct Twin {
        std::optional<Segments> to;
        std::uint32_t arrived = 0;
        std::optional<Completion> shown;   // to the caller, not released
        std::optional<Completion> second;  // goes back after it
    };
    struct Later {
        Clock::time_point due;
        Completion completion;
    };
    struct Scheduled {
        LaneFault fault;
        bool begun = false;
        Clock::time_point until;
    };

    void meet(std::uint32_t peer);
    void progress(Clock::time_point now);
    void run_schedule(Clock::time_point now);
    void run_lane(std::uint32_t peer, std::uint32_t index, Clock::time_point now);
    void run_ghosts(Clock::time_point now);
    void tell(std::uint32_t peer, std::uint32_t index);
    void give_back(std::uint32_t peer, std::uint32_t index, std::vector<Held>& from);
    void cut(std::uint32_t peer, std::uint32_t index, Clock::time_point until);
    [[nodiscard]] std::optional<Clock::duration> slowness(std::uint32_t lane, std::size_t size,
                                                          Clock::time_point now);
    void make_ghost(std::uint32_t peer, const MessageKey& key, Segments data,
                    Clock::time_point due);
    void drop_ghosts(ContextId context, std::uint64_t operation);
    void on(const Completion& c, Clock::time_point now);
    void on_twin(const Completion& c);
    void on_ghost(const Completion& c);
    [[nodiscard]] bool comes_twice(std::uint32_t peer, const MessageKey& key) const;
    [[nodiscard]] Clock::time_point next_due() const;
    void set_timer(Clock::time_point due) const;

    std::unique_ptr<Endpoint> inner_;
    FaultPlan plan_;
    FaultCounts own_counts_;
    FaultCounts& counts_;
    std::vector<int> fds_;
    int timer_ = -1;
    std::optional<Clock::time_point> first_post_;
    std::uint64_t posted_ = 0;
    std::vector<Scheduled> schedule_;
    std::vector<std::uint32_t> connected_;
    std::vector<std::vector<LaneState>> lanes_;  // by peer
    std::set<Id> struck_;                        // sends that have met their fate
    std::set<Id> views_;                         // posted as views, not released
    std::map<Id, Twin> twins_;
    std::list<Ghost> ghosts_;
    std::vector<Later> later_;
    std::deque<Completion> ready_;
    std::optional<Clock::time_point> retry_;  // of what a lane had no room for
};

}  // namespace weft::live::fault
