// The verbs transport on real (software) RDMA devices; runs in the guest of tests/verbs/guest,
// which has two hosts of two rails on two planes: NIC h{host}r{rail}p{plane} with address
// 10.{plane}.{host}.{rail + 1}, and one bridge sw{plane} per plane.
#include <arpa/inet.h>
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <map>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <set>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include "base/rng.hpp"
#include "collectives/algorithms/algorithm.hpp"
#include "collectives/runtime/communicator.hpp"
#include "collectives/transport/rank_threads.hpp"
#include "collectives/transport/verbs/verbs.hpp"
#include "collectives/transport/verbs/wire.hpp"
#include "tests/support/sequential_plan.hpp"

namespace weft::live {
namespace {

using namespace std::chrono_literals;
using test::Element;

constexpr std::uint32_t kRanks = 4;
constexpr std::uint64_t kCount = 256 << 10;  // floats: 1 MiB

void shell(const std::string& command) {
    if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

double ms_since(Clock::time_point t) {
    return std::chrono::duration<double, std::milli>(Clock::now() - t).count();
}

PlanTemplate ring() {
    AlgorithmParams p;
    p.channels = 2;
    p.slots = 4;
    p.slice = Bytes{16 << 10};
    return build_plan(Collective::kAllReduce, "ring",
                      {.n = kRanks, .uniform = true, .per_host = 1, .hosts = kRanks, .planes = 2},
                      p);
}

float value(std::uint32_t rank, std::uint64_t i) {
    return static_cast<float>(mix64(rank, i) >> 40) * 0x1.0p-10F;  // sums round
}

/// What every rank must have, bit for bit: the plan's own order of additions.
std::vector<float> expected() {
    std::vector<std::vector<Element>> in(kRanks, std::vector<Element>(kCount));
    for (std::uint32_t r = 0; r < kRanks; ++r)
        for (std::uint64_t i = 0; i < kCount; ++i) {
            const float x = value(r, i);
            std::memcpy(&in[r][i], &x, sizeof x);
        }
    test::SequentialRun run;
    run.combine = [](Element a, Element b) {
        float x = 0;
        float y = 0;
        std::memcpy(&x, &a, sizeof x);
        std::memcpy(&y, &b, sizeof y);
        x += y;
        Element out = 0;
        std::memcpy(&out, &x, sizeof x);
        return out;
    };
    const auto all = run(ring(), {kCount, sizeof(float), false}, in);
    std::vector<float> out(kCount);
    for (std::uint64_t i = 0; i < kCount; ++i) std::memcpy(&out[i], &all[0][i], sizeof(float));
    return out;
}

struct Rank {
    Rank(Transport& transport, std::uint32_t rank) {
        auto opened = transport.open(rank, Clock::now() + 30s);
        if (!opened) throw std::runtime_error(to_string(opened.error()));
        member = std::move(opened.value());
        engine = std::make_unique<Engine>(*member.control, *member.endpoint,
                                          EngineOptions{.patience = 60s});
    }
    Member member;
    std::unique_ptr<Engine> engine;
};

/// Runs `rounds` all-reduces on every rank; `slice(rank, round, event)` sees every slice. Time of
/// each round at rank 0, in ms; throws where a bit is wrong.
std::vector<double> reduce(
    std::uint32_t rounds,
    const std::function<void(std::uint32_t, std::uint32_t, const SliceEvent&)>& slice,
    const std::function<void(std::uint32_t, std::uint32_t)>& between) {
    const auto want = expected();
    const auto plan = ring();
    const auto transport =
        transports().at("verbs").make({.ranks = kRanks, .rails = 2, .planes = 2});
    std::vector<double> times(rounds);
    run_ranks(kRanks, [&](std::uint32_t r) {
        const Rank rank(*transport, r);
        Communicator comm(*rank.engine);
        std::uint32_t round = 0;
        comm.on_slice = [&](const SliceEvent& e) { slice(r, round, e); };
        const PreparedPlan prepared(plan, r);
        std::vector<float> in(kCount);
        for (std::uint64_t i = 0; i < kCount; ++i) in[i] = value(r, i);
        for (; round < rounds; ++round) {
            std::vector<float> out(kCount);
            const auto start = Clock::now();
            const Status s =
                comm.run(prepared, {.buffers = {in.data(), out.data()}, .count = kCount});
            if (!s) throw std::runtime_error(to_string(s.error()));
            if (r == 0) times[round] = ms_since(start);
            if (std::memcmp(out.data(), want.data(), kCount * sizeof(float)) != 0)
                throw std::runtime_error(fmt::format("rank {}: wrong bits in round {}", r, round));
            between(r, round);
        }
    });
    return times;
}

TEST_CASE("a ring all-reduce over two rails and two planes has the right bits") {
    std::array<std::atomic<std::uint64_t>, 4> bytes{};
    const auto times = reduce(
        3, [&](std::uint32_t, std::uint32_t, const SliceEvent& e) { bytes.at(e.lane) += e.bytes; },
        [](std::uint32_t, std::uint32_t) {});
    fmt::print(
        "all-reduce of 1 MiB, 4 ranks: {:.0f}, {:.0f}, {:.0f} ms; bytes by lane {} {} {} {}\n",
        times[0], times[1], times[2], bytes[0].load(), bytes[1].load(), bytes[2].load(),
        bytes[3].load());
    for (const auto& b : bytes) CHECK(b.load() > 0);
}

TEST_CASE("a plane that dies in mid-collective, carrier up, costs no bit; healed, it carries") {
    constexpr std::uint32_t kKill = 1;
    std::atomic<bool> cut{false};
    std::atomic<std::uint32_t> seen{0};
    std::atomic<bool> carries{false};
    std::atomic<std::uint32_t> on_dead{0};
    double longest_gap = 0;
    Clock::time_point last_slice;
    constexpr std::uint32_t kRounds = 12;
    std::atomic<std::uint32_t> healed{kRounds};
    std::atomic<int> back_ms{-1};
    Clock::time_point mended;
    const auto times = reduce(
        kRounds,
        [&](std::uint32_t r, std::uint32_t round, const SliceEvent& e) {
            // Lanes in order of (rail, plane): even ones are of plane 0.
            if (round == kKill + 2 && e.lane % 2 == 0) ++on_dead;
            if (r == 0 && round == kKill && cut.load())
                longest_gap = std::max(longest_gap, ms_since(last_slice));
            if (r == 0) last_slice = Clock::now();
            if (r == 0 && round == kKill && ++seen == 40 && !cut.exchange(true)) {
                shell("/bin/ip link set sw0 down");
                last_slice = Clock::now();
            }
            if (round > healed.load() && e.lane % 2 == 0 && !carries.exchange(true))
                back_ms = static_cast<int>(ms_since(mended));
        },
        [&](std::uint32_t r, std::uint32_t round) {
            if (r != 0 || round != kKill + 3) return;
            shell("/bin/ip link set sw0 up");
            mended = Clock::now();
            healed = round;
        });
    CHECK(cut.load());
    CHECK(on_dead.load() == 0);  // the plane was really dead
    CHECK(carries.load());
    fmt::print(
        "plane 0 killed: round before {:.0f} ms, with the kill {:.0f} ms (longest gap between "
        "slices "
        "{:.0f} ms), after {:.0f} and {:.0f} ms; healed: carries again after {} ms\n",
        times[0], times[kKill], longest_gap, times[kKill + 1], times[kKill + 2], back_ms.load());
}

/// UDP source ports of RoCE packets on an interface, by source address.
class Capture {
  public:
    explicit Capture(const std::string& interface) {
        fd_ = ::socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
        sockaddr_ll where{};
        where.sll_family = AF_PACKET;
        where.sll_protocol = htons(ETH_P_ALL);
        where.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
        if (fd_ < 0 || ::bind(fd_, reinterpret_cast<sockaddr*>(&where), sizeof where) != 0)
            throw std::runtime_error("cannot capture on " + interface);
    }
    ~Capture() { ::close(fd_); }
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;
    [[nodiscard]] std::map<std::string, std::set<std::uint16_t>> ports() const {
        std::map<std::string, std::set<std::uint16_t>> seen;
        std::array<std::uint8_t, 256> p{};
        while (true) {
            const ssize_t n = ::recv(fd_, p.data(), p.size(), MSG_DONTWAIT);
            if (n <= 0) return seen;
            const std::size_t ip = 14;
            const std::size_t udp = ip + static_cast<std::size_t>(p[ip] & 15) * 4;
            const auto u16 = [&](std::size_t at) {
                return static_cast<std::uint16_t>(p[at] << 8 | p[at + 1]);
            };
            if (n < 42 || u16(12) != ETHERTYPE_IP || p[ip + 9] != IPPROTO_UDP ||
                u16(udp + 2) != 4791)
                continue;
            std::array<char, INET_ADDRSTRLEN> text{};
            ::inet_ntop(AF_INET, p.data() + ip + 12, text.data(), text.size());
            seen[text.data()].insert(u16(udp));
        }
    }

  private:
    int fd_ = -1;
};

TEST_CASE("the UDP source ports on the wire are those that were chosen, one for each path") {
    constexpr std::uint32_t kPaths = 3;
    const auto transport =
        transports().at("verbs").make({.ranks = 2, .rails = 2, .planes = 2, .paths = kPaths});
    const Capture capture("h0r0p0");
    run_ranks(2, [&](std::uint32_t r) {
        const Rank rank(*transport, r);
        Endpoint& e = *rank.member.endpoint;
        if (const Status s = e.connect(1 - r, Clock::now() + 30s); !s)
            throw std::runtime_error(to_string(s.error()));
        e.begin({.operation = 1});
        const std::size_t lanes = e.lanes(1 - r).size();
        for (std::uint32_t l = 0; l < lanes; ++l) {
            e.post_view(1 - r, {.operation = 1, .stream = l}, 0);
            if (!e.post_send(1 - r, l, {.operation = 1, .stream = l}, {}))
                throw std::runtime_error(fmt::format("lane {} takes nothing", l));
        }
        std::size_t left = 2 * lanes;
        for (const auto until = Clock::now() + 30s; left > 0 && Clock::now() < until;) {
            std::array<Completion, 8> some;
            const std::size_t n = e.poll(some);
            for (std::size_t i = 0; i < n; ++i) {
                if (some[i].kind == Completion::Kind::kReceived) e.release(some[i]);
                left -= some[i].kind == Completion::Kind::kReceived ||
                        some[i].kind == Completion::Kind::kSent;
            }
            if (n == 0) sleep_until(e, Clock::now() + 20ms);
        }
        if (left > 0)
            throw std::runtime_error(fmt::format("rank {}: {} messages are missing", r, left));
    });
    const auto seen = capture.ports();
    for (const auto& [address, lower] :
         {std::pair{std::string("10.0.0.1"), true}, std::pair{std::string("10.0.1.1"), false}}) {
        std::set<std::uint16_t> chosen;
        for (std::uint32_t path = 0; path < kPaths; ++path)
            chosen.insert(verbs::udp_source_port(verbs::flow_label(0, 0, path, lower)));
        INFO("from " << address);
        REQUIRE(seen.count(address) == 1);
        CHECK(seen.at(address) == chosen);
        fmt::print("on h0r0p0 from {}: source ports {}\n", address, fmt::join(chosen, " "));
    }
}

TEST_CASE("a port that goes down is out by its event, without traffic") {
    const auto transport = transports().at("verbs").make({.ranks = 2, .rails = 2, .planes = 2});
    run_ranks(2, [&](std::uint32_t r) {
        const Rank rank(*transport, r);
        Endpoint& e = *rank.member.endpoint;
        if (const Status s = e.connect(1 - r, Clock::now() + 30s); !s)
            throw std::runtime_error(to_string(s.error()));
        Clock::time_point start;
        std::thread hand;
        if (r == 0)
            hand = std::thread([&start] {
                std::this_thread::sleep_for(300ms);
                start = Clock::now();
                shell("/bin/ip link set sh0r1p1 down");
            });
        bool down = false;
        bool up = false;
        for (const auto until = Clock::now() + 30s; !up && Clock::now() < until;) {
            std::array<Completion, 4> some;
            const std::size_t n = e.poll(some);
            for (std::size_t i = 0; i < n; ++i) {
                if (some[i].kind == Completion::Kind::kLaneDown && !down) {
                    down = true;
                    if (r == 0) {
                        hand.join();
                        fmt::print("port down: lane {} out {:.1f} ms after the command began\n",
                                   some[i].lane, ms_since(start));
                        shell("/bin/ip link set sh0r1p1 up");
                    }
                }
                up = up || some[i].kind == Completion::Kind::kLaneUp;
            }
            if (n == 0) sleep_until(e, Clock::now() + 1s);
        }
        if (hand.joinable()) hand.join();
        if (!down || !up) throw std::runtime_error("the lane did not go down and come back");
    });
}

}  // namespace
}  // namespace weft::live
