#include "collectives/api/staged.hpp"

#include <algorithm>
#include <cstring>

#include "collectives/runtime/kernels.hpp"

namespace weft::live {

namespace {

constexpr std::size_t kLine = 64;
// What is summed up stays in the first cache meanwhile.
constexpr std::size_t kFoldBytes = 16 * 1024;
// From here on every rank's reducing all of an all-reduce costs more than waiting twice.
constexpr std::size_t kTwoShotsFrom = 16 * 1024;

/// Whether a rank shows every other rank something else, or all the same.
bool shows_blocks(Collective c) {
    return c == Collective::kReduceScatter || c == Collective::kAllToAll ||
           c == Collective::kScatter;
}

std::uint64_t round_up(std::uint64_t x, std::uint64_t to) {
    return (x + to - 1) / to * to;
}

}  // namespace

StagedCollective::StagedCollective(const CollectiveCall& call, std::uint32_t rank,
                                   std::uint32_t ranks, std::size_t window_bytes)
    : call_(call),
      rank_(rank),
      ranks_(ranks),
      size_(size_of(call.dtype)),
      reduces_(reduces(call.collective)) {
    const Collective c = call.collective;
    const std::uint64_t bytes = call.count * size_;
    two_shots_ = (c == Collective::kAllReduce || c == Collective::kReduce) && ranks > 2 &&
                 bytes >= kTwoShotsFrom;
    const bool all_blocks = blocked(c) && !own_block(c, Buffer::kOutput);
    past_ = bytes * (all_blocks ? ranks : 1) >= kStreamedBytes;
    const std::uint64_t line = kLine / size_;  // elements
    const std::uint64_t room = window_bytes / size_;
    std::uint64_t most = room;
    if (shows_blocks(call.collective)) most = room / ranks;
    if (two_shots_) most = room * ranks / (ranks + 1) - line;
    most = std::max(most / line * line, line);
    pieces_ = std::max<std::uint64_t>((call.count + most - 1) / most, 1);
    step_ = round_up((call.count + pieces_ - 1) / pieces_, line);
    pieces_ = std::max<std::uint64_t>((call.count + step_ - 1) / std::max(step_, line), 1);
    if (two_shots_) {
        latency_ = 2;
        data_ = round_up(step_ / line, ranks) / ranks * kLine;
    }
}

StagedCollective::Range StagedCollective::piece(std::uint64_t k) const {
    return {std::min(k * step_, call_.count), std::min((k + 1) * step_, call_.count)};
}

StagedCollective::Range StagedCollective::block(std::uint32_t rank, std::uint64_t elements) const {
    // Whole cache lines, of which ranks have as many as others or one more.
    const std::uint64_t line = kLine / size_;
    const std::uint64_t lines = (elements + line - 1) / line;
    const auto edge = [&](std::uint64_t r) {
        return std::min(lines * r / ranks_ * line, elements);
    };
    return {edge(rank), edge(rank + 1)};
}

void StagedCollective::work(std::uint64_t stage, std::byte* mine, Shown shown) {
    if (stage >= latency_) take(piece(stage - latency_), shown);
    if (two_shots_ && stage >= 1 && stage <= pieces_) reduce_block(piece(stage - 1), mine, shown);
    if (stage < pieces_) show(piece(stage), mine + data_);
}

void StagedCollective::show(const Range& p, std::byte* window) const {
    if (!has(Buffer::kInput)) return;
    // Nobody but the root itself reads what the root has.
    const bool own_only = call_.collective == Collective::kGather ||
                          (call_.collective == Collective::kReduce && !two_shots_ && !scales());
    if (own_only && rank_ == call_.root) return;
    if (shows_blocks(call_.collective)) {
        for (std::uint32_t m = 0; m < ranks_; ++m)
            if (m != rank_ || scales())
                show_elements(m * call_.count + p.begin, window + m * step_ * size_, p.size());
        return;
    }
    if (!two_shots_ || scales()) return show_elements(p.begin, window, p.size());
    const Range own = block(rank_, p.size());
    show_elements(p.begin, window, own.begin);
    show_elements(p.begin + own.end, window + own.end * size_, p.size() - own.end);
}

void StagedCollective::show_elements(std::uint64_t from, std::byte* to,
                                     std::uint64_t elements) const {
    if (elements == 0) return;
    if (scales())
        scale(call_.dtype, call_.factor, input(from), to, elements);
    else
        std::memcpy(to, input(from), elements * size_);
}

void StagedCollective::reduce_block(const Range& p, std::byte* mine, Shown shown) const {
    const Range own = block(rank_, p.size());
    fold({.own = p.begin + own.begin,
          .at = data_ + own.begin * size_,
          .elements = own.size(),
          .out = mine,
          .to_user = false},
         shown);
    if (has(Buffer::kOutput)) place(mine, p.begin + own.begin, own.size());
}

void StagedCollective::take(const Range& p, Shown shown) const {
    if (!has(Buffer::kOutput)) return;
    const std::uint64_t own = rank_ * call_.count + p.begin;
    switch (call_.collective) {
        case Collective::kAllReduce:
        case Collective::kReduce:
            if (!two_shots_) return fold({p.begin, 0, p.size(), output(p.begin), true}, shown);
            for (std::uint32_t m = 0; m < ranks_; ++m) {
                const Range b = block(m, p.size());
                if (m != rank_) place(shown[m], p.begin + b.begin, b.size());
            }
            return;
        case Collective::kReduceScatter:
            return fold({own, rank_ * step_ * size_, p.size(), output(p.begin), true}, shown);
        case Collective::kBroadcast:
            return place(rank_ == call_.root ? input(p.begin) : shown[call_.root], p.begin,
                         p.size());
        case Collective::kScatter:
            return place(
                rank_ == call_.root ? input(own) : shown[call_.root] + rank_ * step_ * size_,
                p.begin, p.size());
        case Collective::kAllGather:
        case Collective::kGather:
            for (std::uint32_t m = 0; m < ranks_; ++m)
                place(m == rank_ ? input(p.begin) : shown[m], m * call_.count + p.begin, p.size());
            return;
        case Collective::kAllToAll:
            for (std::uint32_t m = 0; m < ranks_; ++m)
                place(m == rank_ ? input(own) : shown[m] + rank_ * step_ * size_,
                      m * call_.count + p.begin, p.size());
            return;
        case Collective::kSendRecv:
            return;
    }
}

void StagedCollective::place(const std::byte* from, std::uint64_t to,
                             std::uint64_t elements) const {
    if (elements == 0 || from == output(to)) return;
    if (past_)
        copy_past(from, output(to), elements * size_);
    else
        std::memcpy(output(to), from, elements * size_);
}

void StagedCollective::fold(const Fold& f, Shown shown) const {
    std::array<std::byte, kFoldBytes> kept;
    const bool divides = call_.op == ReduceOp::kAvg;
    const Write write = past_ && f.to_user ? Write::kPast : Write::kBySize;
    const std::uint64_t at_once = kFoldBytes / size_;
    for (std::uint64_t i = 0; i < f.elements; i += at_once) {
        const std::uint64_t n = std::min(at_once, f.elements - i);
        const auto of = [&](std::uint32_t m) {
            return m == rank_ && !scales() ? input(f.own + i) : shown[m] + f.at + i * size_;
        };
        // The caller's output may be the caller's input, which is read in its turn.
        std::byte* out = f.out + i * size_;
        std::byte* sum = f.to_user ? kept.data() : out;
        const std::byte* so_far = of(0);
        for (std::uint32_t m = 1; m < ranks_; ++m) {
            const bool last = m + 1 == ranks_ && !divides;
            live::reduce(call_.dtype, call_.op, of(m), so_far, last ? out : sum, n,
                         last ? write : Write::kBySize);
            so_far = sum;
        }
        if (!divides) continue;
        divide(call_.dtype, sum, n, ranks_);
        if (sum != out) std::memcpy(out, sum, n * size_);
    }
}

}  // namespace weft::live
