#include "collectives/transport/shm/shm.hpp"

#include <fmt/format.h>

#include "collectives/transport/net/threaded_world.hpp"
#include "collectives/transport/shm/layout.hpp"

namespace weft::live {

namespace {

constexpr std::uint32_t kMostRanks = 64;

void check(bool ok, const char* key, std::uint64_t found, std::string expected) {
    if (ok) return;
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = key,
                       .found = std::to_string(found),
                       .expected = std::move(expected),
                       .example = "2"});
}

}  // namespace

std::unique_ptr<Transport> make_shm(const TransportOptions& o) {
    check(o.ranks >= 1 && o.ranks <= kMostRanks, "ranks", o.ranks,
          fmt::format("1 to {} for transport shm in one process", kMostRanks));
    ShmOptions options;
    options.lanes.clear();
    // Within one process the kernel's copies would wait for each other, as between processes they
    // do not.
    options.may_be_read = false;
    const std::uint64_t lanes = std::uint64_t{o.rails} * o.planes * o.paths;
    check(lanes >= 1 && lanes <= shm::PairPage::kLanes, "lanes", lanes,
          fmt::format("rails x planes x paths of 1 to {}", shm::PairPage::kLanes));
    for (std::uint32_t rail = 0; rail < o.rails; ++rail)
        for (std::uint32_t plane = 0; plane < o.planes; ++plane)
            for (std::uint32_t path = 0; path < o.paths; ++path) {
                const auto port = static_cast<std::int32_t>(rail * o.planes + plane);
                options.lanes.push_back({.local_port = port,
                                         .remote_port = port,
                                         .rail = static_cast<std::int32_t>(rail),
                                         .plane = static_cast<std::int32_t>(plane),
                                         .path = path});
            }
    const auto make = [options](NetControl& control) -> Outcome<std::unique_ptr<Endpoint>> {
        auto made = make_shm_endpoint(control, options);
        if (!made.ok()) return made.error();
        return std::unique_ptr<Endpoint>(std::move(made.value()));
    };
    return make_threaded_world({.ranks = o.ranks, .net = {}, .make = make});
}

}  // namespace weft::live
