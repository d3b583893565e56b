#!/bin/bash
# Runs every fuzz target for a short time on a copy of its kept corpus; what a target crashes on is left in BUILD/fuzz/.
#
#   scripts/fuzz.sh BUILD [seconds for each target]
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1
seconds=${2:-20}
mkdir -p "$build/fuzz"
count=0
for target in "$build"/tests/fuzz/fuzz_*; do
  if ! [ -f "$target" ] || ! [ -x "$target" ]; then continue; fi
  name=$(basename "$target")
  work=$build/fuzz/$name
  mkdir -p "$work"
  # libFuzzer adds to the first directory and only reads the second.
  corpus=tests/fuzz/corpus/${name#fuzz_}
  directories=("$work")
  [ -d "$corpus" ] && directories+=("$corpus")
  echo "== $name"
  "$target" -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=20 -print_final_stats=0 -verbosity=0 \
            -artifact_prefix="$build/fuzz/$name-" "${directories[@]}"
  count=$((count + 1))
done
echo "$count fuzz targets passed"
[ "$count" -gt 0 ]
