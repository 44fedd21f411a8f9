#pragma once
// The Plan: one collective over n ranks as data. Patterns over symbolic chunks, never an expanded
// list of sends: memory is O(channels), and any rank's i-th operation comes in O(1).
//
// Vocabulary. A channel owns a share of the data and has stages in order. A channel's data is
// divided into `units` equal pieces (rounded as below); every transfer moves a UnitSet. Slices cut
// a transfer for pipelining and never change what is computed. A stage is a pattern over a
// Partition: cells of equal size whose members talk only inside the cell.
//
// Rounding, exact and in elements. Replicated data (all-reduce, reduce, broadcast, send/recv), N
// elements: channel c holds [floor(N W_c / W), floor(N W_{c+1} / W)), W_c the running sum of
// weights; unit u of U holds the same floor of that. Blocked data (all-gather, reduce-scatter,
// all-to-all, gather, scatter), n blocks of N elements: unit = block (U = n), and channel c holds
// the same floor of every block. Zero-size parts are legal everywhere.
//
// Semantics: collectives/plan/README.md. Leaves out (later patterns): Exchange; reduction in the
// switches between hosts (SHARP).
// Ranks here are group ranks 0..n-1.
#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.hpp"
#include "base/units.hpp"

namespace weft {

/// Numbers travel between ranks and into hashes: new ones go to the end.
enum class Collective : std::uint8_t {
    kAllReduce,
    kAllGather,
    kReduceScatter,
    kAllToAll,
    kBroadcast,
    kSendRecv,
    kReduce,
    kGather,
    kScatter,
};
inline constexpr std::array kCollectives{
    Collective::kAllReduce, Collective::kAllGather, Collective::kReduceScatter,
    Collective::kAllToAll,  Collective::kBroadcast, Collective::kSendRecv,
    Collective::kReduce,    Collective::kGather,    Collective::kScatter};
[[nodiscard]] const char* name_of(Collective c);  // "allreduce", "allgather", ...
/// bytes-on-the-wire factor of nccl-tests: busbw = algbw x factor(c, n). Reduce 1, gather and
/// scatter (n - 1) / n, of the n blocks in all.
[[nodiscard]] double busbw_factor(Collective c, std::size_t n);
/// All-reduce, reduce-scatter, reduce.
[[nodiscard]] bool reduces(Collective c);
/// Whether one rank is apart from the others: broadcast, send/recv, reduce, gather, scatter.
[[nodiscard]] bool rooted(Collective c);
/// Whether data are n blocks, one of each rank; a count is of one of them.
[[nodiscard]] bool blocked(Collective c);

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

/// Chunk index -> units {first, first + stride, ...}, `span` of them, first = base + i *
/// index_step. i is the chunk index, or with `by_rank` the rank at that position of the stage's
/// cell (blocked data under a table order). base = outer_span * position of the rank in `outer`, 0
/// without one.
struct ChunkMap {
    std::uint32_t span = 1;
    std::uint32_t stride = 1;
    std::uint32_t index_step = 1;
    bool by_rank = false;
    std::uint32_t outer_span = 0;
    Partition outer;  // the default has one position: base 0
    [[nodiscard]] UnitSet units(const Partition& cells, std::uint32_t rank,
                                std::uint32_t index) const;
};

enum class Buffer : std::uint8_t { kInput, kOutput, kScratch };
/// Whether the ranks' input or output is the block of the rank alone: the input of all-gather and
/// gather, the output of reduce-scatter and scatter.
[[nodiscard]] bool own_block(Collective c, Buffer buffer);
/// Whether the rank has such an input or output at all: the root alone has the input of broadcast,
/// send/recv and scatter, and the output of reduce and gather; send/recv's goes to the next rank.
[[nodiscard]] bool provides(Collective c, Buffer buffer, std::uint32_t rank, std::uint32_t root,
                            std::uint32_t n);

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
/// - 1. The sender picks chunk index = the peer's position (by_destination: scatter, all-to-all) or
/// its own (gather). The receiver stores under the sender's position when `recv_by_source` or
/// gathering, else under its own.
struct Direct {
    bool by_destination = true;
    bool recv_by_source = false;
    ChunkMap send_chunks;  // in the sender's source buffer
    ChunkMap recv_chunks;  // in the receiver's destination buffer
};

/// Chunks 0..chunk_count-1 flow from the root down, or with `up` from the leaves to the root. v =
/// (position - root) mod size. Every `chain` consecutive v are a node, its first v the head: each
/// other v is the child of v - 1, and a head's further children are the heads of its node's
/// children. Node x has the children x * radix + 1 .. x * radix + radix; `in_order`, a binary tree
/// whose odd nodes are leaves: with b the lowest bit of x, x - b/2 and x + b/2 (or, where that is
/// beyond the last node, x plus the largest smaller power of two that is not); node 0 has the
/// largest power of two alone. Chunk i is received at step i (from each child in turn, when up) and
/// sent on, child by child, at step i + 1. In-order: NCCL, src/graph/trees.cc (ncclGetBtree).
struct Tree {
    std::uint32_t root = 0;  // position
    std::uint32_t radix = 1;
    std::uint32_t chunk_count = 1;
    ChunkMap chunks;
    bool up = false;
    bool in_order = false;    // instead of radix
    std::uint32_t chain = 1;  // divides the size of the cells
};
/// The shape of a tree over `size` positions, O(1): of v > 0 the parent; of any v the number of
/// children and the i-th of them, a chain's first.
[[nodiscard]] std::uint32_t tree_parent(const Tree& t, std::uint32_t v, std::uint32_t size);
[[nodiscard]] std::uint32_t tree_fan(const Tree& t, std::uint32_t v, std::uint32_t size);
[[nodiscard]] std::uint32_t tree_child(const Tree& t, std::uint32_t v, std::uint32_t i,
                                       std::uint32_t size);

/// One send or one receive of one rank. `ordinal`: it is the ordinal-th of the `of` transfers of
/// its stage on its connection (channel, stage, source, destination); equal ordinals meet.
struct Transfer {
    std::uint32_t step = 0;
    std::uint32_t peer = 0;
    UnitSet units;  // of this rank's own buffer: source of a send, destination of a receive
    std::uint32_t ordinal = 0;
    std::uint32_t of = 1;
    bool operator==(const Transfer&) const = default;
};

/// Listed transfers, per rank, in order of step: imported and synthesised schedules, and what the
/// checker's mutants are made of. Steps order a rank's sends against its receives, as everywhere.
struct Explicit {
    std::vector<std::vector<Transfer>> sends;  // [rank]
    std::vector<std::vector<Transfer>> recvs;  // [rank]
    /// Fills ordinal and of from the order in the lists.
    void number();
};

using Pattern = std::variant<Ring, Direct, Tree, Explicit>;

struct Stage {
    Pattern pattern;
    Partition cells;
    Arrival arrival = Arrival::kCopy;
    /// Where transfers read from and arrive. kOutput means the working place of a unit: the output
    /// where the rank's output holds the unit, else scratch. A unit not yet written there is read
    /// from scratch when written there, else from the input: no local copy precedes a reduction.
    Buffer source = Buffer::kOutput;
    Buffer destination = Buffer::kOutput;
    /// Of a Direct stage over cells of one scale-up domain: the domain's switch may carry it. It
    /// reduces a scatter (every member gives each chunk once, its own too, and each owner gets one
    /// reduced copy) or multicasts a gather (each owner gives its chunk once, every member gets
    /// each). What is computed is the stage's own meaning, in an order that only the switch knows;
    /// a carrier without such a switch sends point to point.
    bool in_network = false;
};

enum class Protocol : std::uint8_t { kEager, kRendezvous };

struct Channel {
    std::uint32_t weight = 1;
    std::int32_t rail = -1;   // wanted rail; -1: none (a library says which NICs then)
    std::int32_t plane = -1;  // wanted plane; -1 = spread over all planes
    std::uint32_t units = 1;
    Protocol protocol = Protocol::kRendezvous;
    std::uint32_t slots = 8;        // unconsumed slices a connection may hold
    Bytes slice{512 * 1024};        // most bytes of one unit in one operation
    std::uint32_t loop_slices = 0;  // slices of a unit in one slice loop; 0: all, so one loop
    std::uint32_t min_loops = 1;    // slices get smaller than `slice` to reach this many loops
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
    [[nodiscard]] bool blocked() const { return weft::blocked(collective); }
    [[nodiscard]] std::uint64_t hash() const;  // of the whole template
};

// ---- Reading: every operation on demand, O(1) each ----

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
/// Elements of one unit of one channel in a buffer that holds every unit (blocked data: the n
/// blocks).
[[nodiscard]] ElementRange locate(const PlanTemplate& p, const Binding& b, std::size_t channel,
                                  std::uint32_t unit);
/// Elements of a whole UnitSet.
[[nodiscard]] std::uint64_t elements(const PlanTemplate& p, const Binding& b, std::size_t channel,
                                     const UnitSet& units);

/// Whether the rank's buffer holds the unit (channels agree): see own_block() and provides().
/// Scratch holds everything, laid out as `locate` says.
[[nodiscard]] bool holds(const PlanTemplate& p, Buffer buffer, std::uint32_t rank,
                         std::uint32_t unit);
/// The unit's elements in the rank's own buffer: as `locate`, less the blocks that are not there.
[[nodiscard]] ElementRange place(const PlanTemplate& p, const Binding& b, Buffer buffer,
                                 std::uint32_t rank, std::size_t channel, std::uint32_t unit);
/// Elements that the rank must provide for a buffer; scratch is 0 when no stage can touch it.
[[nodiscard]] std::uint64_t buffer_elements(const PlanTemplate& p, const Binding& b, Buffer buffer,
                                            std::uint32_t rank);

/// How a channel's units are cut: slice a of a unit is [a, a + 1) * slice_elements, clipped to the
/// unit. Loop l holds slices [l, l + 1) * loop_slices, clipped to `slices`. Sequences run in (loop,
/// step, slice) order, so loops let the stages of a channel overlap and slices let steps overlap.
struct Cut {
    std::uint64_t slice_elements = 1;
    std::uint32_t slices = 1;  // per unit, the same for all units; some may be empty
    std::uint32_t loop_slices = 1;
    std::uint32_t loops = 1;
};
[[nodiscard]] Cut cut(const PlanTemplate& p, const Binding& b, std::size_t channel);
/// The part of `unit` (its range in any buffer) that slice `a` moves.
[[nodiscard]] ElementRange slice_of(const ElementRange& unit, const Cut& c, std::uint32_t a);

/// nccl-tests' total size -> the Binding's count (floored to whole elements per rank as nccl-tests
/// does), and back.
[[nodiscard]] Binding bind_total(const PlanTemplate& p, Bytes total, std::uint32_t element_size);
[[nodiscard]] Bytes total_size(const PlanTemplate& p, const Binding& b);

// ---- For engines: who talks to whom in a stage, without expanding it ----

/// One directed connection out of a rank: all the transfers of a stage from `src` to `dst`.
struct StageEdge {
    std::uint32_t src = 0;
    std::uint32_t dst = 0;
    std::uint32_t transfers = 0;  // steps that use the edge, per slice loop
    std::uint32_t first_step = 0;
};
[[nodiscard]] std::uint32_t edge_count(const PlanTemplate& p, std::size_t channel,
                                       std::size_t stage, std::uint32_t rank);
[[nodiscard]] StageEdge edge_at(const PlanTemplate& p, std::size_t channel, std::size_t stage,
                                std::uint32_t rank, std::uint32_t i);
/// Elements that the whole stage moves over the rank's i-th edge; O(1) for the shipped algorithms.
[[nodiscard]] std::uint64_t edge_elements(const PlanTemplate& p, const Binding& b,
                                          std::size_t channel, std::size_t stage,
                                          std::uint32_t rank, std::uint32_t i);
/// Whether the stage is a coupled stream (ring, tree: every edge moves at one rate in steady state)
/// or separate flows (direct, explicit).
[[nodiscard]] bool coupled(const Stage& stage);
/// Longest chain of dependent transfers of the stage, in one slice loop of one slice.
[[nodiscard]] std::uint32_t dependent_steps(const PlanTemplate& p, const Stage& stage);

}  // namespace weft
