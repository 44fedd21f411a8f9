#pragma once
// FabricBuilder: the only way to make a Fabric. Nodes first, then cables; build() numbers, checks
// and hashes. Tags of a link (rail, plane, segment, ...) are read off its two ends, so that a
// family states each fact once. Errors: what a user's YAML can cause is a ConfigError; the rest is
// a check.
#include <string>
#include <utility>
#include <vector>

#include "topology/fabric.hpp"

namespace weft {

class FabricBuilder {
  public:
    explicit FabricBuilder(std::string name) { fabric_.name_ = std::move(name); }

    void parameters(std::vector<std::pair<std::string, std::string>> resolved) {
        fabric_.parameters_ = std::move(resolved);
    }
    void assume(std::string sentence) { fabric_.assumptions_.push_back(std::move(sentence)); }
    void port_mode(PortMode mode) { fabric_.port_mode_ = mode; }
    /// The last host added decides: hosts of one fabric are alike.
    void host_kind(GpuGeneration generation, CpuVendor cpu) {
        fabric_.generation_ = generation;
        fabric_.cpu_ = cpu;
    }
    /// Core switches pick the next hop by ingress port, not by 5-tuple (HPN24).
    void core_hash_by_ingress() { fabric_.core_hash_by_ingress_ = true; }

    void switch_capacity(Bandwidth capacity) { fabric_.switch_capacity_ = capacity; }

    NodeId add_node(const Node& node);
    /// A GPU that ranks may use; `node` is its device.
    GpuId add_gpu(NodeId node);
    /// A NIC of a host with ranks; nearest first in the order of serve() calls.
    NicId add_nic(NodeId node);
    void serve(GpuId gpu, NicId nic) { fabric_.gpus_[gpu.index()].nics.push_back(nic); }
    /// Two directed links; returns the one from a to b.
    LinkId add_cable(NodeId a, NodeId b, LinkKind kind, Bandwidth rate, SimDuration latency);

    [[nodiscard]] const Node& node(NodeId n) const { return fabric_.nodes_[n.index()]; }

    [[nodiscard]] Fabric build();

  private:
    void number_links();
    void attach_ports();
    void validate() const;

    Fabric fabric_;
};

}  // namespace weft
