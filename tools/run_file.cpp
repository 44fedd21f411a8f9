#include "tools/run_file.hpp"

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace weft::tools {
namespace {

std::string command_line() {
    std::ifstream in("/proc/self/cmdline", std::ios::binary);
    std::string words((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    for (char& c : words)
        if (c == '\0') c = ' ';
    if (!words.empty()) words.pop_back();
    return words;
}

}  // namespace

std::string run_json(const std::vector<std::pair<std::string, double>>& seconds) {
    std::string host(256, '\0');
    if (gethostname(host.data(), host.size() - 1) != 0) host = "unknown";
    nlohmann::json j{{"schema", "weft/run/1"},
                     {"version", WEFT_VERSION},
                     {"command_line", command_line()},
                     {"host", host.c_str()}};
    for (const auto& [key, value] : seconds) j[key] = value;
    return j.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace weft::tools
