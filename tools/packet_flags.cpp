#include "tools/packet_flags.hpp"

#include "flow_control/cc/congestion_control.hpp"
#include "tools/flags.hpp"

namespace weft::tools {

using packet::Overflow;
using packet::Recovery;
using packet::Spread;

void add_packet_flags(CLI::App& sub, PacketFlags& flags) {
    std::string names;
    for (const auto& row : congestion_controls().rows())
        names += (names.empty() ? "" : ", ") + row.info.name;
    const auto add = [&](const char* flag, std::string& value, const std::string& what) {
        sub.add_option(flag, value, "packet: " + what)->capture_default_str()->group("Packets");
    };
    add("--cc", flags.congestion, "congestion control NAME[:key=value,...]: " + names);
    add("--spread", flags.spread,
        "who picks among equal paths: path (a hash, once), entropy (the sender, each packet), "
        "shortest (switches, the shortest queue)");
    add("--recovery", flags.recovery,
        "packets out of order: go-back-n or unordered (default: by --spread)");
    add("--overflow", flags.overflow, "a full queue: pause (PFC), drop or trim");
    add("--payload", flags.payload, "of a full packet; 64 B of header besides");
    add("--ack-every", flags.ack_every, "payload between ACKs; 0: one a packet");
    add("--buffer", flags.buffer, "of a switch (default: 25.8 us of all its ports' rates)");
    add("--queue", flags.queue, "most of one egress queue (default: what the buffer allows)");
}

packet::PacketOptions packet_options(const PacketFlags& flags, std::uint64_t seed) {
    packet::PacketOptions o;
    o.congestion = flags.congestion;
    try {
        (void)choose_congestion(flags.congestion);
    } catch (const ConfigError& e) {
        throw e.at({}, 0, "--cc");
    }
    o.spread = pick<Spread>(
        "--spread", flags.spread,
        {{"path", Spread::kPath}, {"entropy", Spread::kEntropy}, {"shortest", Spread::kShortest}});
    o.recovery = o.spread == Spread::kPath ? Recovery::kGoBackN : Recovery::kUnordered;
    if (!flags.recovery.empty())
        o.recovery = pick<Recovery>(
            "--recovery", flags.recovery,
            {{"go-back-n", Recovery::kGoBackN}, {"unordered", Recovery::kUnordered}});
    o.overflow = pick<Overflow>(
        "--overflow", flags.overflow,
        {{"pause", Overflow::kPause}, {"drop", Overflow::kDrop}, {"trim", Overflow::kTrim}});
    o.payload = parse_flag("--payload", flags.payload, parse_bytes);
    constexpr Bytes kLeast{64};
    constexpr Bytes kMost{65536};
    if (o.payload < kLeast || o.payload > kMost)
        throw ConfigError({.file = {},
                           .line = 0,
                           .key = "--payload",
                           .found = flags.payload,
                           .expected = "64 B to 64 KiB",
                           .example = "--payload 4KiB"});
    o.ack_every = parse_flag("--ack-every", flags.ack_every, parse_bytes);
    if (!flags.buffer.empty()) o.buffer = parse_flag("--buffer", flags.buffer, parse_bytes);
    if (!flags.queue.empty()) o.queue = parse_flag("--queue", flags.queue, parse_bytes);
    o.seed = seed;
    return o;
}

}  // namespace weft::tools
