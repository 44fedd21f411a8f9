#include "topology/io/freeform.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>
#include <map>
#include <numeric>

#include "topology/host/host.hpp"

namespace weft {
namespace {

constexpr int kMaxDevices = 1'000'000;
constexpr int kMaxCables = 4'000'000;
constexpr int kMaxOfHost = 16'384;

struct HostGroup {
    std::vector<std::vector<NodeId>> nics;  // [host][NIC]
};
struct SwitchGroup {
    std::vector<NodeId> nodes;
};

/// Builds the groups in the file's order; links refer to groups by name.
class FreeForm {
  public:
    explicit FreeForm(FabricBuilder& b) : b_(b) {}

    void hosts(MapReader& m) {
        const std::string name = new_name(m);
        const int count = m.count("count", 1, kMaxDevices, "16");
        const HostTemplate t = read_template(m);
        const int segment = m.count_or("segment", 0, kMaxDevices, 0);
        const int pod = m.count_or("pod", 0, kMaxDevices, 0);
        budget(m, devices_, std::int64_t{count} * (t.gpus + t.nics + 1), kMaxDevices);
        std::int64_t inside = 0;  // cables between GPUs and NICs
        for (const auto& nics : t.nearest) inside += static_cast<std::int64_t>(nics.size());
        budget(m, cables_, count * inside, kMaxCables);
        m.finish();
        HostGroup group;
        for (int i = 0; i < count; ++i, ++next_host_)
            group.nics.push_back(add_host(
                b_, t, {.host = next_host_, .segment = segment, .pod = pod, .domain = next_host_}));
        hosts_[name] = std::move(group);
    }

    void switches(MapReader& m) {
        const std::string name = new_name(m);
        const int count = m.count("count", 1, kMaxDevices, "8");
        const int tier = m.count("tier", 1, 3, "1");
        Node n;
        n.kind = NodeKind::kSwitch;
        n.tier = tier;
        n.plane = m.count_or("plane", 0, 15, 0);
        n.segment = m.count_or("segment", 0, kMaxDevices, kAny);
        n.pod = m.count_or("pod", 0, kMaxDevices, kAny);
        budget(m, devices_, count, kMaxDevices);
        m.finish();
        SwitchGroup group;
        for (int i = 0; i < count; ++i) {
            n.index = next_switch_[static_cast<std::size_t>(tier)]++;
            group.nodes.push_back(b_.add_node(n));
        }
        switches_[name] = std::move(group);
    }

    void links(MapReader& m) {
        const std::string from = m.text("from", "node");
        const std::string to = m.text("to", "leaf");
        const Bandwidth rate = positive(m, "rate", m.rate("rate", "400Gbps"));
        const SimDuration latency = m.duration_or("latency", ns(500));
        const auto upper = switches_.find(to);
        if (upper == switches_.end()) unknown(m, "to", to, "a group of switches above");
        if (const auto host = hosts_.find(from); host != hosts_.end()) {
            connect_hosts(m, host->second, upper->second, rate, latency);
        } else if (const auto lower = switches_.find(from); lower != switches_.end()) {
            connect_switches(m, lower->second, upper->second, rate, latency);
        } else {
            unknown(m, "from", from, "a group of hosts or switches above");
        }
    }

    [[nodiscard]] bool any_host() const { return !hosts_.empty(); }

  private:
    /// A named template, then what the group changes of it.
    static HostTemplate read_template(MapReader& m) {
        HostTemplate t = host_templates()[m.choice_or("template", host_template_names(), 0)].host;
        t.gpus = m.count_or("gpus", 1, kMaxOfHost, t.gpus);
        t.nics = m.count_or("nics", 0, kMaxOfHost, t.nics);
        t.rails = read_rails(m, t.nics);
        t.nearest = read_nearest(m, t);
        if (t.nearest.empty() && t.nics % t.gpus != 0 && (t.nics == 0 || t.gpus % t.nics != 0))
            throw ConfigError({.file = m.file(),
                               .line = m.line(),
                               .key = m.path_of("nics"),
                               .found = std::to_string(t.nics),
                               .expected = fmt::format(
                                   "a multiple or a divisor of the {} GPUs, or `nearest`", t.gpus),
                               .example = std::to_string(t.gpus)});
        t.scale_up = positive(m, "scale_up_rate", m.rate_or("scale_up_rate", t.scale_up));
        t.scale_up_latency = m.duration_or("scale_up_latency", t.scale_up_latency);
        t.pcie = positive(m, "pcie_rate", m.rate_or("pcie_rate", t.pcie));
        t.pcie_latency = m.duration_or("pcie_latency", t.pcie_latency);
        t.in_network = m.choice_or("in_network", {"no", "yes"}, t.in_network ? 1 : 0) == 1;
        return t;
    }

    static int number(const MapReader& m, const std::string& key, const ConfigNode& n, int below) {
        int value = -1;
        const char* end = n.scalar.data() + n.scalar.size();
        const auto read = std::from_chars(n.scalar.data(), end, value);
        if (n.kind != ConfigNode::Kind::kScalar || read.ec != std::errc{} || read.ptr != end ||
            value < 0 || value >= below)
            m.reject(n, key, n.scalar, fmt::format("a number below {}", below), "0");
        return value;
    }

    static std::vector<int> numbers(const MapReader& m, const std::string& key, const ConfigNode& n,
                                    int below, const char* example) {
        if (n.kind != ConfigNode::Kind::kList) m.reject(n, key, n.scalar, "a list", example);
        std::vector<int> all;
        for (const ConfigNode& item : n.items) all.push_back(number(m, key, item, below));
        return all;
    }

    /// `rails: [0, 2]`: of each NIC.
    static std::vector<int> read_rails(MapReader& m, int nics) {
        const ConfigNode* n = m.find("rails");
        if (n == nullptr) return {};
        std::vector<int> rails = numbers(m, "rails", *n, kMaxOfHost, "[0, 1]");
        if (std::cmp_not_equal(rails.size(), nics))
            m.reject(*n, "rails", fmt::format("{} rails", rails.size()),
                     fmt::format("one for each of the {} NICs", nics), {});
        return rails;
    }

    /// `nearest: [[0], [1, 2]]`: the NICs of each GPU; `nearest: all`: every NIC, of each.
    static std::vector<std::vector<int>> read_nearest(MapReader& m, const HostTemplate& t) {
        const ConfigNode* n = m.find("nearest");
        if (n == nullptr) return {};
        if (n->kind == ConfigNode::Kind::kScalar && n->scalar == "all") {
            std::vector<int> every(static_cast<std::size_t>(t.nics));
            std::iota(every.begin(), every.end(), 0);
            return {static_cast<std::size_t>(t.gpus), every};
        }
        if (n->kind != ConfigNode::Kind::kList || std::cmp_not_equal(n->items.size(), t.gpus))
            m.reject(*n, "nearest", n->scalar,
                     fmt::format("`all`, or a list of NICs for each of the {} GPUs", t.gpus),
                     "[[0], [1, 2]]");
        std::vector<std::vector<int>> all;
        for (const ConfigNode& gpu : n->items) {
            all.push_back(numbers(m, "nearest", gpu, t.nics, "[0, 1]"));
            std::vector<int> sorted = all.back();
            std::sort(sorted.begin(), sorted.end());
            if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
                m.reject(gpu, "nearest", "a NIC twice", "each NIC once", "[0, 1]");
        }
        return all;
    }

    static Bandwidth positive(MapReader& m, const std::string& key, Bandwidth rate) {
        if (rate <= Bandwidth{0}) m.reject(*m.find(key), key, "0", "a positive rate", "400Gbps");
        return rate;
    }

    static void budget(const MapReader& m, std::int64_t& used, std::int64_t more,
                       std::int64_t limit) {
        used += more;
        if (used > limit)
            throw ConfigError({.file = m.file(),
                               .line = m.line(),
                               .key = m.path_of("count"),
                               .found = std::to_string(used),
                               .expected = fmt::format("at most {} in all", limit),
                               .example = {}});
    }

    [[noreturn]] void unknown(MapReader& m, const std::string& key, const std::string& found,
                              const std::string& what) const {
        std::vector<std::string> names;
        for (const auto& [name, group] : hosts_) names.push_back(name);
        for (const auto& [name, group] : switches_) names.push_back(name);
        m.reject(*m.find(key), key, found,
                 names.empty() ? what : what + ": " + suggest(found, names), {});
    }

    std::string new_name(MapReader& m) {
        std::string name = m.text("name", "leaf");
        if (hosts_.count(name) + switches_.count(name) > 0)
            m.reject(*m.find("name"), "name", name, "a name not used before", name + "2");
        return name;
    }

    /// NIC of rail r in host h: `rail` -> switch (h / hosts_per_switch) * rails + r, `host` ->
    /// switch h / hosts_per_switch. `nic`: only that one of each host, as by `host`.
    void connect_hosts(MapReader& m, const HostGroup& hosts, const SwitchGroup& upper,
                       Bandwidth rate, SimDuration latency) {
        const int nic = m.count_or("nic", 0, kMaxOfHost, kAny);
        const bool by_rail = m.choice_or("rule", {"rail", "host"}, 0) == 0 && nic == kAny;
        const int count = static_cast<int>(hosts.nics.size());
        const int per_switch = m.count_or("hosts_per_switch", 1, kMaxDevices, count);
        const int rails = static_cast<int>(hosts.nics.front().size());
        if (nic >= rails)
            m.reject(*m.find("nic"), "nic", std::to_string(nic),
                     fmt::format("one of the host's {} NICs", rails), "0");
        const int groups = (count + per_switch - 1) / per_switch;
        const std::int64_t needed = std::int64_t{groups} * (by_rail ? rails : 1);
        if (std::cmp_greater(needed, upper.nodes.size()))
            m.reject(*m.find("to"), "to", fmt::format("{} switches", upper.nodes.size()),
                     fmt::format("{}: {} groups of hosts{}", needed, groups,
                                 by_rail ? fmt::format(" x {} rails", rails) : ""),
                     {});
        budget(m, cables_, std::int64_t{count} * rails, kMaxCables);
        m.finish();
        for (int h = 0; h < count; ++h)
            for (int r = 0; r < rails; ++r) {
                if (nic != kAny && r != nic) continue;
                const int at = h / per_switch * (by_rail ? rails : 1) + (by_rail ? r : 0);
                b_.add_cable(hosts.nics[static_cast<std::size_t>(h)][static_cast<std::size_t>(r)],
                             upper.nodes[static_cast<std::size_t>(at)], LinkKind::kAccess, rate,
                             latency);
            }
    }

    /// Every switch of one group with every switch of the other, `cables` times.
    void connect_switches(MapReader& m, const SwitchGroup& lower, const SwitchGroup& upper,
                          Bandwidth rate, SimDuration latency) {
        const int cables = m.count_or("cables", 1, 1024, 1);
        if (&lower == &upper)
            m.reject(*m.find("to"), "to", m.text("to", ""), "another group than `from`", {});
        budget(m, cables_,
               static_cast<std::int64_t>(lower.nodes.size() * upper.nodes.size()) * cables,
               kMaxCables);
        m.finish();
        for (const NodeId a : lower.nodes)
            for (const NodeId c : upper.nodes)
                for (int i = 0; i < cables; ++i)
                    b_.add_cable(a, c, LinkKind::kFabric, rate, latency);
    }

    FabricBuilder& b_;
    std::map<std::string, HostGroup> hosts_;
    std::map<std::string, SwitchGroup> switches_;
    std::array<int, 4> next_switch_{};
    int next_host_ = 0;
    std::int64_t devices_ = 0;
    std::int64_t cables_ = 0;
};

}  // namespace

void read_freeform(MapReader& document, FabricBuilder& b) {
    FreeForm form(b);
    for (MapReader& m : document.maps("hosts")) form.hosts(m);
    for (MapReader& m : document.maps("switches")) form.switches(m);
    for (MapReader& m : document.maps("links")) form.links(m);
    if (!form.any_host())
        throw ConfigError({.file = document.file(),
                           .line = document.line(),
                           .key = "hosts",
                           .found = "no hosts",
                           .expected = "at least one group of hosts",
                           .example = "hosts: [{name: node, count: 4, gpus: 8}]"});
}

}  // namespace weft
