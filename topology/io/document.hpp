#pragma once
// A YAML text as a plain tree that remembers lines, and a reader that leaves nothing unread.
//
// Bounded: file size, depth, number of values; anchors, aliases, tags and merge keys are refused,
// so that what stands in the file is what is read. Duplicate keys are refused. Every error is a
// ConfigError that names file, line and key.
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"

namespace weft {

struct ConfigEntry;

struct ConfigNode {
    enum class Kind { kScalar, kList, kMap };
    Kind kind = Kind::kScalar;
    int line = 0;
    std::string scalar;
    std::vector<ConfigNode> items;     // of a list
    std::vector<ConfigEntry> entries;  // of a map, in the file's order
};

struct ConfigEntry {
    std::string key;
    ConfigNode value;
};

/// `file` is for messages only.
[[nodiscard]] ConfigNode parse_document(const std::string& text, const std::string& file);
/// The whole file; ConfigError when it cannot be read or is too large.
[[nodiscard]] std::string read_text_file(const std::string& path);

/// One map of the document. Every accessor marks its key as read; finish() refuses the others.
class MapReader {
  public:
    MapReader(const ConfigNode& map, std::string file, std::string path);

    [[nodiscard]] bool has(const std::string& key) const;
    /// The value of a key that must be there; nullptr from find() when it is not.
    [[nodiscard]] const ConfigNode& at(const std::string& key, const std::string& example);
    [[nodiscard]] const ConfigNode* find(const std::string& key);

    [[nodiscard]] std::string text(const std::string& key, const std::string& example);
    [[nodiscard]] int count(const std::string& key, int low, int high, const std::string& example);
    [[nodiscard]] Bandwidth rate(const std::string& key, const std::string& example);
    [[nodiscard]] SimDuration duration(const std::string& key, const std::string& example);
    // The same with a default for an absent key.
    [[nodiscard]] int count_or(const std::string& key, int low, int high, int fallback);
    [[nodiscard]] Bandwidth rate_or(const std::string& key, Bandwidth fallback);
    [[nodiscard]] SimDuration duration_or(const std::string& key, SimDuration fallback);
    /// Index of the text among `names`; `fallback` when absent.
    [[nodiscard]] std::size_t choice_or(const std::string& key,
                                        const std::vector<std::string>& names,
                                        std::size_t fallback);
    /// Each item of a list of maps (empty when absent).
    [[nodiscard]] std::vector<MapReader> maps(const std::string& key);

    /// ConfigError when a key was never asked for; names near ones.
    void finish() const;

    [[noreturn]] void reject(const ConfigNode& where, const std::string& key,
                             const std::string& found, const std::string& expected,
                             const std::string& example) const;
    [[nodiscard]] std::string path_of(const std::string& key) const;
    [[nodiscard]] const std::string& file() const { return file_; }
    [[nodiscard]] int line() const { return map_->line; }

  private:
    [[nodiscard]] const std::string& scalar(const std::string& key, const std::string& example);
    template <class F>
    auto placed(const std::string& key, const std::string& example, F parse);

    const ConfigNode* map_;
    std::string file_;
    std::string path_;
    std::vector<std::string> asked_;
};

}  // namespace weft
