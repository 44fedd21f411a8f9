#pragma once
// What the hosts of a job say of their machines becomes one Fabric, in Weft's own file format, so
// that ranks, simulator and people read the same.
//
// Rail and plane of a port: those that the job names; else of a name like r1p0; else by subnet:
// ports of different hosts in one subnet are on one plane of one rail. Subnets are numbered as they
// first appear; two ports of one PCI card are the planes of one rail, every other subnet is a rail
// of its own. Several ports of a host in one subnet are a rail each, on one switch. Where hosts
// share no subnet (each cable is routed) the k-th ports of all hosts are a rail.
// Switches: what lies behind the ports cannot be seen. One switch for each subnet is assumed, and
// the file says so, as it does of every other assumption.
// Ranks: a host's GPUs where it has as many as it has ranks, in order; else the ranks themselves
// stand in the file as its GPUs, near all its ports.
// A pure function: the same machines give the same text on every rank.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "topology/discover/machine.hpp"
#include "topology/placement.hpp"

namespace weft {

/// A port that the job names; rail and plane with it.
struct NamedPort {
    std::string name;
    std::int32_t rail = 0;
    std::int32_t plane = 0;
    Bandwidth rate;  // 0: unknown
};
struct SeenHost {
    HostMachine machine;
    std::uint32_t ranks = 1;
    std::vector<NamedPort> ports;  // empty: the machine's own, rail and plane inferred
};

/// A port as the Fabric has it.
struct PlacedPort {
    std::uint32_t host = 0;
    std::string name;
    std::string network;  // its subnet, or what stands for one
    std::int32_t rail = 0;
    std::int32_t plane = 0;
    Bandwidth rate;
    bool rate_assumed = false;
};
/// Rails and planes of all hosts' ports, in order of hosts, rails, planes.
[[nodiscard]] std::vector<PlacedPort> place_ports(std::span<const SeenHost> hosts);

/// The file; parse_fabric() accepts it. ConfigError: hosts without end, or none.
[[nodiscard]] std::string describe_cluster(std::span<const SeenHost> hosts);

/// Which GPU each rank has: the i-th rank of the fabric's h-th host its i-th GPU. `hosts`: by rank,
/// numbered from 0 in order of first rank. ConfigError, with `file` and the numbers, where the
/// fabric has fewer hosts or GPUs than that takes, or a scale-up domain of several of these hosts.
[[nodiscard]] Placement seat_ranks(const Fabric& fabric, const std::vector<std::uint32_t>& hosts,
                                   const std::string& file);
/// ConfigError where a host of the fabric has no such port.
void check_port(const Fabric& fabric, std::uint32_t host, const NamedPort& port,
                const std::string& file);

}  // namespace weft
