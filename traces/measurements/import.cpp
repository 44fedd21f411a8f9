#include "traces/measurements/import.hpp"

#include <array>
#include <fstream>

#include "traces/csv/csv.hpp"
#include "traces/measurements/detail/lines.hpp"
#include "traces/nccl_tests/nccl_tests.hpp"
#include "traces/osu/osu.hpp"

namespace weft {
namespace {

bool is_measurements(std::string_view text) {
    for (const logs::Line& line : logs::lines_of(text.substr(0, 64 << 10))) {
        const std::string_view first = logs::trim(line.text);
        if (first.empty() || first.front() == '#') continue;
        return first.starts_with("measurements:");
    }
    return false;
}

Imported read_yaml(const std::string& text, const std::string& file, const ImportHints& /*h*/) {
    Imported out;
    out.format = "measurements";
    out.cases = read_measurements(text, file).cases;
    return out;
}

// Logs of NCCL_DEBUG=INFO on many ranks are long.
constexpr std::size_t kMaxLog = std::size_t{256} << 20;

std::string read_log(const std::string& path) {
    const logs::Place at{&path, 0};
    std::ifstream in(path, std::ios::binary);
    if (!in) logs::fail(at, "", "no readable file", "measured output", "nccl-tests.log");
    std::string text;
    std::string block(std::size_t{1} << 20, '\0');
    while (in.read(block.data(), static_cast<std::streamsize>(block.size())) || in.gcount() > 0) {
        text.append(block, 0, static_cast<std::size_t>(in.gcount()));
        if (text.size() > kMaxLog) logs::fail(at, "", "a larger file", "at most 256 MiB", "");
    }
    return text;
}

struct Format {
    bool (*recognises)(std::string_view text);
    Imported (*read)(const std::string& text, const std::string& file, const ImportHints& hints);
};
/// In the order in which they are tried.
constexpr std::array<Format, 4> kFormats{{{is_measurements, read_yaml},
                                          {osu::recognises, osu::read},
                                          {nccl_tests::recognises, nccl_tests::read},
                                          {csv::recognises, csv::read}}};

}  // namespace

Imported import_measurements(const std::string& text, const std::string& file,
                             const ImportHints& hints) {
    for (const Format& format : kFormats)
        if (format.recognises(text)) return format.read(text, file, hints);
    const std::string start = text.substr(0, text.find('\n'));
    logs::fail({&file, 1}, "", start,
               "output of nccl-tests or OSU, a CSV with a column size, or Weft's measurements",
               "size_bytes,time_us");
}

Imported load_import(const std::string& path, const ImportHints& hints) {
    return import_measurements(read_log(path), path, hints);
}

}  // namespace weft
