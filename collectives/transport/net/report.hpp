#pragma once
// What a rank tells `weft doctor` of itself: where its operations stand, whom they wait for as far
// as it knows, which lanes are down or slow, who is gone. Bytes and back; the parser is pure and
// believes nothing. Leaves out: conclusions (tools/doctor), secrets, addresses, user data.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "collectives/transport/control.hpp"
#include "collectives/transport/net/rumour.hpp"

namespace weft::live {

struct RankReport {
    /// One that has begun here and not ended.
    struct Operation {
        OperationHead head;
        std::uint64_t begun_ms = 0;  // ago
        std::uint64_t still_ms = 0;  // for how long nothing of it has moved
        bool operator==(const Operation&) const = default;
    };
    struct Group {
        ContextId context = 0;
        net::Ranges members;
        std::uint64_t newest = 0;    // operation that has begun
        std::uint64_t finished = 0;  // newest that has
        std::uint64_t idle_ms = 0;   // since then, if none is under way
        std::vector<Operation> under_way;
        std::string waits_for;       // the first of them, in words
        bool attended = true;        // a thread moves it
        std::string broken;          // why nothing can run any more
        std::vector<Absent> absent;  // of the first of them, as this rank knows
        bool operator==(const Group&) const = default;
    };
    struct SlowLane {
        std::uint32_t peer = 0;
        std::uint32_t lane = 0;
        std::int32_t rail = 0;
        std::int32_t plane = 0;
        bool up = true;
        std::uint64_t rate = 0;  // bytes a second, measured
        std::uint64_t best = 0;  // of the lanes to this peer
        bool operator==(const SlowLane&) const = default;
    };
    struct Gone {
        std::uint32_t rank = 0;
        bool left = false;  // in order
        std::string what;
        bool operator==(const Gone&) const = default;
    };
    struct Silent {
        std::uint32_t rank = 0;
        std::uint64_t ms = 0;
        bool operator==(const Silent&) const = default;
    };
    /// Where a rank lives, as it said at the meeting.
    struct Home {
        std::string host;
        std::int32_t process = 0;  // in its own PID namespace
        bool here = false;         // on the reporter's host
        bool operator==(const Home&) const = default;
    };
    std::string version;
    std::uint64_t job = 0;  // a digest: tells jobs apart and nothing else
    std::uint32_t rank = 0;
    std::uint32_t ranks = 1;
    std::uint64_t age_ms = 0;
    bool engine = true;       // false: it was too busy to say what groups and lanes do
    std::vector<Home> homes;  // by rank; empty: they have not met yet
    std::vector<Group> groups;
    std::vector<SlowLane> lanes;  // that are down, or slow
    std::vector<Gone> gone;
    std::vector<Silent> silent;  // neighbours
    bool operator==(const RankReport&) const = default;
};

namespace net {

constexpr std::size_t kMaxReport = 16 << 20;
[[nodiscard]] std::vector<std::byte> encode(const RankReport& report);
/// Nothing if it is no report of this version; ranks named in it exist, codes are known.
[[nodiscard]] std::optional<RankReport> parse_report(ByteSpan bytes);

}  // namespace net

}  // namespace weft::live
