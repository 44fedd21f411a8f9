#pragma once
// Quotient: ranks, groups, streams and links that behave alike, each kind once.
//
// Models: the coarsest partition that colour refinement (1-WL) finds over all of a simulation at
// once: ranks (by program and by the groups they are in), groups (by members and by streams),
// streams (by the links they load), links (by capacity and by the streams they carry). The
// partition is equitable: every link of a class carries the same load from each class of streams.
// So rates and times of one member are exactly those of all, by induction over events: nothing that
// happens later can tell them apart, and no class is ever split. Without symmetry every rank,
// group, stream and link is its own class, and the rest of the engine does not know the difference.
// Leaves out: symmetries that 1-WL cannot see (only costs time). Formula: a link of class c gets
// from a class of N streams, W of weight each on links of c, the weight N W / |c|. Source:
// Weisfeiler, Leman 1968; equitable partitions, Godsil and Royle 2001, 9.3. Cost: a pass over all
// streams for every round of refinement.
#include <cstdint>
#include <memory>
#include <vector>

#include "simulator/flow/traffic.hpp"

namespace weft::flow {

/// Groups that communicate: those of a family, or the pairs of sends in one direction.
struct GroupSet {
    std::vector<std::vector<RankId>> members;  // by group; empty: unused
    std::vector<std::uint64_t> kind;           // by group: what else tells groups apart
    bool ordered = false;                      // a pair: sender, receiver
    /// By variant (a plan), then by group; null where a group does not use the variant.
    std::vector<std::vector<std::unique_ptr<Traffic>>> traffic;
};

struct Universe {
    std::vector<std::uint64_t> rank_kind;  // by rank: its program
    std::vector<GroupSet> sets;
    const Fabric* fabric = nullptr;
    const Legs* legs = nullptr;
    std::vector<std::vector<std::int64_t>> capacity;  // by epoch, by link; bit/s
    std::vector<std::uint32_t> lanes_of_epoch;        // epoch -> epoch of the lanes
    std::size_t lane_epochs = 1;
};

using ClassId = std::uint32_t;

struct RankClass {
    RankId first;  // its lowest member
    std::uint64_t count = 0;
    std::vector<ClassId> group;     // by set: the class of its group (pairs: as sender); kNoClass
    std::vector<ClassId> received;  // by set of pairs: as receiver
};
struct GroupClass {
    std::uint32_t first = 0;  // its lowest member
    std::uint64_t count = 0;
    std::vector<ClassId> members;  // rank class of each member of the first group
    std::vector<std::pair<ClassId, ClassId>> streams;  // by variant: range of stream classes
};
struct StreamClass {
    std::uint64_t per_group = 0;  // streams of the class in one group
    std::vector<Int128> num;      // by lane epoch
    Int128 den = 1;
    struct Rows {
        std::uint32_t first = 0;
        std::uint32_t count = 0;
    };
    std::vector<Rows> rows;  // by lane epoch: its lanes in Quotient::loads
};
struct LinkClass {
    LinkId first;
    std::uint64_t count = 0;
};

struct Quotient {
    std::vector<ClassId> class_of_rank;
    std::vector<RankClass> ranks;
    std::vector<std::vector<GroupClass>> groups;  // by set
    std::vector<StreamClass> streams;
    std::vector<LinkClass> links;        // of links that are used at all
    std::vector<ClassId> class_of_link;  // kNoClass: unused
    std::vector<Incidence> loads;        // by lane epoch: lane classes on link classes
    std::vector<std::vector<std::uint32_t>>
        lanes_in_row;  // by lane epoch, row: lanes of one stream
};

inline constexpr ClassId kNoClass = ~ClassId{0};

/// Streams, for carriers that have any; without them every link counts as used.
enum class WithStreams : std::uint8_t { kNo, kYes };
[[nodiscard]] Quotient make_quotient(const Universe& u, bool symmetry,
                                     WithStreams streams = WithStreams::kYes);

}  // namespace weft::flow
