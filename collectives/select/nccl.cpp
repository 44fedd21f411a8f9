#include "collectives/select/nccl.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <limits>

#include "collectives/select/nccl_figures.hpp"

namespace weft::nccl {
namespace {

constexpr std::int64_t kMega = 1'000'000;
constexpr Algorithm kPredicted[] = {Algorithm::kTree, Algorithm::kRing, Algorithm::kNvls,
                                    Algorithm::kNvlsTree, Algorithm::kPat};
constexpr WireProtocol kAll[] = {WireProtocol::kLl, WireProtocol::kLl128, WireProtocol::kSimple};

std::size_t index(Algorithm a) {
    return static_cast<std::size_t>(a);
}
std::size_t index(WireProtocol p) {
    return static_cast<std::size_t>(p);
}
std::size_t index(GpuGeneration g) {
    return static_cast<std::size_t>(g);
}

std::int64_t times(std::int64_t rate, std::int64_t over, std::int64_t under) {
    return static_cast<std::int64_t>(Int128{rate} * over / under);
}

std::int64_t log2_of(std::int64_t n) {
    std::int64_t log = 0;
    while (n >>= 1) ++log;
    return log;
}

std::int64_t bytes_per_s(Bandwidth b) {
    return b.bits_per_second() / 8;
}

/// What a GPU's NVLink carries as NCCL reckons; no limit where a host has one rank.
std::int64_t nvlink(const Machine& m) {
    if (m.ranks_per_host == 1) return std::numeric_limits<std::int64_t>::max();
    return times(bytes_per_s(m.scale_up), nvlink_per_mille(m.generation), 1000);
}

/// Rings: the fastest speed of the best product of channels and speed. Slower ones are tried down
/// to half the best speed. Few fast rings are then doubled at half the speed.
Graph find_rings(Version v, const Machine& m) {
    const std::int64_t most = figures(v).most_channels / 2;
    const std::int64_t up = nvlink(m);
    Graph best;
    for (const std::int64_t mega : speeds(v, m.generation, m.hosts > 1)) {
        const std::int64_t speed = mega * kMega;
        if (best.channels > 0 && speed * 100 <= best.intra * 49) break;
        std::int64_t n = std::min(most, up / speed);
        if (m.hosts > 1) n = std::min(n, m.nics * (bytes_per_s(m.nic) / speed));
        if (n * speed > best.channels * best.intra) best = {n, speed, speed};
    }
    const bool slow = best.intra < 25'000 * kMega;
    const bool enough =
        m.generation >= GpuGeneration::kHopper && best.intra < 50'000 * kMega && best.channels > 4;
    if (slow || enough || best.channels * 2 > most) return best;
    return {best.channels * 2, best.intra / 2, best.inter / 2};
}

/// Trees: as many as rings; over hosts, the inner links as fast as they can be, up to twice.
Graph find_trees(Version v, const Machine& m, const Graph& rings) {
    Graph g = rings;
    if (m.hosts == 1) return g;
    const auto list = speeds(v, m.generation, true);
    for (auto s = list.rbegin(); s != list.rend() && g.intra < 2 * g.inter; ++s)
        if (*s * kMega > g.intra && g.channels <= nvlink(m) / (*s * kMega)) g.intra = *s * kMega;
    return g;
}

/// NVLS: a head for each rank of one host, else for each rank with a NIC of its own; every GPU's
/// link carries all heads.
Graph find_heads(Version v, const Machine& m) {
    const bool several = m.hosts > 1;
    const auto list = speeds(v, m.generation, several);
    const std::int64_t heads = several ? std::min(m.ranks_per_host, m.nics) : m.ranks_per_host;
    if (heads == 0) return {};
    Graph g;
    for (const std::int64_t mega : list) {
        const std::int64_t speed = mega * kMega;
        if (heads > nvlink(m) / speed || (several && speed > bytes_per_s(m.nic))) continue;
        g = {heads, speed, speed};
        break;
    }
    if (!several) return g;
    for (auto s = list.rbegin(); s != list.rend() && g.inter < 2 * g.intra; ++s)
        if (*s * kMega > g.inter && *s * kMega <= bytes_per_s(m.nic)) g.inter = *s * kMega;
    return g;
}

/// Rows of the figures by hosts: one, two, more.
std::size_t by_hosts(const Machine& m) {
    return static_cast<std::size_t>(std::min<std::int64_t>(m.hosts, 3) - 1);
}

std::int64_t of(const ByGeneration& rows, const Machine& m) {
    return rows[index(m.generation)][by_hosts(m)] * kMega;
}

std::int64_t ll_most(Version v, const Machine& m) {
    const std::size_t row =
        m.hosts == 1 ? index(m.generation) : (m.cpu == CpuVendor::kAmd ? 1U : 0U);
    return figures(v).ll_most[row][by_hosts(m)] * kMega;
}

/// Along the ring, in slices.
bool pipelined(Collective kind) {
    return kind == Collective::kBroadcast || kind == Collective::kReduce;
}

/// Dependent steps of a ring.
std::int64_t ring_steps(Collective kind, std::int64_t n) {
    if (kind == Collective::kAllReduce) return 2 * (n - 1);
    return pipelined(kind) ? n : n - 1;
}

bool rides_rings(Collective kind) {
    return kind == Collective::kAllReduce || kind == Collective::kAllGather ||
           kind == Collective::kReduceScatter || pipelined(kind);
}

SimDuration transfer(Bytes size, std::int64_t rate) {
    constexpr Int128 kPsPerSecond = 1'000'000'000'000;
    return SimDuration{static_cast<std::int64_t>(Int128{size.count()} * kPsPerSecond / rate)};
}

}  // namespace

const char* name_of(Version v) {
    return v == Version::k2_18 ? "nccl-2.18" : "nccl-2.30";
}

std::optional<Version> parse_version(const std::string& library) {
    for (const Version v : {Version::k2_18, Version::k2_30})
        if (library == name_of(v)) return v;
    return {};
}

const char* name_of(Algorithm a) {
    constexpr const char* kNames[] = {"tree", "ring", "nvls", "nvls-tree", "pat", "direct"};
    return kNames[index(a)];
}

std::optional<Algorithm> parse_algorithm(const std::string& name) {
    for (const Algorithm a : kPredicted)
        if (name == name_of(a)) return a;
    return {};
}

Tuner::Tuner(Version version, const Machine& machine, const Overrides& overrides)
    : version_(version), machine_(machine), overrides_(overrides) {
    ring_ = find_rings(version, machine);
    tree_ = find_trees(version, machine, ring_);
    if (has_nvls()) nvls_ = find_heads(version, machine);
    std::int64_t n =
        std::clamp<std::int64_t>(2 * ring_.channels, 1, figures(version).most_channels);
    if (overrides.max_channels > 0) n = std::min<std::int64_t>(n, overrides.max_channels);
    channels_ = static_cast<std::uint32_t>(n);
}

std::uint32_t Tuner::nvls_channels() const {
    return static_cast<std::uint32_t>(figures(version_).nvls_channels[index(machine_.generation)]);
}

/// NCCL leaves two GPUs alone on one host to their direct links.
bool Tuner::has_nvls() const {
    return machine_.in_network && overrides_.nvls && machine_.ranks_per_host > 2 &&
           figures(version_).nvls_per_mille[index(machine_.generation)] > 0;
}

bool Tuner::serves(Collective kind, Algorithm a, WireProtocol p) const {
    const bool reduces = kind == Collective::kAllReduce;
    const bool gathers = kind == Collective::kAllGather || kind == Collective::kReduceScatter;
    const bool simple = p == WireProtocol::kSimple;
    switch (a) {
        case Algorithm::kTree:
            return reduces && tree_.channels > 0;
        case Algorithm::kRing:
            return rides_rings(kind);
        case Algorithm::kNvls:
            return simple && (reduces || gathers) && machine_.hosts == 1 && nvls_.channels > 1;
        case Algorithm::kNvlsTree:
            return simple && reduces && machine_.hosts > 1 && nvls_.channels > 1;
        case Algorithm::kPat:
            return simple && gathers && version_ == Version::k2_30 && machine_.hosts > 1 &&
                   machine_.ranks_per_host == 1 && tree_.channels > 0;
        case Algorithm::kDirect:
            return false;
    }
    return false;
}

bool Tuner::allowed(Algorithm a, WireProtocol p) const {
    return (!overrides_.algorithm || *overrides_.algorithm == a) &&
           (!overrides_.protocol || *overrides_.protocol == p);
}

std::int64_t Tuner::ring_rate(Collective kind, WireProtocol p) const {
    const Figures& f = figures(version_);
    const Machine& m = machine_;
    // Blackwell's rings over two hosts are as fast as the network, other machines' as NVLink.
    const bool inter = m.hosts > 2 || (m.hosts == 2 && version_ == Version::k2_30 &&
                                       m.generation == GpuGeneration::kBlackwell);
    std::int64_t bus = ring_.channels * (inter ? ring_.inter : ring_.intra);
    if (p == WireProtocol::kLl) {
        const bool light = m.hosts == 1 && kind != Collective::kAllReduce;
        bus = std::min(ll_most(version_, m),
                       times(bus, light ? f.ring_ll_light_per_mille : f.ring_ll_per_mille, 1000));
    }
    if (p == WireProtocol::kLl128) {
        const bool alone = version_ == Version::k2_18 && m.ranks_per_host == 1;
        bus = std::min(times(bus, alone ? 700 : 920, 1000),
                       ring_.channels * of(f.ring_ll128_channel, m));
    }
    return times(bus, m.ranks(), ring_steps(kind, m.ranks()));
}

std::int64_t Tuner::tree_rate(WireProtocol p) const {
    const Figures& f = figures(version_);
    const Machine& m = machine_;
    const std::int64_t speed = version_ == Version::k2_30 ? std::min(tree_.intra, tree_.inter)
                               : m.hosts <= 2             ? tree_.intra
                                                          : tree_.inter;
    const std::int64_t n = tree_.channels;
    std::int64_t bus = std::min(times(n * speed, 920, 1000), n * of(f.tree_channel, m));
    if (p == WireProtocol::kLl) bus = std::min(times(bus, 10, 38), ll_most(version_, m));
    if (p == WireProtocol::kLl128)
        bus = std::min(m.hosts == 1 ? times(bus, 7, 9) : times(bus, 120, 128),
                       n * of(f.tree_ll128_channel, m));
    return bus / 2;
}

std::int64_t Tuner::nvls_rate(Collective kind, Algorithm a) const {
    const Figures& f = figures(version_);
    const Machine& m = machine_;
    const bool tree = a == Algorithm::kNvlsTree;
    const std::int64_t n = nvls_.channels;
    if (version_ == Version::k2_18) {
        const std::int64_t inter = tree && m.hosts > 2 ? nvls_.inter / 2 : nvls_.inter;
        return times(n * std::min(nvls_.intra, inter), 5, 6);
    }
    const bool reduces = kind == Collective::kAllReduce;
    std::int64_t each =
        times(nvls_.intra, f.nvls_per_mille[index(m.generation)] * (n - 1), 1000 * n);
    each = reduces ? 2 * each : times(each, m.ranks_per_host - 1, m.ranks_per_host);
    if (m.hosts > 1) each = std::min(each, tree && m.hosts == 2 ? 2 * nvls_.inter : nvls_.inter);
    if (tree) each = std::min(each, of(f.nvls_tree_channel, m));
    return reduces ? times(n * each, m.ranks(), ring_steps(kind, m.ranks())) : n * each;
}

/// Bytes/s of the collective's size.
std::int64_t Tuner::rate(Collective kind, Algorithm a, WireProtocol p) const {
    switch (a) {
        case Algorithm::kRing:
            return ring_rate(kind, p);
        case Algorithm::kTree:
            return tree_rate(p);
        case Algorithm::kNvls:
        case Algorithm::kNvlsTree:
            return nvls_rate(kind, a);
        case Algorithm::kPat:
            return times(tree_.channels * std::min(tree_.intra, tree_.inter), 750, 1000);
        case Algorithm::kDirect:
            return 0;
    }
    return 0;
}

SimDuration Tuner::intra_hop(Algorithm a, WireProtocol p) const {
    return ns(figures(version_).nvlink_ns[index(a)][index(p)]);
}

/// Since 2.21 a host of one rank exposes the whole network latency, that of trees.
SimDuration Tuner::inter_hop(Algorithm a, WireProtocol p) const {
    const bool exposed = version_ == Version::k2_30 && machine_.ranks_per_host == 1;
    const Algorithm row = exposed ? Algorithm::kTree : a;
    const std::int64_t flush = p == WireProtocol::kSimple ? 2 : 1;
    return ns(figures(version_).network_ns[index(row)][index(p)]) + flush * machine_.nic_latency;
}

SimDuration Tuner::ring_latency(Collective kind, WireProtocol p) const {
    const Machine& m = machine_;
    const SimDuration base = ns(figures(version_).base_ns[index(Algorithm::kRing)][index(p)]);
    const SimDuration intra = intra_hop(Algorithm::kRing, p);
    if (pipelined(kind))
        return base + (m.hosts == 1
                           ? intra
                           : ns(figures(version_).network_ns[index(Algorithm::kRing)][index(p)]));
    const std::int64_t steps = ring_steps(kind, m.ranks());
    if (m.hosts == 1) return base + steps * intra;
    const std::int64_t way = kind == Collective::kAllReduce ? 2 : 1;
    const std::int64_t crossings =
        version_ == Version::k2_18 && way == 2 ? 2 * m.hosts : way * (m.hosts - 1);
    // Every step is posted to the network by the host's processor.
    SimDuration post = m.cpu == CpuVendor::kAmd ? us(2) : us(1);
    if (p == WireProtocol::kSimple) post = 3 * post;
    return base + (steps - crossings) * std::max(intra, post) +
           crossings * inter_hop(Algorithm::kRing, p);
}

SimDuration Tuner::latency(Collective kind, Algorithm a, WireProtocol p) const {
    const Machine& m = machine_;
    const SimDuration base =
        a == Algorithm::kDirect ? SimDuration{} : ns(figures(version_).base_ns[index(a)][index(p)]);
    const std::int64_t levels = log2_of(m.hosts);
    switch (a) {
        case Algorithm::kRing:
            return ring_latency(kind, p);
        case Algorithm::kTree:
            return base + 2 * ((m.ranks_per_host - 1) * intra_hop(a, p) + levels * inter_hop(a, p));
        case Algorithm::kNvls:
            return intra_hop(a, p);
        case Algorithm::kNvlsTree:
            return base + intra_hop(a, p) + 2 * levels * inter_hop(a, p);
        case Algorithm::kPat:
            return base + levels * inter_hop(a, p) * 2 / 7 + m.ranks() * ns(2800);
        case Algorithm::kDirect:
            return {};
    }
    return {};
}

std::uint32_t Tuner::channels_for(Algorithm a, WireProtocol p, Bytes size) const {
    if (a == Algorithm::kNvls || a == Algorithm::kNvlsTree) return nvls_channels();
    const Threads t = threads(p);
    std::int64_t each = t.most * t.bytes_each;
    if (a == Algorithm::kRing && p == WireProtocol::kLl) each *= machine_.ranks();
    return static_cast<std::uint32_t>(
        std::clamp<std::int64_t>(size.count() / each, 1, std::int64_t{channels_}));
}

Candidate Tuner::candidate(Collective kind, Algorithm a, WireProtocol p, Bytes size) const {
    Candidate c{.algorithm = a,
                .protocol = p,
                .channels = channels_for(a, p, size),
                .latency = latency(kind, a, p),
                .bytes_per_s = rate(kind, a, p),
                .predicted = {}};
    if (a == Algorithm::kTree) {
        const auto& row = tree_correction()[index(p)];
        const auto log = static_cast<std::size_t>(log2_of(size.count() / 64));
        if (size.count() >= 64 && log < row.size())
            c.bytes_per_s = times(c.bytes_per_s, row[log], 1000);
    }
    // The plateau of rings over hosts.
    if (a == Algorithm::kRing && p == WireProtocol::kSimple && machine_.hosts > 1 &&
        kind == Collective::kAllReduce &&
        size.count() / (std::int64_t{channels_} * machine_.ranks()) >= 64)
        c.latency = c.latency * (machine_.generation < GpuGeneration::kAmpere ? 19 : 14) / 10;
    c.predicted = c.latency + transfer(size, c.bytes_per_s);
    return c;
}

/// Messages up to 16 KiB go as LL (NCCL_P2P_LL_THRESHOLD); channels are a power of two, at most 32.
Candidate Tuner::point_to_point(Collective kind, Bytes size) const {
    constexpr std::int64_t kMostLl = 16 * 1024;
    const std::int64_t parts = blocked(kind) ? machine_.ranks() : 1;
    std::uint32_t n = 1;
    while (n < channels_ && n < 32) n *= 2;
    return {.algorithm = Algorithm::kDirect,
            .protocol = overrides_.protocol.value_or(
                size.count() / parts <= kMostLl ? WireProtocol::kLl : WireProtocol::kSimple),
            .channels = n,
            .latency = {},
            .bytes_per_s = 0,
            .predicted = {}};
}

std::vector<Candidate> Tuner::candidates(Collective kind, Bytes size) const {
    if (!rides_rings(kind) || machine_.ranks() < 2) return {point_to_point(kind, size)};
    std::vector<Candidate> all;
    const auto add = [&](Algorithm a, WireProtocol p) {
        if (serves(kind, a, p) && rate(kind, a, p) > 0) all.push_back(candidate(kind, a, p, size));
    };
    for (const Algorithm a : kPredicted)
        for (const WireProtocol p : kAll)
            if (allowed(a, p)) add(a, p);
    if (all.empty())
        for (const WireProtocol p : kAll) add(Algorithm::kRing, p);
    // No path that the search knows of, as between hosts without NICs.
    if (all.empty()) all.push_back({});
    return all;
}

const Candidate& Tuner::winner(const std::vector<Candidate>& all) {
    return *std::min_element(all.begin(), all.end(), [](const Candidate& a, const Candidate& b) {
        return a.predicted < b.predicted;
    });
}

Cut Tuner::cut(Collective kind, const Candidate& c) {
    constexpr Bytes kLlSlot{32 * 1024};                   // 64 KiB with flags
    constexpr Bytes kLl128Slot{120 * 640 * 8 * 15 / 16};  // 600 KB with flags
    constexpr Bytes kSlot{512 * 1024};
    constexpr Bytes kNvlsChunk{128 * 1024};
    if (c.protocol == WireProtocol::kLl) return {kLlSlot, kLlSlot, kLlSlot};
    if (c.protocol == WireProtocol::kLl128) return {kLl128Slot, kLl128Slot, kLl128Slot};
    if (c.algorithm == Algorithm::kNvls || c.algorithm == Algorithm::kNvlsTree ||
        c.algorithm == Algorithm::kDirect)
        return {kSlot, kNvlsChunk, kNvlsChunk};
    if (pipelined(kind) || c.algorithm != Algorithm::kRing) return {kSlot, kSlot, kSlot};
    return {kSlot, 4 * kSlot, 2 * kSlot};
}

std::string log_line(Collective kind, Bytes size, const Candidate& c) {
    constexpr const char* kKinds[] = {"AllReduce", "AllGather", "ReduceScatter",
                                      "AllToAll",  "Broadcast", "SendRecv",
                                      "Reduce",    "Gather",    "Scatter"};
    constexpr const char* kAlgorithmNames[] = {"TREE", "RING", "NVLS", "NVLS_TREE", "PAT", "P2P"};
    constexpr const char* kProtocolNames[] = {"LL", "LL128", "SIMPLE"};
    return fmt::format("{}: {} Bytes -> Algo {} proto {} channel{{Lo..Hi}}={{0..{}}}",
                       kKinds[static_cast<std::size_t>(kind)], size.count(),
                       kAlgorithmNames[index(c.algorithm)], kProtocolNames[index(c.protocol)],
                       c.channels - 1);
}

}  // namespace weft::nccl
