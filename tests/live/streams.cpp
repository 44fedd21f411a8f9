// Raw TCP streams of one host of the namespace fabric (tools/live_validate/fabric.sh): what the
// wire carries for whoever only writes and reads. Per NIC one stream to the next host of a ring and
// one from the host before, a thread each, blocking calls of 256 KiB; no framing, nothing computed.
//     weft-live-streams --host 0 --hosts 4 --lanes 4 --from T --seconds 3
// T is a time of the monotonic clock, the same for all hosts: bytes that are read in [T, T + 3)
// count.
//     lane NUMBER BYTES, for each, then: cpu SECONDS
#include <CLI/CLI.hpp>
#include <arpa/inet.h>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <fmt/format.h>
#include <netinet/in.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace weft::test {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kPiece = 256 * 1024;
constexpr std::uint16_t kPort = 5201;

struct Options {
    std::uint32_t host = 0;
    std::uint32_t hosts = 4;
    std::uint32_t lanes = 4;
    double from = 0;
    double seconds = 3;
    bool loopback = false;  // all hosts at 127.0.0.1, a port each
};

double now() {
    return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

sockaddr_in address(const Options& o, std::uint32_t lane, std::uint32_t host) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    const std::uint32_t port = o.loopback ? kPort + 64 * host + lane : kPort;
    a.sin_port = htons(static_cast<std::uint16_t>(port));
    const std::string text =
        o.loopback ? "127.0.0.1" : fmt::format("10.{}.0.{}", 40 + lane, host + 1);
    ::inet_pton(AF_INET, text.c_str(), &a.sin_addr);
    return a;
}

int open_socket() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    (void)::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    return fd;
}

void write_on(const Options& o, std::uint32_t lane) {
    const double end = o.from + o.seconds + 0.2;
    const sockaddr_in own = [&] {
        sockaddr_in a = address(o, lane, o.host);
        a.sin_port = 0;
        return a;
    }();
    const sockaddr_in to = address(o, lane, (o.host + 1) % o.hosts);
    int fd = -1;
    while (now() < o.from) {
        fd = open_socket();
        (void)::bind(fd, reinterpret_cast<const sockaddr*>(&own), sizeof own);
        if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) break;
        ::close(fd);
        fd = -1;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    const std::vector<char> piece(kPiece, 'w');
    while (fd >= 0 && now() < end)
        if (::send(fd, piece.data(), piece.size(), MSG_NOSIGNAL) < 0) break;
    ::close(fd);
}

void read_on(const Options& o, int listener, std::atomic<std::uint64_t>& sum) {
    const int fd = ::accept(listener, nullptr, nullptr);
    std::vector<char> piece(kPiece);
    while (fd >= 0) {
        const ssize_t n = ::recv(fd, piece.data(), piece.size(), 0);
        if (n <= 0) break;
        const double at = now();
        if (at >= o.from && at < o.from + o.seconds) sum += static_cast<std::uint64_t>(n);
    }
    ::close(fd);
}

int run(int argc, char** argv) {
    Options o;
    CLI::App app{"Raw TCP streams of one host."};
    app.add_option("--host", o.host);
    app.add_option("--hosts", o.hosts);
    app.add_option("--lanes", o.lanes);
    app.add_option("--from", o.from);
    app.add_option("--seconds", o.seconds);
    app.add_flag("--loopback", o.loopback);
    CLI11_PARSE(app, argc, argv);
    std::vector<std::atomic<std::uint64_t>> sums(o.lanes);
    std::vector<std::thread> threads;
    for (std::uint32_t l = 0; l < o.lanes; ++l) {
        const int listener = open_socket();
        const sockaddr_in own = address(o, l, o.host);
        if (::bind(listener, reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0 ||
            ::listen(listener, 4) != 0)
            throw std::runtime_error(fmt::format("lane {}: no such address here", l));
        threads.emplace_back([&o, l, listener, &sums] { read_on(o, listener, sums[l]); });
        threads.emplace_back([&o, l] { write_on(o, l); });
    }
    for (std::thread& t : threads) t.join();
    for (std::uint32_t l = 0; l < o.lanes; ++l)
        std::puts(fmt::format("lane {} {}", l, sums[l].load()).c_str());
    timespec cpu{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    std::puts(fmt::format("cpu {:.6f}",
                          static_cast<double>(cpu.tv_sec) + 1e-9 * static_cast<double>(cpu.tv_nsec))
                  .c_str());
    return 0;
}

}  // namespace
}  // namespace weft::test

int main(int argc, char** argv) {
    try {
        return weft::test::run(argc, argv);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "weft-live-streams: %s\n", e.what());
        return 2;
    }
}
