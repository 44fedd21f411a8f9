#!/usr/bin/env python3
"""The tidy check finds each kind of fault in a small tree, and none in a good one."""
import pathlib
import subprocess
import tempfile
import unittest

import lengths
import tidy

GOOD = {
    "base/CMakeLists.txt": "weft_library(weft_base SOURCES a.cpp)\n",
    "base/a.hpp": "#pragma once\n// What it models.\n",
    "base/a.cpp": '#include "base/a.hpp"\n',
    "base/README.md": "# base\n",
}


def look(changes):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        subprocess.run(["git", "init", "-q"], cwd=root, check=True)
        for name, text in {**GOOD, **changes}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return tidy.faults(root, ["base"])


def function(lines, head="int f(int a)"):
    return head + " {\n" + "    g();\n" * (lines - 2) + "}\n"


class Tidy(unittest.TestCase):
    def finds(self, changes, words):
        found = look(changes)
        self.assertTrue(any(words in fault for fault in found), found)

    def test_two_types_of_one_name(self):
        first = "#pragma once\n// What.\nnamespace a {\nstruct B {};\n}  // namespace a\n"
        self.finds({"base/a.hpp": first, "base/b.hpp": first}, "a::B is defined in")
        other = first.replace("namespace a", "namespace b")
        found = look({"base/a.hpp": first, "base/b.hpp": other})
        self.assertFalse(any("is defined in" in fault for fault in found), found)

    def test_a_good_tree_has_no_fault(self):
        self.assertEqual(look({}), [])

    def test_lengths(self):
        self.finds({"base/a.cpp": '#include "base/a.hpp"\n// ' + "x" * 98 + "\n"}, "101 characters")
        self.finds({"base/a.cpp": "\n" * 801}, "801 lines")
        self.finds({"base/a.cpp": function(71)}, "f has 71 lines")

    def test_headers(self):
        self.finds({"base/a.hpp": "// What it models.\n"}, "#pragma once")
        self.finds({"base/a.hpp": "#pragma once\nint a;\n"}, "no opening comment")

    def test_words(self):
        self.finds({"base/a.cpp": "// TO" "DO: later\n"}, "number of an issue")
        self.finds({"base/a.cpp": "// FIX" "ME\n"}, "unfinished")
        self.finds({"base/README.md": "see /wo" "rk/x\n"}, "one machine")
        self.finds({"base/a.cpp": "using namespace std;\n"}, "whole namespace")

    def test_dead_files(self):
        self.finds({"base/b.cpp": ""}, "no CMakeLists.txt builds it")
        self.finds({"base/b.hpp": "#pragma once\n// What it models.\n"}, "nothing includes it")

    def test_a_plug_in_needs_a_row(self):
        plug = {"topology/fabrics/builtin.cpp": "add_ring();\n", "topology/fabrics/ring.cpp": "",
                "topology/CMakeLists.txt": "${CMAKE_CURRENT_SOURCE_DIR}/fabrics/*.cpp\n"}
        self.assertEqual(look(plug), [])
        self.finds({**plug, "topology/fabrics/torus.cpp": ""}, "no row in")

    def test_blobs(self):
        self.finds({"docs/big.svg": "x" * (tidy.BLOB_MAX + 1)}, "bytes, at most")

    def test_rooms_have_readmes(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
            self.assertIn("base: no README.md", tidy.faults(pathlib.Path(folder), ["base"]))


class Lengths(unittest.TestCase):
    def long(self, text):
        return [(name, length) for name, _, length, _ in lengths.long_functions(text)]

    def test_a_function_at_the_limit_passes(self):
        self.assertEqual(self.long(function(70)), [])

    def test_functions_in_namespaces_and_classes_are_seen(self):
        self.assertEqual(self.long("namespace a {\n" + function(71) + "}\n"), [("f", 71)])
        self.assertEqual(self.long("class A final {\n" + function(80) + "};\n"), [("f", 80)])

    def test_containers_and_tables_may_be_long(self):
        self.assertEqual(self.long("namespace a {\n" + "int x;\n" * 200 + "}\n"), [])
        self.assertEqual(self.long("const int t[] = {\n" + "1,\n" * 200 + "};\n"), [])

    def test_braces_in_strings_and_comments_do_not_count(self):
        body = 'int f(int a) {\n    s("}{"); // }\n' + "    g();\n" * 68 + "}\n"
        self.assertEqual(self.long(body), [("f", 71)])

    def test_a_test_case_may_be_longer(self):
        self.assertEqual(self.long(function(110, 'TEST_CASE("x", "[unit]")')), [])
        self.assertEqual(len(self.long(function(121, 'TEST_CASE("x", "[unit]")'))), 1)


if __name__ == "__main__":
    unittest.main()
