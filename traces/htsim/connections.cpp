#include "traces/htsim/connections.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <map>
#include <optional>

#include "base/text.hpp"

namespace weft::htsim {
namespace {

using text::fail;
using text::Line;
using text::lines_of;
using text::Place;
using text::words_of;

constexpr std::int64_t kMostNodes = 1 << 20;
constexpr std::int64_t kMostId = std::int64_t{1} << 32;
constexpr std::int64_t kMostBytes = std::int64_t{1} << 38;  // of one connection
constexpr const char* kExample = "0->13 id 1 start 0 size 2000000";

/// Header keys and how many lines of their kind must follow.
struct Count {
    const char* key;
    std::int64_t promised = -1;
    std::int64_t found = 0;
};

std::string_view code_of(const Line& line) {
    return text::trim(line.text.substr(0, line.text.find('#')));
}

class Reader {
  public:
    Reader(const std::string& file, StartUnit unit) : file_(file), unit_(unit) {}

    ConnectionMatrix run(const std::string& text) {
        for (const Line& line : lines_of(text)) {
            words_ = words_of(code_of(line));
            line_ = line.number;
            at_ = 0;
            if (!words_.empty()) take_line();
        }
        line_ = 0;
        if (out_.nodes == 0) reject("Nodes", "nothing", "the number of hosts", "Nodes 128");
        for (const Count& c : counts_)
            if (c.promised >= 0 ? c.promised != c.found : c.found != 0 || c.key == kConnections)
                reject(c.key, std::to_string(c.promised < 0 ? 0 : c.promised),
                       fmt::format("{}, as many as lines follow", c.found), {});
        resolve();
        add_notes();
        return std::move(out_);
    }

  private:
    [[noreturn]] void reject(const std::string& key, std::string_view found,
                             const std::string& expected, const std::string& example) const {
        fail({&file_, line_}, key, found, expected, example);
    }

    [[nodiscard]] bool more() const { return at_ < words_.size(); }
    std::string_view next(const char* key, const char* expected) {
        if (!more()) reject(key, "the end of the line", expected, kExample);
        return words_[at_++];
    }
    std::int64_t number(const char* key, std::int64_t low, std::int64_t high) {
        const std::string_view word = next(key, "a whole number");
        const std::int64_t n = text::whole_number(word);
        if (n < low || n > high)
            reject(key, word, fmt::format("a whole number from {} to {}", low, high), kExample);
        return n;
    }
    void end_of_line(const char* key) {
        if (more()) reject(key, words_[at_], "the end of the line", kExample);
    }

    void take_line() {
        const std::string_view first = words_[at_++];
        if (first == "trigger") return take_trigger();
        if (first == "failure") return take_failure();
        if (first.find("->") != std::string_view::npos) return take_connection(first);
        if (body_) reject("line", first, "a connection, a trigger or a failure", kExample);
        take_header(first);
    }

    void take_header(std::string_view key) {
        if (key == "Nodes") {
            if (out_.nodes != 0) reject("Nodes", "a second one", "each key once", {});
            out_.nodes = static_cast<std::size_t>(number("Nodes", 1, kMostNodes));
            return end_of_line("Nodes");
        }
        for (Count& c : counts_) {
            if (key != c.key) continue;
            if (c.promised >= 0) reject(c.key, "a second one", "each key once", {});
            c.promised = number(c.key, 0, kMostId);
            return end_of_line(c.key);
        }
        reject("line", key, "Nodes, Connections, Triggers, Failures, or a connection",
               "Connections 128");
    }

    void take_connection(std::string_view ends) {
        begin_body(0);
        const std::size_t arrow = ends.find("->");
        FlowSpec f;
        f.src = host(ends.substr(0, arrow));
        f.dst = host(ends.substr(arrow + 2));
        if (f.src == f.dst) reject("connection", ends, "two hosts that differ", kExample);
        Given given;
        while (more()) take_key(f, given);
        if (given.start == given.trigger)
            reject("connection", given.start ? "both start and trigger" : "neither",
                   "exactly one of start and trigger", kExample);
        if (given.trigger && given.id == 0)
            reject("id", "nothing", "an id where a trigger starts the flow",
                   "3->16 id 2 trigger 1 size 250000");
        if (f.size <= Bytes{0})
            reject("size", given.size ? "0" : "nothing",
                   "a size in bytes: endless flows are not supported", kExample);
        join(f, given);
        out_.set.flows.push_back(f);
    }

    struct Given {
        bool start = false, trigger = false, size = false, message = false;
        bool send_done = false, recv_done = false, prio = false;
        std::int64_t id = 0;
    };

    void once(bool& flag, const char* key) {
        if (std::exchange(flag, true)) reject(key, "a second one", "each key once", kExample);
    }

    void take_key(FlowSpec& f, Given& given) {
        const std::string_view key = words_[at_++];
        if (key == "id") {
            if (given.id != 0) reject("id", "a second one", "each key once", kExample);
            given.id = number("id", 1, kMostId);
        } else if (key == "start") {
            once(given.start, "start");
            f.start = start();
        } else if (key == "trigger") {
            once(given.trigger, "trigger");
            f.after = trigger("trigger");
        } else if (key == "size") {
            once(given.size, "size");
            f.size = Bytes{number("size", 0, kMostBytes)};
        } else if (key == "send_done_trigger") {
            once(given.send_done, "send_done_trigger");
            f.send_done = trigger("send_done_trigger");
        } else if (key == "recv_done_trigger") {
            once(given.recv_done, "recv_done_trigger");
            f.recv_done = trigger("recv_done_trigger");
        } else if (key == "prio") {
            once(given.prio, "prio");
            (void)number("prio", 0, kMostId);
            prio_ = true;
        } else if (key == "msg") {
            once(given.message, "msg");
            if (more() && text::whole_number(words_[at_]) >= 0) ++at_;
        } else {
            reject("connection", key,
                   "id, start, trigger, size, send_done_trigger, recv_done_trigger, prio or msg",
                   kExample);
        }
    }

    GpuId host(std::string_view word) {
        if (out_.nodes == 0) reject("Nodes", "nothing", "Nodes before the first connection", {});
        const std::int64_t n = text::whole_number(word);
        if (n < 0 || n >= static_cast<std::int64_t>(out_.nodes))
            reject("connection", word, fmt::format("a host from 0 to {}", out_.nodes - 1),
                   kExample);
        return GpuId{static_cast<std::size_t>(n)};
    }

    SimTime start() {
        const std::string_view word = next("start", "a time");
        const std::int64_t ps =
            text::scaled_number(word, unit_ == StartUnit::kMicroseconds ? 6 : 0);
        if (ps < 0) reject("start", word, "a time from 0 to 11 days, without a unit", kExample);
        timed_ = timed_ || ps > 0;
        return SimTime{ps};
    }

    /// The index of a trigger, which may be defined further on.
    std::uint32_t trigger(const char* key) {
        const std::int64_t id = number(key, 1, kMostId);
        const auto [at, fresh] = triggers_.try_emplace(id);
        if (fresh) {
            at->second.index = static_cast<std::uint32_t>(out_.set.triggers.size());
            at->second.used = line_;
            out_.set.triggers.emplace_back();
        }
        return at->second.index;
    }

    /// Flows of one id are messages of one connection; an id by itself is a name, once.
    void join(FlowSpec& f, const Given& given) {
        if (given.message && given.id == 0)
            reject("msg", "no id", "the id of the connection", "0->1 id 1 msg start 0 size 4096");
        if (given.id == 0) return;
        const auto number = static_cast<std::uint32_t>(connections_.size());
        const auto [at, fresh] =
            connections_.try_emplace(given.id, Shared{number, f.src, f.dst, given.message, {}});
        Shared& c = at->second;
        if (!fresh && !(given.message && c.message))
            reject("id", std::to_string(given.id), "an id that no other connection has", kExample);
        if (c.src != f.src || c.dst != f.dst)
            reject("msg", std::to_string(given.id), "the ends of the first message of this id", {});
        c.total += f.size;
        if (c.total.count() > kMostBytes)
            reject("size", to_string(c.total), "at most 256 GiB on one connection", {});
        if (given.message) f.connection = c.number;
    }

    void take_trigger() {
        begin_body(1);
        if (next("trigger", "id") != "id")
            reject("trigger", words_[1], "id", "trigger id 1 oneshot");
        const std::uint32_t index = trigger("trigger");
        Definition& d = triggers_[text::whole_number(words_[2])];
        if (d.line != 0) reject("trigger", words_[2], "each trigger once", {});
        d.line = line_;
        const std::string_view kind = next("trigger", "oneshot, multishot or barrier");
        constexpr std::array<const char*, 3> kKinds{"oneshot", "multishot", "barrier"};
        const auto at = std::find(kKinds.begin(), kKinds.end(), kind);
        if (at == kKinds.end())
            reject("trigger", kind, "oneshot, multishot or barrier", "trigger id 1 oneshot");
        FlowTrigger& t = out_.set.triggers[index];
        t.kind = static_cast<FlowTrigger::Kind>(at - kKinds.begin());
        const bool barrier = t.kind == FlowTrigger::Kind::kBarrier;
        if (!more() && barrier)
            reject("count", "nothing", "how many activations open the barrier",
                   "trigger id 1 barrier count 8");
        if (!more()) return;
        if (next("count", "count") != "count")
            reject("trigger", words_[at_ - 1], "count", "trigger id 1 barrier count 8");
        t.count = static_cast<std::uint32_t>(number("count", 1, (std::int64_t{1} << 31)));
        end_of_line("trigger");
    }

    void take_failure() {
        begin_body(2);
        constexpr const char* kForm = "failure switch_type AGG switch_id 0 link_id 0";
        const auto word = [&](const char* key) {
            if (next("failure", key) != key) reject("failure", words_[at_ - 1], key, kForm);
        };
        FailedLink l;
        l.line = line_;
        word("switch_type");
        const std::string_view type = next("switch_type", "TOR, AGG or CORE");
        constexpr std::array<const char*, 3> kTypes{"TOR", "AGG", "CORE"};
        const auto at = std::find(kTypes.begin(), kTypes.end(), type);
        if (at == kTypes.end()) reject("switch_type", type, "TOR, AGG or CORE", kForm);
        l.tier = static_cast<std::int32_t>(at - kTypes.begin()) + 1;
        word("switch_id");
        l.switch_id = static_cast<std::uint32_t>(number("switch_id", 0, kMostNodes));
        word("link_id");
        l.link = static_cast<std::uint32_t>(number("link_id", 0, kMostNodes));
        end_of_line("failure");
        out_.failures.push_back(l);
    }

    void begin_body(std::size_t kind) {
        body_ = true;
        ++counts_[kind].found;
    }

    void resolve() {
        for (const auto& [id, d] : triggers_) {
            line_ = d.used;
            if (d.line == 0)
                reject("trigger", std::to_string(id), "a trigger that is defined",
                       fmt::format("trigger id {} oneshot", id));
        }
        line_ = 0;
    }

    /// Of each trigger: what waits for it and how often it is activated.
    void add_notes() {
        std::vector<std::string>& notes = out_.set.notes;
        if (timed_)
            notes.push_back(
                fmt::format("Starts are read as {} ({}); --start-unit says otherwise.",
                            unit_ == StartUnit::kPicoseconds ? "picoseconds" : "microseconds",
                            unit_ == StartUnit::kPicoseconds ? "what generators write"
                                                             : "what htsim_uec reads"));
        if (prio_) notes.emplace_back("Priorities (prio) are left out.");
        std::vector<std::uint64_t> waiting(out_.set.triggers.size(), 0);
        std::vector<std::uint64_t> activations(out_.set.triggers.size(), 0);
        bool recv = false;
        for (const FlowSpec& f : out_.set.flows) {
            if (f.after != kNoTrigger) ++waiting[f.after];
            if (f.send_done != kNoTrigger) ++activations[f.send_done];
            if (f.recv_done == kNoTrigger) continue;
            ++activations[f.recv_done];
            recv = true;
        }
        if (recv)
            notes.emplace_back(
                "recv_done_trigger fires when the receiver has all bytes, as "
                "specified; htsim_uec never fires it.");
        for (const auto& [id, d] : triggers_) {
            const std::uint64_t most = started(d.index, waiting, activations);
            if (most < waiting[d.index])
                notes.push_back(
                    fmt::format("Of {} flows that wait for trigger {}, at most {} "
                                "start: it is activated {} times.",
                                waiting[d.index], id, most, activations[d.index]));
        }
        for (const FailedLink& l : out_.failures)
            if (l.tier != 2) {
                notes.emplace_back(
                    "Failures of TOR and CORE links are taken like those of AGG, "
                    "the only ones that htsim itself takes.");
                break;
            }
    }

    [[nodiscard]] std::uint64_t started(std::uint32_t t, const std::vector<std::uint64_t>& waiting,
                                        const std::vector<std::uint64_t>& activations) const {
        const FlowTrigger& trigger = out_.set.triggers[t];
        if (trigger.kind == FlowTrigger::Kind::kMultishot)
            return std::min(waiting[t], activations[t]);
        const std::uint64_t needed =
            trigger.kind == FlowTrigger::Kind::kBarrier ? trigger.count : 1;
        return activations[t] >= needed ? waiting[t] : 0;
    }

    struct Definition {
        std::uint32_t index = 0;
        int line = 0;  // where it is defined; 0: nowhere yet
        int used = 0;  // where it was first named
    };
    struct Shared {
        std::uint32_t number;
        GpuId src, dst;
        bool message;
        Bytes total;
    };
    static constexpr const char* kConnections = "Connections";

    const std::string& file_;
    StartUnit unit_;
    ConnectionMatrix out_;
    std::array<Count, 3> counts_{{{kConnections}, {"Triggers"}, {"Failures"}}};
    std::vector<std::string_view> words_;
    std::size_t at_ = 0;
    int line_ = 0;
    bool body_ = false;
    bool timed_ = false;
    bool prio_ = false;
    std::map<std::int64_t, Definition> triggers_;  // by the file's id
    std::map<std::int64_t, Shared> connections_;   // by the file's id
};

/// Distinct neighbours of a switch, above it or below it, each by its first link.
std::vector<LinkId> neighbours(const Fabric& fabric, NodeId at, bool above) {
    std::vector<LinkId> first;
    for (const LinkId l : fabric.out(at)) {
        const Node& to = fabric.node(fabric.link(l).to);
        if (fabric.link(l).kind != LinkKind::kFabric || (to.tier > fabric.node(at).tier) != above)
            continue;
        const bool known = std::any_of(first.begin(), first.end(), [&](LinkId other) {
            return fabric.link(other).to == fabric.link(l).to;
        });
        if (!known) first.push_back(l);
    }
    return first;
}

}  // namespace

bool is_connections(std::string_view text) {
    bool nodes = false;
    for (const Line& line : lines_of(text.substr(0, 4096))) {
        const std::vector<std::string_view> words = words_of(code_of(line));
        if (words.empty()) continue;
        if (words[0] == "Nodes" || words[0] == "Triggers" || words[0] == "Failures") {
            nodes = true;
        } else {
            return words[0] == "Connections" ||
                   (nodes && words[0].find("->") != std::string_view::npos);
        }
    }
    return nodes;
}

ConnectionMatrix read_connections(const std::string& text, const std::string& file,
                                  StartUnit unit) {
    return Reader(file, unit).run(text);
}

void remove_links(const ConnectionMatrix& matrix, const std::string& file, Fabric& fabric) {
    for (const FailedLink& f : matrix.failures) {
        std::optional<NodeId> at;
        for (std::size_t n = 0; n < fabric.nodes().size() && !at; ++n) {
            const Node& node = fabric.nodes()[n];
            if (node.kind == NodeKind::kSwitch && node.tier == f.tier &&
                node.index == static_cast<std::int32_t>(f.switch_id))
                at = NodeId{n};
        }
        const std::vector<LinkId> links =
            at ? neighbours(fabric, *at, f.tier < 3) : std::vector<LinkId>{};
        if (f.link >= links.size())
            fail({&file, f.line}, at ? "link_id" : "switch_id",
                 std::to_string(at ? f.link : f.switch_id),
                 at ? fmt::format("one of the {} links of {}", links.size(), fabric.name_of(*at))
                    : "a switch of this fabric",
                 {});
        fabric.impair(links[f.link], Bandwidth{0});
        fabric.impair(reverse(links[f.link]), Bandwidth{0});
    }
}

}  // namespace weft::htsim
