#!/usr/bin/env python3
"""docs/adding-an-algorithm.md is true: its code, where it says, compiles; two files are touched."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def insert_before(text, mark, addition):
    assert text.count(mark) == 1, f"builtin.cpp has not exactly one {mark!r}"
    return text.replace(mark, addition + mark)


def main():
    page = (ROOT / "docs/adding-an-algorithm.md").read_text()
    name = re.search(r"`collectives/algorithms/(\w+/\w+\.cpp)`", page).group(1)
    source, declaration, row = re.findall(r"```cpp\n(.*?)```", page, re.S)
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder)
        for room in ("base", "topology", "collectives"):
            shutil.copytree(ROOT / room, tree / room)
        new = tree / "collectives/algorithms" / name
        rows = tree / "collectives/algorithms/builtin.cpp"
        new.write_text(source)
        text = insert_before(rows.read_text(), "\nnamespace {\n", "\n" + declaration)
        rows.write_text(insert_before(text, "    return row.take();\n", row))
        for path in (new, rows):
            subprocess.run([os.environ.get("CXX", "c++"), "-std=c++20", "-Wall", "-Wextra",
                            "-Werror", "-Wno-missing-field-initializers", "-fsyntax-only", "-I",
                            tree, path], check=True)
        if "--apply" in sys.argv:  # writes the example into this tree, to try it
            for path in (new, rows):
                shutil.copy(path, ROOT / path.relative_to(tree))
    print("the example compiles")
    return 0


if __name__ == "__main__":
    sys.exit(main())
