"""clang_tidy.py checks again whatever could have changed the answer, and nothing else.

The stand-in for clang-tidy notes what it is run on and finds every "bad".
"""
import contextlib
import io
import json
import os
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import clang_tidy  # noqa: E402

STAND_IN = """#!/bin/sh
[ "$1" = --version ] && cat "$(dirname "$0")/version" && exit
for file; do :; done
echo "$file" >> "$(dirname "$0")/runs"
! grep -H bad "$file" "$(dirname "$file")/a.hpp"
"""


class ClangTidy(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name).resolve()
        for name in ("src", "tests", "build"):
            (self.root / name).mkdir()
        self.put("src/a.hpp", "int a();\n")
        self.put("src/a.cpp", '#include "a.hpp"\nint a() { return 1; }\n')
        self.put("src/b.cpp", "int b() { return 2; }\n")
        self.put("tests/c.cpp", "bad\n")
        self.put(".clang-tidy", "Checks: one\n")
        self.put("version", "14\n")
        self.put("clang-tidy", STAND_IN)
        (self.root / "clang-tidy").chmod(0o755)
        self.configure("-DX=1")
        patch = mock.patch.object(clang_tidy, "CLANG_TIDY", str(self.root / "clang-tidy"))
        patch.start()
        self.addCleanup(patch.stop)

    def put(self, name, text):
        (self.root / name).write_text(text)

    def configure(self, flag):
        self.put("build/compile_commands.json", json.dumps([
            {"directory": str(self.root), "file": name, "command": f"g++ {flag} -o {name}.o -c {name}"}
            for name in ("src/a.cpp", "src/b.cpp", "tests/c.cpp")]))

    def lint(self):
        """(status, names of the files that clang-tidy was run on, what was printed)"""
        (self.root / "runs").unlink(missing_ok=True)
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            status = clang_tidy.main([str(self.root / "build"), "-j", "2"], self.root)
        runs = self.root / "runs"
        names = sorted(pathlib.Path(line).name for line in runs.read_text().split()) if runs.exists() else []
        return status, names, output.getvalue()

    def test_clean_files_of_src_are_checked_once(self):
        status, names, output = self.lint()
        self.assertEqual((status, names), (0, ["a.cpp", "b.cpp"]))
        self.assertIn("2 of 2 files are clean, 0 of them unchanged", output)
        status, names, output = self.lint()
        self.assertEqual((status, names), (0, []))
        self.assertIn("2 of 2 files are clean, 2 of them unchanged", output)

    def test_changed_header(self):
        self.lint()
        self.put("src/a.hpp", "int a();\nint c();\n")
        self.assertEqual(self.lint()[:2], (0, ["a.cpp"]))

    def test_changed_comment_which_may_silence_a_check(self):
        self.lint()
        self.put("src/b.cpp", "int b() { return 2; }  // NOLINT\n")
        self.assertEqual(self.lint()[:2], (0, ["b.cpp"]))

    def test_changed_checks_flags_and_version(self):
        for change in (lambda: self.put(".clang-tidy", "Checks: two\n"), lambda: self.configure("-DX=2"),
                       lambda: self.put("version", "15\n")):
            self.lint()
            change()
            self.assertEqual(self.lint()[:2], (0, ["a.cpp", "b.cpp"]))

    def test_findings_fail_every_run(self):
        self.put("src/b.cpp", "int bad() { return 2; }\n")
        for expected in (["a.cpp", "b.cpp"], ["b.cpp"]):
            status, names, output = self.lint()
            self.assertEqual((status, names), (1, expected))
            self.assertIn("int bad()", output)

    def test_file_that_does_not_compile_is_left_to_clang_tidy(self):
        self.put("src/b.cpp", '#include "missing.hpp"\n')
        for _ in range(2):
            self.assertIn("b.cpp", self.lint()[1])

    def test_nothing_to_check_is_a_failure(self):
        self.put("build/compile_commands.json", "[]")
        self.assertEqual(self.lint()[0], 1)

    def test_memory_is_bounded(self):
        for number in range(20):
            self.put("src/b.cpp", f"int b() {{ return {number}; }}\n")
            self.lint()
        self.assertLessEqual(len(os.listdir(self.root / "build/tidy")), 8)


if __name__ == "__main__":
    unittest.main()
