// What the conformance suite cannot see: processes, death, memory that is not what it should be.
#include "collectives/transport/shm/shm.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <sys/mman.h>
#include <sys/socket.h>
#include <thread>

#include "base/rng.hpp"
#include "collectives/transport/shm/link.hpp"
#include "tests/support/rank_processes.hpp"
#include "tests/support/skip.hpp"

namespace weft::live {
namespace {

using namespace std::chrono_literals;
using tests::Rank;
using tests::require;
using tests::soon;

OperationHead head_of(std::uint64_t operation) {
    OperationHead head;
    head.operation = operation;
    head.plan_hash = 7;
    return head;
}
MessageKey key(std::uint64_t operation, std::uint32_t sequence) {
    return {.operation = operation, .context = 0, .stream = 3, .sequence = sequence};
}
std::byte at(std::uint64_t seed, std::size_t i) {
    return static_cast<std::byte>(mix64(seed, i));
}

std::size_t open_files() {
    std::size_t n = 0;
    DIR* d = ::opendir("/proc/self/fd");
    while (::readdir(d) != nullptr) ++n;
    ::closedir(d);
    return n;
}

const std::vector<std::size_t> kSizes{0,      1,    8,      24,     25,      216,     217,
                                      4096,   4097, 65'536, 65'537, 200'000, 1 << 20, (1 << 20) + 3,
                                      6 << 20};

/// Sends and receives every size at once, `mine` from where it lies.
void exchange(const Rank& me, std::uint32_t other, std::uint64_t operation, bool views,
              std::byte* mine) {
    const std::uint32_t rank = me.endpoint->rank();
    me.endpoint->begin(head_of(operation));
    std::vector<std::byte> target(kSizes.back());
    const std::uint32_t from = me.endpoint->register_region({mine, kSizes.back()});
    const std::uint32_t to = me.endpoint->register_region(target);
    for (std::size_t i = 0; i < kSizes.back(); ++i) mine[i] = at(rank + operation, i);
    for (std::uint32_t k = 0; k < kSizes.size(); ++k) {
        const std::size_t size = kSizes[k];
        const std::array out{Segment{from, mine, size / 2},
                             Segment{from, mine + size / 2, size - size / 2}};
        const std::array in{Segment{to, target.data(), size / 3},
                            Segment{to, target.data() + size / 3, size - size / 3}};
        if (views)
            me.endpoint->post_view(other, key(operation, k), size);
        else
            me.endpoint->post_recv(other, key(operation, k), in);
        require(me.endpoint->post_send(other, 0, key(operation, k), out), "post");
        for (int left = 2; left > 0; --left) {
            const Completion c = me.next();
            if (c.kind != Completion::Kind::kReceived) continue;
            require(total_size(c.data) == size, "size");
            std::size_t i = 0;
            std::size_t wrong = 0;
            for (const Segment& s : c.data)
                for (std::size_t j = 0; j < s.size; ++j)
                    wrong += s.data[j] != at(other + operation, i++);
            require(wrong == 0, "content");
            if (views) me.endpoint->release(c);
        }
    }
    me.endpoint->end(0, operation);
    me.endpoint->deregister_region(from);
    me.endpoint->deregister_region(to);
}

TEST_CASE("shm: processes exchange every size, by copy and by view, from plain and shared memory",
          "[integration]") {
    const tests::MeetingDirectory place;
    const UniqueId id = place.id();
    // Plain memory goes through the arena, or is read out of the other process; or only one of the
    // two allows that.
    const std::vector<bool> may_be_read =
        GENERATE(std::vector<bool>{false, false}, std::vector<bool>{true, true},
                 std::vector<bool>{true, false});
    const auto statuses = tests::run_processes(2, [&](std::uint32_t rank) {
        ShmOptions options;
        options.may_be_read = may_be_read[rank];
        Rank me(id, rank, 2, options);
        me.connect(1 - rank);
        std::vector<std::byte> plain(kSizes.back());
        exchange(me, 1 - rank, 1, false, plain.data());
        exchange(me, 1 - rank, 2, true, plain.data());
        for (std::uint64_t round = 0; round < 2; ++round) {
            std::byte* shared = me.heap.allocate(kSizes.back()).value().data();
            exchange(me, 1 - rank, 3 + 2 * round, false, shared);
            exchange(me, 1 - rank, 4 + 2 * round, true, shared);
            me.heap.free(shared);
        }
        require(me.endpoint->arena_is_free(), "chunks are missing");
    });
    CHECK(statuses == std::vector<int>{0, 0});
}

TEST_CASE("shm: a peer that is killed leaves cancel() quick and the arena whole", "[integration]") {
    const tests::MeetingDirectory place;
    const UniqueId id = place.id();
    // Through the arena, read out of the process, in a shared block.
    const int way = GENERATE(0, 1, 2);
    const auto statuses = tests::run_processes(3, [&](std::uint32_t rank) {
        ShmOptions options;
        options.may_be_read = way == 1;
        Rank me(id, rank, 3, options);
        for (std::uint32_t p = 0; p < 3; ++p)
            if (p != rank) me.connect(p);
        me.endpoint->begin(head_of(1));
        std::vector<std::byte> plain(8 << 20);
        std::byte* memory = way == 2 ? me.heap.allocate(plain.size()).value().data() : plain.data();
        const std::array all{
            Segment{me.endpoint->register_region({memory, plain.size()}), memory, plain.size()}};
        std::vector<std::byte> target(plain.size());
        const std::array to{
            Segment{me.endpoint->register_region(target), target.data(), target.size()}};
        if (rank == 1) {
            // Dies with one message half read, one not begun, one of its own half sent.
            me.endpoint->post_view(0, key(1, 0), plain.size());
            require(me.endpoint->post_send(0, 0, key(1, 0), all), "post");
            (void)me.next();
            ::kill(::getpid(), SIGKILL);
        }
        if (rank == 0) {
            me.endpoint->post_recv(1, key(1, 0), to);
            require(me.endpoint->post_send(1, 0, key(1, 0), all), "post");
            require(me.endpoint->post_send(1, 0, key(1, 1), all), "post");
            const std::array<std::uint32_t, 3> everybody{0, 1, 2};
            while (!me.control->alarm(0, everybody)) {
                std::array<Completion, 4> some;
                (void)me.endpoint->poll(some);
                sleep_until(*me.endpoint, Clock::now() + 1ms);
            }
            const auto before = Clock::now();
            me.endpoint->cancel(0, 1);
            require(Clock::now() - before < 2s, "cancel() waits for the dead");
            require(me.endpoint->arena_is_free(), "the dead hold chunks");
        } else {
            me.endpoint->cancel(0, 1);
        }
        // The living go on.
        exchange(me, 2 - rank, 2, false, plain.data());
    });
    CHECK(statuses[0] == 0);
    CHECK((WIFSIGNALED(statuses[1]) && WTERMSIG(statuses[1]) == SIGKILL));
    CHECK(statuses[2] == 0);
}

TEST_CASE("shm: cancel() ends within a second although a stopped peer holds a view of our memory",
          "[integration]") {
    const tests::MeetingDirectory place;
    const UniqueId id = place.id();
    const auto statuses = tests::run_processes(2, [&](std::uint32_t rank) {
        Rank me(id, rank, 2);
        me.connect(1 - rank);
        me.endpoint->begin(head_of(1));
        const std::span<std::byte> memory = me.heap.allocate(100'000).value();
        const std::array all{
            Segment{me.endpoint->register_region(memory), memory.data(), memory.size()}};
        if (rank == 0) {
            require(me.endpoint->post_send(1, 0, key(1, 0), all), "post");
            require(me.endpoint->post_send(1, 0, key(1, 1), all), "post");
            me.endpoint->post_view(1, key(1, 9), 0);
            require(me.next().kind == Completion::Kind::kReceived, "the peer holds the view");
            const auto before = Clock::now();
            me.endpoint->cancel(0, 1);
            const auto took = Clock::now() - before;
            require(took > 500ms, "cancel() left a reader alone with our memory");
            require(took < 5s, "cancel() waits for ever");
            me.endpoint->begin(head_of(2));
            require(me.endpoint->post_send(1, 0, key(2, 0), {}), "post");
            require(me.next().kind == Completion::Kind::kSent, "sent");
            return;
        }
        me.endpoint->post_view(0, key(1, 0), memory.size());
        const Completion view = me.next();
        require(me.endpoint->post_send(0, 0, key(1, 9), {}), "post");
        // Holds it until the other side has given up waiting.
        me.endpoint->begin(head_of(2));
        me.endpoint->post_view(0, key(2, 0), 0);
        Completion second = me.next();
        while (second.kind != Completion::Kind::kReceived) second = me.next();
        require(second.key == key(2, 0), "the revoked message stayed away");
        me.endpoint->release(view);
        me.endpoint->release(second);
        me.endpoint->cancel(0, 1);
    });
    CHECK(statuses == std::vector<int>{0, 0});
}

TEST_CASE("shm: what nobody asks for leaves room for what is asked for", "[integration]") {
    const tests::MeetingDirectory place;
    const UniqueId id = place.id();
    const auto statuses = tests::run_processes(2, [&](std::uint32_t rank) {
        ShmOptions options;
        options.may_be_read = false;
        Rank me(id, rank, 2, options);
        me.connect(1 - rank);
        me.endpoint->begin(head_of(1));
        std::vector<std::byte> memory(3 << 20);
        const std::uint32_t region = me.endpoint->register_region(memory);
        const std::array large{Segment{region, memory.data(), memory.size()}};
        const std::array small{Segment{region, memory.data(), 1000}};
        if (rank == 0) {
            // More than the arena holds, and never asked for.
            for (std::uint32_t i = 0; i < 20; ++i) {
                require(me.endpoint->post_send(1, 0, key(1, 100 + i), large), "post");
                require(me.endpoint->post_send(1, 0, key(1, 200 + i), small), "post");
            }
            require(me.endpoint->post_send(1, 0, key(1, 0), large), "post");
            require(me.endpoint->post_send(1, 0, key(1, 1), large), "post");
            require(me.endpoint->post_send(1, 0, key(1, 2), small), "post");
            for (int i = 0; i < 3; ++i) require(me.next().kind == Completion::Kind::kSent, "sent");
            me.endpoint->cancel(0, 1);
            me.endpoint->begin(head_of(2));
            me.endpoint->post_view(1, key(2, 0), 0);
            me.endpoint->release(me.next());
            std::array<Completion, 1> none;
            (void)me.endpoint->poll(none);
            require(me.endpoint->arena_is_free(), "chunks are missing");
            return;
        }
        std::vector<std::byte> target(memory.size());
        const std::array to{
            Segment{me.endpoint->register_region(target), target.data(), target.size()}};
        me.endpoint->post_view(0, key(1, 0), memory.size());
        me.endpoint->post_recv(0, key(1, 1), to);
        me.endpoint->post_view(0, key(1, 2), 1000);
        for (int i = 0; i < 3; ++i) {
            const Completion c = me.next();
            if (c.key != key(1, 1)) me.endpoint->release(c);
        }
        me.endpoint->end(0, 1);  // what has come of it is dropped
        me.endpoint->begin(head_of(2));
        require(me.endpoint->post_send(0, 0, key(2, 0), {}), "post");
        (void)me.next();
    });
    CHECK(statuses == std::vector<int>{0, 0});
}

TEST_CASE("shm: messages of an operation that never begins at the peer leave the lane free",
          "[integration]") {
    const tests::MeetingDirectory place;
    const UniqueId id = place.id();
    const auto statuses = tests::run_processes(2, [&](std::uint32_t rank) {
        Rank me(id, rank, 2);
        me.connect(1 - rank);
        std::vector<std::byte> memory(100'000);
        const std::uint32_t region = me.endpoint->register_region(memory);
        const auto bytes = [&](std::size_t size) {
            return std::array{Segment{region, memory.data(), size}};
        };
        const std::array sizes{bytes(0), bytes(100), bytes(1000), bytes(100'000)};
        if (rank == 0) {
            me.endpoint->begin(head_of(1));
            for (std::uint32_t i = 0; i < 4; ++i)
                require(me.endpoint->post_send(1, 0, key(1, i), sizes[i]), "post");
            me.endpoint->cancel(0, 1);
        }
        OperationHead later = head_of(1);
        later.context = 9;
        me.endpoint->begin(later);
        // More than a lane has slots, so that each is used again.
        for (std::uint32_t i = 0; i < 300; ++i) {
            const MessageKey k{.operation = 1, .context = 9, .stream = 0, .sequence = i};
            if (rank == 0)
                require(me.endpoint->post_send(1, 0, k, sizes[1]), "a slot is not free");
            else
                me.endpoint->post_view(0, k, 100);
            const Completion c = me.next();
            if (rank == 1) me.endpoint->release(c);
        }
        if (rank == 1) {
            std::array<Completion, 1> none;
            (void)me.endpoint->poll(none);  // tells the other what has been released
        }
    });
    CHECK(statuses == std::vector<int>{0, 0});
}

TEST_CASE("shm: a child of a rank has none of its memory and closes nothing", "[integration]") {
    const tests::MeetingDirectory place;
    const UniqueId id = place.id();
    const auto statuses = tests::run_processes(2, [&](std::uint32_t rank) {
        Rank me(id, rank, 2);
        me.connect(1 - rank);
        std::vector<std::byte> plain(kSizes.back());
        exchange(me, 1 - rank, 1, false, plain.data());
        const pid_t child = ::fork();
        if (child == 0) {
            std::ifstream maps("/proc/self/maps");
            for (std::string line; std::getline(maps, line);)
                if (line.find("memfd:weft") != std::string::npos) ::_exit(3);
            me.endpoint.reset();
            ::_exit(0);
        }
        int status = -1;
        ::waitpid(child, &status, 0);
        require(status == 0, "the child has shared memory");
        exchange(me, 1 - rank, 2, true, plain.data());
    });
    CHECK(statuses == std::vector<int>{0, 0});
}

TEST_CASE("shm: worlds that come and go leave no descriptors", "[integration]") {
    const auto once = [] {
        const auto t = make_shm({.ranks = 2, .planes = 1});
        Outcome<Member> other{Member{}};
        std::thread peer([&] { other = t->open(1, soon()); });
        auto mine = t->open(0, soon());
        peer.join();
        REQUIRE(mine.ok());
        REQUIRE(other.ok());
        REQUIRE(mine.value().endpoint->connect(1, soon()).ok());
    };
    once();
    const std::size_t before = open_files();
    for (int i = 0; i < 250; ++i) once();
    CHECK(open_files() == before);
}

TEST_CASE("shm: memory that could shrink, or is not of the size it should be, is refused",
          "[unit]") {
    using shm::Access;
    using shm::File;
    using shm::Mapping;
    const auto raw = [](std::size_t size, bool sealed) {
        File f(::memfd_create("weft test", MFD_ALLOW_SEALING | MFD_CLOEXEC));
        REQUIRE(::ftruncate(f.get(), static_cast<off_t>(size)) == 0);
        if (sealed)
            REQUIRE(::fcntl(f.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
        return f;
    };
    CHECK(Mapping::open(raw(8192, true), 8192, Access::kRead).ok());
    CHECK_FALSE(Mapping::open(raw(8192, false), 8192, Access::kRead).ok());
    CHECK_FALSE(Mapping::open(raw(4096, true), 8192, Access::kRead).ok());
    CHECK_FALSE(Mapping::open(raw(16384, true), 8192, Access::kRead).ok());
    CHECK_FALSE(Mapping::open(File(::open("/dev/null", O_RDWR)), 8192, Access::kRead).ok());
    // What a peer may only read it cannot map for writing.
    auto mine = Mapping::create(4096, Access::kRead);
    REQUIRE(mine.ok());
    CHECK(Mapping::open(File(::dup(mine.value().file())), 4096, Access::kRead).ok());
    CHECK_FALSE(Mapping::open(File(::dup(mine.value().file())), 4096, Access::kWrite).ok());
}

TEST_CASE("shm: a peer that offers unsealed memory is refused, with a fault", "[integration]") {
    const tests::MeetingDirectory place;
    const UniqueId id = place.id();
    const auto statuses = tests::run_processes(2, [&](std::uint32_t rank) {
        if (rank == 0) {
            Rank me(id, 0, 2);
            const auto until = soon();
            std::optional<Fault> fault;
            std::array<Completion, 1> none;
            while (!fault && Clock::now() < until) {
                require(me.endpoint->poll(none) == 0, "nothing comes");
                fault = me.endpoint->fault();
                if (!fault) sleep_until(*me.endpoint, until);
            }
            require(fault && fault->kind == Fault::Kind::kUnreachable, "a fault");
            require(fault->what.find("seals") != std::string::npos, fault->what);
            return;
        }
        auto control = std::move(NetControl::start(id, {.rank = 1, .ranks = 2}).value());
        require(control->meet(soon()).ok(), "meet");
        auto c = control->dial(0, Purpose::kShm, 0, -1, -1, soon());
        require(c.ok(), "dial");
        const int socket = c.value().fd;
        struct {
            std::uint32_t magic, verdict, rank, lanes;
            std::uint64_t bytes, address, word;
        } hello{};
        std::array<shm::File, 2> files;
        const auto bytes = std::as_writable_bytes(std::span(&hello, 1));
        while (shm::receive_files(socket, bytes, files) == shm::Came::kNothing)
            std::this_thread::sleep_for(1ms);
        require(hello.magic == shm::kMagic && hello.verdict == 1 && files[1].get() >= 0, "hello");
        hello.rank = 1;
        hello.verdict = 3;
        hello.lanes = 1;
        auto good = shm::Mapping::create(hello.bytes, shm::Access::kRead);
        const shm::File bad(::memfd_create("weft test", MFD_CLOEXEC));
        require(::ftruncate(bad.get(), static_cast<off_t>(shm::pair_bytes(1))) == 0, "size");
        const std::array sent{good.value().file(), files[1].get(), bad.get()};
        require(shm::send_files(socket, bytes, sent), "offer");
        std::this_thread::sleep_for(200ms);
        ::close(socket);
        control->leave();
    });
    CHECK(statuses == std::vector<int>{0, 0});
}

TEST_CASE("shm: plain memory is read only of a process that shows the right word", "[unit]") {
    using shm::RemoteMemory;
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    const shm::File a(ends[0]);
    const shm::File b(ends[1]);
    const std::uint64_t word = 0x1234567890abcdef;
    const auto address = reinterpret_cast<std::uintptr_t>(&word);
    const RemoteMemory self = RemoteMemory::open(a.get(), address, word);
    if (!self) WEFT_SKIP("this system lets no process read another's memory");
    std::array<std::byte, 8> got{};
    CHECK(self.read(address, got) == RemoteMemory::Read::kDone);
    CHECK(std::memcmp(got.data(), &word, 8) == 0);
    CHECK(self.read(16, got) == RemoteMemory::Read::kRefused);
    CHECK_FALSE(RemoteMemory::open(a.get(), address, word + 1));
    CHECK_FALSE(RemoteMemory::open(a.get(), 16, word));
    CHECK_FALSE(RemoteMemory::open(-1, address, word));
}

TEST_CASE("shm: the arena keeps chunks for those who have been asked", "[unit]") {
    using shm::Claim;
    std::vector<std::byte> memory(std::size_t{2} << 20);
    shm::Arena arena(memory.data(), memory.size());
    const auto take_all = [&](Claim claim) {
        std::vector<std::uint16_t> pages;
        while (const auto page = arena.take(shm::kLargeChunk, claim)) pages.push_back(*page);
        return pages;
    };
    const std::size_t unasked = take_all(Claim::kUnasked).size();
    const std::size_t shown = take_all(Claim::kShown).size();
    const auto pieces = take_all(Claim::kPieces);
    CHECK(unasked == 14);
    CHECK(shown == 11);
    CHECK(pieces.size() == 3);
    CHECK(arena.take(shm::kSmallChunk, Claim::kUnasked).has_value());
    arena.give(pieces[0], shm::kLargeChunk);
    CHECK_FALSE(arena.take(shm::kLargeChunk, Claim::kShown).has_value());
    CHECK(arena.take(shm::kLargeChunk, Claim::kPieces) == pieces[0]);
}

TEST_CASE("shm: a receiver that meets any bytes at all stays within its memory", "[property]") {
    auto half = std::make_unique<shm::Half>();
    std::vector<std::byte> arena(32 * shm::kPage);
    const std::span<std::byte> raw = std::as_writable_bytes(std::span(half.get(), 1));
    struct Places final : shm::Receiver::Places {
        explicit Places(std::span<const std::byte> block) : block_(block) {}
        const std::byte* find(std::uint32_t, std::uint64_t offset, std::uint64_t size) override {
            const bool fits = offset <= block_.size() && size <= block_.size() - offset;
            return fits ? block_.data() + offset : nullptr;
        }
        shm::RemoteMemory::Read read(std::uint64_t, std::span<std::byte> to) override {
            std::fill(to.begin(), to.end(), std::byte{1});
            return shm::RemoteMemory::Read::kDone;
        }
        std::span<const std::byte> block_;
    };
    Places places(arena);
    shm::BufferPool pool;
    std::size_t taken = 0;
    for (std::uint64_t seed = 0; seed < 400; ++seed) {
        RandomStream random(seed, 0, "garbage");
        for (std::size_t i = 0; i < raw.size(); i += 8) {
            const std::uint64_t word = random.next();
            std::memcpy(raw.data() + i, &word, 8);
        }
        shm::Receiver rx(*half, arena, places, pool, seed % 2 == 0);
        std::vector<std::byte> target(3 * shm::kLargeChunk);
        for (std::uint32_t i = 0; i < shm::kDepth; ++i) {
            shm::Slot& slot = half->slots[i];
            // Plausible enough to be taken: the rest stays garbage.
            slot.state = shm::state_of(i, shm::Slot::kPosted);
            const std::uint64_t kind = random.below(50) == 0 ? 4 : random.below(4);
            const std::uint64_t least = kind == 1 ? shm::Slot::kPayload + 1 : 0;
            const std::uint64_t most = kind == 0 ? shm::Slot::kPayload : target.size();
            const std::uint64_t pieces = random.below(shm::Slot::kPlaces + 1);
            slot.size = kind << 56 | pieces << 48 | (least + random.below(most - least));
            if (random.below(50) == 0) slot.size ^= std::uint64_t{1} << random.below(64);
            if (kind >= 2 && random.below(2) == 0) {
                slot.places[0] = {random.below(arena.size()), slot.size & 0xffffffff, 0, 0};
                slot.size = (slot.size & ~(std::uint64_t{0xff} << 48)) | std::uint64_t{1} << 48;
            }
            slot.chunked.published =
                random.below(3) != 0 ? slot.size & shm::Slot::kSizeMask : random.next();
            if (random.below(2) == 0)
                for (std::uint32_t& c : slot.chunked.chunks)
                    c = static_cast<std::uint32_t>(random.below(40));
            if (!rx.ready()) break;
            shm::Got* g = rx.next();
            // Nobody asks for more than this: endpoints compare the size first.
            if (g == nullptr || g->size > target.size() || !rx.claim(*g)) continue;
            const std::array to{Segment{0, target.data(), g->size}};
            if (random.below(2) == 0) g->to = Segments(to);
            bool tell = false;
            const auto p = rx.fill(*g, tell);
            if (p == shm::Receiver::Progress::kComplete) {
                ++taken;
                for (const Segment& s : g->view)
                    for (std::size_t j = 0; j < s.size; j += 64) target[0] = target[0] ^ s.data[j];
            }
            rx.consume(*g);
        }
    }
    CHECK(taken > 1000);
}

}  // namespace
}  // namespace weft::live
