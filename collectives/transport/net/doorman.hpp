#pragma once
// Guards one listening socket within a Loop: takes connections, lets each prove that it knows the
// secret, and hands on those that do. At most 64 are being checked at a time (the oldest falls
// out), each for two seconds at most, so strangers cost a descriptor for a moment and no more. At a
// unix socket the caller must also be of the same user.
#include <deque>
#include <functional>
#include <memory>

#include "collectives/transport/net/handshake.hpp"
#include "collectives/transport/net/loop.hpp"

namespace weft::live::net {

class Doorman {
  public:
    static constexpr std::size_t kMaxPending = 64;
    static constexpr std::chrono::milliseconds kPatience{2'000};
    /// Called for each connection that proved itself; the descriptor is the callee's from then on.
    using Take = std::function<void(Connection, const Hello&)>;

    /// `rank`: the number that callers must have meant.
    Doorman(Loop& loop, Fd listener, const Secret& secret, std::uint32_t rank, Take take);
    ~Doorman();
    Doorman(const Doorman&) = delete;
    Doorman& operator=(const Doorman&) = delete;

    [[nodiscard]] std::size_t pending() const { return pending_.size(); }

  private:
    struct Pending {
        Fd fd;
        ListeningSide side;
        Clock::time_point until;
        std::uint64_t watch = 0;
    };
    using Entry = std::shared_ptr<Pending>;  // shared with the Loop's callback while that runs

    void accept_some();
    void admit(Fd fd);
    void hear(const Entry& entry);
    void drop(const Entry& entry);
    void drop_oldest();
    void expire();
    void pause();

    Loop& loop_;
    Fd listener_;
    bool unix_ = false;
    Secret secret_;
    std::uint32_t rank_;
    Take take_;
    std::uint64_t watch_ = 0;
    std::uint64_t timer_ = 0;
    std::uint64_t resume_ = 0;
    std::deque<Entry> pending_;  // oldest first
};

}  // namespace weft::live::net
