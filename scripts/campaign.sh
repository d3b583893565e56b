#!/bin/bash
# Runs the campaigns: black-box tests with the marker `campaign`, then each fuzz target for as long as asked. Hours.
#
#   scripts/campaign.sh [seconds for each fuzz target]
#
# BALE_CAMPAIGN_GIB: size of the largest file, instead of 1,024. BALE_TEST_SEED repeats what chance decided.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
seconds=${1:-600}

status=0
echo "== black-box campaigns, one after the other"
# /usr/bin/python3 by name: pytest is a package of Debian's own Python, and another may come first on PATH.
BALE_BIN=${BALE_BIN:-$PWD/build/bale} /usr/bin/python3 -m pytest -v -rs -p no:cacheprovider -m campaign \
      --durations 0 tests/e2e || status=1
echo "== fuzz targets, $seconds s each"
scripts/fuzz.sh build/clang "$seconds" || status=1
exit $status
