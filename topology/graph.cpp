#include "topology/graph.hpp"

#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/connected_components.hpp>
#include <boost/graph/push_relabel_max_flow.hpp>
#include <map>

namespace weft {
namespace {

using Traits = boost::adjacency_list_traits<boost::vecS, boost::vecS, boost::directedS>;
using FlowGraph = boost::adjacency_list<
    boost::vecS, boost::vecS, boost::directedS, boost::no_property,
    boost::property<
        boost::edge_capacity_t, std::int64_t,
        boost::property<boost::edge_residual_capacity_t, std::int64_t,
                        boost::property<boost::edge_reverse_t, Traits::edge_descriptor>>>>;

using Arcs = std::map<std::pair<std::size_t, std::size_t>, std::int64_t>;

FlowGraph build_graph(const Arcs& arcs, std::size_t vertices) {
    FlowGraph g(vertices);
    const auto capacity = boost::get(boost::edge_capacity, g);
    const auto back = boost::get(boost::edge_reverse, g);
    for (const auto& [ends, rate] : arcs) {
        const auto forward = boost::add_edge(ends.first, ends.second, g).first;
        const auto backward = boost::add_edge(ends.second, ends.first, g).first;
        capacity[forward] = rate;
        capacity[backward] = 0;
        back[forward] = backward;
        back[backward] = forward;
    }
    return g;
}

}  // namespace

Bandwidth max_flow_between(const Fabric& fabric, std::size_t split, const Health& health) {
    // Vertex 0 is the source, 1 the sink, then the switches; parallel links add up to one arc.
    std::vector<std::size_t> vertex(fabric.nodes().size(), 0);
    std::size_t vertices = 2;
    for (std::size_t i = 0; i < fabric.nodes().size(); ++i)
        if (fabric.nodes()[i].kind == NodeKind::kSwitch) vertex[i] = vertices++;
    Arcs arcs;
    for (std::size_t i = 0; i < fabric.links().size(); ++i) {
        const Link& l = fabric.links()[i];
        const std::int64_t rate = health.rate(LinkId{i}).bits_per_second();
        if (rate > 0 && l.kind == LinkKind::kFabric)
            arcs[{vertex[l.from.index()], vertex[l.to.index()]}] += rate;
    }
    for (const Nic& nic : fabric.nics())
        for (const LinkId port : nic.ports) {
            const std::size_t tor = vertex[fabric.link(port).to.index()];
            if (nic.host.index() < split)
                arcs[{0, tor}] += health.rate(port).bits_per_second();
            else
                arcs[{tor, 1}] += health.rate(reverse(port)).bits_per_second();
        }
    FlowGraph g = build_graph(arcs, vertices);
    return Bandwidth{boost::push_relabel_max_flow(g, 0, 1)};
}

Bandwidth bisection(const Fabric& fabric, const Health& health) {
    return max_flow_between(fabric, fabric.hosts() / 2, health);
}

std::size_t connected_parts(const Fabric& fabric, const Health& health) {
    boost::adjacency_list<boost::vecS, boost::vecS, boost::undirectedS> g(fabric.nodes().size());
    for (std::size_t i = 0; i < fabric.links().size(); i += 2) {
        const LinkId l{i};
        if (health.up(l) && health.up(reverse(l)))
            boost::add_edge(fabric.link(l).from.index(), fabric.link(l).to.index(), g);
    }
    std::vector<int> part(fabric.nodes().size());
    return static_cast<std::size_t>(boost::connected_components(g, part.data()));
}

}  // namespace weft
