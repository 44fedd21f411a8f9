#!/usr/bin/env python3
"""README.md is true: what it shows of `tools/dev demo` is what this build prints, line by line.

Every line of the block under "The first ends with:" but one of dots must be printed, in order. The
commands themselves are run by .ci/run.
"""
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = (ROOT / os.environ.get("WEFT_BUILD_DIR", "build/release") / "tools").resolve()


def demo_output():
    """What the demo's own command line prints, its folder replaced."""
    script = (ROOT / "tools/dev").read_text()
    sample = re.search(r"^sample=(\S+)$", script, re.M).group(1)
    line = re.search(r"^    build/release/tools/(weft replay .*)$", script, re.M).group(1)
    words = shlex.split(line.replace("$sample", sample))
    with tempfile.TemporaryDirectory() as out:
        words = [str(TOOLS / "weft")] + [out if w == "weft-out/demo" else w for w in words[1:]]
        done = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True)
        return done.stdout.replace(out, "weft-out/demo").splitlines()


def main():
    page = (ROOT / "README.md").read_text()
    shown = re.search(r"The first ends with:\n\n```\n(.*?)```", page, re.S).group(1).splitlines()
    printed = iter(demo_output())
    for line in shown:
        if line.strip() != "..." and line.rstrip() not in (p.rstrip() for p in printed):
            print(f"README.md shows a line that the demo does not print there:\n{line}")
            return 1
    linked = re.findall(r"\]\(([^)#:]+)\)", page)
    missing = [name for name in linked if not (ROOT / name).exists()]
    for name in missing:
        print(f"README.md links to {name}, which is not there")
    return 1 if missing or not shown else 0


if __name__ == "__main__":
    sys.exit(main())
