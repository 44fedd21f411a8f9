#pragma once
// The Cursor: which operations of one rank may go now. A pure decision machine: no clock, no
// buffers, no lanes, no acknowledgements. Packet engine and runtime drive it alike:
//
//     while (!cursor.done()) {
//         const std::size_t k = cursor.next(ops);   // operations to start, in order per connection
//         ... start them; when one has finished: cursor.sent(op), .arrived(op) or .copied(op)
//     }
//
// Rules (collectives/plan/README.md): a send waits until every earlier write of what it reads has
// arrived; a receive waits until every earlier write and read of what it overwrites has finished;
// at most `slots` operations of a connection and direction are started and unfinished. "Earlier" is
// program order: (stage, step, sends before receives). Empty operations are completed inside and
// never shown, on both ends alike, so sequence numbers rise but may skip.
// Cost: next() is O(1) per operation and unit in it, without allocation; memory is O(transfers +
// units x slices) of the rank. When lanes change nothing here changes: what is sent on which lane,
// and what is sent again, belongs to the carrier.
#include <cstdint>
#include <span>
#include <vector>

#include "collectives/plan/plan.hpp"

namespace weft {

struct Operation {
    enum class Kind : std::uint8_t { kSend, kReceive, kCopy };
    Kind kind = Kind::kSend;
    Arrival arrival = Arrival::kCopy;  // of a receive
    std::uint32_t channel = 0;
    std::uint32_t stage = 0;
    std::uint32_t peer = 0;   // the rank itself for a copy
    std::uint32_t index = 0;  // which transfer of the stage (a copy: which unit)
    std::uint32_t step = 0;
    std::uint32_t slice = 0;     // which slice of every unit
    std::uint32_t sequence = 0;  // on (channel, stage, source, destination); equal at both ends
    std::uint32_t pieces = 0;    // how many units: Cursor::piece(op, 0 .. pieces - 1)
    std::uint64_t elements = 0;  // over all pieces
};

/// One contiguous part of an operation, as element ranges of this rank's own buffers.
/// send: data are read from buffer/range. receive: data arrive there, in the order of pieces; when
/// reducing, buffer[range] = incoming (op) local_buffer[local]. copy: buffer[range] =
/// local_buffer[local].
struct Piece {
    Buffer buffer = Buffer::kOutput;
    ElementRange range;
    Buffer local_buffer = Buffer::kOutput;
    ElementRange local;
};

class Cursor {
  public:
    /// `plan` outlives the cursor.
    Cursor(const PlanTemplate& plan, const Binding& binding, std::uint32_t rank);

    /// Starts up to out.size() operations that are ready and returns how many. Calling again
    /// without a report in between returns only what did not fit.
    std::size_t next(std::span<Operation> out);
    /// The operation's data have left their source, which may be overwritten.
    void sent(const Operation& op);
    /// The operation's data lie (reduced) in their destination.
    void arrived(const Operation& op);
    void copied(const Operation& op);
    /// Everything has been started and finished.
    [[nodiscard]] bool done() const { return remaining_ == 0; }
    /// Operations not yet finished, empty ones included.
    [[nodiscard]] std::uint64_t remaining() const { return remaining_; }

    [[nodiscard]] Piece piece(const Operation& op, std::uint32_t i) const;
    [[nodiscard]] std::uint32_t rank() const { return rank_; }
    [[nodiscard]] const Cut& cut_of(std::size_t channel) const { return channels_[channel].cut; }

  private:
    /// What one unit of a transfer touches and waits for. A slot is buffer * units + unit.
    struct Touch {
        std::uint32_t slot = 0;
        std::uint32_t local = 0;         // operand of a reduction, source of a copy; else = slot
        std::uint32_t writes = 0;        // of slot, before
        std::uint32_t reads = 0;         // of slot, before (a send does not wait for them)
        std::uint32_t local_writes = 0;  // of local, before
    };
    struct Item {
        Transfer transfer;
        std::uint32_t touch = 0;  // first of transfer.units.count
        std::uint32_t connection = 0;
    };
    /// One of the two sequences of a stage, or the channel's copies.
    struct Sequence {
        Operation::Kind kind = Operation::Kind::kSend;
        Arrival arrival = Arrival::kCopy;
        std::uint32_t stage = 0;
        std::vector<Item> items;
        std::vector<std::uint32_t> in_flight;  // per connection
        std::uint32_t loop = 0, item = 0, slice = 0;
        bool finished = false;
    };
    struct ChannelState {
        Cut cut;
        std::uint32_t units = 0;
        std::vector<Touch> touches;
        std::vector<Sequence> sequences;  // 2 * stage: sends, 2 * stage + 1: receives; last: copies
        std::vector<std::uint32_t> written;  // [slot * slices + slice]
        std::vector<std::uint32_t> read;
        bool dirty = true;
    };
    struct Counts {
        std::vector<std::uint32_t> writes, reads;  // per slot, in program order so far
    };

    void build_channel(std::uint32_t channel);
    void add_item(std::uint32_t channel, Sequence& q, const Stage& stage, const Transfer& t,
                  Counts& counts);
    void add_copies(std::uint32_t channel, Counts& counts);
    void connect(Sequence& q, std::uint32_t ranks);
    [[nodiscard]] std::uint32_t slot(std::uint32_t channel, Buffer b, std::uint32_t unit) const;
    [[nodiscard]] std::uint32_t working(std::uint32_t channel, Buffer b, std::uint32_t unit) const;
    [[nodiscard]] std::uint32_t value(std::uint32_t channel, Buffer b, std::uint32_t unit,
                                      const Counts& counts) const;
    [[nodiscard]] bool ready(const ChannelState& c, const Sequence& q) const;
    [[nodiscard]] Operation head(std::uint32_t channel, const Sequence& q) const;
    void advance(const ChannelState& c, Sequence& q);
    void complete(const Operation& op);
    std::size_t drain(std::uint32_t channel, std::span<Operation> out);
    [[nodiscard]] ElementRange range(std::uint32_t channel, std::uint32_t slot,
                                     std::uint32_t slice) const;

    const PlanTemplate& plan_;
    Binding binding_;
    std::uint32_t rank_;
    std::vector<ChannelState> channels_;
    std::uint64_t remaining_ = 0;
    std::uint32_t start_ = 0;  // channel that next() looks at first: channels take turns
};

}  // namespace weft
