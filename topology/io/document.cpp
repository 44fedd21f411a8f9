#include "topology/io/document.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <fstream>
#include <sstream>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include "base/registry.hpp"

namespace weft {
namespace {

constexpr std::size_t kMaxBytes = 4U << 20U;
constexpr std::size_t kMaxDepth = 32;
constexpr std::size_t kMaxValues = 200'000;

/// Builds the tree from the parser's events; throws at the first thing it refuses.
class TreeBuilder final : public YAML::EventHandler {
  public:
    explicit TreeBuilder(std::string file) : file_(std::move(file)) {}

    void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        scalar(mark, "", "", anchor);
    }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
        refuse(mark, "an alias (*name)", "the value itself");
    }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override {
        scalar(mark, tag, value, anchor);
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value /*style*/) override {
        open(mark, tag, anchor, ConfigNode::Kind::kList);
    }
    void OnSequenceEnd() override { close(); }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value /*style*/) override {
        open(mark, tag, anchor, ConfigNode::Kind::kMap);
    }
    void OnMapEnd() override { close(); }

    [[nodiscard]] ConfigNode take() { return std::move(root_); }

  private:
    struct Open {
        ConfigNode node;
        std::string key;  // of a map: the key whose value comes next
        bool has_key = false;
    };

    [[noreturn]] void refuse(const YAML::Mark& mark, const std::string& found,
                             const std::string& expected) const {
        throw ConfigError({.file = file_,
                           .line = mark.line + 1,
                           .key = {},
                           .found = found,
                           .expected = expected,
                           .example = {}});
    }
    void check(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
        if (anchor != 0) refuse(mark, "an anchor (&name)", "the value itself");
        if (!tag.empty() && tag != "?" && tag != "!")
            refuse(mark, "the tag " + printable(tag), "a plain value");
        if (++values_ > kMaxValues)
            refuse(mark, "too many values", fmt::format("at most {}", kMaxValues));
    }
    void scalar(const YAML::Mark& mark, const std::string& tag, const std::string& value,
                YAML::anchor_t anchor) {
        check(mark, tag, anchor);
        ConfigNode node;
        node.line = mark.line + 1;
        node.scalar = value;
        if (!open_.empty() && open_.back().node.kind == ConfigNode::Kind::kMap &&
            !open_.back().has_key)
            take_key(mark, value);
        else
            put(std::move(node));
    }
    void take_key(const YAML::Mark& mark, const std::string& key) {
        for (const auto& [known, value] : open_.back().node.entries)
            if (known == key)
                refuse(mark, fmt::format("the key {} again", printable(key)),
                       fmt::format("each key once (first on line {})", value.line));
        open_.back().key = key;
        open_.back().has_key = true;
    }
    void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
              ConfigNode::Kind kind) {
        check(mark, tag, anchor);
        if (open_.size() >= kMaxDepth)
            refuse(mark, "values nested too deep", fmt::format("at most {} levels", kMaxDepth));
        if (!open_.empty() && open_.back().node.kind == ConfigNode::Kind::kMap &&
            !open_.back().has_key)
            refuse(mark, "a list or map as a key", "a plain text as a key");
        open_.emplace_back();
        open_.back().node.kind = kind;
        open_.back().node.line = mark.line + 1;
    }
    void close() {
        ConfigNode node = std::move(open_.back().node);
        open_.pop_back();
        put(std::move(node));
    }
    void put(ConfigNode node) {
        if (open_.empty()) {
            root_ = std::move(node);
        } else if (open_.back().node.kind == ConfigNode::Kind::kMap) {
            ConfigEntry entry{std::move(open_.back().key), std::move(node)};
            open_.back().node.entries.push_back(std::move(entry));
            open_.back().has_key = false;
        } else {
            open_.back().node.items.push_back(std::move(node));
        }
    }

    std::string file_;
    std::vector<Open> open_;
    ConfigNode root_;
    std::size_t values_ = 0;
};

/// Binary input, refused before the parser sees it.
void refuse_control_bytes(const std::string& text, const std::string& file) {
    int line = 1;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '\n') ++line;
        const bool allowed = byte >= 0x20 || c == '\n' || c == '\t' || c == '\r';
        if (!allowed || byte == 0x7F)
            throw ConfigError({.file = file,
                               .line = line,
                               .key = {},
                               .found = fmt::format("the control byte 0x{:02x}", byte),
                               .expected = "a text file",
                               .example = {}});
    }
}

std::string describe(const ConfigNode& n) {
    if (n.kind == ConfigNode::Kind::kList) return "a list";
    if (n.kind == ConfigNode::Kind::kMap) return "a map";
    return n.scalar.empty() ? "nothing" : printable(n.scalar);
}

}  // namespace

std::string read_text_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::string text(kMaxBytes + 1, '\0');
    if (in) in.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (!in.is_open() || in.bad() || (in.fail() && !in.eof()))
        throw ConfigError({.file = path,
                           .line = 0,
                           .key = {},
                           .found = "no readable file",
                           .expected = "a YAML file",
                           .example = {}});
    text.resize(static_cast<std::size_t>(in.gcount()));
    if (text.size() > kMaxBytes)
        throw ConfigError({.file = path,
                           .line = 0,
                           .key = {},
                           .found = "a larger file",
                           .expected = "at most 4 MiB",
                           .example = {}});
    return text;
}

ConfigNode parse_document(const std::string& text, const std::string& file) {
    if (text.size() > kMaxBytes)
        throw ConfigError({.file = file,
                           .line = 0,
                           .key = {},
                           .found = "a larger text",
                           .expected = "at most 4 MiB",
                           .example = {}});
    refuse_control_bytes(text, file);
    std::istringstream in(text);
    TreeBuilder tree(file);
    try {
        YAML::Parser parser(in);
        if (!parser.HandleNextDocument(tree))
            throw ConfigError({.file = file,
                               .line = 0,
                               .key = {},
                               .found = "an empty file",
                               .expected = "a fabric",
                               .example = "fabric: hpn7"});
        ConfigNode root = tree.take();
        TreeBuilder rest(file);
        if (parser.HandleNextDocument(rest))
            throw ConfigError({.file = file,
                               .line = 0,
                               .key = {},
                               .found = "a second document",
                               .expected = "one document in a file",
                               .example = {}});
        return root;
    } catch (const YAML::Exception& e) {
        throw ConfigError({.file = file,
                           .line = e.mark.line + 1,
                           .key = {},
                           .found = printable(e.msg, 120),
                           .expected = "valid YAML",
                           .example = {}});
    }
}

MapReader::MapReader(const ConfigNode& map, std::string file, std::string path)
    : map_(&map), file_(std::move(file)), path_(std::move(path)) {
    if (map.kind != ConfigNode::Kind::kMap)
        throw ConfigError({.file = file_,
                           .line = map.line,
                           .key = path_,
                           .found = describe(map),
                           .expected = "a map (key: value lines)",
                           .example = {}});
}

std::string MapReader::path_of(const std::string& key) const {
    return path_.empty() ? key : path_ + "." + key;
}

void MapReader::reject(const ConfigNode& where, const std::string& key, const std::string& found,
                       const std::string& expected, const std::string& example) const {
    throw ConfigError({.file = file_,
                       .line = where.line,
                       .key = path_of(key),
                       .found = printable(found),
                       .expected = expected,
                       .example = example});
}

bool MapReader::has(const std::string& key) const {
    return std::any_of(map_->entries.begin(), map_->entries.end(),
                       [&](const auto& entry) { return entry.key == key; });
}

const ConfigNode* MapReader::find(const std::string& key) {
    asked_.push_back(key);
    for (const auto& [name, value] : map_->entries)
        if (name == key) return &value;
    return nullptr;
}

const ConfigNode& MapReader::at(const std::string& key, const std::string& example) {
    if (const ConfigNode* n = find(key)) return *n;
    reject(*map_, key, "no such key", "the key " + key, key + ": " + example);
}

const std::string& MapReader::scalar(const std::string& key, const std::string& example) {
    const ConfigNode& n = at(key, example);
    if (n.kind != ConfigNode::Kind::kScalar || n.scalar.empty())
        reject(n, key, describe(n), "one value", key + ": " + example);
    return n.scalar;
}

template <class F>
auto MapReader::placed(const std::string& key, const std::string& example, F parse) {
    const std::string& value = scalar(key, example);
    try {
        return parse(value);
    } catch (const ConfigError& e) {
        throw e.at(file_, find(key)->line, path_of(key));
    }
}

std::string MapReader::text(const std::string& key, const std::string& example) {
    return scalar(key, example);
}

int MapReader::count(const std::string& key, int low, int high, const std::string& example) {
    const std::string& t = scalar(key, example);
    int value = 0;
    const auto [end, error] = std::from_chars(t.data(), t.data() + t.size(), value);
    if (error != std::errc{} || end != t.data() + t.size() || value < low || value > high)
        reject(*find(key), key, t, fmt::format("an integer from {} to {}", low, high), example);
    return value;
}

Bandwidth MapReader::rate(const std::string& key, const std::string& example) {
    return placed(key, example, [](const std::string& t) { return parse_bandwidth(t); });
}

SimDuration MapReader::duration(const std::string& key, const std::string& example) {
    return placed(key, example, [](const std::string& t) { return parse_duration(t); });
}

int MapReader::count_or(const std::string& key, int low, int high, int fallback) {
    return find(key) != nullptr ? count(key, low, high, std::to_string(fallback)) : fallback;
}

Bandwidth MapReader::rate_or(const std::string& key, Bandwidth fallback) {
    return find(key) != nullptr ? rate(key, to_string(fallback)) : fallback;
}

SimDuration MapReader::duration_or(const std::string& key, SimDuration fallback) {
    return find(key) != nullptr ? duration(key, to_string(fallback)) : fallback;
}

std::size_t MapReader::choice_or(const std::string& key, const std::vector<std::string>& names,
                                 std::size_t fallback) {
    const ConfigNode* n = find(key);
    if (n == nullptr) return fallback;
    const std::string& t = scalar(key, names.front());
    const auto at = std::find(names.begin(), names.end(), t);
    if (at == names.end()) reject(*n, key, t, "one of " + suggest(t, names), names.front());
    return static_cast<std::size_t>(at - names.begin());
}

std::vector<MapReader> MapReader::maps(const std::string& key) {
    std::vector<MapReader> readers;
    const ConfigNode* n = find(key);
    if (n == nullptr) return readers;
    if (n->kind != ConfigNode::Kind::kList)
        reject(*n, key, describe(*n), "a list (lines that begin with -)", {});
    for (std::size_t i = 0; i < n->items.size(); ++i)
        readers.emplace_back(n->items[i], file_, fmt::format("{}[{}]", path_of(key), i));
    return readers;
}

void MapReader::finish() const {
    for (const auto& [name, value] : map_->entries)
        if (std::find(asked_.begin(), asked_.end(), name) == asked_.end())
            reject(value, name, "an unknown key", "one of " + suggest(name, asked_), {});
}

}  // namespace weft
