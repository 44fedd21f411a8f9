#include "traces/measurements/measurement.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <iterator>
#include <optional>
#include <set>

#include "base/check.hpp"
#include "topology/io/document.hpp"
#include "traces/measurements/embedded.hpp"

namespace weft {
namespace {

constexpr std::int64_t kMaxSize = std::int64_t{1} << 50;  // 1 PiB
constexpr int kMaxHosts = 1 << 17;
constexpr int kMaxGpus = 1024;
constexpr std::int64_t kMaxPs = std::int64_t{3'600'000'000'000'000};  // one hour
constexpr const char* kPointExample = "[64MiB, 361.78GB/s]";

const std::vector<std::string> kUses{"fit", "test", "simulated"};
const std::vector<std::string> kTags{"S", "S2", "D"};
// In the order of the enumeration.
const std::vector<std::string> kCollectiveNames{"allreduce", "allgather", "reducescatter",
                                                "alltoall",  "broadcast", "sendrecv",
                                                "reduce",    "gather",    "scatter"};

/// busbw = algbw x above / below.
struct Factor {
    std::int64_t above = 1;
    std::int64_t below = 1;
};

Factor factor_of(Collective c, std::uint32_t ranks) {
    const std::int64_t n = ranks;
    switch (c) {
        case Collective::kAllReduce:
            return {2 * (n - 1), n};
        case Collective::kAllGather:
        case Collective::kReduceScatter:
        case Collective::kAllToAll:
        case Collective::kGather:
        case Collective::kScatter:
            return {n - 1, n};
        case Collective::kReduce:
        case Collective::kBroadcast:
        case Collective::kSendRecv:
            return {1, 1};
    }
    return {1, 1};
}

/// A name of the data: letters, digits, '-' and '.'.
std::string plain_name(MapReader& m, const std::string& key, const std::string& example) {
    std::string text = m.text(key, example);
    const auto fits = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
    };
    if (text.size() > 64 || !std::all_of(text.begin(), text.end(), fits))
        m.reject(*m.find(key), key, printable(text),
                 "at most 64 lower-case letters, digits, '-' and '.'", example);
    return text;
}

/// One line of prose.
std::string line_of_text(MapReader& m, const std::string& key, const std::string& example) {
    std::string text = m.text(key, example);
    if (text.size() > 400 || text.find('\n') != std::string::npos)
        m.reject(*m.find(key), key, printable(text), "one line of at most 400 bytes", example);
    return text;
}

bool flag_or(MapReader& m, const std::string& key, bool fallback) {
    return m.choice_or(key, {"false", "true"}, fallback ? 1 : 0) == 1;
}

constexpr const char* kWhyExample = "the switches between the hosts are not described";

std::vector<std::string> notes_of(MapReader& m) {
    std::vector<std::string> notes;
    const ConfigNode* list = m.find("notes");
    if (list == nullptr) return notes;
    if (list->kind != ConfigNode::Kind::kList)
        m.reject(*list, "notes", "no list", "a list of sentences", "[in-place]");
    for (const ConfigNode& item : list->items) {
        if (item.kind != ConfigNode::Kind::kScalar || item.scalar.empty() ||
            item.scalar.size() > 400 || item.scalar.find('\n') != std::string::npos)
            m.reject(item, "notes", printable(item.scalar), "one line of at most 400 bytes",
                     "in-place");
        notes.push_back(item.scalar);
    }
    return notes;
}

/// The keys that a case and each side of a decision share; `s` holds the defaults.
void read_setup(MapReader& m, MeasuredSetup& s) {
    if (m.has("machine")) s.machine = plain_name(m, "machine", "h100");
    if (m.has("host")) s.host = plain_name(m, "host", "dgx-h100");
    s.hosts =
        static_cast<std::uint32_t>(m.count_or("hosts", 1, kMaxHosts, static_cast<int>(s.hosts)));
    s.gpus_per_host = static_cast<std::uint32_t>(
        m.count_or("gpus-per-host", 1, kMaxGpus, static_cast<int>(s.gpus_per_host)));
    if (m.has("network")) s.network = plain_name(m, "network", "rail-switches");
    if (m.has("library")) s.library = plain_name(m, "library", "nccl-2.20");
    if (m.has("algorithm")) s.algorithm = plain_name(m, "algorithm", "ring");
    s.nvls = flag_or(m, "nvls", s.nvls);
    s.each_rail = flag_or(m, "each-rail", s.each_rail);
    s.segments = static_cast<std::uint32_t>(
        m.count_or("segments", 0, kMaxHosts, static_cast<int>(s.segments)));
    s.graph = flag_or(m, "graph", s.graph);
}

void check_setup(const MapReader& m, const MeasuredSetup& s) {
    ConfigNode here;
    here.line = m.line();
    const auto need = [&](const std::string& key, const std::string& value, const char* example) {
        if (value.empty()) m.reject(here, key, "no such key", "a name", example);
    };
    need("machine", s.machine, "machine: h100");
    need("host", s.host, "host: dgx-h100");
    need("library", s.library, "library: nccl-2.20");
    if (s.ranks() < 2)
        m.reject(here, "hosts", "1 rank", "at least 2 ranks in the collective", "hosts: 2");
    if ((s.hosts == 1) != (s.network == "none"))
        m.reject(here, "network", s.network, "none for one host, and only there",
                 "network: rail-switches");
}

/// Reads the points of one case.
class PointReader {
  public:
    PointReader(MapReader& m, const MeasuredCase& c)
        : m_(m), ranks_(c.ranks()), collective_(c.collective) {
        algbw_ = m.choice_or("rate", {"busbw", "algbw"}, 0) == 1;
        if (!m.has("peak")) return;
        peak_ = m.rate("peak", "388GB/s");
        if (peak_->bits_per_second() <= 0)
            m.reject(*m.find("peak"), "peak", "0", "a rate above 0", "388GB/s");
    }

    std::vector<MeasuredPoint> run() {
        const ConfigNode& list = m_.at("points", kPointExample);
        if (list.kind != ConfigNode::Kind::kList || list.items.empty())
            m_.reject(list, "points", "no list", "a list of [size, value]", kPointExample);
        std::vector<MeasuredPoint> points;
        for (const ConfigNode& item : list.items) {
            points.push_back(point(item));
            if (points.size() > 1 && points.back().size <= points[points.size() - 2].size)
                m_.reject(item, "points", item.items[0].scalar, "sizes in ascending order",
                          kPointExample);
        }
        return points;
    }

  private:
    template <class F>
    auto placed(const ConfigNode& node, F parse) {
        try {
            return parse(node.scalar);
        } catch (const ConfigError& e) {
            throw e.at(m_.file(), node.line, m_.path_of("points"));
        }
    }

    MeasuredPoint point(const ConfigNode& item) {
        const std::size_t parts = item.items.size();
        bool plain = item.kind == ConfigNode::Kind::kList && (parts == 2 || parts == 3);
        for (const ConfigNode& part : item.items)
            plain = plain && part.kind == ConfigNode::Kind::kScalar && !part.scalar.empty();
        if (!plain)
            m_.reject(item, "points", fmt::format("{} values", parts),
                      "[size, value] or [size, one end, other end]", kPointExample);
        MeasuredPoint p;
        p.line = item.line;
        p.size = placed(item.items[0], [](const std::string& t) { return parse_bytes(t); });
        if (p.size < Bytes{1} || p.size.count() > kMaxSize)
            m_.reject(item, "points", item.items[0].scalar, "a size from 1 B to 1 PiB", "64MiB");
        const SimDuration one = value(item.items[1], p.size);
        const SimDuration other = parts == 3 ? value(item.items[2], p.size) : one;
        p.low = std::min(one, other);
        p.high = std::max(one, other);
        p.time = p.low + (p.high - p.low) / 2;
        return p;
    }

    /// A time, a rate, or a share of the peak.
    SimDuration value(const ConfigNode& node, Bytes size) {
        const bool share = peak_.has_value();
        const bool rate = !share && node.scalar.ends_with("/s");
        const SimDuration time = placed(node, [&](const std::string& text) {
            if (share) return from_rate(share_of_peak(node, text), size, node);
            if (rate) return from_rate(parse_bandwidth(text), size, node);
            return parse_duration(text);
        });
        if (time <= SimDuration{0} || time.ps() > kMaxPs)
            m_.reject(node, "points", node.scalar, "a time above 0 and within one hour", "29.9us");
        return time;
    }

    SimDuration from_rate(Bandwidth rate, Bytes size, const ConfigNode& node) {
        if (rate.bits_per_second() < 8000)
            m_.reject(node, "points", node.scalar, "a rate of at least 1 kB/s", "361.78GB/s");
        if (algbw_) return checked_time(size, rate, {1, 1}, node);
        return checked_time(size, rate, factor_of(collective_, ranks_), node);
    }

    SimDuration checked_time(Bytes size, Bandwidth rate, Factor f, const ConfigNode& node) {
        const Int128 ps = ceil_div(Int128{size.count()} * 8 * 1'000'000'000'000 * f.above,
                                   Int128{rate.bits_per_second()} * f.below);
        if (ps > kMaxPs)
            m_.reject(node, "points", node.scalar, "a rate that gives at most one hour",
                      "361.78GB/s");
        return SimDuration{static_cast<std::int64_t>(ps)};
    }

    /// "0.95" of the peak, to 1e-6 of it.
    Bandwidth share_of_peak(const ConfigNode& node, const std::string& text) {
        double share = 0;
        const char* const last = text.data() + text.size();
        const auto [end, error] = std::from_chars(text.data(), last, share);
        if (error != std::errc{} || end != last || !(share > 0) || share > 2)
            m_.reject(node, "points", printable(text), "a share of the peak from 0 to 2", "0.95");
        const auto millionths = static_cast<std::int64_t>(share * 1e6 + 0.5);
        return Bandwidth{
            static_cast<std::int64_t>(Int128{peak_->bits_per_second()} * millionths / 1'000'000)};
    }

    MapReader& m_;
    std::uint32_t ranks_;
    Collective collective_;
    bool algbw_ = false;
    std::optional<Bandwidth> peak_;
};

/// One collective, or a list: the same figures published for each of several.
std::vector<Collective> collectives_of(MapReader& m, Collective fallback) {
    const ConfigNode* node = m.find("collective");
    std::vector<Collective> all;
    if (node == nullptr) return {fallback};
    std::vector<const ConfigNode*> names;
    if (node->kind == ConfigNode::Kind::kScalar) names.push_back(node);
    for (const ConfigNode& item : node->items) names.push_back(&item);
    for (const ConfigNode* name : names) {
        const auto at = std::find(kCollectiveNames.begin(), kCollectiveNames.end(), name->scalar);
        if (at == kCollectiveNames.end())
            m.reject(*name, "collective", printable(name->scalar),
                     fmt::format("one of {}", fmt::join(kCollectiveNames, ", ")), "allreduce");
        all.push_back(static_cast<Collective>(at - kCollectiveNames.begin()));
    }
    if (all.empty())
        m.reject(*node, "collective", "an empty list", "a collective", "collective: allreduce");
    return all;
}

/// Usually one case; one for each of several collectives, whose names then end the ids.
std::vector<MeasuredCase> read_case(MapReader& m) {
    MeasuredCase c;
    c.id = plain_name(m, "id", "azure-h100-8");
    c.title = line_of_text(m, "title", "8x H100, one host");
    c.source = line_of_text(m, "source", "AZG, table 6");
    c.tag = kTags[m.choice_or("tag", kTags, 0)];
    (void)m.at("use", "test");
    c.use = static_cast<Use>(m.choice_or("use", kUses, 1));
    read_setup(m, c);
    check_setup(m, c);
    c.notes = notes_of(m);
    if (m.has("why")) c.why = line_of_text(m, "why", kWhyExample);
    c.file = m.file();
    c.line = m.line();
    const std::vector<Collective> collectives = collectives_of(m, c.collective);
    std::vector<MeasuredCase> cases;
    for (const Collective collective : collectives) {
        cases.push_back(c);
        cases.back().collective = collective;
        if (collectives.size() > 1) cases.back().id += std::string("-") + name_of(collective);
        cases.back().points = PointReader(m, cases.back()).run();
    }
    m.finish();
    return cases;
}

Choice read_choice(MapReader& m, const MeasuredSetup& alike) {
    Choice c;
    static_cast<MeasuredSetup&>(c) = alike;
    c.what = line_of_text(m, "what", "NVLS");
    c.run = line_of_text(m, "run", "algorithm nvls");
    read_setup(m, c);
    c.collective = collectives_of(m, c.collective).front();
    check_setup(m, c);
    m.finish();
    return c;
}

void read_ratio(MapReader& m, Decision& d) {
    const ConfigNode* node = m.find("ratio");
    if (node == nullptr) return;
    std::vector<const ConfigNode*> ends;
    if (node->kind == ConfigNode::Kind::kScalar) ends.push_back(node);
    for (const ConfigNode& item : node->items) ends.push_back(&item);
    std::vector<double> values;
    for (const ConfigNode* end : ends) {
        double value = 0;
        const char* const last = end->scalar.data() + end->scalar.size();
        const auto [stop, error] = std::from_chars(end->scalar.data(), last, value);
        if (error != std::errc{} || stop != last || !(value >= 1) || value > 1000)
            m.reject(*end, "ratio", printable(end->scalar), "slower over faster, 1 to 1000",
                     "1.31");
        values.push_back(value);
    }
    if (values.empty() || values.size() > 2 || values.front() > values.back())
        m.reject(*node, "ratio", fmt::format("{} values", values.size()),
                 "one value or [least, most]", "[1.50, 1.64]");
    d.ratio_low = values.front();
    d.ratio_high = values.back();
}

Decision read_decision(MapReader& m) {
    Decision d;
    d.id = plain_name(m, "id", "h200-nvls-ring");
    d.title = line_of_text(m, "title", "NVLS against ring");
    d.source = line_of_text(m, "source", "MLE, NVLS");
    d.tag = kTags[m.choice_or("tag", kTags, 0)];
    (void)m.at("faster", "a");
    d.faster = static_cast<Decision::Faster>(m.choice_or("faster", {"a", "b", "equal"}, 0));
    d.simulated = flag_or(m, "simulated", false);
    d.step = flag_or(m, "step", false);
    read_ratio(m, d);
    if (m.has("size")) {
        try {
            d.size = parse_bytes(m.text("size", "16GiB"));
        } catch (const ConfigError& e) {
            throw e.at(m.file(), m.find("size")->line, m.path_of("size"));
        }
    }
    MapReader both(m.at("both", "{machine: h200}"), m.file(), m.path_of("both"));
    MeasuredSetup alike;
    read_setup(both, alike);
    alike.collective = collectives_of(both, alike.collective).front();
    both.finish();
    MapReader a(m.at("a", "{what: NVLS, run: nvls}"), m.file(), m.path_of("a"));
    MapReader b(m.at("b", "{what: ring, run: ring}"), m.file(), m.path_of("b"));
    d.a = read_choice(a, alike);
    d.b = read_choice(b, alike);
    d.notes = notes_of(m);
    if (m.has("why")) d.why = line_of_text(m, "why", kWhyExample);
    d.file = m.file();
    d.line = m.line();
    m.finish();
    return d;
}

/// Ids are unique over all that is read together.
void check_ids(const Measurements& all) {
    std::set<std::string> seen;
    const auto once = [&](const std::string& id, const std::string& file, int line) {
        if (seen.insert(id).second) return;
        throw ConfigError({.file = file,
                           .line = line,
                           .key = "id",
                           .found = id + " again",
                           .expected = "each id once",
                           .example = {}});
    };
    for (const MeasuredCase& c : all.cases) once(c.id, c.file, c.line);
    for (const Decision& d : all.decisions) once(d.id, d.file, d.line);
}

}  // namespace

const char* name_of(Use use) {
    static constexpr std::array kNames{"fit", "test", "simulated"};
    return kNames[static_cast<std::size_t>(use)];
}

Measurements read_measurements(const std::string& text, const std::string& file) {
    const ConfigNode root = parse_document(text, file);
    MapReader m(root, file, "");
    (void)m.text("measurements", "what these are");
    Measurements all;
    for (MapReader& c : m.maps("cases"))
        for (MeasuredCase& one : read_case(c)) all.cases.push_back(std::move(one));
    for (MapReader& d : m.maps("decisions")) all.decisions.push_back(read_decision(d));
    m.finish();
    if (all.cases.empty() && all.decisions.empty())
        m.reject(root, "cases", "none", "cases or decisions",
                 "cases: [{id: azure-h100-8, points: [[64MiB, 361.78GB/s]]}]");
    check_ids(all);
    return all;
}

Measurements load_measurements(const std::string& path) {
    return read_measurements(read_text_file(path), path);
}

Measurements builtin_measurements() {
    Measurements all;
    for (const EmbeddedFile& file : embedded_measurement_files()) {
        Measurements part = read_measurements(std::string(file.text), std::string(file.name));
        std::move(part.cases.begin(), part.cases.end(), std::back_inserter(all.cases));
        std::move(part.decisions.begin(), part.decisions.end(), std::back_inserter(all.decisions));
    }
    check_ids(all);
    return all;
}

const MeasuredCase* find_case(const Measurements& all, std::string_view id) {
    for (const MeasuredCase& c : all.cases)
        if (c.id == id) return &c;
    return nullptr;
}

Bandwidth busbw_of(Collective c, std::uint32_t ranks, Bytes size, SimDuration time) {
    WEFT_CHECK(time > SimDuration{0}, "a measured time is positive, not {} ps", time.ps());
    const Factor f = factor_of(c, ranks);
    return Bandwidth{static_cast<std::int64_t>(Int128{size.count()} * 8 * 1'000'000'000'000 *
                                               f.above / (Int128{time.ps()} * f.below))};
}

SimDuration time_of_busbw(Collective c, std::uint32_t ranks, Bytes size, Bandwidth busbw) {
    WEFT_CHECK(busbw > Bandwidth{0}, "a rate is positive, not {} bit/s", busbw.bits_per_second());
    const Factor f = factor_of(c, ranks);
    return SimDuration{
        static_cast<std::int64_t>(ceil_div(Int128{size.count()} * 8 * 1'000'000'000'000 * f.above,
                                           Int128{busbw.bits_per_second()} * f.below))};
}

}  // namespace weft
