"""The files of the tree, as the checks see them: what git tracks, or would if asked to."""
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def files(root=ROOT):
    """Paths relative to `root`, sorted; ignored and deleted files are left out."""
    out = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                         cwd=root, check=True, capture_output=True).stdout
    names = sorted({n for n in out.decode().split("\0") if n})
    return [pathlib.PurePosixPath(n) for n in names if (root / n).is_file()]


def sources(root=ROOT):
    return [f for f in files(root) if f.suffix in (".hpp", ".cpp")]


def read(path, root=ROOT):
    return (root / path).read_text(encoding="utf-8", errors="replace")


def report(kind, faults):
    """Prints each fault on a line; returns the exit status."""
    for fault in faults:
        print(fault)
    print(f"{kind}: {len(faults)} fault(s)")
    return 1 if faults else 0
