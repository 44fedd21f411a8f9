#!/usr/bin/env python3
"""A plane of a dual-plane fabric is cut in silence, at random moments, while ranks all-reduce.

Four hosts, two rails, two planes, 250 Mb/s a NIC, network namespaces (fabric.sh). Counts hangs,
errors and wrong data (each must be 0), and measures the stall of a cut beyond the time that half
the fabric needs, the throughput on one plane, and how soon after healing both planes are used.
"""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import time

import crew

HOSTS, MBIT = 4, 250
FABRIC = pathlib.Path(__file__).with_name("fabric.sh")
NICS = "r0p0,r1p0,r0p1,r1p1"
SETTLED = 1.0  # seconds after a cut, from when on one plane's throughput counts


def fabric(name, *words):
    subprocess.run([FABRIC, name, *map(str, words)], check=True)


def operations(rank):
    """(begin, end) of each operation so far."""
    return [tuple(map(float, line.split()[2:])) for line in list(rank.lines)
            if line.startswith("op ")]


def bound_seconds(size, planes):
    """What an all-reduce needs on the wire: 2 (n - 1) / n of the bytes out of each host's NICs.
    Of 9000 B on the wire, 8948 carry data (TCP with timestamps); Ethernet's 14 count in tbf."""
    return 2 * (HOSTS - 1) / HOSTS * size * 8 / (2 * planes * MBIT * 1e6) * 9014 / 8948


class Figures:
    def __init__(self):
        self.stalls, self.after, self.healing, self.full = [], [], [], []
        self.hangs = self.errors = self.wrong = 0


def episode(name, team, size, random, figures, patience):
    """Cut, wait, heal, wait. False: the ranks are not of use any more."""
    plane = random.randrange(2)
    time.sleep(random.uniform(0.2, 0.2 + 2 * bound_seconds(size, 2)))
    before = operations(team.ranks[0])[-8:]
    typical = statistics.median([e - b for b, e in before]) if before else bound_seconds(size, 2)
    cut = time.monotonic()
    fabric(name, "cut", plane)
    dark = 2.0 + 4 * bound_seconds(size, 1)
    until = cut + dark + patience
    while time.monotonic() < cut + dark or not any(
            b > cut + SETTLED for b, e in operations(team.ranks[0])):
        if time.monotonic() > until or any(r.said("failed") for r in team.ranks):
            return False
        time.sleep(0.05)
    healed = time.monotonic()
    fabric(name, "heal", plane)
    ops = operations(team.ranks[0])
    hit = [(b, e) for b, e in ops if b <= cut <= e]
    slow = [e - b for b, e in ops if b > cut + SETTLED and e < healed]
    if slow:
        figures.after.append(bound_seconds(size, 1) / statistics.median(slow))
        for b, e in hit:
            # Fault-free: what was left of it at full rate, taken at the rate of one plane.
            rest = max(0.0, typical - (cut - b)) * 2
            figures.stalls.append(max(0.0, e - cut - rest))
    figures.full.append(bound_seconds(size, 2) / typical)
    while True:
        good = [e for b, e in operations(team.ranks[0])
                if b > healed and bound_seconds(size, 2) / (e - b) >= 0.9]
        if good:
            figures.healing.append(good[0] - healed)
            return True
        if time.monotonic() > healed + 20 + patience:
            figures.healing.append(float("inf"))
            return True
        if any(r.said("failed") for r in team.ranks):
            return False
        time.sleep(0.05)


def run(name, size, runs, random, patience):
    figures = Figures()
    done = 0
    while done < runs:
        options = ["--transport", "tcp", "--interfaces", NICS, "--host", "h%r", "--bytes", size,
                   "--allreduce-only", "--report", "--patience-ms", "10000"]
        with crew.Crew(HOSTS, *options,
                       prefix=lambda r: ["ip", "netns", "exec", f"{name}-{r}"]) as team:
            if not all(team.ready()):
                print("they did not join:\n" + team.story())
                return None
            time.sleep(1.0 + 4 * bound_seconds(size, 2))
            alive = True
            while alive and done < runs:
                alive = episode(name, team, size, random, figures, patience)
                done += 1
            if alive:
                for r, line in enumerate(team.stop()):
                    if not line or line.split()[0] != "done":
                        figures.hangs += 1
                        print(f"MISS rank {r}: {line}")
                    else:
                        figures.wrong += int(line.split()[2])
            else:
                failed = any(r.said("failed") for r in team.ranks)
                figures.errors += failed
                figures.hangs += not failed
                print(f"MISS episode {done}:\n" + team.story(), flush=True)
                for p in (0, 1):
                    fabric(name, "heal", p)
    return figures


def report(size, f):
    p = crew.percentile
    print(f"{size >> 20} MiB: {f.hangs} hangs, {f.errors} errors, {f.wrong} wrong elements; "
          f"{len(f.stalls)} operations hit")
    print(f"  stall p50 {p(f.stalls, 0.5):.3f} s, p99 {p(f.stalls, 0.99):.3f} s; share of the bound"
          f": full {p(f.full, 0.5):.3f}, one plane {p(f.after, 0.5):.3f} (least "
          f"{min(f.after, default=0):.3f}); 90 % of full after healing: p50 "
          f"{p(f.healing, 0.5):.2f} s, p99 {p(f.healing, 0.99):.2f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2, help="cuts per size")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mib", default="16", help="sizes, such as 16,64")
    parser.add_argument("--patience", type=float, default=30.0)
    args = parser.parse_args()
    if not crew.can_use_namespaces():
        crew.skip("network namespaces need root")
    random = crew.seeded(args)
    name = f"weft-{os.getpid()}"
    bad = False
    try:
        fabric(name, "up", HOSTS, MBIT)
        for size in (int(m) << 20 for m in args.mib.split(",")):
            figures = run(name, size, args.runs, random, args.patience)
            if not figures:
                return 1
            report(size, figures)
            bad |= bool(figures.hangs or figures.errors or figures.wrong)
    finally:
        fabric(name, "down")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
