// What ranks say of their machines: any bytes are parsed or refused, what is parsed has one
// meaning, and makes a fabric file that can be read, whoever stands beside it.
#include <cstdint>
#include <vector>

#include "base/check.hpp"
#include "collectives/api/host_card.hpp"
#include "topology/io/yaml.hpp"

namespace {

using namespace weft;

void try_machine(std::span<const std::byte> bytes) {
    const auto machine = live::parse_machine(bytes);
    if (!machine) return;
    const std::vector<std::byte> again = live::encode(*machine);
    WEFT_CHECK(std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()),
               "a card has one meaning");
    HostMachine other;
    other.name = "other";
    const std::vector<SeenHost> hosts{{.machine = *machine, .ranks = 2, .ports = {}},
                                      {.machine = *machine, .ranks = 1, .ports = {}},
                                      {.machine = other, .ranks = 3, .ports = {}}};
    const Fabric fabric = parse_fabric(describe_cluster(hosts), "discovered");
    (void)seat_ranks(fabric, {0, 1, 0, 2, 2, 2}, {});
}

void try_presence(std::span<const std::byte> bytes) {
    const auto presence = live::parse_presence(bytes);
    if (!presence) return;
    std::vector<std::uint32_t> of_rank;
    const std::vector<SeenHost> hosts = live::hosts_of({*presence, *presence}, &of_rank);
    WEFT_CHECK(hosts.size() == 1 && hosts[0].ranks == 2, "one host");
    (void)parse_fabric(describe_cluster(hosts), "discovered");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = std::as_bytes(std::span(data, size));
    try_machine(bytes);
    try_presence(bytes);
    return 0;
}
