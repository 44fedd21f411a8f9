#include "collectives/plan/cursor.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace weft {

namespace {
using Kind = Operation::Kind;

std::uint32_t slices_in(const Cut& c, std::uint32_t loop) {
    return std::min(c.loop_slices, c.slices - loop * c.loop_slices);
}
std::uint32_t unit_at(const UnitSet& u, std::uint32_t i) {
    return u.first + i * u.stride;
}
}  // namespace

Cursor::Cursor(const PlanTemplate& plan, const Binding& binding, std::uint32_t rank)
    : plan_(plan), binding_(binding), rank_(rank) {
    WEFT_CHECK(rank < plan.n, "rank {} of {}", rank, plan.n);
    channels_.resize(plan.channels.size());
    for (std::uint32_t c = 0; c < channels_.size(); ++c) build_channel(c);
}

/// The place that a unit has in a buffer. In place, the input is where the output is.
std::uint32_t Cursor::slot(std::uint32_t channel, Buffer b, std::uint32_t unit) const {
    if (b == Buffer::kInput && binding_.in_place && holds(plan_, b, rank_, unit) &&
        holds(plan_, Buffer::kOutput, rank_, unit))
        b = Buffer::kOutput;
    return static_cast<std::uint32_t>(b) * channels_[channel].units + unit;
}

/// Where a stage writes: kOutput is scratch for the units that the rank's output does not hold.
std::uint32_t Cursor::working(std::uint32_t channel, Buffer b, std::uint32_t unit) const {
    if (b == Buffer::kOutput && !holds(plan_, b, rank_, unit)) b = Buffer::kScratch;
    return slot(channel, b, unit);
}

/// Where the value of a unit lies at this point of the program.
std::uint32_t Cursor::value(std::uint32_t channel, Buffer b, std::uint32_t unit,
                            const Counts& counts) const {
    const std::uint32_t own = working(channel, b, unit);
    if (b == Buffer::kInput || counts.writes[own] > 0) return own;
    const std::uint32_t scratch = slot(channel, Buffer::kScratch, unit);
    if (counts.writes[scratch] > 0) return scratch;
    return slot(channel, Buffer::kInput, unit);
}

void Cursor::add_item(std::uint32_t channel, Sequence& q, const Stage& stage, const Transfer& t,
                      Counts& counts) {
    ChannelState& c = channels_[channel];
    q.items.push_back({t, static_cast<std::uint32_t>(c.touches.size()), 0});
    for (std::uint32_t i = 0; i < t.units.count; ++i) {
        const std::uint32_t unit = unit_at(t.units, i);
        Touch touch;
        if (q.kind == Kind::kSend) {
            touch.slot = value(channel, stage.source, unit, counts);
            touch.local = touch.slot;
            touch.writes = counts.writes[touch.slot];
            ++counts.reads[touch.slot];
        } else {
            touch.slot = working(channel, stage.destination, unit);
            touch.local = stage.arrival == Arrival::kReduce
                              ? value(channel, stage.destination, unit, counts)
                              : touch.slot;
            touch.writes = counts.writes[touch.slot];
            touch.reads = counts.reads[touch.slot];
            touch.local_writes = counts.writes[touch.local];
            if (touch.local != touch.slot) ++counts.reads[touch.local];
            ++counts.writes[touch.slot];
        }
        c.touches.push_back(touch);
    }
}

/// Output units that no transfer wrote get their value by a local copy, unless they lie there
/// already.
void Cursor::add_copies(std::uint32_t channel, Counts& counts) {
    ChannelState& c = channels_[channel];
    Sequence q;
    q.kind = Kind::kCopy;
    for (std::uint32_t unit = 0; unit < c.units; ++unit) {
        if (!holds(plan_, Buffer::kOutput, rank_, unit)) continue;
        const std::uint32_t out = slot(channel, Buffer::kOutput, unit);
        const std::uint32_t from = value(channel, Buffer::kOutput, unit, counts);
        const bool known = from / c.units != static_cast<std::uint32_t>(Buffer::kInput) ||
                           holds(plan_, Buffer::kInput, rank_, unit);
        if (counts.writes[out] > 0 || from == out || !known) continue;
        q.items.push_back({Transfer{.step = 0, .peer = rank_, .units = {unit, 1, 1}},
                           static_cast<std::uint32_t>(c.touches.size()), 0});
        c.touches.push_back({out, from, 0, counts.reads[out], counts.writes[from]});
    }
    c.sequences.push_back(std::move(q));
}

/// Numbers the peers of a sequence in order of first use.
void Cursor::connect(Sequence& q, std::uint32_t ranks) {
    std::vector<std::uint32_t> of(q.items.empty() ? 0 : ranks, ranks);
    std::uint32_t used = 0;
    for (Item& item : q.items) {
        std::uint32_t& id = of[item.transfer.peer];
        if (id == ranks) id = used++;
        item.connection = id;
    }
    q.in_flight.assign(used, 0);
}

void Cursor::build_channel(std::uint32_t channel) {
    ChannelState& c = channels_[channel];
    const Channel& model = plan_.channels[channel];
    c.cut = cut(plan_, binding_, channel);
    c.units = model.units;
    Counts counts;
    counts.writes.assign(std::size_t{3} * c.units, 0);
    counts.reads = counts.writes;
    for (std::uint32_t s = 0; s < model.stages.size(); ++s) {
        Sequence sends{.kind = Kind::kSend, .arrival = model.stages[s].arrival, .stage = s};
        Sequence recvs{.kind = Kind::kReceive, .arrival = model.stages[s].arrival, .stage = s};
        const std::uint32_t out = send_count(plan_, channel, s, rank_);
        const std::uint32_t in = recv_count(plan_, channel, s, rank_);
        for (std::uint32_t i = 0, j = 0; i < out || j < in;) {
            Transfer send;
            Transfer recv;
            if (i < out) send = send_at(plan_, channel, s, rank_, i);
            if (j < in) recv = recv_at(plan_, channel, s, rank_, j);
            const bool send_first = j == in || (i < out && send.step <= recv.step);
            if (send_first)
                add_item(channel, sends, model.stages[s], send, counts), ++i;
            else
                add_item(channel, recvs, model.stages[s], recv, counts), ++j;
        }
        c.sequences.push_back(std::move(sends));
        c.sequences.push_back(std::move(recvs));
    }
    add_copies(channel, counts);
    for (Sequence& q : c.sequences) {
        connect(q, plan_.n);
        q.finished = q.items.empty();
        remaining_ += q.items.size() * c.cut.slices;
    }
    c.written.assign(std::size_t{3} * c.units * c.cut.slices, 0);
    c.read = c.written;
}

bool Cursor::ready(const ChannelState& c, const Sequence& q) const {
    const Item& item = q.items[q.item];
    const std::uint32_t slice = q.loop * c.cut.loop_slices + q.slice;
    for (std::uint32_t i = 0; i < item.transfer.units.count; ++i) {
        const Touch& t = c.touches[item.touch + i];
        const std::size_t at = std::size_t{t.slot} * c.cut.slices + slice;
        if (c.written[at] < t.writes) return false;
        if (q.kind == Kind::kSend) continue;
        if (c.read[at] < t.reads) return false;
        if (c.written[std::size_t{t.local} * c.cut.slices + slice] < t.local_writes) return false;
    }
    return true;
}

Operation Cursor::head(std::uint32_t channel, const Sequence& q) const {
    const ChannelState& c = channels_[channel];
    const Item& item = q.items[q.item];
    Operation op;
    op.kind = q.kind;
    op.arrival = q.arrival;
    op.channel = channel;
    op.stage = q.stage;
    op.peer = item.transfer.peer;
    op.index = q.item;
    op.step = item.transfer.step;
    op.slice = q.loop * c.cut.loop_slices + q.slice;
    op.sequence = q.loop * c.cut.loop_slices * item.transfer.of +
                  item.transfer.ordinal * slices_in(c.cut, q.loop) + q.slice;
    op.pieces = item.transfer.units.count;
    for (std::uint32_t i = 0; i < op.pieces; ++i)
        op.elements += range(channel, c.touches[item.touch + i].slot, op.slice).size();
    return op;
}

/// To the next operation in (loop, item, slice) order.
void Cursor::advance(const ChannelState& c, Sequence& q) {
    if (++q.slice < slices_in(c.cut, q.loop)) return;
    q.slice = 0;
    if (++q.item < q.items.size()) return;
    q.item = 0;
    if (++q.loop == c.cut.loops) q.finished = true;
}

std::size_t Cursor::drain(std::uint32_t channel, std::span<Operation> out) {
    ChannelState& c = channels_[channel];
    std::size_t used = 0;
    bool moved = true;
    while (moved) {
        moved = false;
        for (Sequence& q : c.sequences)
            while (!q.finished) {
                std::uint32_t& flight = q.in_flight[q.items[q.item].connection];
                const bool limited =
                    q.kind != Kind::kCopy && flight >= plan_.channels[channel].slots;
                if (limited || !ready(c, q)) break;
                const Operation op = head(channel, q);
                if (op.elements > 0 && used == out.size()) return used;
                advance(c, q);
                ++flight;
                moved = true;
                if (op.elements > 0)
                    out[used++] = op;
                else
                    complete(op);
            }
    }
    c.dirty = false;
    return used;
}

std::size_t Cursor::next(std::span<Operation> out) {
    std::size_t used = 0;
    const auto count = static_cast<std::uint32_t>(channels_.size());
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint32_t channel = (start_ + i) % count;
        if (channels_[channel].dirty) used += drain(channel, out.subspan(used));
    }
    if (count > 0) start_ = (start_ + 1) % count;
    return used;
}

void Cursor::complete(const Operation& op) {
    ChannelState& c = channels_[op.channel];
    Sequence& q = op.kind == Kind::kCopy
                      ? c.sequences.back()
                      : c.sequences[2 * op.stage + (op.kind == Kind::kReceive ? 1 : 0)];
    const Item& item = q.items[op.index];
    WEFT_CHECK(q.in_flight[item.connection] > 0, "an operation finished twice");
    --q.in_flight[item.connection];
    --remaining_;
    c.dirty = true;
    for (std::uint32_t i = 0; i < item.transfer.units.count; ++i) {
        const Touch& t = c.touches[item.touch + i];
        const std::size_t at = std::size_t{t.slot} * c.cut.slices + op.slice;
        if (op.kind == Kind::kSend) {
            ++c.read[at];
            continue;
        }
        ++c.written[at];
        if (t.local != t.slot) ++c.read[std::size_t{t.local} * c.cut.slices + op.slice];
    }
}

void Cursor::sent(const Operation& op) {
    WEFT_CHECK(op.kind == Kind::kSend, "sent() takes a send");
    complete(op);
}
void Cursor::arrived(const Operation& op) {
    WEFT_CHECK(op.kind == Kind::kReceive, "arrived() takes a receive");
    complete(op);
}
void Cursor::copied(const Operation& op) {
    WEFT_CHECK(op.kind == Kind::kCopy, "copied() takes a copy");
    complete(op);
}

ElementRange Cursor::range(std::uint32_t channel, std::uint32_t slot, std::uint32_t slice) const {
    const ChannelState& c = channels_[channel];
    const auto buffer = static_cast<Buffer>(slot / c.units);
    return slice_of(place(plan_, binding_, buffer, rank_, channel, slot % c.units), c.cut, slice);
}

Piece Cursor::piece(const Operation& op, std::uint32_t i) const {
    const ChannelState& c = channels_[op.channel];
    const std::size_t index = op.kind == Kind::kCopy
                                  ? c.sequences.size() - 1
                                  : 2 * std::size_t{op.stage} + (op.kind == Kind::kReceive ? 1 : 0);
    const Touch& t = c.touches[c.sequences[index].items[op.index].touch + i];
    return {static_cast<Buffer>(t.slot / c.units), range(op.channel, t.slot, op.slice),
            static_cast<Buffer>(t.local / c.units), range(op.channel, t.local, op.slice)};
}

}  // namespace weft
