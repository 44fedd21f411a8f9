#include "topology/io/htsim/topo.hpp"

#include <array>
#include <fmt/format.h>
#include <optional>

#include "base/text.hpp"
#include "topology/builder.hpp"
#include "topology/host/host.hpp"

namespace weft::htsim {
namespace {

using text::fail;
using text::Line;
using text::lines_of;
using text::Place;
using text::words_of;

constexpr int kMostTiers = 3;

enum Key : std::size_t {
    kRate,
    kDown,
    kUp,
    kLatency,
    kSwitch,
    kOver,
    kBundle,
    kQueueUp,
    kQueueDown
};
struct KeyRow {
    const char* name;
    std::int64_t fallback;  // -1: needed
    std::int64_t low, high;
};
/// In the order of Key.
constexpr std::array<KeyRow, 9> kTierKeys{{{"downlink_speed_gbps", -1, 1, 100'000},
                                           {"radix_down", -1, 1, 1 << 16},
                                           {"radix_up", -1, 1, 1 << 16},
                                           {"downlink_latency_ns", -1, 0, 1'000'000'000},
                                           {"switch_latency_ns", 0, 0, 1'000'000'000},
                                           {"oversubscribed", 1, 1, 1 << 16},
                                           {"bundle", 1, 1, 1 << 16},
                                           {"queue_up", 0, 0, std::int64_t{1} << 40},
                                           {"queue_down", 0, 0, std::int64_t{1} << 40}}};
constexpr std::array<KeyRow, 3> kHeadKeys{
    {{"nodes", -1, 1, 1 << 18}, {"tiers", -1, 2, kMostTiers}, {"podsize", -1, 1, 1 << 18}}};

struct Value {
    std::int64_t value = 0;
    int line = 0;  // 0: not given
};

struct Tier {
    int line = 0;  // 0: not there
    std::array<Value, kTierKeys.size()> values;
    [[nodiscard]] std::int64_t operator[](Key k) const { return values[k].value; }
};

struct File {
    const std::string* name;
    std::array<Value, kHeadKeys.size()> head;
    std::array<Tier, kMostTiers> tiers;
    [[nodiscard]] std::int64_t nodes() const { return head[0].value; }
    [[nodiscard]] std::size_t count() const { return static_cast<std::size_t>(head[1].value); }
};

std::string_view code_of(const Line& line) {
    return text::trim(line.text.substr(0, line.text.find('#')));
}

void set(Value& v, const KeyRow& row, std::string_view word, const Place& at) {
    if (v.line != 0) fail(at, row.name, "a second one", "each key once", {});
    const std::int64_t n = text::whole_number(word);
    if (n < row.low || n > row.high)
        fail(at, row.name, word, fmt::format("a whole number from {} to {}", row.low, row.high),
             fmt::format("{} {}", row.name, std::max<std::int64_t>(row.low, 8)));
    v = {n, at.line};
}

template <std::size_t N>
std::size_t index_of(const std::array<KeyRow, N>& rows, const std::string& key) {
    std::size_t i = 0;
    while (i < N && key != rows[i].name) ++i;
    return i;
}

/// One line: `Tier 1`, or a key and its number.
void take(File& file, Tier*& tier, const std::vector<std::string_view>& words, const Place& at) {
    const std::string key = text::lower(words[0]);
    if (words.size() != 2) fail(at, key, words.back(), "one number after the key", "Radix_Down 8");
    if (key == "tier") {
        const std::int64_t t = text::whole_number(words[1]);
        if (t < 0 || t >= kMostTiers) fail(at, key, words[1], "0, 1 or 2", "Tier 0");
        tier = &file.tiers[static_cast<std::size_t>(t)];
        if (tier->line != 0) fail(at, key, words[1], "each tier once", {});
        tier->line = at.line;
        return;
    }
    if (tier == nullptr) {
        const std::size_t i = index_of(kHeadKeys, key);
        if (i == kHeadKeys.size())
            fail(at, key, words[0], "Nodes, Tiers, Podsize or Tier", "Nodes 1024");
        return set(file.head[i], kHeadKeys[i], words[1], at);
    }
    const std::size_t i = index_of(kTierKeys, key);
    if (i == kTierKeys.size()) {
        std::string known;
        for (const KeyRow& row : kTierKeys)
            known += (known.empty() ? "" : ", ") + std::string(row.name);
        fail(at, key, words[0], "one of " + known, "Radix_Down 8");
    }
    set(tier->values[i], kTierKeys[i], words[1], at);
}

void complete(File& file) {
    for (std::size_t i = 0; i < kHeadKeys.size(); ++i)
        if (file.head[i].line == 0)
            fail({file.name, 0}, kHeadKeys[i].name, "nothing", "this key in the header",
                 "Nodes 1024");
    for (std::size_t t = 0; t < kMostTiers; ++t) {
        Tier& tier = file.tiers[t];
        const Place at{file.name, tier.line};
        if ((tier.line != 0) != (t < file.count()))
            fail(at, fmt::format("tier {}", t), tier.line == 0 ? "nothing" : "a tier too many",
                 fmt::format("tiers 0 to {}", file.count() - 1), {});
        if (tier.line == 0) continue;
        for (std::size_t i = 0; i < kTierKeys.size(); ++i) {
            Value& v = tier.values[i];
            const bool top = t + 1 == file.count();
            if (v.line != 0 && i == kUp && top)
                fail({file.name, v.line}, "radix_up", "uplinks of the top tier", "none there", {});
            if (v.line != 0) continue;
            if (kTierKeys[i].fallback < 0 && !(i == kUp && top))
                fail(at, fmt::format("tier {}", t), "nothing",
                     std::string("the key ") + kTierKeys[i].name, {});
            v.value = std::max<std::int64_t>(kTierKeys[i].fallback, 0);
        }
    }
}

File parse(const std::string& text, const std::string& name) {
    File file{.name = &name, .head = {}, .tiers = {}};
    Tier* tier = nullptr;
    for (const Line& line : lines_of(text)) {
        const std::vector<std::string_view> words = words_of(code_of(line));
        if (!words.empty()) take(file, tier, words, {&name, line.number});
    }
    complete(file);
    return file;
}

/// Switches by tier, after every count was found whole.
struct Shape {
    std::int64_t pods = 1;
    std::int64_t tors = 0;  // of a pod
    std::int64_t aggs = 0;  // of a pod
    std::int64_t cores = 0;
};

std::int64_t whole(const File& file, std::size_t tier, Key key, std::int64_t total,
                   std::int64_t part, const std::string& what) {
    if (part > 0 && total % part == 0 && total > 0) return total / part;
    const Tier& t = file.tiers[tier];
    fail({file.name, t.values[key].line == 0 ? t.line : t.values[key].line}, kTierKeys[key].name,
         std::to_string(part), fmt::format("a divisor of {}, {}", total, what), {});
}

void equal(const File& file, std::size_t tier, Key key, std::int64_t expected,
           const std::string& what) {
    const Value& v = file.tiers[tier].values[key];
    if (v.value != expected)
        fail({file.name, v.line == 0 ? file.tiers[tier].line : v.line}, kTierKeys[key].name,
             std::to_string(v.value), fmt::format("{}, {}", expected, what), {});
}

Shape shape_of(const File& file) {
    const auto& t = file.tiers;
    const bool three = file.count() == 3;
    Shape s;
    const std::int64_t podsize = file.head[2].value;
    if (file.nodes() % podsize != 0 || (!three && podsize != file.nodes()))
        fail({file.name, file.head[2].line}, "podsize", std::to_string(podsize),
             three ? fmt::format("a divisor of the {} nodes", file.nodes())
                   : fmt::format("{}, all nodes, for 2 tiers", file.nodes()),
             {});
    s.pods = file.nodes() / podsize;
    s.tors = whole(file, 0, kDown, podsize, t[0][kDown], "the hosts of a pod");
    s.aggs = whole(file, 1, kBundle, t[0][kUp], t[1][kBundle], "the uplinks of a ToR");
    equal(file, 1, kDown, s.tors * t[1][kBundle], "a bundle to every ToR of the pod");
    if (three) {
        s.cores =
            s.aggs * whole(file, 2, kBundle, t[1][kUp], t[2][kBundle], "the uplinks of tier 1");
        equal(file, 2, kDown, s.pods * t[2][kBundle], "a bundle to every pod");
    }
    for (std::size_t i = 0; i + 1 < file.count(); ++i) {
        if (t[i].values[kOver].line == 0) continue;
        const std::int64_t down = t[i][kDown] * t[i][kRate];
        const std::int64_t up = t[i][kUp] * t[i + 1][kRate];
        if (down != t[i][kOver] * up)
            fail({file.name, t[i].values[kOver].line}, "oversubscribed",
                 std::to_string(t[i][kOver]),
                 fmt::format("{} Gbit/s down to {} up, as the radices have it", down, up), {});
    }
    return s;
}

class Builder {
  public:
    Builder(const File& file, const Shape& shape) : file_(file), s_(shape) {}

    Fabric run() {
        b_.assume("A host is one GPU and one NIC of one port; PCIe is never the limit.");
        b_.assume("A switch's latency is folded into its links, half into each.");
        std::vector<NodeId> cores;
        for (std::int64_t c = 0; c < s_.cores; ++c) cores.push_back(add_switch(3, c, kAny, kAny));
        for (std::int64_t pod = 0; pod < s_.pods; ++pod) add_pod(pod, cores);
        return b_.build();
    }

  private:
    NodeId add_switch(std::int32_t tier, std::int64_t index, std::int32_t segment,
                      std::int32_t pod) {
        Node n;
        n.tier = tier;
        n.segment = segment;
        n.pod = pod;
        n.index = static_cast<std::int32_t>(index);
        return b_.add_node(n);
    }

    [[nodiscard]] Bandwidth rate(std::size_t tier) const {
        return Bandwidth{file_.tiers[tier][kRate] * 1'000'000'000};
    }

    /// Of the links that hang below tier `t`, half the switches at their ends included.
    [[nodiscard]] SimDuration latency(std::size_t t) const {
        std::int64_t switches = file_.tiers[t][kSwitch];
        if (t > 0) switches += file_.tiers[t - 1][kSwitch];
        return ns(file_.tiers[t][kLatency]) + ns(switches) / 2;
    }

    void connect(NodeId low, NodeId high, std::size_t tier) {
        for (std::int64_t i = 0; i < file_.tiers[tier][kBundle]; ++i)
            b_.add_cable(low, high, LinkKind::kFabric, rate(tier), latency(tier));
    }

    void add_pod(std::int64_t pod, const std::vector<NodeId>& cores) {
        const auto tag = static_cast<std::int32_t>(pod);
        std::vector<NodeId> aggs;
        for (std::int64_t a = 0; a < s_.aggs; ++a) {
            aggs.push_back(add_switch(2, pod * s_.aggs + a, kAny, tag));
            for (std::int64_t c = a; c < s_.cores; c += s_.aggs)
                connect(aggs.back(), cores[static_cast<std::size_t>(c)], 2);
        }
        for (std::int64_t t = 0; t < s_.tors; ++t) {
            const std::int64_t index = pod * s_.tors + t;
            const NodeId tor = add_switch(1, index, static_cast<std::int32_t>(index), tag);
            for (const NodeId agg : aggs) connect(tor, agg, 1);
            for (std::int64_t h = 0; h < file_.tiers[0][kDown]; ++h) add_host_at(tor, index, tag);
        }
    }

    void add_host_at(NodeId tor, std::int64_t segment, std::int32_t pod) {
        const HostTemplate t = end_host(rate(0), latency(0));
        const std::vector<NodeId> nics = add_host(
            b_, t,
            {.host = host_, .segment = static_cast<int>(segment), .pod = pod, .domain = host_});
        b_.add_cable(nics.front(), tor, LinkKind::kAccess, t.port_rate, t.port_latency);
        ++host_;
    }

    const File& file_;
    const Shape& s_;
    FabricBuilder b_{"htsim-fat-tree"};
    int host_ = 0;
};

}  // namespace

bool is_topology(std::string_view text) {
    for (const Line& line : lines_of(text.substr(0, 4096))) {
        const std::vector<std::string_view> words = words_of(code_of(line));
        if (!words.empty()) return text::lower(words[0]) == "nodes";
    }
    return false;
}

Fabric read_topology(const std::string& text, const std::string& file) {
    const File f = parse(text, file);
    const Shape shape = shape_of(f);
    try {
        return Builder(f, shape).run();
    } catch (const ConfigError& e) {
        throw e.at(file, 0, "nodes");
    }
}

}  // namespace weft::htsim
