#!/usr/bin/env python3
"""`weft replay` of the samples: equal bytes twice and without symmetry; a report of one piece."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
WEFT = (ROOT / os.environ.get("WEFT_BUILD_DIR", "build/release") / "tools/weft").resolve()
SAMPLES = {  # the group-collectives that each holds, counted from its columns by hand
    "gpt_7b_64gpu.txt": 8 * (4 * (1 + 32 * 6) + 3 + 4 + 2),
    "moe_64gpu_pp2.txt": 16 * (8 * (1 + 8 * 3) + 7) + 8 * (8 * 8 * 4) + 8 * 2,
    "two_stages.yaml": 4 * 8 + 16 * 2,
}
faults = []


def replay(name, out, *more):
    command = [WEFT, "replay", ROOT / "traces/samples" / name, "--out", out, *more]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        faults.append(f"{name} {more}: exit {done.returncode}: {done.stderr.strip()}")
        return b"{}"
    return (out / "result.json").read_bytes()


def check(name, folder):
    first = replay(name, folder / "1")
    for out, more in (("2", []), ("3", ["--no-symmetry"])):
        if replay(name, folder / out, *more) != first:
            faults.append(f"{name}: other bytes with {more or 'the same command'}")
    fitted = json.loads(replay(name, folder / "4", "--machine", "h200"))
    result = json.loads(first)
    if [r["scenario"]["machine"] for r in (result, fitted)] != ["nccl-tuning", "h100"]:
        faults.append(f"{name}: the machine is not the default, or not the one named")
    band = json.loads(replay(name, folder / "5", "--band"))
    low, high = (band["bands"][0][side] for side in ("low_ps", "high_ps"))
    if not low < band["step_time_ps"] < high:
        faults.append(f"{name}: the band does not hold the step")
    if {**band, "bands": []} != result:
        faults.append(f"{name}: the band changes more than itself")
    if not any("extrapolated" in w and "(" in w for w in fitted["warnings"]):
        faults.append(f"{name}: more hosts than were fitted, and no word of it")
    if any("extrapolated" in w for w in result["warnings"]):
        faults.append(f"{name}: constants that nothing was fitted to are called extrapolated")
    if result["step_time_ps"] == fitted["step_time_ps"]:
        faults.append(f"{name}: another machine's figures change nothing")
    executed = sum(c["count"] for c in result["collectives"] if c["kind"] != "sendrecv")
    if executed != SAMPLES[name]:
        faults.append(f"{name}: {executed} group-collectives, {SAMPLES[name]} expected")
    if not result["lower_bound_ps"] <= result["step_time_ps"]:
        faults.append(f"{name}: the step beats its lower bound")
    page = (folder / "1/report.html").read_text()
    if "http" in page or not page.endswith("</html>\n"):
        faults.append(f"{name}: the page is not one self-contained piece")
    json.loads((folder / "1/timeline.json").read_text())
    if sorted(p.name for p in (folder / "1").iterdir()) != [
            "report.html", "result.json", "run.json", "timeline.json"]:
        faults.append(f"{name}: other files than the four")


with tempfile.TemporaryDirectory() as temporary:
    for sample in SAMPLES:
        check(sample, pathlib.Path(temporary) / sample)
print("\n".join(faults) or f"{len(SAMPLES)} samples replayed, three times each")
sys.exit(1 if faults else 0)
