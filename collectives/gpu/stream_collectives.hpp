#pragma once
// Collectives on device memory, in the order of a stream: between ranks of any hosts, by any
// transport, through pinned host memory.
//
// A call is cut into pieces of which each rank's share fits a slot of 8 MiB. For each piece: device
// to host on one internal stream; the collective on the host, by a thread of this object; host to
// device on another internal stream. Two slots, so that the three overlap. Nothing blocks the
// caller, and the caller's stream goes on when the last piece is there.
//     time = bytes / PCIe rate each way and the host's collective, whichever is longest, plus one
//     piece's way
// CUDA graphs. A call on a stream that is being captured becomes part of the graph: copies, host
// functions and waits for words are its nodes, so it can be replayed. A graph is replayed by one
// stream at a time, and lives no longer than the communicator.
// Errors. A collective that fails breaks the communicator; the stream goes on all the same, what
// the output then holds is undefined, and the next call returns the error. All ranks call on
// streams, or none: pieces are what ranks agree on. One rank a process; several processes may share
// a GPU. Threads: any, one at a time. Leaves out: reduction on the GPU, peer memory of one host
// (CUDA IPC), GPUDirect.
#include <array>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "collectives/api/comm.hpp"
#include "collectives/gpu/gpu.hpp"

namespace weft::live {

class StreamCollectives {
  public:
    static constexpr std::size_t kSlotBytes = std::size_t{8} << 20;

    /// `comm` outlives it.
    StreamCollectives(Comm& comm, std::shared_ptr<Gpu> gpu, std::size_t slot_bytes = kSlotBytes);
    /// Streams have been waited for; no graph of it is run any more.
    ~StreamCollectives();
    StreamCollectives(const StreamCollectives&) = delete;
    StreamCollectives& operator=(const StreamCollectives&) = delete;

    /// Queues it. ConfigError for arguments that make no sense; LiveError when the communicator is
    /// broken, or the GPU refuses: before anything is queued (no GPU set in this thread, no memory)
    /// that is all, afterwards the communicator is broken.
    Status run(const CollectiveCall& call, Gpu::Stream stream);

  private:
    /// One piece on the host. Of a graph: kept, to run again.
    struct Job {
        StreamCollectives* owner = nullptr;
        CollectiveCall call;
        std::uint64_t factor = 0;
        std::uint32_t* done = nullptr;
        bool kept = false;
    };
    struct Slot {
        std::byte* input = nullptr;
        std::byte* output = nullptr;
        std::uint32_t* done = nullptr;
        Gpu::Event empty = nullptr;
        bool used = false;
    };
    /// Calls that are made and calls that are captured know nothing of each other's events.
    struct Pipe {
        void* context = nullptr;
        std::uint64_t capture = 0;
        Gpu::Stream in = nullptr;
        Gpu::Stream out = nullptr;
        Gpu::Event begun = nullptr;
        Gpu::Event ended_in = nullptr;
        Gpu::Event ended_out = nullptr;
        std::byte* memory = nullptr;
        std::array<Slot, 2> slots;
        std::size_t next = 0;
    };
    struct Shape {
        std::size_t in_blocks = 0;
        std::size_t out_blocks = 0;
        std::uint64_t piece = 0;  // elements of a block
    };

    [[nodiscard]] Shape shape_of(const CollectiveCall& call) const;
    [[nodiscard]] Pipe& pipe_for(Gpu::Stream stream);
    void open(Pipe& pipe);
    void close(Pipe& pipe);
    void queue(Pipe& pipe, const CollectiveCall& call, const Shape& shape, std::uint64_t from,
               std::uint64_t count);
    static void submit(void* job);
    void work();
    void run_job(Job& job);

    Comm& comm_;
    std::shared_ptr<Gpu> gpu_;
    std::size_t slot_bytes_;
    std::mutex calling_;
    std::deque<Pipe> pipes_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Job*> jobs_;
    std::map<const Job*, std::unique_ptr<Job>> all_;  // that exist
    std::optional<LiveError> error_;
    bool closing_ = false;
    std::thread worker_;
};

}  // namespace weft::live
