#pragma once
// The mpi endpoint: one per rank. Two sources: endpoint.cpp (the world, polling, frames that go and
// come) and endpoint_messages.cpp (operations, posting, matching, acknowledging).
#include <array>
#include <deque>
#include <unordered_map>
#include <vector>

#include "collectives/transport/mpi/mpi.hpp"
#include "collectives/transport/regions.hpp"
#include "collectives/transport/tcp/frame.hpp"
#include "collectives/transport/tcp/ledger.hpp"

namespace weft::live::mpi {

using tcp::FrameHeader;
using tcp::FrameKind;
using tcp::GrantEntry;
using tcp::kHeaderSize;
using tcp::Ledger;
using tcp::Operation;
using tcp::Pool;
using tcp::Receive;
using tcp::SegmentCursor;
using tcp::Send;

// A frame lies in a buffer so that its payload begins at a cache line.
inline constexpr std::size_t kHeaderAt = 32;
inline constexpr std::size_t kPayloadAt = kHeaderAt + kHeaderSize;
inline constexpr std::size_t kLongestPayload = 256 * 1024 - kPayloadAt;

class Mailbox final : public MpiEndpoint {
  public:
    Mailbox(NetControl& control, const MpiOptions& options, const weft_mpi_module& mpi);
    ~Mailbox() override;
    Status assemble() override;

    [[nodiscard]] std::uint32_t rank() const override { return rank_; }
    [[nodiscard]] std::uint32_t ranks() const override { return ranks_; }
    Status connect(std::uint32_t peer, Clock::time_point deadline) override;
    [[nodiscard]] std::span<const Lane> lanes(std::uint32_t) const override { return lanes_; }
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
    void disarm() override;
    [[nodiscard]] std::span<const int> fds() const override { return fds_; }
    void wake() override;
    [[nodiscard]] bool restless() const override { return true; }
    bool cut_lane(std::uint32_t, std::uint32_t) override { return false; }
    bool mend_lane(std::uint32_t, std::uint32_t) override { return false; }

  private:
    /// One MPI message in its buffer.
    struct Frame {
        Pool::Buffer buffer;
        std::size_t size = 0;
        weft_mpi_request* request = nullptr;
        [[nodiscard]] std::byte* at(std::size_t offset) const { return buffer.data.get() + offset; }
    };
    struct Share {
        std::uint32_t lane = 0;
        ContextId context = 0;
        std::uint32_t messages = 0;
        std::uint64_t bytes = 0;
    };
    struct GrantDue {
        Ledger::Id operation;
        GrantEntry entry;
    };
    struct Peer {
        std::deque<Frame> leaving;
        std::deque<Frame> arriving;
        std::deque<Send*> ready;    // in order of leaving; the first may have left in part
        std::vector<Share> posted;  // by lane and communicator, so that none takes another's room
        std::vector<std::uint64_t> acks;
        std::vector<GrantDue> to_grant;
        std::uint64_t eager_used = 0;    // bytes that this rank has sent unasked and unacked
        std::uint64_t early = 0;         // bytes that the peer has sent unasked
        std::uint32_t early_grants = 0;  // for operations that have not begun
        bool lost = false;
    };

    // endpoint.cpp
    bool progress();
    bool receive_frames();
    bool take_arrived(std::uint32_t index);
    void retire();
    void flush();
    void flush_grants(std::uint32_t peer);
    void flush_acks(std::uint32_t peer);
    void flush_sends(std::uint32_t peer);
    [[nodiscard]] Frame framed(const FrameHeader& header);
    void dispatch(std::uint32_t peer, Frame frame);
    void put(std::uint32_t peer, FrameHeader header, std::span<const std::byte> payload);
    void lose(std::uint32_t peer, const std::string& why);

    // endpoint_messages.cpp
    void on_frame(std::uint32_t peer, Frame frame);
    void on_message(std::uint32_t peer, const FrameHeader& header, Frame& frame);
    bool land(std::uint32_t peer, const FrameHeader& header, Receive& receive, Frame& frame);
    void on_want(std::uint32_t peer, const FrameHeader& header);
    void on_grants(std::uint32_t peer, const FrameHeader& header,
                   std::span<const std::byte> payload);
    void on_acks(std::uint32_t peer, std::span<const std::byte> payload);
    void granted(Operation& op, const PeerKey& key, std::uint64_t size);
    [[nodiscard]] Operation& begun(const MessageKey& key);
    Receive& post(std::uint32_t peer, const MessageKey& key, std::uint64_t size);
    void posted(std::uint32_t peer, const MessageKey& key, Receive& receive);
    void finish(std::uint32_t peer, const MessageKey& key, Receive& receive);
    void give_back(std::uint32_t peer, Receive& receive);
    void forget(ContextId context, std::uint64_t operation);
    void drop_send(Send& send);
    void disown(Operation& op, std::uint32_t peer);

    NetControl& control_;
    MpiOptions options_;
    const weft_mpi_module& mpi_;
    weft_mpi_world* world_ = nullptr;
    std::uint32_t rank_;
    std::uint32_t ranks_;
    std::vector<Lane> lanes_;
    std::array<int, 2> fds_{-1, -1};  // wake(), and the time to look again
    std::chrono::microseconds nap_;
    std::vector<Peer> peers_;
    RegionTable<> regions_;
    Ledger ledger_;
    Pool pool_;
    std::unordered_map<std::uint64_t, Send> sends_;  // by serial
    std::uint64_t serial_ = 0;
    std::uint32_t arriving_ = 0;
    std::deque<Completion> completions_;
    std::deque<Fault> faults_;
};

}  // namespace weft::live::mpi
