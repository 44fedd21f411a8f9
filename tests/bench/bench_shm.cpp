// Two processes, pinned to a core each: a message and back, a stream of messages beside memcpy of
// the same bytes, an all-reduce of 8 bytes on a board. Interleave whole runs to compare.
#include <algorithm>
#include <benchmark/benchmark.h>
#include <cstring>
#include <sched.h>

#include "collectives/transport/shm/board.hpp"
#include "tests/support/rank_processes.hpp"

namespace {

using namespace weft::live;
using weft::tests::Rank;

constexpr std::uint32_t kWindow = 8;
constexpr std::uint64_t kStop = ~std::uint64_t{0};

void pin(std::uint32_t core) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core % std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)), &one);
    (void)::sched_setaffinity(0, sizeof one, &one);
}

MessageKey key(std::uint32_t stream, std::uint32_t sequence) {
    return {.operation = 1, .context = 0, .stream = stream, .sequence = sequence};
}

/// Reads one byte of each line, as a reduction would read all.
std::uint64_t touch(Segments data) {
    std::uint64_t sum = 0;
    for (const Segment& s : data)
        for (std::size_t i = 0; i < s.size; i += 64) sum += static_cast<std::uint64_t>(s.data[i]);
    return sum;
}

Completion next(Endpoint& e) {
    Completion c;
    while (e.poll({&c, 1}) == 0) {
    }
    return c;
}

Completion received(Endpoint& e) {
    while (true) {
        const Completion c = next(e);
        if (c.kind == Completion::Kind::kReceived) return c;
    }
}

/// This process as rank 0, and a child that runs `serve` as rank 1 until it returns.
template <class Serve>
class TwoProcesses {
  public:
    explicit TwoProcesses(Serve serve, bool may_be_read = true) {
        ShmOptions options;
        options.may_be_read = may_be_read;
        const UniqueId id = place_.id();
        child_ = ::fork();
        if (child_ == 0) {
            pin(1);
            Rank other(id, 1, 2, options);
            other.connect(0);
            begin(*other.endpoint);
            serve(other);
            ::_exit(0);
        }
        pin(0);
        me = std::make_unique<Rank>(id, 0, 2, options);
        me->connect(1);
        begin(*me->endpoint);
    }
    ~TwoProcesses() { ::waitpid(child_, nullptr, 0); }
    TwoProcesses(const TwoProcesses&) = delete;
    TwoProcesses& operator=(const TwoProcesses&) = delete;
    std::unique_ptr<Rank> me;

  private:
    static void begin(Endpoint& e) {
        OperationHead head;
        head.operation = 1;
        e.begin(head);
    }
    weft::tests::MeetingDirectory place_;
    pid_t child_ = -1;
};

/// Echoes messages; a first word of kStop ends it.
void echo(Rank& me, std::size_t size) {
    std::vector<std::byte> memory(size);
    Endpoint& e = *me.endpoint;
    const Segment mine{e.register_region(memory), memory.data(), size};
    for (std::uint32_t i = 0;; ++i) {
        e.post_view(0, key(0, i), size);
        const Completion c = received(e);
        std::uint64_t word = 0;
        std::memcpy(&word, c.data[0].data, sizeof word);
        e.release(c);
        while (!e.post_send(0, 0, key(1, i), {&mine, 1})) (void)next(e);
        if (word == kStop) break;
    }
    std::array<Completion, 1> one;
    const auto until = Clock::now() + std::chrono::milliseconds(20);
    while (Clock::now() < until) (void)e.poll(one);
}

void ping_pong(benchmark::State& state) {
    const auto size = static_cast<std::size_t>(state.range(0));
    const bool read = state.range(1) != 0;
    TwoProcesses two([&](Rank& other) { echo(other, size); }, read);
    Endpoint& e = *two.me->endpoint;
    std::vector<std::byte> memory(size);
    const Segment mine{e.register_region(memory), memory.data(), size};
    std::uint32_t i = 0;
    const auto once = [&] {
        e.post_view(1, key(1, i), size);
        while (!e.post_send(1, 0, key(0, i), {&mine, 1})) (void)next(e);
        ++i;
        e.release(received(e));
    };
    for (auto _ : state) once();
    std::memcpy(memory.data(), &kStop, sizeof kStop);
    once();
    state.SetLabel("round trip");
}
BENCHMARK(ping_pong)
    ->ArgsProduct({{8, 1024, 4096, 65'536, 262'144}, {0, 1}})
    ->ArgNames({"bytes", "read"})
    ->UseRealTime();

/// Takes messages of sequence 0, 1, ... and stops after one that begins with kStop.
void drain(Rank& me, std::size_t size) {
    Endpoint& e = *me.endpoint;
    std::uint32_t posted = 0;
    for (; posted < kWindow; ++posted) e.post_view(0, key(0, posted), size);
    for (bool on = true; on; ++posted) {
        const Completion c = received(e);
        std::uint64_t word = 0;
        std::memcpy(&word, c.data[0].data, sizeof word);
        on = word != kStop;
        benchmark::DoNotOptimize(touch(c.data));
        e.release(c);
        e.post_view(0, key(0, posted), size);
    }
    std::array<Completion, 1> one;
    const auto until = Clock::now() + std::chrono::milliseconds(20);
    while (Clock::now() < until) (void)e.poll(one);
}

void stream(benchmark::State& state) {
    const auto size = static_cast<std::size_t>(state.range(0));
    const std::int64_t way = state.range(1);
    const bool shared = way == 2;
    TwoProcesses two([&](Rank& other) { drain(other, size); }, way == 1);
    Endpoint& e = *two.me->endpoint;
    std::vector<std::byte> plain(kWindow * size);
    std::byte* memory = shared ? two.me->heap.allocate(plain.size()).value().data() : plain.data();
    std::memset(memory, 1, plain.size());
    const std::uint32_t region = e.register_region({memory, plain.size()});
    std::vector<Segment> slots;
    for (std::uint32_t i = 0; i < kWindow; ++i) slots.push_back({region, memory + i * size, size});
    std::uint32_t sent = 0;
    std::uint32_t done = 0;
    const auto once = [&] {
        while (sent - done == kWindow ||
               !e.post_send(1, 0, key(0, sent), {&slots[sent % kWindow], 1}))
            done += next(e).kind == Completion::Kind::kSent;
        ++sent;
    };
    for (auto _ : state) once();
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(size));
    while (done != sent) done += next(e).kind == Completion::Kind::kSent;
    std::memcpy(slots[sent % kWindow].data, &kStop, sizeof kStop);
    once();
    while (done != sent) done += next(e).kind == Completion::Kind::kSent;
    state.SetLabel(shared     ? "in a shared block"
                   : way == 1 ? "read out of the process"
                              : "through the arena");
}
BENCHMARK(stream)
    ->ArgsProduct({{4096, 65'536, 524'288}, {0, 1, 2}})
    ->ArgNames({"bytes", "way"})
    ->UseRealTime();

/// Both send and receive at the same time, as collectives do; copied to its place.
void exchange_some(Endpoint& e, std::uint32_t other, std::size_t size, std::byte* from,
                   std::uint32_t out, std::byte* to, std::uint32_t in, std::uint32_t& at) {
    std::array<Segment, kWindow> sends;
    std::array<Segment, kWindow> receives;
    for (std::uint32_t i = 0; i < kWindow; ++i) {
        sends[i] = {out, from + i * size, size};
        receives[i] = {in, to + i * size, size};
        e.post_recv(other, key(2, at + i), {&receives[i], 1});
    }
    std::uint32_t sent = 0;
    for (std::uint32_t left = 2 * kWindow; left > 0;) {
        while (sent < kWindow && e.post_send(other, 0, key(2, at + sent), {&sends[sent], 1}))
            ++sent;
        Completion c;
        left -= static_cast<std::uint32_t>(e.poll({&c, 1}));
    }
    at += kWindow;
}

void exchange(benchmark::State& state) {
    const auto size = static_cast<std::size_t>(state.range(0));
    const auto run = [&](Rank& me, const std::function<bool()>& more) {
        std::vector<std::byte> from(kWindow * size, std::byte{1});
        std::vector<std::byte> to(from.size());
        Endpoint& e = *me.endpoint;
        const std::uint32_t out = e.register_region(from);
        const std::uint32_t in = e.register_region(to);
        std::uint32_t at = 0;
        for (bool on = true; on;) {
            // Rank 0 says in its first byte whether this is the last round.
            if (e.rank() == 0) on = more();
            from[0] = std::byte{on};
            exchange_some(e, 1 - e.rank(), size, from.data(), out, to.data(), in, at);
            if (e.rank() == 1) on = to[0] != std::byte{0};
        }
    };
    TwoProcesses two([&](Rank& other) { run(other, [] { return true; }); }, state.range(1) != 0);
    run(*two.me, [&] { return state.KeepRunning(); });
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kWindow * size));
    state.SetLabel("each way");
}
BENCHMARK(exchange)
    ->ArgsProduct({{16'384, 32'768, 65'536, 524'288, 8 << 20}, {0, 1}})
    ->ArgNames({"bytes", "read"})
    ->UseRealTime();

void plain_copy(benchmark::State& state) {
    const auto size = static_cast<std::size_t>(state.range(0));
    std::vector<std::byte> from(kWindow * size, std::byte{1});
    std::vector<std::byte> to(kWindow * size);
    std::size_t i = 0;
    for (auto _ : state) {
        const std::size_t at = i++ % kWindow * size;
        std::memcpy(to.data() + at, from.data() + at, size);
        benchmark::ClobberMemory();
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(size));
}
BENCHMARK(plain_copy)->Arg(4096)->Arg(65'536)->Arg(524'288);

/// One side of the sum of 8 bytes; false when the other side has published kStop.
bool board_sum(ShmBoard& board, std::size_t other, std::uint64_t generation, std::uint64_t mine) {
    constexpr std::uint64_t kDigest = 7;
    board.publish(generation, kDigest, std::as_bytes(std::span(&mine, 1)));
    std::span<const std::byte> bytes;
    while (board.look(other, generation, kDigest, bytes) != ShmBoard::Seen::kHere) {
    }
    std::uint64_t theirs = 0;
    std::memcpy(&theirs, bytes.data(), sizeof theirs);
    benchmark::DoNotOptimize(mine + theirs);
    board.settle();
    return theirs != kStop;
}

void board_all_reduce(benchmark::State& state) {
    TwoProcesses two([](Rank& other) {
        const auto board = ShmBoard::open(*other.endpoint, 0, {0, 1});
        std::uint64_t g = 1;
        while (board_sum(*board, 0, g, g)) ++g;
        ::usleep(20'000);
    });
    const auto board = ShmBoard::open(*two.me->endpoint, 0, {0, 1});
    std::uint64_t g = 1;
    for (auto _ : state) {
        board_sum(*board, 1, g, g);
        ++g;
    }
    board_sum(*board, 1, g, kStop);
}
BENCHMARK(board_all_reduce)->UseRealTime();

}  // namespace
