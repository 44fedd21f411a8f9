// Each case but 0 must be rejected by the compiler.
#include "base/units.hpp"

using namespace weft::literals;

#if WEFT_CASE == 0
const auto fine = 4_MiB + 1_B;
#elif WEFT_CASE == 1
const auto mixed = 4_MiB + weft::SimTime{5};
#elif WEFT_CASE == 2
const auto mixed = 4_MiB + weft::ns(5);
#elif WEFT_CASE == 3
const auto mixed = weft::SimTime{1} + weft::SimTime{2};
#elif WEFT_CASE == 4
const weft::Bytes implicit = 4;
#elif WEFT_CASE == 5
const auto rate_is_not_size = weft::transfer_time(400_Gbps, 4_MiB);
#elif WEFT_CASE == 6
const bool compared = 4_MiB < 400_Gbps;
#endif

int main() {}
