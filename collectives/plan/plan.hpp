#pragma once
// The Plan: one collective over n ranks as data. Patterns over symbolic chunks, never an expanded
// list of sends: memory is O(channels), and any rank's i-th operation comes in O(1).
//
// Vocabulary. A channel owns a share of the data and has stages in order. A channel's data is
// divided into `units` equal pieces (rounded as below); every transfer moves a UnitSet. Slices cut
// a transfer for pipelining and never change what is computed. A stage is a pattern over a
// Partition: cells of equal size whose members talk only inside the cell.
//
// Rounding, exact and in elements. Replicated data (all-reduce, broadcast, send/recv), N elements:
// channel c holds [floor(N W_c / W), floor(N W_{c+1} / W)), W_c the running sum of weights; unit u
// of U holds the same floor of that. Blocked data (all-gather, reduce-scatter, all-to-all), n
// blocks of N elements: unit = block (U = n), and channel c holds the same floor of every block.
// Zero-size parts are legal everywhere.
//
// Semantics: collectives/plan/README.md. Leaves out (later patterns): Exchange, InNetwork.
// Ranks here are group ranks 0..n-1.
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.hpp"
#include "base/units.hpp"

namespace weft {

enum class Collective : std::uint8_t {
    kAllReduce,
    kAllGather,
    kReduceScatter,
    kAllToAll,
    kBroadcast,
    kSendRecv,
};
[[nodiscard]] const char* name_of(Collective c);  // "allreduce", "allgather", ...
/// bytes-on-the-wire factor of nccl-tests: busbw = algbw x factor(c, n).
[[nodiscard]] double busbw_factor(Collective c, std::size_t n);

/// Units first, first + stride, ... (count of them).
struct UnitSet {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    std::uint32_t stride = 1;
    bool operator==(const UnitSet&) const = default;
};

/// rank = block * (size * stride) + position * stride + lane; cell = block * stride + lane.
/// size 8, stride 1: the hosts of 8; size k, stride 8: the rails of k hosts; or a table.
struct Partition {
    std::uint32_t size = 1;
    std::uint32_t stride = 1;
    std::vector<std::uint32_t>
        order;  // table: order[cell * size + position] = rank; empty = the rule
    std::vector<std::uint32_t> where;  // inverse of order: where[rank] = cell * size + position
    [[nodiscard]] std::uint32_t cell(std::uint32_t rank) const;
    [[nodiscard]] std::uint32_t position(std::uint32_t rank) const;
    [[nodiscard]] std::uint32_t rank_at(std::uint32_t cell, std::uint32_t position) const;
};

/// Chunk index -> units: first = base(rank) + index * span. base(rank) = outer_span * position of
/// the rank in `outer` (0 when absent).
struct ChunkMap {
    std::uint32_t span = 1;
    std::uint32_t stride = 1;
    std::uint32_t index_step = 1;  // units between the firsts of consecutive chunk indices
    std::uint32_t outer_span = 0;
    std::optional<Partition> outer;
    [[nodiscard]] UnitSet units(std::uint32_t rank, std::uint32_t index) const;
};

enum class Buffer : std::uint8_t { kInput, kOutput, kScratch };

enum class Arrival : std::uint8_t {
    kCopy,    // destination = incoming
    kReduce,  // destination = incoming (op) local, in this order of operands
};

/// Position p sends at step s the chunk (p + first - s) mod size to position p + 1, and receives
/// the chunk (p + first - s - 1) mod size from position p - 1; direction -1 mirrors p. Steps
/// 0..steps-1.
struct Ring {
    std::int32_t first = 0;
    std::int32_t direction = +1;
    std::uint32_t steps = 0;
    ChunkMap chunks;
};

/// At step s position p sends to p + s + 1 and receives from p - s - 1 (mod size), for s < size
/// - 1. Which chunk index goes to peer q: the peer's (scatter), one's own (gather).
struct Direct {
    bool by_destination =
        true;              // sender picks chunk index = q (scatter, all-to-all), else p (gather)
    ChunkMap send_chunks;  // in the sender's source buffer
    ChunkMap recv_chunks;  // in the receiver's destination buffer; index = the sender's
                           // position for all-to-all (recv_by_source), else as sent
    bool recv_by_source = false;
};

/// Chunk i = 0..chunks-1 flows from the root down (broadcast) over a tree of `radix` children per
/// node in position order relative to the root; radix 1 is a chain.
struct Tree {
    std::uint32_t root = 0;  // position
    std::uint32_t radix = 1;
    std::uint32_t chunk_count = 1;
    ChunkMap chunks;
};

/// Ordered operations per rank and thread, as imported or synthesised schedules have them.
struct Explicit {
    struct Op {
        bool send = true;
        std::uint32_t peer = 0;
        UnitSet units;
    };
    std::vector<std::vector<Op>> per_rank;
};

using Pattern = std::variant<Ring, Direct, Tree, Explicit>;

struct Stage {
    Pattern pattern;
    Partition cells;
    Arrival arrival = Arrival::kCopy;
    /// Where transfers read from and arrive. A unit of the destination buffer that this rank has
    /// not yet written is read from `kInput` (so no local copy precedes a reduction).
    Buffer source = Buffer::kOutput;
    Buffer destination = Buffer::kOutput;
};

enum class Protocol : std::uint8_t { kEager, kRendezvous };

struct Channel {
    std::uint32_t weight = 1;
    std::int32_t rail = -1;   // wanted rail; -1 = each rank's own nearest NIC
    std::int32_t plane = -1;  // wanted plane; -1 = spread over all planes
    std::uint32_t units = 1;
    Protocol protocol = Protocol::kRendezvous;
    std::uint32_t slots = 8;  // unconsumed slices a connection may hold
    Bytes slice{512 * 1024};
    std::vector<Stage> stages;
};

struct PlanTemplate {
    std::string algorithm;  // registry name
    Collective collective = Collective::kAllReduce;
    std::uint32_t n = 1;
    std::uint32_t root = 0;
    bool deterministic = true;
    bool in_place_ok = true;
    std::vector<Channel> channels;

    /// Blocked data: units are the n blocks (see Rounding above).
    [[nodiscard]] bool blocked() const {
        return collective == Collective::kAllGather || collective == Collective::kReduceScatter ||
               collective == Collective::kAllToAll;
    }
    [[nodiscard]] std::uint64_t hash() const;  // of the whole template
};

// ---- Reading: every operation on demand, O(1) each ----

/// One send or one receive of one rank. The k-th send on a connection (channel, stage, src, dst)
/// meets the k-th receive there.
struct Transfer {
    std::uint32_t step = 0;
    std::uint32_t peer = 0;
    UnitSet units;  // in this rank's own buffer (source for a send, destination for a receive)
    bool operator==(const Transfer&) const = default;
};

[[nodiscard]] std::uint32_t send_count(const PlanTemplate& p, std::size_t channel,
                                       std::size_t stage, std::uint32_t rank);
[[nodiscard]] std::uint32_t recv_count(const PlanTemplate& p, std::size_t channel,
                                       std::size_t stage, std::uint32_t rank);
[[nodiscard]] Transfer send_at(const PlanTemplate& p, std::size_t channel, std::size_t stage,
                               std::uint32_t rank, std::uint32_t i);
[[nodiscard]] Transfer recv_at(const PlanTemplate& p, std::size_t channel, std::size_t stage,
                               std::uint32_t rank, std::uint32_t i);

// ---- Binding: what the launch knows ----

struct Binding {
    std::uint64_t count = 0;  // elements: of the vector (replicated) or of one block (blocked)
    std::uint32_t element_size = 4;
    bool in_place = false;
};

/// Half-open range of elements in the buffer that the unit lives in.
struct ElementRange {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    [[nodiscard]] std::uint64_t size() const { return end - begin; }
};
/// Elements of one unit of one channel, at offset zero of the buffer (blocked data: inside the
/// n-block buffer). Every buffer of a Plan is laid out so.
[[nodiscard]] ElementRange locate(const PlanTemplate& p, const Binding& b, std::size_t channel,
                                  std::uint32_t unit);
/// Elements of a whole UnitSet.
[[nodiscard]] std::uint64_t elements(const PlanTemplate& p, const Binding& b, std::size_t channel,
                                     const UnitSet& units);

/// nccl-tests' total size -> the Binding's count (floored to whole elements per rank as nccl-tests
/// does), and back.
[[nodiscard]] Binding bind_total(const PlanTemplate& p, Bytes total, std::uint32_t element_size);
[[nodiscard]] Bytes total_size(const PlanTemplate& p, const Binding& b);

}  // namespace weft
