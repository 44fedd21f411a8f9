#pragma once
// Opens one authenticated connection within a Loop: connects, proves, checks the answer. Tries
// again when it is dropped on the way (a busy doorman) until the deadline; a refused connection is
// final, because nobody listens there any more.
#include <functional>
#include <optional>

#include "collectives/transport/net/handshake.hpp"
#include "collectives/transport/net/loop.hpp"

namespace weft::live::net {

/// How a call ended.
struct Called {
    enum class End : std::uint8_t {
        kOpen,
        kRefused,   // nobody listens there: the process is gone
        kStranger,  // somebody else listens there
        kTimeout,   // no answer
    };
    End end = End::kOpen;
    Connection connection;  // kOpen
    std::string what;       // the others: in words
};

class Caller {
  public:
    struct Options {
        Address from;  // size 0: any
        Address to;
        Secret secret;
        Hello hello;
        Clock::time_point deadline;
    };
    using Done = std::function<void(Called)>;
    /// `done` is called once, from the loop; not at all when the Caller is destroyed before. It may
    /// destroy the Caller.
    Caller(Loop& loop, const Options& options, Done done);
    ~Caller() { hang_up(); }
    Caller(const Caller&) = delete;
    Caller& operator=(const Caller&) = delete;

  private:
    void dial();
    void connected();
    void hear();
    void again(const std::string& why);
    void give_up();
    void hang_up();
    void finish(Called called);

    Loop& loop_;
    Options options_;
    Done done_;
    Fd fd_;
    bool said_hello_ = false;
    std::optional<CallingSide> side_;
    std::uint64_t watch_ = 0;
    std::uint64_t retry_ = 0;
    std::uint64_t timer_ = 0;
    int attempts_ = 0;
    std::string last_;
};

}  // namespace weft::live::net
