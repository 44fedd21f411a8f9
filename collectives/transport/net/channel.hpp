#pragma once
// An authenticated connection within a Loop that carries frames: bytes in and out, with a bounded
// queue. Used by the store and by the links between ranks.
#include <functional>
#include <string>
#include <vector>

#include "collectives/transport/net/frame.hpp"
#include "collectives/transport/net/loop.hpp"

namespace weft::live::net {

class Channel {
  public:
    /// `frame` is called for each payload; it must not destroy the channel. `closed` is called once
    /// when the connection has ended, for whatever reason, and may destroy the channel.
    struct Calls {
        std::function<void(ByteSpan payload)> frame;
        std::function<void(const std::string& why)> closed;
        /// All that was queued has been sent, after some of it had to wait; may send more.
        std::function<void()> drained = {};
    };
    Channel(Loop& loop, const Connection& connection, Side mine, std::size_t max_queue,
            Calls calls);
    ~Channel();
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    /// Queues a frame; flush() sends.
    void send(ByteSpan payload) { writer_.write(payload, out_); }
    void flush();
    [[nodiscard]] std::size_t queued() const { return out_.size() - sent_; }
    [[nodiscard]] bool open() const { return !closed_; }
    [[nodiscard]] int fd() const { return fd_.get(); }

  private:
    void ready(std::uint32_t events);
    void read();
    void close(const std::string& why);

    Loop& loop_;
    Fd fd_;
    FrameWriter writer_;
    FrameReader reader_;
    std::size_t max_queue_;
    Calls calls_;
    std::vector<std::byte> out_;
    std::size_t sent_ = 0;
    std::uint64_t watch_ = 0;
    std::uint64_t later_ = 0;
    bool waiting_ = false;
    bool closed_ = false;
};

}  // namespace weft::live::net
