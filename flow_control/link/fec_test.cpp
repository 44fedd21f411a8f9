#include "flow_control/link/fec.hpp"

#include <catch2/catch.hpp>

using namespace weft;

TEST_CASE("the code adds the time to gather its codewords and 37 ns", "[unit]") {
    CHECK(fec_latency(100_Gbps) == ns(37) + ps(51'200));
    CHECK(fec_latency(200_Gbps) == ns(37) + ps(51'200));
    CHECK(fec_latency(400_Gbps) == ns(37) + ps(25'600));
    CHECK(fec_latency(800_Gbps) == ns(37) + ps(25'600));
    FecProfile off;
    off.on = false;
    CHECK(fec_latency(400_Gbps, off) == SimDuration{});
}

TEST_CASE("loss after correction falls steeply with the bit error rate", "[unit]") {
    // 802.3's limit for KP4: about 2.2e-4 to 2.4e-4 before correction for a frame loss ratio of
    // 1e-12 at a frame of 64 bytes and below.
    const double at_limit = codeword_loss(2.4e-4);
    CHECK(at_limit < 1e-11);
    CHECK(at_limit > 1e-14);
    // The leading term alone: choose(544,16) s^16 (1-s)^528.
    const double s = 10 * 1e-4 * (1 - 4.5e-4);
    double leading = 1;
    for (int k = 1; k <= 16; ++k) leading = leading * (544 - k + 1) / k * s;
    for (int k = 0; k < 528; ++k) leading *= 1 - s;
    CHECK(codeword_loss(1e-4) == Approx(leading).epsilon(0.05));
    CHECK(codeword_loss(0) == 0);
    CHECK(codeword_loss(0.5) == Approx(1));
    CHECK(codeword_loss(1) == 1);
    double last = 0;
    for (double ber = 1e-6; ber < 0.1; ber *= 2) {
        CHECK(codeword_loss(ber) >= last * (1 - 1e-12));
        last = codeword_loss(ber);
    }
}

TEST_CASE("a frame is lost with any codeword that it touches", "[unit]") {
    const double one = codeword_loss(5e-4);
    CHECK(frame_loss(5e-4, Bytes{514 * 10}, 400_Gbps) == Approx(one * 10));
    CHECK(frame_loss(0.3, 4096_B, 400_Gbps) == 1);
    CHECK(loss_threshold(0) == 0);
    CHECK(loss_threshold(0.5) == std::uint64_t{1} << 63);
    CHECK(loss_threshold(1) == ~std::uint64_t{0});
}

TEST_CASE("a retry costs a round trip of the link and the frame again", "[unit]") {
    RetryFacts f;
    f.rate = 400_Gbps;
    f.cable = ns(150);  // 30 m
    f.frame = 4160_B;
    CHECK(retry_delay(f) == ns(300) + 2 * fec_latency(400_Gbps) + 2 * ps(83'200) + ps(1680));
}
