#pragma once
// Recorder: what an operator would see of a run, besides the totals: ports over time (series.hpp),
// pauses (pause_log.hpp) and the flows that wait behind those of others (victims.hpp). The Network
// fills it (recording.cpp) where PacketOptions::record says so; else it costs one comparison an
// event.
#include <cstdint>
#include <vector>

#include "simulator/packet/pause_log.hpp"
#include "simulator/packet/series.hpp"
#include "simulator/packet/victims.hpp"
#include "topology/fabric.hpp"

namespace weft::packet {

/// Ports that the series take together.
struct PortGroup {
    LinkKind kind = LinkKind::kFabric;
    std::int32_t tier = 0;
    std::int32_t plane = kAny;
    bool up = true;
    std::uint32_t ports = 0;
    Bandwidth rate;  // of all of them together
};

struct Recorder {
    explicit Recorder(const Fabric& fabric);

    [[nodiscard]] std::size_t bytes() const;

    /// A port that has sent, and its counts when the last sample was over.
    struct Active {
        std::uint32_t link = 0;
        std::uint32_t marked = 0;
        std::uint64_t lost = 0;
        std::uint64_t sent = 0;
        std::uint64_t pauses = 0;
        std::int64_t paused = 0;  // ps
    };
    /// The deepest queue of a switch, when it was last looked for.
    struct Deepest {
        std::int64_t at = INT64_MIN / 2;
        std::uint32_t link = ~0U;
    };

    std::vector<PortGroup> groups;
    std::vector<std::uint16_t> group_of;  // by link
    Series series;
    PauseLog pauses;
    Victims victims;
    std::vector<Active> active;        // in the order of their first packet
    std::vector<std::uint32_t> place;  // by link: in `active`
    std::vector<std::uint32_t> awake;  // places of those with something to tell since the last
                                       // sample, or that wait
    std::vector<Deepest> deepest;      // by switch
};

}  // namespace weft::packet
