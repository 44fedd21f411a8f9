#include "tools/trust.hpp"

#include <fmt/format.h>

#include "simulator/endpoint/profile.hpp"
#include "simulator/trust/trust.hpp"
#include "tools/flags.hpp"
#include "traces/measured/measured.hpp"

namespace weft::tools {

void add_trust_flags(CLI::App& sub, TrustOptions& o) {
    sub.add_option("--measured", o.measured,
                   "measured times: YAML, CSV, a result.json, PyTorch's flight recorder as JSON or "
                   "NCCL Inspector's log (traces/measured)");
    sub.add_option("--measured-step", o.measured_step, "the step time that you measured: 4.9s");
    sub.add_option("--measured-on", o.measured_on,
                   "fabric that ran the measured job (default: --fabric)");
    sub.add_option("--measured-library", o.measured_library,
                   "library that the measured job ran (default: --library)");
    sub.add_option("--measured-gpus", o.measured_gpus,
                   "ranks of the measured job (default: as the trace says)")
        ->check(CLI::Range(1, 1 << 20));
    sub.add_option("--trust-limit", o.limit,
                   "of the measured step: what the step, or a part, may miss by")
        ->capture_default_str();
    sub.add_flag("--predict-anyway", o.predict_anyway,
                 "predict although the measured job is not reproduced; the report says so");
}

std::int64_t parse_limit(const std::string& text) {
    const auto bad = [&]() -> ConfigError {
        return ConfigError({.file = {},
                            .line = 0,
                            .key = "--trust-limit",
                            .found = printable(text),
                            .expected = "a percentage from 0% to 100%, two decimals at most",
                            .example = "--trust-limit 10%"});
    };
    std::int64_t value = 0;  // hundredths of a percent
    int decimals = -1;       // after the point; -1: none yet
    bool digits = false;
    if (text.size() < 2 || text.size() > 8 || text.back() != '%') throw bad();
    for (const char c : text.substr(0, text.size() - 1)) {
        if (c == '.' && decimals < 0) {
            decimals = 0;
            continue;
        }
        if (c < '0' || c > '9' || decimals == 2) throw bad();
        value = 10 * value + (c - '0');
        digits = true;
        if (decimals >= 0) ++decimals;
    }
    for (int i = std::max(decimals, 0); i < 2; ++i) value *= 10;
    if (!digits || value > 10'000) throw bad();
    return 100 * value;
}

void lay_measured_times(const TrustOptions& o, Workload& w) {
    if (!o.measured.empty()) apply(load_measured(o.measured), w);
    if (o.measured_step.empty()) return;
    const SimDuration step = parse_flag("--measured-step", o.measured_step, parse_duration);
    if (step <= SimDuration{0})
        throw ConfigError({.file = {},
                           .line = 0,
                           .key = "--measured-step",
                           .found = printable(o.measured_step),
                           .expected = "a time above 0",
                           .example = "--measured-step 4.9s"});
    w.measured.step = step;
    w.measured.source += (w.measured.source.empty() ? "" : ", ") + std::string("--measured-step");
}

bool refused(const Trust& t) {
    return t.verdict == Trust::Verdict::kNotReproduced && !t.predicted_anyway;
}

std::string first_line(const Trust& t, const std::string& endpoint, const std::string& machine) {
    std::string line = trust_line(t);
    if (line.empty()) {
        std::string costs = "published ones and not your cluster's";
        if (machine != nccl_tuning_profile().name) costs = "those of machine " + machine;
        if (endpoint == "detailed") costs = "published and assumed ones, fitted to nothing";
        if (endpoint == "ideal") costs = "none (small collectives come out too fast)";
        return "nothing measured backs this number: no measured times in the trace, endpoint costs "
               "are " +
               costs + ", compute times are the trace's";
    }
    if (t.predicted_anyway)
        line = "PREDICTED ANYWAY (--predict-anyway): " + line + "; " + unexplained_line(t);
    return line;
}

std::string refusal(const Trust& t) {
    return fmt::format("no prediction: {}; --predict-anyway predicts and marks the report",
                       unexplained_line(t));
}

}  // namespace weft::tools
