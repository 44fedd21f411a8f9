#include "simulator/execute/carrier.hpp"

#include "base/check.hpp"

namespace weft {

FlowCarrier::FlowCarrier(const flow::Universe& u, const flow::Quotient& q, flow::Sharing sharing)
    : q_(&q), fluid_(u, q, sharing), group_of_stream_(q.streams.size()) {
    for (std::uint32_t s = 0; s < q.groups.size(); ++s) {
        streams_left_.emplace_back(q.groups[s].size(), 0);
        for (flow::ClassId g = 0; g < q.groups[s].size(); ++g)
            for (const auto& [begin, end] : q.groups[s][g].streams)
                for (flow::ClassId i = begin; i < end; ++i) group_of_stream_[i] = {s, g};
    }
}

void FlowCarrier::start(const Carried& c, SimTime now) {
    const auto [begin, end] = q_->groups[c.group.set][c.group.id].streams[c.variant];
    WEFT_CHECK(begin < end, "a collective without streams");
    streams_left_[c.group.set][c.group.id] = end - begin;
    for (flow::ClassId s = begin; s < end; ++s)
        fluid_.start(s, c.size, c.price.overhead_per_mille, now);
}

void FlowCarrier::take_ended(SimTime now, std::vector<GroupRef>& ended) {
    ended_.clear();
    fluid_.end_streams(now, ended_);
    for (const flow::ClassId s : ended_) {
        const GroupRef g = group_of_stream_[s];
        if (--streams_left_[g.set][g.id] == 0) ended.push_back(g);
    }
}

Int128 FlowCarrier::carried_bits(LinkId link) const {
    const flow::ClassId c = q_->class_of_link[link.index()];
    return c == flow::kNoClass ? 0 : fluid_.carried_bits(c);
}

SimDuration FlowCarrier::busy(LinkId link) const {
    const flow::ClassId c = q_->class_of_link[link.index()];
    return c == flow::kNoClass ? SimDuration{} : fluid_.busy(c);
}

}  // namespace weft
