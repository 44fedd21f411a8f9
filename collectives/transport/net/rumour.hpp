#pragma once
// What ranks tell each other over the overlay: alarms, inquiries, answers, farewells and words of a
// census, as bytes. Parsers are pure and believe nothing: ranks, kinds, counts and lengths are
// checked against the world's size.
//
// A frame's payload is a row of blocks [size u32][rumour]; none at all is a heartbeat. Alarms
// and farewells are told apart by what they say, the others by (origin, sequence): each is passed
// on once.
#include <bitset>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "collectives/transport/control.hpp"
#include "collectives/transport/net/wire.hpp"

namespace weft::live::net {

/// Ranks first, first + 1, ... of a list of members.
struct Range {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    bool operator==(const Range&) const = default;
};
using Ranges = std::vector<Range>;
[[nodiscard]] Ranges ranges_of(std::span<const std::uint32_t> members);
[[nodiscard]] bool contains(const Ranges& ranges, std::uint32_t rank);
[[nodiscard]] std::uint64_t hash_of(const Ranges& ranges);

/// "I have begun this operation; members, how about you?"
struct Inquiry {
    OperationHead head;
    Ranges members;
    bool operator==(const Inquiry&) const = default;
};

/// What is known of a member that was asked about an operation.
struct Answer {
    ContextId context = 0;
    std::uint64_t operation = 0;
    std::uint32_t rank = 0;  // who it is about; the origin, or a neighbour of it that is silent
    bool present = false;    // it has begun the operation after all, or is not silent
    Absent::Why why = Absent::Why::kUnknown;
    OperationHead head;
    std::uint64_t milliseconds = 0;
    std::string where;
    bool operator==(const Answer&) const = default;
};

/// The origin has finalized. What it had begun stays begun: the newest operation of each of its
/// communicators.
struct Farewell {
    std::vector<std::pair<ContextId, std::uint64_t>> begun;
    bool operator==(const Farewell&) const = default;
};
constexpr std::size_t kMaxFarewell = 4'096;

/// All that a member holds in a count of who is left of a group (census.hpp). The group is its
/// context and members; `generation` tells its counts apart. Ballots: (round, coordinator); 0:
/// none.
struct CensusWord {
    ContextId context = 0;
    std::uint32_t generation = 0;
    bool present = false;        // somebody waits there
    std::uint64_t ballot = 0;    // the highest it knows: earlier ones bind it no more
    std::uint64_t accepted = 0;  // the ballot of `list`
    std::uint64_t decided = 0;   // the ballot that `list` was decided at
    Ranges members;
    Ranges dead;
    Ranges list;
    bool operator==(const CensusWord&) const = default;
};
constexpr std::uint32_t kMaxRound = 1U << 30;

struct Rumour {
    using Body = std::variant<Alarm, Inquiry, Answer, Farewell, CensusWord>;
    std::uint32_t origin = 0;
    std::uint64_t sequence = 0;  // of inquiries, answers and words
    Body body;
};
constexpr std::size_t kMaxText = 1'000;
void write(Writer& w, const OperationHead& head);
[[nodiscard]] OperationHead read_head(Reader& r);
[[nodiscard]] std::vector<std::byte> encode(const Rumour& rumour);
/// Nothing if it is no rumour of a world of that many ranks.
[[nodiscard]] std::optional<Rumour> parse_rumour(ByteSpan block, std::uint32_t ranks);

/// Which sequence numbers of one origin have been seen; those far behind the newest count as seen.
class SeenWindow {
  public:
    /// True once for each number.
    bool first_time(std::uint64_t sequence);

  private:
    static constexpr std::uint64_t kSize = 512;
    std::uint64_t newest_ = 0;
    std::bitset<kSize> seen_;
};

}  // namespace weft::live::net
