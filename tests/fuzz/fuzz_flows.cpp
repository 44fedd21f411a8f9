// Any bytes are a connection matrix, a flow list, a distribution of sizes, or one line of
// ConfigError each.
#include <cstdint>
#include <string>

#include "base/check.hpp"
#include "base/result.hpp"
#include "traces/hpcc/flow_list.hpp"
#include "traces/htsim/connections.hpp"
#include "traces/traffic/cdf.hpp"

namespace {

template <class Read>
void check(Read read) {
    try {
        read();
    } catch (const weft::ConfigError& e) {
        const std::string line = e.what();
        WEFT_CHECK(line.find('\n') == std::string::npos, "an error is one line");
        WEFT_CHECK(!e.complaint().expected.empty(), "an error says what was expected");
    }
}

void check_flows(const weft::FlowSet& set) {
    for (const weft::FlowSpec& f : set.flows) {
        WEFT_CHECK(f.src != f.dst && f.size > weft::Bytes{0}, "a flow has ends and bytes");
        WEFT_CHECK(f.start >= weft::SimTime{}, "a flow starts in time");
        for (const std::uint32_t t : {f.after, f.send_done, f.recv_done})
            WEFT_CHECK(t == weft::kNoTrigger || t < set.triggers.size(), "a trigger exists");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    (void)weft::htsim::is_connections(text);
    (void)weft::hpcc::is_flow_list(text);
    for (const auto unit :
         {weft::htsim::StartUnit::kPicoseconds, weft::htsim::StartUnit::kMicroseconds})
        check([&] { check_flows(weft::htsim::read_connections(text, "f", unit).set); });
    check([&] { check_flows(weft::hpcc::read_flow_list(text, "f")); });
    check([&] {
        const weft::traffic::SizeCdf cdf = weft::traffic::read_cdf(text, "f");
        for (const std::uint64_t share :
             {std::uint64_t{0}, ~std::uint64_t{0} / 3, ~std::uint64_t{0}})
            WEFT_CHECK(cdf.at(share) >= weft::Bytes{1}, "a flow has bytes");
        WEFT_CHECK(cdf.twice_mean_ppb() > 0, "sizes have a mean");
    });
    return 0;
}
