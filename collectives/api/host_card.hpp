#pragma once
// What ranks tell each other of their machines, as bytes: at the meeting of a World, and at that of
// `weft discover`. Only what the job's Fabric is made of: ports, GPUs, who is near whom.
// Bounded: 64 ports, 64 GPUs, names of 64 characters; a card has some 28 KiB at most, and 100 to
// 200 bytes a port in truth. Parsers are pure functions; nothing that they accept can break the
// file that is made of it.
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "topology/discover/cluster.hpp"

namespace weft::live {

/// Ports that are left out, addresses and what does not fit are not told.
[[nodiscard]] std::vector<std::byte> encode(const HostMachine& m);
[[nodiscard]] std::optional<HostMachine> parse_machine(std::span<const std::byte> bytes);

/// A rank of a job: which host it is on, as a number that stands for it, and what is there.
struct Presence {
    std::array<std::byte, 32> host{};
    std::vector<NamedPort> ports;  // that the rank is told to use; empty: none in particular
    HostMachine machine;
};
[[nodiscard]] std::vector<std::byte> encode(const Presence& p);
[[nodiscard]] std::optional<Presence> parse_presence(std::span<const std::byte> bytes);

/// Ports as Weft's names and numbers allow them: rails and planes of four digits.
[[nodiscard]] bool believable(const std::vector<NamedPort>& ports);

/// By host, in order of first rank; that rank speaks for its host. `of_rank`: each rank's host.
[[nodiscard]] std::vector<SeenHost> hosts_of(const std::vector<Presence>& ranks,
                                             std::vector<std::uint32_t>* of_rank);

}  // namespace weft::live
