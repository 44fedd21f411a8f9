#include "simulator/endpoint/fitted.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>

namespace weft {
namespace {

const FittedRange* range_of(const MachineProfile& m, Collective c, bool several) {
    for (const FittedRange& r : m.fitted)
        if (r.collective == c && (r.most_hosts > 1) == several) return &r;
    return nullptr;
}

/// The least and the most of all that one collective ran with, on one host or on several.
struct Extent {
    std::uint32_t hosts = 0;
    Bytes least;
    Bytes most;
};

std::string hosts_text(const FittedRange& r) {
    return r.least_hosts == r.most_hosts ? fmt::format("{}", r.most_hosts)
                                         : fmt::format("{} to {}", r.least_hosts, r.most_hosts);
}

/// What lies beyond the range, one text each.
void compare(Collective c, const Extent& e, const FittedRange& r, std::vector<std::string>& out) {
    if (e.hosts > r.most_hosts)
        out.push_back(
            fmt::format("{} on {} hosts (fitted on {})", name_of(c), e.hosts, hosts_text(r)));
    if (2 * e.least.count() < r.least_size.count())
        out.push_back(fmt::format("{} of {} (fitted from {})", name_of(c), to_string(e.least),
                                  to_string(r.least_size)));
    if (e.most.count() / 2 > r.most_size.count())
        out.push_back(fmt::format("{} of {} (fitted up to {})", name_of(c), to_string(e.most),
                                  to_string(r.most_size)));
}

}  // namespace

std::string beyond_fit(const MachineProfile& m, const std::vector<Ran>& ran) {
    if (m.fitted.empty()) return {};
    std::map<std::pair<Collective, bool>, Extent> extents;
    for (const Ran& one : ran) {
        if (one.size.count() == 0) continue;
        Extent& e = extents[{one.collective, one.hosts > 1}];
        if (e.hosts == 0 || one.size < e.least) e.least = one.size;
        e.hosts = std::max(e.hosts, one.hosts);
        e.most = std::max(e.most, one.size);
    }
    std::vector<std::string> beyond;
    for (const auto& [key, extent] : extents) {
        const auto& [collective, several] = key;
        const FittedRange* other = range_of(m, collective, !several);
        if (const FittedRange* r = range_of(m, collective, several))
            compare(collective, extent, *r, beyond);
        else if (other != nullptr)
            beyond.push_back(fmt::format("{} on {} host{} (fitted on {})", name_of(collective),
                                         extent.hosts, several ? "s" : "", hosts_text(*other)));
        else
            beyond.push_back(fmt::format("{} (not fitted)", name_of(collective)));
    }
    return fmt::format("{}", fmt::join(beyond, ", "));
}

void add_fitted(MachineProfile& m, const Ran& smallest, const Ran& largest) {
    const bool several = smallest.hosts > 1;
    for (FittedRange& r : m.fitted) {
        if (r.collective != smallest.collective || (r.most_hosts > 1) != several) continue;
        r.least_hosts = std::min(r.least_hosts, smallest.hosts);
        r.most_hosts = std::max(r.most_hosts, largest.hosts);
        r.least_size = std::min(r.least_size, smallest.size);
        r.most_size = std::max(r.most_size, largest.size);
        return;
    }
    m.fitted.push_back({.collective = smallest.collective,
                        .least_hosts = smallest.hosts,
                        .most_hosts = largest.hosts,
                        .least_size = smallest.size,
                        .most_size = largest.size});
}

}  // namespace weft
