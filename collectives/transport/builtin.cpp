#include <algorithm>
#include <array>
#include <ctime>
#include <poll.h>

#include "base/rng.hpp"
#include "collectives/transport/between_processes.hpp"
#include "collectives/transport/inproc/inproc.hpp"
#include "collectives/transport/mpi/mpi.hpp"
#include "collectives/transport/shm/shm.hpp"
#include "collectives/transport/tcp/tcp.hpp"
#include "collectives/transport/transport.hpp"
#ifdef WEFT_VERBS
#include "collectives/transport/verbs/verbs.hpp"
#endif

namespace weft::live {

using namespace std::chrono_literals;

namespace {

#ifndef WEFT_VERBS
constexpr const char* kNoVerbs = "this build has no verbs: libibverbs-dev was not there";
#endif

}  // namespace

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

namespace {

Outcome<ProcessEndpoint> tcp_between(NetControl& control, const ProcessOptions& o) {
    return ProcessEndpoint{make_tcp_endpoint(control, {.paths = o.paths, .verify = o.verify}), {}};
}

Outcome<ProcessEndpoint> mpi_between(NetControl& control, const ProcessOptions& o) {
    auto made = make_mpi_endpoint(control, {.lanes = o.paths, .threads = {}});
    if (!made) return made.error();
    MpiEndpoint* endpoint = made.value().get();
    return ProcessEndpoint{std::move(made.value()), [endpoint] { return endpoint->assemble(); }};
}

Outcome<ProcessEndpoint> verbs_between(NetControl& control, const ProcessOptions& o) {
#ifdef WEFT_VERBS
    auto made = make_verbs_endpoint(control, {.ports = o.ports, .paths = o.paths});
    if (!made) return made.error();
    return ProcessEndpoint{std::move(made.value()), {}};
#else
    (void)control;
    (void)o;
    return LiveError{.what = kNoVerbs};
#endif
}

struct Between {
    const char* name;
    Outcome<ProcessEndpoint> (*make)(NetControl&, const ProcessOptions&);
};
constexpr std::array kBetween{Between{"tcp", tcp_between}, Between{"verbs", verbs_between},
                              Between{"mpi", mpi_between}};

}  // namespace

const std::vector<std::string>& process_transports() {
    static const std::vector<std::string> names = [] {
        std::vector<std::string> all;
        for (const Between& b : kBetween) all.emplace_back(b.name);
        return all;
    }();
    return names;
}

Outcome<ProcessEndpoint> make_process_endpoint(const std::string& transport, NetControl& control,
                                               const ProcessOptions& options) {
    for (const Between& b : kBetween)
        if (transport == b.name) return b.make(control, options);
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = "transport",
                       .found = transport,
                       .expected = "tcp, verbs or mpi",
                       .example = "tcp"});
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
    const std::string why = kNoVerbs;
#endif
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = "--transport",
                       .found = name,
                       .expected = "a transport that runs here (" + why + ")",
                       .example = rows.rows().front().info.name});
}

}  // namespace weft::live
