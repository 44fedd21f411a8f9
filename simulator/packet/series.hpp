#pragma once
// Series: what ports did over time, in bounded memory.
//
// Models: samples of one length from the first packet on; when there are more than kMostSamples,
// neighbours are joined and the length doubles, so that between a half and all of them are kept of
// any run. Of a group of ports (one kind, tier, plane, direction): sums, and the deepest queue with
// its port. Of single ports: those whose queues are deepest get one of kMostPorts places; a later
// one takes over the place of the least deep once its queue is twice as deep, and has no samples
// from before. Exact integers: sums of sums, largest of largest. Leaves out: who asks ports
// (network.hpp). Cost: 48 B a sample, at most 1.7 MB of ports.
#include <cstdint>
#include <string>
#include <vector>

#include "base/units.hpp"

namespace weft::packet {

/// One port or several, within one sample.
struct PortSample {
    std::uint32_t most = 0;    // bytes of payload class waiting at one port, at most
    std::uint32_t marked = 0;  // the rest: sums over ports
    std::uint32_t lost = 0;    // dropped or trimmed
    std::uint32_t pauses = 0;
    std::uint64_t sent = 0;    // bytes
    std::uint64_t queued = 0;  // bytes waiting, at every instant at which ports were asked
    std::int64_t paused = 0;   // ps

    void join(const PortSample& o);
};

class Series {
  public:
    static constexpr std::size_t kMostSamples = 128;
    static constexpr std::size_t kMostPorts = 256;

    struct Group {
        std::vector<PortSample> samples;
        std::uint32_t worst = ~0U;  // the port of the deepest queue
        std::uint32_t most = 0;     // and how deep it was
    };
    struct Port {
        std::uint32_t link = 0;
        std::uint32_t most = 0;
        std::size_t since = 0;  // first sample
        std::vector<PortSample> samples;
    };

    /// `group_of`: by link.
    Series(std::vector<std::uint16_t> group_of, std::size_t groups, SimDuration first_length);

    /// The first sample begins.
    void start(SimTime at) { begin_ = first_ = at; }
    [[nodiscard]] SimTime started() const { return first_; }
    /// When the open sample ends.
    [[nodiscard]] SimTime ends() const { return begin_ + length_; }
    /// What a port did in the open sample.
    void add(std::uint32_t link, const PortSample& s);
    /// The open sample is over (at ends(), or, as the last of all, before).
    void close();

    [[nodiscard]] SimDuration length() const { return length_; }
    [[nodiscard]] std::size_t size() const { return instants_.size(); }
    /// At how many instants ports were asked in a sample.
    [[nodiscard]] const std::vector<std::uint32_t>& instants() const { return instants_; }
    [[nodiscard]] const std::vector<Group>& groups() const { return groups_; }
    /// In the order of their places.
    [[nodiscard]] const std::vector<Port>& ports() const { return ports_; }
    [[nodiscard]] std::size_t bytes() const;

  private:
    Port* place_of(std::uint32_t link, std::uint32_t most);
    void halve();

    SimDuration length_;
    SimTime first_;                        // begin of the first sample
    SimTime begin_;                        // of the open sample
    std::vector<std::uint32_t> instants_;  // by closed sample
    std::vector<std::uint16_t> group_of_;
    std::vector<Group> groups_;
    std::vector<Port> ports_;
    std::vector<std::uint32_t> place_;  // by link
    std::size_t least_ = 0;             // place of the least deep, when all are taken
};

}  // namespace weft::packet
