#include "simulator/endpoint/detailed_costs.hpp"

#include <fmt/format.h>

#include "topology/io/document.hpp"

namespace weft {
namespace {

constexpr std::int64_t kNs = 1000;
constexpr std::int64_t kUs = 1000 * kNs;
constexpr std::int64_t kMBps = 1'000'000;
constexpr std::int64_t kGBps = 1000 * kMBps;
constexpr std::int64_t kKiB = 1024;
constexpr std::int64_t kMiB = 1024 * kKiB;

using U = CostUnit;

constexpr std::array<DetailInfo, kDetails> kTable{{
    {"launch.kernel", U::kTime, 0, 1000 * kUs, "a collective's kernel starts, and its end is seen"},
    {"launch.call", U::kTime, 0, 1000 * kUs, "a call that sends or receives without a kernel"},
    {"block.count", U::kCount, 1, 1024,
     "thread blocks of a collective, where no number of channels is asked for"},
    {"block.ll", U::kBytesPerSecond, 10 * kMBps, 1000 * kGBps, "what one copies or reduces by LL"},
    {"block.ll128", U::kBytesPerSecond, 10 * kMBps, 1000 * kGBps, "the same by LL128"},
    {"block.simple", U::kBytesPerSecond, 10 * kMBps, 1000 * kGBps, "the same by Simple"},
    {"sync.ll", U::kTime, 0, 100 * kUs, "a dependent step: a peer's flag is polled with its data"},
    {"sync.ll128", U::kTime, 0, 100 * kUs, "the same for LL128"},
    {"sync.simple", U::kTime, 0, 100 * kUs, "the same for Simple: a fence, then a flag"},
    {"sync.in_network", U::kTime, 0, 100 * kUs, "the same of all members, where a switch reduces"},
    {"proxy.flag", U::kTime, 0, 100 * kUs, "GPU and proxy thread see each other's flags, one way"},
    {"proxy.message", U::kTime, 0, 100 * kUs, "the thread posts a slice and sees it completed"},
    {"nic.latency", U::kTime, 0, 100 * kUs, "both NICs of a message, besides the wire"},
    {"nic.flush", U::kTime, 0, 100 * kUs, "Simple: a read makes the NIC's writes visible"},
    {"nic.message", U::kTime, 0, 100 * kUs, "what a NIC takes for a message of no bytes"},
    {"nic.mtu", U::kBytes, 64, 1 << 20, "payload of a packet"},
    {"nic.headers", U::kBytes, 0, 1 << 10, "its other bytes on the wire"},
    {"queue_pairs.cached", U::kCount, 1, 1'000'000'000, "queue pairs that a NIC keeps at hand"},
    {"queue_pairs.miss", U::kTime, 0, 100 * kUs, "what a message over another takes longer"},
    {"buffer.ll", U::kBytes, 32 * kKiB, 1024 * kMiB, "payload under way on a connection by LL"},
    {"buffer.ll128", U::kBytes, 32 * kKiB, 1024 * kMiB, "the same by LL128"},
    {"buffer.simple", U::kBytes, 32 * kKiB, 1024 * kMiB, "the same by Simple"},
    {"eager.limit", U::kBytes, 0, 1024 * kMiB, "longer messages of no kernel do a rendezvous"},
    {"eager.copy", U::kBytesPerSecond, 10 * kMBps, 1000 * kGBps,
     "copy into and out of an eager message's buffer"},
    {"scale_up.rate", U::kPerMille, 100, 1000, "what a scale-up link carries of its nominal rate"},
    {"in_network.rate", U::kPerMille, 100, 1000,
     "the same for bytes that the switch reduces or multicasts"},
}};

constexpr const char* kNccl = "NCCL tuning.cc (facts E1)";

std::array<Estimate, kDetails> believed() {
    return {{
        {6600 * kNs, 3 * kUs, 30 * kUs, "NCCL tuning.cc, base of Ring LL (facts E1)"},
        {1500 * kNs, 200 * kNs, 8 * kUs, "LogGOPSim's o; 0.2 to 8 us are in use (facts E2)"},
        {24, 8, 32, "assumed; NCCL runs up to 64 channels (facts E1)"},
        {5900 * kMBps, 3 * kGBps, 12 * kGBps, "LL's 141 GB/s (facts E1) over 24 channels"},
        {36'700 * kMBps, 20 * kGBps, 40 * kGBps, "NCCL tuning.cc, a channel of LL128 (facts E1)"},
        {38'700 * kMBps, 20 * kGBps, 70 * kGBps, "NCCL tuning.cc, a channel of a tree (facts E1)"},
        {600 * kNs, 300 * kNs, 1200 * kNs, kNccl},
        {1900 * kNs, 1250 * kNs, 2500 * kNs, kNccl},
        {3400 * kNs, 2800 * kNs, 6 * kUs, kNccl},
        {9200 * kNs, 3 * kUs, 18 * kUs, "half of NVLS's 25 us less the launch (facts E1)"},
        {1000 * kNs, 500 * kNs, 2 * kUs, "assumed: a write over PCIe and a poll"},
        {400 * kNs, 100 * kNs, 1500 * kNs,
         "assumed: o = 200 ns to post and to complete (facts E2)"},
        {1400 * kNs, 800 * kNs, 3 * kUs,
         "64 B between CPUs in 2.8 us (facts A4) less two links of 0.5 us and proxy.message"},
        {1000 * kNs, 500 * kNs, 3 * kUs, "assumed: a round trip over PCIe"},
        {5 * kNs, 3 * kNs, 100 * kNs, "assumed: 200 million messages/s"},
        {4096, 1024, 9000, "largest MTU of InfiniBand and RoCE"},
        {82, 64, 98, "RoCEv2: Ethernet 38 with gap, IPv4 20, UDP 8, BTH 12, ICRC 4"},
        {1024, 256, 16384, "assumed"},
        {1000 * kNs, 300 * kNs, 2 * kUs, "assumed: a read over PCIe"},
        {256 * kKiB, 128 * kKiB, 512 * kKiB,
         "NCCL: 8 x 512 x 8 x 16 B, half of it flags (facts E1)"},
        {4500 * kKiB, 2250 * kKiB, 9000 * kKiB, "NCCL: 120 x 640 x 8 x 8 B x 15/16 (facts E1)"},
        {4 * kMiB, 2 * kMiB, 8 * kMiB, "NCCL: 4 MiB a channel (facts E1)"},
        {8 * kKiB, 1 * kKiB, 64 * kKiB, "UCX_RNDV_THRESH=8192, what UCX-Py sets"},
        {10 * kGBps, 2 * kGBps, 25 * kGBps, "assumed"},
        {824, 780, 880, "20.6 of 25 GB/s an NVLink (facts E1)"},
        {700, 620, 740, "that times .85, NVLS on Hopper (facts E1)"},
    }};
}

}  // namespace

const std::array<DetailInfo, kDetails>& detail_table() {
    return kTable;
}

DetailedCosts::DetailedCosts() : figures(believed()) {}

std::string to_yaml(const DetailedCosts& d) {
    const DetailedCosts plain;
    std::string out;
    for (std::size_t i = 0; i < kDetails; ++i)
        if (!(d.figures[i] == plain.figures[i]))
            out += fmt::format("  {}: {}\n", kTable[i].name, to_yaml(d.figures[i], kTable[i].unit));
    return out.empty() ? out : "detailed:\n" + out;
}

DetailedCosts parse_detailed(const ConfigNode& section, const std::string& file) {
    DetailedCosts d;
    MapReader reader(section, file, "detailed");
    for (std::size_t i = 0; i < kDetails; ++i) {
        const ConfigNode* node = reader.find(kTable[i].name);
        if (node == nullptr) continue;
        MapReader one(*node, file, reader.path_of(kTable[i].name));
        d.figures[i] = read_estimate(one, kTable[i].unit, kTable[i].least, kTable[i].most);
    }
    reader.finish();
    return d;
}

}  // namespace weft
