#pragma once
// The verbs endpoint: one per rank. Three sources: endpoint.cpp (connecting, polling, sleeping),
// endpoint_messages.cpp (operations, posting, matching, acknowledging), endpoint_lanes.cpp (lanes
// that come, die, are fenced and come back).
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "collectives/transport/verbs/card.hpp"
#include "collectives/transport/verbs/inbox.hpp"
#include "collectives/transport/verbs/ledger.hpp"
#include "collectives/transport/verbs/verbs.hpp"

namespace weft::live::verbs {

class VerbsEndpoint final : public Endpoint {
  public:
    /// `devices` by port, nullptr where a port has none.
    VerbsEndpoint(NetControl& control, const VerbsOptions& options, std::shared_ptr<Api> api,
                  std::vector<std::unique_ptr<Device>> devices);
    ~VerbsEndpoint() override;

    [[nodiscard]] std::uint32_t rank() const override { return rank_; }
    [[nodiscard]] std::uint32_t ranks() const override { return ranks_; }
    Status connect(std::uint32_t peer, Clock::time_point deadline) override;
    [[nodiscard]] std::span<const Lane> lanes(std::uint32_t peer) const override;
    [[nodiscard]] std::uint32_t register_region(std::span<std::byte> memory) override;
    void deregister_region(std::uint32_t region) override;
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
    void disarm() override {}
    [[nodiscard]] std::span<const int> fds() const override { return {&epoll_, 1}; }
    void wake() override { inbox_.ring(); }
    bool cut_lane(std::uint32_t peer, std::uint32_t lane) override;
    bool mend_lane(std::uint32_t peer, std::uint32_t lane) override;

  private:
    struct LaneState {
        std::unique_ptr<Link> link;  // nullptr: the lane is down
        bool proven = false;         // something has got through it, one way or the other
        bool dialling = false;
        bool cut = false;
        bool known_up = false;         // as the caller knows it
        std::uint32_t seen_epoch = 0;  // of all that were made, usable or not
        std::uint32_t dead_epoch = 0;  // the peer has fenced up to here
        Clock::time_point next;        // dial then
        std::uint64_t moving = 0;      // bytes posted and not acknowledged
        std::vector<std::pair<ContextId, std::uint32_t>> posted;  // how many of each context
    };
    struct Peer {
        std::uint32_t rank = 0;
        Card card;
        std::vector<Lane> lanes;
        std::vector<LaneState> state;
        std::vector<std::unique_ptr<Link>> fencing;  // dead, and not known to be so at both ends
        std::uint64_t eager_used = 0;    // bytes that this rank has sent unasked and unacked
        std::uint64_t early = 0;         // bytes that the peer has sent unasked
        std::uint32_t early_offers = 0;  // of operations that have not begun
        bool connected = false;          // by connect()
        bool left = false;               // said farewell
        std::string last_error;
        std::optional<Clock::time_point> down_since;  // all lanes
    };

    // endpoint.cpp
    Outcome<Peer*> know(std::uint32_t rank);
    void start();
    [[nodiscard]] bool settled(const Peer& peer, Clock::time_point give_up) const;
    void progress();
    void drain_queue(Device& device, std::size_t most);
    void on_completion(const ibv_wc& wc);
    void on_message(Link& link, const Header& header, std::span<const std::byte> payload);
    void take_inbox();
    void look_at_descriptors();
    void flush();
    void flush_link(Link& link);
    void mark(Link& link);
    void set_timer();
    [[nodiscard]] Link* link_of(std::uint32_t id) const;
    [[nodiscard]] std::size_t device_of(const Link& link) const;

    // endpoint_messages.cpp
    void check_registered(Segments segments) const;
    void on_eager(Link& link, const Header& header, std::span<const std::byte> payload);
    void on_offer(Link& link, const Header& header);
    void on_grant(Link& link, const Header& header, std::span<const std::byte> payload);
    void on_written(Link& link, const Header& header);
    void on_acks(Link& link, std::span<const std::byte> payload);
    Receive* meet(Link& link, const Header& header);
    void grant(Peer& peer, const PeerKey& key, Operation& op, Receive& receive);
    [[nodiscard]] bool targets_of(Link& link, Receive& receive, std::vector<std::byte>& out);
    [[nodiscard]] bool leave(Link& link, Link::Out& out);
    [[nodiscard]] bool write_out(Link& link, Send& send, const Link::Out& out, bool& waits);
    [[nodiscard]] bool source_of(std::size_t device, Send& send, std::vector<ibv_sge>& out);
    void offer(Link& link, Send& send);
    void arrived(std::uint32_t peer, const MessageKey& key, Receive& receive);
    void acknowledge(std::uint32_t link, std::uint64_t serial);
    void consume(std::uint32_t peer, Receive& receive);
    void give_back(std::uint32_t peer, Receive& receive);
    void forget(ContextId context, std::uint64_t operation);
    void quiesce(ContextId context, std::uint64_t operation);
    void drop_send(std::uint64_t serial);
    Operation& begun(const MessageKey& key);
    Receive& post(std::uint32_t peer, const MessageKey& key, std::uint64_t size);
    void posted(std::uint32_t peer, const MessageKey& key, Receive& receive);

    // endpoint_lanes.cpp
    void adopt(Introducer::Result result);
    void prove(const Link& link);
    void dial(Peer& peer, std::uint32_t lane, Clock::time_point deadline);
    void fail_link(Link& link, const std::string& why);
    void on_drained(Link& link);
    void conclude(Link& link);
    void tell_fenced(Peer& peer, const Link::Place& place, bool asks);
    void on_fenced(Link& link, const Header& header);
    void on_bye(Link& link);
    void on_async(Device& device);
    void fence_now(const std::vector<std::uint32_t>& links);
    void tick(Clock::time_point now);
    void tick_fencing(Peer& peer, Clock::time_point now);
    void check_reachable(Peer& peer, Clock::time_point now);
    [[nodiscard]] bool needs_ticks() const { return lanes_down_ > 0 || fencing_ > 0; }

    NetControl& control_;
    VerbsOptions options_;
    std::uint32_t rank_;
    std::uint32_t ranks_;
    std::shared_ptr<Api> api_;
    std::vector<std::unique_ptr<Device>> devices_;  // by port
    std::unique_ptr<Memory> memory_;
    Inbox inbox_;
    int epoll_ = -1;
    int timer_ = -1;
    bool timer_runs_ = false;
    bool started_ = false;
    std::uint32_t polls_ = 0;
    std::vector<std::unique_ptr<Peer>> peers_;
    std::unordered_map<std::uint32_t, Link*> links_;                  // by number
    std::unordered_map<std::uint32_t, std::vector<ibv_wc>> orphans_;  // of links not yet taken over
    std::vector<std::unique_ptr<Link>> scrap_;                        // never used; to be drained
    std::vector<std::unique_ptr<Link>> graveyard_;  // may still be named in the present poll
    std::vector<std::uint32_t> dirty_;
    Ledger ledger_;
    std::unordered_map<std::uint64_t, Send> sends_;  // by serial
    std::uint64_t serial_ = 0;
    std::deque<Completion> completions_;
    std::deque<Fault> faults_;
    Clock::time_point next_tick_;
    std::uint32_t lanes_down_ = 0;
    std::uint32_t fencing_ = 0;
    std::unique_ptr<Introducer> introducer_;  // last: its threads reach what is above
};

}  // namespace weft::live::verbs
