#!/usr/bin/env python3
"""The same Scenario gives the same bytes: again, on other processors, and without the symmetry.

Every command runs twice as it is, then as on processors that lack what glibc picks its mathematics
by. What is compared is stdout and result.json; run.json holds the host and the wall time. Commands
of SYMMETRIC run once more with --no-symmetry, which simulates every rank by itself.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
WEFT = (ROOT / os.environ.get("WEFT_BUILD_DIR", "build/release") / "tools/weft").resolve()

PROCESSORS = ["-AVX2,-FMA,-FMA4,-AVX512F", "-SSE4_1,-SSE4_2,-AVX,-AVX2,-FMA"]

SYMMETRIC = [
    "sim allreduce --size 64MiB --gpus 64 --fabric hpn7 --json",
    "sim allreduce --size 64MiB --gpus 64 --fabric dcn+ --library nccl-static --json",
    "sim alltoall --size 8MiB --gpus 64 --fabric hpn7 --json",
]
SAMPLE = "traces/samples/gpt_7b_64gpu.txt"
SYMMETRIC += [f"replay {SAMPLE} --fabric hpn7 --out {{out}} --json"]
COMMANDS = SYMMETRIC + [
    "fabric hpn7 --json",
    "route --fabric hpn7 --from 0 --to 1024 --qps 8 --json",
    "flows --generate websearch:load=50%,time=100us,incast=8 --fabric leaf-spine --json",
    "flows traces/samples/victims.txt --fabric leaf-spine:leaves=4,spines=4,hosts_per_leaf=8 "
    "--cc dcqcn --buffer 2MiB --out {out}",
    "sim alltoall --size 4MiB --gpus 16 --network packet --out {out}",
    "flows traces/samples/triggers.cm --fabric traces/samples/fat_16.topo --spread entropy "
    "--out {out}",
]


def run(command, processor=""):
    """What the command printed and the result.json that it wrote."""
    with tempfile.TemporaryDirectory() as name:
        out = pathlib.Path(name) / "out"
        env = {**os.environ, "GLIBC_TUNABLES": f"glibc.cpu.hwcaps={processor}"}
        words = command.replace("{out}", str(out)).split()
        done = subprocess.run([WEFT, *words], cwd=ROOT, env=env,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            sys.exit(f"weft {command}: exit {done.returncode}: {done.stderr.strip()}")
        result = out / "result.json"
        text = done.stdout.replace(str(out), "OUT")
        return text + (result.read_text() if result.exists() else "")


def main():
    bad = []
    for command in COMMANDS:
        first = run(command)
        if not first:
            bad.append(f"weft {command}: printed nothing")
        for what, again in [("again", run(command))] + [(p, run(command, p)) for p in PROCESSORS]:
            if again != first:
                bad.append(f"weft {command}: other bytes ({what})")
        if command in SYMMETRIC and run(command + " --no-symmetry") != first:
            bad.append(f"weft {command}: other bytes with --no-symmetry")
    print("\n".join(bad + [f"{len(COMMANDS)} commands, {len(bad)} differences"]))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
