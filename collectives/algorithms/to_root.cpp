#include "collectives/algorithms/to_root.hpp"

#include <algorithm>
#include <bit>

namespace weft::algorithms {

namespace {

/// One hand-over of the blocks of ranks v .. v + blocks - 1, counted from the root, in at most two
/// transfers: ranks begin again at 0.
class Lists {
  public:
    Lists(std::uint32_t n, std::uint32_t root) : n_(n), root_(root) {
        out_.sends.resize(n);
        out_.recvs.resize(n);
    }
    void add(std::uint32_t from, std::uint32_t to, std::uint32_t step, std::uint32_t v,
             std::uint32_t blocks) {
        const std::uint32_t first = rank(v);
        const std::uint32_t before_end = std::min(blocks, n_ - first);
        const std::uint32_t parts = before_end < blocks ? 2 : 1;
        for (std::uint32_t i = 0; i < parts; ++i) {
            const UnitSet units{i == 0 ? first : 0, i == 0 ? before_end : blocks - before_end, 1};
            out_.sends[rank(from)].push_back({step, rank(to), units, i, parts});
            out_.recvs[rank(to)].push_back({step, rank(from), units, i, parts});
        }
    }
    [[nodiscard]] Explicit take() { return std::move(out_); }

  private:
    [[nodiscard]] std::uint32_t rank(std::uint32_t v) const { return (v + root_) % n_; }

    std::uint32_t n_;
    std::uint32_t root_;
    Explicit out_;
};

}  // namespace

Explicit gather_transfers(std::uint32_t n, std::uint32_t root, ToRoot how) {
    Lists lists(n, root);
    if (how == ToRoot::kStraight) {
        for (std::uint32_t v = 1; v < n; ++v) lists.add(v, 0, 0, v, 1);
        return lists.take();
    }
    std::uint32_t step = 0;
    for (std::uint32_t bit = 1; bit < n; bit *= 2, ++step)
        for (std::uint32_t v = bit; v < n; v += 2 * bit)
            lists.add(v, v - bit, step, v, std::min(bit, n - v));
    return lists.take();
}

Explicit scatter_transfers(std::uint32_t n, std::uint32_t root, ToRoot how) {
    Lists lists(n, root);
    if (how == ToRoot::kStraight) {
        for (std::uint32_t v = 1; v < n; ++v) lists.add(0, v, 0, v, 1);
        return lists.take();
    }
    std::uint32_t step = 0;
    for (std::uint32_t bit = std::bit_ceil(n) / 2; bit >= 1; bit /= 2, ++step)
        for (std::uint32_t v = bit; v < n; v += 2 * bit)
            lists.add(v - bit, v, step, v, std::min(bit, n - v));
    return lists.take();
}

}  // namespace weft::algorithms
