// weft discover: what stands in this machine, or in the machines of a job, as a table and as a
// fabric file that every other command takes.
#include <cstdio>
#include <fmt/format.h>
#include <fstream>
#include <memory>
#include <stdexcept>

#include "collectives/api/world.hpp"
#include "tools/commands.hpp"
#include "tools/discover/gather.hpp"
#include "tools/discover/table.hpp"
#include "tools/flags.hpp"
#include "topology/io/yaml.hpp"

namespace weft::tools {
namespace {

constexpr const char* kHelp = R"(Say what this machine, or a job's machines, are to a network.

  weft discover                     this machine: ports, rates, subnets, GPUs and their nearest NICs
  weft discover --yaml              as a fabric file; -o FILE writes it
  weft discover --interfaces eth2:0:0,eth3:1:0      these ports alone, on these rails and planes

Several hosts: one command starts a rank on each, or each host runs its own.
  weft discover -n 4 --launch 'ssh node%r' -o lab.yaml
  weft discover --new-id /shared/scratch            prints an id, a secret word; then on host R of N
  weft discover --id ID --rank R --ranks N          rank 0 prints

Then: weft fabric lab.yaml --describe, weft sim --fabric lab.yaml ..., WEFT_FABRIC=lab.yaml.
Ranks of -n meet in a folder for temporary files that all of them have to see (TMPDIR).)";

struct Options {
    std::string interfaces;
    std::string host;
    std::string id;
    std::string new_id;
    std::string launch;
    std::string file;
    std::string rate;
    std::uint32_t rank = 0;
    std::uint32_t ranks = 1;
    std::uint32_t start = 0;
    std::uint32_t within = 60;
    bool yaml = false;
    bool quiet = false;
};

[[noreturn]] void refuse(const char* key, const std::string& found, const std::string& expected) {
    throw ConfigError({.file = {},
                       .line = 0,
                       .key = key,
                       .found = printable(found),
                       .expected = expected,
                       .example = {}});
}

/// Virtual ports' drivers say a number without meaning; a person may know it.
void set_rates(std::vector<live::Presence>& ranks, Bandwidth rate) {
    for (live::Presence& p : ranks) {
        for (MachineNic& nic : p.machine.nics)
            if (nic.driver.empty() || nic.rate == Bandwidth{}) nic.rate = rate;
        for (NamedPort& port : p.ports)
            for (const MachineNic& nic : p.machine.nics)
                if (nic.name == port.name) port.rate = nic.rate;
    }
}

void write(const std::string& file, const std::string& text) {
    std::ofstream out(file, std::ios::binary);
    out << text;
    if (!out.flush()) refuse("-o", file, "a file that can be written");
}

int show(const Options& o, std::vector<live::Presence> ranks) {
    if (!o.rate.empty()) set_rates(ranks, parse_flag("--rate", o.rate, parse_bandwidth));
    const std::vector<SeenHost> hosts = live::hosts_of(ranks, nullptr);
    const std::string text = describe_cluster(hosts);
    (void)parse_fabric(text, "what was discovered");  // whoever reads it later can
    if (!o.file.empty()) write(o.file, text);
    if (o.yaml) {
        fmt::print("{}", text);
        return 0;
    }
    if (o.quiet) return 0;
    const std::vector<PlacedPort> ports = place_ports(hosts);
    for (std::size_t h = 0; h < hosts.size(); ++h) {
        fmt::print("host[{}] {}{}\n", h, hosts[h].machine.name,
                   ranks.size() == 1 ? std::string()
                                     : fmt::format(": {} rank{}", hosts[h].ranks,
                                                   hosts[h].ranks == 1 ? "" : "s"));
        if (h == 0) fmt::print("{}", text_of(read_processors()));
        fmt::print("{}", text_of(hosts, h, ports));
    }
    return 0;
}

int start_ranks(const Options& o) {
    if (!o.id.empty()) refuse("-n", std::to_string(o.start), "no --id: it starts the ranks itself");
    std::vector<std::string> more{"--within", std::to_string(o.within)};
    if (!o.interfaces.empty()) more.insert(more.end(), {"--interfaces", o.interfaces});
    if (!o.rate.empty()) more.insert(more.end(), {"--rate", o.rate});
    if (!o.file.empty()) more.insert(more.end(), {"-o", o.file});
    if (o.yaml) more.emplace_back("--yaml");
    if (o.quiet) more.emplace_back("--quiet");
    return run_ranks(o.start, o.launch, more);
}

int run(const Options& o) {
    try {
        if (!o.new_id.empty()) {
            const auto id = live::unique_id_in_directory(o.new_id);
            if (!id) throw std::runtime_error(to_string(id.error()));
            fmt::print("{}\n", to_text(id.value()));
            return 0;
        }
        if (o.start > 0) return start_ranks(o);
        const live::Presence mine = this_presence(o.interfaces, o.host);
        if (o.id.empty()) return show(o, {mine});
        if (o.rank >= o.ranks)
            refuse("--rank", std::to_string(o.rank), fmt::format("a rank below {}", o.ranks));
        std::vector<live::Presence> all =
            meet_at(o.id, o.rank, o.ranks, mine, std::chrono::seconds(o.within));
        // Of one's own machine more is known than is told: what was left out.
        all[o.rank].machine = mine.machine;
        return o.rank == 0 ? show(o, std::move(all)) : 0;
    } catch (const ConfigError&) {
        throw;
    } catch (const std::runtime_error& e) {
        fmt::print(stderr, "weft: discover: {}\n", e.what());
        return 1;
    }
}

}  // namespace

void add_discover(CLI::App& app, std::function<int()>& run_it) {
    auto o = std::make_shared<Options>();
    const live::WorldOptions world = live::world_options_from_environment();
    o->interfaces = world.interfaces;
    o->host = world.host;
    CLI::App* sub = app.add_subcommand("discover", kHelp);
    sub->add_option("--interfaces", o->interfaces,
                    "ports to count, interface[:rail:plane],... (or WEFT_INTERFACES)");
    sub->add_option("--rate", o->rate, "of ports whose drivers do not know (virtual ones)");
    sub->add_flag("--yaml", o->yaml, "print the fabric file instead of tables");
    sub->add_option("-o,--out", o->file, "write the fabric file");
    sub->add_flag("--quiet", o->quiet, "print no tables");
    sub->add_option("-n", o->start, "start so many ranks")->check(CLI::Range(1, 100'000));
    sub->add_option("--launch", o->launch, "put before each rank's command; %r is the rank");
    sub->add_option("--new-id", o->new_id, "print an id that meets in this folder");
    sub->add_option("--id", o->id, "meet there");
    sub->add_option("--rank", o->rank, "of this host");
    sub->add_option("--ranks", o->ranks, "that meet")->check(CLI::Range(1, 100'000));
    sub->add_option("--within", o->within, "seconds in which all have to come")
        ->check(CLI::Range(1, 86'400))
        ->capture_default_str();
    sub->callback([o, &run_it] { run_it = [o] { return run(*o); }; });
}

}  // namespace weft::tools
