#pragma once
// MachineProfile: what one kind of machine adds to a collective, as a small set of named figures,
// each with the range that its measurements leave open.
//
// Models: costs of NCCL-like endpoints (simulator/endpoint/endpoint.hpp says how they add up).
// Leaves out: anything of the fabric, and the choice of algorithm (collectives/select). Units: time
// in ps, rates of links per mille of nominal, bus bandwidth in bytes/s. Figures that no measurement
// has determined keep NCCL's published constant (facts E1) and a wide range, and say so in `from`.
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/units.hpp"
#include "collectives/plan/plan.hpp"
#include "simulator/endpoint/detailed_costs.hpp"
#include "simulator/endpoint/estimate.hpp"
#include "simulator/endpoint/remainder.hpp"

namespace weft {

enum class Cost : std::uint8_t {
    kLaunchLl,
    kLaunchLl128,
    kLaunchSimple,
    kLaunchInNetwork,
    kScaleUpStepLl,
    kScaleUpStepLl128,
    kScaleUpStepSimple,
    kNetworkStepLl,
    kNetworkStepLl128,
    kNetworkStepSimple,
    kMessageScaleUp,
    kMessageNetwork,
    kScaleUpRate,
    kInNetworkRate,
    kNicRate,
    kDirectRate,
    kInNetworkFill,
    kLlMostOneHost,
    kLlMostTwoHosts,
    kLlMostMoreHosts,
    kTreeChannel,
};
inline constexpr std::size_t kCosts = 21;

/// What a parameter is; one row per Cost, in order.
struct CostInfo {
    const char* name;  // "launch.simple"
    CostUnit unit;
    std::int64_t least;  // what can be believed at all
    std::int64_t most;
    const char* what;
};
[[nodiscard]] const std::array<CostInfo, kCosts>& cost_table();

/// Hosts and sizes of the curves that a profile was fitted to: of one collective, on one host or on
/// several (simulator/endpoint/fitted.hpp).
struct FittedRange {
    Collective collective = Collective::kAllReduce;
    std::uint32_t least_hosts = 1;
    std::uint32_t most_hosts = 1;
    Bytes least_size;
    Bytes most_size;
};

struct MachineProfile {
    std::string name = "nccl-tuning";
    std::string title;
    std::vector<std::string> also;    // machines it stands for besides: "h200"
    std::vector<FittedRange> fitted;  // empty: to nothing that is known
    /// Per mille of a time: nine in ten of the rows fitted lie within it. 0: nothing was fitted.
    std::int64_t model_error = 0;
    std::array<Estimate, kCosts> costs;
    DetailedCosts detailed;  // for endpoint `detailed` alone
    /// What the figures leave of the curves measured on this very machine; shipped profiles have
    /// none, so that they are judged by their figures.
    std::vector<Remainder> remainder;

    [[nodiscard]] std::int64_t operator[](Cost c) const {
        return costs[static_cast<std::size_t>(c)].value;
    }
    [[nodiscard]] SimDuration time(Cost c) const { return SimDuration{(*this)[c]}; }
    [[nodiscard]] Estimate& at(Cost c) { return costs[static_cast<std::size_t>(c)]; }
    [[nodiscard]] const Estimate& at(Cost c) const { return costs[static_cast<std::size_t>(c)]; }
};

/// NCCL's published constants, and the rates that SimAI measured, with the ranges of what nothing
/// was measured for (simulator/endpoint/belief.hpp). The default, on
/// every fabric: which fitted machine a fabric's hosts resemble is for the user to say.
[[nodiscard]] const MachineProfile& nccl_tuning_profile();

/// The same of one figure.
[[nodiscard]] std::int64_t nccl_constant(Cost c);

/// "17.2us", "824 per mille" as "82.4%", "141GB/s"; and back (ConfigError without place).
[[nodiscard]] std::string cost_text(Cost c, std::int64_t value);
[[nodiscard]] std::int64_t parse_cost(Cost c, const std::string& text);

/// The YAML form, and back. ConfigError names file, line and key.
[[nodiscard]] std::string to_yaml(const MachineProfile& p);
[[nodiscard]] MachineProfile parse_profile(const std::string& text, const std::string& file);
/// Profiles that Weft ships, fitted by `weft calibrate` to published measurements, and the default.
[[nodiscard]] const std::vector<MachineProfile>& builtin_profiles();
/// The profile that is, or stands for, a machine; nullptr when none does.
[[nodiscard]] const MachineProfile* profile_for(const std::vector<MachineProfile>& profiles,
                                                const std::string& machine);
/// A shipped profile by name or by a machine it stands for, else the YAML file of that path.
[[nodiscard]] MachineProfile find_profile(const std::string& name_or_path);

}  // namespace weft
