#pragma once
// PathHealth: which of a host's few paths or planes are worth a packet. One that times out is
// avoided for a while, twice as long each time in a row; an acknowledgement over it clears it.
//
// Models: avoidance by time alone, with one packet let through after it ends as the probe; when all
// are avoided, the one that is due back first. Leaves out: the cause, shared fate of paths.
// Memory: 16 bytes a path. Cost: usable() one comparison, choose() a turn around the paths.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/check.hpp"
#include "base/units.hpp"

namespace weft {

class PathHealth {
  public:
    /// First avoided for `hold`, at most for `most`.
    PathHealth(std::size_t paths, SimDuration hold, SimDuration most)
        : hold_(hold), most_(most), paths_(paths) {
        WEFT_CHECK(paths > 0 && hold.ps() > 0 && hold <= most, "{} paths", paths);
    }

    void failed(std::size_t path, SimTime now) {
        Path& p = paths_[path];
        if (now < p.until) return;  // the same failure, seen by one more packet
        p.span = p.span.ps() == 0 ? hold_ : std::min(most_, p.span * 2);
        p.until = now + p.span;
    }
    void good(std::size_t path) { paths_[path] = {}; }

    [[nodiscard]] bool usable(std::size_t path, SimTime now) const {
        return paths_[path].until <= now;
    }
    /// The first usable path from `wanted` on; none: the one that is due back first.
    [[nodiscard]] std::size_t choose(std::size_t wanted, SimTime now) const {
        std::size_t soonest = wanted;
        for (std::size_t k = 0, i = wanted; k < paths_.size();
             ++k, i = i + 1 == paths_.size() ? 0 : i + 1) {
            if (usable(i, now)) return i;
            if (paths_[i].until < paths_[soonest].until) soonest = i;
        }
        return soonest;
    }
    [[nodiscard]] std::size_t bytes() const {
        return sizeof *this + paths_.capacity() * sizeof(Path);
    }

  private:
    struct Path {
        SimTime until;     // avoided before this
        SimDuration span;  // of the last avoidance
    };
    SimDuration hold_, most_;
    std::vector<Path> paths_;
};

}  // namespace weft
