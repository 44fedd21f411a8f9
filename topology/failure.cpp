#include "topology/failure.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <map>
#include <set>

#include "base/registry.hpp"
#include "base/result.hpp"

namespace weft {
namespace {

constexpr std::array<const char*, 8> kKinds{"down", "up",      "degraded", "flap",
                                            "loss", "corrupt", "delay",    "stuck"};
constexpr std::int64_t kWhole = 1'000'000'000;
constexpr SimDuration kMostDelay = ms(1000);
constexpr SimTime kLatest{std::int64_t{86'400} * 1'000'000'000'000};  // a day

[[noreturn]] void reject(const std::string& key, const std::string& found,
                         const std::string& expected, const std::string& example) {
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = key,
                       .found = found,
                       .expected = expected,
                       .example = example});
}

SimTime later(SimTime t, SimDuration d) {
    return t == SimTime::never() ? t : t + d;
}

/// Whether it is in force at `now`, seen so much later.
bool in_force(const Failure& f, SimTime now, SimDuration seen_after) {
    if (later(f.at, seen_after) > now || later(f.until, seen_after) <= now) return false;
    if (f.kind != FailureKind::kFlap) return true;
    return (now - later(f.at, seen_after)).ps() % f.every.ps() < f.off.ps();
}

std::string target_text(const Fabric& fabric, const FailureTarget& t) {
    if (t.link.valid()) return fabric.name_of(t.link);
    if (t.node.valid()) return fabric.name_of(t.node);
    return fmt::format("plane {}", t.plane);
}

void check_amounts(const Failure& f) {
    const auto found = [](SimDuration d) { return to_string(d); };
    if (f.kind == FailureKind::kFlap) {
        if (f.off <= SimDuration{} || f.every <= f.off)
            reject("every, off", found(f.every) + ", " + found(f.off),
                   "how often the link goes down, and for how much less than that",
                   "every 1ms off 200us");
        if (f.until == SimTime::never())
            reject("flap", "no end", "`for` or `until`", "every 1ms off 200us for 10ms");
    }
    if ((f.kind == FailureKind::kLoss || f.kind == FailureKind::kCorrupt) &&
        (f.share <= 0 || f.share > kWhole))
        reject("share", share_text(f.share), "more than 0 and at most 100 %", "share 0.01%");
    if (f.kind == FailureKind::kDelay && (f.extra <= SimDuration{} || f.extra > kMostDelay))
        reject("extra", found(f.extra), "more than 0 and at most 1 s", "extra 5us");
    if (f.kind == FailureKind::kDegraded && f.rate <= Bandwidth{0})
        reject("rate", to_string(f.rate), "more than 0 (`down` is 0)", "rate 100Gbps");
}

void check_target(const Fabric& fabric, const Failure& f) {
    const FailureTarget& t = f.target;
    const int named =
        (t.link.valid() ? 1 : 0) + (t.node.valid() ? 1 : 0) + (t.plane != kAny ? 1 : 0);
    WEFT_CHECK(named == 1, "a failure of {} things", named);
    WEFT_CHECK(!t.link.valid() || t.link.index() < fabric.links().size(), "an unknown link");
    WEFT_CHECK(!t.node.valid() || t.node.index() < fabric.nodes().size(), "an unknown node");
    if (f.one_way && !t.link.valid())
        reject("one-way", target_text(fabric, t), "a link, which alone has a direction",
               fabric.links().empty() ? "" : fabric.name_of(LinkId{0}));
    if (t.node.valid() && fabric.node(t.node).kind != NodeKind::kSwitch &&
        fabric.node(t.node).kind != NodeKind::kNic)
        reject("target", fabric.name_of(t.node), "a packet switch, a NIC, a link or a plane",
               "host[0].nic[0]");
    if (links_of(fabric, f).empty())
        reject("target", target_text(fabric, t), "something that links of this fabric belong to",
               fabric.links().empty() ? "" : fabric.name_of(LinkId{0}));
    if (f.kind == FailureKind::kStuck && t.plane != kAny)
        reject("stuck", target_text(fabric, t), "the NIC or switch that pauses, or a link to it",
               "stuck host[0].nic[0] @1ms");
}

void check_one(const Fabric& fabric, const Failure& f) {
    check_target(fabric, f);
    check_amounts(f);
    for (const SimTime t : {f.at, f.until})
        if (t < SimTime{} || (t > kLatest && t != SimTime::never()))
            reject("@", to_string(t), "a time within a day", "@2ms");
    if (f.convergence < SimDuration{} || f.convergence > kLatest - SimTime{})
        reject("convergence", to_string(f.convergence), "at most a day", "convergence 5ms");
    if (f.until <= f.at)
        reject("until", to_string(f.until), "later than its begin at " + to_string(f.at),
               "@2ms for 5ms");
    if (f.kind == FailureKind::kUp && f.until != SimTime::never())
        reject("up", "an end", "none: `down ... for` says when a link is back", "up tor[0] @7ms");
    if (f.kind != FailureKind::kDegraded) return;
    Bandwidth fastest;
    for (const LinkId l : links_of(fabric, f)) fastest = std::max(fastest, fabric.link(l).capacity);
    if (f.rate > fastest)
        reject("rate", to_string(f.rate), "at most what the link has, " + to_string(fastest),
               "rate " + to_string(fastest / 2));
}

void add_times(const Failure& f, std::set<SimTime>& times) {
    const auto add = [&](SimTime t) {
        if (t == SimTime::never()) return;
        times.insert(std::max(t, SimTime{}));
        if (changes_rates(f.kind)) times.insert(std::max(t + f.convergence, SimTime{}));
        if (times.size() > kMostChanges)
            reject("failures", fmt::format("more than {} changes", kMostChanges),
                   "fewer, or a flap that ends sooner", "every 1ms off 200us for 10ms");
    };
    add(f.at);
    add(f.until);
    if (f.kind != FailureKind::kFlap) return;
    for (SimTime t = f.at; t < f.until; t += f.every) add(t), add(std::min(t + f.off, f.until));
}

}  // namespace

const char* name_of(FailureKind k) {
    return kKinds[static_cast<std::size_t>(k)];
}

Failure link_down(LinkId link, SimTime at, SimDuration convergence) {
    Failure f;
    f.target.link = link;
    f.at = at;
    f.convergence = convergence;
    return f;
}

Failure link_degraded(LinkId link, Bandwidth rate, SimTime at, SimDuration convergence) {
    Failure f = link_down(link, at, convergence);
    f.kind = FailureKind::kDegraded;
    f.rate = rate;
    return f;
}

bool changes_rates(FailureKind k) {
    return k == FailureKind::kDown || k == FailureKind::kUp || k == FailureKind::kDegraded ||
           k == FailureKind::kFlap;
}

std::vector<LinkId> links_of(const Fabric& fabric, const Failure& f) {
    const bool stuck = f.kind == FailureKind::kStuck;
    if (f.target.link.valid()) {
        // The end that pauses is the far one of the link as it is named.
        if (f.one_way || stuck) return {f.target.link};
        return {f.target.link, reverse(f.target.link)};
    }
    std::vector<LinkId> links;
    if (f.target.node.valid()) {
        for (const LinkId l : fabric.out(f.target.node)) {
            if (stuck && fabric.link(l).kind == LinkKind::kPcie) continue;
            if (!stuck) links.push_back(l);
            links.push_back(reverse(l));
        }
        return links;
    }
    for (std::size_t i = 0; i < fabric.links().size(); ++i) {
        const Link& l = fabric.links()[i];
        const bool of_network = l.kind == LinkKind::kAccess || l.kind == LinkKind::kFabric;
        if (of_network && l.plane == f.target.plane && l.plane != kAny) links.emplace_back(i);
    }
    return links;
}

void check_failures(const Fabric& fabric, const std::vector<Failure>& failures) {
    for (const Failure& f : failures) check_one(fabric, f);
    static_cast<void>(change_times(failures));
}

Health health_at(const Fabric& fabric, const std::vector<Failure>& failures, SimTime now,
                 SeenBy seen) {
    std::vector<std::pair<SimTime, const Failure*>> begun;
    const auto after = [&](const Failure& f) {
        return seen == SeenBy::kRouting ? f.convergence : SimDuration{};
    };
    for (const Failure& f : failures)
        if (changes_rates(f.kind) && in_force(f, now, after(f)))
            begun.emplace_back(f.at + after(f), &f);
    std::stable_sort(begun.begin(), begun.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    Health h(fabric);
    for (const auto& [at, f] : begun)
        for (const LinkId l : links_of(fabric, *f)) {
            const Bandwidth whole = fabric.link(l).capacity;
            if (f->kind == FailureKind::kUp)
                h.set_rate(l, whole);
            else if (f->kind != FailureKind::kDegraded)
                h.set_down(l);
            else if (h.up(l))
                h.set_rate(l, std::min(f->rate, whole));
        }
    if (seen == SeenBy::kRouting && !begun.empty())
        for (std::size_t l = 0; l < fabric.links().size(); ++l)
            if (!h.up(LinkId{l})) h.set_down(reverse(LinkId{l}));
    return h;
}

std::vector<SimTime> change_times(const std::vector<Failure>& failures) {
    std::set<SimTime> times{SimTime{}};
    for (const Failure& f : failures) add_times(f, times);
    return {times.begin(), times.end()};
}

std::vector<std::pair<LinkId, LinkTrouble>> troubles_at(const Fabric& fabric,
                                                        const std::vector<Failure>& failures,
                                                        SimTime now) {
    std::map<LinkId, LinkTrouble> by_link;
    for (const Failure& f : failures) {
        if (changes_rates(f.kind) || !in_force(f, now, {})) continue;
        for (const LinkId l : links_of(fabric, f)) {
            LinkTrouble& t = by_link[l];
            if (f.kind == FailureKind::kLoss) t.loss = std::min(kWhole, t.loss + f.share);
            if (f.kind == FailureKind::kCorrupt) t.corrupt = std::min(kWhole, t.corrupt + f.share);
            if (f.kind == FailureKind::kDelay) t.delay += f.extra;
            if (f.kind == FailureKind::kStuck) t.stuck = true;
        }
    }
    return {by_link.begin(), by_link.end()};
}

}  // namespace weft
