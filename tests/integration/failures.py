#!/usr/bin/env python3
"""Failures as users see them: the flags, the file, a pause storm and what ends it."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
WEFT = (ROOT / os.environ.get("WEFT_BUILD_DIR", "build/release") / "tools/weft").resolve()
HPN = "hpn7:segments=1,hosts_per_segment=2"
FLOWS = 14
VICTIM, BYSTANDER = 12, 13
MS = 10**9
faults = []


def run(*args, codes=(0,)):
    done = subprocess.run([WEFT, *args], capture_output=True, text=True, check=False)
    if done.returncode not in codes:
        sys.exit(f"{args}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def expect(what, holds):
    if not holds:
        faults.append(what)


def storm_matrix(folder):
    """Host 8 floods host 0; 9 sends to 1 over the same two trunks, 2 to 3 beside it all."""
    lines = [f"8->0 id {i + 1} start 0 size 4000000" for i in range(FLOWS - 2)]
    lines += [f"9->1 id {FLOWS - 1} start 300000000 size 4000000",
              f"2->3 id {FLOWS} start 300000000 size 4000000"]
    path = folder / "storm.cm"
    path.write_text(f"Nodes 64\nConnections {FLOWS}\n" + "\n".join(lines) + "\n")
    return path


def storm(folder, *more):
    out = folder / "out"
    run("flows", str(storm_matrix(folder)), "--fabric", "leaf-spine:spines=1", "--buffer", "2MiB",
        "--out", str(out), *more, codes=(0, 1))
    rows = [line.split(",") for line in (out / "flows.csv").read_text().splitlines()[1:]]
    return json.loads((out / "result.json").read_text()), [r[6] for r in rows]


def check_storm(folder):
    stuck = ["--fail", "stuck host[0].nic[0]"]
    result, done = storm(folder, *stuck)
    expect("a storm lets somebody through", [i for i, d in enumerate(done) if d] == [BYSTANDER])
    # From the stuck NIC up: the port of its leaf, the spine's, the other leaf's, the sender's NIC.
    expect(f"{result['totals']['pauses']} pauses told", result["totals"]["pauses"] >= 3)
    expect("a lossless fabric drops", result["totals"]["dropped_packets"] == 0)
    result, done = storm(folder, *stuck, "--watchdog", "drop:detection=1ms,restoration=1ms")
    expect("the watchdog saw no storm", result["totals"].get("storms") == 1)
    expect("the victim is not free", done[VICTIM] and int(done[VICTIM]) > 1 * MS)
    expect("who sends into it gets through", not any(done[:VICTIM]))
    expect("the watchdog dropped nothing", result["totals"]["dropped_packets"] > 0)
    result, done = storm(folder, *stuck, "--watchdog", "forward:detection=1ms,restoration=1ms")
    expect("forwarding drops", result["totals"]["dropped_packets"] == 0)
    expect("forwarding does not free all", all(done))
    result, done = storm(folder, "--fail", "stuck host[0].nic[0] for 3ms")
    expect("a storm that ends does not let all go on", all(done) and int(done[0]) > 3 * MS)
    expect("the result does not name the failure",
           result["failures"] == ["stuck host[0].nic[0] @0 until 3ms"])


def step(*more):
    return json.loads(run("sim", "alltoall", "--size", "16MiB", "--gpus", "16", "--fabric", HPN,
                          "--endpoint", "ideal", "--json", *more))


def check_sim(folder):
    file = folder / "failures.yaml"
    file.write_text("convergence: 20us\nfailures:\n  - down plane 1 @50us for 100us\n"
                    "  - degraded host[0].nic[0]:0 > tor[0] rate 100Gbps\n")
    flags = ["--fail", "plane:1@50us for 100us", "--convergence", "20us", "--fail",
             "degraded host[0].nic[0]:0 > tor[0] rate 100Gbps"]
    for network in ("flow", "packet"):
        healthy = step("--network", network)
        by_file = step("--network", network, "--failures", str(file))
        expect(f"{network}: failures cost nothing",
               by_file["step_time_ps"] > healthy["step_time_ps"])
        expect(f"{network}: the file and the flags differ",
               by_file == step("--network", network, *flags))
    lossy = step("--network", "packet", "--fail", "loss plane 1 share 0.1%", "--recovery",
                 "selective")
    expect("nothing is lost", lossy["packets"]["lost"] > 0)
    expect("what is lost is not sent again", lossy["packets"]["repeated"] > 0)


def check_replay(folder):
    job = ROOT / "traces/samples/two_stages.yaml"
    times = []
    for more in ([], ["--fail", "degraded plane 0 rate 10Gbps"]):
        run("replay", str(job), "--out", str(folder / "replay"), *more)
        times.append(json.loads((folder / "replay/result.json").read_text())["step_time_ps"])
    expect("a replay does not feel its failures", times[1] > times[0])


with tempfile.TemporaryDirectory() as temporary:
    check_storm(pathlib.Path(temporary))
    check_sim(pathlib.Path(temporary))
    check_replay(pathlib.Path(temporary))
print("\n".join(faults) or "failures cost what they should, on every command")
sys.exit(1 if faults else 0)
