#!/bin/bash
# Format, style, headers that stand alone, shell scripts, clang-tidy. Reports everything, then fails if anything failed.
#
#   scripts/lint.sh BUILD      BUILD: a directory configured with Clang, for its compile_commands.json
# shellcheck disable=SC2317  # the checks are called through step()
set -uo pipefail
cd "$(dirname "$0")/.." || exit
build=$1
jobs=$(nproc)
python=/usr/bin/python3
status=0

step() {
  local name=$1
  shift
  echo "== $name"
  if "$@"; then echo "ok"; else echo "FAILED: $name" && status=1; fi
}

cpp_files() { git ls-files -z -co --exclude-standard '*.cpp' '*.hpp'; }
format() { cpp_files | xargs -0 -r clang-format-14 --dry-run -Werror; }
shell_scripts() { shellcheck scripts/*.sh .ci/run; }
# Included by an empty file, without the precompiled header, which would hide a missing #include.
compile_alone() {
  echo "#include \"${1#src/}\"" |
    g++ -std=c++20 -Wall -Wextra -Werror -DSPDLOG_FMT_EXTERNAL -DSPDLOG_SHARED_LIB -DSPDLOG_COMPILED_LIB -Isrc \
        -fsyntax-only -x c++ - || { echo "$1 does not compile alone" && return 1; }
}
export -f compile_alone
# shellcheck disable=SC2016  # expanded by the inner shell
headers_alone() {
  git ls-files -z -co --exclude-standard 'src/*.hpp' | xargs -0 -r -n 1 -P "$jobs" bash -c 'compile_alone "$1"' _
}

step "clang-format" format
step "module arrows" "$python" tools/check_arrows.py
step "style" "$python" tools/tidy.py
step "tests of the tools" "$python" -B -m unittest discover -q -s tools -p 'test_*.py'
step "shellcheck" shell_scripts
step "headers alone" headers_alone
step "clang-tidy" "$python" -B tools/clang_tidy.py -j "$jobs" "$build"
exit $status
