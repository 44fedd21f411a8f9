#!/usr/bin/env python3
"""The habits of the tree, as a test: lengths, headers, words, blobs, dead files, missing rows."""
import fnmatch
import re
import sys

import lengths
import tree

LINE_MAX, FILE_MAX, BLOB_MAX = 100, 800, 512 * 1024
TEXT = {".hpp", ".cpp", ".py", ".cmake", ".txt", ".md", ".yaml", ".yml", ".json", ".in", ""}
CODE = {".hpp", ".cpp", ".py", ".cmake"}

# Words that may not be committed, each with the reason. In pieces, so that this file passes.
WORDS = [
    (r"\b(FIX" r"ME|XX" r"X|HA" r"CK)\b", "unfinished work"),
    (r"\bTO" r"DO\b(?! ?\(#\d+\))", "write it with the number of an issue: (#12)"),
    (r"(^|[^\w./-])/(wo" r"rk|ro" r"ot|ho" r"me|far" r"m)/", "a path of one machine"),
    (r"(^|[^\w./-])/tm" r"p/[a-z]", "a path of one machine"),
    (r"\b(deb" r"ian|py" r"pi|python" r"hosted|np" r"m)[a-z]*\.(org|com|net)\b", "a package host"),
    (r"\bAI (ag" r"ent|assist" r"ant)s?\b|\bCE" r"O\b", "how the work is organised"),
    (r"^(<<<<<<<|>>>>>>>) ", "a merge conflict"),
]
# One word for one thing: what to write instead.
SYNONYMS = {"npu": "rank or GPU", "npus": "ranks or GPUs", "datagram": "packet"}
# Plug-in folders: the row of each file is in the builtin.cpp beside it.
PLUGINS = [r"topology/fabrics", r"collectives/algorithms/\w+", r"flow_control/(cc|lb)", r"tools"]
HELPERS = {"builtin.cpp", "main.cpp", "make.cpp"}
# Rooms, each with a README.md that says what belongs there and what does not.
ROOMS = ["base", "topology", "collectives", "collectives/plan", "flow_control", "traces",
         "simulator", "tools", "tests"]


def line_faults(path, text):
    for number, line in enumerate(text.splitlines(), 1):
        if path.suffix in CODE and len(line) > LINE_MAX and not re.search(r"https?://", line):
            yield f"{path}:{number}: {len(line)} characters, at most {LINE_MAX}"
        for pattern, why in WORDS:
            if re.search(pattern, line):
                yield f"{path}:{number}: {why}: {line.strip()[:80]}"


def source_faults(path, text):
    lines = text.splitlines()
    if len(lines) > FILE_MAX:
        yield f"{path}: {len(lines)} lines, at most {FILE_MAX}: two ideas in one file?"
    if path.suffix == ".hpp":
        if not lines or lines[0].strip() != "#pragma once":
            yield f"{path}: the first line is not #pragma once"
        if len(lines) < 2 or not lines[1].startswith("//"):
            yield f"{path}: no opening comment: what it models, what it leaves out, the source"
    for name, start, length, limit in lengths.long_functions(text):
        yield f"{path}:{start}: {name} has {length} lines, at most {limit}"
    test = path.name.endswith("_test.cpp") or path.parts[0] == "tests"
    if not test and re.search(r"^using namespace (?!.*literals)", text, re.M):
        yield f"{path}: names a whole namespace outside a function"
    for word in re.findall(r"[A-Za-z]+", text):
        if word.lower() in SYNONYMS and path.parts[0] not in ("traces", "tests"):
            yield f"{path}: {word}: write {SYNONYMS[word.lower()]}"


def built(path, lists, root):
    """Whether some CMakeLists.txt names or globs the source."""
    folder = path.parent
    for parent in [folder, *folder.parents]:
        text = lists.get(str(parent / "CMakeLists.txt"))
        if text is None:
            continue
        below = str(path.relative_to(parent))
        if re.search(r"(^|[\s/\"}])" + re.escape(below) + r"($|[\s)\"])", text, re.M):
            return True
        for pattern in re.findall(r"\$\{CMAKE_CURRENT_SOURCE_DIR\}/([\w./*]+\.cpp)", text):
            if fnmatch.fnmatch(below, pattern):
                return True
    return str(folder) in ("tests/support", "tests/consumer/project")


def dead_faults(all_files, root):
    lists = {str(f): tree.read(f, root) for f in all_files if f.name == "CMakeLists.txt"}
    included = set()
    for f in tree.sources(root):
        included.update(re.findall(r'#include [<"]([^>"]+)[>"]', tree.read(f, root)))
    for f in all_files:
        if f.suffix == ".cpp" and not built(f, lists, root):
            yield f"{f}: no CMakeLists.txt builds it"
        # What is installed as a header of its own is included by that name.
        alone = f.parent.name == "include" and f.name in included
        if f.suffix == ".hpp" and str(f) not in included and not alone:
            yield f"{f}: nothing includes it"


def row_faults(all_files, root):
    names = set(all_files)
    for f in all_files:
        helper = f.name in HELPERS or f.name.endswith("_test.cpp") or f.with_suffix(".hpp") in names
        if f.suffix != ".cpp" or helper or not any(re.fullmatch(p, str(f.parent)) for p in PLUGINS):
            continue
        rows = next((p / "builtin.cpp" for p in f.parents if p / "builtin.cpp" in names), None)
        if rows and f.stem.removeprefix("cmd_") not in tree.read(rows, root):
            yield f"{f}: no row in {rows} (a helper has a header of the same name)"


def namesake_faults(all_files, root):
    """Two types of one name: the linker keeps one destructor for both."""
    found = {}
    for f in all_files:
        if f.suffix not in (".hpp", ".cpp"):
            continue
        spaces = []
        for line in tree.read(f, root).splitlines():
            opened = re.match(r"namespace\s*([\w:]*)\s*{(?!.*})", line)
            if opened:
                spaces.append(opened.group(1) or str(f))
            elif re.match(r"}\s*// namespace", line) and spaces:
                spaces.pop()
            made = re.match(r"(?:struct|class)\s+(\w+)\s*(?:final\s*)?(?::[^:].*)?{", line)
            if not made:
                continue
            name = "::".join([*spaces, made.group(1)])
            first = found.setdefault(name, f)
            if first != f:
                yield f"{f}: {name} is defined in {first} too"


def faults(root=tree.ROOT, rooms=ROOMS):
    out = []
    all_files = tree.files(root)
    for path in all_files:
        size = (root / path).stat().st_size
        if size > BLOB_MAX:
            out.append(f"{path}: {size} bytes, at most {BLOB_MAX}")
        elif path.suffix in TEXT:
            text = tree.read(path, root)
            out += line_faults(path, text)
            if path.suffix in (".hpp", ".cpp"):
                out += source_faults(path, text)
    out += dead_faults(all_files, root)
    out += row_faults(all_files, root)
    out += namesake_faults(all_files, root)
    names = {str(f) for f in all_files}
    out += [f"{room}: no README.md" for room in rooms if f"{room}/README.md" not in names]
    return out


if __name__ == "__main__":
    sys.exit(tree.report("tidy", faults()))
