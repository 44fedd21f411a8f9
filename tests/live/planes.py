#!/usr/bin/env python3
"""A plane of a dual-plane fabric is cut, at random moments, while ranks all-reduce.

In silence: its bridges go down, every carrier stays up. With --event the ports that its NICs are
plugged into go down instead, and the hosts see their carriers go.

Four hosts, two rails, two planes, 250 Mb/s a NIC, network namespaces (fabric.sh). Counts hangs,
errors and wrong data (each must be 0), and measures the stall of a cut beyond the time that half
the fabric needs, the throughput on one plane, and how soon after healing both planes are used: the
end of the first operation at 90 % of the full bound. An operation lasts from the last rank's
beginning to the last rank's end.
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
FABRIC = crew.ROOT / "tools/live_validate/fabric.sh"
NICS = "r0p0,r1p0,r0p1,r1p1"
SETTLED = 1.0  # seconds after a cut, from when on one plane's throughput counts


def fabric(name, *words):
    subprocess.run([FABRIC, name, *map(str, words)], check=True)


def operations(team):
    """(begin, end) of each operation that all ranks have done."""
    of_rank = [[tuple(map(float, line.split()[2:])) for line in list(rank.lines)
                if line.startswith("op ")] for rank in team.ranks]
    return [(max(b for b, _ in times), max(e for _, e in times)) for times in zip(*of_rank)]


def carriers(name, plane, state):
    """The switch's side of every cable of the plane."""
    lines = "".join(f"link set h{h}r{r}p{plane} {state}\n" for h in range(HOSTS) for r in (0, 1))
    subprocess.run(["ip", "-n", f"{name}-sw", "-b", "-"], input=lines, text=True, check=True)


def cut_or_heal(name, plane, by_event, cut):
    if by_event:
        carriers(name, plane, "down" if cut else "up")
    else:
        fabric(name, "cut" if cut else "heal", plane)


def bound_seconds(size, planes):
    """What an all-reduce needs on the wire: 2 (n - 1) / n of the bytes out of each host's NICs.
    Of 9000 B on the wire, 8948 carry data (TCP with timestamps); Ethernet's 14 count in tbf."""
    return 2 * (HOSTS - 1) / HOSTS * size * 8 / (2 * planes * MBIT * 1e6) * 9014 / 8948


class Figures:
    def __init__(self):
        self.stalls, self.after, self.healing, self.full = [], [], [], []
        self.typical = None  # seconds of an operation without trouble
        self.hangs = self.errors = self.wrong = 0


def episode(name, team, size, random, figures, args):
    """Cut, wait, heal, wait. False: the ranks are not of use any more."""
    plane = random.randrange(2)
    time.sleep(random.uniform(0.2, 0.2 + 2 * bound_seconds(size, 2)))
    cut = time.monotonic()
    cut_or_heal(name, plane, args.event, True)
    dark = SETTLED + 2.5 * bound_seconds(size, 1)
    while time.monotonic() < cut + dark or not any(
            b > cut + SETTLED for b, e in operations(team)):
        if time.monotonic() > cut + dark + args.patience or any(
                r.said("failed") for r in team.ranks):
            return False
        time.sleep(0.05)
    healed = time.monotonic()
    cut_or_heal(name, plane, args.event, False)
    ops = operations(team)
    figures.after += [bound_seconds(size, 1) / (e - b) for b, e in ops
                      if b > cut + SETTLED and e < healed]
    for b, e in ops:
        if b <= cut <= e:
            # Fault-free: what was left of it at full rate, taken at the rate of one plane.
            rest = max(0.0, figures.typical - (cut - b)) * 2
            figures.stalls.append(max(0.0, e - cut - rest))
    while True:
        good = [e for b, e in operations(team)
                if b > healed and bound_seconds(size, 2) / (e - b) >= 0.9]
        if good:
            figures.healing.append(good[0] - healed)
            return True
        if time.monotonic() > healed + args.patience:
            figures.healing.append(float("inf"))
            return True
        if any(r.said("failed") for r in team.ranks):
            return False
        time.sleep(0.05)


def run(name, size, random, args):
    figures = Figures()
    done = 0
    while done < args.runs:
        options = ["--transport", "tcp", "--interfaces", NICS, "--host", "h%r", "--bytes", size,
                   "--allreduce-only", "--report", "--patience-ms", "10000"]
        with crew.Crew(HOSTS, *options,
                       prefix=lambda r: ["ip", "netns", "exec", f"{name}-{r}"]) as team:
            if not all(team.ready()):
                print("they did not join:\n" + team.story())
                return None
            while len(operations(team)) < 6 and not any(r.said("failed") for r in team.ranks):
                time.sleep(0.1)
            quiet = [e - b for b, e in operations(team)[2:]]
            figures.typical = statistics.median(quiet) if quiet else bound_seconds(size, 2)
            figures.full.append(bound_seconds(size, 2) / figures.typical)
            alive = True
            while alive and done < args.runs:
                alive = episode(name, team, size, random, figures, args)
                done += 1
                if done % 20 == 0:
                    print(f"{done} cuts, load {os.getloadavg()[0]:.1f}", flush=True)
                    report(size, figures)
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
                    cut_or_heal(name, p, args.event, False)
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
    parser.add_argument("--event", action="store_true", help="the hosts see their carriers go")
    args = parser.parse_args()
    if not crew.can_use_namespaces():
        crew.skip("network namespaces need root")
    random = crew.seeded(args)
    name = f"weft-{os.getpid()}"
    bad = False
    try:
        fabric(name, "up", HOSTS, MBIT)
        for size in (int(m) << 20 for m in args.mib.split(",")):
            figures = run(name, size, random, args)
            if not figures:
                return 1
            report(size, figures)
            bad |= bool(figures.hangs or figures.errors or figures.wrong)
    finally:
        fabric(name, "down")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
