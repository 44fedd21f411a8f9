#include "traces/torch/torch.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace weft::torch {

std::optional<Collective> collective_of(const std::string& name) {
    std::string plain;
    for (const char c : name)
        if (c != '_') plain += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    static constexpr std::array<std::pair<const char*, Collective>, 9> kNames{{
        {"allreduce", Collective::kAllReduce},
        {"allgather", Collective::kAllGather},
        {"reducescatter", Collective::kReduceScatter},
        {"alltoall", Collective::kAllToAll},
        {"broadcast", Collective::kBroadcast},
        {"barrier", Collective::kAllReduce},
        // Parts of the names above.
        {"reduce", Collective::kReduce},
        {"gather", Collective::kGather},
        {"scatter", Collective::kScatter},
    }};
    for (const auto& [word, kind] : kNames)
        if (plain.find(word) != std::string::npos) return kind;
    return std::nullopt;
}

bool is_message(const std::string& name) {
    const std::size_t colon = name.rfind(':');
    const std::string word = name.substr(colon == std::string::npos ? 0 : colon + 1);
    return word.rfind("send", 0) == 0 || word.rfind("recv", 0) == 0;
}

std::int64_t element_bytes(const std::string& type) {
    static constexpr std::array<std::pair<const char*, std::int64_t>, 20> kTypes{{
        {"Byte", 1},        {"Char", 1},         {"Short", 2},           {"Int", 4},
        {"Long", 8},        {"Half", 2},         {"Float", 4},           {"Double", 8},
        {"ComplexHalf", 4}, {"ComplexFloat", 8}, {"ComplexDouble", 16},  {"Bool", 1},
        {"BFloat16", 2},    {"Float8_e5m2", 1},  {"Float8_e4m3fn", 1},   {"UInt16", 2},
        {"UInt32", 4},      {"UInt64", 8},       {"Float8_e5m2fnuz", 1}, {"Float8_e4m3fnuz", 1},
    }};
    for (const auto& [name, bytes] : kTypes)
        if (type == name) return bytes;
    return 0;
}

std::optional<Ranks> parse_ranks(const std::string& text) {
    const std::size_t first = text.find('[');
    const std::size_t last = text.rfind(']');
    if (first == std::string::npos || last == std::string::npos || last < first)
        return std::nullopt;
    Ranks ranks;
    const char* at = text.data() + first + 1;
    const char* const end = text.data() + last;
    const auto skip = [&] {
        while (at != end && (*at == ' ' || *at == ',')) ++at;
    };
    for (skip(); at != end; skip()) {
        if (!ranks.cut && end - at >= 3 && std::equal(at, at + 3, "...")) {
            ranks.cut = true;
            at += 3;
            continue;
        }
        std::uint32_t rank = 0;
        const auto [next, error] = std::from_chars(at, end, rank);
        if (error != std::errc{} || ranks.last) return std::nullopt;
        if (ranks.cut)
            ranks.last = rank;
        else
            ranks.listed.push_back(rank);
        at = next;
    }
    if (ranks.listed.empty()) return std::nullopt;
    return ranks;
}

std::optional<Partition> rule_of(const Ranks& ranks, std::uint32_t size, std::uint32_t rank,
                                 std::uint32_t world) {
    const std::vector<std::uint32_t>& r = ranks.listed;
    if (r.empty() || size == 0 || (ranks.cut ? r.size() > size : r.size() != size))
        return std::nullopt;
    if (size > 1 && (r.size() < 2 || r[1] <= r[0])) return std::nullopt;
    const std::uint64_t stride = size > 1 ? r[1] - r[0] : 1;
    for (std::size_t i = 0; i < r.size(); ++i)
        if (r[i] != r[0] + i * stride) return std::nullopt;
    if (ranks.last && *ranks.last != r[0] + (size - 1) * stride) return std::nullopt;
    const std::uint64_t block = stride * size;
    if (world % block != 0 || rank >= world) return std::nullopt;
    if (r[0] != rank / block * block + rank % stride) return std::nullopt;
    Partition rule;
    rule.size = size;
    rule.stride = static_cast<std::uint32_t>(stride);
    return rule;
}

}  // namespace weft::torch
