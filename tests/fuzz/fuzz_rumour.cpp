// What ranks, stores and cards send: any bytes are parsed or refused, what is parsed names no rank
// outside its world, and its own bytes are parsed to the same again.
#include <cstdint>

#include "base/check.hpp"
#include "collectives/transport/net/card.hpp"
#include "collectives/transport/net/census.hpp"
#include "collectives/transport/net/frame.hpp"
#include "collectives/transport/net/rumour.hpp"
#include "collectives/transport/net/store.hpp"

namespace {

using namespace weft::live;
using namespace weft::live::net;

constexpr std::uint32_t kRanks = 100;

// Whatever a member says: who takes part does not end, and stays in what it has agreed to.
void try_census(std::uint32_t origin, const CensusWord& word) {
    WEFT_CHECK(!contains(word.members, kRanks) && !contains(word.list, kRanks));
    WEFT_CHECK(word.decided <= word.accepted && word.accepted <= word.ballot);
    std::vector<std::uint32_t> members;
    for (std::uint32_t r = 0; r < kRanks; ++r)
        if (contains(word.members, r)) members.push_back(r);
    if (members.empty()) return;
    const auto now = Clock::time_point(std::chrono::hours(1));
    const std::chrono::milliseconds period(100);
    Census census(members.back(), members, period);
    census.join(now, 10 * period);
    census.hear(origin, word, now);
    for (int i = 0; i < 30; ++i) {
        census.tick(now + i * period / 2);
        static_cast<void>(census.speak(now + i * period / 2));
    }
    if (census.decided() && !census.counted_out())
        WEFT_CHECK(!census.survivors().empty(), "nobody is left");
    static_cast<void>(census.waits_for(now));
}

void try_rumour(ByteSpan bytes) {
    const auto rumour = parse_rumour(bytes, kRanks);
    if (!rumour) return;
    WEFT_CHECK(rumour->origin < kRanks);
    const auto again = parse_rumour(encode(*rumour), kRanks);
    WEFT_CHECK(again && again->body == rumour->body, "a rumour has one meaning");
    if (const auto* inquiry = std::get_if<Inquiry>(&rumour->body))
        WEFT_CHECK(!contains(inquiry->members, kRanks), "a member outside the world");
    if (const auto* word = std::get_if<CensusWord>(&rumour->body))
        try_census(rumour->origin, *word);
}

void try_card(ByteSpan bytes) {
    Meeting meeting;
    static_cast<void>(meeting.arrive(1, kRanks, bytes));
    static_cast<void>(meeting.arrive(2, kRanks, bytes));
    const auto card = parse_card(bytes);
    if (!card) return;
    WEFT_CHECK(difference(*card, *card).empty(), "a card differs from itself");
    WEFT_CHECK(card->ports.size() == card->listening.size());
    if (card->protocol == kProtocol) WEFT_CHECK(parse_card(encode(*card)).has_value());
}

void try_frames(ByteSpan bytes) {
    FrameReader reader(SessionKey{}, Side::kCaller);
    for (const std::byte& b : bytes) {
        reader.feed({&b, 1});
        WEFT_CHECK(!reader.next(), "a frame without a key");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteSpan bytes = std::as_bytes(std::span(data, size));
    try_rumour(bytes);
    try_card(bytes);
    static_cast<void>(parse_store_message(bytes));
    if (size <= 4096) try_frames(bytes);
    return 0;
}
