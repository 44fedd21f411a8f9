#include "collectives/plan/plan.hpp"

#include <algorithm>
#include <iterator>

#include "base/check.hpp"
#include "base/rng.hpp"

namespace weft {

namespace {

struct CollectiveRow {
    const char* name;
    double (*factor)(double n);
};
constexpr CollectiveRow kRows[] = {
    {"allreduce", [](double n) { return 2.0 * (n - 1.0) / n; }},
    {"allgather", [](double n) { return (n - 1.0) / n; }},
    {"reducescatter", [](double n) { return (n - 1.0) / n; }},
    {"alltoall", [](double n) { return (n - 1.0) / n; }},
    {"broadcast", [](double) { return 1.0; }},
    {"sendrecv", [](double) { return 1.0; }},
    {"reduce", [](double) { return 1.0; }},
    {"gather", [](double n) { return (n - 1.0) / n; }},
    {"scatter", [](double n) { return (n - 1.0) / n; }},
};
static_assert(std::size(kRows) == kCollectives.size());

/// floor(total * part / whole) in 128 bits.
std::uint64_t share(std::uint64_t total, std::uint64_t part, std::uint64_t whole) {
    return static_cast<std::uint64_t>(static_cast<unsigned __int128>(total) * part / whole);
}

ElementRange channel_range(const PlanTemplate& p, std::uint64_t count, std::size_t channel) {
    std::uint64_t before = 0;
    std::uint64_t total = 0;
    for (std::size_t c = 0; c < p.channels.size(); ++c) {
        if (c < channel) before += p.channels[c].weight;
        total += p.channels[c].weight;
    }
    WEFT_CHECK(total > 0, "a plan needs a channel of positive weight");
    return {share(count, before, total), share(count, before + p.channels[channel].weight, total)};
}

std::uint32_t wrap(std::int64_t value, std::uint32_t size) {
    const std::int64_t m = value % static_cast<std::int64_t>(size);
    return static_cast<std::uint32_t>(m < 0 ? m + size : m);
}

/// Position after mirroring for direction -1, and back (it is its own inverse).
std::uint32_t mirrored(const Ring& ring, std::uint32_t position, std::uint32_t size) {
    return ring.direction >= 0 ? position : wrap(-static_cast<std::int64_t>(position), size);
}

/// Where a rank stands in a stage.
struct Place {
    std::uint32_t cell;
    std::uint32_t position;
    std::uint32_t size;
};
Place stand(const Stage& s, std::uint32_t rank) {
    return {s.cells.cell(rank), s.cells.position(rank), s.cells.size};
}

std::uint32_t relative(const Tree& t, const Place& at) {
    return wrap(static_cast<std::int64_t>(at.position) - t.root, at.size);
}
/// With whom v exchanges each chunk: its children, or its parent.
std::uint32_t tree_partners(const Tree& t, std::uint32_t v, std::uint32_t size, bool children) {
    if (children) return tree_fan(t, v, size);
    return v > 0 ? 1 : 0;
}
/// The i-th transfer of a rank with its children or its parent, chunk by chunk; chunk c at step c +
/// `delay`.
Transfer tree_transfer(const Tree& t, const Stage& s, std::uint32_t rank, std::uint32_t i,
                       bool children, std::uint32_t delay) {
    const Place at = stand(s, rank);
    const std::uint32_t v = relative(t, at);
    const std::uint32_t partners = tree_partners(t, v, at.size, children);
    const std::uint32_t chunk = i / partners;
    const std::uint32_t w =
        children ? tree_child(t, v, i % partners, at.size) : tree_parent(t, v, at.size);
    return {chunk + delay, s.cells.rank_at(at.cell, (w + t.root) % at.size),
            t.chunks.units(s.cells, rank, chunk), chunk, t.chunk_count};
}

struct SendCount {
    const Stage& stage;
    std::uint32_t rank;
    std::uint32_t operator()(const Ring& r) const { return stage.cells.size > 1 ? r.steps : 0; }
    std::uint32_t operator()(const Direct&) const { return stage.cells.size - 1; }
    std::uint32_t operator()(const Tree& t) const {
        const Place at = stand(stage, rank);
        return t.chunk_count * tree_partners(t, relative(t, at), at.size, !t.up);
    }
    std::uint32_t operator()(const Explicit& e) const {
        return static_cast<std::uint32_t>(e.sends[rank].size());
    }
};

struct RecvCount {
    const Stage& stage;
    std::uint32_t rank;
    std::uint32_t operator()(const Ring& r) const { return stage.cells.size > 1 ? r.steps : 0; }
    std::uint32_t operator()(const Direct&) const { return stage.cells.size - 1; }
    std::uint32_t operator()(const Tree& t) const {
        const Place at = stand(stage, rank);
        return t.chunk_count * tree_partners(t, relative(t, at), at.size, t.up);
    }
    std::uint32_t operator()(const Explicit& e) const {
        return static_cast<std::uint32_t>(e.recvs[rank].size());
    }
};

/// The ring's i-th transfer: `shift` 0 for sends (to the next), 1 for receives (from the one
/// before).
Transfer ring_transfer(const Ring& r, const Stage& s, std::uint32_t rank, std::uint32_t i,
                       std::uint32_t shift) {
    const Place at = stand(s, rank);
    const std::uint32_t p = mirrored(r, at.position, at.size);
    const std::uint32_t peer = wrap(std::int64_t{p} + (shift == 0 ? 1 : -1), at.size);
    const std::uint32_t chunk = mirrored(
        r, wrap(std::int64_t{p} + r.first - std::int64_t{i} - std::int64_t{shift}, at.size),
        at.size);
    return {i, s.cells.rank_at(at.cell, mirrored(r, peer, at.size)),
            r.chunks.units(s.cells, rank, chunk), i, r.steps};
}

struct SendAt {
    const Stage& stage;
    std::uint32_t rank;
    std::uint32_t i;
    Transfer operator()(const Ring& r) const { return ring_transfer(r, stage, rank, i, 0); }
    Transfer operator()(const Direct& d) const {
        const Place at = stand(stage, rank);
        const std::uint32_t q = (at.position + i + 1) % at.size;
        const std::uint32_t index = d.by_destination ? q : at.position;
        return {i, stage.cells.rank_at(at.cell, q), d.send_chunks.units(stage.cells, rank, index),
                0, 1};
    }
    Transfer operator()(const Tree& t) const { return tree_transfer(t, stage, rank, i, !t.up, 1); }
    Transfer operator()(const Explicit& e) const { return e.sends[rank][i]; }
};

struct RecvAt {
    const Stage& stage;
    std::uint32_t rank;
    std::uint32_t i;
    Transfer operator()(const Ring& r) const { return ring_transfer(r, stage, rank, i, 1); }
    Transfer operator()(const Direct& d) const {
        const Place at = stand(stage, rank);
        const std::uint32_t q = (at.position + at.size - i - 1) % at.size;
        const bool own = d.by_destination && !d.recv_by_source;
        return {i, stage.cells.rank_at(at.cell, q),
                d.recv_chunks.units(stage.cells, rank, own ? at.position : q), 0, 1};
    }
    Transfer operator()(const Tree& t) const { return tree_transfer(t, stage, rank, i, t.up, 0); }
    Transfer operator()(const Explicit& e) const { return e.recvs[rank][i]; }
};

const Stage& stage_of(const PlanTemplate& p, std::size_t channel, std::size_t stage) {
    return p.channels[channel].stages[stage];
}

}  // namespace

const char* name_of(Collective c) {
    return kRows[static_cast<std::size_t>(c)].name;
}

double busbw_factor(Collective c, std::size_t n) {
    return kRows[static_cast<std::size_t>(c)].factor(static_cast<double>(n));
}

bool reduces(Collective c) {
    return c == Collective::kAllReduce || c == Collective::kReduceScatter ||
           c == Collective::kReduce;
}

bool rooted(Collective c) {
    return c == Collective::kBroadcast || c == Collective::kSendRecv || c == Collective::kReduce ||
           c == Collective::kGather || c == Collective::kScatter;
}

bool blocked(Collective c) {
    return c == Collective::kAllGather || c == Collective::kReduceScatter ||
           c == Collective::kAllToAll || c == Collective::kGather || c == Collective::kScatter;
}

bool own_block(Collective c, Buffer buffer) {
    if (buffer == Buffer::kInput) return c == Collective::kAllGather || c == Collective::kGather;
    return buffer == Buffer::kOutput &&
           (c == Collective::kReduceScatter || c == Collective::kScatter);
}

bool provides(Collective c, Buffer buffer, std::uint32_t rank, std::uint32_t root,
              std::uint32_t n) {
    if (buffer == Buffer::kScratch) return true;
    const bool input = buffer == Buffer::kInput;
    switch (c) {
        case Collective::kBroadcast:
        case Collective::kScatter:
            return !input || rank == root;
        case Collective::kReduce:
        case Collective::kGather:
            return input || rank == root;
        case Collective::kSendRecv:
            return rank == (input ? root : (root + 1) % n);
        default:
            return true;
    }
}

std::uint32_t Partition::cell(std::uint32_t rank) const {
    if (!where.empty()) return where[rank] / size;
    return rank / (size * stride) * stride + rank % stride;
}

std::uint32_t Partition::position(std::uint32_t rank) const {
    if (!where.empty()) return where[rank] % size;
    return rank / stride % size;
}

std::uint32_t Partition::rank_at(std::uint32_t cell, std::uint32_t position) const {
    if (!order.empty()) return order[static_cast<std::size_t>(cell) * size + position];
    return cell / stride * (size * stride) + position * stride + cell % stride;
}

UnitSet ChunkMap::units(const Partition& cells, std::uint32_t rank, std::uint32_t index) const {
    const std::uint32_t i = by_rank ? cells.rank_at(cells.cell(rank), index) : index;
    const std::uint32_t base = outer_span * outer.position(rank);
    return {base + i * index_step, span, stride};
}

void Explicit::number() {
    const auto pass = [](std::vector<std::vector<Transfer>>& lists) {
        for (std::vector<Transfer>& list : lists)
            for (std::size_t i = 0; i < list.size(); ++i) {
                std::uint32_t before = 0;
                std::uint32_t all = 0;
                for (std::size_t j = 0; j < list.size(); ++j) {
                    if (list[j].peer != list[i].peer) continue;
                    before += j < i ? 1 : 0;
                    ++all;
                }
                list[i].ordinal = before;
                list[i].of = all;
            }
    };
    pass(sends);
    pass(recvs);
}

std::uint32_t send_count(const PlanTemplate& p, std::size_t channel, std::size_t stage,
                         std::uint32_t rank) {
    const Stage& s = stage_of(p, channel, stage);
    return std::visit(SendCount{s, rank}, s.pattern);
}

std::uint32_t recv_count(const PlanTemplate& p, std::size_t channel, std::size_t stage,
                         std::uint32_t rank) {
    const Stage& s = stage_of(p, channel, stage);
    return std::visit(RecvCount{s, rank}, s.pattern);
}

Transfer send_at(const PlanTemplate& p, std::size_t channel, std::size_t stage, std::uint32_t rank,
                 std::uint32_t i) {
    const Stage& s = stage_of(p, channel, stage);
    return std::visit(SendAt{s, rank, i}, s.pattern);
}

Transfer recv_at(const PlanTemplate& p, std::size_t channel, std::size_t stage, std::uint32_t rank,
                 std::uint32_t i) {
    const Stage& s = stage_of(p, channel, stage);
    return std::visit(RecvAt{s, rank, i}, s.pattern);
}

ElementRange locate(const PlanTemplate& p, const Binding& b, std::size_t channel,
                    std::uint32_t unit) {
    const ElementRange part = channel_range(p, b.count, channel);
    if (p.blocked()) {
        const std::uint64_t block = b.count * unit;
        return {block + part.begin, block + part.end};
    }
    const std::uint64_t units = p.channels[channel].units;
    return {part.begin + share(part.size(), unit, units),
            part.begin + share(part.size(), std::uint64_t{unit} + 1, units)};
}

std::uint64_t elements(const PlanTemplate& p, const Binding& b, std::size_t channel,
                       const UnitSet& units) {
    if (units.count == 0) return 0;
    if (p.blocked()) return units.count * channel_range(p, b.count, channel).size();
    if (units.stride == 1)
        return locate(p, b, channel, units.first + units.count - 1).end -
               locate(p, b, channel, units.first).begin;
    std::uint64_t sum = 0;
    for (std::uint32_t i = 0; i < units.count; ++i)
        sum += locate(p, b, channel, units.first + i * units.stride).size();
    return sum;
}

bool holds(const PlanTemplate& p, Buffer buffer, std::uint32_t rank, std::uint32_t unit) {
    return provides(p.collective, buffer, rank, p.root, p.n) &&
           (unit == rank || !own_block(p.collective, buffer));
}

ElementRange place(const PlanTemplate& p, const Binding& b, Buffer buffer, std::uint32_t rank,
                   std::size_t channel, std::uint32_t unit) {
    ElementRange range = locate(p, b, channel, unit);
    if (own_block(p.collective, buffer)) {
        WEFT_CHECK(unit == rank, "rank {} has no block {} in this buffer", rank, unit);
        range.begin -= b.count * unit;
        range.end -= b.count * unit;
    }
    return range;
}

namespace {

/// Whether something that the rank receives lands in scratch.
bool needs_scratch(const PlanTemplate& p, std::uint32_t rank) {
    const bool all_in_output = provides(p.collective, Buffer::kOutput, rank, p.root, p.n) &&
                               !own_block(p.collective, Buffer::kOutput);
    for (std::size_t c = 0; c < p.channels.size(); ++c)
        for (std::size_t s = 0; s < p.channels[c].stages.size(); ++s) {
            const Buffer to = p.channels[c].stages[s].destination;
            const bool may = to == Buffer::kScratch || (to == Buffer::kOutput && !all_in_output);
            if (may && recv_count(p, c, s, rank) > 0) return true;
        }
    return false;
}

}  // namespace

std::uint64_t buffer_elements(const PlanTemplate& p, const Binding& b, Buffer buffer,
                              std::uint32_t rank) {
    const std::uint64_t whole = p.blocked() ? b.count * p.n : b.count;
    if (buffer == Buffer::kScratch) return needs_scratch(p, rank) ? whole : 0;
    if (!provides(p.collective, buffer, rank, p.root, p.n)) return 0;
    return own_block(p.collective, buffer) ? b.count : whole;
}

Cut cut(const PlanTemplate& p, const Binding& b, std::size_t channel) {
    const Channel& c = p.channels[channel];
    const std::uint64_t part = channel_range(p, b.count, channel).size();
    const std::uint64_t largest =
        p.blocked() ? part : static_cast<std::uint64_t>(ceil_div(part, std::max(1u, c.units)));
    constexpr std::uint64_t kLine = 64;
    const std::uint64_t bytes = largest * b.element_size;
    const std::uint64_t wanted =
        std::uint64_t{std::max(1u, c.min_loops)} * std::max(1u, c.loop_slices);
    const std::uint64_t even = static_cast<std::uint64_t>(ceil_div(bytes, wanted));
    const auto slice = static_cast<std::uint64_t>(std::max<std::int64_t>(c.slice.count(), 1));
    const std::uint64_t most = std::min(slice, std::max<std::uint64_t>(even, 1));
    const std::uint64_t lines = std::max<std::uint64_t>(
        1, even < slice ? static_cast<std::uint64_t>(ceil_div(most, kLine)) : most / kLine);
    Cut out;
    out.slice_elements = std::max<std::uint64_t>(1, lines * kLine / b.element_size);
    const auto slices = static_cast<std::uint64_t>(ceil_div(largest, out.slice_elements));
    out.slices = static_cast<std::uint32_t>(std::max<std::uint64_t>(1, slices));
    out.loop_slices = c.loop_slices == 0 ? out.slices : std::min(c.loop_slices, out.slices);
    out.loops = static_cast<std::uint32_t>(ceil_div(out.slices, out.loop_slices));
    return out;
}

ElementRange slice_of(const ElementRange& unit, const Cut& c, std::uint32_t a) {
    const std::uint64_t begin = std::min(unit.end, unit.begin + c.slice_elements * a);
    return {begin, std::min(unit.end, begin + c.slice_elements)};
}

Binding bind_total(const PlanTemplate& p, Bytes total, std::uint32_t element_size) {
    Binding b;
    b.element_size = element_size;
    const auto whole = static_cast<std::uint64_t>(total.count()) / element_size;
    b.count = p.blocked() ? whole / p.n : whole;
    return b;
}

Bytes total_size(const PlanTemplate& p, const Binding& b) {
    const std::uint64_t blocks = p.blocked() ? p.n : 1;
    return Bytes{static_cast<std::int64_t>(b.count * blocks * b.element_size)};
}

namespace {

/// Folds one field after the other into a hash.
struct Hasher {
    std::uint64_t h = 0x5765667450'6c616eULL;
    template <class T>
    void add(T value) {
        h = mix64(h, static_cast<std::uint64_t>(value));
    }
    void add(const Partition& p) {
        add(p.size);
        add(p.stride);
        add(p.order.size());
        for (const std::uint32_t r : p.order) add(r);
    }
    void add(const ChunkMap& m) {
        for (const std::uint32_t v : {m.span, m.stride, m.index_step, m.outer_span}) add(v);
        add(m.by_rank);
        add(m.outer);
    }
    void operator()(const Ring& r) {
        add(r.first);
        add(r.direction);
        add(r.steps);
        add(r.chunks);
    }
    void operator()(const Direct& d) {
        add(d.by_destination);
        add(d.recv_by_source);
        add(d.send_chunks);
        add(d.recv_chunks);
    }
    void operator()(const Tree& t) {
        add(t.root);
        add(t.radix);
        add(t.chunk_count);
        add(t.chunks);
        add(t.up);
        add(t.in_order);
        add(t.chain);
    }
    void operator()(const Explicit& e) {
        for (const auto* lists : {&e.sends, &e.recvs})
            for (const auto& list : *lists) {
                add(list.size());
                for (const Transfer& t : list)
                    for (const std::uint32_t v :
                         {t.step, t.peer, t.units.first, t.units.count, t.units.stride})
                        add(v);
            }
    }
};

}  // namespace

std::uint64_t PlanTemplate::hash() const {
    Hasher f;
    f.add(hash_text(algorithm));
    f.add(collective);
    f.add(n);
    f.add(root);
    f.add(deterministic);
    f.add(in_place_ok);
    for (const Channel& c : channels) {
        f.add(c.weight);
        f.add(c.rail);
        f.add(c.plane);
        f.add(c.units);
        f.add(c.protocol);
        f.add(c.slots);
        f.add(c.slice.count());
        f.add(c.loop_slices);
        f.add(c.min_loops);
        f.add(c.stages.size());
        for (const Stage& s : c.stages) {
            f.add(s.pattern.index());
            std::visit([&f](const auto& pattern) { f(pattern); }, s.pattern);
            f.add(s.cells);
            f.add(s.arrival);
            f.add(s.source);
            f.add(s.destination);
            f.add(s.in_network);
        }
    }
    return f.h;
}

}  // namespace weft
