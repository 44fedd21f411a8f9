#pragma once
// A named, self-describing list of things of one kind: fabrics, algorithms, trace formats. Filled
// by the folder's builtin.cpp, one row each, called explicitly; there is no static
// self-registration (a static library drops such objects). The rows feed --help, the docs tables
// and the generic tests.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace weft {

/// One parameter of a registered thing, for listings and for checking user input.
struct Parameter {
    std::string name;         // "pods"
    std::string unit;         // "", "Gbps", "ns"
    std::string fallback;     // default, as text with its unit
    std::string description;  // one sentence
};

struct RegistryInfo {
    std::string name;
    std::string description;  // one sentence
    std::string source;       // paper or document, with section
    std::vector<Parameter> parameters;
};

/// "ring", "hierarchical" for "hierarchicl": up to three names close to `wanted`, comma-separated;
/// all of them when none is close.
[[nodiscard]] std::string suggest(std::string_view wanted, const std::vector<std::string>& names);

template <class Factory>
class Registry {
  public:
    struct Row {
        RegistryInfo info;
        Factory make;
    };
    explicit Registry(std::string kind) : kind_(std::move(kind)) {}

    void add(RegistryInfo info, Factory make) {
        WEFT_CHECK(find(info.name) == nullptr, "{} {} is registered twice", kind_, info.name);
        rows_.push_back({std::move(info), std::move(make)});
    }
    [[nodiscard]] const Row* find(std::string_view name) const {
        for (const Row& row : rows_)
            if (row.info.name == name) return &row;
        return nullptr;
    }
    /// The row, or ConfigError that lists near names.
    [[nodiscard]] const Row& at(std::string_view name) const {
        if (const Row* row = find(name)) return *row;
        std::vector<std::string> names;
        for (const Row& row : rows_) names.push_back(row.info.name);
        throw ConfigError({.file = {},
                           .line = 0,
                           .key = kind_,
                           .found = printable(name),
                           .expected = "one of " + suggest(name, names),
                           .example = names.empty() ? "" : names.front()});
    }
    [[nodiscard]] const std::vector<Row>& rows() const { return rows_; }

  private:
    std::string kind_;
    std::vector<Row> rows_;
};

}  // namespace weft
