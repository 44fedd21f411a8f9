#pragma once
// How two ranks come to share memory: one unix connection, two messages. The side that is dialled
// answers first, with its own segment and eventfd, or refuses because it dials as well and is the
// lower rank; the dialling side then sends its own and the pair's segment, which it has made.
// The connection stays: blocks of a SharedHeap are passed over it.
#include <atomic>
#include <mutex>
#include <optional>
#include <unistd.h>
#include <vector>

#include "collectives/transport/net/net_control.hpp"
#include "collectives/transport/shm/layout.hpp"
#include "collectives/transport/shm/mapping.hpp"
#include "collectives/transport/shm/remote_memory.hpp"

namespace weft::live::shm {

/// What the two ranks have of each other.
struct Meeting {
    std::uint32_t peer = 0;
    bool dialled = false;  // by this rank
    Mapping rank;          // the peer's segment
    Mapping pair;
    File bell;
    File socket;
    RemoteMemory memory;  // its plain memory, where that can be read
    [[nodiscard]] const RankPage& page() const {
        return *reinterpret_cast<const RankPage*>(rank.data());
    }
    [[nodiscard]] std::span<const std::byte> arena() const {
        return {rank.data() + sizeof(RankPage), rank.size() - sizeof(RankPage)};
    }
};

class MeetingPlace {
  public:
    struct Mine {
        int segment = -1;
        int bell = -1;
        std::size_t segment_bytes = 0;
        std::uint32_t lanes = 1;
        const std::uint64_t* word = nullptr;  // random; peers that can read it may read all
    };
    /// `poller`: an epoll instance that becomes readable when collect() may have news.
    MeetingPlace(NetControl& control, const Mine& mine, int poller);
    ~MeetingPlace();

    /// Blocks; the meeting may come from either side.
    [[nodiscard]] Outcome<Meeting> meet(std::uint32_t peer, Clock::time_point deadline);
    /// A peer has dialled and may have sent its part; cheap.
    [[nodiscard]] bool expecting() const { return expecting_.load(std::memory_order_acquire); }
    /// Meetings that peers have begun and that are complete. A bad one gives its reason in
    /// refused().
    [[nodiscard]] std::vector<Meeting> collect();
    /// collect() or refused() has something already, and no socket will say so.
    [[nodiscard]] bool settled() const { return settled_.load(std::memory_order_acquire); }
    [[nodiscard]] std::optional<LiveError> refused();

  private:
    enum class Stage : std::uint8_t { kNone, kDialling, kExpecting, kMet };
    struct Expected {
        std::uint32_t peer = 0;
        File socket;
    };
    void take(const Connection& connection);
    [[nodiscard]] Outcome<std::optional<Meeting>> dial(std::uint32_t peer,
                                                       Clock::time_point deadline);
    [[nodiscard]] Outcome<Meeting> complete(Expected& e, const std::byte* hello,
                                            std::span<File> files);
    void wait(std::uint32_t ms) const;
    void note();

    NetControl& control_;
    Mine mine_;
    int poller_;
    pid_t owner_ = ::getpid();
    std::mutex mutex_;  // what follows, against the control's thread
    std::vector<Stage> stages_;
    std::vector<Expected> expected_;
    std::vector<Meeting> arrived_;  // collected by meet(), for others than its caller
    std::vector<LiveError> refused_;
    std::atomic<bool> expecting_{false};
    std::atomic<bool> settled_{false};
};

}  // namespace weft::live::shm
