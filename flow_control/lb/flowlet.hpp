#pragma once
// FlowletTable: packets of a flow keep their port while they follow each other within `gap`; after
// a longer pause the flow may take another, since nothing of it can then be overtaken.
//
// Models: a table of 2^k entries indexed by a hash of the flow, without tags, so that flows that
// collide share an entry (CONGA, Alizadeh et al., SIGCOMM 2014, section 3.5); who is picked anew is
// the caller's rule: the least loaded (AdaptivePort), or a draw (LetFlow, Vanini et al., NSDI
// 2017). CONGA's gap is 500 us for TCP; it must exceed the difference of the paths' delays to keep
// order. Leaves out: ageing by a sweep (times are exact), weights. Memory: 16 bytes an entry. Cost:
// one entry a packet, no division.
#include <cstdint>
#include <vector>

#include "base/check.hpp"
#include "base/units.hpp"

namespace weft {

class FlowletTable {
  public:
    FlowletTable(unsigned log2_entries, SimDuration gap)
        : mask_((std::uint64_t{1} << log2_entries) - 1), gap_(gap), entries_(mask_ + 1) {}

    /// The port for a packet of the flow, one of `ports`; pick() names a new one when the flow has
    /// paused or its port is gone.
    template <class Pick>
    std::uint32_t choose(std::uint64_t flow_hash, SimTime now, std::uint32_t ports, Pick&& pick) {
        Entry& e = entries_[flow_hash & mask_];
        if (e.port >= ports || now - e.last > gap_) {
            e.port = static_cast<std::uint32_t>(pick());
            WEFT_DCHECK(e.port < ports, "port {} of {}", e.port, ports);
            ++flowlets_;
        }
        e.last = now;
        return e.port;
    }
    /// A port is out of service: its flows choose again.
    void forget(std::uint32_t port) {
        for (Entry& e : entries_)
            if (e.port == port) e.port = kNone;
    }
    [[nodiscard]] std::int64_t flowlets() const { return flowlets_; }
    [[nodiscard]] std::size_t bytes() const {
        return sizeof *this + entries_.capacity() * sizeof(Entry);
    }

  private:
    static constexpr std::uint32_t kNone = ~0U;
    struct Entry {
        SimTime last;
        std::uint32_t port = kNone;
    };
    std::uint64_t mask_;
    SimDuration gap_;
    std::int64_t flowlets_ = 0;
    std::vector<Entry> entries_;
};

}  // namespace weft
