#include "simulator/packet/series.hpp"

#include <algorithm>

namespace weft::packet {
namespace {

constexpr std::uint32_t kNowhere = ~0U;

/// The sample `at`, all before it and itself made where there are none yet.
PortSample& sample_at(std::vector<PortSample>& samples, std::size_t at) {
    if (samples.size() <= at) samples.resize(at + 1);
    return samples[at];
}

template <class T, class Join>
void join_neighbours(std::vector<T>& v, Join join) {
    const std::size_t half = (v.size() + 1) / 2;
    for (std::size_t i = 0; i < half; ++i) {
        v[i] = v[2 * i];
        if (2 * i + 1 < v.size()) join(v[i], v[2 * i + 1]);
    }
    v.resize(half);
}

}  // namespace

void PortSample::join(const PortSample& o) {
    most = std::max(most, o.most);
    marked += o.marked;
    lost += o.lost;
    pauses += o.pauses;
    sent += o.sent;
    queued += o.queued;
    paused += o.paused;
}

Series::Series(std::vector<std::uint16_t> group_of, std::size_t groups, SimDuration first_length)
    : length_(first_length),
      group_of_(std::move(group_of)),
      groups_(groups),
      place_(group_of_.size(), kNowhere) {}

void Series::add(std::uint32_t link, const PortSample& s) {
    Group& g = groups_[group_of_[link]];
    sample_at(g.samples, size()).join(s);
    if (s.most > g.most) {
        g.most = s.most;
        g.worst = link;
    }
    Port* p = place_of(link, s.most);
    if (p == nullptr) return;
    p->most = std::max(p->most, s.most);
    sample_at(p->samples, size()).join(s);
}

/// Where the samples of a port go; nullptr: others are deeper.
Series::Port* Series::place_of(std::uint32_t link, std::uint32_t most) {
    if (place_[link] != kNowhere) return &ports_[place_[link]];
    if (most == 0) return nullptr;
    if (ports_.size() < kMostPorts) {
        place_[link] = static_cast<std::uint32_t>(ports_.size());
        Port& p = ports_.emplace_back();
        p.link = link;
        p.since = size();
        return &p;
    }
    if (most / 2 < ports_[least_].most) return nullptr;
    // What is known of the least may be old: its queue may have grown since.
    for (std::size_t i = 0; i < ports_.size(); ++i)
        if (ports_[i].most < ports_[least_].most) least_ = i;
    Port& p = ports_[least_];
    if (most / 2 < p.most) return nullptr;
    place_[p.link] = kNowhere;
    place_[link] = static_cast<std::uint32_t>(least_);
    p = Port{};
    p.link = link;
    p.since = size();
    return &p;
}

void Series::close() {
    instants_.push_back(1);
    begin_ = ends();
    if (size() >= kMostSamples) halve();
}

void Series::halve() {
    join_neighbours(instants_, [](std::uint32_t& a, std::uint32_t b) { a += b; });
    const auto join = [](PortSample& a, const PortSample& b) { a.join(b); };
    for (Group& g : groups_) join_neighbours(g.samples, join);
    for (Port& p : ports_) {
        join_neighbours(p.samples, join);
        p.since /= 2;
    }
    length_ = 2 * length_;
}

std::size_t Series::bytes() const {
    std::size_t sum = instants_.capacity() * sizeof(std::uint32_t) +
                      group_of_.capacity() * sizeof(std::uint16_t) +
                      place_.capacity() * sizeof(std::uint32_t);
    for (const Group& g : groups_) sum += g.samples.capacity() * sizeof(PortSample);
    for (const Port& p : ports_) sum += p.samples.capacity() * sizeof(PortSample);
    return sum;
}

}  // namespace weft::packet
