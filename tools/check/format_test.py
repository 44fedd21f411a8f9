#!/usr/bin/env python3
"""The format check names a file that is not formatted and no other."""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import format as checked
import tree


class Format(unittest.TestCase):
    def test_names_the_file_that_differs(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            subprocess.run(["git", "init", "-q"], cwd=root, check=True)
            shutil.copy(tree.ROOT / ".clang-format", root)
            (root / "good.cpp").write_text("int f();\n")
            (root / "bad.cpp").write_text("int   f( ){return 1;}\n")
            self.assertEqual([f.split(":")[0] for f in checked.faults(root)], ["bad.cpp"])


if __name__ == "__main__":
    if checked.formatter() is None:
        print("SKIPPED: clang-format is not installed")
        sys.exit(0)
    unittest.main()
