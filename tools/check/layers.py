#!/usr/bin/env python3
"""Holds the arrows between the rooms against the #include lines.

A file belongs to the room with the longest matching path. It may include its own room and those
that its row lists. Tests may include what they test, and more; tools include anything.
A third-party header has one home.
"""
import re
import sys

import tree

PLAN = ["base", "topology", "collectives/plan"]
ALGORITHMS = PLAN + ["flow_control", "collectives/algorithms", "collectives/select"]
TRACES = PLAN + ["traces"]

# room -> the rooms it may include, besides itself
ROOMS = {
    "base": [],
    "topology": ["base"],
    "flow_control": ["base"],
    "collectives/plan": PLAN,
    "collectives/algorithms": PLAN,
    "collectives/select": ALGORITHMS,
    "collectives/transport": ["base"],
    "collectives/runtime": ALGORITHMS + ["collectives/transport"],
    "collectives/api": ALGORITHMS + ["collectives/transport", "collectives/runtime"],
    "collectives/gpu": ALGORITHMS + ["collectives/transport", "collectives/runtime",
                                     "collectives/api"],
    "traces": PLAN,
    "simulator": ALGORITHMS + ["traces"],
    "tools": None,
    "tests": None,
}

# pattern of a third-party header -> the rooms (path patterns) that may include it
THIRD_PARTY = [
    (r"boost/", r"topology/"),
    (r"hwloc", r"topology/"),
    (r"(yaml-cpp/|nlohmann/|pugixml)", r"(traces/|tools/|tests/|.*/io/)"),
    (r"CLI/", r"(tools/|tests/live/)"),
    (r"catch2/", r"(tests/|.*_test\.cpp$)"),
    (r"benchmark/", r"tests/bench/"),
    (r"ns3/", r"simulator/ns3/"),
    (r"sodium", r"collectives/transport/net/"),
    (r"cuda\.h$", r"collectives/gpu/"),
    (r"infiniband/", r"collectives/transport/verbs/"),
    (r"linux/", r"collectives/transport/"),
    (r"(mpi\.h|gloo/)", r"(tools/peers/|tests/live/|collectives/transport/mpi/module\.cpp)"),
    (r"(fmt/|sys/|arpa/|net/|netinet/|netpacket/|\w+\.h$)", r""),  # fmt and the system: anywhere
]

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def room_of(path):
    owners = [r for r in ROOMS if str(path).startswith(r + "/")]
    return max(owners, key=len, default=None)


def own_fault(path, target):
    """Why `path` may not include the project's own header `target`, or None."""
    room, other = room_of(path), room_of(target)
    if other is None:
        return f'includes "{target}", which is in no room: write the path from the project root'
    if path.name.endswith("_test.cpp") and other != "tools":
        return None
    if ROOMS[room] is None or other == room or other in ROOMS[room]:
        return None
    allowed = ", ".join(ROOMS[room]) or "nothing"
    return f'{room} may not include {other} ("{target}"); it may include: {allowed}'


def system_fault(path, header):
    if re.fullmatch(r"[a-z0-9_]+", header):  # the standard library
        return None
    for pattern, homes in THIRD_PARTY:
        if re.match(pattern, header):
            at_home = re.match(homes, str(path))
            return None if at_home else f"<{header}> does not belong here, its home is {homes}"
    return f"<{header}> has no home yet: give it one in tools/check/layers.py"


def faults(root=tree.ROOT):
    out = []
    for path in tree.sources(root):
        if room_of(path) is None or str(path).startswith("tests/consumer/"):
            continue
        for mark, target in INCLUDE.findall(tree.read(path, root)):
            fault = own_fault(path, target) if mark == '"' else system_fault(path, target)
            if fault:
                out.append(f"{path}: {fault}")
    return out


if __name__ == "__main__":
    sys.exit(tree.report("layers", faults()))
