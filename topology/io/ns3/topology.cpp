#include "topology/io/ns3/topology.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <optional>

#include "base/text.hpp"
#include "topology/builder.hpp"
#include "topology/host/host.hpp"

namespace weft::ns3 {
namespace {

using text::fail;
using text::Line;
using text::lines_of;
using text::Place;
using text::words_of;

constexpr std::int64_t kMostNodes = 1 << 18;
constexpr const char* kHeaderExample = "376 56 480";

struct Cable {
    std::size_t a = 0;
    std::size_t b = 0;
    Bandwidth rate;
    SimDuration delay;
    int line = 0;
};

enum class Role : std::uint8_t { kHost, kNvSwitch, kSwitch };

struct File {
    const std::string* name;
    std::size_t per_server = 1;
    std::string gpu_type;
    std::vector<Role> roles;  // by node
    std::vector<Cable> cables;
    std::size_t lossy = 0;  // cables with an error rate
};

/// Words with their lines, as ns-3 reads them: ends of lines mean nothing.
class Words {
  public:
    Words(std::string_view text, const std::string& file) : file_(file), lines_(lines_of(text)) {}

    /// The next word; fails where there is none.
    std::string_view next(const char* key, const std::string& expected) {
        while (at_ == words_.size()) {
            if (line_ == lines_.size()) fail(place(), key, "the end of the file", expected, {});
            words_ = words_of(lines_[line_++].text);
            at_ = 0;
        }
        return words_[at_++];
    }
    std::int64_t number(const char* key, std::int64_t low, std::int64_t high) {
        const std::string expected = fmt::format("a whole number from {} to {}", low, high);
        const std::string_view word = next(key, expected);
        const std::int64_t n = text::whole_number(word);
        if (n < low || n > high) fail(place(), key, word, expected, {});
        return n;
    }
    void end() {
        while (at_ == words_.size() && line_ < lines_.size()) {
            words_ = words_of(lines_[line_++].text);
            at_ = 0;
        }
        if (at_ < words_.size())
            fail(place(), "link", words_[at_], "nothing after the last link",
                 "as many links as the first line says");
    }
    [[nodiscard]] Place place() const { return {&file_, static_cast<int>(line_)}; }

  private:
    const std::string& file_;
    std::vector<Line> lines_;
    std::size_t line_ = 0;  // the next
    std::vector<std::string_view> words_;
    std::size_t at_ = 0;
};

struct Header {
    std::int64_t nodes = 0;
    std::int64_t nv_switches = 0;
    std::int64_t switches = 0;
    std::int64_t links = 0;
};

std::vector<std::string_view> first_words(std::string_view text) {
    return words_of(text.substr(0, std::min(text.find('\n'), std::size_t{200})));
}

Header read_header(Words& words, File& file, bool simai) {
    Header h;
    h.nodes = words.number("nodes", 1, kMostNodes);
    if (simai) {
        file.per_server = static_cast<std::size_t>(words.number("gpus_per_server", 1, 1024));
        h.nv_switches = words.number("nvswitches", 0, h.nodes - 1);
    }
    h.switches = words.number("switches", 0, h.nodes - 1 - h.nv_switches);
    h.links = words.number("links", 1, 4'000'000);
    if (simai) file.gpu_type = words.next("gpu_type", "the name of a GPU");
    return h;
}

template <class Parse>
auto quantity(const Words& words, const char* key, std::string_view word, Parse parse) {
    try {
        return parse(std::string(word));
    } catch (const ConfigError& e) {
        throw e.at(*words.place().file, words.place().line, key);
    }
}

Cable read_cable(Words& words, File& file) {
    const auto last = static_cast<std::int64_t>(file.roles.size()) - 1;
    Cable c;
    c.a = static_cast<std::size_t>(words.number("link", 0, last));
    c.line = words.place().line;
    c.b = static_cast<std::size_t>(words.number("link", 0, last));
    if (c.a == c.b)
        fail(words.place(), "link", std::to_string(c.a), "two nodes", "0 320 100Gbps 1000ns 0");
    c.rate = quantity(words, "rate", words.next("rate", "a rate"), parse_bandwidth);
    c.delay = quantity(words, "delay", words.next("delay", "a time"), parse_duration);
    if (c.rate < Bandwidth{1'000'000} || c.rate > Bandwidth{100'000'000'000'000})
        fail(words.place(), "rate", to_string(c.rate), "1 Mbps to 100 Tbps", "100Gbps");
    if (c.delay < SimDuration{0} || c.delay > ms(10'000))
        fail(words.place(), "delay", to_string(c.delay), "0 to 10 s", "1000ns");
    const std::string_view rate = words.next("error_rate", "a share of packets from 0 to 1");
    const std::int64_t ppb = text::scaled_number(rate, 9);
    if (ppb < 0 || ppb > 1'000'000'000)
        fail(words.place(), "error_rate", rate, "a share of packets from 0 to 1", "0.000000");
    if (ppb > 0) ++file.lossy;
    return c;
}

File parse(const std::string& text, const std::string& name) {
    File file;
    file.name = &name;
    Words words(text, name);
    const bool simai = first_words(text).size() == 6;
    const Header h = read_header(words, file, simai);
    file.roles.assign(static_cast<std::size_t>(h.nodes), Role::kHost);
    for (std::int64_t i = 0; i < h.nv_switches + h.switches; ++i) {
        const std::int64_t id = words.number("switch", 0, h.nodes - 1);
        Role& role = file.roles[static_cast<std::size_t>(id)];
        if (role != Role::kHost)
            fail(words.place(), "switch", std::to_string(id), "each switch once", {});
        role = i < h.nv_switches ? Role::kNvSwitch : Role::kSwitch;
    }
    for (std::int64_t i = 0; i < h.links; ++i) file.cables.push_back(read_cable(words, file));
    words.end();
    return file;
}

/// Distance of every switch from the nearest host; 0 elsewhere.
std::vector<std::int32_t> tiers_of(const File& file) {
    std::vector<std::vector<std::size_t>> next(file.roles.size());
    std::vector<std::int32_t> tier(file.roles.size(), 0);
    std::vector<std::size_t> queue;
    const auto reach = [&](std::size_t node, std::int32_t t) {
        if (file.roles[node] != Role::kSwitch || tier[node] != 0) return;
        tier[node] = t;
        queue.push_back(node);
    };
    for (const Cable& c : file.cables) {
        next[c.a].push_back(c.b);
        next[c.b].push_back(c.a);
        if (file.roles[c.a] == Role::kHost) reach(c.b, 1);
        if (file.roles[c.b] == Role::kHost) reach(c.a, 1);
    }
    for (std::size_t head = 0; head < queue.size(); ++head)
        for (const std::size_t n : next[queue[head]]) reach(n, tier[queue[head]] + 1);
    for (std::size_t n = 0; n < tier.size(); ++n)
        if (file.roles[n] == Role::kSwitch && tier[n] == 0)
            fail({file.name, 0}, "switch", std::to_string(n), "a switch that some host reaches",
                 {});
    return tier;
}

class Builder {
  public:
    explicit Builder(const File& file) : file_(file), node_(file.roles.size()) {
        topology_.gpu_of_node.resize(file.roles.size());
    }

    Topology run() {
        b_.assume("A host's PCIe is never the limit; a switch's tier is its distance from a host.");
        if (file_.lossy > 0)
            b_.assume(fmt::format("Error rates of {} links are left out: they lose nothing.",
                                  file_.lossy));
        add_switches();
        file_.gpu_type.empty() ? add_hosts() : add_servers();
        bool several = false;
        std::vector<bool> wired(node_.size(), false);
        for (const Cable& c : file_.cables) {
            if (is(c, Role::kNvSwitch)) continue;
            const bool access = is(c, Role::kHost);
            b_.add_cable(node_[c.a], node_[c.b], access ? LinkKind::kAccess : LinkKind::kFabric,
                         c.rate, c.delay);
            if (!access) continue;
            const std::size_t host = file_.roles[c.a] == Role::kHost ? c.a : c.b;
            several = several || wired[host];
            wired[host] = true;
        }
        b_.port_mode(several ? PortMode::kDualTor : PortMode::kSingle);
        topology_.fabric = b_.build();
        return std::move(topology_);
    }

  private:
    [[nodiscard]] bool is(const Cable& c, Role role) const {
        return file_.roles[c.a] == role || file_.roles[c.b] == role;
    }

    void add_switches() {
        const std::vector<std::int32_t> tier = tiers_of(file_);
        std::vector<std::int32_t> count(file_.roles.size() + 2, 0);  // by tier
        for (std::size_t n = 0; n < node_.size(); ++n) {
            if (file_.roles[n] != Role::kSwitch) continue;
            const auto t = static_cast<std::size_t>(tier[n]);
            Node node;
            node.tier = tier[n];
            node.index = count[t]++;
            node.pod = 0;
            node_[n] = b_.add_node(node);
        }
    }

    /// HPCC's: every host by itself, in the order of the ids.
    void add_hosts() {
        for (const Cable& c : file_.cables) refuse_odd(c);
        for (std::size_t n = 0; n < node_.size(); ++n) {
            if (file_.roles[n] != Role::kHost) continue;
            const HostTemplate t = end_host(Bandwidth{1}, {});
            const int host = static_cast<int>(hosts_++);
            node_[n] = add_host(b_, t, {.host = host, .domain = host}).front();
            topology_.gpu_of_node[n] = GpuId{gpus_++};
        }
    }

    void refuse_odd(const Cable& c) const {
        const auto at = [&](std::size_t n) { return file_.roles[n]; };
        if (at(c.a) == Role::kHost && at(c.b) == Role::kHost)
            fail({file_.name, c.line}, "link", fmt::format("{} {}", c.a, c.b),
                 "a switch at one end: links between hosts are not supported", {});
        if (is(c, Role::kNvSwitch) && !is(c, Role::kHost))
            fail({file_.name, c.line}, "link", fmt::format("{} {}", c.a, c.b),
                 "NVSwitches linked to GPUs alone", {});
    }

    /// SimAI's: servers of `per_server` GPUs on one NVSwitch.
    void add_servers() {
        HostTemplate t = end_host(Bandwidth{1}, {});
        const std::vector<std::size_t> hub = hubs(t);
        const bool bare = std::count(file_.roles.begin(), file_.roles.end(), Role::kNvSwitch) == 0;
        const std::size_t each = bare ? 1 : file_.per_server;
        std::vector<std::size_t> gpus;
        for (std::size_t n = 0; n < node_.size(); ++n)
            if (file_.roles[n] == Role::kHost) gpus.push_back(n);
        if (gpus.size() % each != 0)
            fail({file_.name, 1}, "gpus_per_server", std::to_string(each),
                 fmt::format("a divisor of the {} GPUs", gpus.size()), {});
        t.gpus = t.nics = static_cast<int>(each);
        const char first = file_.gpu_type.front();
        t.generation = first == 'A' ? GpuGeneration::kAmpere : GpuGeneration::kHopper;
        t.in_network = file_.gpu_type == "H100" || file_.gpu_type == "H800";
        std::vector<bool> taken(node_.size() + 1, false);
        for (std::size_t g = 0; g < gpus.size(); g += each) {
            if (!bare && taken[hub[gpus[g]]])
                fail({file_.name, 0}, "nvswitch", std::to_string(hub[gpus[g]]),
                     fmt::format("one for each {} GPUs", each), {});
            taken[hub[gpus[g]]] = true;
            const int host = static_cast<int>(hosts_++);
            const std::vector<NodeId> nics = add_host(b_, t, {.host = host, .domain = host});
            for (std::size_t i = 0; i < each; ++i) {
                if (!bare && hub[gpus[g + i]] != hub[gpus[g]])
                    fail({file_.name, 0}, "nvswitch", fmt::format("GPU {}", gpus[g + i]),
                         fmt::format("the NVSwitch of GPU {}, of the same server", gpus[g]), {});
                node_[gpus[g + i]] = nics[i];
                topology_.gpu_of_node[gpus[g + i]] = GpuId{gpus_++};
            }
        }
    }

    /// The NVSwitch of every GPU; their links, all alike, go into the template.
    [[nodiscard]] std::vector<std::size_t> hubs(HostTemplate& t) const {
        std::vector<std::size_t> hub(node_.size(), node_.size());
        const Cable* first = nullptr;
        for (const Cable& c : file_.cables) {
            refuse_odd(c);
            if (!is(c, Role::kNvSwitch)) continue;
            if (first == nullptr) first = &c;
            const std::size_t gpu = file_.roles[c.a] == Role::kHost ? c.a : c.b;
            if (hub[gpu] != node_.size() || c.rate != first->rate || c.delay != first->delay)
                fail({file_.name, c.line}, "link", fmt::format("{} {}", c.a, c.b),
                     "one link from each GPU to its NVSwitch, all alike", {});
            hub[gpu] = gpu == c.a ? c.b : c.a;
        }
        if (first == nullptr) return hub;
        t.scale_up = first->rate;
        t.scale_up_latency = first->delay;
        for (std::size_t n = 0; n < hub.size(); ++n)
            if (file_.roles[n] == Role::kHost && hub[n] == node_.size())
                fail({file_.name, 0}, "nvswitch", fmt::format("GPU {} without one", n),
                     "a link from each GPU to its NVSwitch", {});
        return hub;
    }

    const File& file_;
    FabricBuilder b_{"ns3-topology"};
    std::vector<NodeId> node_;  // by the file's id: switch, or NIC
    Topology topology_;
    std::size_t hosts_ = 0;
    std::size_t gpus_ = 0;
};

}  // namespace

bool is_topology(std::string_view text) {
    const std::vector<std::string_view> words = first_words(text);
    if (words.size() != 3 && words.size() != 6) return false;
    return std::all_of(words.begin(), words.begin() + (words.size() == 3 ? 3 : 5),
                       [](std::string_view w) { return text::whole_number(w) >= 0; });
}

Topology read_topology(const std::string& text, const std::string& file) {
    if (!is_topology(text))
        fail({&file, 1}, "header", text.substr(0, std::min(text.find('\n'), std::size_t{60})),
             "nodes, switches and links, or the six words of SimAI", kHeaderExample);
    const File f = parse(text, file);
    try {
        return Builder(f).run();
    } catch (const ConfigError& e) {
        throw e.at(file, 0, "links");
    }
}

}  // namespace weft::ns3
