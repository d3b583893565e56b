#!/usr/bin/env python3
"""Holds the promises of the documentation against the tests.

    check_promises.py [ROOT]

Pages that promise name the test of each promise: `Suite.Name`, `Suite.Begin*`, `test_name`, `test_begin*`. Fails when a
page of PAGES names a C++ test or a black-box test that is not below tests/, or names none at all.
"""
import fnmatch
import pathlib
import re
import sys

PAGES = ("docs/security.md", "docs/invariants.md")

NAMED = re.compile(r"`([A-Z]\w+(?:/\w+)?\.[A-Z*][\w*]*|test_\w+\*?)`")
CPP_TEST = re.compile(r"^\s*(?:TYPED_)?TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\)", re.MULTILINE)
PYTHON_TEST = re.compile(r"^\s*def (test_\w+)\(", re.MULTILINE)


def tests_of(root):
    """The names of all tests: "Suite.Name", "test_name", and "test_file" for files of black-box tests."""
    names = set()
    for path in sorted((root / "tests").rglob("*.[ch]pp")):
        names.update(f"{suite}.{name}" for suite, name in CPP_TEST.findall(path.read_text(errors="replace")))
    for path in sorted((root / "tests").rglob("*.py")):
        names.update(PYTHON_TEST.findall(path.read_text()))
        if path.name.startswith("test_"):
            names.add(path.stem)
    return names


def problems_of(page, text, tests):
    """What is wrong with the promises of a page, a line each."""
    named = [(number, name) for number, line in enumerate(text.splitlines(), 1) for name in NAMED.findall(line)]
    if not named:
        return [f"{page}: names no test"]
    return [f"{page}:{number}: there is no test {name}" for number, name in named
            if not fnmatch.filter(tests, name.split("/")[-1])]  # "Instances/Suite.Name" is a parameterized test


def main(arguments):
    root = pathlib.Path(arguments[0] if arguments else pathlib.Path(__file__).resolve().parents[1])
    tests = tests_of(root)
    problems = [problem for page in PAGES for problem in problems_of(page, (root / page).read_text(), tests)]
    print("\n".join(problems) if problems else f"{len(PAGES)} pages name tests that are there")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
