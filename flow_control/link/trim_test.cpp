#include "flow_control/link/trim.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>

#include "base/rng.hpp"
#include "flow_control/link/shared_buffer.hpp"

using namespace weft;

TEST_CASE("only what is longer than a header is cut, and only when trimming is on", "[unit]") {
    TrimProfile trim;
    CHECK_FALSE(trim.cuts(4160_B));
    trim.on = true;
    CHECK(trim.cuts(4160_B));
    CHECK_FALSE(trim.cuts(64_B));
    trim.last_or_arriving = false;
    CHECK_FALSE(trim.last_instead(~0ULL));
}

TEST_CASE("half of the cuts hit the last packet queued", "[property]") {
    const TrimProfile trim;
    RandomStream random{1, 0, "trim"};
    int last = 0;
    for (int n = 0; n < 10'000; ++n) last += trim.last_instead(random.next()) ? 1 : 0;
    CHECK(std::abs(last - 5000) < 200);
}

TEST_CASE("a trimmed packet waits as control, and every packet leaves a trace", "[unit]") {
    // Two packets of data fit; of the others the headers, until control is full as well.
    TrimProfile trim;
    trim.on = true;
    SharedBuffer buffer{output_queues(Bytes{8320}), std::vector<PortBuffer>(2)};
    int whole = 0, headers = 0, dropped = 0;
    for (int n = 0; n < 200; ++n) {
        if (buffer.arrive(0, 1, 1, 4160_B) == Admission::kStore)
            ++whole;
        else if (trim.cuts(4160_B) && buffer.arrive(0, trim.cls, 1, trim.size) == Admission::kStore)
            ++headers;
        else
            ++dropped;
    }
    CHECK(whole == 2);
    CHECK(headers == 130);  // 8320 / 64
    CHECK(dropped == 68);
    CHECK(buffer.stored() == Bytes{2 * 4160 + 130 * 64});
}
