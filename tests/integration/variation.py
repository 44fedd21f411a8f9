#!/usr/bin/env python3
"""Step times of 100 seeds of stragglers, and compute slowed by communication, as users see them."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
WEFT = (ROOT / os.environ.get("WEFT_BUILD_DIR", "build/release") / "tools/weft").resolve()
# A GEMM beside an all-gather that outlasts it, as fully sharded data parallelism has it.
GEMM = """workload: gemm
world: 8
groups: {DP: {size: 8}}
stages:
  - ops:
      - {collective: allgather, group: DP, size: 2GiB, label: weights, async: true}
      - {compute: 1ms, label: gemm}
"""
JITTER = "noise=1%,stragglers=0.5%:15%"
faults = []


def replay(trace, out, *more):
    command = [WEFT, "replay", trace, "--out", out, *more]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{trace} {more}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout, (out / "result.json").read_bytes(), (out / "report.html").read_text()


def expect(what, holds):
    if not holds:
        faults.append(what)


def adds_up(split):
    return split["waiting_ps"] + split["transferring_ps"] == split["in_collectives_ps"]


def check_seeds(folder):
    job = ROOT / "traces/samples/two_stages.yaml"
    flags = ["--jitter", JITTER, "--seeds", "100"]
    text, one, page = replay(job, folder / "one", *flags, "-j", "1")
    _, two, _ = replay(job, folder / "two", *flags, "-j", "2")
    expect("other bytes with two threads", one == two)
    result = json.loads(one)
    runs = result["seeds"]
    expect("not the seeds 1 to 100", [r["seed"] for r in runs] == list(range(1, 101)))
    expect("a split does not add up", all(adds_up(r["typical_rank"]) for r in runs))
    expect("a rank's split does not add up", all(adds_up(r) for r in result["rank_splits"]))
    steps = sorted(r["step_time_ps"] for r in runs)
    for name, index in (("min", 0), ("p50", 49), ("p90", 89), ("p99", 98), ("max", 99)):
        found = result["seed_percentiles"][name]["step_time_ps"]
        expect(f"{name} is {found}, {steps[index]} expected", found == steps[index])
        expect(f"{name} is not on the first screen", f"\n  {name} " in text)
    expect("the result is not the median run", result["step_time_ps"] == steps[49])
    expect("stragglers do not show", steps[98] > 1.05 * steps[9])
    expect("the page has no distribution", "Step times of 100 seeds" in page)
    seed = result["seed_percentiles"]["p99"]["seed"]
    _, alone, _ = replay(job, folder / "alone", "--jitter", JITTER, "--seed", str(seed))
    expect("the seed of p99 alone is another step",
           json.loads(alone)["step_time_ps"] == steps[98])
    _, all_ranks, _ = replay(job, folder / "all", "--jitter", JITTER, "--seed", str(seed),
                             "--no-symmetry")
    expect("other bytes without symmetry", alone == all_ranks)


def check_overlap(folder):
    job = folder / "gemm.yaml"
    job.write_text(GEMM)
    text, plain, _ = replay(job, folder / "ideal", "--fabric", "hosts:hosts=1")
    expect("ideal compute is slowed", "slowed by communication" not in text)
    expect("ideal compute is not 1 ms", json.loads(plain)["compute_ps"] == 10**9)
    text, slow, page = replay(job, folder / "sm", "--fabric", "hosts:hosts=1", "--overlap", "sm")
    compute = json.loads(slow)["compute_ps"]
    peak = 80 * 10**9 / compute
    expect(f"80 % of peak becomes {peak:.2f} %, not about 47 %", abs(peak - 47) < 0.1)
    for place, words in (("first screen", text), ("page", page)):
        expect(f"the {place} does not show it", "compute slowed by communication" in words)


with tempfile.TemporaryDirectory() as temporary:
    check_seeds(pathlib.Path(temporary))
    check_overlap(pathlib.Path(temporary))
print("\n".join(faults) or "100 seeds and an overlapped GEMM: as stated")
sys.exit(1 if faults else 0)
