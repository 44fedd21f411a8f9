#include "tools/launch/launch.hpp"

#include <cstdlib>
#include <sstream>
#include <stdexcept>

namespace weft::tools {

namespace fs = std::filesystem;

Scratch::Scratch() {
    std::string name = (fs::temp_directory_path() / "weft-meet-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("cannot make a folder in " + name);
    path_ = name;
}

Scratch::~Scratch() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

std::string own_program() {
    return fs::read_symlink("/proc/self/exe").string();
}

std::vector<std::string> launcher(const std::string& text, std::uint32_t rank) {
    std::vector<std::string> words;
    std::istringstream in(text);
    for (std::string word; in >> word;) {
        for (std::size_t at = 0; (at = word.find("%r", at)) != word.npos;)
            word.replace(at, 2, std::to_string(rank));
        words.push_back(word);
    }
    return words;
}

}  // namespace weft::tools
