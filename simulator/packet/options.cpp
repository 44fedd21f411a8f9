#include "simulator/packet/options.hpp"

#include <fmt/format.h>

namespace weft::packet {

std::string text_of(const WatchdogProfile& w) {
    if (!w.on) return "off";
    return fmt::format("{}:detection={}ps,restoration={}ps",
                       w.action == WatchdogProfile::Action::kDrop ? "drop" : "forward",
                       w.detection.ps(), w.restoration.ps());
}

std::string text_of(const FecOptions& f) {
    if (!f.on) return "off";
    return fmt::format("kp4:ber={},retry={}", f.bit_error_rate, f.retry ? "on" : "off");
}

std::vector<std::pair<std::string, std::string>> described(const PacketOptions& o) {
    const auto bytes_or = [](Bytes b, const char* none) {
        return b == Bytes{} ? std::string(none) : to_string(b);
    };
    const auto rate_or = [](Bandwidth r, const char* none) {
        return r == Bandwidth{} ? std::string(none) : to_string(r);
    };
    return {{"payload", to_string(o.payload)},
            {"header", to_string(o.header)},
            {"ack_every", to_string(o.ack_every)},
            {"congestion", o.congestion},
            {"credits", o.credits ? "from receivers" : "none"},
            {"spread", name_of(o.spread)},
            {"flowlet_gap", to_string(o.flowlet_gap)},
            {"recovery", name_of(o.recovery)},
            {"timeout", o.least_timeout == SimDuration{} ? std::string("by loss")
                                                         : to_string(o.least_timeout)},
            {"reorder_buffer", bytes_or(o.reorder_buffer, "no bound")},
            {"qp_rate", rate_or(o.qp_rate, "by congestion control")},
            {"nic_rate", rate_or(o.nic_rate, "line rate")},
            {"switches", o.cut_through ? "cut through" : "store and forward"},
            {"overflow", name_of(o.overflow)},
            {"watchdog", text_of(o.watchdog)},
            {"fec", text_of(o.fec)},
            {"buffer", bytes_or(o.buffer, "by ports")},
            {"queue", bytes_or(o.queue, "by buffer")}};
}

}  // namespace weft::packet
