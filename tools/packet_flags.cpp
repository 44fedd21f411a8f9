#include "tools/packet_flags.hpp"

#include "base/parameters.hpp"
#include "base/text.hpp"
#include "flow_control/cc/congestion_control.hpp"
#include "tools/flags.hpp"

namespace weft::tools {

using packet::Overflow;
using packet::Recovery;
using packet::Spread;

namespace {

/// All values of an enumeration, by their names.
template <class E>
E pick_named(const char* flag, const std::string& text, E last) {
    std::vector<std::pair<std::string, E>> all;
    for (int i = 0; i <= static_cast<int>(last); ++i)
        all.emplace_back(name_of(static_cast<E>(i)), static_cast<E>(i));
    return pick<E>(flag, text, all);
}

}  // namespace

void add_packet_flags(CLI::App& sub, PacketFlags& flags) {
    std::string names;
    for (const auto& row : congestion_controls().rows())
        names += (names.empty() ? "" : ", ") + row.info.name;
    const auto add = [&](const char* flag, std::string& value, const std::string& what) {
        sub.add_option(flag, value, "packet: " + what)->capture_default_str()->group("Packets");
    };
    add("--cc", flags.congestion, "congestion control NAME[:key=value,...]: " + names);
    add("--spread", flags.spread,
        "who picks among equal paths: path (a hash, once); the sender, packet by packet: entropy "
        "(all in turn), bitmap, reps, mixed; the switches: shortest, adaptive, drill, flowlet");
    add("--flowlet-gap", flags.flowlet_gap, "a flow that pauses longer may take another port");
    add("--recovery", flags.recovery,
        "packets out of order: go-back-n, selective or unordered (default: by --spread)");
    add("--reorder-buffer", flags.reorder_buffer,
        "of a receiver: how far packets may run ahead of one that is missing (default: no bound)");
    sub.add_flag("--credits", flags.credits,
                 "packet: receivers grant what goes beyond the first window (UEC RCCC)")
        ->group("Packets");
    sub.add_flag("--cut-through", flags.cut_through,
                 "packet: switches pass a packet on as its header has come, where rates are equal")
        ->group("Packets");
    add("--qp-rate", flags.qp_rate, "most of a queue pair (default: as congestion control has it)");
    add("--nic-rate", flags.nic_rate, "most that a NIC port sends (default: its line rate)");
    add("--timeout", flags.timeout,
        "least before a sender repeats what nobody answers (default: 67 ms where PFC keeps the "
        "fabric lossless, else 100 us; at least four round trips)");
    add("--overflow", flags.overflow, "a full queue: pause (PFC), drop or trim");
    add("--payload", flags.payload, "of a full packet; 64 B of header besides");
    add("--ack-every", flags.ack_every, "payload between ACKs; 0: one a packet");
    add("--buffer", flags.buffer, "of a switch (default: 25.8 us of all its ports' rates)");
    add("--watchdog", flags.watchdog,
        "against pauses that do not end: off, or what is done with a stuck queue: drop or forward"
        "[:detection=200ms,restoration=200ms]");
    add("--fec", flags.fec,
        "off (the fabric's latencies hold it), or kp4[:ber=0,retry=off]: its latency, and what it "
        "cannot correct at that bit error rate is lost, or sent again by the link");
    add("--queue", flags.queue, "most of one egress queue (default: what the buffer allows)");
}

namespace {

/// "name:key=value,..." with the parameters that the name has.
Parameters settings(const char* flag, const std::string& text, const RegistryInfo& info) {
    const std::size_t colon = text.find(':');
    std::vector<std::string> given;
    if (colon != std::string::npos)
        for (std::size_t at = colon; at != std::string::npos;) {
            const std::size_t next = text.find(',', at + 1);
            given.push_back(text.substr(at + 1, next == std::string::npos ? next : next - at - 1));
            at = next;
        }
    try {
        return {info, parse_settings(given), flag};
    } catch (const ConfigError& e) {
        throw e.at({}, 0, flag);
    }
}

/// The name alone; `off` has no parameters.
std::string name_in(const std::string& text) {
    const std::string name = text.substr(0, text.find(':'));
    return name == "off" ? text : name;
}

WatchdogProfile watchdog(const std::string& text) {
    using Action = WatchdogProfile::Action;
    WatchdogProfile w;
    w.on = pick<bool>("--watchdog", name_in(text),
                      {{"off", false}, {"drop", true}, {"forward", true}});
    w.action = name_in(text) == "forward" ? Action::kForward : Action::kDrop;
    if (!w.on) return w;
    const Parameters p = settings("--watchdog", text,
                                  {"watchdog",
                                   "",
                                   "",
                                   {{"detection", "s", "200ms", "paused for so long is stuck"},
                                    {"restoration", "s", "200ms", "without a pause for so long"}}});
    w.detection = p.duration("detection");
    w.restoration = p.duration("restoration");
    if (w.detection == SimDuration{}) p.reject("detection", "more than 0", "detection=200ms");
    if (w.restoration == SimDuration{}) p.reject("restoration", "more than 0", "restoration=200ms");
    return w;
}

packet::FecOptions fec(const std::string& text) {
    packet::FecOptions f;
    f.on = pick<bool>("--fec", name_in(text), {{"off", false}, {"kp4", true}});
    if (!f.on) return f;
    const Parameters p = settings("--fec", text,
                                  {"fec",
                                   "",
                                   "",
                                   {{"ber", "", "0", "bit error rate before correction"},
                                    {"retry", "", "off", "on: the link sends again"}}});
    constexpr int kDigits = 15;
    constexpr double kUnit = 1e15;
    for (const auto& [key, value] : p.resolved())
        if (key == "ber") {
            const std::int64_t rate = text::scaled_number(value, kDigits);
            if (rate < 0 || static_cast<double>(rate) > kUnit / 10)
                p.reject("ber", "a bit error rate from 0 to 0.1", "ber=2e-5");
            f.bit_error_rate = static_cast<double>(rate) / kUnit;
        }
    f.retry = p.choice("retry", {"off", "on"}) == 1;
    return f;
}

}  // namespace

packet::PacketOptions packet_options(const PacketFlags& flags, std::uint64_t seed) {
    packet::PacketOptions o;
    o.congestion = flags.congestion;
    try {
        (void)choose_congestion(flags.congestion);
    } catch (const ConfigError& e) {
        throw e.at({}, 0, "--cc");
    }
    o.spread = pick_named<Spread>("--spread", flags.spread, Spread::kFlowlet);
    const bool ordered = o.spread == Spread::kPath || o.spread == Spread::kFlowlet;
    o.recovery = ordered ? Recovery::kGoBackN : Recovery::kUnordered;
    if (!flags.recovery.empty())
        o.recovery = pick_named<Recovery>("--recovery", flags.recovery, Recovery::kUnordered);
    o.flowlet_gap = parse_flag("--flowlet-gap", flags.flowlet_gap, parse_duration);
    if (!flags.reorder_buffer.empty())
        o.reorder_buffer = parse_flag("--reorder-buffer", flags.reorder_buffer, parse_bytes);
    if (!flags.qp_rate.empty()) o.qp_rate = parse_flag("--qp-rate", flags.qp_rate, parse_bandwidth);
    if (!flags.nic_rate.empty())
        o.nic_rate = parse_flag("--nic-rate", flags.nic_rate, parse_bandwidth);
    o.overflow = pick_named<Overflow>("--overflow", flags.overflow, Overflow::kTrim);
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
    o.watchdog = watchdog(flags.watchdog);
    o.fec = fec(flags.fec);
    o.credits = flags.credits;
    o.cut_through = flags.cut_through;
    if (!flags.timeout.empty())
        o.least_timeout = parse_flag("--timeout", flags.timeout, parse_duration);
    o.seed = seed;
    o.record = true;
    return o;
}

}  // namespace weft::tools
