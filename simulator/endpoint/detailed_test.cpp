#include "simulator/endpoint/detailed.hpp"

#include <catch2/catch.hpp>

#include "base/result.hpp"
#include "topology/fabrics/fabrics.hpp"

using namespace weft;

namespace {

/// 400 Gbit/s in packets of 4096 B and 82 B of headers.
constexpr Int128 kNicRate = Int128{400'000'000'000} * 4096 / 4178;
constexpr SimDuration kPath = us(1);  // of a NIC's message: two links of 0.5 us

SimDuration on_nic(std::int64_t bytes) {
    return SimDuration{
        static_cast<std::int64_t>(ceil_div(Int128{8} * bytes * 1'000'000'000'000, kNicRate))};
}

/// One collective, or one message from rank 0 to rank 1, of ranks on the first GPUs of each host.
struct Lab {
    Fabric fabric;
    Workload workload;
    Scenario s;

    Lab(int hosts, std::uint32_t per_host, Collective kind, Bytes size, const char* algorithm)
        : fabric(
              make_fabric("hosts", {{"hosts", std::to_string(hosts)}, {"template", "dgx-h100"}})) {
        const std::uint32_t ranks = static_cast<std::uint32_t>(hosts) * per_host;
        workload.name = "one";
        workload.world = ranks;
        workload.has_compute = false;
        workload.families = {{"world", Partition{ranks, 1, {}, {}}}};
        workload.program_of.assign(ranks, 0);
        Op op;
        op.what = CollectiveOp{kind, 0, size};
        workload.programs = {{"all", {""}, {op}}};
        if (kind == Collective::kSendRecv) {
            Op receive;
            op.what = P2pOp{true, 0, +1, size};
            receive.what = P2pOp{false, 0, -1, size};
            workload.programs = {{"sends", {""}, {op}}, {"receives", {""}, {receive}}};
            workload.program_of = {0, 1};
        }
        for (int h = 0; h < hosts; ++h)
            for (std::uint32_t g = 0; g < per_host; ++g)
                s.placement.gpu_of.emplace_back(static_cast<std::uint32_t>(h) * 8 + g);
        s.library.algorithm = algorithm;
        s.endpoint = EndpointModel::kDetailed;
    }
    Lab(const Lab&) = delete;
    Lab& operator=(const Lab&) = delete;

    std::int64_t& operator[](Detail d) { return s.machine.detailed.at(d).value; }
    /// LL and LL128 never win.
    void only_simple() { (*this)[Detail::kBlockLl] = (*this)[Detail::kBlockLl128] = 10'000'000; }
    Result run() {
        s.fabric = &fabric;
        s.workload = &workload;
        return simulate(s);
    }
    SimDuration time() { return run().step_time; }
    /// Zero where the mechanism takes none.
    SimDuration part(const std::string& name) {
        const Result r = run();
        for (const TimePart& p : r.collectives.at(0).parts)
            if (p.name == name) return p.time;
        return {};
    }
};

/// Bytes end on a whole ps, and a stream's bits are rounded up.
bool same(SimDuration a, SimDuration b) {
    return std::max(a, b) - std::min(a, b) <= SimDuration{50};
}

// Of a step over NICs by Simple: fence and flag; two flags and a message of the proxy; NICs and
// flush.
constexpr SimDuration kStep = ns(3400 + 2 * 1000 + 400 + 1400 + 1000);
constexpr SimDuration kLaunch = ns(6600);
constexpr SimDuration kReady = ns(1000 + 400 + 1400);  // the clear-to-send's way

}  // namespace

TEST_CASE("an eager message is copied twice and goes at once", "[unit]") {
    Lab lab(2, 1, Collective::kSendRecv, 8_KiB, "");
    const SimDuration copy{8192 * 100};  // 10 GB/s
    const SimDuration step = ns(400 + 1400) + kPath;
    CHECK(same(lab.time(), ns(1500) + copy + step + on_nic(8192) + copy));
    CHECK(same(lab.part("copies"), 2 * copy));
}

TEST_CASE("a rendezvous asks and is answered before the bytes go", "[unit]") {
    Lab lab(2, 1, Collective::kSendRecv, 64_KiB, "");
    const SimDuration step = ns(400 + 1400) + kPath;
    CHECK(same(lab.time(), ns(1500) + 2 * step + step + on_nic(65536)));
    CHECK(lab.part("rendezvous") == 2 * step);
    CHECK(lab.part("copies") == SimDuration{});
}

TEST_CASE("NCCL's messages run as kernels", "[unit]") {
    Lab lab(2, 1, Collective::kSendRecv, 64_KiB, "");
    lab.s.library.name = "nccl-2.30";
    CHECK(lab.part("launch") == kLaunch);
    CHECK(lab.part("clear-to-send") == kReady);
}

TEST_CASE("a ring of two hosts, by hand", "[unit]") {
    Lab small(2, 1, Collective::kAllReduce, 256_KiB, "ring");
    small.only_simple();  // two steps of one slice of 128 KiB
    CHECK(same(small.time(), kLaunch + kReady + 2 * (kStep + kPath) + on_nic(256 << 10)));
    Lab large(2, 1, Collective::kAllReduce, 2_MiB, "ring");
    large.only_simple();  // two steps of two slices of 512 KiB, 10.7 us each: the second step's
                          // latency of 9.2 us passes while the other slice arrives
    CHECK(same(large.time(), kLaunch + kReady + kStep + kPath + on_nic(2 << 20)));
    Lab some(2, 1, Collective::kAllReduce, 2_MiB, "ring");
    some.only_simple();
    some[Detail::kNicLatency] = us(11).ps();  // ... of 18.8 us: what is left of it is seen
    const SimDuration step = kStep + kPath + us(11) - ns(1400);
    const SimDuration ready = kReady + us(11) - ns(1400);
    CHECK(same(some.time(), kLaunch + ready + 2 * step - on_nic(512 << 10) + on_nic(2 << 20)));
}

TEST_CASE("slots x slice a round trip bound a connection's rate", "[unit]") {
    Lab lab(2, 1, Collective::kAllGather, 8_MiB, "ring");
    lab.only_simple();
    lab[Detail::kBufferSimple] = 8 * 4096;
    // 1024 slices of 4 KiB a connection: 127 times a slot is waited for.
    const SimDuration turn = on_nic(4096) + kStep + kPath + kReady;
    CHECK(same(lab.time(), kLaunch + kReady + kStep + kPath + 127 * turn));
    const double rate = 4.0 * (1 << 20) / static_cast<double>((127 * turn).ps());
    CHECK(rate == Approx(8.0 * 4096 / static_cast<double>(turn.ps())).epsilon(0.01));
    lab[Detail::kBufferSimple] = 4 << 20;
    CHECK(lab.part("slots") == SimDuration{});
}

TEST_CASE("an all-to-all of tiny messages waits for the NIC's message rate", "[unit]") {
    Lab lab(2, 8, Collective::kAllToAll, 4_KiB, "direct");
    lab[Detail::kProxyMessage] = 0;
    lab[Detail::kNicMessage] = us(10).ps();
    // 8 messages to the other host and 8 from it; the first is part of the step.
    const SimDuration bytes = lab.part("bytes");
    CHECK(lab.part("NIC messages") == us(150) - bytes);
    lab[Detail::kNicMessage] = 0;
    lab[Detail::kProxyMessage] = us(10).ps();
    CHECK(lab.part("proxy messages") >= us(150) - bytes);
}

TEST_CASE("queue pairs beyond the NIC's cache slow each message", "[unit]") {
    Lab lab(2, 8, Collective::kAllToAll, 4_KiB, "direct");
    lab[Detail::kProxyMessage] = lab[Detail::kNicMessage] = 0;
    lab[Detail::kQueuePairMiss] = us(100).ps();
    CHECK(lab.part("queue-pair cache") == SimDuration{});
    const SimDuration cached = lab.part("NIC");
    lab[Detail::kQueuePairs] = 4;  // of 16: three in four messages miss
    CHECK(lab.part("queue-pair cache").ps() == (15 * us(75) - lab.part("bytes")).ps());
    CHECK(lab.part("NIC") - cached == us(75));
}

TEST_CASE("one channel carries what one thread block copies", "[unit]") {
    Lab lab(1, 8, Collective::kAllReduce, 1_GiB, "ring");
    lab.s.library.channels = 1;
    lab.only_simple();
    // 2 x 7/8 GiB at 38.7 GB/s; the chain's first step before it.
    const Int128 ps = ceil_div(Int128{7} * (1 << 28) * 1'000'000'000'000, 38'700'000'000);
    const SimDuration blocks{static_cast<std::int64_t>(ps)};
    CHECK(lab.time() >= kLaunch + blocks);
    CHECK(lab.time() <= kLaunch + blocks + us(4));
    lab.s.library.channels = 24;
    CHECK(lab.part("thread blocks") == SimDuration{});
}

TEST_CASE("the clear-to-send is seen once, whatever the steps", "[unit]") {
    for (const int hosts : {2, 4, 16}) {
        Lab lab(hosts, 1, Collective::kAllReduce, 64_KiB, "ring");
        CHECK(lab.part("clear-to-send") == kReady);
    }
    Lab one(1, 8, Collective::kAllReduce, 64_KiB, "ring");
    CHECK(one.part("clear-to-send") == SimDuration{});
}

TEST_CASE("many channels of small slices wait for their one proxy thread", "[unit]") {
    Lab lab(2, 1, Collective::kAllReduce, 64_MiB, "ring");
    lab.only_simple();
    lab[Detail::kBufferSimple] = 8 * 8192;
    lab[Detail::kProxyMessage] = us(1).ps();
    lab.s.library.channels = 16;
    // 64 MiB sent and 64 MiB received in slices of 8 KiB.
    CHECK(lab.part("proxy messages").ps() >= (us(16383) - lab.part("bytes")).ps());
}

namespace {

struct Kind {
    int hosts;
    std::uint32_t per_host;
    Collective kind;
    const char* algorithm;
};
constexpr Kind kKinds[] = {
    {1, 8, Collective::kAllReduce, "ring"},         {1, 8, Collective::kAllReduce, "nvls"},
    {2, 4, Collective::kAllReduce, "ring"},         {4, 2, Collective::kAllReduce, "tree"},
    {4, 2, Collective::kAllReduce, "hierarchical"}, {2, 4, Collective::kAllToAll, "direct"},
    {2, 4, Collective::kAllToAll, "rail"},          {2, 1, Collective::kSendRecv, ""},
    {3, 2, Collective::kReduceScatter, "ring"}};

/// More of it is faster.
bool helps(Detail d) {
    const CostUnit unit = detail_table()[static_cast<std::size_t>(d)].unit;
    return unit != CostUnit::kTime && d != Detail::kNicHeaders;
}

}  // namespace

TEST_CASE("detailed is never faster than ideal, and its parts add up", "[property]") {
    for (const Kind& k : kKinds)
        for (const std::int64_t size : {1, 5000, 1 << 20, 1 << 28}) {
            INFO(name_of(k.kind) << " " << k.algorithm << " " << size);
            Lab lab(k.hosts, k.per_host, k.kind, Bytes{size}, k.algorithm);
            const Result r = lab.run();
            if (r.collectives.empty()) continue;
            SimDuration sum;
            for (const TimePart& p : r.collectives[0].parts) sum += p.time;
            CHECK(same(sum, r.step_time));
            lab.s.endpoint = EndpointModel::kIdeal;
            CHECK(r.step_time >= lab.time());
            CHECK(r.step_time >= r.lower_bound);
        }
}

TEST_CASE("no mechanism makes a collective faster by costing more", "[property]") {
    for (const Kind& k : kKinds)
        for (const std::int64_t size : {5000, 1 << 24}) {
            Lab lab(k.hosts, k.per_host, k.kind, Bytes{size}, k.algorithm);
            const SimDuration middle = lab.time();
            for (std::size_t i = 0; i < kDetails; ++i) {
                const Detail d = static_cast<Detail>(i);
                if (d == Detail::kEagerLimit) continue;  // another way, not a cost
                INFO(name_of(k.kind)
                     << " " << k.algorithm << " " << size << " " << detail_table()[i].name);
                const Estimate e = lab.s.machine.detailed.figures[i];
                lab[d] = helps(d) ? e.low : e.high;
                // A ratio of two rates is a whole number of parts in a thousand.
                const bool rounded =
                    d == Detail::kScaleUpRate && std::string(k.algorithm) == "nvls";
                const SimDuration slack = rounded ? middle / 1000 : SimDuration{50};
                CHECK((lab.time() + slack).ps() >= middle.ps());
                lab[d] = e.value;
            }
        }
}

TEST_CASE("symmetry changes nothing", "[property]") {
    for (const Kind& k : kKinds) {
        Lab lab(k.hosts, k.per_host, k.kind, 1_MiB, k.algorithm);
        const std::string quotient = to_json(lab.run());
        lab.s.symmetry = false;
        CHECK(to_json(lab.run()) == quotient);
    }
}

TEST_CASE("a profile may set detailed figures, and need not", "[unit]") {
    CHECK(parse_profile("machine: lab\ncosts: {}\n", "m.yaml").detailed == DetailedCosts{});
    CHECK(to_yaml(nccl_tuning_profile()).find("detailed") == std::string::npos);
    MachineProfile p = nccl_tuning_profile();
    p.detailed.at(Detail::kProxyMessage) = {
        .value = 250'001, .low = 250'001, .high = 300'000, .from = "a log"};
    p.detailed.at(Detail::kBlocks).value = 16;
    p.detailed.at(Detail::kBufferSimple).value = (4 << 20) + 1;
    p.detailed.at(Detail::kBufferSimple).low = 100'000;
    CHECK(parse_profile(to_yaml(p), "m.yaml").detailed == p.detailed);
    CHECK_THROWS_WITH(
        parse_profile("machine: lab\ncosts: {}\ndetailed:\n  proxy.massage: {}\n", "m.yaml"),
        Catch::Contains("m.yaml:4") && Catch::Contains("proxy.message"));
    CHECK_THROWS_WITH(
        parse_profile("machine: lab\ncosts: {}\ndetailed:\n  block.count: {value: 0}\n", "m.yaml"),
        Catch::Contains("detailed.block.count.value"));
}

TEST_CASE("every figure has a range around it and a source", "[unit]") {
    const DetailedCosts d;
    for (std::size_t i = 0; i < kDetails; ++i) {
        const DetailInfo& info = detail_table()[i];
        INFO(info.name);
        CHECK(d.figures[i].low < d.figures[i].value);
        CHECK(d.figures[i].value < d.figures[i].high);
        CHECK(info.least <= d.figures[i].low);
        CHECK(d.figures[i].high <= info.most);
        CHECK(!d.figures[i].from.empty());
    }
}
