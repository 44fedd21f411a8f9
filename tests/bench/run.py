#!/usr/bin/env python3
"""tools/dev bench [BASE]: the benchmarks of this tree, and their ratio to the commit BASE.

Both trees are built here, with the preset bench, and run in turn, so that a noisy machine disturbs
both alike. A row is the median of all runs. A ratio above LIMIT fails, and so does a row that BASE
has and this tree has lost; a row that is new is shown without a ratio. Without BASE the rows of
speed.py follow, which have floors; `tools/dev bench speed` runs them alone.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys

import speed

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROUNDS, LIMIT = 5, 1.10


def build(tree):
    subprocess.run([tree / "tools/dev", "build", "bench"], check=True, stdout=subprocess.DEVNULL)
    return sorted((tree / "build/bench/tests/bench").glob("bench_*[!.]"))


def run(programs, times):
    """Adds one time in nanoseconds to each row."""
    for program in programs:
        if not os.access(program, os.X_OK) or program.is_dir():
            continue
        out = subprocess.run([program, "--benchmark_format=json", "--benchmark_min_time=0.1"],
                             check=True, capture_output=True, text=True).stdout
        for row in json.loads(out)["benchmarks"]:
            unit = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}[row["time_unit"]]
            name = f"{program.name.removeprefix('bench_')}/{row['name']}"
            times.setdefault(name, []).append(row["cpu_time"] * unit)


def checkout(base):
    tree = ROOT / "build/bench-base"
    if not tree.exists():
        subprocess.run(["git", "worktree", "add", "-q", "--detach", tree, base], cwd=ROOT,
                       check=True)
    subprocess.run(["git", "checkout", "-q", "--detach", base], cwd=tree, check=True)
    return tree


def human(ns):
    for unit, scale in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if ns >= scale:
            return f"{ns / scale:.3g} {unit}"
    return f"{ns:.3g} ns"


def main(base):
    here, there = build(ROOT), build(checkout(base)) if base else []
    new, old = {}, {}
    for _ in range(ROUNDS):
        run(here, new)
        run(there, old)
    bad = 0
    print(f"{'benchmark':44} {'time':>10} {'base':>10} {'ratio':>6}")
    for name in sorted({*new, *old}):
        now = statistics.median(new[name]) if name in new else None
        was = statistics.median(old[name]) if name in old else None
        ratio = now / was if now and was else None
        fault = (was and not now) or (ratio and ratio > LIMIT)
        bad += bool(fault)
        print(f"{name:44} {human(now) if now else 'lost':>10} {human(was) if was else '':>10} "
              f"{f'{ratio:.2f}' if ratio else '':>6}{'  FAIL' if fault else ''}")
    if not base:
        bad += speed.main()
    return 1 if bad else 0


if __name__ == "__main__":
    wanted = sys.argv[1] if len(sys.argv) > 1 else None
    sys.exit(speed.main() if wanted == "speed" else main(wanted))
