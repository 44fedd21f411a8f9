#include "collectives/transport/net/rumour.hpp"

#include <algorithm>

#include "base/rng.hpp"

namespace weft::live::net {

void write(Writer& w, const OperationHead& h) {
    w.u64(h.operation);
    w.u64(h.plan_hash);
    w.u64(h.count);
    w.u32(h.context);
    w.u8(h.collective);
    w.u8(h.dtype);
    w.u8(h.reduction);
    w.u8(h.reserved);
    w.u32(h.root);
}

OperationHead read_head(Reader& r) {
    OperationHead h;
    h.operation = r.u64();
    h.plan_hash = r.u64();
    h.count = r.u64();
    h.context = r.u32();
    h.collective = r.u8();
    h.dtype = r.u8();
    h.reduction = r.u8();
    h.reserved = r.u8();
    h.root = r.u32();
    return h;
}

namespace {

constexpr std::uint8_t kAlarmKinds = 5;
constexpr std::uint8_t kWhys = 6;

void write(Writer& w, const Alarm& a) {
    w.u8(static_cast<std::uint8_t>(a.kind));
    w.u32(a.context);
    w.u32(a.rank);
    w.u32(a.peer);
    write(w, a.ours);
    write(w, a.theirs);
    w.text(std::string_view(a.what).substr(0, kMaxText));
}

void write(Writer& w, const Ranges& ranges) {
    w.u32(static_cast<std::uint32_t>(ranges.size()));
    for (const Range& range : ranges) {
        w.u32(range.first);
        w.u32(range.count);
    }
}

void write(Writer& w, const Inquiry& q) {
    write(w, q.head);
    write(w, q.members);
}

void write(Writer& w, const Answer& a) {
    w.u32(a.context);
    w.u64(a.operation);
    w.u32(a.rank);
    w.u8(a.present ? 1 : 0);
    w.u8(static_cast<std::uint8_t>(a.why));
    write(w, a.head);
    w.u64(a.milliseconds);
    w.text(std::string_view(a.where).substr(0, kMaxText));
}

void write(Writer& w, const Farewell& f) {
    const std::size_t count = std::min(f.begun.size(), kMaxFarewell);
    w.u32(static_cast<std::uint32_t>(count));
    for (std::size_t i = 0; i < count; ++i) {
        w.u32(f.begun[i].first);
        w.u64(f.begun[i].second);
    }
}

void write(Writer& w, const CensusWord& c) {
    w.u32(c.context);
    w.u32(c.generation);
    w.u8(c.present ? 1 : 0);
    w.u64(c.ballot);
    w.u64(c.accepted);
    w.u64(c.decided);
    write(w, c.members);
    write(w, c.dead);
    write(w, c.list);
}

std::optional<Alarm> read_alarm(Reader& r, std::uint32_t ranks) {
    Alarm a;
    const std::uint8_t kind = r.u8();
    a.kind = static_cast<Alarm::Kind>(kind);
    a.context = r.u32();
    a.rank = r.u32();
    a.peer = r.u32();
    a.ours = read_head(r);
    a.theirs = read_head(r);
    a.what = r.text(kMaxText);
    if (!r.done() || kind >= kAlarmKinds || a.rank >= ranks || a.peer >= ranks) return std::nullopt;
    return a;
}

// Fails the reader at a range outside the world.
Ranges read_ranges(Reader& r, std::uint32_t ranks) {
    Ranges out;
    const std::size_t count = r.u32();
    if (!r.ok() || r.left() < count * 8) {
        r.fail();
        return out;
    }
    for (std::size_t i = 0; i < count; ++i) {
        const Range range{.first = r.u32(), .count = r.u32()};
        if (range.first >= ranks || range.count > ranks - range.first) {
            r.fail();
            return out;
        }
        out.push_back(range);
    }
    return out;
}

std::optional<Inquiry> read_inquiry(Reader& r, std::uint32_t ranks) {
    Inquiry q;
    q.head = read_head(r);
    q.members = read_ranges(r, ranks);
    if (!r.done()) return std::nullopt;
    return q;
}

// As a list of ranks comes from ranges_of(): rising, apart, none empty. One group has one form.
bool tidy(const Ranges& ranges) {
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        if (ranges[i].count == 0) return false;
        if (i > 0 && ranges[i].first <= ranges[i - 1].first + ranges[i - 1].count) return false;
    }
    return true;
}

std::optional<CensusWord> read_census(Reader& r, std::uint32_t ranks) {
    CensusWord c;
    c.context = r.u32();
    c.generation = r.u32();
    const std::uint8_t present = r.u8();
    c.present = present != 0;
    c.ballot = r.u64();
    c.accepted = r.u64();
    c.decided = r.u64();
    c.members = read_ranges(r, ranks);
    c.dead = read_ranges(r, ranks);
    c.list = read_ranges(r, ranks);
    if (!r.done() || present > 1 || c.decided > c.accepted || c.accepted > c.ballot)
        return std::nullopt;
    for (const std::uint64_t ballot : {c.ballot, c.accepted, c.decided}) {
        const auto coordinator = static_cast<std::uint32_t>(ballot);
        if (ballot >> 32 > kMaxRound) return std::nullopt;
        if (ballot != 0 && (ballot >> 32 == 0 || !contains(c.members, coordinator)))
            return std::nullopt;
    }
    const bool listed = !c.list.empty() == (c.accepted != 0);
    if (!listed || !tidy(c.members) || !tidy(c.dead) || !tidy(c.list)) return std::nullopt;
    return c;
}

std::optional<Answer> read_answer(Reader& r, std::uint32_t ranks) {
    Answer a;
    a.context = r.u32();
    a.operation = r.u64();
    a.rank = r.u32();
    const std::uint8_t present = r.u8();
    a.present = present != 0;
    const std::uint8_t why = r.u8();
    a.why = static_cast<Absent::Why>(why);
    a.head = read_head(r);
    a.milliseconds = r.u64();
    a.where = r.text(kMaxText);
    if (!r.done() || present > 1 || why >= kWhys || a.rank >= ranks) return std::nullopt;
    return a;
}

std::optional<Farewell> read_farewell(Reader& r) {
    Farewell f;
    const std::size_t count = r.u32();
    if (!r.ok() || count > kMaxFarewell || r.left() != count * 12) return std::nullopt;
    for (std::size_t i = 0; i < count; ++i) {
        const ContextId context = r.u32();
        f.begun.emplace_back(context, r.u64());
    }
    return f;
}

}  // namespace

Ranges ranges_of(std::span<const std::uint32_t> members) {
    std::vector<std::uint32_t> sorted(members.begin(), members.end());
    std::sort(sorted.begin(), sorted.end());
    Ranges out;
    for (const std::uint32_t m : sorted) {
        if (!out.empty() && m < out.back().first + out.back().count) continue;
        if (!out.empty() && m == out.back().first + out.back().count)
            ++out.back().count;
        else
            out.push_back({m, 1});
    }
    return out;
}

bool contains(const Ranges& ranges, std::uint32_t rank) {
    return std::any_of(ranges.begin(), ranges.end(),
                       [&](const Range& r) { return rank >= r.first && rank - r.first < r.count; });
}

std::uint64_t hash_of(const Ranges& ranges) {
    std::uint64_t h = ranges.size();
    for (const Range& r : ranges) h = mix64(h, (std::uint64_t{r.first} << 32) | r.count);
    return h;
}

std::vector<std::byte> encode(const Rumour& rumour) {
    Writer w;
    w.u8(static_cast<std::uint8_t>(rumour.body.index()));
    w.u32(rumour.origin);
    w.u64(rumour.sequence);
    std::visit([&](const auto& body) { write(w, body); }, rumour.body);
    return w.take();
}

std::optional<Rumour> parse_rumour(ByteSpan block, std::uint32_t ranks) {
    Reader r(block);
    const std::uint8_t kind = r.u8();
    Rumour out;
    out.origin = r.u32();
    out.sequence = r.u64();
    if (!r.ok() || out.origin >= ranks) return std::nullopt;
    const auto keep = [&](auto body) -> std::optional<Rumour> {
        if (!body) return std::nullopt;
        out.body = std::move(*body);
        return out;
    };
    if (kind == 0) return keep(read_alarm(r, ranks));
    if (kind == 1) return keep(read_inquiry(r, ranks));
    if (kind == 2) return keep(read_answer(r, ranks));
    if (kind == 3) return keep(read_farewell(r));
    if (kind == 4) return keep(read_census(r, ranks));
    return std::nullopt;
}

bool SeenWindow::first_time(std::uint64_t sequence) {
    if (sequence > newest_) {
        if (sequence - newest_ >= kSize)
            seen_.reset();
        else
            for (std::uint64_t s = newest_ + 1; s < sequence; ++s) seen_.reset(s % kSize);
        newest_ = sequence;
    } else if (newest_ - sequence >= kSize || seen_.test(sequence % kSize)) {
        return false;
    }
    seen_.set(sequence % kSize);
    return true;
}

}  // namespace weft::live::net
