#!/bin/bash
# Runs every test against build/release: C++ tests, black-box tests of build/bale, style. A failing stage does not hide
# the others. The last lines say how many tests passed and failed in each.
#
#   scripts/test.sh [build directory]
set -uo pipefail
cd "$(dirname "$0")/.." || exit
build=${1:-build/release}
results=$build/results
rm -rf "$results" && mkdir -p "$results"

# /usr/bin/python3 by name: pytest is a package of Debian's own Python, and another may come first on PATH.
python=/usr/bin/python3

status=0
echo "== C++ tests"
ctest --test-dir "$build" -j 2 --output-on-failure --no-tests=error -LE style \
      --output-junit "$PWD/$results/cpp.xml" || status=1
# One process a core; each starts servers of its own, about 600 MB for all of them. A file's tests stay in one process,
# because they share fixtures. -rs names each skipped test with its reason.
cores=$(nproc)
processes=${BALE_TEST_PROCESSES:-$((cores < 4 ? cores : 4))}
echo "== black-box tests, in $processes processes"
BALE_BIN=${BALE_BIN:-$PWD/build/bale} "$python" -m pytest -q -rs -p no:cacheprovider -n "$processes" --dist loadfile \
      --durations 20 --junitxml "$results/blackbox.xml" tests/e2e || status=1
echo "== style"
ctest --test-dir "$build" -j 2 --output-on-failure --no-tests=error -L style \
      --output-junit "$PWD/$results/style.xml" || status=1

echo "== summary"
"$python" tools/test_summary.py "$results/cpp.xml" "$results/blackbox.xml" "$results/style.xml" || status=1
exit $status
