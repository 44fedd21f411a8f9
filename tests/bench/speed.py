#!/usr/bin/env python3
"""tools/dev bench speed: what the packet engine costs, row by row, and its floors.

Each row is a process of its own (speed.cpp), so its peak of memory is its own too, three times in
turn; the one with the least CPU time counts. Rates are per CPU second of its one thread, setting
up routes and connections included, building the fabric not. At the end: how many times faster the
same UDP work is here than on ns-3's own devices (where ns-3 is installed), and instructions per hop
by callgrind (where valgrind is), from the difference of two sizes, so that setting up does not
count.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "build/bench/tests/bench/speed"
ROUNDS = 3
# row -> floors: all-hops a CPU second in millions, peak of memory in MB
FLOORS = {
    "1024-ecmp-pfc": (3, 100),
    "1024-spray-trim": (3, 100),
    "8192-ecmp-pfc": (1.5, 600),
    "8192-spray-trim": (1.5, 600),
    "stress-pfc-incast": (1.5, None),
}
RATIO_FLOOR = 30  # ours over ns-3's own UDP stack, hops a CPU second
# callgrind: row -> two sizes in MiB
INSTRUCTIONS = {
    "1024-ecmp-pfc": (0.125, 0.25),
    "1024-spray-trim": (0.125, 0.25),
    "stress-pfc-incast": (0.125, 0.25),
    "udp-64": (0.5, 1),
    "udp-64-on-ns3": (0.125, 0.25),
    "udp-64-on-ns3-core": (0.125, 0.25),
}


def run(row, *more):
    out = subprocess.run([PROGRAM, row, *more], check=True, capture_output=True, text=True)
    return json.loads(out.stdout)


def rate(r, kind="all_hops"):
    return r[kind] / r["cpu_s"] / 1e6


def rows():
    names = subprocess.run([PROGRAM], check=True, capture_output=True, text=True).stdout.split()
    runs = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name in names:
            runs[name].append(run(name))
    return {name: min(found, key=lambda r: r["cpu_s"]) for name, found in runs.items()}


def table(best):
    bad = 0
    print(f"{'row':20} {'wall s':>7} {'CPU s':>7} {'M events':>9} {'M hops/s':>9} {'of data':>8} "
          f"{'simulated us':>13} {'peak MB':>8} {'pauses':>7} {'marked':>8} {'trimmed':>8}")
    for name, r in best.items():
        fastest, most = FLOORS.get(name, (None, None))
        fault = ((fastest and rate(r) < fastest) or (most and r["peak_mb"] > most) or
                 r["unfinished"])
        bad += bool(fault)
        print(f"{name:20} {r['wall_s']:7.2f} {r['cpu_s']:7.2f} {r['events'] / 1e6:9.2f} "
              f"{rate(r):9.2f} {rate(r, 'data_hops'):8.2f} {r['simulated_us']:13.1f} "
              f"{r['peak_mb']:8.1f} {r['pauses']:7} {r['marked']:8} {r['trimmed']:8}"
              f"{'  FAIL' if fault else ''}")
    return bad


def ratios(best):
    bad = 0
    for name, floor in (("udp-64-on-ns3", RATIO_FLOOR), ("udp-64-on-ns3-core", 0)):
        if name not in best:
            print(f"{name}: not here, no ratio")
            continue
        ratio = rate(best["udp-64"]) / rate(best[name])
        bad += ratio < floor
        print(f"udp-64 here is {ratio:.1f} times as fast as {name}"
              f"{'  FAIL' if ratio < floor else ''}")
    return bad


def counted(row, size):
    out = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                          PROGRAM, row, str(size)], check=True, capture_output=True, text=True)
    total = int(re.search(r"Collected : (\d+)", out.stderr).group(1))
    return total, json.loads(out.stdout)["all_hops"]


def instructions(names):
    if not shutil.which("valgrind"):
        print("no valgrind here (a package of its own): instructions per hop are not counted")
        return
    for name, sizes in INSTRUCTIONS.items():
        if name in names:
            (few, small), (many, large) = (counted(name, size) for size in sizes)
            print(f"{name:20} {(many - few) / (large - small):8.0f} instructions a hop")


def main():
    subprocess.run([ROOT / "tools/dev", "build", "bench", "speed"], check=True,
                   stdout=subprocess.DEVNULL)
    best = rows()
    load, cores = os.getloadavg()[1], os.cpu_count()
    print(f"load {load:.1f} on {cores} processors (above that others disturb)")
    bad = table(best) + ratios(best)
    instructions(best)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
