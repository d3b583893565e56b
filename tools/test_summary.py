#!/usr/bin/env python3
"""Counts the tests in JUnit files: one line for each file and one for all.

    test_summary.py FILE.xml...

Ends with status 1 when a test failed or a file is missing: a stage that died wrote none.
"""
import pathlib
import sys
import xml.etree.ElementTree as xml


def outcome(case):
    """'failed', 'skipped' or 'passed'; CTest says so in an attribute, pytest by a child element."""
    if case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail":
        return "failed"
    if case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
        return "skipped"
    return "passed"


def count(path):
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for case in xml.parse(path).getroot().iter("testcase"):
        counts[outcome(case)] += 1
    return counts


def line(name, counts):
    return f"{name}: " + ", ".join(f"{number} {word}" for word, number in counts.items() if number or word == "passed")


def main(paths):
    total = {"passed": 0, "failed": 0, "skipped": 0}
    broken = False
    for path in map(pathlib.Path, paths):
        try:
            counts = count(path)
        except (OSError, xml.ParseError) as error:
            print(f"{path.stem}: no result ({error})")
            broken = True
            continue
        print(line(path.stem, counts))
        total = {word: total[word] + counts[word] for word in total}
    print(line("all", total))
    return 1 if broken or total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
