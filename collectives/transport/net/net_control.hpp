#pragma once
// NetControl: Control between processes, and the switchboard through which endpoints of the same
// process get authenticated connections. Owns one thread, which sleeps in epoll: it accepts,
// checks and dispatches connections, exchanges heartbeats and carries alarms and inquiries. A
// stranger's bytes are met only here, and never by data paths.
//
// Overlay. Rank r keeps control connections to r +- 2^k (mod n); alarms and inquiries are flooded
// over them, each once, so that any rank may die. Where hosts have several planes each connection
// is kept once per plane (at most two), and goes on with the one that lives.
// Lost. A connection that closes without a farewell, at a neighbour who cannot connect again, is a
// dead process; one that is silent (no heartbeat for a second) is only that: silent.
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "collectives/transport/control.hpp"
#include "collectives/transport/net/world.hpp"

namespace weft::live {

/// What an authenticated connection is for. kControl and kStore (the last) are for this folder
/// only.
enum class Purpose : std::uint8_t { kControl, kTcpLane, kShm, kVerbs, kStore };

/// Bound to one connection: derived from the world's secret and both sides' nonces.
using SessionKey = std::array<std::byte, 32>;

/// An open, authenticated, non-blocking stream socket (TCP or unix). The owner closes `fd`.
struct Connection {
    int fd = -1;
    std::uint32_t peer = 0;
    Purpose purpose = Purpose::kControl;
    std::uint64_t tag = 0;  // free for the purpose: lane number and attempt, for example
    SessionKey key{};
};

/// An address of this host that ranks may use: one NIC port.
struct Port {
    std::string interface;  // "eth0", "r0p1"
    std::string address;    // numeric, IPv4 or IPv6
    std::int32_t rail = 0;
    std::int32_t plane = 0;
    std::int32_t numa = -1;
    std::uint64_t bits_per_second = 0;  // 0: unknown
};

struct NetOptions {
    std::uint32_t rank = 0;
    std::uint32_t ranks = 1;
    /// NIC ports to listen on and to connect from; empty: the loopback address alone.
    std::vector<Port> ports;
    /// Equal at all ranks or refused at the meeting, key by key ("WEFT_ALGO" -> "ring").
    std::vector<std::pair<std::string, std::string>> environment;
    /// Ranks are on one host if boot id, network namespace, uts name and this word are the same.
    std::string host;
    std::string version;  // empty: that of this build. Equal at all ranks
    std::chrono::milliseconds silence{1'000};
    /// Whether `weft doctor` of the same user finds this rank (report_door.hpp).
    bool doctor = true;
};

struct RankReport;

/// A group whose survivors are counted, the how manieth time.
struct Group {
    ContextId context = 0;
    std::uint32_t generation = 0;
    std::span<const std::uint32_t> members;  // world ranks
};

/// What came of it.
struct Survivors {
    enum class State : std::uint8_t {
        kOpen,        // no agreement in time: `what` says who is missing
        kAgreed,      // everybody who has this answer has these `ranks`
        kCountedOut,  // the others go on without this rank, for good
    };
    State state = State::kOpen;
    std::vector<std::uint32_t> ranks;  // rising
    std::string what = "no answer in time";
};

class NetControl : public Control {
  public:
    /// Listens and starts the thread; meets nobody yet. LiveError when it cannot listen.
    [[nodiscard]] static Outcome<std::unique_ptr<NetControl>> start(const UniqueId& id,
                                                                    const NetOptions& options);
    /// What this rank shows of itself under a name ("tcp", "shm"), before meet().
    virtual void publish(const std::string& name, std::vector<std::byte> card) = 0;
    /// Blocks until all ranks have met; after it cards are known and connections can be had.
    virtual Status meet(Clock::time_point deadline) = 0;
    /// The same at a store of one's own (MPI).
    virtual Status meet(Store& store, Clock::time_point deadline) = 0;
    /// A peer's card, validated by whoever reads it; empty if it has none of that name.
    [[nodiscard]] virtual std::span<const std::byte> card(std::uint32_t peer,
                                                          const std::string& name) const = 0;
    [[nodiscard]] virtual const std::vector<Port>& ports(std::uint32_t peer) const = 0;
    /// Whether the peer runs under the same kernel and can be reached by unix sockets.
    [[nodiscard]] virtual bool same_host(std::uint32_t peer) const = 0;

    /// Connections that peers open for a purpose go to `take`, which is called from the thread of
    /// this object and must not block; before meet(). An empty function: stop; `take` does not run
    /// any more when this returns, so hold no lock here that `take` waits for.
    virtual void on_connection(Purpose purpose, std::function<void(Connection)> take) = 0;
    /// Opens one, from the local to the remote port (indexes into ports()); -1: a unix socket.
    /// Blocks for no longer than `deadline`; from any thread but this object's own.
    virtual Outcome<Connection> dial(std::uint32_t peer, Purpose purpose, std::uint64_t tag,
                                     int local_port, int remote_port,
                                     Clock::time_point deadline) = 0;
    /// Agrees with the other members on who of them is left; they all call it. Blocks until then or
    /// `until`, and calls `meanwhile`, which waits for some milliseconds, again and again. Members
    /// that are dead are not in it; nor are those that stay silent, where a majority is left (or
    /// half with the lowest rank): these are counted out, everywhere and for good, and told so.
    [[nodiscard]] virtual Survivors survivors(const Group& group, Clock::time_point until,
                                              const std::function<void()>& meanwhile) = 0;
    /// What `weft doctor` is told besides: operations, groups and lanes, of whoever moves them.
    /// `fill` is called from the thread of this object and must not block: false if it cannot say
    /// now. Empty: no more; it does not run any more when this returns.
    virtual void on_report(std::function<bool(RankReport&)> fill) { static_cast<void>(fill); }
    /// Says farewell, so that the others do not take this rank for dead. Part of finalize.
    virtual void leave() = 0;
};

}  // namespace weft::live
