#include <fmt/format.h>
#include <fstream>

#include "base/result.hpp"
#include "tools/report/report.hpp"

namespace weft::tools {

void write_atomically(const std::filesystem::path& path, const std::string& text) {
    const auto fault = [&](const std::string& why) {
        throw ConfigError({.file = {},
                           .line = 0,
                           .key = "--out",
                           .found = path.string() + ": " + why,
                           .expected = "a folder that can be written",
                           .example = "--out weft-out"});
    };
    std::error_code error;
    if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
    if (error) fault(error.message());
    std::filesystem::path draft = path;
    draft += ".partial";
    {
        std::ofstream out(draft, std::ios::binary | std::ios::trunc);
        out.write(text.data(), static_cast<std::streamsize>(text.size()));
        out.flush();
        if (!out) {
            std::filesystem::remove(draft, error);
            fault("cannot write");
        }
    }
    std::filesystem::rename(draft, path, error);
    if (!error) return;
    const std::string why = error.message();
    std::filesystem::remove(draft, error);
    fault(why);
}

}  // namespace weft::tools
