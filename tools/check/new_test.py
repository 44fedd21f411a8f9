#!/usr/bin/env python3
"""What `tools/dev new` writes compiles, in a copy of the folders it touches."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import new
import tree

SOURCE = tree.ROOT


class New(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(setattr, tree, "ROOT", SOURCE)
        tree.ROOT = pathlib.Path(folder.name)
        for name in ("base", "topology", "collectives", "tools"):
            shutil.copytree(SOURCE / name, tree.ROOT / name)
        shutil.copy(SOURCE / ".clang-format", tree.ROOT)

    def compiles(self, paths):
        for path in paths:
            subprocess.run([os.environ.get("CXX", "c++"), "-std=c++20", "-Wall", "-Wextra",
                            "-Werror", "-fsyntax-only", "-I", tree.ROOT, path], check=True)

    def test_a_fabric_is_two_files(self):
        paths = new.new_fabric("torus-3d")
        self.assertEqual([p.name for p in paths], ["torus_3d.cpp", "builtin.cpp"])
        self.compiles(paths)

    def test_an_algorithm_is_two_files(self):
        paths = new.new_algorithm("allreduce/halving-doubling")
        self.assertEqual([p.name for p in paths], ["halving_doubling.cpp", "builtin.cpp"])
        self.compiles(paths)

    def test_a_command_is_two_files(self):
        paths = new.new_command("ask")
        self.assertEqual([p.name for p in paths], ["cmd_ask.cpp", "builtin.cpp"])
        self.compiles(paths)

    def test_an_existing_file_is_left_alone(self):
        new.new_command("ask")
        with self.assertRaises(SystemExit):
            new.new_command("ask")


if __name__ == "__main__":
    unittest.main()
