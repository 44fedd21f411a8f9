#pragma once
// One connection of a lane, carrying messages one way (whoever opened it sends) and grants and
// acknowledgements the other. Turns frames into bytes and bytes into frames, with few system calls:
// small frames are collected and written together with a piece of payload straight from the
// caller's memory; payload is read straight to where it belongs, together with the headers behind
// it. Knows nothing of operations: a Handler says where a frame's payload lands.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "collectives/transport/tcp/cursor.hpp"
#include "collectives/transport/tcp/frame.hpp"
#include "collectives/transport/tcp/health.hpp"

namespace weft::live::tcp {

/// Where the bytes of a message go, and how far it has come. A new attempt has another serial.
struct Landing {
    SegmentCursor to;
    std::uint64_t serial = 0;
    std::uint64_t received = 0;
};

class Wire {
  public:
    enum class Flow : std::uint8_t {
        kIdle,     // nothing left to do
        kMore,     // the budget is used up: call again
        kBlocked,  // the socket takes no more at present
        kBroken,   // the connection is gone, or what came is nonsense: see why()
    };
    class Handler {
      public:
        virtual ~Handler() = default;
        /// A header has come; a message's payload is dropped unless land() is called. False: it
        /// cannot be; the wire is broken.
        [[nodiscard]] virtual bool on_header(Wire& wire, const FrameHeader& header) = 0;
        /// The payload of the last header is complete.
        [[nodiscard]] virtual bool on_frame(Wire& wire, const FrameHeader& header) = 0;
    };
    struct Place {
        std::uint32_t peer = 0;
        std::uint32_t lane = 0;
        std::uint32_t epoch = 0;
        bool sends = false;  // messages go out on it; else they come in
    };

    Wire(int fd, const Place& place, std::uint64_t id);
    ~Wire();
    Wire(const Wire&) = delete;
    Wire& operator=(const Wire&) = delete;

    [[nodiscard]] int fd() const { return fd_; }
    [[nodiscard]] const Place& place() const { return place_; }
    [[nodiscard]] std::uint64_t id() const { return id_; }
    [[nodiscard]] const std::string& why() const { return why_; }
    void broken(std::string why) { why_ = std::move(why); }
    /// Ends the connection. Hard: what has not left yet never does.
    void close(bool hard);

    // Out. Frames leave in the order of these calls.
    void stage(FrameHeader header, std::span<const std::byte> payload = {});
    /// The payload is read from the segments as it leaves; one at a time (see busy()).
    void stage_chunk(FrameHeader header, const SegmentCursor& from);
    [[nodiscard]] bool busy() const { return chunk_left_ > 0; }
    [[nodiscard]] std::size_t staged() const { return out_.size() - out_at_ + after_.size(); }
    [[nodiscard]] std::uint64_t chunk_serial() const { return busy() ? chunk_serial_ : 0; }
    /// Copies what is left of the chunk, so that the caller's memory is not read any more.
    void detach_chunk();
    /// Writes until nothing is left or the socket is full.
    Flow write();
    [[nodiscard]] std::uint64_t written() const { return written_; }

    // In.
    /// Reads about `budget` bytes. `to_the_end`: the other end may have closed, find out.
    Flow read(Handler& handler, std::size_t budget, bool to_the_end);
    void land(Landing& landing, bool verify);
    /// What still comes of the present frame is dropped.
    void drop() { landing_ = nullptr; }
    /// Of the frame whose payload is coming, or has come last.
    [[nodiscard]] const FrameHeader& header() const { return header_; }
    /// The message frame that has ended was put where it belongs, and still does.
    [[nodiscard]] Landing* landed() const;
    [[nodiscard]] std::uint32_t payload_crc() const { return crc_; }
    [[nodiscard]] std::span<const std::byte> control() const { return control_; }
    [[nodiscard]] std::uint64_t received() const { return received_; }
    /// Bytes read of which the other end has not been told.
    [[nodiscard]] std::uint64_t unreported() const { return received_ - reported_; }

    Pulse pulse;
    std::vector<std::uint64_t> acks;  // serials to be acknowledged on it
    bool dirty = false;               // listed for writing
    bool readable = false;            // more may be there to read
    bool hung_up = false;
    bool writable = true;

  private:
    void append(FrameHeader header, std::span<const std::byte> payload, std::vector<std::byte>& to);
    void move_on(std::size_t bytes);
    std::size_t direct_pieces(std::span<iovec> out);
    void take_direct(std::span<const iovec> pieces, std::size_t bytes);
    void deliver(std::span<const std::byte> bytes);
    [[nodiscard]] bool parse(Handler& handler);
    void wait_for_more();
    [[nodiscard]] bool begin_frame(Handler& handler);
    [[nodiscard]] bool wants_payload() const {
        return landing_ != nullptr && landing_->serial == landing_serial_;
    }

    int fd_;
    Place place_;
    std::uint64_t id_;
    std::string why_;

    std::vector<std::byte> out_;  // leaves before the chunk
    std::size_t out_at_ = 0;
    SegmentCursor chunk_;
    std::size_t chunk_left_ = 0;
    std::uint64_t chunk_serial_ = 0;
    std::vector<std::byte> after_;  // ... and after it
    std::uint64_t written_ = 0;

    std::vector<std::byte> in_;  // bytes read and not yet looked at: [in_begin_, in_end_)
    std::size_t in_begin_ = 0;
    std::size_t in_end_ = 0;
    FrameHeader header_;
    std::size_t left_ = 0;  // of the payload of header_
    int low_mark_ = 1;      // the kernel says nothing before so many bytes have come
    Landing* landing_ = nullptr;
    std::uint64_t landing_serial_ = 0;
    bool verify_ = false;
    std::uint32_t crc_ = 0;
    std::vector<std::byte> control_;
    std::vector<std::byte> scratch_;
    std::uint64_t received_ = 0;
    std::uint64_t reported_ = 0;
};

}  // namespace weft::live::tcp
