#include "simulator/packet/victims.hpp"

#include <algorithm>

namespace weft::packet {

std::int64_t CountedSpans::fresh(std::int64_t from, std::int64_t to) const {
    std::int64_t left = to - from;
    for (const Span& s : spans_)
        left -= std::max<std::int64_t>(0, std::min(to, s.to) - std::max(from, s.from));
    return std::max<std::int64_t>(0, left);
}

std::int64_t CountedSpans::add(std::int64_t from, std::int64_t to) {
    const std::int64_t more = fresh(from, to);
    if (more == 0) return 0;
    for (Span& s : spans_) {
        if (s.from == s.to || s.from > to || from > s.to) continue;
        from = std::min(from, s.from);
        to = std::max(to, s.to);
        s = {};
    }
    *std::min_element(spans_.begin(), spans_.end(),
                      [](const Span& a, const Span& b) { return a.to < b.to; }) = {from, to};
    return more;
}

PortPauses& Victims::port(std::uint32_t link) {
    if (place_[link] == ~0U) {
        place_[link] = static_cast<std::uint32_t>(ports_.size());
        ports_.emplace_back();
    }
    return ports_[place_[link]];
}

std::uint32_t Victims::root_of(std::uint32_t link) const {
    constexpr int kMostSwitches = 8;
    if (place_[link] == ~0U) return ~0U;
    std::uint32_t root = ports_[place_[link]].root;
    // A root that has been paused itself since is none any more.
    for (int i = 0; i < kMostSwitches && root != ~0U; ++i) {
        const PortPauses& p = ports_[place_[root]];
        if (!p.paused || p.root == ~0U || p.root == root) break;
        root = p.root;
    }
    return root;
}

void Victims::pause(std::uint32_t link) {
    const std::uint32_t root = port(link).next_root;
    port(link).root = root;
    port(link).paused = true;
    if (root != ~0U) ++port(root).holds;
}

void Victims::resume(std::uint32_t link, std::int64_t from, std::int64_t to) {
    PortPauses& p = port(link);
    p.paused = false;
    for (std::size_t i = 1; i < p.pauses.size(); ++i) p.pauses[i - 1] = p.pauses[i];
    p.pauses.back() = {from, to, p.root};
    if (p.root == ~0U) return;
    PortPauses& root = ports_[place_[p.root]];
    --root.holds;
    root.held_until = to;
}

void Victims::add(Victim& v, std::uint32_t port, std::uint32_t root, std::int64_t from,
                  std::int64_t to) {
    const std::int64_t more = v.counted.add(from, to);
    v.waited += more;
    if (more <= v.longest) return;
    v.longest = more;
    v.held_at = port;
    v.root = root;
}

}  // namespace weft::packet
