#pragma once
// Network: every packet on every link of a Fabric.
//
// Models: NICs that pull packets from connections in turn as their port falls idle; switches that
// store and forward, or cut through, with two classes, a shared buffer, PFC and its watchdog, ECN,
// trimming, drops; wires with latency and rate; ACKs that travel back as packets; congestion
// control and recovery at the senders; failures (failing.cpp, topology/failure.hpp). Leaves out:
// the PCIe hop between GPU and NIC where it is not slower than the port (its latency counts),
// header formats, the time a switch takes to look up (put it into the latency of its links).
//
// One event a wire (its head packet arrives) and, only while something waits, one a port. All state
// is in flat arrays; an event allocates nothing. Order: wheel.hpp. Cost: about 64 B a packet in
// flight, 250 B a link, 250 B a connection, besides its congestion control.
#include <algorithm>
#include <array>
#include <memory>
#include <queue>
#include <span>
#include <utility>
#include <vector>

#include "flow_control/cc/congestion_control.hpp"
#include "flow_control/lb/adaptive.hpp"
#include "flow_control/lb/flowlet.hpp"
#include "flow_control/link/pfc.hpp"
#include "simulator/engine/wheel.hpp"
#include "simulator/packet/connection.hpp"
#include "simulator/packet/forwarding.hpp"
#include "simulator/packet/host_spray.hpp"
#include "simulator/packet/options.hpp"
#include "simulator/packet/packet.hpp"
#include "simulator/packet/recorder.hpp"
#include "topology/fabric.hpp"
#include "topology/failure.hpp"

namespace weft::packet {

using ConnectionId = std::uint32_t;

/// What was counted at an egress port.
struct PortCounts {
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
    std::int64_t payload = 0;       // of data packets
    std::uint32_t most_queued = 0;  // bytes, of the payload class
    std::uint32_t storms = 0;       // detected by its watchdog
    std::uint64_t marked = 0;
    std::uint64_t dropped = 0;
    std::uint64_t trimmed = 0;
    std::uint64_t pauses = 0;  // pause frames it was told
    SimDuration paused;
};

struct Totals {
    std::uint64_t events = 0;
    std::uint64_t data_hops = 0;  // data packets over links
    std::uint64_t all_hops = 0;   // any packets
    std::uint64_t sent = 0;       // data packets that left senders, repeats included
    std::uint64_t repeated = 0;
    std::uint64_t delivered = 0;   // for the first time
    std::uint64_t duplicates = 0;  // data that had arrived before
    std::uint64_t refused = 0;     // data out of order, where the receiver does not place it
    std::uint64_t dropped = 0;     // packets of any kind
    std::uint64_t dropped_data = 0;
    std::uint64_t lost = 0;     // of the dropped: by a link's loss, or by what its FEC left
    std::uint64_t spoiled = 0;  // of the dropped: by their last receiver, for an error on the way
    std::uint64_t trimmed = 0;  // data cut to its header
    std::uint64_t timeouts = 0;
    std::uint64_t pauses = 0;
    std::uint64_t marked = 0;
    std::uint64_t storms = 0;         // detected by watchdogs
    std::uint64_t credit_wanted = 0;  // bytes that receivers heard of
    std::uint64_t credit_granted = 0;
};

/// What a network holds, in bytes.
struct Memory {
    std::size_t packets = 0;      // in flight, at most
    std::size_t events = 0;       // the calendar
    std::size_t links = 0;        // ports, wires, counts
    std::size_t switches = 0;     // accounts of their memories
    std::size_t connections = 0;  // state, routes, messages; not congestion control
    std::size_t records = 0;
};

class Network {
  public:
    /// A message arrived whole, was acknowledged whole, or will never be: its connection gave up
    /// after sixteen timeouts in a row.
    enum class What : std::uint8_t { kArrived, kAcknowledged, kGaveUp };
    struct Report {
        std::uint64_t message;  // as its owner named it
        What what;
    };

    /// `fabric` outlives the network.
    Network(const Fabric& fabric, const PacketOptions& options);
    ~Network();

    /// A connection along a path of links, from the first that is not PCIe to the last, and back.
    ConnectionId connect(const Path& path);
    /// More bytes to send. Messages of a connection arrive in order; names are the owner's.
    void send(ConnectionId c, Bytes size, std::uint64_t message);
    /// The owner hands over what is to be sent at this rate on the wire; 0: all at once.
    void offer_at(ConnectionId c, Bandwidth rate) {
        connections_[c].offer = rate.bits_per_second();
    }
    /// From now on by another path; what is not acknowledged is sent again.
    void move(ConnectionId c, const Path& path);
    /// run() returns there at the latest.
    void wake_at(SimTime at);

    enum class Stop : std::uint8_t { kReport, kWoken, kIdle };
    /// Runs until something is to be told, the time set by wake_at() has come, or nothing is left.
    Stop run();
    /// What was told, in the order in which it happened; empty after.
    [[nodiscard]] std::vector<Report> take_reports() { return std::exchange(reports_, {}); }

    void set_rate(LinkId link, Bandwidth rate);  // 0: down; what is on the wire is lost
    /// What befalls packets of a link from now on.
    void set_trouble(LinkId link, const LinkTrouble& t);
    /// Switches that choose among paths choose among those that are healthy by now.
    void routing_knows(const Health& known);
    [[nodiscard]] Bandwidth rate(LinkId link) const { return ports_[link.index()].rate; }
    [[nodiscard]] SimTime now() const { return wheel_.now(); }

    [[nodiscard]] const PortCounts& counts(LinkId link) const { return counts_[link.index()]; }
    /// Of the switches, in the order of their nodes.
    [[nodiscard]] const std::vector<SharedBuffer>& memories() const { return memories_; }
    [[nodiscard]] const Totals& totals() const { return totals_; }
    /// What a message of this size takes, its last ACK included, on links that nothing else uses.
    [[nodiscard]] SimDuration alone(ConnectionId c, Bytes size) const;
    [[nodiscard]] std::size_t connections() const { return connections_.size(); }
    /// The ends of a connection.
    [[nodiscard]] std::pair<NodeId, NodeId> ends(ConnectionId c) const;
    [[nodiscard]] Memory memory() const;
    /// What was recorded so far; nullptr without PacketOptions::record. Made on each call.
    [[nodiscard]] std::unique_ptr<Recorder> record() const;

  private:
    /// What every packet touches comes first.
    struct alignas(64) Port {
        std::int64_t free_at = 0;  // the wire takes the next packet
        std::int64_t latency = 0;
        std::uint64_t ps_per_byte = 0;  // in units of 2^-kRateBits ps
        Queue queue[kClasses];
        PacketId wire_head = kNone;
        PacketId wire_tail = kNone;
        std::uint32_t to = 0;             // node
        std::uint32_t ring_head = kNone;  // connections with something to send
        std::uint32_t ring_tail = kNone;
        std::uint32_t header = 0;  // of data packets there
        bool up = true;
        bool early = false;            // the far end hears of a packet as its header is there
        bool stuck = false;            // paused for ever
        std::uint32_t fault = kNone;   // what befalls its packets
        std::uint32_t pauses = kNone;  // clocks of its pauses, where frames may be lost
        bool paused = false;           // the payload class, by PFC
        bool awake = true;             // the recorder knows that it has something to tell
        std::uint16_t number = 0;      // among the ports of its node
        std::uint16_t far = 0;         // the number of its reverse there
        std::uint32_t memory = kNone;  // of the switch that it leaves
        std::uint64_t sent_bytes = 0;
        std::int64_t resumed_at = INT64_MIN;  // only where it is recorded
        EcnProfile marking;
        std::int64_t paused_at = 0;
        Bandwidth rate;
        std::uint64_t draws = 0;
    };

    /// Telemetry and selective acknowledgement: what few packets carry.
    struct Extra {
        std::array<HopTelemetry, 8> hops;
        std::uint64_t arrived = 0;  // bit i: packet first + i has arrived
        std::uint32_t first = 0;
        std::uint32_t next = kNone;
    };

    /// What befalls packets of a link; thresholds of uniform draws of 64 bits.
    struct Fault {
        std::uint64_t loss = 0;
        std::uint64_t spoil = 0;
        std::uint64_t codeword = 0;  // that FEC cannot correct
        std::int64_t interleave = 0;
        std::int64_t retry = 0;     // ps; 0: what FEC cannot correct is lost
        std::uint64_t ordinal = 0;  // of the next packet
        std::uint64_t key = 0;      // of its draws
    };
    /// Of a link whose pauses may get lost.
    struct PauseClock {
        PauseSource source;                // the end that pauses: says so again
        SimTime until = SimTime::never();  // the end that is paused: starts by itself
    };

    // network.cpp: ports, wires, switches.
    void make_ports();
    void on_wire(std::uint32_t link);
    void kick(std::uint32_t link);
    void transmit(std::uint32_t link, PacketId id);
    void hold_back(std::uint32_t link, std::uint32_t bytes);
    void enqueue(std::uint32_t link, PacketId id);
    void make_memories();
    [[nodiscard]] BufferProfile memory_of(NodeId at) const;
    [[nodiscard]] bool marks(LinkId link) const;
    void cut(std::uint32_t link, PacketId id);
    [[nodiscard]] bool store(const Port& out, const Packet& p);
    void release(const Port& out, const Packet& p);
    void tell_pause(std::uint32_t in_link, bool pause);
    void on_pause(std::uint32_t link, bool pause);
    void set_paused(std::uint32_t link, bool pause);
    void hold(std::uint32_t link, bool held);
    void watch(std::uint32_t link, bool progress);
    void on_watch(std::uint32_t link);
    void drop(std::uint32_t link, PacketId id);
    void mark(std::uint32_t link, Port& p, Packet& packet);
    void stamp_hop(Port& p, Packet& packet);
    [[nodiscard]] std::int64_t wire_time(const Port& p, std::uint32_t bytes) const {
        return static_cast<std::int64_t>((bytes * p.ps_per_byte + kUp) >> kRateBits);
    }

    // spreading.cpp
    void prepare_spreading();
    [[nodiscard]] std::uint32_t next_link(Packet& p, NodeId at);
    [[nodiscard]] std::uint32_t adaptive_link(const Packet& p, NodeId at,
                                              std::span<const std::uint32_t> ways);

    // recording.cpp
    void start_recording();
    void wake(std::uint32_t link);
    void take_samples();
    [[nodiscard]] PortSample since_sample(std::size_t active, SimTime at) const;
    void record_cause(std::uint32_t in_link);
    void record_pause(std::uint32_t link, std::int64_t to);
    void record_held(Recorder& r, std::uint32_t link, ConnectionId id, std::int64_t from) const;
    void record_still_held(Recorder& r) const;
    [[nodiscard]] bool shares(ConnectionId id, std::uint32_t link) const;
    [[nodiscard]] bool crosses_root(const Victims& v, ConnectionId id, std::int64_t since) const;
    /// From a packet's header at the far end to its last bit.
    [[nodiscard]] std::int64_t rest_of(const Port& p, std::uint32_t bytes) const {
        return wire_time(p, bytes) - wire_time(p, std::min(bytes, header_bytes_));
    }

    // failing.cpp
    [[nodiscard]] SimDuration latency_of(std::uint32_t link) const;
    void make_errors();
    void lose(std::uint32_t link);
    [[nodiscard]] Fault& fault_of(std::uint32_t link);
    [[nodiscard]] std::int64_t strike(const Port& p, Packet& packet);
    void expect_lost_pauses(std::uint32_t carrier);
    [[nodiscard]] bool pauses(std::uint32_t link) const;
    void pause_again(std::uint32_t link);
    void hold_pause(std::uint32_t link);
    void refresh_pause(std::uint32_t link);
    void on_chores();

    // sending.cpp
    void lay(ConnectionId id, const Path& path);
    [[nodiscard]] bool passes(std::uint32_t link, std::uint32_t next) const;
    void set_marking(const Path& path, bool spread, const PathFacts& facts);
    void rewind(ConnectionId id);
    void look_for_work(ConnectionId id);
    [[nodiscard]] bool may_send(ConnectionId id);
    [[nodiscard]] PacketId pull(std::uint32_t link);
    [[nodiscard]] PacketId make_packet(ConnectionId id);
    [[nodiscard]] std::int64_t timeout(const Connection& c) const;
    [[nodiscard]] std::uint32_t bytes_of(const Connection& c, std::uint32_t seq) const;
    [[nodiscard]] std::int64_t bytes_between(const Connection& c, std::uint32_t from,
                                             std::uint32_t to) const;
    [[nodiscard]] static bool known_arrived(const Connection& c, std::uint32_t seq) {
        return seq < c.acked || c.arrived_there.test(seq, c.acked);
    }
    void link_ring(Port& p, ConnectionId id);
    void pace_by_rate(Connection& c);

    // acknowledging.cpp: what answers change at the sender.
    void on_ack(ConnectionId id, const Packet& p);
    void take_off(Connection& c, std::int64_t newly);
    std::int64_t learn(Connection& c, std::uint32_t seq);
    std::int64_t take_for_lost(Connection& c, std::uint32_t seq, PathNews how);
    std::int64_t infer_losses(Connection& c);
    std::int64_t take_cumulative(Connection& c, std::uint32_t upto);
    std::int64_t take_selective(Connection& c, const Extra& x);
    void go_to(Connection& c, std::uint32_t seq);
    void on_nack(ConnectionId id, const Packet& p);
    void on_timer(ConnectionId id);
    void resume(ConnectionId id);
    void arm(ConnectionId id);
    void finish_acked(Connection& c);
    void give_up(Connection& c);

    // crediting.cpp
    void open_account(ConnectionId id);
    void move_account(ConnectionId id, std::uint32_t old);
    void send_control(std::uint32_t link, std::uint32_t route, Kind kind, ConnectionId id,
                      std::uint32_t amount);
    void open_window(Connection& c);
    void want(Connection& c, std::int64_t bytes);
    [[nodiscard]] std::uint32_t wants(Connection& c);
    void tell_wants(ConnectionId id);
    void hear_wants(Connection& c, std::uint32_t told);
    void pace(std::uint32_t port);
    void on_payer(std::uint32_t port);
    void on_credit(const Packet& p);

    // receiving.cpp
    void receive(PacketId id);
    void receive_data(Packet& p);
    void note(Packet& p);
    bool finish_arrived(Connection& c);
    void notify(const Packet& cause);
    void answer(Packet& cause, Kind kind);
    void go_back(const Packet& cause, Kind kind, std::uint32_t extra);
    [[nodiscard]] std::uint32_t take_extra();
    void give_extra(Packet& p);

    static constexpr std::int64_t kCreditPatience = 8;  // timeouts that one waits for credit
    static constexpr std::int64_t kWantUnit = 64;  // bytes, in which packets say what is wanted
    static constexpr int kRateBits = 20;
    static constexpr std::uint64_t kUp = (std::uint64_t{1} << kRateBits) - 1;

    const Fabric* fabric_;
    PacketOptions options_;
    ChosenCongestion congestion_;
    Health known_;  // by routing
    Router router_;
    Forwarding forwarding_;
    Wheel wheel_;
    Pool pool_;
    std::vector<Port> ports_;  // by link
    std::vector<PortCounts> counts_;
    std::vector<SharedBuffer> memories_;   // of switches
    std::vector<std::uint8_t> is_switch_;  // by node
    std::vector<std::uint32_t> routes_;    // links of all connections; kNone ends one
    std::vector<Connection> connections_;
    SprayProfile spray_profile_;
    std::vector<HostSpray> sprays_;       // by connection, where hosts spray
    std::vector<AdaptivePort> adaptive_;  // by node, where switches choose
    std::vector<std::unique_ptr<FlowletTable>> flowlets_;
    std::vector<Message> messages_;
    std::uint32_t free_message_ = kNone;
    std::vector<Extra> extras_;
    std::uint32_t free_extra_ = kNone;
    std::vector<Report> reports_;
    std::uint32_t header_bytes_ = 0;
    bool all_mark_ = false;             // ports of paths that packets are spread over mark as well
    std::uint32_t most_ahead_ = kNone;  // packets beyond the first that is missing
    /// By link, where there are watchdogs at all.
    struct Watch {
        PauseTarget target;
        Watchdog dog;
    };
    std::vector<Watch> watches_;
    std::vector<Fault> faults_;
    std::vector<PauseClock> pauses_;
    using Chore = std::pair<SimTime, std::uint32_t>;  // when to look at the pauses of a link
    std::priority_queue<Chore, std::vector<Chore>, std::greater<>> chores_;
    /// By link, where receivers grant credit.
    struct Payer {
        std::unique_ptr<CreditPacer> pacer;
        std::vector<ConnectionId> payees;
    };
    std::vector<Payer> payers_;
    std::uint32_t wires_ = 0;  // sources of events: wires, ports, watchdogs if any,
    std::uint32_t chore_source_ = 0;
    std::uint32_t payers_at_ = 0;  // those who grant credit if any
    std::uint32_t owner_ = 0;      // and after it the connections
    Totals totals_;
    std::unique_ptr<Recorder> recorder_;
    std::int64_t sample_at_ = INT64_MAX;  // ports are asked before any later event
};

}  // namespace weft::packet
