// weft fabric: what a fabric is, in numbers.
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/commands.hpp"
#include "topology/describe.hpp"
#include "topology/fabrics/fabrics.hpp"
#include "topology/io/load.hpp"

namespace weft::tools {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kHelp = R"(Describe a fabric, or list the families.

  weft fabric --list                          families, parameters, units, defaults, sources
  weft fabric hpn7 --describe                 sizes, ports, oversubscription, bisection, assumptions
  weft fabric hpn7:segments=2,mode=single-plane
  weft fabric dcn+ --set tor_uplinks=8        the same as dcn+:tor_uplinks=8
  weft fabric my-cluster.yaml --json          a file: see topology/README.md for its form)";

struct Options {
    std::string fabric;
    std::vector<std::string> set;
    bool describe = false;
    bool list = false;
    bool json = false;
};

Json tier_json(const TierSummary& t) {
    return {{"name", t.name},
            {"switches", t.switches},
            {"ports_down", t.ports_down},
            {"ports_down_backup", t.backup_down},
            {"ports_up", t.ports_up},
            {"rate_down_bps", t.rate_down.bits_per_second()},
            {"rate_up_bps", t.rate_up.bits_per_second()},
            {"cables_up", t.cables_up},
            {"oversubscription_active_milli", oversubscription_milli(t, false)},
            {"oversubscription_with_backup_milli", oversubscription_milli(t, true)}};
}

Json to_json(const Fabric& f, const FabricSummary& s) {
    Json tiers = Json::array();
    for (const TierSummary& t : s.tiers) tiers.push_back(tier_json(t));
    Json parameters = Json::object();
    for (const auto& [key, value] : f.parameters()) parameters[key] = value;
    return {{"name", s.name},
            {"digest", fmt::format("{:016x}", f.digest())},
            {"gpus", s.gpus},
            {"hosts", s.hosts},
            {"backup_hosts", s.backup_hosts},
            {"nics", s.nics},
            {"ports_per_nic", s.ports_per_nic},
            {"scale_up_domains", s.domains},
            {"planes", s.planes},
            {"rails", s.rails},
            {"segments", s.segments},
            {"gpus_per_segment", s.gpus_per_segment},
            {"pods", s.pods},
            {"nic_rate_bps", s.nic_rate.bits_per_second()},
            {"scale_up_rate_bps", s.scale_up_rate.bits_per_second()},
            {"switch_capacity_bps", s.switch_capacity.bits_per_second()},
            {"tiers", tiers},
            {"cables",
             {{"scale_up", s.cables[0]},
              {"pcie", s.cables[1]},
              {"access", s.cables[2]},
              {"fabric", s.cables[3]}}},
            {"impaired_cables", s.impaired_cables},
            {"bisection_bps", s.bisection.bits_per_second()},
            {"parameters", parameters},
            {"assumptions", f.assumptions()}};
}

void list_text() {
    for (const FabricRegistry::Row& row : fabric_families().rows()) {
        fmt::print("{}\n  {}\n  source: {}\n", row.info.name, row.info.description,
                   row.info.source);
        for (const Parameter& p : row.info.parameters)
            fmt::print("    {:<18} {:<12} {}{}\n", p.name, p.fallback,
                       p.unit.empty() ? "" : "[" + p.unit + "] ", p.description);
        fmt::print("\n");
    }
}

void list_json() {
    Json all = Json::array();
    for (const FabricRegistry::Row& row : fabric_families().rows()) {
        Json parameters = Json::array();
        for (const Parameter& p : row.info.parameters)
            parameters.push_back({{"name", p.name},
                                  {"unit", p.unit},
                                  {"default", p.fallback},
                                  {"description", p.description}});
        all.push_back({{"name", row.info.name},
                       {"description", row.info.description},
                       {"source", row.info.source},
                       {"parameters", parameters}});
    }
    fmt::print("{}\n", all.dump(2));
}

int run_fabric(const Options& o) {
    if (o.list || o.fabric.empty()) {
        o.json ? list_json() : list_text();
        return 0;
    }
    const Fabric f = load_fabric(o.fabric, parse_settings(o.set));
    const FabricSummary s = summarize(f);
    if (o.json)
        fmt::print("{}\n", to_json(f, s).dump(2));
    else
        fmt::print("{}", to_text(f, s));
    return 0;
}

}  // namespace

void add_fabric(CLI::App& app, std::function<int()>& run) {
    CLI::App* sub = app.add_subcommand("fabric", kHelp);
    const auto o = std::make_shared<Options>();
    sub->add_option("fabric", o->fabric, "family, family:key=value,... or a YAML file");
    sub->add_option("--set", o->set, "a parameter, key=value; may be repeated");
    sub->add_flag("--describe", o->describe, "print the description (the default)");
    sub->add_flag("--list", o->list, "list the families with their parameters");
    sub->add_flag("--json", o->json, "print JSON; integers carry their unit in the key");
    sub->callback([o, &run] { run = [o] { return run_fabric(*o); }; });
}

}  // namespace weft::tools
