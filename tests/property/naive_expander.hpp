#pragma once
// What each rank sends, receives and copies, in order, written out the slow way from
// collectives/plan/README.md alone: it shares no code with the readers or the cursor beyond the
// template's own fields. The oracle of cursor and readers for n <= 32.
#include <map>
#include <string>
#include <vector>

#include "collectives/plan/plan.hpp"

namespace weft::testing {

/// One operation of one slice: the sequence it belongs to, the peer, and for each unit the buffer
/// that is read (sends, copies, local operands) or written (receives).
struct NaiveOp {
    std::uint32_t stage = 0, step = 0, peer = 0;
    bool send = true;
    std::vector<std::uint32_t> units;
    std::vector<int> place, local;  // Buffer as integer
};

struct NaiveChannel {
    std::vector<std::vector<NaiveOp>> sends, recvs;  // [stage]
    std::vector<NaiveOp> copies;
};

class NaiveExpander {
  public:
    NaiveExpander(const PlanTemplate& p, std::uint32_t rank, bool in_place)
        : p_(p), me_(rank), in_place_(in_place) {}
    NaiveChannel channel(const Channel& c);

  private:
    /// Members of my cell in order of position.
    std::vector<std::uint32_t> cell_of(const Partition& x, std::uint32_t rank) const {
        for (std::uint32_t cell = 0; cell < p_.n / x.size; ++cell) {
            std::vector<std::uint32_t> members;
            for (std::uint32_t i = 0; i < x.size; ++i)
                members.push_back(x.order.empty() ? (cell / x.stride) * x.size * x.stride +
                                                        i * x.stride + cell % x.stride
                                                  : x.order[cell * x.size + i]);
            for (const std::uint32_t m : members)
                if (m == rank) return members;
        }
        return {};
    }
    static std::uint32_t index_in(const std::vector<std::uint32_t>& v, std::uint32_t x) {
        std::uint32_t i = 0;
        while (v[i] != x) ++i;
        return i;
    }
    static std::uint32_t mod(long x, long m) {
        return static_cast<std::uint32_t>(((x % m) + m) % m);
    }
    std::vector<std::uint32_t> units(const ChunkMap& m, const std::vector<std::uint32_t>& cell,
                                     std::uint32_t index) const {
        std::vector<std::uint32_t> out;
        std::uint32_t base = 0;
        if (m.outer_span > 0) base = m.outer_span * index_in(cell_of(m.outer, me_), me_);
        const std::uint32_t i = m.by_rank ? cell[index] : index;
        for (std::uint32_t k = 0; k < m.span; ++k)
            out.push_back(base + i * m.index_step + k * m.stride);
        return out;
    }
    bool has(int buffer, std::uint32_t u) const;
    int merged(int buffer, std::uint32_t u) const {
        return buffer == 0 && in_place_ && has(0, u) && has(1, u) ? 1 : buffer;
    }
    std::vector<NaiveOp> stage(const Stage& s) const;
    void add_tree(const Tree& t, const std::vector<std::uint32_t>& cell, long position,
                  std::vector<NaiveOp>& out) const;
    void resolve(NaiveOp& op, const Stage& s);
    int read_place(int buffer, std::uint32_t u) {
        if (buffer == 0) return merged(0, u);
        if (buffer == 1 && !has(1, u)) buffer = 2;
        if (written_[{buffer, u}]) return buffer;
        if (written_[{2, u}]) return 2;
        return merged(0, u);
    }

    const PlanTemplate& p_;
    std::uint32_t me_;
    bool in_place_;
    std::map<std::pair<int, std::uint32_t>, bool> written_;
};

}  // namespace weft::testing
