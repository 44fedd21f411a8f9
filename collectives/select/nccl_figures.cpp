#include "collectives/select/nccl_figures.hpp"

namespace weft::nccl {
namespace {

// Rows: tree, ring, nvls, nvls-tree, pat.
constexpr Figures k230 = {
    .base_ns = {{{6800, 14000, 8400}, {6600, 14000, 8400}, {}, {}, {8000, 8000, 8000}}},
    .nvlink_ns =
        {{{600, 1250, 4000}, {600, 1900, 3400}, {0, 0, 25000}, {0, 0, 25000}, {0, 0, 4000}}},
    .network_ns =
        {{{5000, 8500, 14000}, {2700, 4000, 14000}, {0, 0, 18000}, {0, 0, 20900}, {0, 0, 14000}}},
    .ll_most = {{{39000, 39000, 20400},
                 {87700, 22500, 19000},
                 {141000, 45000, 35000},
                 {282000, 90000, 70000}}},
    .ring_ll_per_mille = 500,
    .ring_ll_light_per_mille = 500,
    .ring_ll128_channel = {{{20000, 20000, 20000},
                            {20000, 20000, 20000},
                            {36700, 36700, 36700},
                            {40000, 40000, 40000}}},
    .tree_ll128_channel = {{{20000, 20000, 20000},
                            {20000, 20000, 20000},
                            {36700, 36700, 29000},
                            {55600, 31670, 20000}}},
    .tree_channel = {{{26500, 18500, 10000},
                      {24000, 23600, 17800},
                      {38700, 41400, 36000},
                      {70000, 42800, 24000}}},
    .nvls_tree_channel =
        {{{26500, 18500, 10000}, {24000, 23600, 17800}, {0, 57700, 45500}, {0, 96000, 80000}}},
    .nvls_per_mille = {0, 0, 850, 740},
    .nvls_channels = {0, 0, 16, 24},
    .most_channels = 64,
};

constexpr Figures make_218() {
    Figures f = k230;
    f.base_ns[0] = {6800, 14000, 0};
    f.nvlink_ns[0][2] = 28000;
    f.nvlink_ns[2][2] = 23000;
    f.nvlink_ns[3][2] = 23000;
    f.network_ns[0][2] = 28000;
    f.network_ns[3][2] = 14000;
    f.ring_ll_per_mille = 250;
    f.ring_ll_light_per_mille = 333;
    f.nvls_channels[3] = 16;
    f.ll_most[2] = f.ll_most[3] = f.ll_most[1];
    f.ring_ll128_channel[3] = f.ring_ll128_channel[2];
    f.tree_ll128_channel[3] = f.tree_ll128_channel[2];
    f.tree_channel[3] = f.tree_channel[2];
    f.most_channels = 32;
    return f;
}
constexpr Figures k218 = make_218();

constexpr std::int64_t kIntra[] = {40000, 30000, 20000, 18000, 15000, 12000, 10000,
                                   9000,  7000,  6000,  5000,  4000,  3000};
constexpr std::int64_t kInter[] = {48000, 30000, 28000, 24000, 20000, 18000, 15000,
                                   12000, 10000, 9000,  7000,  6000,  5000,  4000,
                                   3000,  2400,  1200,  240,   120};
constexpr std::int64_t kIntraHopper218[] = {60000, 40000, 30000, 24000, 20000,
                                            15000, 12000, 6000,  3000};
constexpr std::int64_t kInterHopper218[] = {48000, 45000, 42000, 40000, 30000, 24000, 20000, 17500,
                                            15000, 12000, 6000,  3000,  2400,  1200,  240,   120};
constexpr std::int64_t kIntraHopper[] = {60000, 50000, 40000, 30000, 24000, 20000,
                                         15000, 12000, 11000, 6000,  3000};
constexpr std::int64_t kInterHopper[] = {48000, 45000, 42000, 40000, 30000, 24000,
                                         22000, 20000, 17500, 15000, 12000, 6000,
                                         3000,  2400,  1200,  240,   120};
constexpr std::int64_t kIntraBlackwell[] = {90000, 80000, 70000, 60000, 50000, 45000,
                                            40000, 30000, 24000, 20000, 19000, 18000};
constexpr std::int64_t kInterBlackwell[] = {96000, 80000, 48000, 45100, 42000, 40000, 30000,
                                            24000, 22000, 20000, 17500, 15000, 12000, 6000,
                                            3000,  2400,  1200,  240,   120};

constexpr std::array<std::array<std::int64_t, 23>, kProtocols> kTreeCorrection = {{
    {1000, 1000, 1000, 1000, 900, 800, 700, 700,  700,  700,  600, 500,
     400,  400,  500,  600,  700, 800, 900, 1000, 1000, 1000, 1000},
    {1000, 1000, 1000, 1000, 1000, 900, 800, 800, 800, 700,  600, 600,
     600,  600,  600,  600,  800,  900, 900, 900, 900, 1000, 1000},
    {900, 900, 900, 900, 900, 900, 900, 800, 700, 600, 600, 500,
     500, 500, 500, 600, 700, 800, 700, 700, 800, 900, 900},
}};

}  // namespace

const Figures& figures(Version v) {
    return v == Version::k2_18 ? k218 : k230;
}

const std::array<std::array<std::int64_t, 23>, kProtocols>& tree_correction() {
    return kTreeCorrection;
}

std::span<const std::int64_t> speeds(Version v, GpuGeneration g, bool several_hosts) {
    struct Lists {
        std::span<const std::int64_t> intra;
        std::span<const std::int64_t> inter;
    };
    Lists l{kIntra, kInter};
    if (g >= GpuGeneration::kHopper)
        l = v == Version::k2_18           ? Lists{kIntraHopper218, kInterHopper218}
            : g == GpuGeneration::kHopper ? Lists{kIntraHopper, kInterHopper}
                                          : Lists{kIntraBlackwell, kInterBlackwell};
    return several_hosts ? l.inter : l.intra;
}

// 20, 20.6 and 40.1 GB/s a link of 25, 25 and 50 nominal; Volta's links count as Ampere's.
std::int64_t nvlink_per_mille(GpuGeneration g) {
    constexpr std::int64_t kRows[] = {800, 800, 824, 802};
    return kRows[static_cast<std::size_t>(g)];
}

Threads threads(WireProtocol p) {
    constexpr Threads kRows[] = {{512, 8}, {640, 8}, {512, 64}};
    return kRows[static_cast<std::size_t>(p)];
}

}  // namespace weft::nccl
