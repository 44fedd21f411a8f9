#include "collectives/transport/net/report.hpp"

#include <algorithm>

namespace weft::live::net {

namespace {

constexpr std::uint32_t kMagic = 0x31524457;  // "WDR1": the layout's version
constexpr std::uint8_t kWhys = 6;
constexpr std::uint32_t kMostRanks = 1 << 20;

void write_flag(Writer& w, bool flag) {
    w.u8(flag ? 1 : 0);
}

bool read_flag(Reader& r) {
    const std::uint8_t flag = r.u8();
    if (flag > 1) r.fail();
    return flag == 1;
}

void write(Writer& w, const Absent& a) {
    w.u32(a.rank);
    w.u8(static_cast<std::uint8_t>(a.why));
    write(w, a.head);
    w.u64(static_cast<std::uint64_t>(std::max(a.seconds, 0.0) * 1e3 + 0.5));
    w.text(std::string_view(a.where).substr(0, kMaxText));
}

Absent read_absent(Reader& r, std::uint32_t ranks) {
    Absent a;
    a.rank = r.u32();
    const std::uint8_t why = r.u8();
    if (why >= kWhys || a.rank >= ranks) r.fail();
    a.why = static_cast<Absent::Why>(why);
    a.head = read_head(r);
    a.seconds = static_cast<double>(r.u64() % (std::uint64_t{1} << 48)) * 1e-3;
    a.where = r.text(kMaxText);
    return a;
}

/// A list: its length, then its entries.
template <class T, class Each>
void write_all(Writer& w, const std::vector<T>& list, Each each) {
    w.u32(static_cast<std::uint32_t>(list.size()));
    for (const T& entry : list) each(entry);
}

/// Ends with the first entry that is not there, whatever the length says.
template <class T, class Each>
void read_all(Reader& r, std::vector<T>& list, Each each) {
    const std::uint32_t count = r.u32();
    for (std::uint32_t i = 0; i < count && r.ok(); ++i) {
        T entry = each();
        if (r.ok()) list.push_back(std::move(entry));
    }
}

void write(Writer& w, const RankReport::Group& g) {
    w.u32(g.context);
    write_all(w, g.members, [&](const Range& range) {
        w.u32(range.first);
        w.u32(range.count);
    });
    w.u64(g.newest);
    w.u64(g.finished);
    w.u64(g.idle_ms);
    write_all(w, g.under_way, [&](const RankReport::Operation& o) {
        write(w, o.head);
        w.u64(o.begun_ms);
        w.u64(o.still_ms);
    });
    w.text(std::string_view(g.waits_for).substr(0, kMaxText));
    write_flag(w, g.attended);
    w.text(std::string_view(g.broken).substr(0, kMaxText));
    write_all(w, g.absent, [&](const Absent& a) { write(w, a); });
}

RankReport::Group read_group(Reader& r, std::uint32_t ranks) {
    RankReport::Group g;
    g.context = r.u32();
    read_all(r, g.members, [&] {
        const Range range{.first = r.u32(), .count = r.u32()};
        if (range.first >= ranks || range.count > ranks - range.first) r.fail();
        return range;
    });
    g.newest = r.u64();
    g.finished = r.u64();
    g.idle_ms = r.u64();
    read_all(r, g.under_way, [&] {
        RankReport::Operation o;
        o.head = read_head(r);
        o.begun_ms = r.u64();
        o.still_ms = r.u64();
        return o;
    });
    g.waits_for = r.text(kMaxText);
    g.attended = read_flag(r);
    g.broken = r.text(kMaxText);
    read_all(r, g.absent, [&] { return read_absent(r, ranks); });
    return g;
}

void write(Writer& w, const RankReport::SlowLane& l) {
    w.u32(l.peer);
    w.u32(l.lane);
    w.u32(static_cast<std::uint32_t>(l.rail));
    w.u32(static_cast<std::uint32_t>(l.plane));
    write_flag(w, l.up);
    w.u64(l.rate);
    w.u64(l.best);
}

RankReport::SlowLane read_lane(Reader& r, std::uint32_t ranks) {
    RankReport::SlowLane l;
    l.peer = r.u32();
    if (l.peer >= ranks) r.fail();
    l.lane = r.u32();
    l.rail = static_cast<std::int32_t>(r.u32());
    l.plane = static_cast<std::int32_t>(r.u32());
    l.up = read_flag(r);
    l.rate = r.u64();
    l.best = r.u64();
    return l;
}

}  // namespace

std::vector<std::byte> encode(const RankReport& report) {
    Writer w;
    w.u32(kMagic);
    w.text(report.version);
    w.u64(report.job);
    w.u32(report.rank);
    w.u32(report.ranks);
    w.u64(report.age_ms);
    write_flag(w, report.engine);
    write_all(w, report.homes, [&](const RankReport::Home& h) {
        w.text(std::string_view(h.host).substr(0, kMaxText));
        w.u32(static_cast<std::uint32_t>(h.process));
        write_flag(w, h.here);
    });
    write_all(w, report.groups, [&](const RankReport::Group& g) { write(w, g); });
    write_all(w, report.lanes, [&](const RankReport::SlowLane& l) { write(w, l); });
    write_all(w, report.gone, [&](const RankReport::Gone& g) {
        w.u32(g.rank);
        write_flag(w, g.left);
        w.text(std::string_view(g.what).substr(0, kMaxText));
    });
    write_all(w, report.silent, [&](const RankReport::Silent& s) {
        w.u32(s.rank);
        w.u64(s.ms);
    });
    return w.take();
}

std::optional<RankReport> parse_report(ByteSpan bytes) {
    Reader r(bytes);
    if (r.u32() != kMagic) return std::nullopt;
    RankReport out;
    out.version = r.text(kMaxText);
    out.job = r.u64();
    out.rank = r.u32();
    out.ranks = r.u32();
    if (out.ranks > kMostRanks || out.rank >= out.ranks) return std::nullopt;
    const auto rank_below = [&] {
        const std::uint32_t rank = r.u32();
        if (rank >= out.ranks) r.fail();
        return rank;
    };
    out.age_ms = r.u64();
    out.engine = read_flag(r);
    read_all(r, out.homes, [&] {
        RankReport::Home h;
        h.host = r.text(kMaxText);
        h.process = static_cast<std::int32_t>(r.u32());
        h.here = read_flag(r);
        return h;
    });
    read_all(r, out.groups, [&] { return read_group(r, out.ranks); });
    read_all(r, out.lanes, [&] { return read_lane(r, out.ranks); });
    read_all(r, out.gone, [&] {
        RankReport::Gone g;
        g.rank = rank_below();
        g.left = read_flag(r);
        g.what = r.text(kMaxText);
        return g;
    });
    read_all(r, out.silent, [&] {
        RankReport::Silent s;
        s.rank = rank_below();
        s.ms = r.u64();
        return s;
    });
    const bool whole = out.homes.empty() || out.homes.size() == out.ranks;
    if (!r.done() || !whole) return std::nullopt;
    return out;
}

}  // namespace weft::live::net
