#include "simulator/flow/max_min.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "base/rng.hpp"

namespace weft::flow {
namespace {

struct System {
    Incidence loads;
    std::vector<std::int64_t> capacity;
    [[nodiscard]] std::vector<std::uint32_t> all() const {
        std::vector<std::uint32_t> rows(loads.rows());
        for (std::uint32_t i = 0; i < rows.size(); ++i) rows[i] = i;
        return rows;
    }
    [[nodiscard]] std::vector<std::int64_t> rates() const {
        MaxMin solver(loads, capacity.size());
        solver.set_capacity(capacity);
        std::vector<std::int64_t> out;
        solver.solve(all(), out);
        return out;
    }
};

System random_system(std::uint64_t seed) {
    RandomStream draw(seed, 0, "max-min");
    System s;
    const std::size_t links = 2 + draw.below(10);
    for (std::size_t l = 0; l < links; ++l)
        s.capacity.push_back(static_cast<std::int64_t>(1'000'000 + draw.below(400'000'000'000)));
    const std::size_t rows = 1 + draw.below(20);
    for (std::size_t r = 0; r < rows; ++r) {
        std::set<std::uint32_t> on;
        const std::size_t n = 1 + draw.below(4);
        while (on.size() < std::min(n, links))
            on.insert(static_cast<std::uint32_t>(draw.below(links)));
        for (const std::uint32_t l : on) s.loads.add(l, kFull / Int128(1 + draw.below(8)));
        s.loads.end_row();
    }
    return s;
}

Int128 load(const System& s, const std::vector<std::int64_t>& rates, std::uint32_t link) {
    Int128 sum = 0;
    for (std::size_t r = 0; r < rates.size(); ++r)
        for (std::uint32_t i = s.loads.first[r]; i < s.loads.first[r + 1]; ++i)
            if (s.loads.link[i] == link) sum += s.loads.weight[i] * rates[r];
    return sum;
}

/// Progressive filling as the textbook has it, in floating point.
std::vector<double> naive(const System& s) {
    const std::size_t rows = s.loads.rows();
    std::vector<double> rate(rows, -1);
    std::size_t left = rows;
    while (left > 0) {
        double lowest = 1e300;
        std::uint32_t worst = 0;
        for (std::uint32_t l = 0; l < s.capacity.size(); ++l) {
            double room = static_cast<double>(s.capacity[l]);
            double weight = 0;
            for (std::size_t r = 0; r < rows; ++r)
                for (std::uint32_t i = s.loads.first[r]; i < s.loads.first[r + 1]; ++i) {
                    if (s.loads.link[i] != l) continue;
                    const double w =
                        static_cast<double>(s.loads.weight[i]) / static_cast<double>(kFull);
                    if (rate[r] < 0) weight += w;
                    if (rate[r] >= 0) room -= w * rate[r];
                }
            if (weight > 0 && room / weight < lowest) {
                lowest = room / weight;
                worst = l;
            }
        }
        for (std::size_t r = 0; r < rows; ++r)
            for (std::uint32_t i = s.loads.first[r]; i < s.loads.first[r + 1]; ++i)
                if (s.loads.link[i] == worst && rate[r] < 0) {
                    rate[r] = lowest;
                    --left;
                }
    }
    return rate;
}

TEST_CASE("three flows on two links get the textbook's rates", "[unit]") {
    System s;
    s.capacity = {10'000'000'000, 4'000'000'000};
    s.loads.add(0, kFull);
    s.loads.end_row();
    s.loads.add(0, kFull);
    s.loads.add(1, kFull);
    s.loads.end_row();
    s.loads.add(1, kFull);
    s.loads.end_row();
    CHECK(s.rates() == std::vector<std::int64_t>{8'000'000'000, 2'000'000'000, 2'000'000'000});
}

TEST_CASE("a dead link stops its flows and no others", "[unit]") {
    System s;
    s.capacity = {0, 5'000};
    s.loads.add(0, kFull);
    s.loads.add(1, kFull);
    s.loads.end_row();
    s.loads.add(1, kFull);
    s.loads.end_row();
    CHECK(s.rates() == std::vector<std::int64_t>{0, 5'000});
}

TEST_CASE("rates agree with naive filling, exceed no link and leave no slack", "[property]") {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        INFO("seed " << seed);
        const System s = random_system(seed);
        const std::vector<std::int64_t> rates = s.rates();
        const std::vector<double> expected = naive(s);
        for (std::size_t r = 0; r < rates.size(); ++r) {
            // Flooring at one level moves the next by a few bits per second.
            CHECK(static_cast<double>(rates[r]) == Approx(expected[r]).epsilon(1e-9).margin(100));
            bool bound = false;
            for (std::uint32_t i = s.loads.first[r]; i < s.loads.first[r + 1]; ++i) {
                const std::uint32_t l = s.loads.link[i];
                bound = bound || load(s, rates, l) + 100 * kFull >= s.capacity[l] * kFull;
            }
            CHECK(bound);
        }
        for (std::uint32_t l = 0; l < s.capacity.size(); ++l)
            CHECK(load(s, rates, l) <= s.capacity[l] * kFull);
    }
}

TEST_CASE("rates do not depend on the order of the flows", "[property]") {
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        const System s = random_system(seed);
        System turned;
        turned.capacity = s.capacity;
        for (std::size_t r = s.loads.rows(); r-- > 0;) {
            for (std::uint32_t i = s.loads.first[r]; i < s.loads.first[r + 1]; ++i)
                turned.loads.add(s.loads.link[i], s.loads.weight[i]);
            turned.loads.end_row();
        }
        std::vector<std::int64_t> back = turned.rates();
        std::reverse(back.begin(), back.end());
        CHECK(back == s.rates());
    }
}

}  // namespace
}  // namespace weft::flow
