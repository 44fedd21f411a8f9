#pragma once
// Parameters: what a user set of a family's declared parameters, the rest at their defaults, read
// as typed values. Unknown keys are rejected with near names, values with the key and an example.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/registry.hpp"
#include "base/units.hpp"

namespace weft {

using KeyValues = std::vector<std::pair<std::string, std::string>>;

/// {"segments=2", "mode=dual-plane"} -> pairs; ConfigError when one has no `=`.
[[nodiscard]] KeyValues parse_settings(const std::vector<std::string>& settings);

class Parameters {
  public:
    /// `where` names the thing in messages: "fabric hpn7".
    Parameters(const RegistryInfo& info, const KeyValues& given, std::string where);

    /// An integer in [low, high].
    [[nodiscard]] int count(const std::string& key, int low, int high) const;
    [[nodiscard]] Bandwidth rate(const std::string& key) const;  // positive
    /// The rate, or `instead` where the text is `word`.
    [[nodiscard]] Bandwidth rate_or(const std::string& key, const std::string& word,
                                    Bandwidth instead) const;
    [[nodiscard]] SimDuration duration(const std::string& key) const;
    /// A share in [low, high], parts per 10^9: "95%".
    [[nodiscard]] std::int64_t share(const std::string& key, std::int64_t low,
                                     std::int64_t high) const;
    /// Whether the text is `word`, such as "auto".
    [[nodiscard]] bool is(const std::string& key, const std::string& word) const;
    [[nodiscard]] Bytes bytes(const std::string& key) const;  // positive
    /// One of `names`; returns its index.
    [[nodiscard]] std::size_t choice(const std::string& key,
                                     const std::vector<std::string>& names) const;
    /// Every parameter in declared order, as given or defaulted.
    [[nodiscard]] const KeyValues& resolved() const { return values_; }

    /// ConfigError about one parameter.
    [[noreturn]] void reject(const std::string& key, const std::string& expected,
                             const std::string& example) const;

  private:
    [[nodiscard]] const std::string& text(const std::string& key) const;
    std::string where_;
    KeyValues values_;
};

}  // namespace weft
