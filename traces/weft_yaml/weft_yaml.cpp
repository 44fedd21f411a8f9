#include "traces/weft_yaml/weft_yaml.hpp"

#include <array>
#include <charconv>
#include <fmt/format.h>
#include <map>
#include <optional>
#include <set>

#include "topology/io/document.hpp"
#include "traces/program_builder.hpp"

namespace weft::weft_yaml {
namespace {

constexpr int kMaxRepeat = 1'000'000;
constexpr std::size_t kMaxExpanded = 1'000'000;
constexpr std::uint32_t kNobody = ~0U;
constexpr std::int64_t kMaxSize = std::int64_t{1} << 50;  // 1 PiB

// All but send/recv, which is two messages.
const std::vector<std::string> kCollectiveNames{"allreduce", "allgather", "reducescatter",
                                                "alltoall",  "broadcast", "reduce",
                                                "gather",    "scatter"};
constexpr std::array kKinds{Collective::kAllReduce,     Collective::kAllGather,
                            Collective::kReduceScatter, Collective::kAllToAll,
                            Collective::kBroadcast,     Collective::kReduce,
                            Collective::kGather,        Collective::kScatter};
const std::vector<std::string> kPhases{"forward", "backward", "backward-weight", "step"};
constexpr const char* kOpExample = "{collective: allreduce, group: TP, size: 64MiB}";

Bytes size_at(MapReader& m, const std::string& key) {
    const std::string text = m.text(key, "64MiB");
    try {
        const Bytes size = parse_bytes(text);
        if (size < Bytes{0} || size.count() > kMaxSize)
            m.reject(*m.find(key), key, text, "a size from 0 to 1 PiB", "64MiB");
        return size;
    } catch (const ConfigError& e) {
        throw e.at(m.file(), m.find(key)->line, m.path_of(key));
    }
}

/// "+1", "-2".
std::int32_t offset_at(MapReader& m, const std::string& key) {
    const std::string text = m.text(key, "+1");
    const char* first = text.data() + (text.front() == '+' ? 1 : 0);
    const char* const last = text.data() + text.size();
    std::int32_t value = 0;
    const auto [end, error] = std::from_chars(first, last, value);
    constexpr auto kFar = static_cast<std::int32_t>(kMaxWorld);
    if (error != std::errc{} || end != last || value == 0 || value > kFar || value < -kFar)
        m.reject(*m.find(key), key, text, "steps along the group, not 0", key + ": +1");
    return value;
}

bool flag_at(MapReader& m, const std::string& key) {
    return m.choice_or(key, {"false", "true"}, 0) == 1;
}

/// The values of a key that takes one text or a list of them.
std::vector<const ConfigNode*> one_or_many(MapReader& m, const std::string& key,
                                           const ConfigNode& node, const std::string& example) {
    std::vector<const ConfigNode*> all;
    if (node.kind == ConfigNode::Kind::kScalar) all.push_back(&node);
    for (const ConfigNode& item : node.items) all.push_back(&item);
    for (const ConfigNode* n : all)
        if (n->kind != ConfigNode::Kind::kScalar || n->scalar.empty())
            m.reject(*n, key, "no plain value", "one value or a list of them", example);
    if (node.kind == ConfigNode::Kind::kMap)
        m.reject(node, key, "a map", "one value or a list of them", example);
    return all;
}

class Reader {
  public:
    Reader(const TraceText& trace, const LoadOptions& options)
        : file_(trace.file), options_(options), root_(parse_document(trace.text, trace.file)) {}

    Workload run() {
        MapReader m(root_, file_, "");
        w_.name = m.text("workload", "my-job");
        w_.world =
            static_cast<std::uint32_t>(m.count("world", 1, static_cast<int>(kMaxWorld), "64"));
        if (options_.gpus != 0 && options_.gpus != w_.world)
            m.reject(*m.find("world"), "world", std::to_string(w_.world),
                     fmt::format("{} as --gpus says: the groups and ranks of this format are fixed",
                                 options_.gpus),
                     fmt::format("world: {}", options_.gpus));
        read_groups(m);
        read_stages(m);
        read_assumptions(m);
        if (m.has("measured_step")) {
            w_.measured.step = measured_at(m, "measured_step");
            w_.measured.source = "the trace";
        }
        m.finish();
        return std::move(w_);
    }

  private:
    using Ops = std::vector<std::uint32_t>;

    struct Scope {
        ProgramBuilder out;
        Ops now;                                   // what the next op waits for
        std::map<std::string, std::uint32_t> ids;  // the latest op of each id
        std::int32_t microbatch = -1;
    };

    void read_groups(MapReader& m) {
        const ConfigNode* groups = m.find("groups");
        if (groups == nullptr) return;
        const MapReader only_maps(*groups, file_, "groups");
        for (const auto& [name, node] : groups->entries) {
            MapReader g(node, file_, "groups." + printable(name));
            const int most = static_cast<int>(w_.world);
            GroupFamily f;
            f.name = printable(name);
            f.groups.size = static_cast<std::uint32_t>(g.count("size", 1, most, "8"));
            f.groups.stride = static_cast<std::uint32_t>(g.count_or("stride", 1, most, 1));
            const std::uint64_t block = std::uint64_t{f.groups.size} * f.groups.stride;
            if (w_.world % block != 0)
                g.reject(node, "size", fmt::format("size x stride = {}", block),
                         fmt::format("a divisor of the world of {} ranks", w_.world),
                         "{size: 8, stride: 1}");
            g.finish();
            w_.families.push_back(std::move(f));
        }
        if (w_.families.size() > 64)
            m.reject(*groups, "groups", fmt::format("{} families", w_.families.size()),
                     "at most 64", "");
    }

    void read_stages(MapReader& m) {
        w_.program_of.assign(w_.world, kNobody);
        std::vector<MapReader> stages = m.maps("stages");
        if (stages.empty())
            m.reject(root_, "stages", "no stage", "a list of stages",
                     "stages: [{ranks: all, ops: [{compute: 1ms}]}]");
        const ConfigNode& list = *m.find("stages");
        for (MapReader& s : stages) read_stage(s);
        for (std::uint32_t r = 0; r < w_.world; ++r)
            if (w_.program_of[r] == kNobody)
                m.reject(list, "stages", fmt::format("no stage for rank {}", r),
                         "each rank in exactly one stage", "ranks: all");
    }

    void read_stage(MapReader& s) {
        const auto index = static_cast<std::uint32_t>(w_.programs.size());
        const std::string name =
            s.has("name") ? s.text("name", "stage 0") : fmt::format("stage {}", index);
        const ConfigNode* ranks = s.find("ranks");
        if (ranks == nullptr)
            place_ranks(s, ConfigNode{ConfigNode::Kind::kScalar, s.line(), "all", {}, {}}, index);
        else
            for (const ConfigNode* n : one_or_many(s, "ranks", *ranks, "ranks: 0-31"))
                place_ranks(s, *n, index);
        Scope scope{ProgramBuilder(printable(name)), {}, {}, -1};
        std::set<std::string> ids;
        const std::vector<Item> items = read_ops(s, ids);
        s.finish();
        expand(items, scope, 0);
        w_.programs.push_back(scope.out.take());
    }

    /// "all", "7" or "0-31".
    void place_ranks(MapReader& s, const ConfigNode& node, std::uint32_t program) {
        const std::string& text = node.scalar;
        std::uint32_t first = 0;
        std::uint32_t last = w_.world - 1;
        if (text != "all") {
            const char* const end = text.data() + text.size();
            auto at = std::from_chars(text.data(), end, first);
            last = first;
            if (at.ec == std::errc{} && at.ptr != end && *at.ptr == '-')
                at = std::from_chars(at.ptr + 1, end, last);
            if (at.ec != std::errc{} || at.ptr != end || first > last || last >= w_.world)
                s.reject(node, "ranks", text,
                         fmt::format("ranks from 0 to {}, as a-b", w_.world - 1), "ranks: 0-31");
        }
        for (std::uint32_t r = first; r <= last; ++r) {
            if (w_.program_of[r] != kNobody)
                s.reject(node, "ranks", fmt::format("rank {} again", r),
                         "each rank in exactly one stage", "ranks: 0-31");
            w_.program_of[r] = program;
        }
    }

    SimDuration measured_at(MapReader& m, const std::string& key) {
        const SimDuration time = m.duration(key, "2.1ms");
        if (time <= SimDuration{0})
            m.reject(*m.find(key), key, to_string(time), "a time above 0", "2.1ms");
        return time;
    }

    /// The text is read once; repeats are unrolled from this.
    struct Item {
        SimDuration measured;
        int repeat = 0;          // 0: an operation
        std::vector<Item> body;  // of a repeat
        std::variant<ComputeOp, CollectiveOp, P2pOp> what;
        Phase phase = Phase::kForward;
        std::string label;
        bool waits = true;  // later ops wait for it
        std::string id;
        std::optional<std::vector<std::string>> after;
    };

    std::vector<Item> read_ops(MapReader& m, std::set<std::string>& ids) {
        const ConfigNode& list = m.at("ops", fmt::format("[{}]", kOpExample));
        std::vector<Item> items;
        for (MapReader& op : m.maps("ops")) items.push_back(read_op(op, ids));
        if (items.empty())
            m.reject(list, "ops", "no operation", "a list of operations", kOpExample);
        return items;
    }

    Item read_op(MapReader& m, std::set<std::string>& ids) {
        Item item;
        if (m.has("repeat")) {
            item.repeat = m.count("repeat", 1, kMaxRepeat, "8");
            item.body = read_ops(m, ids);
            m.finish();
            return item;
        }
        static constexpr std::array<const char*, 4> kKinds{"compute", "collective", "send", "recv"};
        int kinds = 0;
        for (const char* kind : kKinds) kinds += m.has(kind) ? 1 : 0;
        if (kinds != 1)
            throw ConfigError({.file = file_,
                               .line = m.line(),
                               .key = m.path_of("ops"),
                               .found = kinds == 0 ? "none of them" : "several of them",
                               .expected = "one of compute, collective, send, recv, repeat",
                               .example = kOpExample});
        item.what = read_what(m);
        if (m.has("measured")) {
            if (std::holds_alternative<ComputeOp>(item.what))
                m.reject(*m.find("measured"), "measured", "a time of a compute op",
                         "the measured time as the value of compute", "compute: 900us");
            item.measured = measured_at(m, "measured");
            w_.measured.source = "the trace";
        }
        item.phase = static_cast<Phase>(m.choice_or("phase", kPhases, 0));
        item.label = printable(m.has("label") ? m.text("label", "attention") : label_of(m));
        if (const ConfigNode* names = m.find("after")) {
            item.after.emplace();
            for (const ConfigNode* n : one_or_many(m, "after", *names, "after: [grads]")) {
                if (ids.count(n->scalar) == 0)
                    m.reject(*n, "after", n->scalar, "the id of an earlier op of this stage",
                             "id: grads");
                item.after->push_back(n->scalar);
            }
        }
        item.waits = !flag_at(m, "async") && !m.has("send");
        if (m.has("id")) ids.insert(item.id = m.text("id", "grads"));
        m.finish();
        return item;
    }

    void expand(const std::vector<Item>& items, Scope& scope, int depth) {
        for (const Item& item : items) {
            for (int i = 0; i < item.repeat; ++i) {
                if (depth == 0) scope.microbatch = i;
                expand(item.body, scope, depth + 1);
            }
            if (depth == 0) scope.microbatch = -1;
            if (item.repeat == 0) add(item, scope);
        }
    }

    void add(const Item& item, Scope& scope) {
        if (++expanded_ > kMaxExpanded)
            throw ConfigError({.file = file_,
                               .line = root_.line,
                               .key = "stages",
                               .found = "more operations",
                               .expected = fmt::format("at most {} after repeats", kMaxExpanded),
                               .example = "repeat: 8"});
        Ops after = scope.now;
        if (item.after) {
            after.clear();
            for (const std::string& id : *item.after) after.push_back(scope.ids.at(id));
        }
        scope.out.at(item.label, scope.microbatch, item.phase);
        const std::uint32_t op = scope.out.add(item.what, std::move(after), item.measured);
        if (item.waits) scope.now = Ops{op};
        if (!item.id.empty()) scope.ids[item.id] = op;
    }

    std::string label_of(MapReader& m) {
        if (m.has("collective")) return m.text("collective", "allreduce");
        return m.has("compute") ? "compute" : "p2p";
    }

    std::variant<ComputeOp, CollectiveOp, P2pOp> read_what(MapReader& m) {
        if (m.has("compute")) {
            const SimDuration time = m.duration("compute", "900us");
            if (time < SimDuration{0})
                m.reject(*m.find("compute"), "compute", to_string(time), "a time of 0 or more",
                         "900us");
            w_.has_compute |= time > SimDuration{0};
            return ComputeOp{time};
        }
        if (m.has("collective")) {
            const std::size_t kind = m.choice_or("collective", kCollectiveNames, 0);
            return CollectiveOp{kKinds.at(kind), group_at(m), size_at(m, "size")};
        }
        const bool send = m.has("send");
        P2pOp op;
        op.send = send;
        op.family = group_at(m);
        op.offset = offset_at(m, send ? "to" : "from");
        op.size = size_at(m, send ? "send" : "recv");
        return op;
    }

    std::uint32_t group_at(MapReader& m) {
        const std::string name = m.text("group", "TP");
        std::vector<std::string> known;
        for (std::uint32_t i = 0; i < w_.families.size(); ++i) {
            if (w_.families[i].name == name) return i;
            known.push_back(w_.families[i].name);
        }
        m.reject(
            *m.find("group"), "group", name,
            known.empty() ? "a group, and `groups` defines none" : "one of " + suggest(name, known),
            "groups: {TP: {size: 8}}");
    }

    void read_assumptions(MapReader& m) {
        if (const ConfigNode* said = m.find("assumptions"))
            for (const ConfigNode* n :
                 one_or_many(m, "assumptions", *said, "assumptions: [no recomputation]"))
                w_.assumptions.push_back(printable(n->scalar, 300));
        if (!w_.has_compute)
            w_.assumptions.push_back("compute: none in the trace (no op has a compute time)");
    }

    std::string file_;
    LoadOptions options_;
    ConfigNode root_;
    Workload w_ = [] {
        Workload w;
        w.has_compute = false;
        return w;
    }();
    std::size_t expanded_ = 0;
};

}  // namespace

bool recognises(std::string_view text) {
    constexpr std::string_view kKey = "workload:";
    for (std::size_t at = text.find(kKey); at != std::string_view::npos;
         at = text.find(kKey, at + 1))
        if (at == 0 || text[at - 1] == '\n') return true;
    return false;
}

Workload read(const TraceText& trace, const LoadOptions& options) {
    return Reader(trace, options).run();
}

}  // namespace weft::weft_yaml
