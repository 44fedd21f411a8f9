#!/usr/bin/env python3
"""Recorded outputs. A file NAME.golden is a sequence of

    $ weft fabric hpn7 --describe
    what the command prints, stdout and stderr together
    ? 2                                  (only when the exit status is not 0)

Each command runs in bash at the root of the source tree, with this build's `weft` in PATH and $OUT
an empty folder; the path of $OUT is written as $OUT. Lines before the first $ are a comment.
`tools/dev golden` compares, `tools/dev golden --update` records.
"""
import difflib
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def run(command, out):
    tools = (ROOT / os.environ.get("WEFT_BUILD_DIR", "build/release") / "tools").resolve()
    env = {**os.environ, "OUT": out, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, env=env, text=True, errors="replace",
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    text = done.stdout.replace(out, "$OUT")
    if text and not text.endswith("\n"):
        text += "\n"
    return text + (f"? {done.returncode}\n" if done.returncode else "")


def record(text):
    """The same file with every command's output as it is now."""
    lines = text.splitlines(keepends=True)
    first = next((i for i, line in enumerate(lines) if line.startswith("$ ")), len(lines))
    with tempfile.TemporaryDirectory() as out:
        commands = [line[2:].rstrip("\n") for line in lines if line.startswith("$ ")]
        return "".join(lines[:first]) + "".join(f"$ {c}\n{run(c, out)}" for c in commands)


def main(arguments):
    update = "--update" in arguments
    names = [a for a in arguments if not a.startswith("--")]
    paths = [pathlib.Path(n) for n in names] or sorted(HERE.glob("*.golden"))
    differ = 0
    for path in paths:
        before = path.read_text()
        after = record(before)
        if before == after:
            continue
        differ += 1
        sys.stdout.writelines(difflib.unified_diff(
            before.splitlines(True), after.splitlines(True), path.name, "this build"))
        if update:
            path.write_text(after)
    print(f"{len(paths)} golden files, {differ} {'updated' if update else 'differ'}")
    return 0 if update or differ == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
