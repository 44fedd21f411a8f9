#include "tools/flows/print.hpp"

#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>

#include "simulator/packet/completions.hpp"

namespace weft::tools {
namespace {

using Json = nlohmann::ordered_json;
using packet::FlowGroup;
using packet::FlowTimes;
using packet::SizeBin;
using packet::Totals;

struct Counter {
    const char* key;
    const char* label;  // nullptr: in the JSON alone
    std::uint64_t Totals::*value;
};
constexpr Counter kCounters[] = {{"events", "events", &Totals::events},
                                 {"data_hops", "data hops", &Totals::data_hops},
                                 {"all_hops", "hops of any packet", &Totals::all_hops},
                                 {"sent_packets", "data packets sent", &Totals::sent},
                                 {"repeated_packets", "of them again", &Totals::repeated},
                                 {"delivered_packets", nullptr, &Totals::delivered},
                                 {"duplicate_packets", nullptr, &Totals::duplicates},
                                 {"refused_packets", nullptr, &Totals::refused},
                                 {"marked_packets", "marked", &Totals::marked},
                                 {"pauses", "pauses", &Totals::pauses},
                                 {"dropped_packets", "dropped", &Totals::dropped},
                                 {"trimmed_packets", "trimmed", &Totals::trimmed},
                                 {"timeouts", "timeouts", &Totals::timeouts}};
/// Named where there are any.
constexpr Counter kRare[] = {{"lost_packets", "lost by links", &Totals::lost},
                             {"spoiled_packets", "spoiled on the way", &Totals::spoiled},
                             {"storms", "storms ended by watchdogs", &Totals::storms}};

template <class Text>
std::string times_line(const char* label, const Percentiles& p, const Text& text) {
    return fmt::format("  {:<11} p50 {:>10}   p95 {:>10}   p99 {:>10}   max {:>10}\n", label,
                       text(p.p50), text(p.p95), text(p.p99), text(p.max));
}

std::string group_text(const FlowGroup& g, bool only) {
    std::string out;
    if (!only) out += fmt::format("{}: {} flows\n", tag_name(g.tag), g.flows);
    if (g.finished < g.flows)
        out += fmt::format("  {} of {} flows finished; {} never started\n", g.finished, g.flows,
                           g.never_started);
    if (g.finished == 0) return out;
    out +=
        times_line("completion", g.completion_ps, [](std::int64_t v) { return to_string(ps(v)); });
    out += times_line("slowdown", g.slowdown_milli, ratio_text);
    if (g.bins.size() < 2) return out;
    out += fmt::format("  {:>12} {:>8} {:>9} {:>9} {:>9}   slowdown by size\n", "up to", "flows",
                       "p50", "p95", "p99");
    for (const SizeBin& b : g.bins)
        out += fmt::format("  {:>12} {:>8} {:>9} {:>9} {:>9}\n", to_string(b.largest), b.flows,
                           ratio_text(b.slowdown_milli.p50), ratio_text(b.slowdown_milli.p95),
                           ratio_text(b.slowdown_milli.p99));
    return out;
}

std::string counters_text(const FlowReport& r) {
    std::string out;
    for (const Counter& c : kCounters) {
        if (c.label == nullptr) continue;
        out += fmt::format("{}{} {}", out.empty() ? "  " : ", ", c.label, r.run->totals.*c.value);
    }
    for (const Counter& c : kRare)
        if (r.run->totals.*c.value != 0)
            out += fmt::format(", {} {}", c.label, r.run->totals.*c.value);
    return out + fmt::format("\n  {} connections; the fullest switch held {}\n", r.run->connections,
                             to_string(r.fullest_switch));
}

Json percentiles_json(const Percentiles& p) {
    return {{"p50", p.p50}, {"p95", p.p95}, {"p99", p.p99}, {"max", p.max}};
}

Json group_json(const FlowGroup& g) {
    Json bins = Json::array();
    for (const SizeBin& b : g.bins)
        bins.push_back({{"largest_bytes", b.largest.count()},
                        {"flows", b.flows},
                        {"slowdown_milli", percentiles_json(b.slowdown_milli)}});
    return {{"tag", g.tag},
            {"name", tag_name(g.tag)},
            {"flows", g.flows},
            {"finished", g.finished},
            {"never_started", g.never_started},
            {"finished_bytes", g.bytes.count()},
            {"completion_ps", percentiles_json(g.completion_ps)},
            {"slowdown_milli", percentiles_json(g.slowdown_milli)},
            {"by_size", bins}};
}

Json options_json(const packet::PacketOptions& o) {
    return {{"congestion_control", o.congestion},      {"spread", name_of(o.spread)},
            {"recovery", name_of(o.recovery)},         {"overflow", name_of(o.overflow)},
            {"payload_bytes", o.payload.count()},      {"header_bytes", o.header.count()},
            {"ack_every_bytes", o.ack_every.count()},  {"buffer_bytes", o.buffer.count()},
            {"queue_bytes", o.queue.count()},          {"seed", o.seed},
            {"watchdog", packet::text_of(o.watchdog)}, {"fec", text_of(o.fec)}};
}

std::string cell(SimTime t) {
    return t == SimTime::never() ? std::string() : std::to_string(t.ps());
}

}  // namespace

std::string tag_name(std::uint16_t tag) {
    if (tag == kBackgroundTag) return "background";
    if (tag == kIncastTag) return "incast";
    return tag == 0 ? "flows" : fmt::format("tag {}", tag);
}

std::vector<Completions> completions_of(const FlowSet& set, const packet::FlowRun& run) {
    std::map<std::uint16_t, packet::CompletionTimes> by_tag;
    for (std::size_t f = 0; f < set.flows.size(); ++f) {
        const FlowTimes& t = run.flows[f];
        if (t.acknowledged != SimTime::never())
            by_tag[set.flows[f].tag].add(set.flows[f].size, t.acknowledged - t.start, t.alone);
    }
    std::vector<Completions> all;
    for (const auto& [tag, times] : by_tag) all.push_back(times.summary(tag_name(tag)));
    return all;
}

std::string ratio_text(std::int64_t milli) {
    return fmt::format("{}.{:02}", milli / 1000, milli % 1000 / 10);
}

std::string flows_text(const FlowReport& r) {
    const packet::PacketOptions& o = r.options;
    std::string out = fmt::format(
        "{} flows of {} on {} ({} hosts); {}, spread by {}, {}, {} when full, seed {}\n",
        r.set->flows.size(), r.input, r.fabric->name(), r.fabric->gpus().size(), o.congestion,
        name_of(o.spread), name_of(o.recovery), name_of(o.overflow), o.seed);
    for (const FlowGroup& g : r.groups) out += group_text(g, r.groups.size() == 1);
    out += counters_text(r);
    PacketSummary rest = r.packets;
    rest.completions.clear();  // by group, above
    const std::string packets = packets_text(rest);
    const std::size_t more = packets.find('\n');
    if (more != std::string::npos) out += packets.substr(more + 1) + "\n";
    for (const Failure& f : r.failures) out += "  fails: " + to_string(*r.fabric, f) + "\n";
    for (const std::string& note : r.set->notes) out += "  assumed: " + note + "\n";
    for (const std::string& a : r.fabric->assumptions()) out += "  assumed: " + a + "\n";
    return out;
}

std::string flows_json(const FlowReport& r) {
    Json totals = Json::object();
    for (const Counter& c : kCounters) totals[c.key] = r.run->totals.*c.value;
    for (const Counter& c : kRare)
        if (r.run->totals.*c.value != 0) totals[c.key] = r.run->totals.*c.value;
    Json groups = Json::array();
    for (const FlowGroup& g : r.groups) groups.push_back(group_json(g));
    Json failures = Json::array();
    for (const Failure& f : r.failures) failures.push_back(to_string(*r.fabric, f));
    Json assumed = r.set->notes;
    for (const std::string& a : r.fabric->assumptions()) assumed.push_back(a);
    const Json j{{"schema", "weft/flows/1"},
                 {"input", r.input},
                 {"fabric",
                  {{"name", r.fabric->name()},
                   {"digest", fmt::format("{:016x}", r.fabric->digest())},
                   {"hosts", r.fabric->gpus().size()}}},
                 {"options", options_json(r.options)},
                 {"failures", failures},
                 {"flows", r.set->flows.size()},
                 {"connections", r.run->connections},
                 {"end_ps", r.run->end.ps()},
                 {"fullest_switch_bytes", r.fullest_switch.count()},
                 {"totals", totals},
                 {"groups", groups},
                 {"packets", Json::parse(to_json(r.packets))},
                 {"assumptions", assumed}};
    return j.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string flows_csv(const FlowReport& r) {
    std::string out = "src,dst,size_bytes,tag,start_ps,arrived_ps,acknowledged_ps,alone_ps\n";
    for (std::size_t f = 0; f < r.set->flows.size(); ++f) {
        const FlowSpec& s = r.set->flows[f];
        const FlowTimes& t = r.run->flows[f];
        out +=
            fmt::format("{},{},{},{},{},{},{},{}\n", s.src.value(), s.dst.value(), s.size.count(),
                        s.tag, cell(t.start), cell(t.arrived), cell(t.acknowledged), t.alone.ps());
    }
    return out;
}

}  // namespace weft::tools
