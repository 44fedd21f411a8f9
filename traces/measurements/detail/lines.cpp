#include "traces/measurements/detail/lines.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace weft::logs {
namespace {

constexpr std::int64_t kMaxPs = 3'600'000'000'000'000;  // one hour

}  // namespace

SimDuration duration_at(const Place& at, std::string_view number, const char* unit) {
    try {
        const SimDuration time = parse_duration(std::string(number) + unit);
        if (time <= SimDuration{0} || time.ps() > kMaxPs)
            fail(at, "time", number, "a time above 0 and within one hour", "29.9");
        return time;
    } catch (const ConfigError& e) {
        throw e.at(at.file == nullptr ? std::string() : *at.file, at.line, "time");
    }
}

void complete_setup(MeasuredCase& c, const ImportHints& hints, const Place& at) {
    if (hints.hosts != 0) c.hosts = hints.hosts;
    if (hints.gpus_per_host != 0) c.gpus_per_host = hints.gpus_per_host;
    if (c.hosts > 1 && c.network == "none") c.network = "unknown";
    if (c.hosts <= 1) c.network = "none";
    const std::uint64_t ranks = std::uint64_t{c.hosts} * c.gpus_per_host;
    if (ranks < 2 || ranks > (1U << 20))
        fail(at, "ranks", std::to_string(ranks), "the number of hosts and of GPUs in each",
             "--hosts 2 --gpus-per-host 8");
}

void merge_points(MeasuredCase& c) {
    std::stable_sort(c.points.begin(), c.points.end(),
                     [](const auto& a, const auto& b) { return a.size < b.size; });
    std::vector<MeasuredPoint> merged;
    for (const MeasuredPoint& p : c.points) {
        if (merged.empty() || merged.back().size != p.size) {
            merged.push_back(p);
            continue;
        }
        MeasuredPoint& m = merged.back();
        m.low = std::min(m.low, p.low);
        m.high = std::max(m.high, p.high);
        m.time = m.low + (m.high - m.low) / 2;
    }
    c.points = std::move(merged);
}

std::string stem_of(const std::string& file) {
    std::string_view name = file;
    if (const std::size_t slash = name.find_last_of("/\\"); slash != std::string_view::npos)
        name.remove_prefix(slash + 1);
    if (const std::size_t dot = name.find_last_of('.'); dot != std::string_view::npos && dot > 0)
        name = name.substr(0, dot);
    std::string id;
    for (const char c : name.substr(0, 40)) {
        const bool upper = c >= 'A' && c <= 'Z';
        const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
        id += upper ? static_cast<char>(c - 'A' + 'a') : plain ? c : '-';
    }
    return id.empty() ? "log" : id;
}

}  // namespace weft::logs
