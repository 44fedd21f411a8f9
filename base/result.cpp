#include "base/result.hpp"

#include <fmt/format.h>

namespace weft {

std::string printable(std::string_view text, std::size_t max) {
    std::string out;
    for (const char c : text) {
        if (out.size() >= max) return out + "...";
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte >= 0x7f)
            out += fmt::format("\\x{:02x}", byte);
        else
            out += c;
    }
    return out;
}

namespace {

/// Control bytes escaped, so that whatever came from outside stays on one line.
std::string one_line(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f)
            out += fmt::format("\\x{:02x}", byte);
        else
            out += c;
    }
    return out;
}

}  // namespace

std::string to_string(const Complaint& c) {
    std::string out;
    if (!c.file.empty()) out += c.file + ":";
    if (c.line > 0) out += fmt::format("{}:", c.line);
    if (!out.empty()) out += " ";
    if (!c.key.empty()) out += c.key + ": ";
    if (!c.found.empty()) out += fmt::format("found \"{}\", ", c.found);
    out += "expected " + c.expected;
    if (!c.example.empty()) out += fmt::format(", for example {}", c.example);
    return one_line(out);
}

ConfigError ConfigError::at(const std::string& file, int line, const std::string& key) const {
    Complaint c = complaint_;
    if (c.file.empty()) c.file = file;
    if (c.line == 0) c.line = line;
    if (c.key.empty()) c.key = key;
    return ConfigError(std::move(c));
}

std::string to_string(const LiveError& e) {
    std::string out = e.what;
    if (e.rank >= 0) out += fmt::format(", rank {}", e.rank);
    if (e.peer >= 0) out += fmt::format(", peer {}", e.peer);
    if (e.lane >= 0) out += fmt::format(", lane {}", e.lane);
    if (e.step >= 0) out += fmt::format(", step {}", e.step);
    if (e.elapsed_s >= 0) out += fmt::format(", after {:.3f} s", e.elapsed_s);
    return out;
}

}  // namespace weft
