#include "collectives/transport/shm/board.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "collectives/transport/shm/layout.hpp"

namespace weft::live {

using shm::BoardPlace;
using shm::RankPage;

namespace {

/// A place never used, or else the one whose board ended longest ago: what a board showed last
/// stays readable for members that are slower, as long as possible. kBoards: all are in use.
std::size_t choose_place(const RankPage& page, std::uint64_t tag) {
    std::size_t best = RankPage::kBoards;
    const auto order = [&](std::size_t p) { return page.board_of[p] == 0 ? 0 : page.ended[p]; };
    for (std::size_t place = 0; place < RankPage::kBoards; ++place) {
        const bool free = page.board_of[place] == 0 || page.ended[place] != 0;
        if (!free) continue;
        if (page.board_of[place] == tag) return place;
        if (best == RankPage::kBoards || order(place) < order(best)) best = place;
    }
    return best;
}

}  // namespace

std::unique_ptr<ShmBoard> ShmBoard::open(ShmEndpoint& endpoint, ContextId context,
                                         std::vector<std::uint32_t> members) {
    WEFT_CHECK(members.size() <= kMembers, "{} members of a board", members.size());
    RankPage& page = endpoint.page();
    const std::uint64_t tag = std::uint64_t{1} + context;
    const std::size_t place = choose_place(page, tag);
    if (place == RankPage::kBoards) return nullptr;
    shm::store(page.board_of[place], std::uint64_t{0});
    for (BoardPlace::Generation& g : page.boards[place].generations)
        shm::store(g.number, std::uint64_t{0});
    page.ended[place] = 0;
    shm::store(page.board_of[place], tag);
    return std::unique_ptr<ShmBoard>(new ShmBoard(endpoint, context, std::move(members), place));
}

ShmBoard::ShmBoard(ShmEndpoint& endpoint, ContextId context, std::vector<std::uint32_t> members,
                   std::size_t place)
    : endpoint_(endpoint),
      tag_(std::uint64_t{1} + context),
      place_(place),
      mine_(&endpoint.page().boards[place]),
      ranks_(std::move(members)) {
    for (const std::uint32_t rank : ranks_) {
        if (rank == endpoint_.rank()) {
            members_.push_back({&endpoint_.page(), place});
            continue;
        }
        const RankPage* page = endpoint_.page_of(rank);
        WEFT_CHECK(page != nullptr, "a board with rank {}, which is not connected", rank);
        members_.push_back({page, ~std::size_t{0}});
    }
}

ShmBoard::~ShmBoard() {
    // A slower member may still have to read what was published last: the place keeps its name.
    RankPage& page = endpoint_.page();
    page.ended[place_] = 1 + *std::max_element(std::begin(page.ended), std::end(page.ended));
}

bool ShmBoard::find(Member& m) const {
    if (m.place < RankPage::kBoards && shm::load(m.page->board_of[m.place]) == tag_) return true;
    for (std::size_t place = 0; place < RankPage::kBoards; ++place)
        if (shm::load(m.page->board_of[place]) == tag_) {
            m.place = place;
            return true;
        }
    return false;
}

bool ShmBoard::may_publish(std::uint64_t generation) {
    if (generation < 3) return true;
    for (Member& m : members_) {
        if (m.page == &endpoint_.page()) continue;
        if (!find(m)) return false;
        // It has published generation - 1, so it is done with generation - 2.
        const auto& places = m.page->boards[m.place].generations;
        if (shm::load(places[(generation - 1) % 2].number) < generation - 1 &&
            shm::load(places[generation % 2].number) < generation)
            return false;
    }
    return true;
}

void ShmBoard::publish(std::uint64_t generation, std::uint64_t digest,
                       std::span<const std::byte> bytes) {
    WEFT_CHECK(bytes.size() <= kMost, "{} bytes on a board", bytes.size());
    BoardPlace::Generation& mine = mine_->generations[generation % 2];
    shm::set(mine.digest, digest);
    shm::set(mine.size, std::uint64_t{bytes.size()});
    if (!bytes.empty()) std::memcpy(mine.bytes, bytes.data(), bytes.size());
    shm::store(mine.number, generation);
    endpoint_.ring(ranks_, false);
}

ShmBoard::Seen ShmBoard::look(std::size_t member, std::uint64_t generation, std::uint64_t digest,
                              std::span<const std::byte>& bytes) {
    Member& m = members_[member];
    if (m.place >= RankPage::kBoards && !find(m)) return Seen::kNothing;
    const BoardPlace::Generation& theirs = m.page->boards[m.place].generations[generation % 2];
    const std::uint64_t number = shm::load(theirs.number);
    if (number != generation) {
        // It may have ended a board of this context and opened another, elsewhere.
        (void)find(m);
        return number > generation ? Seen::kDisagrees : Seen::kNothing;
    }
    const std::uint64_t size = shm::peek(theirs.size);
    if (shm::peek(theirs.digest) != digest || size > kMost) return Seen::kDisagrees;
    bytes = {theirs.bytes, size};
    return Seen::kHere;
}

std::byte* ShmBoard::window(std::uint64_t generation) {
    return endpoint_.page().windows[place_][generation % 2];
}

const std::byte* ShmBoard::window_of(std::size_t member, std::uint64_t generation) const {
    const Member& m = members_[member];
    return m.page->windows[m.place][generation % 2];
}

void ShmBoard::settle() {
    endpoint_.ring(ranks_, true);
}

}  // namespace weft::live
