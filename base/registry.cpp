#include "base/registry.hpp"

#include <algorithm>
#include <numeric>

namespace weft {
namespace {

/// Levenshtein distance; names are short.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < a.size(); ++i) {
        std::size_t diagonal = row[0]++;
        for (std::size_t j = 0; j < b.size(); ++j) {
            const std::size_t substituted = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({row[j], row[j + 1], substituted - 1}) + 1;
        }
    }
    return row.back();
}

}  // namespace

std::string suggest(std::string_view wanted, const std::vector<std::string>& names) {
    std::vector<std::string> near;
    const std::string_view head = wanted.substr(0, 64);
    for (const std::string& name : names)
        if (near.size() < 3 && distance(head, name) <= 1 + name.size() / 3) near.push_back(name);
    std::string out;
    for (const std::string& name : near.empty() ? names : near)
        out += (out.empty() ? "" : ", ") + name;
    return out;
}

}  // namespace weft
