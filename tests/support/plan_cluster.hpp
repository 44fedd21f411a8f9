#pragma once
// All ranks of one collective in one place: cursors drive real data in random order. Messages carry
// their data from the moment of the send. The outcome is compared with the collective's definition.
#include <deque>
#include <map>
#include <span>
#include <tuple>
#include <vector>

#include "base/rng.hpp"
#include "collectives/plan/cursor.hpp"

namespace weft::testing {

using Data = std::vector<std::uint64_t>;

/// All ranks of a collective in one place; messages carry their data from the moment of the send.
class Cluster {
  public:
    Cluster(const PlanTemplate& plan, const Binding& binding, std::uint64_t seed)
        : plan_(plan), binding_(binding), random_(seed, 0, "schedule") {
        for (std::uint32_t r = 0; r < plan.n; ++r) {
            cursors_.emplace_back(plan, binding, r);
            for (const Buffer b : {Buffer::kInput, Buffer::kOutput, Buffer::kScratch})
                memory_.emplace_back(buffer_elements(plan, binding, b, r), 0);
            Data& in = memory_[3 * r];
            for (std::size_t i = 0; i < in.size(); ++i) in[i] = mix64(r, i);
        }
        inputs_ = memory_;
    }

    /// Runs to the end; false when nothing can move.
    bool run() {
        std::size_t idle = 0;
        std::uint64_t left = 1;
        while (left > 0 && idle < 200 * cursors_.size()) {
            const auto r = static_cast<std::uint32_t>(random_.below(cursors_.size()));
            idle = turn(r) ? 0 : idle + 1;
            left = 0;
            for (const Cursor& c : cursors_) left += c.remaining();
        }
        return left == 0;
    }
    [[nodiscard]] const Data& input(std::uint32_t r) const { return inputs_[3 * r]; }
    [[nodiscard]] const Data& output(std::uint32_t r) const { return memory_[3 * r + 1]; }

  private:
    using Key = std::tuple<std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t>;
    struct Message {
        std::uint32_t sequence;
        Data data;
    };

    std::uint64_t& at(std::uint32_t r, Buffer b, std::uint64_t element) {
        return memory_[3 * r + static_cast<std::size_t>(b)].at(element);
    }
    bool turn(std::uint32_t r) {
        Operation ops[3];
        const std::size_t k = cursors_[r].next(std::span(ops).first(1 + random_.below(3)));
        for (std::size_t i = 0; i < k; ++i) start(r, ops[i]);
        bool moved = k > 0;
        for (std::size_t i = 0; i < waiting_[r].size();) {
            if (random_.below(2) == 0 && receive(r, waiting_[r][i])) {
                waiting_[r].erase(waiting_[r].begin() + static_cast<std::ptrdiff_t>(i));
                moved = true;
            } else {
                ++i;
            }
        }
        return moved;
    }
    void start(std::uint32_t r, const Operation& op) {
        if (op.kind == Operation::Kind::kReceive) {
            waiting_[r].push_back(op);
            return;
        }
        Message m{op.sequence, {}};
        for (std::uint32_t i = 0; i < op.pieces; ++i) {
            const Piece p = cursors_[r].piece(op, i);
            for (std::uint64_t e = 0; e < p.range.size(); ++e) {
                if (op.kind == Operation::Kind::kSend)
                    m.data.push_back(at(r, p.buffer, p.range.begin + e));
                else
                    at(r, p.buffer, p.range.begin + e) = at(r, p.local_buffer, p.local.begin + e);
            }
        }
        if (op.kind == Operation::Kind::kCopy) return cursors_[r].copied(op);
        wires_[{op.channel, op.stage, r, op.peer}].push_back(std::move(m));
        cursors_[r].sent(op);
    }
    bool receive(std::uint32_t r, const Operation& op) {
        std::deque<Message>& wire = wires_[{op.channel, op.stage, op.peer, r}];
        if (wire.empty()) return false;
        // Receives of one connection must take messages in order.
        if (wire.front().sequence != op.sequence) return false;
        const Data data = wire.front().data;
        wire.pop_front();
        if (data.size() != op.elements) return false;
        std::size_t next = 0;
        for (std::uint32_t i = 0; i < op.pieces; ++i) {
            const Piece p = cursors_[r].piece(op, i);
            for (std::uint64_t e = 0; e < p.range.size(); ++e) {
                std::uint64_t v = data[next++];
                if (op.arrival == Arrival::kReduce) v += at(r, p.local_buffer, p.local.begin + e);
                at(r, p.buffer, p.range.begin + e) = v;
            }
        }
        cursors_[r].arrived(op);
        return true;
    }

    const PlanTemplate& plan_;
    Binding binding_;
    RandomStream random_;
    std::vector<Cursor> cursors_;
    std::vector<Data> memory_;  // input, output, scratch of rank 0, of rank 1, ...
    std::vector<Data> inputs_;
    std::map<Key, std::deque<Message>> wires_;
    std::map<std::uint32_t, std::vector<Operation>> waiting_;
};

inline std::uint64_t expected(const Cluster& c, const PlanTemplate& p, const Binding& b,
                              std::uint32_t r, std::uint64_t i) {
    std::uint64_t sum = 0;
    switch (p.collective) {
        case Collective::kAllReduce:
            for (std::uint32_t q = 0; q < p.n; ++q) sum += c.input(q)[i];
            return sum;
        case Collective::kReduceScatter:
            for (std::uint32_t q = 0; q < p.n; ++q) sum += c.input(q)[r * b.count + i];
            return sum;
        case Collective::kAllGather:
            return c.input(static_cast<std::uint32_t>(i / b.count))[i % b.count];
        case Collective::kAllToAll:
            return c.input(static_cast<std::uint32_t>(i / b.count))[r * b.count + i % b.count];
        case Collective::kBroadcast:
        case Collective::kSendRecv:
            return c.input(p.root)[i];
        case Collective::kReduce:
            for (std::uint32_t q = 0; q < p.n; ++q) sum += c.input(q)[i];
            return sum;
        case Collective::kGather:
            return c.input(static_cast<std::uint32_t>(i / b.count))[i % b.count];
        case Collective::kScatter:
            return c.input(p.root)[r * b.count + i];
    }
    return sum;
}

/// The first rank whose output is not what the collective's definition says; n when all are right.
inline std::uint32_t first_wrong(const Cluster& c, const PlanTemplate& p, const Binding& b) {
    for (std::uint32_t r = 0; r < p.n; ++r)
        for (std::uint64_t i = 0; i < c.output(r).size(); ++i)
            if (c.output(r)[i] != expected(c, p, b, r, i)) return r;
    return p.n;
}

}  // namespace weft::testing
