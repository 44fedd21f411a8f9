// weft route: the way from one GPU to another, hop by hop.
#include <algorithm>
#include <fmt/format.h>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/rng.hpp"
#include "tools/commands.hpp"
#include "topology/fabrics/fabrics.hpp"
#include "topology/io/load.hpp"
#include "topology/routing/router.hpp"

namespace weft::tools {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kHelp = R"(Print the route from one GPU to another, hop by hop.

  weft route --fabric hpn7 --from 0 --to 8              disjoint paths, one for each plane
  weft route --fabric hpn7 --from 0 --to 1024 --paths 3 three for each plane
  weft route --fabric hpn7 --from 0 --to 1024 --qps 4   four QPs as the switches hash them
  weft route --fabric hpn7 --from 0 --to 8 --down "host[1].nic[0]:0 > tor[0]"

A GPU is a number (rank order) or a name, host[1].gpu[0]. Names of links are those printed here.)";

struct Options {
    std::string fabric = "hpn7";
    std::vector<std::string> set;
    std::string from;
    std::string to;
    std::int32_t rail = kAny;
    std::size_t paths = 1;
    std::size_t qps = 0;
    std::uint64_t seed = 1;
    std::string hash = "per-switch";
    std::vector<std::string> down;
    bool json = false;
};

struct Found {
    std::string title;
    std::optional<Route> route;
};

GpuId find_gpu(const Fabric& f, const std::string& key, const std::string& text) {
    for (std::size_t g = 0; g < f.gpus().size(); ++g)
        if (std::to_string(g) == text || f.name_of(f.gpus()[g].node) == text) return GpuId{g};
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = key,
                       .found = printable(text),
                       .expected = fmt::format("a GPU of {}: 0 to {}, or its name", f.name(),
                                               f.gpus().size() - 1),
                       .example = f.name_of(f.gpus().back().node)});
}

Health health_of(const Fabric& f, const Options& o) {
    Health health{f};
    for (const std::string& name : o.down) {
        const LinkId l = f.find_link(name);
        if (!l.valid())
            throw ConfigError({.file = {},
                               .line = 0,
                               .key = "--down",
                               .found = printable(name),
                               .expected = "the name of a link of " + f.name(),
                               .example = "\"" + f.name_of(LinkId{f.links().size() - 2}) + "\""});
        health.set_down(l);
        health.set_down(reverse(l));
    }
    return health;
}

EcmpHash hash_of(const Options& o) {
    constexpr HashSeeds kSeeds[] = {HashSeeds::kSame, HashSeeds::kPerTier, HashSeeds::kPerSwitch};
    const std::vector<std::string> names{"same", "per-tier", "per-switch"};
    for (std::size_t i = 0; i < names.size(); ++i)
        if (names[i] == o.hash) return {.seeds = kSeeds[i], .seed = o.seed};
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = "--hash",
                       .found = printable(o.hash),
                       .expected = "one of " + suggest(o.hash, names),
                       .example = "same"});
}

std::vector<Found> find_routes(const Router& router, const Edge& e, const Options& o) {
    std::vector<Found> found;
    if (e.scale_up()) {
        found.push_back({"scale-up", router.ecmp(e, 0)});
        return found;
    }
    for (std::size_t q = 0; q < o.qps; ++q) {
        RandomStream random{o.seed, q, "udp source port"};
        const auto port = static_cast<std::uint16_t>(49152 + random.below(16384));
        found.push_back({fmt::format("QP {}, UDP source port {}", q, port), router.ecmp(e, port)});
    }
    for (std::size_t port = 0; o.qps == 0 && port < router.ports(e); ++port) {
        const std::vector<Route> paths = router.disjoint_paths(e, port, o.paths, o.seed);
        for (std::size_t i = 0; i < paths.size(); ++i)
            found.push_back({fmt::format("NIC port {}, path {}", port, i), paths[i]});
        if (paths.empty()) found.push_back({fmt::format("NIC port {}", port), std::nullopt});
    }
    return found;
}

void print_text(const Fabric& f, const Health& health, const std::vector<Found>& found) {
    for (const Found& item : found) {
        if (!item.route) {
            fmt::print("{}: unreachable\n\n", item.title);
            continue;
        }
        if (item.route->links.empty()) {
            fmt::print("{}: the same GPU\n", item.title);
            continue;
        }
        fmt::print("{}: {} hops, latency {}, bottleneck {}\n", item.title, item.route->links.size(),
                   to_string(latency(f, *item.route)),
                   to_string(bottleneck(f, *item.route, &health)));
        for (const LinkId l : item.route->links) {
            const Link& link = f.link(l);
            const std::string plane =
                link.plane == kAny ? "" : fmt::format("  plane {}", link.plane);
            fmt::print("  {:<44} {:>9}  {:>7}{}\n", f.name_of(l), to_string(health.rate(l)),
                       to_string(link.latency), plane);
        }
        fmt::print("\n");
    }
}

void print_json(const Fabric& f, const Health& health, const std::vector<Found>& found) {
    Json all = Json::array();
    for (const Found& item : found) {
        Json hops = Json::array();
        if (item.route)
            for (const LinkId l : item.route->links)
                hops.push_back({{"link", f.name_of(l)},
                                {"rate_bps", health.rate(l).bits_per_second()},
                                {"latency_ps", f.link(l).latency.ps()},
                                {"plane", f.link(l).plane}});
        all.push_back(
            {{"what", item.title}, {"reachable", item.route.has_value()}, {"hops", hops}});
    }
    fmt::print("{}\n", all.dump(2));
}

int run_route(const Options& o) {
    const Fabric f = load_fabric(o.fabric, parse_settings(o.set));
    const Health health = health_of(f, o);
    const Router router{f, {.hash = hash_of(o)}, &health};
    const GpuId from = find_gpu(f, "--from", o.from);
    const GpuId to = find_gpu(f, "--to", o.to);
    const std::vector<Found> found = find_routes(router, router.edge(from, to, o.rail), o);
    if (o.json)
        print_json(f, health, found);
    else
        print_text(f, health, found);
    const bool any = std::any_of(found.begin(), found.end(),
                                 [](const Found& item) { return item.route.has_value(); });
    return any ? 0 : 1;
}

}  // namespace

void add_route(CLI::App& app, std::function<int()>& run) {
    CLI::App* sub = app.add_subcommand("route", kHelp);
    const auto o = std::make_shared<Options>();
    sub->add_option("--fabric", o->fabric, "family, family:key=value,... or a YAML file")
        ->capture_default_str();
    sub->add_option("--set", o->set, "a parameter of the fabric, key=value; may be repeated");
    sub->add_option("--from", o->from, "GPU to start at")->required();
    sub->add_option("--to", o->to, "GPU to arrive at")->required();
    sub->add_option("--rail", o->rail, "rail to use where both GPUs own a NIC on it")
        ->check(in_range(0, 1023));
    sub->add_option("--paths", o->paths, "disjoint paths for each NIC port")
        ->check(in_range(1, 1024))
        ->capture_default_str();
    sub->add_option("--qps", o->qps, "print hashed QPs instead of disjoint paths")
        ->check(in_range(1, 1024));
    sub->add_option("--seed", o->seed, "of the hash and the source ports")->capture_default_str();
    sub->add_option("--hash", o->hash, "hash seeds of switches: same, per-tier, per-switch")
        ->capture_default_str();
    sub->add_option("--down", o->down, "a link that is down, both ways; may be repeated");
    sub->add_flag("--json", o->json, "print JSON");
    sub->callback([o, &run] { run = [o] { return run_route(*o); }; });
}

}  // namespace weft::tools
