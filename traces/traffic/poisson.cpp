#include "traces/traffic/poisson.hpp"

#include <algorithm>
#include <bit>
#include <fmt/format.h>
#include <numeric>

#include "base/parameters.hpp"
#include "base/rng.hpp"
#include "topology/io/document.hpp"

namespace weft::traffic {
namespace {

constexpr std::int64_t kAll = 1'000'000'000;
constexpr std::int64_t kMostFlows = 50'000'000;
constexpr std::uint64_t kLn2 = 0xb17217f7d1cf79ab;  // ln 2, in units of 2^-64
constexpr int kLogBits = 40;

[[noreturn]] void reject(const std::string& key, const std::string& found,
                         const std::string& expected, const std::string& example) {
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = "--generate " + key,
                       .found = found,
                       .expected = expected,
                       .example = example});
}

/// The mean time between starts of `twice_mean` (2 x 10^9 x bytes) at a share of a rate, in ps.
Int128 mean_gap(Int128 twice_mean, Bandwidth rate, std::int64_t load_ppb) {
    return twice_mean * 4'000'000'000'000 / (Int128{rate.bits_per_second()} * load_ppb);
}

SimDuration wait(RandomStream& r, Int128 mean) {
    return ps(static_cast<std::int64_t>(mean * minus_ln(r.next()) >> kLogBits));
}

void refuse_too_many(Int128 sources, SimDuration duration, Int128 gap) {
    if (gap > 0 && gap < (Int128{1} << 62) && sources * duration.ps() / gap <= kMostFlows) return;
    if (gap >= (Int128{1} << 62)) reject("load", "next to nothing", "a flow within 50 days", "50%");
    reject("load", "too much at once", fmt::format("at most {} flows", kMostFlows), "50%");
}

GpuId other_host(RandomStream& r, std::size_t hosts, std::size_t self) {
    const std::uint64_t d = r.below(hosts - 1);
    return GpuId{static_cast<std::size_t>(d) + (d >= self ? 1U : 0U)};
}

void add_background(FlowSet& set, const SizeCdf& sizes, const Traffic& t) {
    if (t.load_ppb == 0) return;
    const Int128 gap = mean_gap(sizes.twice_mean_ppb(), t.rate, t.load_ppb);
    refuse_too_many(static_cast<Int128>(t.hosts), t.duration, gap);
    for (std::size_t host = 0; host < t.hosts; ++host) {
        RandomStream r(t.seed, host, "traffic");
        SimDuration at = wait(r, gap);
        for (; at < t.duration; at += wait(r, gap)) {
            FlowSpec f;
            f.src = GpuId{host};
            f.dst = other_host(r, t.hosts, host);
            f.size = sizes.at(r.next());
            f.start = SimTime{} + at;
            f.tag = kBackgroundTag;
            set.flows.push_back(f);
        }
    }
}

void add_incast(FlowSet& set, const Traffic& t) {
    const Incast& i = t.incast;
    if (i.senders == 0 || i.load_ppb == 0) return;
    if (i.senders >= t.hosts)
        reject("incast", std::to_string(i.senders),
               fmt::format("fewer senders than the {} hosts", t.hosts), "8");
    const auto senders = static_cast<Int128>(i.senders);
    const auto hosts = static_cast<std::int64_t>(t.hosts);
    const Int128 gap =
        mean_gap(2 * Int128{kAll} * i.size.count() * senders, t.rate * hosts, i.load_ppb);
    refuse_too_many(senders, t.duration, gap);
    RandomStream r(t.seed, 0, "incast");
    std::vector<std::size_t> order(t.hosts);
    for (SimDuration at = wait(r, gap); at < t.duration; at += wait(r, gap)) {
        std::iota(order.begin(), order.end(), std::size_t{0});
        for (std::size_t k = 0; k <= i.senders; ++k)
            std::swap(order[k], order[k + r.below(t.hosts - k)]);
        for (std::size_t k = 1; k <= i.senders; ++k) {
            FlowSpec f;
            f.src = GpuId{order[k]};
            f.dst = GpuId{order[0]};
            f.size = i.size;
            f.start = SimTime{} + at;
            f.tag = kIncastTag;
            set.flows.push_back(f);
        }
    }
}

}  // namespace

std::uint64_t minus_ln(std::uint64_t bits) {
    if (bits == ~std::uint64_t{0}) return 0;
    const std::uint64_t x = bits + 1;
    const int zeros = std::countl_zero(x);
    std::uint64_t m = x << zeros;  // 1 to 2, in units of 2^-63
    std::uint64_t log2 = static_cast<std::uint64_t>(63 - zeros);
    for (int i = 0; i < kLogBits; ++i) {
        const unsigned __int128 square = static_cast<unsigned __int128>(m) * m >> 63;
        const bool two = (square >> 64) != 0;
        m = static_cast<std::uint64_t>(two ? square >> 1 : square);
        log2 = log2 << 1 | (two ? 1U : 0U);
    }
    const std::uint64_t minus = (std::uint64_t{64} << kLogBits) - log2;
    return static_cast<std::uint64_t>(static_cast<unsigned __int128>(minus) * kLn2 >> 64);
}

FlowSet poisson(const SizeCdf& sizes, const Traffic& t) {
    FlowSet set;
    if (t.hosts < 2) reject("hosts", std::to_string(t.hosts), "at least two hosts", {});
    add_background(set, sizes, t);
    add_incast(set, t);
    std::stable_sort(set.flows.begin(), set.flows.end(),
                     [](const FlowSpec& a, const FlowSpec& b) { return a.start < b.start; });
    set.notes.push_back(fmt::format(
        "Generated: Poisson starts within {} at {} of {} a host, to hosts drawn evenly.",
        to_string(t.duration), share_text(t.load_ppb), to_string(t.rate)));
    if (t.incast.senders > 0)
        set.notes.push_back(fmt::format(
            "Incasts of {} senders of {} each, at {} of the hosts' capacity, at random times.",
            t.incast.senders, to_string(t.incast.size), share_text(t.incast.load_ppb)));
    return set;
}

const RegistryInfo& generator_info() {
    static const RegistryInfo info{
        "websearch",
        "Poisson arrivals between random hosts, and incasts; sizes of web search, or of a CDF file",
        "HPCC (SIGCOMM 2019), section 5.1; DCTCP (SIGCOMM 2010)",
        {{"load", "", "50%", "of every host's rate, without the incasts"},
         {"time", "ps", "1ms", "flows start within it"},
         {"incast", "", "0", "senders of an incast; 0: none"},
         {"incast_size", "B", "500KB", "of each sender"},
         {"incast_load", "", "2%", "of the capacity of all hosts"}}};
    return info;
}

FlowSet generate(const std::string& text, std::size_t hosts, Bandwidth rate, std::uint64_t seed) {
    const std::size_t colon = text.find(':');
    const std::string name = text.substr(0, colon);
    const bool file = name.find_first_of("./") != std::string::npos;
    if (!file && name != generator_info().name)
        reject(name, printable(name), "websearch, or the file of a CDF", "websearch:load=50%");
    std::vector<std::string> settings;
    for (std::size_t at = colon; at != std::string::npos;) {
        const std::size_t comma = text.find(',', at + 1);
        settings.push_back(text.substr(at + 1, comma - at - 1));
        at = comma;
    }
    const Parameters p(generator_info(), parse_settings(settings), "--generate " + name);
    Traffic t;
    t.hosts = hosts;
    t.rate = rate;
    t.seed = seed;
    t.load_ppb = p.share("load", 0, kAll);
    t.duration = p.duration("time");
    if (t.duration <= SimDuration{0} || t.duration > ms(100'000))
        p.reject("time", "a time above 0, at most 100 s", "10ms");
    t.incast.senders = static_cast<std::size_t>(p.count("incast", 0, 1 << 16));
    t.incast.size = p.bytes("incast_size");
    if (t.incast.size > Bytes{std::int64_t{1} << 38})
        p.reject("incast_size", "at most 256 GiB", "500KB");
    t.incast.load_ppb = p.share("incast_load", 0, kAll);
    return poisson(file ? read_cdf(read_text_file(name), name) : web_search(), t);
}

}  // namespace weft::traffic
