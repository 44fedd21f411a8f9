#!/usr/bin/env python3
"""A log of nccl-tests becomes a machine's figures, and those a time: a user's way."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
WEFT = (ROOT / os.environ.get("WEFT_BUILD_DIR", "build/release") / "tools/weft").resolve()
MIB = 1 << 20
# 8x H200, one host, all-reduce: bus bandwidth in GB/s from 64 KiB up (AZG).
CURVE = [3.72, 7.39, 14.75, 29.38, 52.96, 88.78, 138.44, 181.94, 240.41, 300.91, 368.11, 412.45,
         432.24, 442.72, 467.58, 472.57, 477.41, 479.98]
WRONG = 13  # this row, 512 MiB, takes 20 % longer in the second log
COLUMNS = "     time   algbw   busbw #wrong" * 2
HEAD = """# nThread 1 nGpus 8 minBytes 65536 maxBytes 8589934592 step: 2(factor) iters: 20
# Using devices
{devices}
NCCL version 2.20.5+cuda12.4
#       size         count      type   redop    root{columns}
#        (B)    (elements)                               (us)  (GB/s)  (GB/s)
"""
faults = []


def expect(what, holds):
    if not holds:
        faults.append(what)


def log(path, wrong=None):
    devices = "\n".join(f"#  Rank  {r} Group  0 Pid  11 on node-a device  {r} [0x0f] NVIDIA H200"
                        for r in range(8))
    rows = []
    for i, busbw in enumerate(CURVE):
        size = 65536 << i
        micros = size * 1.75 / busbw / 1e3 * (1.2 if i == wrong else 1)
        cells = f"{micros:8.2f} {size / micros / 1e3:7.2f} {size * 1.75 / micros / 1e3:7.2f}   0"
        rows.append(f"{size:12} {size // 4:12} float sum -1 {cells} {cells}")
    path.write_text(HEAD.format(devices=devices, columns=COLUMNS) + "\n".join(rows) +
                    "\n# Out of bounds values : 0 OK\n")


def weft(folder, *words, code=0):
    done = subprocess.run([str(WEFT), *words], cwd=folder, capture_output=True, text=True,
                          check=False)
    expect(f"{words}: exit {done.returncode}, not {code}: {done.stderr}", done.returncode == code)
    return done.stdout + done.stderr


def simulated_us(folder, size, machine):
    out = weft(folder, "sim", "allreduce", "--size", f"{size // MIB}MiB", "--gpus", "8", "--fabric",
               "hosts:template=dgx-h200", "--library", "nccl-2.18", "--machine", machine, "--json")
    return json.loads(out)["step_time_ps"] / 1e6


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        log(folder / "ar.log")
        flags = ["--collective", "allreduce", "--host", "dgx-h200", "--as", "mine"]
        text = weft(folder, "calibrate", "ar.log", *flags)
        expect("no error of the curve", "all: median" in text)
        expect("no remainder", "remainder: of" in text)
        expect("no rows held out", "the 9 rows between: median" in text)
        expect("a sound row is called apart", "row apart" not in text)
        for i in (7, 10, 15):
            size = 65536 << i
            measured = size * 1.75 / CURVE[i] / 1e3
            found = simulated_us(folder, size, "mine.yaml")
            expect(f"{size // MIB} MiB: {found} us, measured {measured}",
                   abs(found / measured - 1) < 0.005)
        bare = weft(folder, "calibrate", "ar.log", "--no-remainder", *flags[:-1], "bare")
        expect("a remainder that was not wanted", "with the remainder" not in bare and
               "remainder" not in (folder / "bare.yaml").read_text())
        found = simulated_us(folder, 64 * MIB, "bare.yaml")
        measured = 64 * MIB * 1.75 / CURVE[10] / 1e3
        expect(f"64 MiB by the figures alone: {found} us, measured {measured}",
               abs(found / measured - 1) < 0.1)
        far = weft(folder, "sim", "allreduce", "--size", "64MiB", "--gpus", "32", "--fabric",
                   "hosts:template=dgx-h200,hosts=4", "--library", "nccl-2.18", "--machine",
                   "mine.yaml")
        expect("four hosts are not called extrapolated", "extrapolated" in far)
        expect("a remainder on four hosts", "remainder of machine mine: not applied" in far)
        log(folder / "wrong.log", WRONG)
        text = weft(folder, "calibrate", "wrong.log", *flags[:-1], "other")
        expect("a row 20 % off is not named", "512 MiB" in text.split("row apart", 1)[-1])
        (folder / "no.log").write_text("hello\n")
        text = weft(folder, "calibrate", "no.log", "--as", "third", code=2)
        expect("what a log may be is not said in one line", text.count("\n") == 1 and "OSU" in text)
        expect("something was written", not (folder / "third.yaml").exists())
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
