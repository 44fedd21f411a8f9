#pragma once
// The overlay: which ranks this one keeps control connections to, heartbeats over them, and what it
// means when they fall silent or close. Runs in the switchboard's loop.
//
// Neighbours are the next living ranks from r + 2^k and from r - 2^k, so the overlay stays
// connected whoever dies. On one host a neighbour has one link, over a unix socket; else one a
// plane, at most two. The lower rank calls, the higher one too if it has waited in vain. Death. All
// links closed without a farewell, and calls refused for 100 ms: nobody listens there any more. On
// one host also: the process has ended, though a child of it may hold its sockets. Silence of all
// links, or calls without an answer, are never a death.
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "collectives/transport/net/channel.hpp"
#include "collectives/transport/net/switchboard.hpp"

namespace weft::live::net {

class Links {
  public:
    struct Calls {
        /// A block has come from a neighbour.
        std::function<void(std::uint32_t from, ByteSpan block)> heard;
        /// What a new neighbour is told first.
        std::function<std::vector<std::vector<std::byte>>()> known;
        std::function<void(std::uint32_t peer, const std::string& why)> dead;
    };
    Links(Switchboard& board, std::chrono::milliseconds silence, Calls calls);
    ~Links();
    Links(const Links&) = delete;
    Links& operator=(const Links&) = delete;

    // In the loop:
    /// After the meeting; `settled` is called when each neighbour has been reached, or called in
    /// vain.
    void start(std::function<void()> settled);
    void adopt(const Connection& connection);
    /// To all neighbours but one, at the end of this turn.
    void spread(std::vector<std::byte> block, std::uint32_t except);
    void flush();
    /// The rank has died or left: its closing connections mean nothing.
    void gone(std::uint32_t peer);
    [[nodiscard]] bool all_sent() const;
    [[nodiscard]] std::vector<std::uint32_t> neighbours() const;

    // From any thread:
    /// For how long a neighbour has been silent, if it is.
    [[nodiscard]] std::optional<Clock::duration> silent(std::uint32_t peer) const;

  private:
    static constexpr std::int32_t kUnix = -1;
    struct Link {
        std::int32_t plane = kUnix;
        std::unique_ptr<Channel> channel;
        std::uint64_t process_watch = 0;
        Fd process;
    };
    struct Way {  // how to call a neighbour; the plane is the connection's tag
        std::int32_t plane = kUnix;
        int local_port = -1;
        int remote_port = -1;
        bool worked = false;
        bool refused = false;
        std::unique_ptr<Caller> caller;
        std::uint64_t timer = 0;
    };
    struct Neighbour {
        std::vector<Way> ways;
        std::map<std::uint64_t, Link> links;
        std::optional<Clock::time_point> refused_since;
        std::uint64_t timer = 0;
        std::string why;  // the last link was lost
    };

    [[nodiscard]] std::set<std::uint32_t> wanted() const;
    [[nodiscard]] std::vector<Way> ways_to(std::uint32_t peer) const;
    Neighbour& neighbour(std::uint32_t peer);
    void call(std::uint32_t peer, std::size_t way);
    void call_later(std::uint32_t peer, std::size_t way, std::chrono::milliseconds wait);
    void call_all(std::uint32_t peer);
    void called(std::uint32_t peer, std::size_t way, const Called& called);
    void refused(std::uint32_t peer, std::size_t way);
    void add(std::uint32_t peer, const Connection& connection, Side side);
    void turn_away(const Connection& connection, Side side);
    void watch_process(std::uint32_t peer, Link& link);
    void lost(std::uint32_t peer, std::uint64_t link, const std::string& why);
    void declare_dead(std::uint32_t peer, const std::string& why);
    void heard(std::uint32_t peer, ByteSpan payload);
    void beat();
    void mend();
    void settle();

    Switchboard& board_;
    Loop& loop_;
    std::chrono::milliseconds silence_;
    std::chrono::milliseconds interval_;
    Calls calls_;
    std::map<std::uint32_t, Neighbour> neighbours_;
    std::set<std::uint32_t> gone_;
    std::vector<std::pair<std::vector<std::byte>, std::uint32_t>> news_;  // block, except
    std::vector<std::atomic<Clock::rep>> heard_;                          // 0: no neighbour
    std::uint64_t next_link_ = 0;
    std::uint64_t mend_timer_ = 0;
    std::uint64_t beat_timer_ = 0;
    Clock::time_point last_beat_;
    std::set<std::uint32_t> unsettled_;  // neighbours that have not been reached yet
    std::function<void()> settled_;
    bool started_ = false;
};

}  // namespace weft::live::net
