// Measured times as a person writes them: YAML, or rows of CSV.
#include <fmt/format.h>

#include "topology/io/document.hpp"
#include "traces/measured/forms.hpp"

namespace weft::measured {
namespace {

constexpr const char* kCsvHeader = "group,collective,size,time";

SimDuration time_of(const std::string& text, const std::string& file, int line,
                    const std::string& key, bool may_be_zero = false) {
    SimDuration time;
    try {
        time = parse_duration(text);
    } catch (const ConfigError& e) {
        throw e.at(file, line, key);
    }
    if (time < SimDuration{0} || time.ps() > kMostPs || (time.ps() == 0 && !may_be_zero))
        reject(file, line, key, text,
               may_be_zero ? "a time from 0 to 30 days" : "a time above 0, at most 30 days",
               "2.1ms");
    return time;
}

Bytes size_of(const std::string& text, const std::string& file, int line) {
    Bytes size;
    try {
        size = parse_bytes(text);
    } catch (const ConfigError& e) {
        throw e.at(file, line, "size");
    }
    if (size <= Bytes{0} || size.count() > kMostBytes)
        reject(file, line, "size", text, "a size above 0, at most 1 PiB", "64MiB");
    return size;
}

std::optional<SimDuration> time_at(MapReader& m, const std::string& key, bool may_be_zero) {
    if (!m.has(key)) return std::nullopt;
    const int line = m.find(key)->line;
    return time_of(m.text(key, "4.9s"), m.file(), line, m.path_of(key), may_be_zero);
}

std::string trimmed(const std::string& text) {
    const std::size_t first = text.find_first_not_of(" \t\r");
    if (first == std::string::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::vector<std::string> split(const std::string& line) {
    std::vector<std::string> columns;
    for (std::size_t at = 0; at != std::string::npos;) {
        const std::size_t comma = line.find(',', at);
        columns.push_back(trimmed(line.substr(at, comma - at)));
        at = comma == std::string::npos ? comma : comma + 1;
    }
    return columns;
}

void read_row(const std::vector<std::string>& c, int line, MeasuredTimes& times) {
    const std::string& file = times.file;
    if (c.size() != 4)
        reject(file, line, {}, fmt::format("{} columns", c.size()), kCsvHeader,
               "TP,allreduce,64MiB,2.1ms");
    if (c[0] == "step" && c[1].empty() && c[2].empty()) {
        if (times.step.step) reject(file, line, "step", "the step again", "one row for it", {});
        times.step.step = time_of(c[3], file, line, "step");
        return;
    }
    times.rows.push_back({.family = c[0],
                          .kind = kind_of(c[1], file, line),
                          .size = size_of(c[2], file, line),
                          .time = time_of(c[3], file, line, "time"),
                          .line = line});
}

}  // namespace

MeasuredTimes read_yaml(const TraceText& file) {
    const ConfigNode root = parse_document(file.text, file.file);
    MapReader m(root, file.file, "");
    MeasuredTimes times;
    times.file = file.file;
    (void)m.text("measured", "gpt_13B on 16 hosts, 3 May");
    times.step.step = time_at(m, "step", false);
    times.step.compute = time_at(m, "compute", true);
    times.step.bubble = time_at(m, "bubble", true);
    for (MapReader& f : m.maps("families")) {
        MeasuredFamily family;
        family.family = f.text("group", "TP");
        family.total = time_at(f, "total", true);
        family.exposed = time_at(f, "exposed", true);
        f.finish();
        times.step.families.push_back(std::move(family));
    }
    for (MapReader& r : m.maps("collectives")) {
        MeasuredRow row;
        row.line = r.line();
        row.family = r.text("group", "TP");
        row.kind = kind_of(r.text("collective", "allreduce"), file.file, row.line);
        row.size = size_of(r.text("size", "64MiB"), file.file, row.line);
        row.time = time_of(r.text("time", "2.1ms"), file.file, row.line, "time");
        r.finish();
        times.rows.push_back(std::move(row));
    }
    m.finish();
    return times;
}

MeasuredTimes read_csv(const TraceText& file) {
    MeasuredTimes times;
    times.file = file.file;
    int number = 0;
    bool header = false;
    for (std::size_t at = 0; at < file.text.size();) {
        const std::size_t end = std::min(file.text.find('\n', at), file.text.size());
        const std::string line = trimmed(file.text.substr(at, end - at));
        at = end + 1;
        ++number;
        if (line.empty() || line[0] == '#') continue;
        if (!header) {
            if (line != kCsvHeader) reject(file.file, number, {}, line, kCsvHeader, kCsvHeader);
            header = true;
            continue;
        }
        read_row(split(line), number, times);
    }
    return times;
}

}  // namespace weft::measured
