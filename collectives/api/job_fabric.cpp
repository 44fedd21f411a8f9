#include "collectives/api/job_fabric.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>

#include "base/rng.hpp"
#include "collectives/api/host_card.hpp"
#include "collectives/transport/net/card.hpp"
#include "topology/io/document.hpp"
#include "topology/io/yaml.hpp"

namespace weft::live {

namespace {

constexpr const char* kHostCard = "weft";
constexpr const char* kMachineCard = "machine";
constexpr const char* kDiscovered = "what was discovered";

bool is_loopback(const Port& p) {
    return p.address.compare(0, 4, "127.") == 0 || p.address == "::1";
}

/// Ports that the rank was told to use; the loopback address is none.
std::vector<NamedPort> named_ports(const NetControl& control, std::uint32_t rank) {
    constexpr std::uint64_t kMost = 100'000'000'000'000;
    std::vector<NamedPort> ports;
    for (const Port& p : control.ports(rank))
        if (!is_loopback(p))
            ports.push_back(
                {.name = plain(p.interface),
                 .rail = p.rail,
                 .plane = p.plane,
                 .rate = Bandwidth{static_cast<std::int64_t>(std::min(p.bits_per_second, kMost))}});
    return ports;
}

}  // namespace

JobFabric::JobFabric(const std::string& file) : file_(file) {
    if (file_.empty()) return;
    text_ = read_text_file(file_);
    fabric_ = parse_fabric(text_, file_);
}

std::string JobFabric::fingerprint() const {
    return file_.empty() ? std::string() : fmt::format("{:016x}", hash_text(text_));
}

void JobFabric::publish(NetControl& control, const std::string& word) {
    const auto host = net::host_identity(word);
    control.publish(kHostCard, {host.begin(), host.end()});
    if (!fabric_) control.publish(kMachineCard, encode(this_machine()));
}

Status JobFabric::settle(const NetControl& control) {
    std::map<std::string, std::uint32_t> numbers;
    std::vector<SeenHost> hosts;
    for (std::uint32_t r = 0; r < control.ranks(); ++r) {
        const auto failed = [&](const char* what) {
            return LiveError{.what = fmt::format("what rank {} says of {} cannot be read", r, what),
                             .rank = static_cast<int>(control.rank()),
                             .peer = static_cast<int>(r)};
        };
        const std::span<const std::byte> card = control.card(r, kHostCard);
        const std::string name(reinterpret_cast<const char*>(card.data()), card.size());
        const auto [at, fresh] = numbers.emplace(name, static_cast<std::uint32_t>(hosts.size()));
        hosts_.push_back(at->second);
        // The first rank of a host speaks for it: many ranks say much the same.
        if (fresh) {
            SeenHost& host = hosts.emplace_back();
            host.ranks = 0;
            host.ports = named_ports(control, r);
            if (!believable(host.ports)) return failed("its ports");
            const auto machine =
                fabric_ ? HostMachine() : parse_machine(control.card(r, kMachineCard));
            if (!machine) return failed("its machine");
            host.machine = *machine;
        }
        ++hosts[at->second].ranks;
    }
    if (file_.empty()) {
        text_ = describe_cluster(hosts);
        fabric_ = parse_fabric(text_, kDiscovered);
    }
    placement_ = seat_ranks(*fabric_, hosts_, file_);
    for (std::uint32_t h = 0; !file_.empty() && h < hosts.size(); ++h)
        for (const NamedPort& port : hosts[h].ports) check_port(*fabric_, h, port, file_);
    return Done{};
}

GroupShape JobFabric::shape(const std::vector<std::uint32_t>& members) const {
    std::vector<std::uint32_t> hosts;
    for (const std::uint32_t m : members) hosts.push_back(hosts_[m]);
    std::vector<RankId> group;
    for (std::size_t i = 0; i < members.size(); ++i) group.emplace_back(i);
    GroupShape shape = shape_of(*fabric_, seat_ranks(*fabric_, hosts, file_), group);
    // Ranks reduce in their own memory, whatever the GPUs' switch could do.
    shape.in_network = false;
    return shape;
}

}  // namespace weft::live
