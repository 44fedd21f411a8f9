#pragma once
// Memory that an endpoint may use, by number: the first free one, so that endpoints that see the
// same calls give the same numbers (composite.hpp). `Note` is what a transport keeps with a region.
#include <algorithm>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "base/check.hpp"
#include "collectives/transport/message.hpp"

namespace weft::live {

template <class Note = std::monostate>
class RegionTable {
  public:
    struct Region {
        std::span<std::byte> memory;
        Note note;
    };
    [[nodiscard]] std::uint32_t add(std::span<std::byte> memory, Note note = {}) {
        const auto free = std::find_if(regions_.begin(), regions_.end(),
                                       [](const auto& r) { return !r.has_value(); });
        const auto index = static_cast<std::uint32_t>(free - regions_.begin());
        if (free == regions_.end()) regions_.emplace_back();
        regions_[index] = Region{memory, std::move(note)};
        return index;
    }
    void remove(std::uint32_t region) {
        (void)at(region);
        regions_[region].reset();
    }
    [[nodiscard]] const Region& at(std::uint32_t region) const {
        WEFT_CHECK(region < regions_.size() && regions_[region], "region {} is not registered",
                   region);
        return *regions_[region];
    }
    /// Every segment lies in its region.
    void check(Segments segments) const {
        for (const Segment& s : segments) {
            if (s.size == 0) continue;
            const std::span<std::byte> all = at(s.region).memory;
            WEFT_CHECK(s.data >= all.data() && s.data + s.size <= all.data() + all.size(),
                       "{} bytes lie outside of region {}", s.size, s.region);
        }
    }

  private:
    std::vector<std::optional<Region>> regions_;
};

}  // namespace weft::live
