#!/usr/bin/env python3
"""Discovery in network namespaces: what `weft discover` says of hosts whose network is known.

The dual-plane fabric (fabric.sh) and a pair of hosts with two subnets, a VLAN, a bridge of one
address on both, and a NIC without an address. The fabric file is one that `weft` reads, simulates
on and, as WEFT_FABRIC, runs on; one that does not fit is refused in one clear line.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import crew

FABRIC = crew.ROOT / "tools/live_validate/fabric.sh"
WEFT = str(crew.BUILD / "tools/weft")
FAULTS = []


def check(what, fine, seen=""):
    print(f"{what}: {'right' if fine else 'WRONG ' + str(seen)}")
    if not fine:
        FAULTS.append(what)


def weft(*words, env=None):
    done = subprocess.run([WEFT, *map(str, words)], capture_output=True, text=True, check=False,
                          timeout=120, env={**os.environ, **(env or {})})
    return done.returncode, done.stdout, done.stderr


def discover(name, hosts, *words):
    launch = f"ip netns exec {name}-%r env WEFT_HOST=host%r"
    return weft("discover", "-n", hosts, "--launch", launch, *words)


class DualPlane:
    def __init__(self, hosts):
        self.name, self.hosts = f"weft-disc-{os.getpid()}", hosts

    def __enter__(self):
        subprocess.run([FABRIC, self.name, "up", str(self.hosts), "1000"], check=True)
        return self

    def __exit__(self, *_):
        subprocess.run([FABRIC, self.name, "down"], check=False)


class Pair:
    """Two hosts: eth0 and eth1 in two subnets; eth2 without an address; a VLAN on eth0; a bridge of
    the same address on both."""

    def __init__(self):
        self.name = f"weft-pair-{os.getpid()}"

    def __enter__(self):
        hosts = [f"{self.name}-{i}" for i in range(2)]
        steps = [f"netns add {h}" for h in hosts]
        for nic in ("eth0", "eth1", "eth2"):
            steps.append(f"link add {nic} netns {hosts[0]} type veth peer name {nic} "
                         f"netns {hosts[1]}")
        for i, h in enumerate(hosts):
            steps += [f"-n {h} link set {nic} up" for nic in ("lo", "eth0", "eth1", "eth2")]
            steps += [f"-n {h} addr add 10.50.0.{i + 1}/24 dev eth0",
                      f"-n {h} addr add fd00:51::{i + 1}/64 dev eth1 nodad",
                      f"-n {h} link add docker0 type bridge",
                      f"-n {h} addr add 172.17.0.1/16 dev docker0",
                      f"-n {h} link set docker0 up"]
        for step in steps:
            subprocess.run(["ip", *step.split()], check=True)
        # Not every kernel has VLANs.
        self.vlan = all(subprocess.run(
            ["ip", "-n", h, "link", "add", "link", "eth0", "name", "eth0.7", "type", "vlan", "id",
             "7"], capture_output=True, check=False).returncode == 0 for h in hosts)
        for i, h in enumerate(hosts if self.vlan else []):
            subprocess.run(["ip", "-n", h, "addr", "add", f"10.77.0.{i + 1}/24", "dev", "eth0.7"],
                           check=True)
            subprocess.run(["ip", "-n", h, "link", "set", "eth0.7", "up"], check=True)
        return self

    def __exit__(self, *_):
        for i in range(2):
            subprocess.run(["ip", "netns", "del", f"{self.name}-{i}"], check=False)


def dual_plane(folder):
    file = folder / "lab.yaml"
    with DualPlane(3) as there:
        code, table, error = discover(there.name, 3, "-o", file, "--rate", "1Gbps")
        check("three hosts meet", code == 0 and table.count("host[") == 3, error)
        rows = re.findall(r"r(\d)p(\d) +(\d) +(\d) .*10\.(\d+)\.0\.0/24", table)
        check("rails, planes and subnets of twelve ports", len(rows) == 12 and
              all(r == rail and p == plane and int(net) == 40 + 2 * int(p) + int(r)
                  for r, p, rail, plane, net in rows), rows)
        text = file.read_text(encoding="utf-8")
        check("assumptions are said", "one switch a subnet" in text, text)
        code, said, error = weft("fabric", file, "--describe")
        check("the file is a fabric", code == 0 and "2 rails, 2 planes" in said and
              "6 NICs of 2 ports" in said, said + error)
        code, said, error = weft("sim", "allreduce", "--size", "16MiB", "--gpus", "3", "--fabric",
                                 file, "--endpoint", "ideal")
        check("collectives are simulated on it", code == 0, error)
        # Live on what the file says, and on a file that is too small.
        run = ["bench", "allreduce", "-n", "3", "--transport", "tcp", "--interfaces",
               "r0p0,r1p0,r0p1,r1p1", "-b", "64KiB", "-e", "64KiB", "--iters", "2", "--launch",
               f"ip netns exec {there.name}-%r env WEFT_HOST=host%r"]
        code, said, error = weft(*run, env={"WEFT_FABRIC": str(file)})
        check("ranks run on the file", code == 0, said + error)
        small = folder / "small.yaml"
        small.write_text(text.replace("count: 3, gpus", "count: 2, gpus"), encoding="utf-8")
        code, said, error = weft(*run, env={"WEFT_FABRIC": str(small)})
        check("a file of two hosts is refused", code != 0 and "at most 2, the hosts" in error,
              error)
        narrow = folder / "narrow.yaml"
        narrow.write_text("fabric: hosts\nparameters: {template: dgx-h100, hosts: 3}\n",
                          encoding="utf-8")
        code, said, error = weft(*run, env={"WEFT_FABRIC": str(narrow)})
        check("a file of other ports is refused", code != 0 and "r0p1 on rail 0, plane 1" in error,
              error)


def two_subnets(folder):
    file = folder / "pair.yaml"
    with Pair() as there:
        code, table, error = discover(there.name, 2, "-o", file)
        check("two hosts meet", code == 0, error)
        ports = re.findall(r"^ +(\S+) +(\d) +(\d) .* (\S+)$", table, re.M)
        check("two ports a host, a rail each", ports == [
            ("eth0", "0", "0", "10.50.0.0/24"), ("eth1", "1", "0", "fd00:51::/64")] * 2, ports)
        left = [("eth2", "no address"), ("docker0", "bridge"), ("lo", "loopback")]
        if there.vlan:
            left.append(("eth0.7", "VLAN"))
        else:
            print("  (this kernel has no VLANs)")
        check("the rest is left out, and why is said",
              all(f"{name} ({why})" in table for name, why in left), table)
        code, said, error = weft("fabric", file, "--describe")
        check("its file is a fabric", code == 0 and "2 rails, 1 plane" in said, said + error)
        # One host alone says what is on it.
        code, said, error = discover(there.name, 1, "--yaml", "--interfaces", "eth1:3:0")
        check("ports and rails by name", code == 0 and "rails: [3]" in said and "eth0" not in said,
              said + error)
        code, said, error = discover(there.name, 2, "--within", "1", "--interfaces", "eth9")
        check("a port that is not there", code != 0 and "eth9" in error, error)


def main():
    argparse.ArgumentParser(description=__doc__).parse_args()
    if not crew.can_use_namespaces():
        crew.skip("network namespaces need root and `ip`")
    with tempfile.TemporaryDirectory(prefix="weft-live-") as folder:
        dual_plane(pathlib.Path(folder))
        two_subnets(pathlib.Path(folder))
    return 1 if FAULTS else 0


if __name__ == "__main__":
    sys.exit(main())
