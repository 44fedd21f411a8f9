#include "traces/traffic/cdf.hpp"

#include <algorithm>
#include <fmt/format.h>

#include "base/check.hpp"
#include "base/text.hpp"

namespace weft::traffic {
namespace {

constexpr std::int64_t kAll = 1'000'000'000;
constexpr std::int64_t kMostBytes = std::int64_t{1} << 38;
constexpr const char* kExample = "10000 15";

}  // namespace

SizeCdf::SizeCdf(std::vector<Point> points) : points_(std::move(points)) {
    WEFT_CHECK(
        points_.size() >= 2 && points_.front().below_ppb == 0 && points_.back().below_ppb == kAll,
        "a distribution from 0 to 100 %");
}

Bytes SizeCdf::at(std::uint64_t share) const {
    // In units of 2^-32 ppb: finer than any table.
    const auto p = static_cast<std::int64_t>(
        static_cast<unsigned __int128>(share) * static_cast<std::uint64_t>(kAll) >> 32);
    const auto upper = std::upper_bound(
        points_.begin() + 1, points_.end() - 1, p,
        [](std::int64_t v, const Point& point) { return v < point.below_ppb << 32; });
    const Point& a = *(upper - 1);
    const Point& b = *upper;
    const Int128 into = Int128{p} - (Int128{a.below_ppb} << 32);
    const Int128 wide = Int128{b.below_ppb - a.below_ppb} << 32;
    const auto more = static_cast<std::int64_t>(Int128{(b.size - a.size).count()} * into / wide);
    return std::max(Bytes{1}, a.size + Bytes{more});
}

Int128 SizeCdf::twice_mean_ppb() const {
    Int128 sum = 0;
    for (std::size_t i = 1; i < points_.size(); ++i)
        sum += Int128{(points_[i].size + points_[i - 1].size).count()} *
               (points_[i].below_ppb - points_[i - 1].below_ppb);
    return sum;
}

SizeCdf read_cdf(const std::string& text, const std::string& file) {
    std::vector<SizeCdf::Point> points;
    for (const text::Line& line : text::lines_of(text)) {
        const std::vector<std::string_view> words = text::words_of(line.text);
        if (words.empty()) continue;
        const text::Place at{&file, line.number};
        if (words.size() != 2)
            text::fail(at, "point", fmt::format("{} words", words.size()),
                       "a size in bytes and a cumulative percentage", kExample);
        const std::int64_t size = text::scaled_number(words[0], 0);
        const std::int64_t ppb = text::scaled_number(words[1], 7);
        if (size < 0 || size > kMostBytes)
            text::fail(at, "size", words[0], "bytes, at most 256 GiB", kExample);
        if (ppb < 0 || ppb > kAll)
            text::fail(at, "percentage", words[1], "a percentage from 0 to 100", kExample);
        if (points.empty() && ppb != 0)
            text::fail(at, "percentage", words[1], "0 at the first point", "0 0");
        if (!points.empty() &&
            (Bytes{size} <= points.back().size || ppb <= points.back().below_ppb))
            text::fail(at, "point", line.text, "more than the line before, in both columns",
                       kExample);
        points.push_back({Bytes{size}, ppb});
    }
    if (points.size() < 2 || points.back().below_ppb != kAll)
        text::fail({&file, 0}, "percentage",
                   points.empty() ? "no points" : "a last point below 100", "100 at the last point",
                   "30000000 100");
    return SizeCdf(std::move(points));
}

SizeCdf web_search() {
    static constexpr std::int64_t kRows[][2] = {
        {0, 0},          {10'000, 15},    {20'000, 20},     {30'000, 30},
        {50'000, 40},    {80'000, 53},    {200'000, 60},    {1'000'000, 70},
        {2'000'000, 80}, {5'000'000, 90}, {10'000'000, 97}, {30'000'000, 100}};
    std::vector<SizeCdf::Point> points;
    for (const auto& [size, percent] : kRows) points.push_back({Bytes{size}, percent * kAll / 100});
    return SizeCdf(std::move(points));
}

}  // namespace weft::traffic
