#pragma once
// Fluid: the bytes in flight. Streams start, share the links max-min fairly, and end.
//
// Models: docs/design/0001 "Rates" and "Time", on a Quotient. A change re-computes only the streams
// that are connected with it over links in use; a set of active streams seen before is not solved
// again. A stream's remaining bits change only when its rate does, so the answer does not depend on
// what else is re-computed. Leaves out: who starts what when (simulator/execute). Cost: a change
// costs the size of its connected component.
#include <queue>
#include <string>
#include <unordered_map>
#include <vector>

#include "simulator/flow/quotient.hpp"

namespace weft::flow {

class Fluid {
  public:
    /// `u` and `q` outlive this.
    Fluid(const Universe& u, const Quotient& q, Sharing sharing);

    /// A stream class starts to carry a size, inflated by a protocol's overhead.
    void start(ClassId stream, Bytes size, std::int64_t overhead_per_mille, SimTime now);
    /// The next time at which a stream ends; never() when none will. Valid after settle().
    [[nodiscard]] SimTime next_end();
    /// Ends the streams whose time has come, into `ended`.
    void end_streams(SimTime now, std::vector<ClassId>& ended);
    /// Rates change to what is now active. Call when all starts and ends of `now` are known.
    void settle(SimTime now);
    /// Links and lanes are those of an epoch from now on.
    void set_epoch(std::size_t epoch, SimTime now);

    [[nodiscard]] bool idle() const { return active_count_ == 0; }
    /// Bits carried by one link of a class so far, and how long it has carried any.
    [[nodiscard]] Int128 carried_bits(ClassId link) const { return carried_[link] / kFull; }
    [[nodiscard]] SimDuration busy(ClassId link) const { return busy_[link]; }

  private:
    struct Stream {
        std::int64_t left = 0;  // bits, at `since`
        std::int64_t rate = 0;  // of all lanes, bit/s
        SimTime since;
        SimTime end = SimTime::never();
        bool active = false;
        bool seen = false;
    };
    struct End {
        SimTime at;
        ClassId stream;
        bool operator>(const End& o) const { return at != o.at ? at > o.at : stream > o.stream; }
    };
    struct KeyHash {
        std::size_t operator()(const std::vector<ClassId>& key) const;
    };

    [[nodiscard]] const StreamClass::Rows& rows(ClassId s) const {
        return q_->streams[s].rows[lanes_];
    }
    /// The links of a stream, by class; a link may occur in several lanes.
    [[nodiscard]] std::span<const std::uint32_t> links(ClassId s) const;
    void enter(ClassId s, SimTime now);
    void leave(ClassId s, SimTime now);
    void collect(ClassId link);
    void solve(SimTime now);
    void apply(ClassId s, const std::int64_t* row_rates, SimTime now);
    void account(ClassId s, std::int64_t bits);
    void close_segment(ClassId s, SimTime now);

    const Universe* u_;
    const Quotient* q_;
    Sharing sharing_;
    std::size_t epoch_ = 0;
    std::size_t lanes_ = 0;  // epoch of the lanes
    std::vector<MaxMin> solvers_;
    std::vector<Stream> streams_;
    std::vector<std::vector<std::int64_t>> row_rate_;  // by lane epoch
    std::vector<std::vector<ClassId>> on_link_;        // active streams
    std::vector<char> link_seen_;
    std::vector<ClassId> dirty_, component_, seen_links_;
    std::vector<Int128> carried_;
    std::vector<SimDuration> busy_;
    std::vector<SimTime> busy_since_;
    std::priority_queue<End, std::vector<End>, std::greater<>> ends_;
    std::unordered_map<std::vector<ClassId>, std::vector<std::int64_t>, KeyHash> known_;
    std::size_t known_size_ = 0;
    std::vector<std::uint32_t> solve_rows_;
    std::vector<std::int64_t> solve_rates_;
    std::size_t active_count_ = 0;
};

}  // namespace weft::flow
