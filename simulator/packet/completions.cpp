#include "simulator/packet/completions.hpp"

#include <algorithm>
#include <bit>

namespace weft::packet {
namespace {

constexpr int kBits = 7;  // buckets an octave: 2^kBits

std::size_t bucket_of(std::uint64_t v) {
    const int shift = std::max(0, static_cast<int>(std::bit_width(v)) - kBits - 1);
    return (static_cast<std::size_t>(shift) << kBits) + static_cast<std::size_t>(v >> shift);
}

/// The largest value of a bucket.
std::int64_t edge_of(std::size_t bucket) {
    const std::size_t octave = bucket >> kBits;
    const std::size_t shift = octave == 0 ? 0 : octave - 1;
    const std::uint64_t head = bucket - (shift << kBits);
    return static_cast<std::int64_t>(((head + 1) << shift) - 1);
}

}  // namespace

void Histogram::add(std::int64_t value) {
    const std::size_t b = bucket_of(static_cast<std::uint64_t>(value));
    if (b >= buckets_.size()) buckets_.resize(b + 1);
    ++buckets_[b];
    ++count_;
    max_ = std::max(max_, value);
}

std::int64_t Histogram::rank(unsigned percent) const {
    const std::uint64_t wanted = (count_ * percent + 99) / 100;
    std::uint64_t seen = 0;
    for (std::size_t b = 0; b < buckets_.size(); ++b) {
        seen += buckets_[b];
        if (seen >= wanted && seen > 0) return std::min(max_, edge_of(b));
    }
    return max_;
}

Percentiles Histogram::percentiles() const {
    return {.p50 = rank(50), .p95 = rank(95), .p99 = rank(99), .max = max_};
}

std::vector<std::pair<std::int64_t, std::uint64_t>> Histogram::cumulative() const {
    std::vector<std::pair<std::int64_t, std::uint64_t>> all;
    std::uint64_t seen = 0;
    for (std::size_t b = 0; b < buckets_.size(); ++b) {
        seen += buckets_[b];
        const bool last = b % 4 == 3 || b + 1 == buckets_.size();
        if (last && seen > (all.empty() ? 0 : all.back().second))
            all.emplace_back(std::min(max_, edge_of(b)), seen);
    }
    return all;
}

void CompletionTimes::add(Bytes size, SimDuration took, SimDuration alone) {
    constexpr std::int64_t kOne = 1000;
    const Int128 milli = Int128{took.ps()} * kOne / std::max<std::int64_t>(1, alone.ps());
    const std::int64_t slowdown = std::max(kOne, static_cast<std::int64_t>(milli));
    const auto bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(1, size.count()));
    add(sizes_[static_cast<int>(std::bit_width(bytes - 1))], size, took.ps(), slowdown);
    add(all_, size, took.ps(), slowdown);
}

void CompletionTimes::add(Class& c, Bytes size, std::int64_t took, std::int64_t slowdown) {
    c.largest = std::max(c.largest, size);
    c.times.add(took);
    c.slowdowns.add(slowdown);
}

Completions CompletionTimes::summary(std::string what) const {
    Completions out;
    out.what = std::move(what);
    out.count = all_.times.count();
    out.time_ps = all_.times.percentiles();
    out.slowdown_milli = all_.slowdowns.percentiles();
    for (const auto& [power, c] : sizes_)
        out.sizes.push_back(
            {c.largest, c.times.count(), c.times.percentiles(), c.slowdowns.percentiles()});
    out.slowdowns = all_.slowdowns.cumulative();
    return out;
}

}  // namespace weft::packet
