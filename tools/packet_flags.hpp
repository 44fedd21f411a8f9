#pragma once
// Flags of what hosts and switches do with packets, for every subcommand that runs the packet
// engine.
#include <CLI/CLI.hpp>
#include <string>

#include "simulator/packet/options.hpp"

namespace weft::tools {

struct PacketFlags {
    std::string congestion = "window";
    std::string spread = "path";
    std::string recovery;  // empty: unordered where packets are spread, else go-back-n
    std::string overflow = "pause";
    std::string payload = "4KiB";
    std::string ack_every = "16KiB";
    std::string buffer;
    std::string queue;
    std::string flowlet_gap = "10us";
    std::string reorder_buffer;
    std::string qp_rate;
    std::string nic_rate;
    std::string timeout;
    std::string watchdog = "off";
    std::string fec = "off";
    bool credits = false;
    bool cut_through = false;
};

void add_packet_flags(CLI::App& sub, PacketFlags& flags);
/// ConfigError names the flag.
[[nodiscard]] packet::PacketOptions packet_options(const PacketFlags& flags, std::uint64_t seed);

}  // namespace weft::tools
