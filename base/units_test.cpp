#include "base/units.hpp"

#include <catch2/catch.hpp>

#include "base/result.hpp"

using namespace weft;
using namespace weft::literals;

TEST_CASE("transfer time is exact in 128 bits and rounds up", "[unit]") {
    CHECK(transfer_time(64_MiB, 50_GBps).ps() == 1'342'177'280);
    CHECK(transfer_time(1_B, 400_Gbps).ps() == 20);
    CHECK(transfer_time(1_B, 900_Gbps).ps() == 9);  // 8.89 rounded up
    CHECK(transfer_time(Bytes{1LL << 50}, 400_Gbps).ps() == 22'517'998'136'852'480);
    CHECK(transfer_time(0_B, 1_Gbps).ps() == 0);
    CHECK_THROWS_AS(transfer_time(1_B, Bandwidth{0}), Bug);
    CHECK(bytes_in(us(1), 400_Gbps) == 50'000_B);
}

TEST_CASE("text quantities carry a unit", "[unit]") {
    CHECK(parse_bytes("64MiB") == 64_MiB);
    CHECK(parse_bytes("1.5 GiB") == Bytes{3LL << 29});
    CHECK(parse_bytes("0") == 0_B);
    CHECK(parse_bandwidth("400Gbps") == 400_Gbps);
    CHECK(parse_bandwidth("50GB/s") == 400_Gbps);
    CHECK(parse_duration("1.5us").ps() == 1'500'000);
    for (const char* bad : {"", "64", "MiB", "-1MiB", "64Mb", "1e9B", "nan", "inf", "1..2B",
                            "99999999999999999999B", "9000000TiB", "0.1B", "64 MiB x"}) {
        CAPTURE(bad);
        CHECK_THROWS_AS(parse_bytes(bad), ConfigError);
    }
    CHECK_THROWS_WITH(parse_bandwidth("400"),
                      "found \"400\", expected a rate with its unit (Gbps, Mbps, GB/s, GiB/s) (the "
                      "unit is missing), for example 400Gbps");
}

TEST_CASE("shares are exact in parts per billion, there and back", "[unit]") {
    CHECK(parse_share("2%") == 20'000'000);
    CHECK(parse_share("0.01%") == 100'000);
    CHECK(parse_share("100 %") == 1'000'000'000);
    for (const char* text : {"0%", "2%", "0.5%", "0.0000001%", "12.34%", "150%"})
        CHECK(share_text(parse_share(text)) == text);
    for (const char* bad : {"", "2", "%", "-1%", "1e-4", "0.00000001%", "2%%"}) {
        CAPTURE(bad);
        CHECK_THROWS_AS(parse_share(bad), ConfigError);
    }
}

TEST_CASE("quantities print with a unit that fits", "[unit]") {
    CHECK(to_string(64_MiB) == "64 MiB");
    CHECK(to_string(400_Gbps) == "400 Gbps");
    CHECK(to_string(ps(1'342'177'280)) == "1.342 ms");
    CHECK(to_string(SimDuration{}) == "0");
}
