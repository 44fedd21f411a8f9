#include "simulator/endpoint/profile.hpp"

#include <catch2/catch.hpp>

#include "base/result.hpp"

using namespace weft;

namespace {

std::string complaint(const std::string& yaml) {
    try {
        (void)parse_profile(yaml, "m.yaml");
    } catch (const ConfigError& e) {
        return e.what();
    }
    return "accepted";
}

}  // namespace

TEST_CASE("a profile's YAML form reads back as written", "[unit]") {
    MachineProfile p = nccl_tuning_profile();
    p.name = "lab";
    p.at(Cost::kLaunchSimple) = {
        .value = 17'250'000, .low = 15'000'000, .high = 19'000'001, .from = "a log"};
    p.at(Cost::kNicRate) = {.value = 931, .low = 930, .high = 940, .from = "a log"};
    p.fitted = {{Collective::kAllToAll, 2, 4, Bytes{1000}, Bytes{1 << 30}},
                {Collective::kAllReduce, 1, 1, Bytes{(1 << 20) + 1}, Bytes{1 << 21}}};
    const MachineProfile q = parse_profile(to_yaml(p), "m.yaml");
    CHECK(q.name == "lab");
    REQUIRE(q.fitted.size() == 2);
    CHECK(q.fitted[0].collective == Collective::kAllToAll);
    CHECK(q.fitted[0].least_hosts == 2);
    CHECK(q.fitted[0].most_hosts == 4);
    CHECK(q.fitted[1].least_size == Bytes{(1 << 20) + 1});
    CHECK(q.fitted[1].most_size == Bytes{1 << 21});
    for (std::size_t i = 0; i < kCosts; ++i) {
        INFO(cost_table()[i].name);
        CHECK(q.costs[i].value == p.costs[i].value);
        CHECK(q.costs[i].low == p.costs[i].low);
        CHECK(q.costs[i].high == p.costs[i].high);
        CHECK(q.costs[i].from == p.costs[i].from);
    }
}

TEST_CASE("names and origins of any text read back", "[unit]") {
    MachineProfile p = nccl_tuning_profile();
    p.name = "a\"b\\c";
    p.title.clear();
    p.also = {"x, y", "h200", "[z]"};
    p.at(Cost::kLaunchLl).from = "a \"log\"\nof two lines";
    p.at(Cost::kNicRate).from.clear();
    const MachineProfile q = parse_profile(to_yaml(p), "m.yaml");
    CHECK(q.name == p.name);
    CHECK(q.also == p.also);
    CHECK(q.at(Cost::kLaunchLl).from == p.at(Cost::kLaunchLl).from);
    CHECK(q.at(Cost::kNicRate).from.empty());
    CHECK(to_yaml(p).find("h200, \"[z]\"") != std::string::npos);
    CHECK(complaint("machine: lab\nalso: [[a], b]\ncosts: {}\n").find("m.yaml:2: also") == 0);
}

TEST_CASE("a figure that a profile leaves out is NCCL's constant", "[unit]") {
    const MachineProfile p =
        parse_profile("machine: lab\ncosts:\n  launch.ll: {value: 20us}\n", "m.yaml");
    CHECK(p.time(Cost::kLaunchLl) == us(20));
    CHECK(p.at(Cost::kLaunchLl).low == us(20).ps());
    CHECK(p[Cost::kNicRate] == nccl_tuning_profile()[Cost::kNicRate]);
}

TEST_CASE("constants that nothing was fitted to have the range of what is believable", "[unit]") {
    const MachineProfile& p = nccl_tuning_profile();
    for (std::size_t i = 0; i < kCosts; ++i) {
        INFO(cost_table()[i].name);
        CHECK(p.costs[i].low >= cost_table()[i].least);
        CHECK(p.costs[i].low <= p.costs[i].value);
        CHECK(p.costs[i].value <= p.costs[i].high);
        CHECK(p.costs[i].high <= cost_table()[i].most);
    }
    // A factor of 1 + 2 x 1.645 either way; rates by 1.645 x 6 points, and no link above 100 %.
    CHECK(p.at(Cost::kLaunchSimple).high == 36'036'000);
    CHECK(p.at(Cost::kLaunchSimple).low == 1'958'042);
    CHECK(p.at(Cost::kNicRate).low == 871);
    CHECK(p.at(Cost::kNicRate).high == 1000);
    CHECK(p.at(Cost::kLlMostOneHost).low == p[Cost::kLlMostOneHost]);
}

TEST_CASE("a bad profile is refused with file, line and key", "[unit]") {
    const std::string head = "machine: lab\ncosts:\n";
    CHECK(complaint(head + "  launch.ll: {value: 20}\n").find("m.yaml:3: costs.launch.ll.value") ==
          0);
    CHECK(complaint(head + "  launch.lll: {value: 20us}\n").find("m.yaml:3: costs.launch.lll") ==
          0);
    CHECK(complaint(head + "  nic.rate: {value: 120%}\n").find("expected 10% to 100%") !=
          std::string::npos);
    CHECK(complaint(head + "  nic.rate: {value: 93.10%}\n").find("one decimal") !=
          std::string::npos);
    CHECK(complaint(head + "  launch.ll: {value: 20us, low: 21us}\n").find("low <= value") !=
          std::string::npos);
    const auto fitted = [&](const std::string& row) {
        return complaint("machine: lab\nfitted:\n  - " + row + "\ncosts: {}\n");
    };
    CHECK(fitted("{collective: allreduce, hosts: [1, 4], sizes: [1KiB, 1GiB]}") == "accepted");
    for (const char* row :
         {"{collective: shuffle, hosts: [1, 4], sizes: [1KiB, 1GiB]}", "{hosts: [1, 4]}",
          "{collective: allreduce, hosts: 4, sizes: [1KiB, 1GiB]}",
          "{collective: allreduce, hosts: [4, 1], sizes: [1KiB, 1GiB]}",
          "{collective: allreduce, hosts: [0, 1], sizes: [1KiB, 1GiB]}",
          "{collective: allreduce, hosts: [1, 99999999999], sizes: [1KiB, 1GiB]}",
          "{collective: allreduce, hosts: [1, 4], sizes: [1, 1GiB]}",
          "{collective: allreduce, hosts: [1, 4], sizes: [1KiB, 1GiB], gpus: 8}"})
        CHECK(fitted(row).find("m.yaml:3: fitted") == 0);
    CHECK(complaint("machine: lab\n").find("m.yaml") == 0);
    CHECK(complaint("").find("m.yaml") == 0);
}
