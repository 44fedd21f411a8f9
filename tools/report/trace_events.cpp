// Trace Event Format (Google, "Trace Event Format", 2016): complete events, times in microseconds.
#include <algorithm>
#include <fmt/format.h>
#include <map>

#include "base/check.hpp"
#include "tools/report/report.hpp"

namespace weft::tools {
namespace {

std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\')
            out += fmt::format("\\{}", c);
        else if (byte < 0x20 || byte >= 0x7f)
            out += fmt::format("\\u{:04x}", byte);
        else
            out += c;
    }
    return out + "\"";
}

/// Picoseconds as microseconds, exactly.
std::string micros(std::int64_t ps) {
    return fmt::format("{}.{:06}", ps / 1'000'000, ps % 1'000'000);
}

}  // namespace

std::string trace_events(const Result& r) {
    std::map<std::pair<std::uint32_t, std::string>, int> threads;
    std::string out = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n";
    for (const Span& s : r.timeline) threads.try_emplace({s.rank.value(), s.track}, 0);
    int next = 0;
    std::uint32_t last_rank = ~0U;
    for (auto& [key, id] : threads) {
        id = ++next;
        if (key.first != last_rank)
            out += fmt::format(
                "{{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":{0},\"args\":"
                "{{\"name\":\"rank {0}\"}}}},\n",
                key.first);
        last_rank = key.first;
        out += fmt::format(
            "{{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":{},\"tid\":{},\"args\":"
            "{{\"name\":{}}}}},\n",
            key.first, id, quoted(key.second));
    }
    for (const Span& s : r.timeline) {
        const int tid = threads.at({s.rank.value(), s.track});
        out += fmt::format(
            "{{\"ph\":\"X\",\"name\":{},\"cat\":{},\"pid\":{},\"tid\":{},\"ts\":{},"
            "\"dur\":{},\"args\":{{\"waited_us\":{}}}}},\n",
            quoted(s.label), quoted(s.track), s.rank.value(), tid, micros(s.start.ps()),
            micros((s.end - s.start).ps()),
            micros(std::max<std::int64_t>(0, (s.start - s.ready).ps())));
    }
    out += "{\"ph\":\"M\",\"name\":\"step\",\"pid\":0,\"args\":{\"step_time_us\":" +
           micros(r.step_time.ps()) + "}}\n]}\n";
    return out;
}

}  // namespace weft::tools
