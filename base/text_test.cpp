#include "base/text.hpp"

#include <catch2/catch.hpp>

using namespace weft;

TEST_CASE("decimals become exact counts of a smaller unit", "[unit]") {
    CHECK(text::scaled_number("2", 12) == 2'000'000'000'000);
    CHECK(text::scaled_number("2.000012345", 12) == 2'000'012'345'000);
    CHECK(text::scaled_number("4e+06", 0) == 4'000'000);
    CHECK(text::scaled_number("1.5E-3", 6) == 1500);
    CHECK(text::scaled_number(".5", 1) == 5);
    CHECK(text::scaled_number("0.0", 6) == 0);
    CHECK(text::scaled_number("0.5", 0) == 1);  // to the nearest
    CHECK(text::scaled_number("0.14999", 1) == 1);
    CHECK(text::scaled_number("0.3333333333333333333333", 3) == 333);
    CHECK(text::scaled_number("0e40", 12) == 0);
}

TEST_CASE("what is no decimal, negative or too large is refused", "[unit]") {
    for (const char* bad : {"", ".", "-1", "+1", "1.2.3", "1e", "1e+", "1x", "nan", "inf", "0x10",
                            "1e41", "1e19", "99999999999999999999"})
        CHECK(text::scaled_number(bad, 0) == -1);
    CHECK(text::scaled_number("10", 18) == -1);
    CHECK(text::scaled_number("1", 18) == 1'000'000'000'000'000'000);
}
