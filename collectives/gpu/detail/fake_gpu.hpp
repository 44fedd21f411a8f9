#pragma once
// A GPU for tests: streams are threads that do what is queued, events and graphs as CUDA has them.
// Its memory cannot be touched at the addresses that callers have, only by its own copies.
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "collectives/gpu/gpu.hpp"

namespace weft::live {

class FakeGpu final : public Gpu {
    struct FakeEvent {
        std::uint64_t recorded = 0;  // by the last record() that was queued
        std::atomic<std::uint64_t> reached{0};
        std::uint64_t capture = 0;  // recorded in this one
    };
    using Work = std::function<void()>;
    struct FakeStream {
        std::mutex mutex;
        std::condition_variable changed;
        std::deque<Work> queue;
        bool busy = false;
        bool closing = false;
        std::uint64_t capture = 0;
        std::thread thread;
    };

  public:
    /// What was queued while a stream was captured, on whichever stream.
    struct Graph {
        std::vector<std::pair<FakeStream*, std::function<Work()>>> nodes;
    };

    ~FakeGpu() override {
        for (auto& [s, owned] : streams_) stop(*owned);
        for (auto& [address, m] : memory_) {
            ::munmap(const_cast<std::byte*>(address), m.size);
            ::munmap(m.alias, m.size);
        }
    }

    // What a program does with a GPU.
    [[nodiscard]] std::byte* allocate(std::size_t size) {
        const int file = ::memfd_create("fake-gpu", MFD_CLOEXEC);
        if (::ftruncate(file, static_cast<off_t>(size)) != 0) throw GpuError("no memory");
        void* at = ::mmap(nullptr, size, PROT_NONE, MAP_SHARED, file, 0);
        void* alias = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        ::close(file);
        const std::lock_guard lock(mutex_);
        memory_[static_cast<std::byte*>(at)] = {static_cast<std::byte*>(alias), size};
        return static_cast<std::byte*>(at);
    }
    /// Where a device address can be read and written.
    [[nodiscard]] std::byte* reach(const void* address) {
        const auto* at = static_cast<const std::byte*>(address);
        const std::lock_guard lock(mutex_);
        auto found = memory_.upper_bound(at);
        if (found != memory_.begin() && (--found, at < found->first + found->second.size))
            return found->second.alias + (at - found->first);
        return const_cast<std::byte*>(at);
    }
    void synchronize(Stream stream) {
        FakeStream& s = of(stream);
        std::unique_lock lock(s.mutex);
        s.changed.wait(lock, [&] { return s.queue.empty() && !s.busy; });
    }
    void begin_capture(Stream stream) {
        graph_ = {};
        of(stream).capture = ++captures_;
    }
    [[nodiscard]] Graph end_capture(Stream stream) {
        const std::uint64_t id = of(stream).capture;
        for (auto& [s, owned] : streams_)
            if (owned->capture == id) owned->capture = 0;
        return std::move(graph_);
    }
    void launch(const Graph& graph, Stream stream) {
        // After what the stream has had; and the stream goes on after all of it.
        auto* gate = static_cast<FakeEvent*>(make_event());
        record(gate, stream);
        std::vector<FakeStream*> all;
        for (const auto& [s, node] : graph.nodes)
            if (std::find(all.begin(), all.end(), s) == all.end()) all.push_back(s);
        for (FakeStream* s : all)
            if (s != &of(stream)) wait(s, gate);
        for (const auto& [s, node] : graph.nodes) put(*s, node());
        for (FakeStream* s : all) {
            if (s == &of(stream)) continue;
            Event joined = make_event();
            record(joined, s);
            wait(stream, joined);
        }
    }

    // What the library does with it.
    void* context() override {
        if (!chosen) throw GpuError("the calling thread works with no GPU");
        return this;
    }
    bool chosen = true;
    Stream make_stream() override {
        auto owned = std::make_unique<FakeStream>();
        FakeStream* s = owned.get();
        s->thread = std::thread([s] { run(*s); });
        const std::lock_guard lock(mutex_);
        streams_[s] = std::move(owned);
        return s;
    }
    void destroy_stream(Stream stream) override {
        std::unique_ptr<FakeStream> owned;
        {
            const std::lock_guard lock(mutex_);
            owned = std::move(streams_.at(&of(stream)));
            streams_.erase(&of(stream));
        }
        stop(*owned);
    }
    Event make_event() override {
        const std::lock_guard lock(mutex_);
        events_.push_back(std::make_unique<FakeEvent>());
        return events_.back().get();
    }
    void destroy_event(Event) override {}  // with the GPU
    void record(Event event, Stream stream) override {
        auto* e = static_cast<FakeEvent*>(event);
        e->capture = of(stream).capture;
        const auto now = [e] {
            const std::uint64_t number = ++e->recorded;
            return Work([e, number] { e->reached.store(number); });
        };
        queue(of(stream), now);
    }
    void wait(Stream stream, Event event) override {
        FakeStream& s = of(stream);
        auto* e = static_cast<FakeEvent*>(event);
        if (e->capture != 0) s.capture = e->capture;  // the stream joins
        if (s.capture != 0 && e->capture != s.capture)
            throw GpuError("a captured stream waits for what is not captured");
        queue(s, [e] {
            const std::uint64_t number = e->recorded;
            return Work([e, number] {
                while (e->reached.load() < number) std::this_thread::yield();
            });
        });
    }
    void copy(Stream stream, const Rows& r) override {
        queue(of(stream), [this, r] {
            return Work([this, r] {
                for (std::size_t i = 0; i < r.rows; ++i)
                    std::memcpy(reach(static_cast<std::byte*>(r.to) + i * r.to_pitch),
                                reach(static_cast<const std::byte*>(r.from) + i * r.from_pitch),
                                r.width);
            });
        });
    }
    void call(Stream stream, Function function, void* argument) override {
        queue(of(stream), [=] { return Work([=] { function(argument); }); });
    }
    void take_word(Stream stream, std::uint32_t* word) override {
        queue(of(stream), [word] {
            return Work([word] {
                const std::atomic_ref<std::uint32_t> w(*word);
                while (w.load(std::memory_order_acquire) != 1) std::this_thread::yield();
                w.store(0, std::memory_order_release);
            });
        });
    }
    std::uint64_t capture(Stream stream) override { return of(stream).capture; }
    std::byte* allocate_pinned(std::size_t size) override {
        const std::lock_guard lock(mutex_);
        pinned_.push_back(std::make_unique<std::byte[]>(size));
        return pinned_.back().get();
    }
    void free_pinned(std::byte*) override {}  // with the GPU

  private:
    struct Memory {
        std::byte* alias = nullptr;
        std::size_t size = 0;
    };
    static FakeStream& of(Stream stream) { return *static_cast<FakeStream*>(stream); }
    static void put(FakeStream& s, Work work) {
        const std::lock_guard lock(s.mutex);
        s.queue.push_back(std::move(work));
        s.changed.notify_all();
    }
    void queue(FakeStream& s, std::function<Work()> node) {
        if (s.capture != 0)
            graph_.nodes.emplace_back(&s, std::move(node));
        else
            put(s, node());
    }
    static void run(FakeStream& s) {
        std::unique_lock lock(s.mutex);
        while (true) {
            s.changed.wait(lock, [&] { return s.closing || !s.queue.empty(); });
            if (s.queue.empty()) return;
            const Work work = std::move(s.queue.front());
            s.queue.pop_front();
            s.busy = true;
            lock.unlock();
            work();
            lock.lock();
            s.busy = false;
            s.changed.notify_all();
        }
    }
    static void stop(FakeStream& s) {
        {
            const std::lock_guard lock(s.mutex);
            s.closing = true;
            s.changed.notify_all();
        }
        if (s.thread.joinable()) s.thread.join();
    }

    std::mutex mutex_;
    std::map<FakeStream*, std::unique_ptr<FakeStream>> streams_;
    std::vector<std::unique_ptr<FakeEvent>> events_;
    std::vector<std::unique_ptr<std::byte[]>> pinned_;
    std::map<const std::byte*, Memory> memory_;
    std::uint64_t captures_ = 0;
    Graph graph_;
};

}  // namespace weft::live
