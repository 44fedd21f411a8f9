#include "simulator/endpoint/profile.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "base/registry.hpp"
#include "base/result.hpp"
#include "simulator/endpoint/belief.hpp"
#include "simulator/endpoint/embedded.hpp"
#include "topology/io/document.hpp"

namespace weft {
namespace {

constexpr std::int64_t kPsPerUs = 1'000'000;
constexpr std::int64_t kPsPerMs = 1'000'000'000;
constexpr std::int64_t kGBps = 1'000'000'000;

using U = CostUnit;

constexpr std::array<CostInfo, kCosts> kTable{{
    {"launch.ll", U::kTime, kPsPerUs, kPsPerMs, "launch of an LL collective, and its end"},
    {"launch.ll128", U::kTime, kPsPerUs, kPsPerMs, "the same for LL128"},
    {"launch.simple", U::kTime, kPsPerUs, kPsPerMs, "the same for Simple"},
    {"launch.in_network", U::kTime, kPsPerUs, kPsPerMs,
     "the same where the scale-up switch reduces (NVLS)"},
    {"scale_up_step.ll", U::kTime, 0, 100 * kPsPerUs, "a dependent step inside a scale-up domain"},
    {"scale_up_step.ll128", U::kTime, 0, 100 * kPsPerUs, "the same for LL128"},
    {"scale_up_step.simple", U::kTime, 0, 100 * kPsPerUs, "the same for Simple"},
    {"network_step.ll", U::kTime, 0, 500 * kPsPerUs, "a dependent step between NICs"},
    {"network_step.ll128", U::kTime, 0, 500 * kPsPerUs, "the same for LL128"},
    {"network_step.simple", U::kTime, 0, 500 * kPsPerUs, "the same for Simple"},
    {"message.scale_up", U::kTime, 0, 100 * kPsPerUs,
     "each message of a direct exchange inside a scale-up domain"},
    {"message.network", U::kTime, 0, 100 * kPsPerUs, "each message of a direct exchange on a NIC"},
    {"scale_up.rate", U::kPerMille, 100, 1000, "what a scale-up link carries of its nominal rate"},
    {"in_network.rate", U::kPerMille, 100, 1000,
     "the same for bytes that the switch reduces or multicasts"},
    {"nic.rate", U::kPerMille, 100, 1000, "the same for links of NICs and switches"},
    {"direct.rate", U::kPerMille, 100, 1000,
     "what a direct exchange, of many messages that nobody paces, carries of those rates"},
    {"in_network.fill", U::kPerMille, 0, 8000,
     "part of the first chunks' time that passes before all links are busy, where the switch "
     "reduces"},
    {"ll_most.one_host", U::kBytesPerSecond, kGBps, 1000 * kGBps,
     "most bus bandwidth of LL inside one host"},
    {"ll_most.two_hosts", U::kBytesPerSecond, kGBps, 1000 * kGBps, "the same over two hosts"},
    {"ll_most.more_hosts", U::kBytesPerSecond, kGBps, 1000 * kGBps, "the same over more"},
    {"tree.channel", U::kBytesPerSecond, kGBps, 1000 * kGBps,
     "most that one channel of a tree carries inside a host"},
}};

Estimate known(std::int64_t value, const char* from) {
    return {.value = value, .low = value, .high = value, .from = from};
}

MachineProfile make_constants() {
    MachineProfile p;
    p.name = "nccl-tuning";
    p.title = "NCCL's tuning constants, and SimAI's measured link rates; nothing fitted";
    const auto ns_ = [](std::int64_t n) { return n * 1000; };
    const char* nccl = "NCCL tuning.cc (facts E1)";
    const auto set = [&](Cost c, std::int64_t v, const char* from) { p.at(c) = known(v, from); };
    set(Cost::kLaunchLl, ns_(6600), nccl);
    set(Cost::kLaunchLl128, ns_(14000), nccl);
    set(Cost::kLaunchSimple, ns_(8400), nccl);
    set(Cost::kLaunchInNetwork, ns_(18200), "NCCL tuning.cc (facts E1): 25 us less two steps");
    set(Cost::kScaleUpStepLl, ns_(600), nccl);
    set(Cost::kScaleUpStepLl128, ns_(1900), nccl);
    set(Cost::kScaleUpStepSimple, ns_(3400), nccl);
    set(Cost::kNetworkStepLl, ns_(2700), nccl);
    set(Cost::kNetworkStepLl128, ns_(4000), nccl);
    set(Cost::kNetworkStepSimple, ns_(14000), nccl);
    set(Cost::kMessageScaleUp, 0, "not counted");
    set(Cost::kMessageNetwork, 0, "not counted");
    set(Cost::kScaleUpRate, 824, "SimAI calbusbw: 20.6 of 25 GB/s an NVLink (facts A3)");
    set(Cost::kInNetworkRate, 824, "as scale_up.rate");
    set(Cost::kNicRate, 970, "SimAI calbusbw: 48.5 of 50 GB/s (facts A3)");
    set(Cost::kDirectRate, 1000, "not counted");
    set(Cost::kInNetworkFill, 0, "not counted");
    set(Cost::kLlMostOneHost, 141 * kGBps, nccl);
    set(Cost::kLlMostTwoHosts, 45 * kGBps, nccl);
    set(Cost::kLlMostMoreHosts, 35 * kGBps, nccl);
    set(Cost::kTreeChannel, 38'700'000'000, nccl);
    return p;
}

std::string plain_or_quoted(const std::string& text) {
    const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
    return plain && !text.empty() && text[0] >= 'a' && text != "null" ? text : quoted_yaml(text);
}

/// The two ends of `key: [low, high]`.
std::array<const ConfigNode*, 2> read_ends(MapReader& r, const char* key, const char* example) {
    const ConfigNode& node = r.at(key, example);
    const bool two = node.kind == ConfigNode::Kind::kList && node.items.size() == 2 &&
                     node.items[0].kind == ConfigNode::Kind::kScalar &&
                     node.items[1].kind == ConfigNode::Kind::kScalar;
    if (!two) r.reject(node, key, "no list of two", "the least and the most", example);
    return {&node.items[0], &node.items[1]};
}

FittedRange read_fitted(MapReader& r) {
    constexpr std::uint32_t kMostHosts = 1 << 20;
    FittedRange f;
    std::vector<std::string> names;
    for (const Collective c : kCollectives) names.emplace_back(name_of(c));
    (void)r.at("collective", "allreduce");
    f.collective = static_cast<Collective>(r.choice_or("collective", names, 0));
    const auto hosts = read_ends(r, "hosts", "[1, 4]");
    const auto sizes = read_ends(r, "sizes", "[64KiB, 16GiB]");
    const auto host = [&](const ConfigNode& n) {
        std::uint32_t value = 0;
        for (const char c : n.scalar)
            if (c >= '0' && c <= '9' && value <= kMostHosts)
                value = value * 10 + static_cast<std::uint32_t>(c - '0');
            else
                value = kMostHosts + 1;
        if (value == 0 || value > kMostHosts)
            r.reject(n, "hosts", printable(n.scalar), "a number of hosts", "[1, 4]");
        return value;
    };
    const auto size = [&](const ConfigNode& n) {
        try {
            return parse_bytes(n.scalar);
        } catch (const ConfigError& e) {
            throw e.at(r.file(), n.line, r.path_of("sizes"));
        }
    };
    f.least_hosts = host(*hosts[0]);
    f.most_hosts = host(*hosts[1]);
    f.least_size = size(*sizes[0]);
    f.most_size = size(*sizes[1]);
    if (f.least_hosts > f.most_hosts || f.least_size > f.most_size)
        r.reject(*hosts[0], "hosts", "the most before the least", "[least, most]", "[1, 4]");
    r.finish();
    return f;
}

void read_remainders(MapReader& top, MachineProfile& p) {
    for (MapReader& one : top.maps("remainder")) {
        p.remainder.push_back(read_remainder(one));
        for (std::size_t i = 0; i + 1 < p.remainder.size(); ++i)
            if (p.remainder[i].of == p.remainder.back().of)
                one.reject(one.at("collective", ""), "collective",
                           to_string(p.remainder[i].of) + " a second time",
                           "one list of factors for each", "collective: allgather");
    }
}

}  // namespace

const std::array<CostInfo, kCosts>& cost_table() {
    return kTable;
}

std::int64_t nccl_constant(Cost c) {
    static const MachineProfile constants = make_constants();
    return constants[c];
}

const MachineProfile& nccl_tuning_profile() {
    static const MachineProfile profile = [] {
        MachineProfile p = make_constants();
        for (std::size_t i = 0; i < kCosts; ++i) set_range(p.costs[i], static_cast<Cost>(i), 0, 1);
        return p;
    }();
    return profile;
}

std::string cost_text(Cost c, std::int64_t value) {
    return value_text(kTable[static_cast<std::size_t>(c)].unit, value);
}

std::int64_t parse_cost(Cost c, const std::string& text) {
    return parse_value(kTable[static_cast<std::size_t>(c)].unit, text);
}

std::string to_yaml(const MachineProfile& p) {
    std::string out = fmt::format("machine: {}\n", quoted_yaml(p.name));
    if (!p.title.empty()) out += fmt::format("title: {}\n", quoted_yaml(p.title));
    std::vector<std::string> also;
    for (const std::string& one : p.also) also.push_back(plain_or_quoted(one));
    if (!also.empty()) out += fmt::format("also: [{}]\n", fmt::join(also, ", "));
    if (!p.fitted.empty()) out += "fitted:\n";
    for (const FittedRange& f : p.fitted)
        out += fmt::format("  - {{collective: {}, hosts: [{}, {}], sizes: [{}, {}]}}\n",
                           name_of(f.collective), f.least_hosts, f.most_hosts,
                           exact_size(f.least_size.count()), exact_size(f.most_size.count()));
    if (p.model_error > 0)
        out += fmt::format("model-error: {}\n", value_text(CostUnit::kPerMille, p.model_error));
    out += "costs:\n";
    for (std::size_t i = 0; i < kCosts; ++i) {
        out += fmt::format("  {}: {}\n", kTable[i].name, to_yaml(p.costs[i], kTable[i].unit));
    }
    return out + to_yaml(p.detailed) + to_yaml(p.remainder);
}

MachineProfile parse_profile(const std::string& text, const std::string& file) {
    const ConfigNode root = parse_document(text, file);
    MapReader top(root, file, "");
    MachineProfile p = nccl_tuning_profile();
    p.name = top.text("machine", "h100");
    if (top.has("title")) p.title = top.text("title", "8x H100 SXM");
    if (const ConfigNode* also = top.find("also")) {
        for (const ConfigNode& one : also->items) {
            if (one.scalar.empty())
                top.reject(one, "also", "something else", "a machine's name", "[h200, h800]");
            p.also.push_back(one.scalar);
        }
        if (p.also.empty())
            top.reject(*also, "also", "no list of names", "machines", "[h200, h800]");
    }
    for (MapReader& one : top.maps("fitted")) p.fitted.push_back(read_fitted(one));
    if (const ConfigNode* error = top.find("model-error")) {
        try {
            p.model_error = parse_value(CostUnit::kPerMille, error->scalar);
        } catch (const ConfigError&) {
            p.model_error = -1;
        }
        if (p.model_error < 0 || p.model_error > 1000)
            top.reject(*error, "model-error", printable(error->scalar), "at most 100%", "11.5%");
    }
    const ConfigNode& costs = top.at("costs", "launch.simple: {value: 8.4us}");
    MapReader reader(costs, file, "costs");
    for (std::size_t i = 0; i < kCosts; ++i) {
        const ConfigNode* node = reader.find(kTable[i].name);
        if (node == nullptr) continue;
        MapReader one(*node, file, reader.path_of(kTable[i].name));
        p.costs[i] = read_estimate(one, kTable[i].unit, kTable[i].least, kTable[i].most);
    }
    reader.finish();
    if (const ConfigNode* section = top.find("detailed"))
        p.detailed = parse_detailed(*section, file);
    read_remainders(top, p);
    top.finish();
    return p;
}

const std::vector<MachineProfile>& builtin_profiles() {
    static const std::vector<MachineProfile> rows = [] {
        std::vector<MachineProfile> all{nccl_tuning_profile()};
        for (const EmbeddedFile& f : embedded_profile_files())
            all.push_back(parse_profile(std::string(f.text), std::string(f.name)));
        return all;
    }();
    return rows;
}

const MachineProfile* profile_for(const std::vector<MachineProfile>& profiles,
                                  const std::string& machine) {
    for (const MachineProfile& p : profiles)
        if (p.name == machine || std::find(p.also.begin(), p.also.end(), machine) != p.also.end())
            return &p;
    return nullptr;
}

MachineProfile find_profile(const std::string& name_or_path) {
    if (const MachineProfile* p = profile_for(builtin_profiles(), name_or_path)) return *p;
    std::vector<std::string> names;
    for (const MachineProfile& p : builtin_profiles()) names.push_back(p.name);
    if (name_or_path.find('.') == std::string::npos && name_or_path.find('/') == std::string::npos)
        throw ConfigError({.file = {},
                           .line = 0,
                           .key = {},
                           .found = printable(name_or_path),
                           .expected = "a YAML file, or one of " + suggest(name_or_path, names),
                           .example = names.front()});
    return parse_profile(read_text_file(name_or_path), name_or_path);
}

}  // namespace weft
