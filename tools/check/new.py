#!/usr/bin/env python3
"""tools/dev new KIND NAME: the new file, and its row in the builtin.cpp of its folder."""
import re
import subprocess
import sys

import format as layout
import tree

FABRIC = '''// NAME: what it is, in a sentence, and the paper or document it follows (section).
//
// Leaves out: what a reader might expect and not find.
#include "topology/fabrics/fabrics.hpp"

namespace weft {

Fabric make_IDENT(const Parameters& p) {
    FabricBuilder b{"NAME"};
    b.parameters(p.resolved());
    const HostTemplate host = host_of(p);
    const int hosts = p.count("hosts", 1, 1 << 16);
    // Every NIC on one switch: replace this by the wiring that NAME has (see rail.cpp).
    const NodeId tor = b.add_node({.tier = 1, .plane = 0});
    for (int h = 0; h < hosts; ++h)
        for (const NodeId nic : add_host(b, host, {.host = h, .domain = h}))
            b.add_cable(nic, tor, LinkKind::kAccess, host.port_rate, host.port_latency);
    b.assume("The one switch has as many ports as it needs.");
    return b.build();
}

}  // namespace weft
'''

FABRIC_INFO = '''RegistryInfo IDENT() {
    return {"NAME", "What it is, in a sentence", "The paper or document, with its section",
            with_host(kDgxH100, {{"hosts", "", "16", "hosts, 8 GPUs each"}})};
}

'''

ALGORITHM = '''// COLLECTIVE by NAME: what it does, in a sentence.
// Steps, bytes sent per rank; paper and section.
#include "collectives/algorithms/ring_order.hpp"

namespace weft::algorithms {

PlanTemplate IDENT(const GroupShape& shape, const AlgorithmParams& params) {
    PlanTemplate p = blank("COLLECTIVE/NAME", Collective::KIND, shape, params,
                           params.channels > 0 ? params.channels : 1, 1);
    Stage s;
    s.cells.size = static_cast<std::uint32_t>(shape.n);
    s.pattern = Ring{};  // the pattern, and which chunk moves at which step: collectives/plan
    for (Channel& c : p.channels) c.stages = {s};
    return p;
}

}  // namespace weft::algorithms
'''

COLLECTIVES = {"allreduce": "kAllReduce", "allgather": "kAllGather", "alltoall": "kAllToAll",
               "reducescatter": "kReduceScatter", "broadcast": "kBroadcast",
               "sendrecv": "kSendRecv", "reduce": "kReduce",
               "gather": "kGather", "scatter": "kScatter"}

COMMAND = '''// `weft NAME`: what it answers, in a sentence.
#include <fmt/format.h>

#include <memory>
#include <string>

#include "tools/commands.hpp"

namespace weft::tools {
namespace {

struct Options {
    std::string what;
};

int run(const Options& options) {
    fmt::print("{}\\n", options.what);
    return 0;
}

}  // namespace

void add_IDENT(CLI::App& app, std::function<int()>& body) {
    auto options = std::make_shared<Options>();
    CLI::App* sub = app.add_subcommand("NAME", "What it answers, in a sentence");
    sub->add_option("what", options->what, "What to print")->required();
    sub->callback([options, &body] { body = [options] { return run(*options); }; });
}

}  // namespace weft::tools
'''


def insert_before(path, pattern, text):
    """Puts `text` before the last match of `pattern`; says so when the file has another shape."""
    old = path.read_text()
    places = list(re.finditer(pattern, old, re.M))
    if not places:
        sys.exit(f"{path.name} has no line like {pattern!r}: write the row by hand")
    at = places[-1].start()
    path.write_text(old[:at] + text + old[at:])


def write_new(path, text, name):
    if path.exists():
        sys.exit(f"{path.relative_to(tree.ROOT)} exists already")
    path.write_text(text.replace("NAME", name).replace("IDENT", ident(name)))


def ident(name):
    return name.replace("-", "_")


def new_fabric(name):
    folder = tree.ROOT / "topology/fabrics"
    write_new(folder / f"{ident(name)}.cpp", FABRIC, name)
    rows, i = folder / "builtin.cpp", ident(name)
    info = FABRIC_INFO.replace("NAME", name).replace("IDENT", i)
    insert_before(rows, r"^FabricRegistry make_registry", info)
    insert_before(rows, r"^    return r;$", f"    r.add({i}(), make_{i});\n")
    insert_before(rows, r"^\nnamespace {$", f"Fabric make_{i}(const Parameters& p);\n")
    return [folder / f"{i}.cpp", rows]


def new_algorithm(name):
    collective, _, way = name.partition("/")
    if collective not in COLLECTIVES or not way:
        sys.exit(f"{name!r}: expected COLLECTIVE/NAME, for example allreduce/halving; "
                 f"collectives: {', '.join(COLLECTIVES)}")
    folder, i = tree.ROOT / "collectives/algorithms", f"{ident(way)}_{collective}"
    path, rows = folder / collective / f"{ident(way)}.cpp", folder / "builtin.cpp"
    kind = COLLECTIVES[collective]
    path.parent.mkdir(exist_ok=True)
    text = ALGORITHM.replace("COLLECTIVE", collective).replace("IDENT", i).replace("KIND", kind)
    write_new(path, text, way)
    insert_before(rows, r"^}  // namespace algorithms",
                  f"PlanTemplate {i}(const GroupShape&, const AlgorithmParams&);\n")
    insert_before(rows, r"^    return row\.take\(\);$",
                  f'    row("{name}", "What it does, in a sentence.", "Paper, section",\n'
                  f'        C::{kind}, "steps", "bytes", "time", a::{i});\n')
    return [path, rows]


def new_command(name):
    path, rows = tree.ROOT / f"tools/cmd_{ident(name)}.cpp", tree.ROOT / "tools/builtin.cpp"
    write_new(path, COMMAND, name)
    insert_before(rows, r"^const std::vector<AddCommand>& commands",
                  f"void add_{ident(name)}(CLI::App& app, std::function<int()>& run);\n")
    insert_before(rows, r"\s*};\n    return rows;", f"\n        add_{ident(name)},")
    return [path, rows]


KINDS = {"fabric": new_fabric, "algorithm": new_algorithm, "command": new_command}


def main(arguments):
    if len(arguments) != 2 or arguments[0] not in KINDS:
        sys.exit(f"usage: tools/dev new {'|'.join(KINDS)} NAME (an algorithm: COLLECTIVE/NAME)")
    kind, name = arguments
    if not re.fullmatch(r"[a-z][a-z0-9-]*(/[a-z][a-z0-9-]*)?", name):
        sys.exit(f"{name!r}: a name is lower-case letters, digits and hyphens, like torus-3d")
    paths = KINDS[kind](name)
    if layout.formatter():
        subprocess.run([layout.formatter(), "-i", *paths], check=True)
    for path in paths:
        print(f"wrote {path.relative_to(tree.ROOT)}")
    print("next: fill it in, then tools/dev test (the generic tests run on every row)")


if __name__ == "__main__":
    main(sys.argv[1:])
