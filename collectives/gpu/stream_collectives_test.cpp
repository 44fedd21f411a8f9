#include "collectives/gpu/stream_collectives.hpp"

#include <catch2/catch.hpp>
#include <numeric>

#include "collectives/gpu/detail/fake_gpu.hpp"
#include "tests/support/world_threads.hpp"

namespace weft::live {
namespace {

using namespace std::chrono_literals;
using test::in_world;
using test::require;

constexpr std::size_t kSlot = 4096;  // many pieces

/// One rank's GPU with a stream, and the collectives on it.
struct Rank {
    explicit Rank(Comm& c)
        : comm(c),
          gpu(std::make_shared<FakeGpu>()),
          on(c, gpu, kSlot),
          stream(gpu->make_stream()) {}
    std::int32_t* numbers(std::size_t count) {
        return reinterpret_cast<std::int32_t*>(
            gpu->allocate(std::max<std::size_t>(count, 1) * sizeof(std::int32_t)));
    }
    std::int32_t* reach(std::int32_t* device) {
        return reinterpret_cast<std::int32_t*>(gpu->reach(device));
    }
    Comm& comm;
    std::shared_ptr<FakeGpu> gpu;
    StreamCollectives on;
    Gpu::Stream stream;
};

CollectiveCall call_of(Collective c, const void* in, void* out, std::uint64_t count) {
    return {.collective = c,
            .input = in,
            .output = out,
            .count = count,
            .dtype = DataType::kI32,
            .op = ReduceOp::kSum,
            .root = 1};
}

TEST_CASE("collectives on device memory give what they give on the host", "[integration]") {
    constexpr std::array kAll{Collective::kAllReduce,     Collective::kAllGather,
                              Collective::kReduceScatter, Collective::kAllToAll,
                              Collective::kBroadcast,     Collective::kReduce,
                              Collective::kGather,        Collective::kScatter};
    in_world(3, {}, [&](Comm& comm) {
        Rank me(comm);
        for (const Collective c : kAll)
            for (const std::uint64_t count : {0, 1, 341, 342, 5000}) {
                const std::size_t all = 3 * count;
                std::vector<std::int32_t> in(all);
                std::iota(in.begin(), in.end(), static_cast<std::int32_t>(comm.rank() * 100'000));
                std::vector<std::int32_t> want(all, -1);
                require(comm.run(call_of(c, in.data(), want.data(), count)).ok(), "on the host");
                std::int32_t* const from = me.numbers(all);
                std::int32_t* const to = me.numbers(all);
                std::copy(in.begin(), in.end(), me.reach(from));
                std::fill_n(me.reach(to), all, -1);
                require(me.on.run(call_of(c, from, to, count), me.stream).ok(), "on the stream");
                me.gpu->synchronize(me.stream);
                require(std::equal(want.begin(), want.end(), me.reach(to)), "the same");
            }
    });
}

TEST_CASE("in place on device memory", "[integration]") {
    in_world(2, {}, [&](Comm& comm) {
        Rank me(comm);
        constexpr std::uint64_t kCount = 3000;
        std::int32_t* const data = me.numbers(2 * kCount);
        const auto fill = [&] {
            std::iota(me.reach(data), me.reach(data) + 2 * kCount,
                      static_cast<std::int32_t>(comm.rank()));
        };
        std::int32_t* const own = data + comm.rank() * kCount;
        fill();
        require(me.on.run(call_of(Collective::kAllReduce, data, data, kCount), me.stream).ok(),
                "all-reduce");
        me.gpu->synchronize(me.stream);
        for (std::int32_t i = 0; i < 3000; ++i) require(me.reach(data)[i] == 2 * i + 1, "the sum");
        fill();
        require(me.on.run(call_of(Collective::kReduceScatter, data, own, kCount), me.stream).ok(),
                "reduce-scatter");
        require(me.on.run(call_of(Collective::kAllGather, own, data, kCount), me.stream).ok(),
                "all-gather");
        me.gpu->synchronize(me.stream);
        for (std::int32_t i = 0; i < 6000; ++i)
            require(me.reach(data)[i] == 2 * i + 1, "the sum, gathered");
    });
}

TEST_CASE("a collective keeps the order of its stream, and blocks nobody", "[integration]") {
    in_world(2, {}, [&](Comm& comm) {
        Rank me(comm);
        constexpr std::uint64_t kCount = 10'000;
        std::int32_t* const data = me.numbers(kCount);
        std::vector<std::int32_t> after(kCount);
        struct Late {
            Rank* rank;
            std::int32_t* data;
            std::atomic<bool> returned{false};
        } late{.rank = &me, .data = data};
        // The input comes late, on the stream; the output is taken away on the stream.
        me.gpu->call(
            me.stream,
            [](void* p) {
                auto* l = static_cast<Late*>(p);
                const auto until = Clock::now() + 20s;
                while (!l->returned && Clock::now() < until) std::this_thread::sleep_for(1ms);
                if (l->returned) std::fill_n(l->rank->reach(l->data), kCount, 7);
            },
            &late);
        require(me.on.run(call_of(Collective::kAllReduce, data, data, kCount), me.stream).ok(),
                "queued");
        late.returned = true;
        me.gpu->copy(me.stream, {.from = data,
                                 .from_pitch = kCount * 4,
                                 .to = after.data(),
                                 .to_pitch = kCount * 4,
                                 .width = kCount * 4,
                                 .rows = 1});
        me.gpu->synchronize(me.stream);
        require(after == std::vector<std::int32_t>(kCount, 14), "the sum of what came late");
    });
}

TEST_CASE("a captured collective is replayed as often as its graph", "[integration]") {
    in_world(2, {}, [&](Comm& comm) {
        Rank me(comm);
        constexpr std::uint64_t kCount = 2500;  // three pieces: slots are used again in the graph
        std::int32_t* const data = me.numbers(kCount);
        std::fill_n(me.reach(data), kCount, 1);
        me.gpu->begin_capture(me.stream);
        require(me.on.run(call_of(Collective::kAllReduce, data, data, kCount), me.stream).ok(),
                "captured");
        require(me.on.run(call_of(Collective::kAllReduce, data, data, kCount), me.stream).ok(),
                "captured");
        const FakeGpu::Graph graph = me.gpu->end_capture(me.stream);
        require(*me.reach(data) == 1, "nothing has run");
        for (int i = 0; i < 5; ++i) me.gpu->launch(graph, me.stream);
        me.gpu->synchronize(me.stream);
        require(std::all_of(me.reach(data), me.reach(data) + kCount,
                            [](std::int32_t x) { return x == 1024; }),
                "doubled ten times");
        // And calls outside of it go on.
        require(me.on.run(call_of(Collective::kAllReduce, data, data, kCount), me.stream).ok(),
                "made");
        me.gpu->synchronize(me.stream);
        require(*me.reach(data) == 2048, "doubled again");
    });
}

TEST_CASE("after a failure the stream goes on, and the next call says why", "[integration]") {
    in_world(2, {}, [&](Comm& comm) {
        Rank me(comm);
        std::int32_t* const data = me.numbers(100);
        const std::uint64_t count = comm.rank() == 0 ? 100 : 99;
        require(me.on.run(call_of(Collective::kAllReduce, data, data, count), me.stream).ok(),
                "queued");
        me.gpu->synchronize(me.stream);  // does not hang
        const Status next = me.on.run(call_of(Collective::kAllReduce, data, data, 1), me.stream);
        require(!next.ok(), "an error");
        const std::string text = to_string(next.error());
        require(text.find("100") != std::string::npos && text.find("99") != std::string::npos,
                text);
    });
}

TEST_CASE("a thread that has chosen no GPU breaks nothing", "[integration]") {
    in_world(2, {}, [&](Comm& comm) {
        Rank me(comm);
        std::int32_t* const data = me.numbers(1);
        *me.reach(data) = 1;
        const auto call = call_of(Collective::kAllReduce, data, data, 1);
        me.gpu->chosen = false;
        require(!me.on.run(call, me.stream).ok(), "refused");
        me.gpu->chosen = true;
        require(me.on.run(call, me.stream).ok(), "and goes on");
        me.gpu->synchronize(me.stream);
        require(*me.reach(data) == 2, "the sum");
    });
}

TEST_CASE("without a GPU the reason is one line", "[unit]") {
    const auto gpu = load_cuda();
    if (!gpu) CHECK_THAT(gpu.error().what, Catch::Contains("GPU") || Catch::Contains("CUDA"));
}

}  // namespace
}  // namespace weft::live
