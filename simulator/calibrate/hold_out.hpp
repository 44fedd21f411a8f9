#pragma once
// Hold out: what the named figures leave of the curves they were fitted to, as a table of the
// machine (endpoint/remainder.hpp); and how far it carries, judged by rows that were not fitted.
//
// Models: factors measured / simulated by collective, hosts, ranks, library and size; the median
// where several curves have the same. Rows that stand apart from their neighbours are left out:
// what is wrong in a log does not become the machine's. The judge: figures and remainder from the
// first, third, fifth row of every curve, against the rows between. Leaves out: sizes beyond the
// curves, for which nothing was measured. Cost of the judge: one more fit of half the rows.
#include <string>
#include <vector>

#include "simulator/calibrate/fit.hpp"

namespace weft {

/// Gives the fit's profile its remainder. `cases` are those of the fit.
void add_remainder(Fit& fit, const std::vector<const MeasuredCase*>& cases);

/// Median |error| of the named figures alone and with the remainder.
struct HeldOut {
    std::size_t rows = 0;
    double named = 0;
    double remained = 0;
};
/// Of the rows of the fit that do not stand apart: what the remainder reproduces.
[[nodiscard]] HeldOut reproduced(const Fit& fit, const std::vector<const MeasuredCase*>& cases);
/// Of every second row, by the other ones. Curves of fewer than kLeastRows are fitted whole and
/// judge nothing.
inline constexpr std::size_t kLeastRows = 4;
[[nodiscard]] HeldOut hold_out(const std::vector<const MeasuredCase*>& cases,
                               const MachineProfile& start);

}  // namespace weft
