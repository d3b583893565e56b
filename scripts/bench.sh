#!/bin/bash
# Runs the benchmarks of build/release, one after the other: `make bench`. Figures that are kept go into docs/benchmarks.md.
#
#   scripts/bench.sh [DIRECTORY]     where the data of the benchmarks go (a temporary directory of its own)
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d "${1:-${TMPDIR:-/tmp}}/bale-bench-XXXXXX")
trap 'rm -rf "$work"' EXIT

# A server that cannot run here (77) leaves its benchmark out, with the reason.
servers() {
  tests/servers/with_servers.py "$@" || [ $? -eq 77 ]
}

echo "== archive: create and read, against libzstd on the same bytes in memory"
build/release/bench/archive_bench
echo
echo "== levels: money against an oracle, on recorded curves"
build/release/bench/level_simulation
echo
echo "== overhead: choosing levels and telling metrics, against compressing"
build/release/bench/overhead_bench
echo
echo "== replicate: on the embedded store, against libzstd on the same bytes in memory"
build/release/bench/replicate_bench --directory "$work"
echo
echo "== restore: neighbours read together, against one GET for each object"
build/release/bench/restore_bench --directory "$work"
# shellcheck disable=SC2016  # expanded by the inner shell
servers rgw -- bash -c 'build/release/bench/restore_bench --directory "$0" --endpoint "$BALE_TEST_RGW_ENDPOINT"' "$work"
echo
echo "== http: CPU of the client, against the same bytes through bare sockets"
build/release/bench/http_bench
echo
echo "== peers: s3 cp against rclone and the AWS CLI, on Ceph RGW"
servers rgw -- bench/peers.py --directory "$work"
echo
echo "== raw: one large file, copied and uploaded, on Ceph RGW"
servers rgw -- bench/raw.py --directory "$work"
echo
echo "== services: replicate source and target on Ceph RGW, with moto's queues and dynalite's tables"
servers rgw moto dynalite -- bench/services.py

echo "== catalog: the local index, with ten million records"
bench/catalog.py --directory "$work"
