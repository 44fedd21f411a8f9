#pragma once
// Remainder: what a machine's named figures leave of its own measured curves.
//
// Models: measured / simulated time by size, for one collective on so many hosts and ranks under
// one library. Between two measured sizes it is interpolated linearly in the logarithm of the size;
// outside of them it fades to nothing at half the smallest and twice the largest size, as far as a
// fit reaches (fitted.hpp). Holds for ranks spread evenly over the hosts, for nothing else: another
// collective, scale or library has the named figures alone. Leaves out: why the machine does so.
// Integers only: log2 to 1/65536, factors per mille.
#include <cstdint>
#include <string>
#include <vector>

#include "base/units.hpp"
#include "collectives/plan/plan.hpp"

namespace weft {

class MapReader;

/// What was measured, and alone has the remainder.
struct RemainderOf {
    Collective collective = Collective::kAllReduce;
    std::uint32_t hosts = 1;
    std::uint32_t ranks = 1;
    std::string library = "nccl-2.30";
    std::string algorithm;  // the one forced; empty: the library chose
    bool nvls = false;      // the library could choose it; false where an algorithm was forced
    bool operator==(const RemainderOf&) const = default;
};

struct RemainderRow {
    Bytes size;
    std::int64_t per_mille = 1000;  // of the time that the named figures say
    bool operator==(const RemainderRow&) const = default;
};

struct Remainder {
    RemainderOf of;
    std::vector<RemainderRow> rows;  // at least one, sizes ascending
    bool operator==(const Remainder&) const = default;
};

inline constexpr std::int64_t kLeastRemainder = 10;  // per mille; a factor of 100 either way
inline constexpr std::int64_t kMostRemainder = 100'000;

/// Factor per mille at a size; 1000 beyond half the smallest and twice the largest.
[[nodiscard]] std::int64_t remainder_at(const std::vector<RemainderRow>& rows, Bytes size);

/// "allreduce on 2 hosts, 16 ranks, nccl-2.30 ring".
[[nodiscard]] std::string to_string(const RemainderOf& of);

/// `remainder:` and its rows, empty where there are none; and one row back. ConfigError names the
/// place.
[[nodiscard]] std::string to_yaml(const std::vector<Remainder>& all);
[[nodiscard]] Remainder read_remainder(MapReader& r);

}  // namespace weft
