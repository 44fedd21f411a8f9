#include "collectives/transport/net/census.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <numeric>
#include <set>

#include "base/rng.hpp"

namespace {

using namespace weft;
using namespace weft::live;
using namespace weft::live::net;
using std::chrono::milliseconds;

constexpr milliseconds kPeriod{100};
constexpr milliseconds kSuspicion{800};
constexpr std::uint64_t kNever = ~0ULL;

/// What may go wrong in a run, as chances out of 100.
struct Weather {
    std::uint64_t deaths = 0;         // of each member, at some time
    std::uint64_t naps = 0;           // of each member: stopped for some time, then goes on
    std::uint64_t longest_nap = 100;  // ms
    std::uint64_t losses = 0;         // of each word to each member
    std::uint64_t cuts = 0;           // the members in two parts that do not hear each other
    std::uint64_t longest_delay = 50;
    std::uint64_t longest_wait = 500;  // until a member comes
    std::uint64_t absentees = 0;       // who never come
    std::uint64_t patience = 8'000;
    std::uint64_t mishaps = 2'000;  // until when they happen
    milliseconds period = kPeriod;
    milliseconds suspicion = kSuspicion;
    bool in_order = true;  // per sender and receiver
};

/// Members on one clock, words on their way between them. A member that is stopped finds what came
/// meanwhile when it goes on.
class Village {
  public:
    Village(std::uint64_t seed, std::uint32_t n, const Weather& weather)
        : rng_(seed, n, "village"), weather_(weather), folk_(n) {
        std::vector<std::uint32_t> all(n);
        std::iota(all.begin(), all.end(), 0U);
        for (std::uint32_t r = 0; r < n; ++r) {
            Person& p = folk_[r];
            p.census.emplace_back(r, all, weather.period);
            p.comes = chance(weather.absentees) ? kNever : below(weather.longest_wait);
            p.gives_up = p.comes == kNever ? kNever : p.comes + weather.patience;
            if (chance(weather.deaths)) p.dies = below(weather.mishaps);
            if (chance(weather.naps)) {
                p.nap_from = below(weather.mishaps);
                p.nap_until = p.nap_from + below(weather.longest_nap);
            }
            p.part = static_cast<int>(below(2));
        }
        if (chance(weather.cuts)) {
            cut_from_ = below(weather.mishaps);
            cut_until_ = chance(50) ? kNever : cut_from_ + below(3'000);
        }
    }

    void run() {
        for (now_ = 0; now_ < weather_.longest_wait + weather_.patience + 1'000; ++now_) {
            deliver();
            for (std::uint32_t r = 0; r < folk_.size(); ++r) live(r);
        }
    }

    [[nodiscard]] bool alive(std::uint32_t r) const { return folk_[r].dies > now_; }
    [[nodiscard]] bool told_it_is_out(std::uint32_t r) const { return folk_[r].told; }
    [[nodiscard]] bool napped(std::uint32_t r) const { return folk_[r].nap_until != 0; }
    [[nodiscard]] bool agreed(std::uint32_t r) const {
        const Person& p = folk_[r];
        return p.ended && p.census[0].decided() && !p.census[0].counted_out();
    }
    [[nodiscard]] bool ended(std::uint32_t r) const { return folk_[r].ended; }
    [[nodiscard]] std::uint64_t took(std::uint32_t r) const {
        return folk_[r].ended_at - folk_[r].comes;
    }
    [[nodiscard]] const Census& census(std::uint32_t r) const { return folk_[r].census[0]; }
    [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(folk_.size()); }
    [[nodiscard]] std::uint64_t words() const { return words_; }

  private:
    struct Person {
        std::vector<Census> census;  // one
        std::uint64_t comes = 0;
        std::uint64_t gives_up = 0;
        std::uint64_t dies = kNever;
        std::uint64_t nap_from = 0;
        std::uint64_t nap_until = 0;
        std::uint64_t ticked = 0;
        int part = 0;
        bool mourned = false;
        bool joined = false;
        bool ended = false;
        bool told = false;  // it was counted out
        bool announced = false;
        std::uint64_t ended_at = 0;
    };
    struct Letter {
        std::uint32_t from = 0;
        std::uint32_t to = 0;
        std::optional<CensusWord> word;
        std::uint32_t death = 0;  // without a word: whose
    };

    std::uint64_t below(std::uint64_t n) { return n == 0 ? 0 : rng_.below(n); }
    bool chance(std::uint64_t percent) { return below(100) < percent; }
    [[nodiscard]] Clock::time_point time() const {
        return Clock::time_point(std::chrono::hours(1) + milliseconds(now_));
    }
    [[nodiscard]] bool running(const Person& p) const {
        return p.dies > now_ && (now_ < p.nap_from || now_ >= p.nap_until);
    }

    void post(std::uint64_t at, const Letter& letter) {
        std::uint64_t& last = last_[{letter.from, letter.to}];
        if (weather_.in_order) at = last = std::max(at, last);
        mail_.emplace(at, letter);
    }

    void spread_word(std::uint32_t from, const CensusWord& word) {
        for (std::uint32_t to = 0; to < folk_.size(); ++to) {
            if (to == from) continue;
            ++words_;
            if (cut(from, to) || chance(weather_.losses)) continue;
            post(now_ + 1 + below(weather_.longest_delay), {from, to, word, 0});
        }
    }

    [[nodiscard]] bool cut(std::uint32_t a, std::uint32_t b) const {
        return now_ >= cut_from_ && now_ < cut_until_ && folk_[a].part != folk_[b].part;
    }

    /// What everybody finds out; or, counted out, hears of `from`, when nothing is cut any more.
    void spread_death(std::uint32_t dead, std::uint32_t from) {
        for (std::uint32_t to = 0; to < folk_.size(); ++to) {
            const std::uint64_t at = from != dead && cut(from, to) ? cut_until_ : now_;
            if (at != kNever) post(at + 1 + below(300), {dead, to, std::nullopt, dead});
        }
    }

    void deliver() {
        while (!mail_.empty() && mail_.begin()->first <= now_) {
            const Letter letter = mail_.begin()->second;
            mail_.erase(mail_.begin());
            Person& p = folk_[letter.to];
            if (p.dies <= now_) continue;
            if (!running(p)) {
                mail_.emplace(p.nap_until, letter);
                continue;
            }
            if (letter.word) {
                p.census[0].hear(letter.from, *letter.word, time());
            } else {
                if (letter.death == letter.to) p.told = true;
                p.census[0].dead(letter.death, time());
            }
            speak(letter.to);
        }
    }

    void speak(std::uint32_t r) {
        if (const auto word = folk_[r].census[0].speak(time())) spread_word(r, *word);
    }

    void live(std::uint32_t r) {
        Person& p = folk_[r];
        if (p.dies <= now_ && !p.mourned) {
            p.mourned = true;
            // Half of what it has said last is lost.
            std::erase_if(mail_, [&](const auto& m) {
                return m.second.from == r && m.second.word && chance(50);
            });
            spread_death(r, r);
        }
        if (!running(p)) return;
        Census& c = p.census[0];
        const auto period = static_cast<std::uint64_t>(weather_.period.count());
        if (!p.joined && now_ >= p.comes) {
            p.joined = true;
            c.join(time(), weather_.suspicion);
            speak(r);
        }
        if (2 * (now_ - p.ticked) >= period && c.awake(time())) {
            p.ticked = now_;
            c.tick(time());
            speak(r);
        }
        if (p.joined && !p.ended && (c.decided() || c.counted_out() || now_ >= p.gives_up)) {
            p.ended = true;
            p.ended_at = now_;
            c.leave();
        }
        if (c.decided() && !p.announced) {
            p.announced = true;
            for (const std::uint32_t out : c.left_out()) spread_death(out, r);
        }
    }

    RandomStream rng_;
    Weather weather_;
    std::vector<Person> folk_;
    std::multimap<std::uint64_t, Letter> mail_;
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> last_;
    std::uint64_t now_ = 0;
    std::uint64_t cut_from_ = kNever;
    std::uint64_t cut_until_ = 0;
    std::uint64_t words_ = 0;
};

/// Those that are left and have an answer have the same one, and each is in its own.
std::string disagreement(const Village& v) {
    const Census* first = nullptr;
    for (std::uint32_t r = 0; r < v.size(); ++r) {
        if (!v.alive(r) || v.told_it_is_out(r) || !v.agreed(r)) continue;
        const auto list = v.census(r).survivors();
        if (std::find(list.begin(), list.end(), r) == list.end()) return "not in its own list";
        if (first == nullptr) first = &v.census(r);
        if (first->survivors() != list) return "two lists";
    }
    return "";
}

void agree(std::uint64_t seeds, const Weather& weather, bool all_end_well = false) {
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        const auto n = static_cast<std::uint32_t>(1 + seed % 9);
        CAPTURE(seed, n);
        Village v(seed, n, weather);
        v.run();
        REQUIRE(disagreement(v) == "");
        if (!all_end_well) continue;
        for (std::uint32_t r = 0; r < n; ++r) {
            if (!v.alive(r)) continue;
            CAPTURE(r);
            REQUIRE(v.agreed(r));
            const auto list = v.census(r).survivors();
            for (std::uint32_t other = 0; other < n; ++other)
                if (v.alive(other))
                    REQUIRE(std::find(list.begin(), list.end(), other) != list.end());
        }
    }
}

TEST_CASE("in fine weather all agree on all", "[unit]") {
    agree(20, {.longest_wait = 300, .patience = 3'000}, true);
    agree(20, {.longest_wait = 300, .patience = 3'000, .in_order = false}, true);
}

TEST_CASE("whoever dies meanwhile: the others agree, and nobody who lives is missing",
          "[property]") {
    agree(300, {.deaths = 40}, true);
    agree(300, {.deaths = 80, .losses = 20, .in_order = false}, true);
    // All late but nobody silent for long enough.
    agree(100, {.deaths = 30, .naps = 60, .longest_nap = 400, .longest_delay = 150}, true);
}

TEST_CASE("however long members are stopped, there are never two lists", "[property]") {
    agree(400, {.deaths = 20, .naps = 50, .longest_nap = 4'000});
    agree(300, {.deaths = 30,
                .naps = 60,
                .longest_nap = 6'000,
                .losses = 20,
                .longest_delay = 900,
                .absentees = 5,
                .in_order = false});
}

TEST_CASE("a cut between two parts never gives two lists", "[property]") {
    agree(300, {.deaths = 20, .cuts = 90});
    agree(300, {.deaths = 40, .naps = 40, .longest_nap = 3'000, .cuts = 100, .in_order = false});
}

TEST_CASE("everybody suspects everybody all the time: still one list", "[property]") {
    Weather nervous{.deaths = 30,
                    .naps = 30,
                    .longest_nap = 300,
                    .losses = 10,
                    .longest_delay = 60,
                    .longest_wait = 100,
                    .patience = 1'500,
                    .mishaps = 500,
                    .period = milliseconds(20),
                    .suspicion = milliseconds(60)};
    agree(500, nervous);
    nervous.in_order = false;
    nervous.cuts = 50;
    nervous.longest_delay = 150;
    agree(500, nervous);
}

TEST_CASE("who was stopped too long is left out by a majority, and told", "[unit]") {
    int left_out = 0;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        CAPTURE(seed);
        Village v(seed, 5, {.naps = 20, .longest_nap = 6'000, .longest_wait = 100});
        v.run();
        REQUIRE(disagreement(v) == "");
        std::uint32_t napping = 0;
        for (std::uint32_t r = 0; r < 5; ++r) napping += v.napped(r) ? 1 : 0;
        if (napping > 2) continue;
        for (std::uint32_t r = 0; r < 5; ++r) {
            CAPTURE(r);
            REQUIRE(v.ended(r));
            REQUIRE(v.agreed(r) != v.told_it_is_out(r));
            if (!v.napped(r)) REQUIRE(v.agreed(r));
            left_out += v.told_it_is_out(r) ? 1 : 0;
        }
    }
    CHECK(left_out > 0);
}

TEST_CASE("one that does not come is waited for and named", "[unit]") {
    Census c(0, {0, 3, 5}, kPeriod);
    auto now = Clock::time_point(std::chrono::hours(1));
    c.join(now, kSuspicion);
    CensusWord word;
    word.ballot = ballot_of(1, 0);
    word.present = true;
    for (int i = 0; i < 100; ++i) {
        now += kPeriod / 2;
        word.present = true;
        c.hear(3, word, now);
        c.hear(5, CensusWord{}, now);
        c.tick(now);
    }
    CHECK_FALSE(c.decided());
    CHECK(c.waits_for(now) == "rank 5 has not called shrink");
    for (int i = 0; i < 100; ++i) c.tick(now += kPeriod / 2);
    CHECK_THAT(c.waits_for(now), Catch::Contains("ranks 3, 5 are silent; the 1 of 3 ranks"));
    c.dead(5, now);
    c.dead(3, now);
    CHECK(c.decided());
    CHECK(c.survivors() == std::vector<std::uint32_t>{0});
}

CensusWord word_of(std::uint64_t ballot, std::uint64_t accepted = 0, std::uint64_t decided = 0) {
    CensusWord w;
    w.present = true;
    w.ballot = ballot;
    w.accepted = accepted;
    w.decided = decided;
    if (accepted != 0) w.list = {{0, 2}};
    return w;
}

TEST_CASE("what is out of date, or comes from the dead, binds nobody", "[unit]") {
    Census c(2, {0, 1, 2, 3, 4}, kPeriod);
    auto now = Clock::time_point(std::chrono::hours(1));
    const std::uint64_t first = ballot_of(1, 0);
    const std::uint64_t later = ballot_of(2, 1);
    c.join(now, kSuspicion);
    c.hear(1, word_of(later), now);
    REQUIRE(c.speak(now)->ballot == later);
    SECTION("a proposal of an earlier ballot") {
        c.hear(0, word_of(first, first), now);
        c.tick(now += 2 * kPeriod);
        const auto word = c.speak(now);
        REQUIRE(word);
        CHECK(word->accepted == 0);
    }
    SECTION("a decision of an earlier ballot, but one of this") {
        c.hear(0, word_of(first, first, first), now);
        CHECK_FALSE(c.decided());
        c.hear(3, word_of(later, later, later), now);
        CHECK(c.decided());
        CHECK(c.counted_out());
    }
    SECTION("what a dead member said, and a dead member's ballot") {
        c.dead(0, now);
        c.dead(1, now);  // so this one leads, above what others follow
        const auto word = c.speak(now);
        REQUIRE(word);
        CHECK(word->ballot == ballot_of(3, 2));
        CHECK(word->dead == Ranges{{0, 2}});
        c.hear(1, word_of(ballot_of(9, 1), ballot_of(9, 1), ballot_of(9, 1)), now);
        CHECK_FALSE(c.decided());
        c.hear(3, word_of(ballot_of(5, 0)), now);
        CHECK(c.speak(now)->ballot == ballot_of(6, 2));
    }
    SECTION("another death begins another ballot") {
        c.dead(0, now);
        c.dead(1, now);
        const std::uint64_t mine = c.speak(now)->ballot;
        c.hear(3, word_of(mine), now);
        c.dead(4, now);
        const auto word = c.speak(now);
        REQUIRE(word);
        CHECK(round_of(word->ballot) == round_of(mine) + 1);
        CHECK(word->accepted == 0);
    }
}

TEST_CASE("a decision is carried on; what was accepted only while somebody may know of it",
          "[unit]") {
    auto now = Clock::time_point(std::chrono::hours(1));
    Census c(1, {0, 1, 2, 3}, kPeriod);
    c.join(now, kSuspicion);
    const std::uint64_t old = ballot_of(1, 0);
    c.hear(0, word_of(old), now);
    c.dead(0, now);  // the coordinator
    const std::uint64_t mine = c.speak(now)->ballot;
    REQUIRE(coordinator_of(mine) == 1);
    const bool decided = GENERATE(true, false);
    c.hear(2, word_of(mine, old, decided ? old : 0), now);
    const bool all = GENERATE(true, false);
    if (all) {
        c.hear(3, word_of(mine), now);
    } else {
        c.dead(3, now);
        const std::uint64_t then = c.speak(now)->ballot;
        c.hear(2, word_of(then, old, decided ? old : 0), now);
    }
    const auto word = c.speak(now);
    REQUIRE(word);
    CHECK(word->accepted == word->ballot);
    CHECK(word->list == (decided ? Ranges{{0, 2}} : all ? Ranges{{1, 3}} : Ranges{{1, 2}}));
}

TEST_CASE("half of the members is enough with the lowest of them only", "[unit]") {
    const std::uint32_t me = GENERATE(0U, 2U);
    Census c(me, {0, 1, 2, 3}, kPeriod);
    auto now = Clock::time_point(std::chrono::hours(1));
    c.join(now, kSuspicion);
    for (int i = 0; i < 60; ++i) {
        now += kPeriod / 2;
        c.tick(now);
        const auto mine = c.speak(now);
        if (!mine) continue;
        CensusWord echo = *mine;
        echo.decided = 0;
        c.hear(me + 1, echo, now);
    }
    CHECK(c.decided() == (me == 0));
    if (me == 0) CHECK(c.survivors() == std::vector<std::uint32_t>{0, 1});
    if (me == 0) CHECK(c.left_out() == std::vector<std::uint32_t>{2, 3});
}

TEST_CASE("time in which a member itself did not run is nobody's silence", "[unit]") {
    Census c(0, {0, 1}, kPeriod);
    auto now = Clock::time_point(std::chrono::hours(1));
    c.join(now, kSuspicion);
    c.tick(now += kPeriod / 2);
    c.tick(now += std::chrono::seconds(30));
    CHECK_FALSE(c.decided());  // it could go on alone
    for (int i = 0; i < 20; ++i) c.tick(now += kPeriod / 2);
    CHECK(c.decided());
}

}  // namespace
