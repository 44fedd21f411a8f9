#include "flow_control/link/fec.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace weft {

namespace {

constexpr int kSymbols = 544;
constexpr int kCorrected = 15;
constexpr int kSymbolBits = 10;
constexpr double kPayloadBits = 514 * kSymbolBits;

double power(double base, int exponent) {
    double result = 1;
    for (int n = 0; n < exponent; ++n) result *= base;
    return result;
}

}  // namespace

int fec_interleave(Bandwidth rate) {
    if (rate <= 100_Gbps) return 1;
    return rate <= 400_Gbps ? 2 : 4;
}

SimDuration fec_latency(Bandwidth rate, const FecProfile& p) {
    if (!p.on) return {};
    // 5440 bits at 17/16 of the rate take as long as 5120 bits, 640 bytes, at the rate.
    return transfer_time(Bytes{640} * fec_interleave(rate), rate) + p.processing;
}

double codeword_loss(double bit_error_rate) {
    WEFT_CHECK(bit_error_rate >= 0 && bit_error_rate <= 1, "a bit error rate of {}",
               bit_error_rate);
    const double good = power(1 - bit_error_rate, kSymbolBits);
    // 1 - good, without losing the digits of a small rate.
    double bad = 0;
    for (int n = 0; n < kSymbolBits; ++n) bad += bit_error_rate * power(1 - bit_error_rate, n);
    // The tail is summed upwards from its largest terms, which are its first.
    double term = 1;  // choose(544, k) bad^k good^(544-k), started at k = 0
    double tail = 0;
    if (good == 0) return 1;
    term = power(good, kSymbols);
    if (term == 0) return 1;  // far beyond what the code corrects
    for (int k = 1; k <= kSymbols; ++k) {
        term = term * (kSymbols - k + 1) / k * (bad / good);
        if (k > kCorrected) tail += term;
    }
    return std::min(tail, 1.0);
}

double frame_loss(double bit_error_rate, Bytes frame, Bandwidth rate) {
    const double touched =
        static_cast<double>(frame.count()) * 8 / kPayloadBits + fec_interleave(rate);
    return std::min(1.0, touched * codeword_loss(bit_error_rate));
}

std::uint64_t loss_threshold(double probability) {
    WEFT_CHECK(probability >= 0 && probability <= 1, "a probability of {}", probability);
    if (probability >= 1) return ~std::uint64_t{0};
    return static_cast<std::uint64_t>(probability * 18446744073709551616.0);
}

SimDuration retry_delay(const RetryFacts& f, const FecProfile& p) {
    const SimDuration one_way = f.cable + fec_latency(f.rate, p);
    return 2 * one_way + 2 * transfer_time(f.frame, f.rate) + transfer_time(f.request, f.rate) +
           f.processing;
}

}  // namespace weft
