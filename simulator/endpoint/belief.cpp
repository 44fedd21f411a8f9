#include "simulator/endpoint/belief.hpp"

#include <algorithm>

namespace weft {
namespace {

bool by_factor(Cost c) {
    return cost_table()[static_cast<std::size_t>(c)].unit == CostUnit::kTime &&
           nccl_constant(c) > 0;
}

}  // namespace

double prior_width(Cost c) {
    switch (c) {
        case Cost::kMessageScaleUp:
            return 4e6;
        case Cost::kMessageNetwork:
            return 6e6;
        case Cost::kScaleUpRate:
        case Cost::kInNetworkRate:
            return 120;
        case Cost::kNicRate:
            return 60;
        case Cost::kDirectRate:
            return 150;
        case Cost::kInNetworkFill:
            return 1000;
        case Cost::kLlMostOneHost:
        case Cost::kLlMostTwoHosts:
        case Cost::kLlMostMoreHosts:
        case Cost::kTreeChannel:
            return 0;
        default:
            return static_cast<double>(nccl_constant(c));
    }
}

double figure_at(Cost c, double u) {
    const auto middle = static_cast<double>(nccl_constant(c));
    if (by_factor(c)) return u >= 0 ? middle * (1 + 2 * u) : middle / (1 - 2 * u);
    return middle + u * prior_width(c);
}

double widths_at(Cost c, double value) {
    const auto middle = static_cast<double>(nccl_constant(c));
    if (by_factor(c))
        return (value >= middle ? value / middle - 1 : 1 - middle / std::max(value, 1.0)) / 2;
    return (value - middle) / prior_width(c);
}

void set_range(Estimate& e, Cost c, double at, double wide) {
    const CostInfo& info = cost_table()[static_cast<std::size_t>(c)];
    const auto end = [&](double u) { return static_cast<std::int64_t>(figure_at(c, u) + 0.5); };
    e.low = std::min(std::max(info.least, end(at - kNinety * wide)), e.value);
    e.high = std::max(std::min(info.most, end(at + kNinety * wide)), e.value);
}

}  // namespace weft
