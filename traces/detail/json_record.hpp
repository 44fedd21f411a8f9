#pragma once
// One object of a JSON text, read with bounds: whatever is missing or of another type is a
// ConfigError that names the file and the field. For the trace formats.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace weft::detail {

using Json = nlohmann::json;

class JsonRecord {
  public:
    /// `file` and `j` outlive the record; `path` is where it stands: "entries[3]".
    JsonRecord(const Json& j, const std::string& file, std::string path);

    /// There, and not null.
    [[nodiscard]] bool has(const char* key) const;
    [[nodiscard]] std::int64_t number(const char* key, std::int64_t least, std::int64_t most) const;
    [[nodiscard]] double real(const char* key, double least, double most) const;
    [[nodiscard]] std::string text(const char* key) const;
    /// `otherwise` when it is not there or no text.
    [[nodiscard]] std::string text_or(const char* key, const std::string& otherwise) const;
    [[nodiscard]] bool flag(const char* key) const;
    [[nodiscard]] std::vector<JsonRecord> list(const char* key) const;
    [[nodiscard]] JsonRecord object(const char* key) const;
    [[nodiscard]] const Json& at(const char* key) const;
    [[noreturn]] void fault(const std::string& key, const std::string& found,
                            const std::string& expected) const;

  private:
    [[nodiscard]] std::string place(const std::string& key) const;
    const Json* j_;
    const std::string* file_;
    std::string path_;
};

}  // namespace weft::detail
