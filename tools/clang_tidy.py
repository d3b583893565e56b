#!/usr/bin/env python3
"""clang-tidy over the files of src/, several at a time, leaving out what it has already passed.

    clang_tidy.py BUILD [-j JOBS]      BUILD: a directory configured with Clang, for its compile_commands.json

A whole run takes minutes, so BUILD/tidy remembers what was clean: one empty file, named by the digest of all that
clang-tidy's answer depends on (the preprocessed source with its comments, the flags, .clang-tidy and the version). Only
clean files are remembered: a finding is shown in every run.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

CLANG_TIDY = "clang-tidy-14"
# What clang-tidy says besides findings.
NOISE = re.compile(r"^\d+ warnings?( and \d+ errors?)? (generated|treated)|^(Suppressed |Use -header|Error while)")


def run(command, directory):
    return subprocess.run(command, cwd=directory, capture_output=True, check=False)


def sources(build, root):
    """The compile commands of the files below root/src, each file once, sorted."""
    entries = json.loads((build / "compile_commands.json").read_text())
    found = {}
    for entry in entries:
        path = pathlib.Path(entry["directory"], entry["file"]).resolve()
        if path.is_relative_to(root / "src"):
            found[path] = entry
    return sorted(found.items())


def digest(entry, fixed):
    """Of all that clang-tidy will see; None where the preprocessor fails, for clang-tidy to say why."""
    command = shlex.split(entry["command"])
    output = command.index("-o")
    preprocessed = run(command[:output] + command[output + 2:] + ["-E", "-CC"], entry["directory"])
    if preprocessed.returncode != 0:
        return None
    return hashlib.sha256(fixed + entry["command"].encode() + b"\0" + preprocessed.stdout).hexdigest()


def check(path, entry, build, fixed):
    """(clean, remembered, text of the findings)"""
    name = digest(entry, fixed)
    memory = build / "tidy" / name if name else None
    if memory and memory.exists():
        memory.touch()
        return True, True, ""
    answer = run([CLANG_TIDY, "--quiet", "-p", str(build), str(path)], entry["directory"])
    text = (answer.stdout + answer.stderr).decode(errors="replace")
    if answer.returncode == 0 and memory:
        memory.touch()
    return answer.returncode == 0, False, "\n".join(l for l in text.splitlines() if not NOISE.search(l))


def forget_oldest(folder, keep):
    """Bounds the memory: the `keep` newest answers stay."""
    for path in sorted(folder.iterdir(), key=lambda p: p.stat().st_mtime, reverse=True)[keep:]:
        path.unlink()


def main(arguments, root):
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args(arguments)
    build, root = options.build.resolve(), root.resolve()
    (build / "tidy").mkdir(exist_ok=True)
    fixed = run([CLANG_TIDY, "--version"], root).stdout + (root / ".clang-tidy").read_bytes()
    clean = remembered = 0
    todo = sources(build, root)
    shown = set()  # a finding in a header is said once, not by every file that includes it
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for answer in pool.map(lambda item: check(*item, build, fixed), todo):
            clean += answer[0]
            remembered += answer[1]
            if answer[2] and answer[2] not in shown:
                print(answer[2], flush=True)
                shown.add(answer[2])
    forget_oldest(build / "tidy", 4 * len(todo))
    print(f"clang-tidy: {clean} of {len(todo)} files are clean, {remembered} of them unchanged since they last were")
    return 0 if todo and clean == len(todo) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], pathlib.Path(__file__).parent.parent))
