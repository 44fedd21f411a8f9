#include "flow_control/link/shared_buffer.hpp"

#include <catch2/catch.hpp>
#include <deque>

#include "base/result.hpp"
#include "base/rng.hpp"

using namespace weft;

namespace {

struct Stored {
    std::size_t in, cls, out;
    Bytes bytes;
};

/// Two classes, lossy control and lossless data, small enough that all limits are met.
BufferProfile crowded(Bytes cell) {
    BufferProfile p;
    p.total = Bytes{400'000};
    p.cell = cell;
    p.class_count = 2;
    p.classes[0].alpha_1024 = 512;
    p.classes[0].reserve = Bytes{512};
    p.classes[1].lossless = true;
    p.classes[1].reserve = Bytes{4096};
    p.classes[1].resume_offset = Bytes{3072};
    return p;
}

Bytes all_ingress(const SharedBuffer& b, std::size_t ports) {
    Bytes sum;
    for (std::size_t i = 0; i < ports; ++i) sum += b.ingress(i, 0) + b.ingress(i, 1);
    return sum;
}

Bytes all_egress(const SharedBuffer& b, std::size_t ports) {
    Bytes sum;
    for (std::size_t i = 0; i < ports; ++i) sum += b.egress(i, 0) + b.egress(i, 1);
    return sum;
}

}  // namespace

TEST_CASE("what a shared buffer counts is what it stores, and it never overflows", "[property]") {
    constexpr std::size_t kPorts = 6;
    for (const std::int64_t cell : {0, 208}) {
        BufferProfile profile = crowded(Bytes{cell});
        // Thresholds beyond what is free: then the memory itself is the limit.
        if (cell != 0) profile.classes[0].alpha_1024 = profile.classes[1].alpha_1024 = 8192;
        SharedBuffer buffer{profile, std::vector<PortBuffer>(kPorts, {Bytes{20'000}, 0})};
        RandomStream random{11, static_cast<std::uint64_t>(cell), "packets"};
        std::deque<Stored> stored;
        Bytes expected;
        std::int64_t dropped = 0;
        bool paused[kPorts] = {};
        for (int n = 0; n < 100'000; ++n) {
            // Fills in some stretches, drains in others.
            const bool fill = random.below(10) < (n / 5000 % 2 == 0 ? 7 : 3);
            if (fill || stored.empty()) {
                const Stored s{random.below(kPorts), random.below(2), random.below(kPorts),
                               Bytes{static_cast<std::int64_t>(64 + random.below(4097))}};
                if (buffer.arrive(s.in, s.cls, s.out, s.bytes) == Admission::kStore) {
                    stored.push_back(s);
                    expected += buffer.footprint(s.bytes);
                } else {
                    ++dropped;
                }
                if (buffer.pause(s.in, s.cls)) {
                    REQUIRE(s.cls == 1);
                    REQUIRE_FALSE(paused[s.in]);
                    paused[s.in] = true;
                }
            } else {
                const std::size_t which = random.below(std::min<std::size_t>(stored.size(), 8));
                const Stored s = stored[which];
                stored.erase(stored.begin() + static_cast<std::ptrdiff_t>(which));
                buffer.leave(s.in, s.cls, s.out, s.bytes);
                expected -= buffer.footprint(s.bytes);
                if (buffer.resume(s.in, s.cls)) {
                    REQUIRE(paused[s.in]);
                    paused[s.in] = false;
                }
            }
            REQUIRE(buffer.stored() == expected);
            REQUIRE(expected <= profile.total);
            REQUIRE(buffer.shared_used() <= buffer.shared_total());
            if (n % 64 == 0) {
                REQUIRE(all_ingress(buffer, kPorts) == expected);
                REQUIRE(all_egress(buffer, kPorts) == expected);
            }
        }
        CHECK(dropped > 0);
        CHECK(buffer.counts(0).dropped_packets + buffer.counts(1).dropped_packets == dropped);
        CHECK(buffer.counts(1).pauses > 10);
        // All leave: nothing remains, and nobody stays paused.
        for (const Stored& s : stored) {
            buffer.leave(s.in, s.cls, s.out, s.bytes);
            if (buffer.resume(s.in, s.cls)) paused[s.in] = false;
        }
        CHECK(buffer.stored() == Bytes{});
        CHECK(buffer.shared_used() == Bytes{});
        for (std::size_t i = 0; i < kPorts; ++i) CHECK_FALSE(paused[i]);
        CHECK(buffer.counts(1).pauses == buffer.counts(1).resumes);
    }
}

TEST_CASE("packets take whole cells", "[property]") {
    for (const std::int64_t cell : {1, 80, 96, 144, 208, 254, 256, 65536}) {
        BufferProfile p;
        p.cell = Bytes{cell};
        const SharedBuffer buffer{p, std::vector<PortBuffer>(1)};
        RandomStream random{5, static_cast<std::uint64_t>(cell), "sizes"};
        for (int n = 0; n < 2000; ++n) {
            const auto size = static_cast<std::int64_t>(1 + random.below((1 << 20) - 1));
            REQUIRE(buffer.footprint(Bytes{size}).count() == (size + cell - 1) / cell * cell);
            REQUIRE(buffer.footprint(Bytes{size / cell * cell}).count() == size / cell * cell);
        }
    }
}

TEST_CASE("HPCC-ns3's threshold falls as the memory fills", "[unit]") {
    // 32 MiB, 9 ports of 400 Gbit/s and 1 us: 150,000 bytes of headroom each (the referees' rule).
    const Bandwidth rate = 400_Gbps;
    const PortBuffer port = hpcc_ns3_port(rate, rate, us(1));
    CHECK(port.headroom == Bytes{150'000});
    CHECK(port.alpha_doublings == 0);
    SharedBuffer buffer{hpcc_ns3_buffer(32_MiB), std::vector<PortBuffer>(9, port)};
    const Bytes free = 32_MiB - Bytes{9 * (150'000 + 4096)};
    CHECK(buffer.shared_total() == free);
    CHECK(buffer.ingress_threshold(0, 1) == free / 8);
    // One ingress: x = (free - x) / 8, so it pauses at a ninth of what is shared.
    Bytes in;
    while (!buffer.pause(0, 1)) {
        REQUIRE(buffer.arrive(0, 1, 5, Bytes{9052}) == Admission::kStore);
        in += Bytes{9052};
    }
    CHECK((in - Bytes{4096} - free / 9).count() >= 0);
    CHECK((in - Bytes{4096} - free / 9).count() <= 2 * 9052);
    CHECK(buffer.headroom(0, 1) <= Bytes{9052});
    // It resumes 3 KiB below the threshold of that moment, with no headroom in use.
    while (!buffer.resume(0, 1)) {
        buffer.leave(0, 1, 5, Bytes{9052});
        in -= Bytes{9052};
        REQUIRE(in.count() > 0);
    }
    const Bytes shared = in - Bytes{4096};
    CHECK(shared + Bytes{3072} <= buffer.ingress_threshold(0, 1));
    CHECK(shared + Bytes{9052 + 3072} > (free - shared - Bytes{9052}) / 8);
    CHECK(hpcc_ns3_port(1600_Gbps, rate, us(1)).alpha_doublings == 2);
    CHECK(hpcc_ns3_total(400_Gbps) == 128_MiB);
}

TEST_CASE("htsim's lossless input pauses above 15 packets and resumes below 12", "[unit]") {
    SharedBuffer buffer{htsim_lossless_input(12, 15, Bytes{4096}),
                        std::vector<PortBuffer>(4, {kUnlimitedBuffer / 2, 0})};
    Bytes in;
    while (!buffer.pause(2, 0)) {
        REQUIRE(in <= Bytes{61'440});
        REQUIRE(buffer.arrive(2, 0, 1, Bytes{4160}) == Admission::kStore);
        in += Bytes{4160};
    }
    CHECK(in == Bytes{15 * 4160});  // 62,400 > 61,440
    for (int n = 0; n < 100; ++n)   // no end of memory
        REQUIRE(buffer.arrive(2, 0, 1, Bytes{4160}) == Admission::kStore);
    in += Bytes{100 * 4160};
    while (!buffer.resume(2, 0)) {
        buffer.leave(2, 0, 1, Bytes{4160});
        in -= Bytes{4160};
    }
    CHECK(in == Bytes{11 * 4160});  // 45,760 < 49,152 <= 49,920
}

TEST_CASE("a lossy class is dropped above alpha times what is free", "[unit]") {
    BufferProfile p;
    p.total = Bytes{1'000'000};
    p.classes[0].alpha_1024 = 1024;
    SharedBuffer buffer{p, std::vector<PortBuffer>(4)};
    int stored = 0;
    while (buffer.arrive(0, 0, 3, Bytes{1000}) == Admission::kStore) ++stored;
    CHECK(stored == 500);  // q = 1 x (total - q)
    CHECK_FALSE(buffer.pause(0, 0));
    // Another queue gets half of what is left.
    stored = 0;
    while (buffer.arrive(1, 0, 2, Bytes{1000}) == Admission::kStore) ++stored;
    CHECK(stored == 250);
    CHECK(buffer.egress_peak(3, 0) == Bytes{500'000});
    CHECK(buffer.counts(0).dropped_packets == 2);
}

TEST_CASE("the limit of an egress queue holds for every class", "[unit]") {
    BufferProfile p;
    p.classes[0].lossless = true;
    p.classes[0].egress_limit = Bytes{10'000};
    SharedBuffer buffer{p, std::vector<PortBuffer>(2)};
    for (int n = 0; n < 10; ++n) REQUIRE(buffer.arrive(0, 0, 1, Bytes{1000}) == Admission::kStore);
    CHECK(buffer.arrive(0, 0, 1, Bytes{1}) == Admission::kDrop);
    CHECK(buffer.arrive(0, 0, 0, Bytes{1}) == Admission::kStore);
    SharedBuffer queues{output_queues(Bytes{8320}), std::vector<PortBuffer>(2)};
    CHECK(queues.arrive(0, 1, 1, Bytes{4160}) == Admission::kStore);
    CHECK(queues.arrive(0, 1, 1, Bytes{4160}) == Admission::kStore);
    CHECK(queues.arrive(0, 1, 1, Bytes{64}) == Admission::kDrop);
    CHECK(queues.arrive(0, 0, 1, Bytes{64}) == Admission::kStore);
}

TEST_CASE("a pool of headroom serves all ports and ends", "[unit]") {
    BufferProfile p;
    p.total = Bytes{100'000};
    p.headroom_pool = Bytes{10'000};
    p.classes[0].lossless = true;
    p.classes[0].fixed_threshold = Bytes{1000};
    SharedBuffer buffer{p, std::vector<PortBuffer>(4, {Bytes{8000}, 0})};
    CHECK(buffer.shared_total() == Bytes{90'000});
    for (std::size_t in : {0, 1})
        REQUIRE(buffer.arrive(in, 0, 3, Bytes{1000}) == Admission::kStore);
    for (int n = 0; n < 8; ++n) REQUIRE(buffer.arrive(0, 0, 3, Bytes{1000}) == Admission::kStore);
    CHECK(buffer.arrive(0, 0, 3, Bytes{1000}) == Admission::kDrop);  // the port's own limit
    for (int n = 0; n < 2; ++n) REQUIRE(buffer.arrive(1, 0, 3, Bytes{1000}) == Admission::kStore);
    CHECK(buffer.arrive(1, 0, 3, Bytes{1000}) == Admission::kDrop);  // the pool's
    CHECK(buffer.headroom_peak(0, 0) == Bytes{8000});
}

TEST_CASE("an ingress that holds nothing is not paused, since nothing would resume it", "[unit]") {
    BufferProfile p;
    p.total = Bytes{1000};
    p.classes[0].lossless = true;
    p.classes[0].alpha_1024 = 0;
    SharedBuffer buffer{p, std::vector<PortBuffer>(2)};
    CHECK(buffer.arrive(0, 0, 1, Bytes{100}) == Admission::kDrop);
    CHECK_FALSE(buffer.pause(0, 0));
}

TEST_CASE("a buffer smaller than its reserves is refused, its memory is as promised", "[unit]") {
    BufferProfile p = hpcc_ns3_buffer(1_MiB);
    CHECK_THROWS_AS((SharedBuffer{p, std::vector<PortBuffer>(9, {Bytes{150'000}, 0})}),
                    ConfigError);
    p.cell = Bytes{-1};
    CHECK_THROWS_AS((SharedBuffer{p, std::vector<PortBuffer>(1)}), ConfigError);
    const SharedBuffer buffer{hpcc_ns3_buffer(32_MiB), std::vector<PortBuffer>(64)};
    CHECK(buffer.bytes() <= sizeof(SharedBuffer) + 64 * 2 * 72);
}
