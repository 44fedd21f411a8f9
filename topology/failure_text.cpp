// One line of text and a Failure.
#include <algorithm>
#include <array>
#include <fmt/format.h>

#include "base/registry.hpp"
#include "base/text.hpp"
#include "topology/failure.hpp"

namespace weft {
namespace {

constexpr const char* kForm = "down host[0].nic[0]:0 > tor[0] @2ms for 5ms";
constexpr std::int64_t kMostPlane = 1'000'000;

[[noreturn]] void reject(const std::string& key, std::string_view found,
                         const std::string& expected, const std::string& example = kForm) {
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = key,
                       .found = printable(found),
                       .expected = expected,
                       .example = example});
}

/// What may follow the target, which failures have it, and where its value goes.
struct Clause {
    const char* word;
    std::uint32_t kinds;  // bit by FailureKind; 0: all
    void (*read)(Failure& f, const std::string& value);
};

constexpr std::uint32_t of(FailureKind k) {
    return 1U << static_cast<unsigned>(k);
}

SimTime time_of(const std::string& value) {
    return SimTime{} + parse_duration(value);
}

/// `for` counts from the begin, which may stand behind it: kept apart until all is read.
constexpr std::array kClauses{
    Clause{"rate", of(FailureKind::kDegraded),
           [](Failure& f, const std::string& v) { f.rate = parse_bandwidth(v); }},
    Clause{"every", of(FailureKind::kFlap),
           [](Failure& f, const std::string& v) { f.every = parse_duration(v); }},
    Clause{"off", of(FailureKind::kFlap),
           [](Failure& f, const std::string& v) { f.off = parse_duration(v); }},
    Clause{"share", of(FailureKind::kLoss) | of(FailureKind::kCorrupt),
           [](Failure& f, const std::string& v) { f.share = parse_share(v); }},
    Clause{"extra", of(FailureKind::kDelay),
           [](Failure& f, const std::string& v) { f.extra = parse_duration(v); }},
    Clause{"@", 0, [](Failure& f, const std::string& v) { f.at = time_of(v); }},
    Clause{"until", 0, [](Failure& f, const std::string& v) { f.until = time_of(v); }},
    Clause{"for", 0, [](Failure& f, const std::string& v) { f.until = time_of(v); }},
    Clause{"convergence", 0,
           [](Failure& f, const std::string& v) { f.convergence = parse_duration(v); }},
};
constexpr const char* kOneWay = "one-way";

const Clause* clause_of(std::string_view word) {
    for (const Clause& c : kClauses)
        if (word == c.word) return &c;
    return nullptr;
}

std::vector<std::string> words_in(const std::string& text) {
    std::string spaced;
    for (const char c : text)
        if (c == '@' || c == '>')
            spaced += std::string(" ") + c + " ";
        else
            spaced += c;
    std::vector<std::string> words;
    for (const std::string_view w : text::words_of(spaced)) words.emplace_back(w);
    return words;
}

class Reader {
  public:
    Reader(const Fabric& fabric, const std::string& text, SimDuration convergence)
        : fabric_(fabric), words_(words_in(text)) {
        f_.convergence = convergence;
    }

    Failure read() {
        read_kind();
        read_target();
        bool lasts = false;
        std::vector<std::string> seen;
        while (at_ < words_.size()) {
            const std::string word = words_[at_++];
            const bool again = std::find(seen.begin(), seen.end(), word) != seen.end();
            if (again) reject(word, "twice", "once");
            seen.push_back(word);
            if (word == kOneWay) {
                f_.one_way = true;
            } else {
                read_clause(word);
                lasts = lasts || word == "for";
            }
        }
        if (lasts && std::find(seen.begin(), seen.end(), "until") != seen.end())
            reject("until", "`for` and `until`", "one of them");
        if (lasts) {
            if (f_.until - SimTime{} > SimTime::never() - f_.at) reject("for", "too long", "a day");
            f_.until += f_.at - SimTime{};
        }
        check_failures(fabric_, {f_});
        return f_;
    }

  private:
    void read_kind() {
        if (words_.empty()) reject("failure", "nothing", "a kind and what it strikes");
        for (int k = 0; k <= static_cast<int>(FailureKind::kStuck); ++k)
            if (words_[0] == name_of(static_cast<FailureKind>(k))) {
                f_.kind = static_cast<FailureKind>(k);
                at_ = 1;
            }
    }

    void read_target() {
        std::string name;
        for (; at_ < words_.size(); ++at_) {
            if (clause_of(words_[at_]) != nullptr || words_[at_] == kOneWay) break;
            name += (name.empty() ? "" : " ") + words_[at_];
        }
        if (name.empty()) reject("failure", "no target", "what it strikes");
        if (name.rfind("plane", 0) == 0 && name.size() > 6 && (name[5] == ' ' || name[5] == ':')) {
            const std::int64_t plane = text::whole_number(std::string_view(name).substr(6));
            if (plane < 0 || plane > kMostPlane) reject("plane", name, "a number", "plane 1");
            f_.target.plane = static_cast<std::int32_t>(plane);
            return;
        }
        f_.target.link = fabric_.find_link(name);
        if (f_.target.link.valid()) return;
        for (std::size_t n = 0; n < fabric_.nodes().size() && !f_.target.node.valid(); ++n)
            if (fabric_.name_of(NodeId{n}) == name) f_.target.node = NodeId{n};
        if (f_.target.node.valid()) return;
        const std::string link =
            fabric_.links().empty() ? "" : fabric_.name_of(LinkId{fabric_.links().size() - 2});
        reject("failure", name,
               "[down|up|degraded|flap|loss|corrupt|delay|stuck] and the name of a link, a switch "
               "or a NIC of this fabric, or `plane N`",
               fmt::format("'down {} @2ms for 5ms'", link));
    }

    void read_clause(const std::string& word) {
        const Clause* c = clause_of(word);
        if (c == nullptr)
            reject("failure", word,
                   "@TIME, for, until, one-way, convergence, or rate, every, off, share, extra");
        if (c->kinds != 0 && (c->kinds & of(f_.kind)) == 0)
            reject(word, std::string(name_of(f_.kind)) + " with `" + word + "`",
                   "a kind that has it");
        if (at_ == words_.size()) reject(word, "nothing", "a value");
        try {
            c->read(f_, words_[at_++]);
        } catch (const ConfigError& e) {
            throw e.at({}, 0, word);
        }
    }

    const Fabric& fabric_;
    std::vector<std::string> words_;
    std::size_t at_ = 0;
    Failure f_;
};

/// The largest unit that divides it.
std::string exact(SimDuration d) {
    constexpr std::array<std::pair<const char*, std::int64_t>, 5> kUnits{{{"s", 1'000'000'000'000},
                                                                          {"ms", 1'000'000'000},
                                                                          {"us", 1'000'000},
                                                                          {"ns", 1000},
                                                                          {"ps", 1}}};
    if (d == SimDuration{}) return "0";
    for (const auto& [unit, size] : kUnits)
        if (d.ps() % size == 0) return fmt::format("{}{}", d.ps() / size, unit);
    return {};
}

}  // namespace

Failure parse_failure(const Fabric& fabric, const std::string& text, SimDuration convergence) {
    return Reader(fabric, text, convergence).read();
}

std::string to_string(const Fabric& fabric, const Failure& f) {
    std::string text = name_of(f.kind);
    if (f.target.link.valid()) text += " " + fabric.name_of(f.target.link);
    if (f.target.node.valid()) text += " " + fabric.name_of(f.target.node);
    if (f.target.plane != kAny) text += fmt::format(" plane {}", f.target.plane);
    if (f.kind == FailureKind::kDegraded)
        text += fmt::format(" rate {}bps", f.rate.bits_per_second());
    if (f.kind == FailureKind::kFlap)
        text += fmt::format(" every {} off {}", exact(f.every), exact(f.off));
    if (f.share != 0) text += " share " + share_text(f.share);
    if (f.extra != SimDuration{}) text += " extra " + exact(f.extra);
    if (f.one_way) text += " one-way";
    text += " @" + exact(f.at - SimTime{});
    if (f.until != SimTime::never()) text += " until " + exact(f.until - SimTime{});
    if (f.convergence != SimDuration{}) text += " convergence " + exact(f.convergence);
    return text;
}

}  // namespace weft
