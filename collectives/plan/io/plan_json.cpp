#include "collectives/plan/io/plan_json.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "base/result.hpp"
#include "collectives/plan/checker.hpp"
#include "collectives/plan/form.hpp"

namespace weft {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;
constexpr std::array<const char*, 4> kPatternNames{"ring", "direct", "tree", "explicit"};
constexpr std::array<const char*, 2> kArrivalNames{"copy", "reduce"};
constexpr std::array<const char*, 3> kBufferNames{"input", "output", "scratch"};
constexpr std::array<const char*, 2> kProtocolNames{"eager", "rendezvous"};

std::array<const char*, kCollectives.size()> collective_names() {
    std::array<const char*, kCollectives.size()> names{};
    for (const Collective c : kCollectives) names[static_cast<std::size_t>(c)] = name_of(c);
    return names;
}

[[noreturn]] void refuse(const std::string& key, const std::string& found,
                         const std::string& expected, const std::string& example) {
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = key,
                       .found = printable(found),
                       .expected = expected,
                       .example = example});
}

// ---- Out ----

Json json_of(const Partition& c) {
    Json j{{"size", c.size}, {"stride", c.stride}};
    if (!c.order.empty()) j["order"] = c.order;
    return j;
}

Json json_of(const ChunkMap& m) {
    Json j{{"span", m.span}, {"stride", m.stride}, {"index_step", m.index_step}};
    if (m.by_rank) j["by_rank"] = true;
    if (m.outer_span != 0) {
        j["outer_span"] = m.outer_span;
        j["outer"] = json_of(m.outer);
    }
    return j;
}

Json json_of(const std::vector<std::vector<Transfer>>& lists) {
    Json j = Json::array();
    for (const auto& list : lists) {
        Json one = Json::array();
        for (const Transfer& t : list)
            one.push_back({t.step, t.peer, t.units.first, t.units.count, t.units.stride});
        j.push_back(std::move(one));
    }
    return j;
}

struct PatternOut {
    Json& j;
    void operator()(const Ring& r) const {
        j["first"] = r.first;
        j["direction"] = r.direction;
        j["steps"] = r.steps;
        j["chunks"] = json_of(r.chunks);
    }
    void operator()(const Direct& d) const {
        j["by_destination"] = d.by_destination;
        j["recv_by_source"] = d.recv_by_source;
        j["send_chunks"] = json_of(d.send_chunks);
        j["recv_chunks"] = json_of(d.recv_chunks);
    }
    void operator()(const Tree& t) const {
        j["root"] = t.root;
        j["radix"] = t.radix;
        j["chunk_count"] = t.chunk_count;
        j["chunks"] = json_of(t.chunks);
        j["up"] = t.up;
        j["in_order"] = t.in_order;
        j["chain"] = t.chain;
    }
    void operator()(const Explicit& e) const {
        j["sends"] = json_of(e.sends);
        j["receives"] = json_of(e.recvs);
    }
};

Json json_of(const Stage& s) {
    Json j{{"pattern", kPatternNames[s.pattern.index()]}};
    std::visit(PatternOut{j}, s.pattern);
    j["cells"] = json_of(s.cells);
    j["arrival"] = kArrivalNames[static_cast<std::size_t>(s.arrival)];
    j["source"] = kBufferNames[static_cast<std::size_t>(s.source)];
    j["destination"] = kBufferNames[static_cast<std::size_t>(s.destination)];
    if (s.in_network) j["in_network"] = true;
    return j;
}

Json head_of(const Channel& c) {
    return {{"weight", c.weight},
            {"rail", c.rail},
            {"plane", c.plane},
            {"units", c.units},
            {"protocol", kProtocolNames[static_cast<std::size_t>(c.protocol)]},
            {"slots", c.slots},
            {"slice", c.slice.count()},
            {"loop_slices", c.loop_slices},
            {"min_loops", c.min_loops}};
}

// ---- In ----

/// One object: every key is asked for once, and none is left over at the end.
class Object {
  public:
    Object(const Json& json, std::string path) : json_(json), path_(std::move(path)) {
        if (!json.is_object()) refuse(path_, json.dump().substr(0, 40), "an object", "{}");
    }
    [[nodiscard]] std::string path(const std::string& key) const {
        return path_.empty() ? key : path_ + "." + key;
    }
    const Json* find(const char* key) {
        known_.insert(key);
        const auto at = json_.find(key);
        return at == json_.end() ? nullptr : &*at;
    }
    const Json& need(const char* key, const char* expected) {
        const Json* found = find(key);
        if (found == nullptr) refuse(path(key), "nothing", expected, expected);
        return *found;
    }
    template <class T>
    void number(const char* key, T& out) {
        if (const Json* j = find(key)) out = as_number<T>(*j, path(key));
    }
    void flag(const char* key, bool& out) {
        const Json* j = find(key);
        if (j == nullptr) return;
        if (!j->is_boolean()) refuse(path(key), j->dump(), "true or false", "true");
        out = j->get<bool>();
    }
    template <class E, std::size_t N>
    void name(const char* key, const std::array<const char*, N>& names, E& out) {
        const Json* j = find(key);
        if (j == nullptr) return;
        for (std::size_t i = 0; i < N; ++i)
            if (j->is_string() && j->get_ref<const std::string&>() == names[i]) {
                out = static_cast<E>(i);
                return;
            }
        refuse(path(key), j->dump(), fmt::format("one of {}", fmt::join(names, ", ")), names[0]);
    }
    /// Whatever has not been asked for.
    void done() const {
        for (const auto& [key, value] : json_.items())
            if (known_.count(key) == 0)
                refuse(path(key), "an unknown key",
                       fmt::format("one of {}", fmt::join(known_, ", ")), *known_.begin());
    }
    template <class T>
    static T as_number(const Json& j, const std::string& path) {
        const auto most = static_cast<std::uint64_t>(std::numeric_limits<T>::max());
        if (j.is_number_unsigned() && j.get<std::uint64_t>() <= most)
            return static_cast<T>(j.get<std::uint64_t>());
        if (std::numeric_limits<T>::is_signed && j.is_number_integer() && !j.is_number_unsigned()) {
            const auto v = j.get<std::int64_t>();
            if (v >= static_cast<std::int64_t>(std::numeric_limits<T>::min()))
                return static_cast<T>(v);
        }
        refuse(path, j.dump().substr(0, 40), "a whole number in range", "1");
    }

  private:
    const Json& json_;
    std::string path_;
    std::set<std::string> known_;
};

const Json& as_array(const Json& j, const std::string& path, std::size_t most) {
    if (!j.is_array()) refuse(path, j.dump().substr(0, 40), "a list", "[]");
    if (j.size() > most)
        refuse(path, fmt::format("{} entries", j.size()), fmt::format("at most {}", most), "[]");
    return j;
}

Partition partition_from(const Json& json, const std::string& path) {
    Object o(json, path);
    Partition c;
    o.number("size", c.size);
    o.number("stride", c.stride);
    if (const Json* order = o.find("order")) {
        const std::string where = o.path("order");
        for (const Json& r : as_array(*order, where, kMostPlanRanks))
            c.order.push_back(Object::as_number<std::uint32_t>(r, where));
        // Inverse; what is no permutation shows in the form.
        c.where.assign(c.order.size(), 0);
        for (std::uint32_t i = 0; i < c.order.size(); ++i)
            if (c.order[i] < c.where.size()) c.where[c.order[i]] = i;
    }
    o.done();
    return c;
}

ChunkMap chunks_from(Object& parent, const char* key) {
    ChunkMap m;
    const Json* json = parent.find(key);
    if (json == nullptr) return m;
    Object o(*json, parent.path(key));
    o.number("span", m.span);
    o.number("stride", m.stride);
    o.number("index_step", m.index_step);
    o.flag("by_rank", m.by_rank);
    o.number("outer_span", m.outer_span);
    if (const Json* outer = o.find("outer")) m.outer = partition_from(*outer, o.path("outer"));
    o.done();
    return m;
}

std::vector<std::vector<Transfer>> lists_from(Object& o, const char* key) {
    std::vector<std::vector<Transfer>> out;
    const std::string path = o.path(key);
    for (const Json& list : as_array(o.need(key, "a list for each rank"), path, kMostPlanRanks)) {
        out.emplace_back();
        for (const Json& t : as_array(list, path, 4096)) {
            if (!t.is_array() || t.size() != 5)
                refuse(path, t.dump().substr(0, 40),
                       "[step, peer, first unit, units, stride of units]", "[0, 1, 0, 1, 1]");
            const auto at = [&](std::size_t i) {
                return Object::as_number<std::uint32_t>(t[i], path);
            };
            out.back().push_back({.step = at(0), .peer = at(1), .units = {at(2), at(3), at(4)}});
        }
    }
    return out;
}

Pattern pattern_from(Object& o) {
    std::size_t kind = kPatternNames.size();
    static_cast<void>(o.need("pattern", "ring, direct, tree or explicit"));
    o.name("pattern", kPatternNames, kind);
    if (kind == 0) {
        Ring r;
        o.number("first", r.first);
        o.number("direction", r.direction);
        o.number("steps", r.steps);
        r.chunks = chunks_from(o, "chunks");
        return r;
    }
    if (kind == 1) {
        Direct d;
        o.flag("by_destination", d.by_destination);
        o.flag("recv_by_source", d.recv_by_source);
        d.send_chunks = chunks_from(o, "send_chunks");
        d.recv_chunks = chunks_from(o, "recv_chunks");
        return d;
    }
    if (kind == 2) {
        Tree t;
        o.number("root", t.root);
        o.number("radix", t.radix);
        o.number("chunk_count", t.chunk_count);
        t.chunks = chunks_from(o, "chunks");
        o.flag("up", t.up);
        o.flag("in_order", t.in_order);
        o.number("chain", t.chain);
        return t;
    }
    Explicit e;
    e.sends = lists_from(o, "sends");
    e.recvs = lists_from(o, "receives");
    e.number();
    return e;
}

Stage stage_from(const Json& json, const std::string& path) {
    Object o(json, path);
    Stage s;
    s.pattern = pattern_from(o);
    if (const Json* cells = o.find("cells")) s.cells = partition_from(*cells, o.path("cells"));
    o.name("arrival", kArrivalNames, s.arrival);
    o.name("source", kBufferNames, s.source);
    o.name("destination", kBufferNames, s.destination);
    o.flag("in_network", s.in_network);
    o.done();
    return s;
}

Channel channel_from(const Json& json, const std::string& path) {
    Object o(json, path);
    Channel c;
    o.number("weight", c.weight);
    o.number("rail", c.rail);
    o.number("plane", c.plane);
    o.number("units", c.units);
    o.name("protocol", kProtocolNames, c.protocol);
    o.number("slots", c.slots);
    std::int64_t slice = c.slice.count();
    o.number("slice", slice);
    c.slice = Bytes{slice};
    o.number("loop_slices", c.loop_slices);
    o.number("min_loops", c.min_loops);
    if (const Json* stages = o.find("stages")) {
        const std::string where = o.path("stages");
        for (const Json& s : as_array(*stages, where, 64))
            c.stages.push_back(stage_from(s, fmt::format("{}[{}]", where, c.stages.size())));
    }
    o.done();
    return c;
}

PlanTemplate template_from(const Json& json) {
    Object o(json, "");
    int version = 0;
    static_cast<void>(o.need("weft_plan", "1"));
    o.number("weft_plan", version);
    if (version != kVersion) refuse("weft_plan", std::to_string(version), "version 1", "1");
    PlanTemplate p;
    const Json& name = o.need("algorithm", "a name");
    if (!name.is_string() || name.get_ref<const std::string&>().size() > 200)
        refuse("algorithm", name.dump().substr(0, 40), "a name", "\"allreduce/mine\"");
    p.algorithm = printable(name.get_ref<const std::string&>(), 200);
    static_cast<void>(o.need("collective", "allreduce"));
    o.name("collective", collective_names(), p.collective);
    static_cast<void>(o.need("ranks", "4"));
    o.number("ranks", p.n);
    o.number("root", p.root);
    o.flag("deterministic", p.deterministic);
    o.flag("in_place", p.in_place_ok);
    const Json& channels = as_array(o.need("channels", "a list"), "channels", 64);
    for (const Json& c : channels)
        p.channels.push_back(channel_from(c, fmt::format("channels[{}]", p.channels.size())));
    o.done();
    return p;
}

int line_of(std::string_view text, std::size_t byte) {
    const auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(byte, text.size()));
    return 1 + static_cast<int>(std::count(text.begin(), end, '\n'));
}

Json parse(std::string_view text) {
    if (text.size() > kMostPlanText)
        refuse("plan", fmt::format("{} bytes", text.size()),
               fmt::format("at most {}", kMostPlanText), "a Plan of patterns");
    // Nothing in a Plan is nested deeper; a million brackets are no Plan.
    const auto shallow = [](int depth, Json::parse_event_t, Json&) {
        if (depth > 16) refuse("plan", "nested lists", "16 levels at most", "{\"weft_plan\": 1}");
        return true;
    };
    try {
        return Json::parse(text.begin(), text.end(), shallow);
    } catch (const Json::parse_error& e) {
        throw ConfigError({.file = {},
                           .line = line_of(text, e.byte),
                           .key = "plan",
                           .found = printable(e.what(), 120),
                           .expected = "JSON",
                           .example = "{\"weft_plan\": 1, ...}"});
    } catch (const Json::exception& e) {
        refuse("plan", e.what(), "JSON", "{\"weft_plan\": 1, ...}");
    }
}

}  // namespace

std::string plan_to_json(const PlanTemplate& p) {
    Json head{{"weft_plan", kVersion},
              {"algorithm", p.algorithm},
              {"collective", name_of(p.collective)},
              {"ranks", p.n},
              {"root", p.root},
              {"deterministic", p.deterministic},
              {"in_place", p.in_place_ok}};
    std::string out = head.dump();
    out.pop_back();
    out += ",\n \"channels\": [";
    for (const Channel& c : p.channels) {
        std::string text = head_of(c).dump();
        text.pop_back();
        out += (&c == p.channels.data() ? "\n  " : ",\n  ") + text + ",\n   \"stages\": [";
        for (const Stage& s : c.stages)
            out += (&s == c.stages.data() ? "\n    " : ",\n    ") + json_of(s).dump();
        out += "]}";
    }
    return out + "]}\n";
}

PlanTemplate plan_from_json(std::string_view text, const std::string& file) {
    try {
        PlanTemplate p = template_from(parse(text));
        const std::string fault = fault_of_form(p);
        if (!fault.empty())
            throw ConfigError({.file = {},
                               .line = 0,
                               .key = "plan",
                               .found = printable(fault, 300),
                               .expected = "a Plan of good form",
                               .example = "what weft check --export writes"});
        return p;
    } catch (const ConfigError& e) {
        throw e.at(file, 0, "plan");
    }
}

PlanTemplate proved_plan_from_json(std::string_view text, const std::string& file) {
    PlanTemplate p = plan_from_json(text, file);
    const CheckReport report = check_plan(p);
    if (!report.ok)
        throw ConfigError({.file = file,
                           .line = 0,
                           .key = p.algorithm,
                           .found = printable(report.problem, 300),
                           .expected = fmt::format("a Plan that the checker proves to be {}",
                                                   name_of(p.collective)),
                           .example = "what weft check --export writes"});
    return p;
}

}  // namespace weft
