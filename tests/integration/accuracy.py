#!/usr/bin/env python3
"""`weft validate --report`: equal bytes twice, every published case on the page, small plots."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
WEFT = (ROOT / os.environ.get("WEFT_BUILD_DIR", "build/release") / "tools/weft").resolve()
MOST_BYTES = 60_000  # of a plot
faults = []


def published():
    """Ids of cases and decisions as their files have them; a list of collectives is one of each."""
    for path in sorted((ROOT / "traces/measurements/data").glob("*.yaml")):
        entries = re.split(r"\n  - ", path.read_text())[1:]
        for entry in entries:
            name = re.match(r"\{?id: ([^\s,]+)", entry).group(1)
            several = re.search(r"^\s+collective: \[([^]]+)\]", entry, re.MULTILINE)
            if several is None:
                yield name
            else:
                yield from (f"{name}-{c.strip()}" for c in several.group(1).split(","))


def check(folder, ids):
    page = (folder / "accuracy.md").read_text()
    for name in ids:
        if f"| {name} |" not in page:
            faults.append(f"{name} is not on the page")
    shown = re.findall(r"\(accuracy/([^)]+)\)", page)
    drawn = sorted(p.name for p in (folder / "accuracy").iterdir())
    if sorted(shown) != drawn or not drawn:
        faults.append(f"shown: {shown}, drawn: {drawn}")
    for name in drawn:
        text = (folder / "accuracy" / name).read_text()
        xml.etree.ElementTree.fromstring(text)
        if len(text) > MOST_BYTES:
            faults.append(f"{name}: {len(text)} bytes")


with tempfile.TemporaryDirectory() as temporary:
    folders = [pathlib.Path(temporary) / name for name in ("one", "two")]
    runs = [subprocess.Popen([WEFT, "validate", "--no-bands", "--report", f],
                             stdout=subprocess.DEVNULL)
            for f in folders]
    if any(run.wait() != 0 for run in runs):
        sys.exit("weft validate --report failed")
    files = [{p.relative_to(f): p.read_bytes() for p in sorted(f.rglob("*.*"))} for f in folders]
    if files[0] != files[1]:
        faults.append("two runs differ")
    known = list(published())
    check(folders[0], known)
print("\n".join(faults) or f"{len(known)} cases and decisions on the page, twice the same")
sys.exit(1 if faults else 0)
