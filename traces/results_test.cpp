// The canonical JSON of a Result.
#include "traces/results.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace weft;

TEST_CASE("result json is sorted, in integers, and the same for equal results", "[unit]") {
    Result r;
    r.step_time = ms(5);
    r.slowest_rank = RankId{3};
    r.families.push_back({"TP", ms(2), ms(1), us(4), us(1996)});
    r.collectives.push_back({"TP", "allreduce", "ring", 8, Bytes{64}, 3, us(1), us(1), us(2), us(5),
                             us(9), 100.0 / 3, 0.1 + 0.2});
    r.scenario = {{"seed", "1"}, {"fabric.name", "hpn7"}};
    const std::string text = to_json(r);
    CHECK(text == to_json(r));
    const auto j = nlohmann::json::parse(text);
    CHECK(j["step_time_ps"] == 5'000'000'000);
    CHECK(j["families"][0]["exposed_ps"] == 1'000'000'000);
    CHECK(j["families"][0]["transferring_ps"] == 1'996'000'000);
    CHECK(j["collectives"][0]["size_bytes"] == 64);
    CHECK(j["collectives"][0]["mean_waiting_ps"] == 5'000'000);
    CHECK(text.find("\"busbw_gbytes_per_s\": 0.3,") != std::string::npos);
    CHECK(text.find("33.333333") != std::string::npos);
    CHECK(text.find("\"assumptions\"") < text.find("\"bubble_ps\""));
    CHECK(text.find("\"fabric.name\"") < text.find("\"seed\""));
}

TEST_CASE("a band is written with its time, and alone where it is wide enough", "[unit]") {
    Band b{.low = us(900), .high = ms(2), .by = "100 seeds", .parts = {}};
    CHECK(with_bands(ms(1), {b}) == "1 ms (900 us .. 2 ms by 100 seeds)");
    b.low = ms(1);
    CHECK(with_bands(ms(1), {b, b}) == "1 ms (1 .. 2 ms by 100 seeds) (1 .. 2 ms by 100 seeds)");
    b.high = ms(1);
    CHECK(with_bands(ms(1), {b}) == "1 ms");
    Result r;
    b.parts.push_back({"nic.rate", us(3), us(4)});
    r.bands = {b};
    const auto j = nlohmann::json::parse(to_json(r));
    CHECK(j["bands"][0]["high_ps"] == 1'000'000'000);
    CHECK(j["bands"][0]["parts"][0]["above_ps"] == 4'000'000);
    CHECK(nlohmann::json::parse(to_json(Result{}))["bands"].empty());
}

TEST_CASE("result json survives names that are not UTF-8", "[unit]") {
    Result r;
    r.warnings.push_back("\xff\xfe");
    CHECK_NOTHROW(nlohmann::json::parse(to_json(r)));
}
