#pragma once
// Poisson traffic: flows that start at random between random hosts, and incasts among them.
//
// Models: every host starts flows at rate load x rate / mean size, each to another host drawn
// evenly, of a size drawn from a SizeCdf; and, at a load of their own of the capacity of all hosts,
// bursts in which N hosts send to one at once. Leaves out: hosts of several speeds (the first
// one's counts), correlation of any kind. Source: HPCC (SIGCOMM 2019), section 5.1, and its
// traffic_gen.
//
// Deterministic: integers alone. The waiting time -ln(u) x mean comes from log2 by repeated
// squaring of a 64-bit fraction: no math library, the same bytes on every machine.
#include <string>

#include "base/registry.hpp"
#include "base/units.hpp"
#include "traces/flows.hpp"
#include "traces/traffic/cdf.hpp"

namespace weft::traffic {

struct Incast {
    std::size_t senders = 0;  // 0: no incast
    Bytes size{500'000};      // of each sender
    std::int64_t load_ppb = 20'000'000;
};

struct Traffic {
    std::size_t hosts = 0;
    Bandwidth rate;  // of one host
    std::int64_t load_ppb = 0;
    SimDuration duration;  // flows start within it
    Incast incast;
    std::uint64_t seed = 1;
};

/// In the order of their starts. Tags: kBackgroundTag, kIncastTag. ConfigError where that were more
/// than 50 million flows.
[[nodiscard]] FlowSet poisson(const SizeCdf& sizes, const Traffic& t);

/// -ln(u) for u = (bits + 1) / 2^64, in units of 2^-40, to about 2^-38.
[[nodiscard]] std::uint64_t minus_ln(std::uint64_t bits);

/// "websearch:load=50%,time=10ms,incast=60": a generator's name, or the file of a SizeCdf, and
/// parameters, for the given hosts. ConfigError for anything wrong with it.
[[nodiscard]] FlowSet generate(const std::string& text, std::size_t hosts, Bandwidth rate,
                               std::uint64_t seed);
/// What generate() knows, for listings.
[[nodiscard]] const RegistryInfo& generator_info();

}  // namespace weft::traffic
