#include "traces/load.hpp"

#include <filesystem>
#include <fmt/format.h>
#include <fstream>

#include "base/rng.hpp"

namespace weft {
namespace {

[[noreturn]] void reject_file(const std::string& path, const std::string& found,
                              const std::string& expected) {
    throw ConfigError(
        {.file = path, .line = 0, .key = {}, .found = found, .expected = expected, .example = {}});
}

std::string known_formats() {
    std::string all;
    for (const auto& row : trace_formats().rows())
        all += (all.empty() ? "" : "; ") + row.info.name + ": " + row.info.description;
    return all;
}

}  // namespace

std::string read_trace_file(const std::string& path) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored)) reject_file(path, "a folder", "a trace file");
    std::ifstream in(path, std::ios::binary);
    if (!in) reject_file(path, "no readable file", "a trace file");
    std::string text;
    std::string block(std::size_t{1} << 20, '\0');
    while (in.read(block.data(), static_cast<std::streamsize>(block.size())) || in.gcount() > 0) {
        text.append(block, 0, static_cast<std::size_t>(in.gcount()));
        if (text.size() > kMaxTraceBytes)
            reject_file(path, "a larger file", fmt::format("at most {} MiB", kMaxTraceBytes >> 20));
    }
    if (in.bad()) reject_file(path, "an error while reading", "a readable file");
    if (text.rfind("\x1f\x8b", 0) == 0)
        reject_file(path, "a packed file", "an unpacked one: gunzip it");
    if (text.size() > 2 && text[0] == '\x80' && text[1] >= 2 && text[1] <= 5)
        reject_file(path, "a pickled file", "JSON: traces/measured/README.md says how to make it");
    return text;
}

Workload read_workload(const TraceText& trace, const LoadOptions& options) {
    if (trace.text.find_first_not_of(" \t\r\n") == std::string::npos)
        reject_file(trace.file, "an empty file", "a trace");
    for (const auto& row : trace_formats().rows()) {
        if (!row.make.recognises(trace.text)) continue;
        Workload w = row.make.read(trace, options);
        const std::string name = std::filesystem::path(trace.file).filename().string();
        w.source =
            fmt::format("{} ({}, content {:016x})", name, row.info.name, hash_text(trace.text));
        try {
            validate(w);
        } catch (const ConfigError& e) {
            throw e.at(trace.file, 0, "");
        }
        return w;
    }
    const std::string start = trace.text.substr(0, trace.text.find('\n'));
    throw ConfigError(
        {.file = trace.file,
         .line = 1,
         .key = {},
         .found = printable(start),
         .expected = "the start of a known trace format (" + known_formats() + ")",
         .example = "HYBRID_TRANSFORMER_FWD_IN_BCKWD model_parallel_NPU_group: 8 ..."});
}

Workload load_workload(const std::string& path, const LoadOptions& options) {
    return read_workload({path, read_trace_file(path)}, options);
}

}  // namespace weft
