#!/usr/bin/env python3
"""Holds the includes of src/ against the modules' declared arrows.

    check_arrows.py [--write] [ROOT]

The ladder is the order of add_subdirectory() in src/CMakeLists.txt; a module's arrows are its bale_module(USES ...).
Fails when
  - a module includes a module that it does not list, or lists one that is not above it in the ladder;
  - a job includes or lists another job;
  - a third-party header is seen outside the one module that owns it, or is not known here;
  - a POSIX header is seen outside os/;
  - the table in ARCHITECTURE.md is not what the arrows give. --write puts the table there instead.
"""
import pathlib
import re
import sys

# Third-party headers, by how the include starts: the modules that may see them. None: every module.
OWNERS = {
    "fmt/": None,
    "nlohmann/": None,
    "spdlog/": {"telemetry"},
    "openssl/": {"base"},
    "xxhash.h": {"base"},
    "zlib.h": {"base"},
    "immintrin.h": {"base"},  # the compiler's: instructions of x86-64
    "zstd.h": {"archive"},
    "zstd_errors.h": {"archive"},
    "archive.h": {"archive"},
    "archive_entry.h": {"archive"},
    "sqlite3.h": {"sqlite"},
    "CLI/": {"cli"},
    "curl/": {"http"},
    "pugixml.hpp": {"aws"},
    "re2/": {"jobs/recover"},
    "fuse_lowlevel.h": {"mount"},
    "yaml-cpp/": {"config"},
}

# Headers of the operating system: os/ alone, but for these files, each with its reason.
POSIX = re.compile(r"((sys|linux|netinet|arpa)/.*|unistd|fcntl|dirent|malloc|poll|pthread|sched|signal|spawn|time|"
                   r"termios|netdb)\.h$")
POSIX_EXCEPTIONS = {
    "flow/thread_pool.cpp": "pthread_setname_np: a thread's name, for debuggers",
    "http/server.cpp": "sockets that never block: the limits on strangers are its own, no library keeps them",
    "mount/session.cpp": "libfuse gives a file descriptor, to be waited for together with the end of the session",
}

STANDARD = set("""
algorithm any array atomic barrier bit bitset cassert cctype cerrno cfloat charconv chrono cinttypes climits clocale
cmath compare complex concepts condition_variable coroutine csetjmp csignal cstdarg cstddef cstdint cstdio cstdlib
cstring ctime deque exception execution filesystem format forward_list fstream functional future initializer_list
iomanip ios iosfwd iostream istream iterator latch limits list locale map memory memory_resource mutex new numbers
numeric optional ostream queue random ranges ratio regex scoped_allocator semaphore set shared_mutex source_location
span sstream stack stdexcept stop_token streambuf string string_view syncstream system_error thread tuple type_traits
typeindex typeinfo unordered_map unordered_set utility valarray variant vector version
""".split())

BEGIN, END = "<!-- arrows: written by tools/check_arrows.py --write -->", "<!-- end of arrows -->"


def subdirectories(cmake_lists):
    """Names in add_subdirectory(), in order, with a foreach over them unrolled."""
    text = re.sub(r"#.*", "", cmake_lists.read_text())
    names = []
    loop = re.compile(r"foreach\(\s*(\w+)\s+([^)]*)\)(.*?)endforeach\(\)", re.S)
    for match in re.finditer(loop.pattern + r"|add_subdirectory\(\s*(\S+?)\s*\)", text, re.S):
        if match.group(4):
            names.append(match.group(4))
        elif f"add_subdirectory(${{{match.group(1)}}})" in match.group(3):
            names.extend(match.group(2).split())
    return names


def read_ladder(source, prefix=""):
    """All modules from top to bottom: a folder whose CMakeLists.txt declares a module, then the folders in it."""
    ladder = []
    for name in subdirectories(source / prefix / "CMakeLists.txt"):
        path = f"{prefix}{name}"
        text = (source / path / "CMakeLists.txt").read_text()
        if "bale_module(" in text:
            ladder.append(path)
        ladder.extend(read_ladder(source, f"{path}/"))
    return ladder


def read_uses(source, module):
    text = re.sub(r"#.*", "", (source / module / "CMakeLists.txt").read_text())
    match = re.search(r"bale_module\(\s*(\S+?)(?:\s+([^)]*))?\)", text)
    if match.group(1) != module:
        raise SystemExit(f"src/{module}/CMakeLists.txt: bale_module({match.group(1)}) should be bale_module({module})")
    words, uses, into = (match.group(2) or "").split(), [], None
    for word in words:
        if word in ("USES", "EXTERNAL"):
            into = word
        elif into == "USES":
            uses.append(word)
    return uses


def check_declarations(ladder, uses):
    findings = []
    for position, module in enumerate(ladder):
        for used in uses[module]:
            if used not in ladder:
                findings.append(f"src/{module}/CMakeLists.txt: USES {used}, which is no module")
            elif ladder.index(used) >= position:
                findings.append(f"src/{module}/CMakeLists.txt: USES {used}, which is not above it in the ladder")
            if module.startswith("jobs/") and used.startswith("jobs/"):
                findings.append(f"src/{module}/CMakeLists.txt: USES {used}: jobs meet through durable things only")
    return findings


def module_of(path, ladder):
    """The longest module name that starts `path`, or nothing."""
    return max((name for name in ladder if path.startswith(f"{name}/")), key=len, default=None)


def check_own_include(where, module, included, ladder, uses):
    target = module_of(included, ladder)
    if target is None:
        return [] if included == "pch.hpp" else [f"{where}: \"{included}\" belongs to no module"]
    if target == module or target in uses[module]:
        return []
    return [f"{where}: {module} includes {target}, which its bale_module() does not list"]


def check_foreign_include(where, path, module, included):
    if included in STANDARD:
        return []
    if POSIX.match(included):
        if module == "os" or path in POSIX_EXCEPTIONS:
            return []
        return [f"{where}: <{included}> is the operating system's: use os/"]
    for start, owners in OWNERS.items():
        if included == start or (start.endswith("/") and included.startswith(start)):
            if owners is None or module in owners:
                return []
            return [f"{where}: <{included}> belongs to {', '.join(sorted(owners))} alone"]
    return [f"{where}: <{included}> is a third-party header that tools/check_arrows.py does not know"]


def check_includes(source, ladder, uses):
    findings = []
    for file in sorted([*source.rglob("*.cpp"), *source.rglob("*.hpp")]):
        path = file.relative_to(source).as_posix()
        module = module_of(path, ladder)
        if module is None and path != "pch.hpp":
            findings.append(f"src/{path}: belongs to no module")
            continue
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', line)
            if match:
                where = f"src/{path}:{number}"
                findings += (check_own_include(where, module, match.group(1), ladder, uses) if match.group(1)
                             else check_foreign_include(where, path, module, match.group(2)))
    return findings


def arrows_table(ladder, uses):
    rows = "\n".join(f"| `{module}` | {' '.join(uses[module]) or '-'} |" for module in ladder)
    return f"{BEGIN}\n\n| module | may include |\n|---|---|\n{rows}\n\n{END}"


def check_architecture(document, table, write):
    if not document.exists():
        return [f"{document.name}: missing"]
    text = document.read_text()
    if BEGIN not in text or END not in text:
        return [f"{document.name}: has no place for the arrows ({BEGIN} ... {END})"]
    start, end = text.index(BEGIN), text.index(END) + len(END)
    if text[start:end] == table:
        return []
    if write:
        document.write_text(text[:start] + table + text[end:])
        return []
    return [f"{document.name}: the table of arrows is out of date; run tools/check_arrows.py --write"]


def check(root, write=False):
    source = root / "src"
    ladder = read_ladder(source)
    uses = {module: read_uses(source, module) for module in ladder}
    return (check_declarations(ladder, uses) + check_includes(source, ladder, uses) +
            check_architecture(root / "ARCHITECTURE.md", arrows_table(ladder, uses), write))


def main(arguments):
    write = "--write" in arguments
    rest = [argument for argument in arguments if argument != "--write"]
    root = pathlib.Path(rest[0]) if rest else pathlib.Path(__file__).resolve().parent.parent
    findings = check(root, write)
    print("\n".join(findings) or "the arrows hold")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
