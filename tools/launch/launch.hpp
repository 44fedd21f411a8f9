#pragma once
// What commands that start ranks as processes share: this program's path, a folder for the meeting,
// and the words that go before a rank's command.
#include <filesystem>
#include <string>
#include <vector>

namespace weft::tools {

/// A folder of this run's own, gone when it ends. std::runtime_error where none can be made.
class Scratch {
  public:
    Scratch();
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    [[nodiscard]] std::string path() const { return path_.string(); }

  private:
    std::filesystem::path path_;
};

[[nodiscard]] std::string own_program();
/// The words of `--launch`, with %r replaced.
[[nodiscard]] std::vector<std::string> launcher(const std::string& text, std::uint32_t rank);

}  // namespace weft::tools
