#!/usr/bin/env python3
"""What `weft bench` carries over the dual-plane fabric, in turns with raw TCP streams.

Four hosts, two rails, two planes (tools/live_validate/fabric.sh); the streams are as many as there
are NICs, one to the next host on each (weft-live-streams). Per size and round: the streams, then
all-reduces; bytes that a host has to send over time, against what the streams carried. With
--slow a NIC of host 0 gets a tenth of its rate: the bound is then what is left of the slowest host.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import crew

HOSTS, NICS = 4, ["r0p0", "r1p0", "r0p1", "r1p1"]
FABRIC = crew.ROOT / "tools/live_validate/fabric.sh"
STREAMS = crew.BUILD / "tests/live/weft-live-streams"
WEFT = crew.BUILD / "tools/weft"


def inside(name, host):
    return ["ip", "netns", "exec", f"{name}-{host}"]


def streams(name, seconds):
    """(bytes a second of the slowest host's NICs together, CPU seconds a GB)."""
    begin = time.monotonic() + 1.0
    processes = [subprocess.Popen([*inside(name, h), STREAMS, "--host", str(h), "--hosts",
                                   str(HOSTS), "--from", str(begin), "--seconds", str(seconds)],
                                  stdout=subprocess.PIPE, text=True) for h in range(HOSTS)]
    hosts, cpu = [], 0.0
    for p in processes:
        lines = [line.split() for line in p.communicate()[0].splitlines()]
        hosts.append(sum(int(w[2]) for w in lines if w[0] == "lane") / seconds)
        cpu += sum(float(w[1]) for w in lines if w[0] == "cpu")
    return min(hosts), cpu / (sum(hosts) * (seconds + 1) / 1e9)


def sent_bytes(name):
    """Bytes out of every host's NICs so far."""
    total = 0
    for h in range(HOSTS):
        for nic in NICS:
            out = subprocess.run([*inside(name, h), "cat", f"/sys/class/net/{nic}/statistics/"
                                  "tx_bytes"], capture_output=True, text=True, check=True)
            total += int(out.stdout)
    return total


def bench(name, size, iterations, collective="allreduce"):
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run([WEFT, "bench", collective, "-n", str(HOSTS), "--transport", "tcp",
                        "--interfaces", ",".join(NICS), "--launch",
                        f"ip netns exec {name}-%r env WEFT_HOST=host%r", "-b", f"{size}B", "-e",
                        f"{size}B", "--warmup", "2", "--iters", str(iterations), "--no-check",
                        "--json", out.name], check=True, stdout=subprocess.DEVNULL)
        return json.load(open(out.name, encoding="utf-8"))["rows"]


def shape(name, host, nic, mbit):
    """Both ends of a NIC's cable."""
    switch = f"h{host}{nic}"
    for ns, dev in ((f"{name}-{host}", nic), (f"{name}-sw", switch)):
        subprocess.run(["tc", "-n", ns, "qdisc", "replace", "dev", dev, "root", "tbf", "rate",
                        f"{mbit}mbit", "burst", str(mbit * 125 + 50000), "limit", "2000000"],
                       check=True)


def one_size(name, size, args):
    load = 2 * (HOSTS - 1) / HOSTS * size  # out of each host
    raw, ours, ratios, cpu, wire = [], [], [], [], []
    for _ in range(args.rounds):
        carried, stream_cpu = streams(name, args.seconds)
        before = sent_bytes(name)
        rows = bench(name, size, args.iterations)
        # Both placements, each with one to check the data by and two to warm up.
        operations = len(rows) * (args.iterations + 3)
        wire.append((sent_bytes(name) - before) / (HOSTS * load * operations))
        median = statistics.median(r["time_s_median"] for r in rows)
        raw.append(carried)
        ours.append(load / median)
        ratios.append(load / median / carried)
        cpu.append((rows[0]["cpu_s"] / rows[0]["iterations"] / (HOSTS * load / 1e9), stream_cpu))
    med = statistics.median
    print(f"{size >> 20} MiB: {med(ours) / 1e6:.1f} MB/s a host beside {med(raw) / 1e6:.1f} of raw "
          f"streams: {100 * med(ratios):.1f} % ({100 * min(ratios):.1f} .. "
          f"{100 * max(ratios):.1f}); bytes over the NICs {med(wire):.3f} of those needed; CPU "
          f"{med(c[0] for c in cpu):.2f} s a GB beside {med(c[1] for c in cpu):.2f}; load "
          f"{os.getloadavg()[0]:.1f}", flush=True)
    return med(ratios), med(wire)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", default="16,64")
    parser.add_argument("--mbit", type=int, default=250)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--slow", action="store_true", help="r0p0 of host 0 at a tenth")
    parser.add_argument("--least", type=float, default=0.0, help="share of the streams; else fail")
    args = parser.parse_args()
    if not crew.can_use_namespaces():
        crew.skip("network namespaces need root")
    name = f"weft-goodput-{os.getpid()}"
    bad = False
    try:
        subprocess.run([FABRIC, name, "up", str(HOSTS), str(args.mbit)], check=True)
        if args.slow:
            shape(name, 0, "r0p0", args.mbit // 10)
        for mib in args.mib.split(","):
            share, wire = one_size(name, int(mib) << 20, args)
            bad |= share < args.least or (args.least > 0 and wire > 1.05)
    finally:
        subprocess.run([FABRIC, name, "down"], check=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
