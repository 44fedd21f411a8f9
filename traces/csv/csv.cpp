#include "traces/csv/csv.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "traces/measurements/detail/lines.hpp"

namespace weft::csv {
namespace {

using logs::complete_setup;
using logs::fail;
using logs::Line;
using logs::lines_of;
using logs::merge_points;
using logs::Place;
using logs::stem_of;
using logs::trim;

enum class Column : std::uint8_t { kSize, kTime, kLow, kHigh, kBusbw, kAlgbw, kCollective, kOther };
constexpr std::array<const char*, 7> kNames{"size",  "time",  "low",       "high",
                                            "busbw", "algbw", "collective"};
// In the order of the enumeration.
constexpr std::array kCollectiveNames{"allreduce", "allgather", "reducescatter",
                                      "alltoall",  "broadcast", "sendrecv",
                                      "reduce",    "gather",    "scatter"};
constexpr std::size_t kMaxColumns = 64;
constexpr std::int64_t kMaxSize = std::int64_t{1} << 50;
constexpr std::int64_t kMaxPs = 3'600'000'000'000'000;

struct Header {
    Column column = Column::kOther;
    std::string unit;  // empty: each cell has its own
};

char separator_of(std::string_view line) {
    for (const char c : {',', ';', '\t'})
        if (line.find(c) != std::string_view::npos) return c;
    return 0;
}

std::vector<std::string_view> cells_of(std::string_view line, char separator) {
    std::vector<std::string_view> cells;
    while (cells.size() <= kMaxColumns) {
        const std::size_t end = line.find(separator);
        std::string_view cell = trim(line.substr(0, end));
        if (cell.size() >= 2 && cell.front() == '"' && cell.back() == '"')
            cell = cell.substr(1, cell.size() - 2);
        cells.push_back(cell);
        if (end == std::string_view::npos) break;
        line.remove_prefix(end + 1);
    }
    return cells;
}

/// "time_us", "busbw (GB/s)", "size[B]", "time".
Header header_of(std::string_view cell) {
    Header h;
    const std::size_t end = std::min(cell.find_first_of("_ (["), cell.size());
    const std::string_view name = cell.substr(0, end);
    const auto at = std::find(kNames.begin(), kNames.end(), name);
    if (at == kNames.end()) return h;
    h.column = static_cast<Column>(at - kNames.begin());
    for (const char c : cell.substr(end))
        if (c != '_' && c != ' ' && c != '(' && c != ')' && c != '[' && c != ']') h.unit += c;
    if (h.unit == "bytes" || h.unit == "byte") h.unit = "B";
    if (h.unit == "usec") h.unit = "us";
    return h;
}

class Reader {
  public:
    Reader(const std::string& file, const ImportHints& hints) : file_(file), hints_(hints) {
        out_.format = "csv";
    }

    Imported run(const std::string& text) {
        const std::vector<Line> lines = lines_of(text);
        std::size_t i = 0;
        while (i < lines.size() && skip(lines[i].text)) ++i;
        if (i == lines.size()) fail({&file_, 1}, "", "no line", "a line of names", example());
        read_header(lines[i]);
        for (++i; i < lines.size(); ++i)
            if (!skip(lines[i].text)) read_row(lines[i]);
        finish();
        return std::move(out_);
    }

  private:
    static bool skip(std::string_view line) {
        const std::string_view text = trim(line);
        return text.empty() || text.front() == '#';
    }

    void read_header(const Line& line) {
        at_.line = line.number;
        separator_ = separator_of(line.text);
        const auto cells = cells_of(line.text, separator_);
        if (separator_ == 0 || cells.size() > kMaxColumns)
            fail(at_, "", line.text, "names with commas between them", example());
        for (const std::string_view cell : cells) {
            headers_.push_back(header_of(cell));
            const Column c = headers_.back().column;
            if (c == Column::kOther) continue;
            if (has_[static_cast<std::size_t>(c)])
                fail(at_, std::string(cell), cell, "each column once", example());
            has_[static_cast<std::size_t>(c)] = true;
        }
        const int values =
            int{has(Column::kTime)} + int{has(Column::kBusbw)} + int{has(Column::kAlgbw)};
        if (!has(Column::kSize) || values != 1)
            fail(at_, "", line.text, "the column size, and one of time, busbw and algbw",
                 example());
        if (has(Column::kLow) != has(Column::kHigh) || (has(Column::kLow) && !has(Column::kTime)))
            fail(at_, "", line.text, "low and high together, beside time", example());
        if (!has(Column::kCollective) && !hints_.collective)
            fail(at_, "collective", "no such column", "which collective these rows are of",
                 "--collective allreduce");
    }

    void read_row(const Line& line) {
        at_.line = line.number;
        const auto cells = cells_of(line.text, separator_);
        if (cells.size() != headers_.size())
            fail(at_, "row", fmt::format("{} cells", cells.size()),
                 fmt::format("{} as the names above", headers_.size()), example());
        MeasuredCase& c = case_of(cells);
        MeasuredPoint p;
        p.line = line.number;
        p.size = value(cells, Column::kSize, parse_bytes);
        if (p.size < Bytes{1} || p.size.count() > kMaxSize)
            fail(at_, "size", cell(cells, Column::kSize), "a size from 1 B to 1 PiB", "64MiB");
        if (has(Column::kTime)) {
            p.time = p.low = p.high = value(cells, Column::kTime, parse_duration);
            if (has(Column::kLow)) {
                p.low = value(cells, Column::kLow, parse_duration);
                p.high = value(cells, Column::kHigh, parse_duration);
            }
        } else {
            const Column column = has(Column::kBusbw) ? Column::kBusbw : Column::kAlgbw;
            p.time = p.low = p.high = from_rate(c, cells, column, p.size);
        }
        if (p.low <= SimDuration{0} || p.low > p.time || p.time > p.high || p.high.ps() > kMaxPs)
            fail(at_, "time", line.text, "a time above 0, within its range and within one hour",
                 example());
        c.points.push_back(p);
    }

    SimDuration from_rate(const MeasuredCase& c, const std::vector<std::string_view>& cells,
                          Column column, Bytes size) {
        const Bandwidth rate = value(cells, column, parse_bandwidth);
        // A petabyte at a kilobyte a second fits 64 bits of nanoseconds, not of picoseconds.
        const Int128 least = Int128{size.count()} * 16 * 1'000'000'000'000 / kMaxPs;
        if (rate.bits_per_second() <= 0 || rate.bits_per_second() < least)
            fail(at_, "rate", cell(cells, column), "a rate that gives at most one hour",
                 "361.78GB/s");
        return time_of_busbw(column == Column::kBusbw ? c.collective : Collective::kSendRecv,
                             c.ranks(), size, rate);
    }

    MeasuredCase& case_of(const std::vector<std::string_view>& cells) {
        Collective collective = hints_.collective.value_or(Collective::kAllReduce);
        if (!hints_.collective) {
            const std::string_view name = cell(cells, Column::kCollective);
            const auto at = std::find(kCollectiveNames.begin(), kCollectiveNames.end(), name);
            if (at == kCollectiveNames.end())
                fail(at_, "collective", name,
                     fmt::format("one of {}", fmt::join(kCollectiveNames, ", ")), "allreduce");
            collective = static_cast<Collective>(at - kCollectiveNames.begin());
        }
        for (MeasuredCase& c : out_.cases)
            if (c.collective == collective) return c;
        MeasuredCase c;
        c.collective = collective;
        c.machine = c.host = "unknown";
        c.library = "unknown";
        c.file = c.source = file_;
        c.line = at_.line;
        c.tag = "S";
        c.use = Use::kFit;
        complete_setup(c, hints_, at_);
        c.id = fmt::format("{}-{}", stem_of(file_), name_of(collective));
        c.title =
            fmt::format("{}, {} hosts of {} GPUs", name_of(collective), c.hosts, c.gpus_per_host);
        out_.cases.push_back(std::move(c));
        return out_.cases.back();
    }

    void finish() {
        if (out_.cases.empty()) fail(at_, "", "no rows", "a row for each size", example());
        for (MeasuredCase& c : out_.cases) merge_points(c);
    }

    [[nodiscard]] bool has(Column c) const { return has_[static_cast<std::size_t>(c)]; }

    [[nodiscard]] std::string_view cell(const std::vector<std::string_view>& cells,
                                        Column column) const {
        for (std::size_t i = 0; i < headers_.size(); ++i)
            if (headers_[i].column == column) return cells[i];
        return {};
    }

    template <class T>
    T value(const std::vector<std::string_view>& cells, Column column,
            T (*parse)(const std::string&)) {
        const auto h = std::find_if(headers_.begin(), headers_.end(),
                                    [&](const Header& x) { return x.column == column; });
        const auto name = kNames[static_cast<std::size_t>(column)];
        try {
            return parse(std::string(cell(cells, column)) + h->unit);
        } catch (const ConfigError& e) {
            throw e.at(file_, at_.line, name);
        }
    }

    static std::string example() { return "size_bytes,time_us"; }

    const std::string& file_;
    const ImportHints& hints_;
    Imported out_;
    Place at_{&file_, 0};
    char separator_ = ',';
    std::vector<Header> headers_;
    std::array<bool, 8> has_{};
};

}  // namespace

bool recognises(std::string_view text) {
    for (const Line& line : lines_of(text.substr(0, 64 << 10))) {
        const std::string_view first = trim(line.text);
        if (first.empty() || first.front() == '#') continue;
        const char separator = separator_of(first);
        if (separator == 0) return false;
        for (const std::string_view cell : cells_of(first, separator))
            if (header_of(cell).column == Column::kSize) return true;
        return false;
    }
    return false;
}

Imported read(const std::string& text, const std::string& file, const ImportHints& hints) {
    return Reader(file, hints).run(text);
}

}  // namespace weft::csv
