#pragma once
// FabricSummary: a fabric in numbers, for `weft fabric --describe`, reports and golden tests. All
// of it is counted on the fabric as built, nothing is repeated from its family's parameters.
#include <array>
#include <string>
#include <vector>

#include "topology/fabric.hpp"

namespace weft {

/// The switches of one tier. Ports are cables; rates are sums over one switch.
struct TierSummary {
    std::int32_t tier = 1;
    std::string name;  // "tor"
    std::size_t switches = 0;
    std::size_t ports_down = 0;   // of one switch (the fullest): toward hosts
    std::size_t backup_down = 0;  // of those: to NICs that no rank uses
    std::size_t ports_up = 0;
    Bandwidth rate_down;  // of one switch
    Bandwidth rate_backup;
    Bandwidth rate_up;
    std::size_t cables_up = 0;  // of the whole tier
};

struct FabricSummary {
    std::string name;
    std::size_t gpus = 0;
    std::size_t hosts = 0;
    std::size_t backup_hosts = 0;
    std::size_t nics = 0;
    std::size_t ports_per_nic = 0;
    std::size_t domains = 0;
    std::size_t planes = 0;
    std::size_t segments = 0;
    std::size_t pods = 0;
    std::size_t gpus_per_segment = 0;  // the largest
    std::size_t rails = 0;
    Bandwidth nic_rate;         // all ports of one NIC
    Bandwidth scale_up_rate;    // one GPU, one direction
    bool in_network = false;    // every scale-up switch reduces and multicasts
    Bandwidth switch_capacity;  // of one switch; 0 when not stated
    std::vector<TierSummary> tiers;
    std::array<std::size_t, 4> cables{};  // by LinkKind
    Bandwidth bisection;                  // halves of the hosts in order; 0 without NICs
    std::size_t impaired_cables = 0;
};

[[nodiscard]] FabricSummary summarize(const Fabric& fabric);

/// Down / up of one tier in thousandths: 1067 is 1.067:1. 0 when nothing leads up.
[[nodiscard]] std::int64_t oversubscription_milli(const TierSummary& tier, bool with_backup);

/// Several lines of text for people, with assumptions.
[[nodiscard]] std::string to_text(const Fabric& fabric, const FabricSummary& summary);

}  // namespace weft
