"""test_checks.py: every check accepts a good tree and names what is wrong in a bad one."""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent


class Checks(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.write("base/error.h", "#pragma once\n")
        self.write("models/model.cc", '#include "base/error.h"\n')

    def write(self, name, text):
        path = pathlib.Path(self.folder.name) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run_check(self, name):
        result = subprocess.run([sys.executable, "-B", HERE / f"check_{name}.py", self.folder.name],
                                capture_output=True, text=True)
        return result.returncode, result.stdout + result.stderr

    def assert_refused(self, name, *expected):
        self.assertEqual(self.run_check(name)[0], 1)
        for text in expected:
            self.assertIn(text, self.run_check(name)[1])

    def test_good_tree(self):
        for name in ("includes", "sizes", "text"):
            self.assertEqual(self.run_check(name)[0], 0, name)

    def test_empty_tree(self):
        shutil.rmtree(pathlib.Path(self.folder.name) / "base")
        shutil.rmtree(pathlib.Path(self.folder.name) / "models")
        for name in ("includes", "sizes", "text"):
            self.assert_refused(name, "nothing was checked")

    def test_build_folders_are_left_out(self):
        self.write("build/base/bad.h", '#include "harness/none.h"\n')
        self.write("elsewhere/CMakeCache.txt", "")
        self.write("elsewhere/base/bad.h", "x" * 40_000)
        for name in ("includes", "sizes", "text"):
            self.assertEqual(self.run_check(name)[0], 0, name)

    def test_arrows(self):
        self.write("tasks/task.h", "")
        self.write("tests/support.h", "")
        self.write("base/up.cc", '#include "models/model.cc"\n')
        self.write("models/side.cc", '\n#include "tasks/task.h"\n')
        self.write("datasets/side.cc", '#  include "models/model.cc"\n')
        self.write("tasks/test.cc", '#include "tests/support.h"\n')
        self.write("harness/none.cc", '#include "error.h"\n')
        self.assert_refused("includes", "base/up.cc:1", "models/side.cc:2", "datasets/side.cc:1", "tasks/test.cc:1",
                            "harness/none.cc:1", "5 findings")

    def test_arrows_that_are_allowed(self):
        self.write("tasks/task.h", '#include "models/model.cc"\n#include <vector>\n')
        self.write("harness/main.cc", '#include "tasks/task.h"\n')
        self.write("tests/harness/a_test.cc", '#include "harness/main.cc"\n#include "models/made.h"\n')
        self.write("models/CMakeLists.txt", "configure_file(made.h.in generated/models/made.h)\n")
        self.assertEqual(self.run_check("includes"), (0, "5 files checked, 0 findings\n"))

    def test_sizes(self):
        self.write("base/large.cc", "x" * 30_001)
        self.write("base/just.cc", "x" * 30_000)
        self.write("tasks/data.json", "x" * 60_000)
        self.assert_refused("sizes", "base/large.cc:1", "1 findings")

    def test_text(self):
        self.write("base/a.cc", '\n// x\nopen("/' + 'home/somebody/file");\n')
        self.write("base/b.cc", "// TO" + "DO: later\n")
        self.write("tasks/c.json", '{"url": "https://' + 'pypi' + '.org/simple"}\n')
        self.write("tasks/d.json", '{"text": "TO' + 'DO in a question, and and/or /' + 'homes"}\n')
        self.assert_refused("text", "base/a.cc:3", "base/b.cc:1", "tasks/c.json:1", "3 findings")

    @unittest.skipIf(shutil.which("clang-format") is None, "clang-format is not installed")
    def test_format(self):
        shutil.copy(HERE.parents[1] / ".clang-format", self.folder.name)
        self.write("base/a.cc", "int  A( ){return 1;}\n")
        self.assert_refused("format", "base/a.cc:1", "1 findings")
        self.write("base/a.cc", "int A() { return 1; }\n")
        self.assertEqual(self.run_check("format")[0], 0)


unittest.main()
