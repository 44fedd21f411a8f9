// What a Result says of packets: as JSON, and as a few lines.
#include <fmt/format.h>

#include "traces/detail/packet_json.hpp"

namespace weft {
namespace {

using Json = nlohmann::json;

template <class T>
Json list(const std::vector<T>& items, Json (*json)(const T&)) {
    Json all = Json::array();
    for (const T& item : items) all.push_back(json(item));
    return all;
}

/// One list a quantity; none where all are zero.
template <class T, class Get>
void add_column(Json& j, const char* key, const std::vector<T>& rows, Get get) {
    Json column = Json::array();
    bool any = false;
    for (const T& row : rows) {
        column.push_back(get(row));
        any = any || get(row) != 0;
    }
    if (any) j[key] = std::move(column);
}

Json series_json(const QueueSeries& q) {
    using Sample = QueueSample;
    Json j{{"kind", q.kind},          {"tier", q.tier},
           {"plane", q.plane},        {"direction", q.up ? "up" : "down"},
           {"ports", q.ports},        {"rate_bps", q.rate.bits_per_second()},
           {"deepest_port", q.worst}, {"deepest_queue_bytes", q.most_queued.count()},
           {"since_ps", q.since.ps()}};
    const auto add = [&](const char* key, auto get) { add_column(j, key, q.samples, get); };
    add("most_queued_bytes", [](const Sample& s) { return s.most_queued.count(); });
    add("mean_queued_bytes", [](const Sample& s) { return s.mean_queued.count(); });
    add("sent_bytes", [](const Sample& s) { return s.sent.count(); });
    add("marked", [](const Sample& s) { return s.marked; });
    add("lost", [](const Sample& s) { return s.lost; });
    add("pauses", [](const Sample& s) { return s.pauses; });
    add("paused_ps", [](const Sample& s) { return s.paused.ps(); });
    return j;
}

Json port_json(const PausedPort& p) {
    Json j{{"name", p.name},     {"pauses", p.pauses}, {"paused_ps", p.paused.ps()},
           {"storms", p.storms}, {"root", p.root},     {"spans", Json::object()}};
    using Span = PausedPort::Span;
    Json& spans = j["spans"];
    add_column(spans, "from_ps", p.spans, [](const Span& s) { return s.from.ps(); });
    add_column(spans, "to_ps", p.spans, [](const Span& s) { return s.to.ps(); });
    add_column(spans, "pauses", p.spans, [](const Span& s) { return s.pauses; });
    add_column(spans, "paused_ps", p.spans, [](const Span& s) { return s.paused.ps(); });
    add_column(spans, "root", p.spans, [](const Span& s) { return s.root; });
    return j;
}

Json victim_json(const PauseVictim& v) {
    return {{"from", v.from},
            {"to", v.to},
            {"waited_ps", v.waited.ps()},
            {"held_at", v.held_at},
            {"root", v.root}};
}

Json percentiles_json(const Percentiles& p) {
    return {{"p50", p.p50}, {"p95", p.p95}, {"p99", p.p99}, {"max", p.max}};
}

Json size_json(const Completions::Size& s) {
    return {{"largest_bytes", s.largest.count()},
            {"count", s.count},
            {"completion_ps", percentiles_json(s.time_ps)},
            {"slowdown_milli", percentiles_json(s.slowdown_milli)}};
}

Json completions_json(const Completions& c) {
    Json j{{"what", c.what},
           {"count", c.count},
           {"completion_ps", percentiles_json(c.time_ps)},
           {"slowdown_milli", percentiles_json(c.slowdown_milli)},
           {"by_size", list(c.sizes, size_json)},
           {"slowdowns", Json::object()}};
    Json& steps = j["slowdowns"];
    add_column(steps, "at_most_milli", c.slowdowns, [](const auto& s) { return s.first; });
    add_column(steps, "count", c.slowdowns, [](const auto& s) { return s.second; });
    return j;
}

}  // namespace

Json packets_json(const PacketSummary& p) {
    Json j{{"sent", p.sent},
           {"repeated", p.repeated},
           {"marked", p.marked},
           {"dropped", p.dropped},
           {"lost", p.lost},
           {"spoiled", p.spoiled},
           {"storms", p.storms},
           {"trimmed", p.trimmed},
           {"timeouts", p.timeouts},
           {"pauses", p.pauses},
           {"longest_paused_ps", p.paused.ps()},
           {"longest_paused_link", p.paused_link},
           {"deepest_queue_bytes", p.deepest.count()},
           {"deepest_queue_link", p.deepest_link},
           {"data_hops", p.data_hops},
           {"all_hops", p.all_hops},
           {"completions", list(p.completions, completions_json)}};
    if (p.sample == SimDuration{}) return j;
    j["over_time"] = {{"sample_ps", p.sample.ps()},
                      {"begin_ps", p.begin.ps()},
                      {"end_ps", p.end.ps()},
                      {"groups", list(p.groups, series_json)},
                      {"deepest_ports", list(p.deepest_ports, series_json)}};
    j["paused_ports"] = {{"count", p.ports_paused},
                         {"closed_gaps_ps", p.pause_gap.ps()},
                         {"roots", p.pause_roots},
                         {"longest", list(p.paused_ports, port_json)}};
    j["victims"] = {{"count", p.flows_held},
                    {"of", p.connections},
                    {"waited_ps", p.held.ps()},
                    {"longest", list(p.victims, victim_json)}};
    return j;
}

namespace {

std::string counters_text(const PacketSummary& p) {
    std::string text = fmt::format("packets: {} sent", p.sent);
    const auto add = [&](std::uint64_t n, const char* what) {
        if (n > 0) text += fmt::format(", {} {}", n, what);
    };
    add(p.repeated, "again");
    add(p.marked, "marked");
    add(p.dropped, "dropped");
    add(p.lost, "of them lost by links");
    add(p.spoiled, "of them spoiled on the way");
    add(p.storms, p.storms == 1 ? "pause storm found" : "pause storms found");
    add(p.trimmed, "trimmed");
    add(p.timeouts, "timeouts");
    add(p.pauses, "pauses");
    if (!p.paused_link.empty())
        text += fmt::format(" (longest {} of {})", to_string(p.paused), p.paused_link);
    if (!p.deepest_link.empty())
        text += fmt::format("; deepest queue {} at {}", to_string(p.deepest), p.deepest_link);
    return text;
}

std::string victims_text(const PacketSummary& p) {
    if (p.victims.empty()) return {};
    const PauseVictim& v = p.victims.front();
    return fmt::format(
        "\n  victims of pauses: {} of {} connections, {} together; longest {} > {}: {}, held at {} "
        "because of {}",
        p.flows_held, p.connections, to_string(p.held), v.from, v.to, to_string(v.waited),
        v.held_at, v.root);
}

std::string completions_text(const Completions& c) {
    const auto ratio = [](std::int64_t milli) { return static_cast<double>(milli) / 1000; };
    return fmt::format(
        "\n  {} {}: completion p50 {}, p99 {}, max {}; slowdown p50 {:.2f}, p99 "
        "{:.2f}, max {:.2f}",
        c.count, c.what, to_string(ps(c.time_ps.p50)), to_string(ps(c.time_ps.p99)),
        to_string(ps(c.time_ps.max)), ratio(c.slowdown_milli.p50), ratio(c.slowdown_milli.p99),
        ratio(c.slowdown_milli.max));
}

std::string memory_text(const PacketSummary::Memory& m) {
    if (m.all == 0) return {};
    const auto text = [](std::uint64_t n) {
        constexpr std::uint64_t kMega = 1'000'000;
        if (n >= 10 * kMega) return fmt::format("{} MB", n / kMega);
        return n >= 10'000 ? fmt::format("{} kB", n / 1000) : fmt::format("{} B", n);
    };
    return fmt::format(
        "\n  memory of the network: {}: {} a switch, {} a connection, {} of packets, {} of records",
        text(m.all), text(m.a_switch), text(m.a_flow), text(m.packets), text(m.records));
}

}  // namespace

std::string packets_text(const PacketSummary& p) {
    if (!p.used) return {};
    std::string text = counters_text(p) + victims_text(p);
    for (const Completions& c : p.completions) text += completions_text(c);
    return text + memory_text(p.memory);
}

std::string to_json(const PacketSummary& p) {
    return packets_json(p).dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace weft
