#pragma once
// The tcp endpoint: one per rank. Three sources: endpoint.cpp (connecting, polling, sleeping),
// endpoint_messages.cpp (operations, posting, matching, acknowledging), endpoint_lanes.cpp (lanes
// that come, die and come back).
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "collectives/transport/regions.hpp"
#include "collectives/transport/tcp/card.hpp"
#include "collectives/transport/tcp/dialler.hpp"
#include "collectives/transport/tcp/inbox.hpp"
#include "collectives/transport/tcp/ledger.hpp"
#include "collectives/transport/tcp/link_watch.hpp"
#include "collectives/transport/tcp/tcp.hpp"
#include "collectives/transport/tcp/window.hpp"
#include "collectives/transport/tcp/wire.hpp"

namespace weft::live::tcp {

class TcpEndpoint final : public Endpoint, private Wire::Handler {
  public:
    TcpEndpoint(NetControl& control, const TcpOptions& options);
    ~TcpEndpoint() override;

    [[nodiscard]] std::uint32_t rank() const override { return rank_; }
    [[nodiscard]] std::uint32_t ranks() const override { return ranks_; }
    Status connect(std::uint32_t peer, Clock::time_point deadline) override;
    [[nodiscard]] std::span<const Lane> lanes(std::uint32_t peer) const override;
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
    [[nodiscard]] bool arm() override;
    void disarm() override {}
    [[nodiscard]] std::span<const int> fds() const override { return {&epoll_, 1}; }
    void wake() override { inbox_->ring(); }
    [[nodiscard]] bool restless() const override { return true; }
    bool cut_lane(std::uint32_t peer, std::uint32_t lane) override;
    bool mend_lane(std::uint32_t peer, std::uint32_t lane) override;
    bool corrupt_lane(std::uint32_t peer, std::uint32_t lane) override;

  private:
    struct Share {
        ContextId context = 0;
        std::uint32_t messages = 0;
        std::uint64_t bytes = 0;
    };
    struct OutLane {
        enum class State : std::uint8_t { kNew, kDialling, kProbing, kUp, kDown };
        State state = State::kNew;
        std::uint32_t epoch = 0;
        std::uint32_t failures = 0;  // to get it back, in a row
        std::unique_ptr<Wire> wire;
        std::deque<Send*> ready;     // in order of leaving; the first may have left in part
        std::vector<Send*> unacked;  // all that is posted on it
        std::vector<Share> posted;   // ... by communicator, so that none takes another's room
        SendWindow window;
        Clock::time_point next;  // redial, or give up probing
        bool corrupt = false;    // for tests: the next payload
    };
    struct GrantDue {
        Ledger::Id operation;
        GrantEntry entry;
    };
    struct Peer {
        explicit Peer(std::chrono::milliseconds silence) : judge(silence) {}
        std::uint32_t rank = 0;
        Card card;
        std::vector<Lane> lanes;
        std::vector<OutLane> out;
        std::vector<std::unique_ptr<Wire>> in;
        std::vector<bool> cut;
        Judge judge;
        std::uint64_t eager_used = 0;    // bytes that this rank has sent unasked and unacked
        std::uint64_t early = 0;         // bytes that the peer has sent unasked
        std::uint32_t early_grants = 0;  // for operations that have not begun
        std::uint32_t open_sends = 0;
        std::uint32_t open_receives = 0;
        std::vector<GrantDue> to_grant;
        bool connected = false;  // by connect()
        bool left = false;       // said farewell
        std::string last_error;
        std::optional<Clock::time_point> down_since;  // all lanes
    };

    // endpoint.cpp
    Outcome<Peer*> know(std::uint32_t rank);
    [[nodiscard]] bool settled(const Peer& peer, Clock::time_point give_up) const;
    void progress();
    void read_from(Wire& wire);
    void take_inbox();
    void flush();
    void flush_sends(Peer& peer, OutLane& lane);
    void flush_acks(Wire& wire);
    void flush_grants(Peer& peer);
    [[nodiscard]] bool stage_next(OutLane& lane);
    void mark(Wire& wire);
    void bury();
    void tick_if_due(bool rung);
    void set_timer();

    // endpoint_messages.cpp
    bool on_header(Wire& wire, const FrameHeader& header) override;
    bool on_frame(Wire& wire, const FrameHeader& header) override;
    bool on_message(Wire& wire, const FrameHeader& header);
    bool land(Wire& wire, const FrameHeader& header, Operation& op, Receive& receive);
    bool on_message_end(Wire& wire, const FrameHeader& header);
    bool on_want(Wire& wire, const FrameHeader& header);
    bool on_grants(Wire& wire, const FrameHeader& header);
    bool on_acks(Wire& wire);
    void granted(Operation& op, const PeerKey& key, std::uint64_t size);
    void make_ready(Send& send);
    [[nodiscard]] Operation& begun(const MessageKey& key);
    Receive& post(std::uint32_t peer, const MessageKey& key, std::uint64_t size);
    void posted(std::uint32_t peer, const MessageKey& key, Receive& receive);
    void due_grant(Peer& peer, const Ledger::Id& operation, const PeerKey& key, std::uint64_t size);
    void finish(std::uint32_t peer, const MessageKey& key, Receive& receive);
    void acknowledge(std::uint32_t peer, std::uint32_t lane, std::uint64_t wire_id,
                     std::uint64_t serial);
    void give_back(std::uint32_t peer, Receive& receive);
    void forget(ContextId context, std::uint64_t operation);
    void drop_send(Send& send);
    void disown(Operation& op, std::uint32_t peer);

    // endpoint_lanes.cpp
    void adopt_dialled(const Dialler::Job& job, Outcome<Connection> connection);
    void adopt_accepted(const Connection& connection);
    std::unique_ptr<Wire> make_wire(int fd, const Wire::Place& place);
    void dial(Peer& peer, std::uint32_t lane, Clock::time_point deadline);
    void lose(Wire& wire, bool tell);
    void lose_sending(Peer& peer, std::uint32_t lane, bool tell);
    void lose_receiving(Peer& peer, std::uint32_t lane, bool tell);
    void tell_down(Peer& peer, const Wire::Place& place);
    void grant_again(Peer& peer);
    bool on_down(Wire& wire, const FrameHeader& header);
    void on_bye(Wire& wire);
    void on_reply(Wire& wire, const FrameHeader& header);
    void probe(Wire& wire);
    void tick(Clock::time_point now);
    void tick_peer(Peer& peer, Clock::time_point now);
    void redial(Peer& peer, Clock::time_point now);
    void check_reachable(Peer& peer, Clock::time_point now);
    void on_link_changes();
    [[nodiscard]] bool needs_ticks() const;

    NetControl& control_;
    TcpOptions options_;
    std::uint32_t rank_;
    std::uint32_t ranks_;
    std::shared_ptr<Inbox> inbox_;  // also held by the callback that control_ calls
    LinkWatch links_;
    std::vector<int> interfaces_;  // of this rank's ports, the kernel's numbers
    int epoll_ = -1;
    int timer_ = -1;
    bool timer_runs_ = false;
    bool ticking_ = false;  // the last tick had something to watch
    std::vector<std::unique_ptr<Peer>> peers_;
    RegionTable<> regions_;
    Ledger ledger_;
    Pool pool_;
    std::unordered_map<std::uint64_t, Send> sends_;  // by serial
    std::uint64_t serial_ = 0;
    std::uint64_t wire_ids_ = 0;
    std::deque<Completion> completions_;
    std::deque<Fault> faults_;
    std::vector<Wire*> dirty_;
    std::vector<Wire*> readable_;  // left over from the last poll
    std::vector<Peer*> granting_;
    std::vector<std::unique_ptr<Wire>> graveyard_;  // may still be named in the present poll
    Clock::time_point last_tick_;
    std::chrono::nanoseconds pause_{0};  // the longest time of late in which this rank did not look
    std::uint32_t lanes_down_ = 0;
    std::uint64_t open_ = 0;  // sends and receives, of all peers
    std::unique_ptr<Dialler> dialler_;
};

}  // namespace weft::live::tcp
