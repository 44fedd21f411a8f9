#include "traces/synth/synth.hpp"

#include <catch2/catch.hpp>

#include "base/result.hpp"

using namespace weft;
using namespace weft::literals;

TEST_CASE("LLaMA-7B has 6.7e9 parameters", "[unit]") {
    const DecoderModel model;
    CHECK(model.parameters() == 6'738'149'376);  // 6.74e9 without norms (facts F1: 6.7e9)
    CHECK(model.forward_flop() > 2 * model.parameters() * model.sequence);
}

TEST_CASE("a data-parallel step reduces every gradient byte once", "[unit]") {
    for (const std::uint32_t microbatches : {1U, 4U}) {
        const Workload w = data_parallel_training({.model = {},
                                                   .world = 16,
                                                   .microbatches = microbatches,
                                                   .buckets = 7,
                                                   .flop_per_s = 400'000'000'000'000});
        std::int64_t bytes = 0, ps = 0;
        for (const Op& op : w.programs[0].ops) {
            if (const auto* c = std::get_if<CollectiveOp>(&op.what)) bytes += c->size.count();
            if (const auto* c = std::get_if<ComputeOp>(&op.what)) ps += c->time.ps();
        }
        CHECK(bytes == 2 * 6'738'149'376);
        const double expected =
            3.0 * static_cast<double>(DecoderModel{}.forward_flop()) * microbatches / 400e12 * 1e12;
        CHECK(static_cast<double>(ps) == Approx(expected).epsilon(1e-9));
    }
}

TEST_CASE("rails need a world that divides into hosts", "[unit]") {
    const Workload w = strided_collectives(Collective::kAllReduce, 1_MiB, 64, 8);
    CHECK(w.families[0].groups.size == 8);
    CHECK(w.families[0].groups.stride == 8);
    CHECK_THROWS_AS(strided_collectives(Collective::kAllReduce, 1_MiB, 60, 8), ConfigError);
}
