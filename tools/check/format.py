#!/usr/bin/env python3
"""Every tracked source is as clang-format 14 writes it. With --fix, rewrites those that are not."""
import shutil
import subprocess
import sys

import tree


def formatter():
    return shutil.which("clang-format-14") or shutil.which("clang-format")


def faults(root=tree.ROOT):
    program = formatter()
    names = [str(f) for f in tree.sources(root)]
    out = subprocess.run([program, "--dry-run", *names], cwd=root, capture_output=True, text=True)
    said = [line for line in out.stderr.splitlines() if "-Wclang-format" in line]
    bad = sorted({line.split(":")[0] for line in said})
    return [f"{name}: not formatted, run: tools/dev format" for name in bad]


def main():
    if formatter() is None:
        print("SKIPPED: clang-format is not installed")
        return 0
    if "--fix" in sys.argv:
        names = map(str, tree.sources())
        return subprocess.run([formatter(), "-i", *names], cwd=tree.ROOT).returncode
    return tree.report("format", faults())


if __name__ == "__main__":
    sys.exit(main())
