#pragma once
// HostTemplate: what is in a server, as data: GPUs, NICs and their ports, PCIe and scale-up links.
//
// Models: every GPU on one scale-up switch; NIC j next to GPU j over PCIe, or several NICs for one
// GPU (a live host with one GPU and four NICs), or several GPUs on one NIC. Rail = index of the
// NIC, unless it is said otherwise (what was discovered is). NICs behind one PCIe switch that
// libraries use as one device (EFA: four of 100G a GPU) are one NIC of several ports here. Leaves
// out: CPU sockets, PCIe switches shared by devices (live discovery brings them), front-end NIC.
// Sources: HPN24 (H800: 400 GB/s both ways, NICs of 2 x 200G, PCIe Gen5 x16), SimAI (360 GB/s, 25
// ns NVSwitch hop, 0.5 us NIC and switch links), MLE (PCIe Gen4 x16 31, Gen5 x16 63 GB/s; NVLink of
// A100 300, H100 and H200 450, B200 900 GB/s per direction; p5 32 x 100G, p5en 16 x 200G). NVSwitch
// reduces in network from its third generation (NVLink 4) on: H800, H100, H200, B200, not A100. CPU
// vendors are those of the vendors' data sheets (DGX A100 and p5: AMD; DGX H100 on and p5en:
// Intel); a Grace CPU counts as Intel, whose figures NCCL gives it. HPN24 does not name its CPU.
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/units.hpp"
#include "topology/builder.hpp"

namespace weft {

/// The defaults are HPN's H800 host.
struct HostTemplate {
    int gpus = 8;
    int nics = 8;                        // a multiple or a divisor of gpus; 0: scale-up only
    int ports = 2;                       // of each NIC, where the family does not decide
    Bandwidth port_rate = 200_Gbps;      // one port of a NIC
    SimDuration port_latency = ns(500);  // NIC to first switch
    Bandwidth pcie = 63_GBps;
    SimDuration pcie_latency;
    Bandwidth scale_up = 200_GBps;          // per GPU and direction
    SimDuration scale_up_latency = ns(25);  // one link; GPU to GPU is two
    bool in_network = true;                 // the scale-up switch reduces and multicasts
    GpuGeneration generation = GpuGeneration::kHopper;
    CpuVendor cpu = CpuVendor::kIntel;
    std::vector<int> rails = {};                 // of each NIC; empty: NIC j is on rail j
    std::vector<std::vector<int>> nearest = {};  // NICs of each GPU; empty: shared out in order
};

/// A host as network simulators have it: one GPU, one NIC of one port, and PCIe never the limit.
[[nodiscard]] HostTemplate end_host(Bandwidth rate, SimDuration latency);

/// A template that a fabric file may name.
struct NamedHost {
    std::string name;
    std::string source;
    HostTemplate host;
};
[[nodiscard]] const std::vector<NamedHost>& host_templates();
/// Their names, in order.
[[nodiscard]] std::vector<std::string> host_template_names();

/// Where a host stands; kAny where it does not apply.
struct HostPlace {
    int host = 0;
    int segment = kAny;
    int pod = kAny;
    int domain = kAny;
    bool ranked = true;           // false: a backup host: devices and cables, but no ranks
    NodeId hub = NodeId::none();  // a scale-up switch of several hosts; none: the host has its own
};

/// Adds the devices and inner links; returns the NIC nodes, whose ports the caller cables.
std::vector<NodeId> add_host(FabricBuilder& b, const HostTemplate& t, const HostPlace& place);

}  // namespace weft
