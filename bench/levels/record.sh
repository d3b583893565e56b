#!/bin/bash
# Records bench/levels/curves.csv anew from files of this machine (Debian 12): some 10 minutes of one core.
#
#   bench/levels/record.sh > bench/levels/curves.csv
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d "${TMPDIR:-/tmp}/bale-levels-XXXXXX")
trap 'rm -rf "$work"' EXIT
most=64M

# gather KIND FIND-ARGUMENTS...: the files, in the order of their paths, as one file of at most $most.
gather() {
  local kind=$1
  shift
  mkdir "$work/$kind"
  find "$@" -type f -print0 | LC_ALL=C sort -z | { xargs -0 cat || true; } 2> "$work/ignored" | head -c "$most" > "$work/$kind/all"
}

gather text /usr/share/doc '(' -name copyright -o -name '*.txt' -o -name '*.html' ')'
gather code /usr/include -name '*.h*'
gather json /usr/lib/python3/dist-packages/botocore/data -name 'service-2.json'
gather programs /usr/lib/x86_64-linux-gnu -name '*.so*' -size +200k
mkdir "$work/logs" "$work/instrument" "$work/compressed"
# Each content once: packages of one source come with the same changelog.
find /usr/share/doc -name '*.gz' -size +20k -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum | LC_ALL=C sort -s -k1,1 |
  uniq -w32 | cut -c35- | LC_ALL=C sort | tr '\n' '\0' | xargs -0 cat > "$work/compressed/all"
find /usr/share/doc /var/log -name '*.log*' -type f -size +20k | LC_ALL=C sort | xargs zcat -f > "$work/logs/all"
# The machine has no instrument: a detector's trace as 32-bit floats, drifting baseline, peaks, and noise; always the same.
python3 - > "$work/instrument/all" << 'PYTHON'
import array, math, random, sys
random.seed(7)
for block in range(13):
    values, baseline = array.array("f"), 100.0
    peaks = [(random.random() * 262144, 20 + random.random() * 200, 10 ** (2 + 3 * random.random())) for _ in range(300)]
    signal = [0.0] * 262144
    for centre, width, height in peaks:
        for i in range(max(0, int(centre - 4 * width)), min(262144, int(centre + 4 * width))):
            signal[i] += height * math.exp(-((i - centre) / width) ** 2 / 2)
    for i in range(262144):
        baseline += random.gauss(0, 0.05)
        # A counter of a detector: whole counts, scaled by its gain.
        values.append(round(max(0.0, baseline + signal[i] + random.gauss(0, 3))) * 0.125)
    sys.stdout.buffer.write(values.tobytes())
PYTHON

build/release/bench/level_recorder --chunk-bytes 2097152 --chunks 6 \
  text="$work/text" code="$work/code" json="$work/json" logs="$work/logs" programs="$work/programs" \
  instrument="$work/instrument" compressed="$work/compressed"
