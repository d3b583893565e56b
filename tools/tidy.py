#!/usr/bin/env python3
"""The house style, as far as a machine can check it.

    tidy.py [ROOT]

Checks every C++ and Python file that git knows or would add:
  length    functions (70 lines in src/, 100 elsewhere), lines (120 columns), files (600 lines in src/, 900 elsewhere)
  world     calls that ask the system for time, chance, environment or sleep, or that print, outside src/os/
  mutex     a mutex in src/ that nothing says BALE_GUARDED_BY of (base/mutex.hpp), nor a comment on its line
  swallow   catch (...) that neither rethrows, nor keeps the error, nor says why it drops it
  skip      a test that is skipped without a reason
  leftover  notes to oneself (the words are in LEFTOVERS)
  place     paths that exist on one machine only
  form      #pragma once, a newline at the end, no tabs, no space at the end of a line
An exception is a line of EXCEPTIONS, with its reason.
"""
import ast
import os
import pathlib
import re
import subprocess
import sys

MAX_COLUMNS = 120
MAX_FUNCTION_LINES = {"src": 70, "other": 100}
MAX_FILE_LINES = {"src": 600, "other": 900}

# What only src/os/ may do. Checked in src/ with comments and strings taken out.
WORLD = {
    "environment": r"\b(?:secure_)?getenv\s*\(",
    "time": r"(?<![\w:.>])(?:std::|::)?time\s*\(\s*(?:nullptr|NULL|0|&)|\bsystem_clock::now|"
            r"\b(?:gettimeofday|clock_gettime)\s*\(",
    "chance": r"\bstd::random_device\b|(?<![\w:.>])(?:std::)?s?rand\s*\(",
    "print": r"(?<![\w.>:])(?:std::)?(?:f?printf|puts|putchar)\s*\(|\bstd::(?:cout|cerr|clog)\b|\bfmt::print\s*\(",
    "sleep": r"\bthis_thread::sleep_(?:for|until)\b|(?<![\w.>:])u?sleep\s*\(",
}

# Written apart so that this file does not find itself.
LEFTOVERS = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) + r")\b")
PLACES = re.compile(r"(?<![\w.])/(?:" + "|".join(["wo" + "rk", "ro" + "ot", "ho" + r"me/\w+", "Use" + "rs"]) + ")/|"
                    r"\.\./sha" + "red/")

# (path, check) -> reason. A check that is excepted but finds nothing any more is itself a finding.
EXCEPTIONS = {
    ("tests/contract/object_store_suite.hpp", "length"): "one suite of one port; what servers lack is left out there",
}


def blank(match):
    """Spaces for everything but line ends, so that offsets and line numbers stay."""
    return re.sub(r"[^\n]", " ", match.group(0))


TOKENS = re.compile(r'//[^\n]*|/\*.*?\*/|R"(?P<d>[^(\s]{0,16})\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"|'
                    r"(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'", re.S)


def strip_cpp(text, comments=True):
    """`text` without strings and, where asked for, comments."""
    def replace(match):
        keep = not comments and match.group(0).startswith(("//", "/*"))
        return match.group(0) if keep else blank(match)
    return TOKENS.sub(replace, text)


def matching_brace(text, start):
    depth = 0
    for position in range(start, len(text)):
        if text[position] == "{":
            depth += 1
        elif text[position] == "}":
            depth -= 1
            if depth == 0:
                return position
    return len(text) - 1


def is_function_header(header):
    header = re.sub(r"template\s*<.*?>\s*(?=\w)", "", header, flags=re.S)
    header = re.sub(r"^\s*(?:public|private|protected)\s*:", "", header)
    if re.match(r"\s*(?:inline\s+)?(?:namespace|extern)\b", header):
        return False
    if re.match(r"\s*(?:typedef\s+)?(?:class|struct|union|enum)\b", header) and "(" not in header:
        return False
    return "(" in header and re.search(r"=\s*$", header) is None


def cpp_functions(text):
    """(name, first line, lines of the body) of every function that is not inside another; `text` is stripped."""
    text = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", blank, text, flags=re.M)
    position, header_start = 0, 0
    while position < len(text):
        character = text[position]
        if character in ";}":
            header_start = position + 1
        elif character == "{":
            header = text[header_start:position]
            if is_function_header(header):
                end = matching_brace(text, position)
                after = text[end + 1:].lstrip()[:1]
                if after in (",", "{") and re.search(r"\)\s*:", header):  # `member_{value}` before the body
                    position = end + 1
                    continue
                name = re.findall(r"([~\w:]+)\s*\(", header)
                line = text.count("\n", 0, position) + 1
                yield (name[0] if name else "?"), line, text.count("\n", position, end) + 1
                position = end
            header_start = position + 1
        position += 1


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def check_lengths(path, text, part):
    findings = []
    functions = python_functions(text) if path.endswith(".py") else cpp_functions(strip_cpp(text))
    for name, line, length in functions:
        if length > MAX_FUNCTION_LINES[part]:
            findings.append((line, "length", f"{name} has {length} lines, {MAX_FUNCTION_LINES[part]} are allowed"))
    lines = text.splitlines()
    findings += [(number, "length", f"{len(line)} columns, {MAX_COLUMNS} are allowed")
                 for number, line in enumerate(lines, 1) if len(line) > MAX_COLUMNS]
    if len(lines) > MAX_FILE_LINES[part]:
        findings.append((1, "length", f"{len(lines)} lines, {MAX_FILE_LINES[part]} are allowed"))
    return findings


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def check_world(path, text, part):
    if part != "src" or not path.endswith((".cpp", ".hpp")) or path.startswith("src/os/"):
        return []
    code = strip_cpp(text)
    return [(line_of(code, match.start()), "world", f"asks the system ({what}): take it from os::World")
            for what, pattern in WORLD.items() for match in re.finditer(pattern, code)]


def check_mutex(path, text, part):
    """Clang's analysis checks what is written down, so it must be: one finding for each mutex that guards nothing."""
    if part != "src" or path == "src/base/mutex.hpp":
        return []
    findings = []
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r"\s*(?:mutable |static )*(?:Mutex|std::\w*mutex) (\w+);(.*)", line)
        if match and "//" not in match.group(2) and f"BALE_GUARDED_BY({match.group(1)})" not in text:
            findings.append((number, "mutex", f"nothing says what {match.group(1)} guards"))
    return findings


def check_swallow(path, text, part):
    if part != "src" or not path.endswith((".cpp", ".hpp")):
        return []
    findings, code = [], strip_cpp(text, comments=False)
    for match in re.finditer(r"catch\s*\(\s*\.\.\.\s*\)\s*\{", strip_cpp(text)):
        body = code[match.end():matching_brace(strip_cpp(text), match.end() - 1)]
        line_end = code.find("\n", match.end())
        kept = re.search(r"\bthrow\b|\breturn Error\b|current_error|current_exception|//|/\*",
                         body + code[match.end():line_end])
        if not kept:
            findings.append((line_of(text, match.start()), "swallow", "catch (...) drops an error without saying why"))
    return findings


def check_skip(path, text, part):
    return [(line_of(text, match.start()), "skip", "the test is skipped, and nobody learns why: << \"...\"")
            for match in re.finditer(r"\bGTEST_SKIP\(\)\s*;", strip_cpp(text))]


def check_words(path, text, part):
    findings = []
    for number, line in enumerate(text.splitlines(), 1):
        if LEFTOVERS.search(line):
            findings.append((number, "leftover", "a note to oneself"))
        if PLACES.search(line):
            findings.append((number, "place", "a path of one machine"))
    return findings


def check_form(path, text, part):
    findings = []
    if path.endswith(".hpp") and "#pragma once" not in text and not path.endswith("pch.hpp"):
        findings.append((1, "form", "no #pragma once"))
    if text and not text.endswith("\n"):
        findings.append((text.count("\n") + 1, "form", "no newline at the end"))
    for number, line in enumerate(text.split("\n"), 1):
        if "\t" in line or line != line.rstrip():
            findings.append((number, "form", "a tab, or space at the end of the line"))
    return findings


CHECKS = {
    ".cpp": [check_lengths, check_world, check_mutex, check_swallow, check_skip, check_words, check_form],
    ".hpp": [check_lengths, check_world, check_mutex, check_swallow, check_skip, check_words, check_form],
    ".py": [check_lengths, check_words, check_form],
    ".md": [check_words], ".sh": [check_words, check_form], ".txt": [check_words], ".cmake": [check_words, check_form],
}


def check_file(path, text):
    """Findings of one file: (line, check, message)."""
    part = "src" if path.startswith("src/") else "other"
    return [finding for check in CHECKS.get(pathlib.PurePath(path).suffix, []) for finding in check(path, text, part)]


def files_of(root):
    """What git knows or would add; without git, everything but build/."""
    try:
        listing = subprocess.run(["git", "-C", str(root), "ls-files", "-z", "-co", "--exclude-standard"],
                                 check=True, capture_output=True).stdout.decode()
        names = listing.split("\0")
    except (OSError, subprocess.CalledProcessError):
        names = [file.relative_to(root).as_posix() for file in root.rglob("*")]
    hidden = re.compile(r"(?:build|\.git)/|(?:.*/)?__pycache__/")
    return sorted(name for name in names if name and not hidden.match(name) and (root / name).is_file())


def check_mode(path, file):
    """A script that lost its right to be executed fails where it is called, which may be far from any test."""
    with open(file, "rb") as script:
        if script.read(2) == b"#!" and not os.access(file, os.X_OK):
            yield f"{path}:1: mode: begins with #!, but may not be executed: chmod +x"


def check_tree(root, exceptions):
    """Lines to print; empty when all is well."""
    lines, used = [], set()
    for path in files_of(root):
        lines += check_mode(path, root / path)
        if pathlib.PurePath(path).suffix not in CHECKS:
            continue
        for line, check, message in check_file(path, (root / path).read_text(errors="replace")):
            if (path, check) in exceptions:
                used.add((path, check))
            else:
                lines.append(f"{path}:{line}: {check}: {message}")
    lines += [f"tools/tidy.py: the exception {key} is no longer needed" for key in exceptions if key not in used]
    return lines


def main(arguments):
    root = pathlib.Path(arguments[0]) if arguments else pathlib.Path(__file__).resolve().parent.parent
    lines = check_tree(root, EXCEPTIONS)
    print("\n".join(lines) or "tidy")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
