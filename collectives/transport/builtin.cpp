#include <algorithm>
#include <array>
#include <ctime>
#include <poll.h>

#include "base/rng.hpp"
#include "collectives/transport/inproc/inproc.hpp"
#include "collectives/transport/shm/shm.hpp"
#include "collectives/transport/tcp/tcp.hpp"
#include "collectives/transport/transport.hpp"
#ifdef WEFT_VERBS
#include "collectives/transport/verbs/verbs.hpp"
#endif

namespace weft::live {

using namespace std::chrono_literals;

std::uint64_t OperationHead::digest() const {
    const std::uint64_t kinds = std::uint64_t{collective} << 16 | std::uint64_t{dtype} << 8 |
                                reduction | std::uint64_t{root} << 32;
    return mix64(mix64(mix64(operation, context), plan_hash), mix64(count, kinds));
}

const char* name_of(Absent::Why w) {
    switch (w) {
        case Absent::Why::kUnknown:
            return "not heard of";
        case Absent::Why::kLate:
            return "late";
        case Absent::Why::kElsewhere:
            return "in another operation";
        case Absent::Why::kSilent:
            return "silent";
        case Absent::Why::kLeft:
            return "left";
        case Absent::Why::kDead:
            return "dead";
    }
    return "?";
}

void wait_readable(std::span<const int> fds, Clock::time_point until) {
    constexpr std::size_t kMost = 8;
    std::array<pollfd, kMost> watched;
    WEFT_CHECK(fds.size() <= kMost, "{} descriptors to wait on", fds.size());
    for (std::size_t i = 0; i < fds.size(); ++i)
        watched[i] = {.fd = fds[i], .events = POLLIN, .revents = 0};
    const Clock::time_point now = Clock::now();
    const auto left =
        until <= now ? Clock::duration::zero() : std::min(until - now, Clock::duration(1h));
    const auto seconds = std::chrono::floor<std::chrono::seconds>(left);
    const timespec limit{.tv_sec = static_cast<std::time_t>(seconds.count()),
                         .tv_nsec = static_cast<long>((left - seconds) / 1ns)};
    (void)::ppoll(watched.data(), fds.size(), &limit, nullptr);
}

void sleep_until(Endpoint& endpoint, Clock::time_point until) {
    if (endpoint.arm()) wait_readable(endpoint.fds(), until);
    endpoint.disarm();
}

std::size_t total_size(Segments segments) {
    std::size_t size = 0;
    for (const Segment& s : segments) size += s.size;
    return size;
}

const Registry<MakeTransport>& transports() {
    static const Registry<MakeTransport> rows = [] {
        Registry<MakeTransport> r("--transport");
        r.add({.name = "inproc",
               .description = "ranks are threads of one process; messages are read in place",
               .source = "Weft",
               .parameters = {}},
              make_inproc);
        r.add({.name = "shm",
               .description = "processes of one host; messages are read in shared memory",
               .source = "Weft",
               .parameters = {}},
              make_shm);
        r.add({.name = "tcp",
               .description = "lanes of TCP connections over several NIC ports and planes",
               .source = "Weft",
               .parameters = {}},
              make_tcp);
#ifdef WEFT_VERBS
        // Nothing can be opened without a device: then there is no such row.
        if (!verbs_ports().empty())
            r.add({.name = "verbs",
                   .description = "RDMA queue pairs between NIC ports, written in place",
                   .source = "Weft",
                   .parameters = {}},
                  make_verbs);
#endif
        return r;
    }();
    return rows;
}

const Registry<MakeTransport>::Row& transport_named(const std::string& name) {
    const auto& rows = transports();
    if (name != "verbs" || rows.find(name) != nullptr) return rows.at(name);
#ifdef WEFT_VERBS
    const std::string why = why_no_verbs();
#else
    const std::string why = "this build has no verbs: libibverbs-dev was not there";
#endif
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = "--transport",
                       .found = name,
                       .expected = "a transport that runs here (" + why + ")",
                       .example = rows.rows().front().info.name});
}

}  // namespace weft::live
