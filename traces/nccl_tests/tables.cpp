// The tables of nccl-tests.
#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>
#include <set>

#include "traces/measurements/detail/lines.hpp"
#include "traces/nccl_tests/nccl_tests.hpp"

namespace weft::nccl_tests {
namespace {

using logs::complete_setup;
using logs::duration_at;
using logs::fail;
using logs::Line;
using logs::lines_of;
using logs::merge_points;
using logs::Place;
using logs::stem_of;
using logs::trim;
using logs::whole_number;
using logs::words_of;
using Words = std::vector<std::string_view>;

struct Program {
    const char* name;
    std::optional<Collective> collective;  // none: Weft does not model it
};
constexpr std::array<Program, 10> kPrograms{{{"all_reduce_perf", Collective::kAllReduce},
                                             {"all_gather_perf", Collective::kAllGather},
                                             {"reduce_scatter_perf", Collective::kReduceScatter},
                                             {"alltoall_perf", Collective::kAllToAll},
                                             {"broadcast_perf", Collective::kBroadcast},
                                             {"sendrecv_perf", Collective::kSendRecv},
                                             {"reduce_perf", Collective::kReduce},
                                             {"gather_perf", Collective::kGather},
                                             {"scatter_perf", Collective::kScatter},
                                             {"hypercube_perf", {}}}};
constexpr std::array kTypes{"int8",     "uint8",    "int32",  "uint32", "int64",
                            "uint64",   "half",     "float",  "double", "bfloat16",
                            "fp8_e4m3", "fp8_e5m2", "f8e4m3", "f8e5m2", "char"};
constexpr std::size_t kMaxRanks = 1U << 20;

bool number(std::string_view word) {
    double value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    return error == std::errc{} && end == word.data() + word.size();
}

bool numeric(std::string_view word) {
    return number(word) || word == "N/A" || whole_number(word) >= 0;
}

bool word_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// The last program of nccl-tests that the line names.
const Program* program_in(std::string_view line) {
    const Program* found = nullptr;
    std::size_t best = 0;
    if (line.find("_perf") == std::string_view::npos) return nullptr;
    for (const Program& p : kPrograms) {
        const std::string_view name = p.name;
        for (std::size_t at = line.find(name); at != std::string_view::npos;
             at = line.find(name, at + 1)) {
            if (at > 0 && word_char(line[at - 1])) continue;
            std::string_view rest = line.substr(at + name.size());
            if (rest.starts_with("_mpi")) rest.remove_prefix(4);
            if (!rest.empty() && word_char(rest.front())) continue;
            if (found == nullptr || at >= best) found = &p, best = at;
        }
    }
    return found;
}

/// Without "[1,0]<stdout>:", "[0]" and "0:" in front.
std::string_view without_prefix(std::string_view line) {
    line = trim(line);
    for (int i = 0; i < 3 && !line.empty(); ++i) {
        if (line.front() == '[') {
            const std::size_t close = line.find(']');
            if (close == std::string_view::npos || close > 16) return line;
            std::string_view rest = line.substr(close + 1);
            if (rest.starts_with("<stdout>:") || rest.starts_with("<stderr>:"))
                rest.remove_prefix(9);
            line = trim(rest);
            continue;
        }
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos || colon > 6 || colon + 1 >= line.size()) return line;
        if (whole_number(line.substr(0, colon)) < 0 || line[colon + 1] != ' ') return line;
        line = trim(line.substr(colon + 1));
    }
    return line;
}

/// A row with the "[0]" of other ranks' prefixes taken out: their output may be glued to it.
std::string without_ranks(std::string_view row) {
    std::string out;
    for (std::size_t i = 0; i < row.size(); ++i) {
        const std::size_t close = row[i] == '[' ? row.find(']', i) : std::string_view::npos;
        const bool rank =
            close != std::string_view::npos && whole_number(row.substr(i + 1, close - i - 1)) >= 0;
        out += rank ? ' ' : row[i];
        if (rank) i = close;
    }
    return out;
}

/// What stands before NCCL's own words "host:1:2 [0] NCCL INFO ..." on the same line.
std::string_view before_log(std::string_view line) {
    const std::size_t info = line.find("NCCL INFO");
    const std::size_t at = info != std::string_view::npos ? info : line.find("NCCL WARN");
    if (at == std::string_view::npos) return line;
    std::string_view front = trim(line.substr(0, at));
    if (front.ends_with("]")) front = trim(front.substr(0, front.find_last_of('[')));
    const std::size_t host = front.find_last_of(" \t]");
    front = host == std::string_view::npos ? std::string_view() : front.substr(0, host + 1);
    if (front.ends_with("]")) front = front.substr(0, front.find_last_of('['));
    return trim(front);
}

/// The columns of a table.
struct Layout {
    std::size_t lead = 0;   // columns before the first time
    std::size_t group = 0;  // columns of one placement: time, algbw, busbw, wrong
    std::size_t groups = 0;
    bool redop = false;
};

std::optional<Layout> layout_of(std::string_view line) {
    Words words = words_of(line);
    if (!words.empty() && words.front() == "#") words.erase(words.begin());
    if (words.size() < 3 || words.front() != "size") return {};
    if (std::find(words.begin(), words.end(), "busbw") == words.end()) return {};
    const auto time = std::find(words.begin(), words.end(), "time");
    if (time == words.end()) return {};
    Layout l;
    l.lead = static_cast<std::size_t>(time - words.begin());
    l.groups = static_cast<std::size_t>(std::count(words.begin(), words.end(), "time"));
    const std::size_t tail = words.size() - l.lead;
    if (l.groups > 2 || tail % l.groups != 0) return {};
    l.group = tail / l.groups;
    l.redop = std::find(words.begin(), words.end(), "redop") != words.end();
    return l;
}

struct Device {
    std::set<std::string, std::less<>> hosts;
    std::size_t ranks = 0;
    std::string name;
};

/// "#  Rank  0 Group  0 Pid   43 on worker-0 device  0 [0x0f] NVIDIA A100-SXM4-40GB".
bool read_rank(std::string_view line, Device& d) {
    const Words w = words_of(line);
    if (w.size() < 8 || w[0] != "#" || w[1] != "Rank" || d.ranks >= kMaxRanks) return false;
    const auto on = std::find(w.begin(), w.end(), "on");
    if (w.end() - on < 4 || whole_number(w[2]) < 0) return false;
    ++d.ranks;
    d.hosts.emplace(on[1]);
    const std::size_t close = line.find_last_of(']');
    if (close != std::string_view::npos) d.name = printable(trim(line.substr(close + 1)), 40);
    return true;
}

/// Machine profiles by a word in the name of the GPU.
std::string machine_of(const std::string& device) {
    static constexpr std::array kNames{"GB300", "GB200",  "B300",   "B200",  "H200",
                                       "H100",  "H800",   "H20",    "A100",  "A800",
                                       "V100",  "MI355X", "MI325X", "MI300X"};
    for (const char* const name : kNames)
        if (device.find(name) != std::string::npos) {
            std::string machine = name;
            for (char& c : machine)
                if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
            return machine;
        }
    return "unknown";
}

int bytes_of_type(std::string_view type) {
    if (type.find("64") != std::string_view::npos || type == "double") return 8;
    if (type.find("32") != std::string_view::npos || type == "float") return 4;
    if (type == "half" || type == "bfloat16") return 2;
    return 1;
}

class Reader {
  public:
    Reader(const std::string& file, const ImportHints& hints) : file_(file), hints_(hints) {
        out_.format = "nccl-tests";
    }

    Imported run(const std::string& text) {
        for (const Line& line : lines_of(text)) take(line);
        if (!row_.empty()) drop_row("the last row is cut short");
        end_table();
        if (out_.cases.empty())
            fail({&file_, line_}, "", skipped_.empty() ? "no table" : skipped_,
                 "a table of a collective (columns size, time, busbw)",
                 "all_reduce_perf -b 8 -e 8G");
        return std::move(out_);
    }

  private:
    void take(const Line& line) {
        line_ = line.number;
        if (read_log_line(line.text, line.number, out_.nccl)) {
            std::string_view rest = before_log(line.text);
            if (rest.size() < line.text.size()) return take_row(without_prefix(rest), line);
        }
        const std::string_view text = without_prefix(line.text);
        if (text.empty()) return;
        if (const std::optional<Layout> layout = layout_of(text)) return begin_table(*layout);
        if (text.front() == '#' || !in_table_) return take_header(text);
        if (const std::size_t mark = text.find('#'); mark != std::string_view::npos)
            return take_row(trim(text.substr(0, mark)), line);
        take_row(text, line);
    }

    void take_header(std::string_view text) {
        if (text.front() == '#' && in_table_ && row_.empty()) {
            const bool over = text.find("Out of bounds") != std::string_view::npos ||
                              text.find("Avg bus") != std::string_view::npos;
            if (over) end_table();
        }
        if (read_rank(text, device_)) return;
        if (const Program* p = program_in(text)) {
            if (text.find("concluded") != std::string_view::npos) return;
            end_table();
            program_ = p;
            device_ = {};
            ring_ = text.find("NCCL_ALGO=Ring") != std::string_view::npos ||
                    text.find("NCCL_ALGO=RING") != std::string_view::npos ||
                    text.find("NCCL_ALGO=ring") != std::string_view::npos;
        }
        if (!text.starts_with("# nThread")) return;
        if (in_table_) end_table();
        device_ = {};
        const Words w = words_of(text);
        const auto value = [&](std::string_view key) {
            for (std::size_t i = 0; i + 1 < w.size(); ++i)
                if (w[i] == key) return std::clamp<std::int64_t>(whole_number(w[i + 1]), 0, 4096);
            return std::int64_t{0};
        };
        here_ = static_cast<std::uint32_t>(
            std::clamp<std::int64_t>(value("nThread") * value("nGpus"), 0, 4096));
        graph_ = value("graph:") > 0;
    }

    void begin_table(const Layout& layout) {
        end_table();
        layout_ = layout;
        in_table_ = true;
        table_line_ = line_;
    }

    /// A row, or a part of one: NCCL's own output may stand between a row's size and its times.
    void take_row(std::string_view text, const Line& line) {
        const std::string clean = without_ranks(text);
        const Words words = words_of(clean);
        if (!in_table_ || words.empty()) return;
        const bool continues = !row_.empty() && std::all_of(words.begin(), words.end(), numeric);
        if (!continues) {
            if (whole_number(words.front()) < 0) return;  // other output
            if (!row_.empty()) fail({&file_, row_line_}, "row", join(), columns(), example());
            row_line_ = line.number;
        }
        for (const std::string_view w : words) row_.emplace_back(w);
        const std::size_t full = layout_.lead + layout_.groups * layout_.group;
        if (row_.size() > full) fail({&file_, row_line_}, "row", join(), columns(), example());
        if (row_.size() + (layout_.lead > 3 ? 1 : 0) < full) {
            if (line.last) drop_row("the last row is cut short");
            return;
        }
        finish_row();
    }

    void finish_row() {
        const Place at{&file_, row_line_};
        const std::size_t tail = layout_.groups * layout_.group;
        const std::size_t lead = row_.size() - tail;
        const std::int64_t size = whole_number(row_[0]);
        if (size > (std::int64_t{1} << 50)) fail(at, "size", row_[0], "at most 1 PiB", "1048576");
        MeasuredPoint p;
        p.size = Bytes{size};
        p.line = row_line_;
        bool timed = false;
        for (std::size_t g = 0; g < layout_.groups; ++g) {
            const std::string& word = row_[lead + g * layout_.group];
            if (word == "N/A" || size == 0) continue;
            const SimDuration time = duration_at(at, word, "us");
            p.low = timed ? std::min(p.low, time) : time;
            p.high = timed ? std::max(p.high, time) : time;
            timed = true;
        }
        p.time = p.low + (p.high - p.low) / 2;
        if (timed) {
            note_columns(lead, size);
            if (layout_.group > 3) note_wrong(lead);
            points_.push_back(p);
        }
        row_.clear();
    }

    /// What the columns tell of the collective, from the first row that has them.
    void note_columns(std::size_t lead, std::int64_t size) {
        if (lead < 3 || type_.empty() == false) return;
        if (std::find(kTypes.begin(), kTypes.end(), row_[2]) == kTypes.end()) return;
        type_ = row_[2];
        const std::int64_t count = whole_number(row_[1]);
        if (count <= 0 || count > size) return;
        share_ = size / std::max<std::int64_t>(1, count * bytes_of_type(type_));
        for (std::size_t i = 3; i < lead; ++i) {
            if (row_[i] == "sum" || row_[i] == "prod" || row_[i] == "max" || row_[i] == "min" ||
                row_[i] == "avg")
                reduces_ = true;
            root_ = root_ || (i + 1 == lead && whole_number(row_[i]) >= 0);
        }
        if (layout_.group < 3) return;
        double alg = 0, bus = 0;
        const std::string& a = row_[lead + 1];
        const std::string& b = row_[lead + 2];
        std::from_chars(a.data(), a.data() + a.size(), alg);
        std::from_chars(b.data(), b.data() + b.size(), bus);
        if (alg > 1) factor_ = bus / alg;
    }

    void note_wrong(std::size_t lead) {
        for (std::size_t g = 0; g < layout_.groups; ++g) {
            const std::int64_t wrong = whole_number(row_[lead + g * layout_.group + 3]);
            if (wrong > 0)
                notes_.push_back(fmt::format("line {}: {} wrong results at {} bytes", row_line_,
                                             wrong, row_[0]));
        }
    }

    void drop_row(const char* why) {
        out_.notes.push_back(fmt::format("{}:{}: {}; it is left out", file_, row_line_, why));
        row_.clear();
    }

    void end_table() {
        if (!row_.empty()) drop_row("a row is cut short");
        if (in_table_ && !points_.empty()) finish_table();
        in_table_ = false;
        points_.clear();
        notes_.clear();
        type_.clear();
        share_ = 0;
        reduces_ = root_ = false;
        factor_ = 0;
    }

    void finish_table() {
        if (program_ != nullptr && !program_->collective && !hints_.collective) {
            skipped_ = program_->name;
            out_.notes.push_back(fmt::format("{}:{}: {} is not modelled; its table is left out",
                                             file_, table_line_, program_->name));
            return;
        }
        MeasuredCase c;
        c.collective = collective();
        fill_setup(c);
        complete_setup(c, hints_, {&file_, table_line_});
        c.id =
            fmt::format("{}-{}-{}", stem_of(file_), name_of(c.collective), out_.cases.size() + 1);
        c.title =
            fmt::format("{}, {} hosts of {} GPUs", name_of(c.collective), c.hosts, c.gpus_per_host);
        c.source = file_;
        c.tag = "S";
        c.use = Use::kFit;
        c.file = file_;
        c.line = table_line_;
        c.notes = notes_;
        c.points = points_;
        merge_points(c);
        out_.cases.push_back(std::move(c));
    }

    void fill_setup(MeasuredCase& c) const {
        c.machine = machine_of(device_.name);
        c.host = "unknown";
        std::size_t ranks = device_.ranks;
        std::size_t hosts = device_.hosts.size();
        if (ranks == 0) ranks = out_.nccl.ranks, hosts = std::max(1U, out_.nccl.hosts);
        if (ranks == 0) ranks = here_, hosts = 1;
        c.hosts = static_cast<std::uint32_t>(std::max<std::size_t>(1, hosts));
        c.gpus_per_host = static_cast<std::uint32_t>(ranks / c.hosts);
        std::string version = out_.nccl.version;
        if (const std::size_t patch = version.find('.', version.find('.') + 1);
            version.find('.') != std::string::npos && patch != std::string::npos)
            version.resize(patch);
        c.library = version.empty() ? "nccl" : "nccl-" + version;
        if (ring_) c.algorithm = "ring";
        c.nvls = !ring_ && (out_.nccl.nvls || out_.nccl.nvls_channels > 0);
        c.graph = graph_;
    }

    [[nodiscard]] Collective collective() const {
        if (hints_.collective) return *hints_.collective;
        if (program_ != nullptr && program_->collective) return *program_->collective;
        if (share_ == 1 && root_) return reduces_ ? Collective::kReduce : Collective::kBroadcast;
        if (share_ == 1 && reduces_ && factor_ > 1.2) return Collective::kAllReduce;
        if (share_ > 1 && reduces_) return Collective::kReduceScatter;
        fail({&file_, table_line_}, "collective", "neither the program nor columns that tell it",
             "which collective this table is of", "--collective alltoall");
    }

    [[nodiscard]] std::string join() const { return fmt::format("{}", fmt::join(row_, " ")); }
    [[nodiscard]] std::string columns() const {
        return fmt::format("a row of {} columns as the header on line {} says",
                           layout_.lead + layout_.groups * layout_.group, table_line_);
    }
    [[nodiscard]] static std::string example() {
        return "1048576 262144 float sum -1 123.2 8.51 15.95 0 121.3 8.64 16.21 0";
    }

    const std::string& file_;
    const ImportHints& hints_;
    Imported out_;
    int line_ = 0;
    // Of the run that the header lines describe.
    const Program* program_ = nullptr;
    Device device_;
    std::uint32_t here_ = 0;  // threads x GPUs of one process
    bool graph_ = false;
    bool ring_ = false;
    // Of the table being read.
    bool in_table_ = false;
    Layout layout_;
    int table_line_ = 0;
    std::vector<MeasuredPoint> points_;
    std::vector<std::string> notes_;
    std::string type_;
    std::int64_t share_ = 0;  // size over the bytes of `count` elements
    bool reduces_ = false;
    bool root_ = false;
    double factor_ = 0;
    // Of the row being read.
    std::vector<std::string> row_;
    int row_line_ = 0;
    std::string skipped_;
};

}  // namespace

bool recognises(std::string_view text) {
    bool table = false;
    for (const Line& line : lines_of(text.substr(0, std::size_t{4} << 20))) {
        table = table || layout_of(without_prefix(line.text)).has_value();
        if (table) return true;
    }
    return text.find("# nThread ") != std::string_view::npos ||
           text.find("NCCL INFO") != std::string_view::npos;
}

Imported read(const std::string& text, const std::string& file, const ImportHints& hints) {
    return Reader(file, hints).run(text);
}

}  // namespace weft::nccl_tests
