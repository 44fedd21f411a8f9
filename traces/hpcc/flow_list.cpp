#include "traces/hpcc/flow_list.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace weft::hpcc {
namespace {

using text::fail;
using text::Line;
using text::lines_of;
using text::Place;
using text::words_of;

constexpr const char* kExample = "2 1 3 100 200000000 2.000000000";
constexpr std::int64_t kMostFlows = 50'000'000;
constexpr std::int64_t kMostBytes = std::int64_t{1} << 38;

std::int64_t number(const Place& at, const char* key, std::string_view word, std::int64_t low,
                    std::int64_t high) {
    const std::int64_t n = text::whole_number(word);
    if (n < low || n > high)
        fail(at, key, word, fmt::format("a whole number from {} to {}", low, high), kExample);
    return n;
}

GpuId host(const Place& at, const char* key, std::string_view word,
           std::span<const GpuId> gpu_of_node) {
    const bool mapped = !gpu_of_node.empty();
    const std::int64_t most = mapped ? static_cast<std::int64_t>(gpu_of_node.size()) - 1 : 1 << 20;
    const auto n = static_cast<std::size_t>(number(at, key, word, 0, most));
    if (!mapped) return GpuId{n};
    if (!gpu_of_node[n].valid()) fail(at, key, word, "a host, not a switch", kExample);
    return gpu_of_node[n];
}

FlowSpec read_flow(const std::vector<std::string_view>& words, const Place& at,
                   std::span<const GpuId> gpu_of_node) {
    if (words.size() != 6)
        fail(at, "flow", fmt::format("{} words", words.size()),
             "src dst pg dport size_bytes start_seconds", kExample);
    FlowSpec f;
    f.src = host(at, "src", words[0], gpu_of_node);
    f.dst = host(at, "dst", words[1], gpu_of_node);
    if (f.src == f.dst) fail(at, "dst", words[1], "another host than the source", kExample);
    (void)number(at, "pg", words[2], 0, 7);
    f.tag = static_cast<std::uint16_t>(number(at, "dport", words[3], 0, 65535));
    f.size = Bytes{number(at, "size", words[4], 1, kMostBytes)};
    const std::int64_t start = text::scaled_number(words[5], 12);
    if (start < 0) fail(at, "start", words[5], "seconds from 0 to 1000000", kExample);
    f.start = SimTime{start};
    return f;
}

}  // namespace

bool is_flow_list(std::string_view text) {
    for (const Line& line : lines_of(text.substr(0, 4096))) {
        const std::vector<std::string_view> words = words_of(line.text);
        if (!words.empty()) return words.size() == 1 && text::whole_number(words[0]) >= 0;
    }
    return false;
}

FlowSet read_flow_list(const std::string& text, const std::string& file,
                       std::span<const GpuId> gpu_of_node) {
    FlowSet set;
    std::int64_t count = -1;
    std::int64_t beyond = 0;
    for (const Line& line : lines_of(text)) {
        const std::vector<std::string_view> words = words_of(line.text);
        if (words.empty()) continue;
        const Place at{&file, line.number};
        if (count < 0) {
            count = number(at, "count", words[0], 0, kMostFlows);
            if (words.size() != 1) fail(at, "count", words[1], "the number of flows alone", "2");
        } else if (static_cast<std::int64_t>(set.flows.size()) < count) {
            set.flows.push_back(read_flow(words, at, gpu_of_node));
        } else {
            ++beyond;
        }
    }
    if (static_cast<std::int64_t>(set.flows.size()) != count)
        fail({&file, 0}, "count", std::to_string(std::max<std::int64_t>(count, 0)),
             fmt::format("as many flows as follow, {}", set.flows.size()), "2");
    if (beyond > 0)
        set.notes.push_back(
            fmt::format("The file says {} flows: {} further lines are not read, "
                        "as HPCC has it.",
                        count, beyond));
    set.notes.emplace_back("Priority groups are left out: all data is of one class.");
    return set;
}

}  // namespace weft::hpcc
