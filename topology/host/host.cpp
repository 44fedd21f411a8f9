#include "topology/host/host.hpp"

#include "base/check.hpp"

namespace weft {
namespace {

Node device(const HostPlace& place, NodeKind kind, int index) {
    Node n;
    n.kind = kind;
    n.segment = place.segment;
    n.pod = place.pod;
    n.host = place.host;
    n.index = index;
    n.domain = kind == NodeKind::kNic ? kAny : place.domain;
    return n;
}

/// The NICs of GPU `gpu`, nearest first.
std::vector<int> nics_of(const HostTemplate& t, int gpu) {
    if (!t.nearest.empty()) return t.nearest.at(static_cast<std::size_t>(gpu));
    std::vector<int> nics;
    for (int j = 0; j < t.nics; ++j)
        if (t.nics >= t.gpus ? j * t.gpus / t.nics == gpu : gpu * t.nics / t.gpus == j)
            nics.push_back(j);
    return nics;
}

int rail_of(const HostTemplate& t, int nic) {
    return t.rails.empty() ? nic : t.rails.at(static_cast<std::size_t>(nic));
}

}  // namespace

const std::vector<NamedHost>& host_templates() {
    static const std::vector<NamedHost> rows = {
        {"hpn-h800", "HPN24: 8 H800, 8 NICs of 2 x 200G, NVLink 200 GB/s", {}},
        {"hpn-h100", "SimAI's HPN files: as hpn-h800 with NVLink 360 GB/s", {.scale_up = 360_GBps}},
        {"dgx-h100",
         "MLE: 8 H100, 8 NICs of 400G, NVLink 450 GB/s",
         {.ports = 1, .port_rate = 400_Gbps, .scale_up = 450_GBps}},
        {"one-gpu-four-nics",
         "a live process that owns four NICs",
         {.gpus = 1, .nics = 4, .in_network = false}},
        {"dgx-h200",
         "MLE: 8 H200, 8 NICs of 400G, NVLink 450 GB/s",
         {.ports = 1, .port_rate = 400_Gbps, .scale_up = 450_GBps}},
        {"dgx-b200",
         "MLE: 8 B200, 8 NICs of 400G, NVLink 900 GB/s",
         {.ports = 1,
          .port_rate = 400_Gbps,
          .scale_up = 900_GBps,
          .generation = GpuGeneration::kBlackwell}},
        {"dgx-a100",
         "MLE, AZG: 8 A100, 8 NICs of 200G, PCIe Gen4, NVLink 300 GB/s, no reduction in network",
         {.ports = 1,
          .pcie = 31_GBps,
          .scale_up = 300_GBps,
          .in_network = false,
          .generation = GpuGeneration::kAmpere,
          .cpu = CpuVendor::kAmd}},
        {"p5",
         "MLE, UCCL: 8 H100, 32 EFA of 100G, four a GPU, NVLink 450 GB/s",
         {.ports = 4, .port_rate = 100_Gbps, .scale_up = 450_GBps, .cpu = CpuVendor::kAmd}},
        {"p5en",
         "MLE, UCCL: 8 H200, 16 EFA of 200G, two a GPU, NVLink 450 GB/s",
         {.ports = 2, .port_rate = 200_Gbps, .scale_up = 450_GBps}},
        {"gb200-tray",
         "MLE: 4 B200 and 4 NICs of 400G, NVLink 900 GB/s; 18 trays a domain",
         {.gpus = 4,
          .nics = 4,
          .ports = 1,
          .port_rate = 400_Gbps,
          .scale_up = 900_GBps,
          .generation = GpuGeneration::kBlackwell}},
        {"gb300-tray",
         "MLE (CX-8, 800G a GPU): 4 B300 and 4 NICs, NVLink 900 GB/s; 18 trays a domain",
         {.gpus = 4,
          .nics = 4,
          .ports = 1,
          .port_rate = 800_Gbps,
          .pcie = 126_GBps,
          .scale_up = 900_GBps,
          .generation = GpuGeneration::kBlackwell}},
        {"p4de",
         "AWS: 8 A100 80 GB, 4 EFA of 100G, one for two GPUs, PCIe Gen4, NVLink 300 GB/s",
         {.nics = 4,
          .ports = 1,
          .port_rate = 100_Gbps,
          .pcie = 31_GBps,
          .scale_up = 300_GBps,
          .in_network = false,
          .generation = GpuGeneration::kAmpere}},
        {"h20",
         "nccl 1244: 8 H20, 8 NICs of 400G, NVLink 450 GB/s",
         {.ports = 1, .port_rate = 400_Gbps, .scale_up = 450_GBps}},
    };
    return rows;
}

HostTemplate end_host(Bandwidth rate, SimDuration latency) {
    HostTemplate t;
    t.gpus = t.nics = t.ports = 1;
    t.port_rate = rate;
    t.port_latency = latency;
    t.pcie = Bandwidth{100'000'000'000'000};
    t.in_network = false;
    return t;
}

std::vector<std::string> host_template_names() {
    std::vector<std::string> names;
    for (const NamedHost& row : host_templates()) names.push_back(row.name);
    return names;
}

std::vector<NodeId> add_host(FabricBuilder& b, const HostTemplate& t, const HostPlace& place) {
    WEFT_CHECK(t.gpus > 0 && (!t.nearest.empty() || t.nics == 0 || t.nics % t.gpus == 0 ||
                              t.gpus % t.nics == 0),
               "{} NICs for {} GPUs", t.nics, t.gpus);
    b.host_kind(t.generation, t.cpu);
    std::vector<NodeId> gpus;
    std::vector<NodeId> nics;
    std::vector<GpuId> gpu_ids;
    for (int i = 0; i < t.gpus; ++i) {
        Node n = device(place, NodeKind::kGpu, i);
        const std::vector<int> near = nics_of(t, i);
        n.rail = near.empty() ? kAny : rail_of(t, near.front());
        gpus.push_back(b.add_node(n));
        if (place.ranked) gpu_ids.push_back(b.add_gpu(gpus.back()));
    }
    NodeId hub = place.hub;
    if (!hub.valid()) {
        Node n = device(place, NodeKind::kScaleUpSwitch, 0);
        n.in_network = t.in_network;
        hub = b.add_node(n);
    }
    for (const NodeId gpu : gpus)
        b.add_cable(gpu, hub, LinkKind::kScaleUp, t.scale_up, t.scale_up_latency);
    std::vector<NicId> nic_ids;
    for (int j = 0; j < t.nics; ++j) {
        Node n = device(place, NodeKind::kNic, j);
        n.rail = rail_of(t, j);
        nics.push_back(b.add_node(n));
        nic_ids.push_back(place.ranked ? b.add_nic(nics.back()) : NicId{});
    }
    for (std::size_t i = 0; i < gpus.size(); ++i)
        for (const int j : nics_of(t, static_cast<int>(i))) {
            const auto nic = static_cast<std::size_t>(j);
            b.add_cable(gpus[i], nics.at(nic), LinkKind::kPcie, t.pcie, t.pcie_latency);
            if (place.ranked) b.serve(gpu_ids[i], nic_ids[nic]);
        }
    return nics;
}

}  // namespace weft
