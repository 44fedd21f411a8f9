#include "simulator/packet/forwarding.hpp"

#include <algorithm>

namespace weft::packet {
namespace {

constexpr std::uint32_t kNoRow = ~std::uint32_t{0};

bool at_an_end(const Fabric& fabric, LinkId l) {
    return fabric.link(l).kind == LinkKind::kPcie;
}

}  // namespace

Path path_of(const Fabric& fabric, const Route& route) {
    Path p;
    for (const LinkId l : route.links)
        if (!at_an_end(fabric, l)) p.there.push_back(l);
    for (auto l = p.there.rbegin(); l != p.there.rend(); ++l) p.back.push_back(reverse(*l));
    return p;
}

SimDuration latency_outside(const Fabric& fabric, const Route& route) {
    SimDuration sum;
    for (const LinkId l : route.links)
        if (at_an_end(fabric, l)) sum += fabric.link(l).latency;
    return sum;
}

Forwarding::Forwarding(const Fabric& fabric, const Router& router)
    : fabric_(&fabric), router_(&router), switch_of_(fabric.nodes().size(), 0) {
    for (std::size_t i = 0; i < fabric.nodes().size(); ++i) {
        if (fabric.nodes()[i].kind != NodeKind::kSwitch) continue;
        switch_of_[i] = static_cast<std::uint32_t>(nodes_.size());
        nodes_.emplace_back(i);
    }
    switches_ = nodes_.size();
    row_of_.assign(switches_, kNoRow);
    sets_.resize(switches_);
}

std::uint32_t Forwarding::row(LinkId last) {
    const NodeId tor = fabric_->link(last).from;
    std::uint32_t& row = row_of_[switch_of_[tor.index()]];
    if (row == kNoRow) {
        row = static_cast<std::uint32_t>(last_of_row_.size());
        last_of_row_.push_back(tor);
        cells_.resize(cells_.size() + switches_);
        fill(row);
    }
    return row;
}

void Forwarding::fill(std::uint32_t row) {
    for (std::size_t s = 0; s < switches_; ++s)
        cells_[row * switches_ + s] = cell_of(s, router_->next_hops(nodes_[s], last_of_row_[row]));
}

/// Where the links of a set stand. Most rows of a switch share one set: it is kept once, so that
/// the table stays in the cache.
Forwarding::Cell Forwarding::cell_of(std::size_t at, const std::vector<LinkId>& set) {
    const auto same = [&](const Cell& c) {
        return std::equal(set.begin(), set.end(), links_.begin() + c.first,
                          links_.begin() + c.first + c.count,
                          [](LinkId l, std::uint32_t known) { return l.value() == known; });
    };
    std::vector<Cell>& known = sets_[at];
    const auto found = std::find_if(known.begin(), known.end(), same);
    if (found != known.end()) return *found;
    known.push_back(
        {static_cast<std::uint32_t>(links_.size()), static_cast<std::uint32_t>(set.size())});
    for (const LinkId l : set) links_.push_back(l.value());
    return known.back();
}

void Forwarding::remake() {
    links_.clear();
    for (std::vector<Cell>& known : sets_) known.clear();
    for (std::uint32_t row = 0; row < last_of_row_.size(); ++row) fill(row);
}

std::size_t Forwarding::bytes() const {
    return cells_.capacity() * sizeof(Cell) + links_.capacity() * 4 + switch_of_.capacity() * 4;
}

}  // namespace weft::packet
