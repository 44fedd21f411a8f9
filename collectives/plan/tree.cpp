// The shape of a Tree: chains of positions hung onto the nodes of a complete or in-order tree.
#include <algorithm>
#include <bit>

#include "collectives/plan/plan.hpp"

namespace weft {

namespace {

std::uint32_t lowest_bit(std::uint32_t x) {
    return x & (~x + 1);
}

std::uint32_t node_parent(const Tree& t, std::uint32_t x, std::uint32_t nodes) {
    if (!t.in_order) return (x - 1) / t.radix;
    const std::uint32_t bit = lowest_bit(x);
    const std::uint64_t up = (x ^ bit) | std::uint64_t{bit} << 1;
    return up < nodes ? static_cast<std::uint32_t>(up) : x ^ bit;
}

std::uint32_t node_fan(const Tree& t, std::uint32_t x, std::uint32_t nodes) {
    if (t.in_order) {
        if (x == 0) return nodes > 1 ? 1 : 0;
        if (x % 2 == 1) return 0;
        return x + 1 < nodes ? 2 : 1;
    }
    const std::uint64_t first = static_cast<std::uint64_t>(x) * t.radix + 1;
    if (first >= nodes) return 0;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(t.radix, nodes - first));
}

std::uint32_t node_child(const Tree& t, std::uint32_t x, std::uint32_t i, std::uint32_t nodes) {
    if (!t.in_order) return x * t.radix + 1 + i;
    if (x == 0) return std::bit_floor(nodes - 1);
    const std::uint32_t half = lowest_bit(x) / 2;
    return i == 0 ? x - half : x + std::min(half, std::bit_floor(nodes - 1 - x));
}

}  // namespace

std::uint32_t tree_parent(const Tree& t, std::uint32_t v, std::uint32_t size) {
    if (v % t.chain != 0) return v - 1;
    return node_parent(t, v / t.chain, size / t.chain) * t.chain;
}

std::uint32_t tree_fan(const Tree& t, std::uint32_t v, std::uint32_t size) {
    const std::uint32_t link = v % t.chain;
    return (link + 1 < t.chain ? 1 : 0) +
           (link == 0 ? node_fan(t, v / t.chain, size / t.chain) : 0);
}

std::uint32_t tree_child(const Tree& t, std::uint32_t v, std::uint32_t i, std::uint32_t size) {
    if (t.chain > 1 && i == 0) return v + 1;
    return node_child(t, v / t.chain, t.chain > 1 ? i - 1 : i, size / t.chain) * t.chain;
}

}  // namespace weft
