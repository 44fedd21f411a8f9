#include <catch2/catch.hpp>
#include <cmath>
#include <deque>
#include <vector>

#include "base/rng.hpp"
#include "flow_control/transport/receiver.hpp"
#include "flow_control/transport/sender.hpp"

using namespace weft;

static_assert(sizeof(Receiver) <= 48 && sizeof(Sender) <= 104 && sizeof(RetransmitTimer) <= 16);

namespace {

constexpr std::size_t kWords = 4;

/// Messages of random lengths: packets of 4096 bytes, the last of a message shorter.
struct Stream {
    explicit Stream(RandomStream& random) {
        const std::uint64_t messages = 1 + random.below(6);
        for (std::uint64_t m = 0; m < messages; ++m) {
            const std::uint64_t packets = 1 + random.below(m == 0 ? 600 : 60);
            for (std::uint64_t k = 0; k < packets; ++k) {
                const bool last = k + 1 == packets;
                sizes.push_back(last ? static_cast<std::uint32_t>(1 + random.below(4096)) : 4096);
                message.push_back(static_cast<std::uint32_t>(m));
                lasts.push_back(last);
            }
            lengths.push_back(static_cast<std::uint32_t>(packets));
        }
    }
    std::vector<std::uint32_t> sizes, message, lengths;
    std::vector<bool> lasts;
};

struct Trouble {
    double loss = 0, copies = 0, trims = 0, swaps = 0, ack_loss = 0;
    std::uint32_t reorder = 48;  // taken for lost when so many came before
};

struct Tally {
    std::int64_t sent = 0, nacks = 0, timeouts = 0, repeats = 0;
    bool once = true, complete = false, balanced = false;
};

/// A sender and a receiver with a channel each way that loses, copies, cuts and reorders.
class Connection {
  public:
    Connection(LossRule rule, const Stream& stream, Trouble trouble, std::uint64_t seed)
        : stream_(stream),
          trouble_(trouble),
          random_{seed, 7, "channel"},
          rule_(rule),
          sender_bits_(3 * kWords),
          receiver_bits_(kWords),
          sender_(rule == LossRule::kGoBackN ? Sender{kWords * 64} : Sender{rule, sender_bits_}),
          receiver_(rule, rule == LossRule::kGoBackN ? std::span<std::uint64_t>{}
                                                     : std::span<std::uint64_t>{receiver_bits_}),
          got_(stream.sizes.size()),
          left_(stream.lengths) {
        for (const std::uint32_t n : stream.lengths) sender_.post(n);
        acks_.every = Bytes{static_cast<std::int64_t>(random_.below(3)) * 16384};
    }

    Tally run() {
        for (int step = 0; step < 400'000 && !sender_.done(); ++step) {
            const std::uint64_t dice = random_.below(3);
            if (dice == 0 && sender_.can_send())
                send();
            else if (dice <= 1 && !packets_.empty())
                deliver(pick(packets_));
            else if (!answers_.empty())
                answer(pick(answers_));
            else if (packets_.empty() && answers_.empty() && !sender_.can_send())
                time_out();
        }
        outcome_.complete = sender_.done();
        for (const std::uint32_t n : left_) outcome_.complete = outcome_.complete && n == 0;
        outcome_.balanced = sender_.in_flight() == Bytes{} && receiver_.held() == 0;
        outcome_.repeats = sender_.repeats();
        return outcome_;
    }

  private:
    struct Packet {
        PacketNumber number;
        bool cut;
    };
    struct Reply {
        Answer answer;
        Sack sack;
        PacketNumber named;
        bool cut;
    };
    bool chance(double p) { return random_.uniform() < p; }
    template <class T>
    T pick(std::deque<T>& from) {
        std::size_t which = 0;
        if (chance(trouble_.swaps)) which = random_.below(std::min<std::size_t>(from.size(), 40));
        const T item = from[which];
        from.erase(from.begin() + static_cast<std::ptrdiff_t>(which));
        return item;
    }
    [[nodiscard]] auto sizes() const {
        return [this](PacketNumber s) { return Bytes{stream_.sizes[s]}; };
    }

    void send() {
        const PacketNumber s = sender_.next();
        sender_.sent(Bytes{stream_.sizes[s]});
        ++outcome_.sent;
        if (chance(trouble_.loss)) return;
        packets_.push_back({s, chance(trouble_.trims)});
        if (chance(trouble_.copies)) packets_.push_back({s, false});
    }
    void deliver(Packet p) {
        Answer reply = Answer::kNone;
        if (p.cut) {
            reply = receiver_.trimmed(p.number);
        } else {
            const Receipt r = receiver_.arrive(
                {p.number, stream_.sizes[p.number], chance(0.05), stream_.lasts[p.number]}, acks_);
            reply = r.answer;
            if (r.deliver) {
                outcome_.once = outcome_.once && !got_[p.number];
                got_[p.number] = true;
                --left_[stream_.message[p.number]];
                delivered_ += Bytes{stream_.sizes[p.number]};
            }
        }
        if (reply == Answer::kNone) return;
        const AckSums sums = receiver_.take_sums();
        summed_ += Bytes{sums.bytes};
        outcome_.once = outcome_.once && summed_ <= delivered_ && sums.marked <= sums.bytes;
        if (chance(trouble_.ack_loss)) return;
        answers_.push_back({reply, receiver_.sack(p.number), p.number, p.cut});
    }
    void answer(const Reply& r) {
        sender_.on_ack(r.sack, sizes());
        if (rule_ == LossRule::kGoBackN) {
            if (r.answer != Answer::kNack) return;
            ++outcome_.nacks;
            sender_.go_back(r.sack.cumulative, sizes());
            return;
        }
        if (r.answer == Answer::kNack && r.cut)
            sender_.on_lost(r.named, Bytes{stream_.sizes[r.named]});
        if (rule_ == LossRule::kSelectiveRepeat) sender_.infer_losses(0, sizes());
        if (rule_ == LossRule::kUnordered) sender_.infer_losses(trouble_.reorder, sizes());
    }
    void time_out() {
        ++outcome_.timeouts;
        const Bytes out = sender_.in_flight();
        const Bytes lost = sender_.on_timeout(sizes());
        outcome_.once = outcome_.once && lost == out && sender_.in_flight() == Bytes{};
    }

    const Stream& stream_;
    Trouble trouble_;
    RandomStream random_;
    LossRule rule_;
    std::vector<std::uint64_t> sender_bits_, receiver_bits_;
    Sender sender_;
    Receiver receiver_;
    std::vector<bool> got_;
    std::vector<std::uint32_t> left_;
    AckProfile acks_;
    std::deque<Packet> packets_;
    std::deque<Reply> answers_;
    Bytes delivered_, summed_;
    Tally outcome_;
};

Trouble random_trouble(RandomStream& random) {
    const auto rate = [&](double most) {
        return random.below(3) == 0 ? 0 : random.uniform() * most;
    };
    return {rate(0.2), rate(0.1), rate(0.2), rate(1.0), rate(0.3)};
}

}  // namespace

namespace {

/// 334 networks of their own for each rule.
void survives_random_networks(LossRule rule) {
    for (std::uint64_t seed = 0; seed < 334; ++seed) {
        RandomStream random{seed, static_cast<std::uint64_t>(rule), "transport"};
        const Stream stream{random};
        Trouble trouble = random_trouble(random);
        // Go-back-N with most packets out of order hardly moves; a fabric keeps its flows in order.
        if (rule == LossRule::kGoBackN) {
            trouble.swaps *= 0.05;
            trouble.loss *= 0.2;
            trouble.trims *= 0.2;
        }
        const Tally o = Connection{rule, stream, trouble, seed}.run();
        INFO("seed " << seed << " packets " << stream.sizes.size() << " sent " << o.sent);
        REQUIRE(o.once);
        REQUIRE(o.complete);
        REQUIRE(o.balanced);
        REQUIRE(o.sent == static_cast<std::int64_t>(stream.sizes.size()) + o.repeats);
        // A NACK or a timeout of go-back-N repeats at most one window.
        if (rule == LossRule::kGoBackN)
            REQUIRE(o.repeats <= (o.nacks + o.timeouts) * static_cast<std::int64_t>(kWords) * 64);
    }
}

}  // namespace

TEST_CASE("go-back-N delivers every packet exactly once whatever the network does", "[property]") {
    survives_random_networks(LossRule::kGoBackN);
}

TEST_CASE("selective repeat delivers every packet exactly once, in any order", "[property]") {
    survives_random_networks(LossRule::kSelectiveRepeat);
}

TEST_CASE("unordered delivers every packet exactly once, in any order", "[property]") {
    survives_random_networks(LossRule::kUnordered);
}

TEST_CASE("nothing is sent twice where nothing is lost, in any order", "[property]") {
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        RandomStream random{seed, 0, "transport"};
        const Stream stream{random};
        Trouble none;
        CHECK(Connection{LossRule::kGoBackN, stream, none, seed}.run().repeats == 0);
        CHECK(Connection{LossRule::kSelectiveRepeat, stream, none, seed}.run().repeats == 0);
        none.swaps = 1;
        none.reorder = 1 << 20;
        const Tally o = Connection{LossRule::kUnordered, stream, none, seed}.run();
        CHECK(o.complete);
        CHECK(o.repeats == 0);
    }
}

TEST_CASE("selective repeat sends again what was lost, go-back-N a window", "[unit]") {
    // One packet a slot, answers after one window of slots: the textbook pipe.
    constexpr std::uint32_t kWindow = 64, kPackets = 60'000;
    constexpr double kLoss = 0.001;
    const auto one = [](PacketNumber) { return Bytes{1}; };
    Sender sender{kWindow};
    Receiver receiver{LossRule::kGoBackN};
    RandomStream random{1, 0, "pipe"};
    sender.post(kPackets);
    struct InPipe {
        std::int64_t slot;
        Answer answer;
        Sack sack;
    };
    std::deque<InPipe> pipe;
    std::int64_t slot = 0, sent = 0, lost = 0, quiet = 0;
    for (; !sender.done(); ++slot) {
        while (!pipe.empty() && pipe.front().slot <= slot) {
            sender.on_ack(pipe.front().sack, one);
            if (pipe.front().answer == Answer::kNack)
                sender.go_back(pipe.front().sack.cumulative, one);
            pipe.pop_front();
            quiet = slot;
        }
        if (slot - quiet > 3 * kWindow) {  // a packet sent again was lost again, or the last one
            sender.on_timeout(one);
            quiet = slot;
        }
        if (!sender.can_send()) continue;
        const PacketNumber s = sender.next();
        sender.sent(Bytes{1});
        ++sent;
        if (random.uniform() < kLoss) {
            ++lost;
            continue;
        }
        const Receipt r = receiver.arrive({s, 1, false, false}, {});
        if (r.answer != Answer::kNone)
            pipe.push_back({slot + kWindow - 1, r.answer, receiver.sack(s)});
    }
    // Each loss repeats at most a window; the mean is (1 + p (W - 1)) / (1 - p) sends a packet.
    CHECK(sender.repeats() <= lost * kWindow);
    const double expected = (1 + kLoss * (kWindow - 1)) / (1 - kLoss);
    CHECK(static_cast<double>(sent) / kPackets == Approx(expected).epsilon(0.02));

    RandomStream same{9, 0, "transport"};
    const Stream stream{same};
    Trouble some;
    some.loss = 0.01;
    const Tally o = Connection{LossRule::kSelectiveRepeat, stream, some, 9}.run();
    CHECK(o.repeats < 25);  // about a hundredth of some hundred packets
}

TEST_CASE("a receiver acknowledges every 16 KiB, at once when marked or at an end", "[unit]") {
    std::vector<std::uint64_t> bits(2);
    Receiver r{LossRule::kUnordered, bits};
    AckProfile acks;
    acks.every = 16_KiB;
    for (PacketNumber s = 0; s < 3; ++s)
        CHECK(r.arrive({s, 4096, false, false}, acks).answer == Answer::kNone);
    CHECK(r.arrive({5, 4096, false, false}, acks).answer == Answer::kAck);
    const Sack sack = r.sack(5);
    CHECK(sack.cumulative == 3);
    CHECK(sack.bits == 0b100);  // packet 5
    AckSums sums = r.take_sums();
    CHECK(sums.bytes == 16384);
    CHECK(sums.marked == 0);
    CHECK(r.arrive({6, 4096, true, false}, acks).answer == Answer::kAck);
    CHECK(r.take_sums().marked == 4096);
    CHECK(r.arrive({7, 100, false, true}, acks).answer == Answer::kAck);
    CHECK(r.arrive({7, 100, false, true}, acks).deliver == false);
    CHECK(r.held() == 3);
    CHECK(r.arrive({3, 4096, false, false}, acks).advanced == 1);
    CHECK(r.arrive({4, 4096, false, false}, acks).advanced == 4);
    CHECK(r.held() == 0);
    CHECK(r.trimmed(7) == Answer::kAck);
    CHECK(r.trimmed(8) == Answer::kNack);
    CHECK_FALSE(r.arrive({8 + 128, 4096, false, false}, acks).deliver);  // beyond the window
    CHECK(r.arrive({8 + 127, 4096, false, false}, acks).deliver);
    CHECK(r.sack(8 + 127).from == 8 + 64);
    CHECK(r.sack(8 + 127).bits == std::uint64_t{1} << 63);
}

TEST_CASE("what was sent again is not taken for lost by what overtook it before", "[unit]") {
    const auto one = [](PacketNumber) { return Bytes{1}; };
    std::vector<std::uint64_t> bits(3 * 2);
    Sender sender{LossRule::kUnordered, bits};
    sender.post(20);
    for (int n = 0; n < 10; ++n) CHECK_FALSE(sender.sent(Bytes{1}));
    CHECK(sender.on_lost(3, Bytes{1}));
    CHECK_FALSE(sender.on_lost(3, Bytes{1}));
    CHECK(sender.in_flight() == Bytes{9});
    CHECK(sender.next() == 3);
    CHECK(sender.sent(Bytes{1}));
    CHECK(sender.on_ack({3, 3, 0b111'0110}, one).packets == 8);  // 0 to 2, 4, 5, 7 to 9
    CHECK(sender.infer_losses(3, one) == Bytes{1});              // 6, not 3
    CHECK(sender.next() == 6);
    CHECK(sender.in_flight() == Bytes{1});
    CHECK(sender.on_ack({7, 7, 0}, one).packets == 2);  // 6 was late, not lost
    CHECK(sender.next() == 10);
    CHECK(sender.acknowledged() == 10);
    CHECK(sender.in_flight() == Bytes{0});
}

TEST_CASE("go-back-N answers a gap once", "[unit]") {
    Receiver r{LossRule::kGoBackN};
    CHECK(r.arrive({0, 1, false, false}, {}).answer == Answer::kAck);
    CHECK(r.arrive({2, 1, false, false}, {}).answer == Answer::kNack);
    CHECK(r.arrive({3, 1, false, false}, {}).answer == Answer::kNone);
    CHECK(r.sack(3).cumulative == 1);
    CHECK(r.arrive({0, 1, false, false}, {}).answer == Answer::kAck);  // a copy
    CHECK(r.arrive({1, 1, false, false}, {}).deliver);
    CHECK(r.arrive({3, 1, false, false}, {}).answer == Answer::kNack);  // the next gap
}

TEST_CASE("a timer doubles with each timeout in a row and gives up after its retries", "[unit]") {
    RtoProfile p;
    p.first = us(100);
    p.most = us(700);
    RetransmitTimer timer;
    SimTime now;
    CHECK(timer.deadline() == SimTime::never());
    for (const std::int64_t wait : {100, 200, 400, 700, 700, 700, 700}) {
        timer.sent(now, p);
        timer.sent(now + us(50), p);  // a second packet does not put it off
        CHECK(timer.deadline() == now + us(wait));
        now = timer.deadline();
        CHECK(timer.fire(p));
    }
    timer.sent(now, p);
    CHECK_FALSE(timer.fire(p));
    timer.progress(now, true, p);
    CHECK(timer.deadline() == now + us(100));
    timer.progress(now, false, p);
    CHECK(timer.deadline() == SimTime::never());
    CHECK(roce_timeout(20) == ns(4096) * (1 << 20));
}

TEST_CASE("notifications leave once an interval", "[unit]") {
    CnpLimiter limiter;
    int sent = 0;
    for (int n = 0; n < 1000; ++n) sent += limiter.allow(SimTime{} + us(n)) ? 1 : 0;
    CHECK(sent == 20);
}
