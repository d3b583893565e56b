#!/bin/bash
# Installs the Debian packages that Bale needs, and nothing when they are all there.
#
#   scripts/install-deps.sh [--check] [build|test|lint|bench]...     (default: build)
#
# --check installs nothing: it names what is missing and ends with status 1.
# Without dpkg, --check says nothing: CMake names a missing library by itself.
set -euo pipefail

build=(g++ make cmake ninja-build pkg-config ccache mold
       libfmt-dev nlohmann-json3-dev libspdlog-dev libcli11-dev libssl-dev libsqlite3-dev
       libzstd-dev libarchive-dev libxxhash-dev zlib1g-dev libcurl4-openssl-dev libpugixml-dev
       libre2-dev libfuse3-dev libyaml-cpp-dev)
# From the second line on: servers that speak AWS's protocols, and other clients of theirs as judges (docs/testing.md);
# dynalite and moto are not Debian's.
test=(libgtest-dev libgmock-dev python3 python3-pytest python3-pytest-xdist zstd tar openssl fuse3
      ceph-mon ceph-osd radosgw nodejs npm python3-venv python3-boto3 python3-zstandard
      swift-proxy swift-account swift-container swift-object memcached awscli)
lint=(clang-14 libclang-rt-14-dev clang-format-14 clang-tidy-14 git python3 shellcheck)
bench=(libbenchmark-dev python3 zstd tar rclone awscli)

fail() {
  echo "install-deps: $1" >&2
  [ -z "${2:-}" ] || echo "hint: $2" >&2
  exit "${3:-1}"
}

check_only=false
packages=()
[ $# -gt 0 ] || set -- build
for argument in "$@"; do
  case $argument in
    --check) check_only=true ;;
    build) packages+=("${build[@]}") ;;
    test) packages+=("${test[@]}") ;;
    lint) packages+=("${lint[@]}") ;;
    bench) packages+=("${bench[@]}") ;;
    *) fail "no such group: $argument" "the groups are build, test, lint and bench" 2 ;;
  esac
done
[ ${#packages[@]} -gt 0 ] || packages=("${build[@]}")

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  $check_only && exit 0
  fail "this script knows Debian 12 and its relatives only" \
       "install what these packages hold in your system's way: ${packages[*]}"
fi

installed() {
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ] && return
  # A nodejs that is not Debian's brings npm along, and conflicts with Debian's.
  [ "$1" = npm ] && command -v npm >/dev/null
}

missing=()
for package in "${packages[@]}"; do
  installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if $check_only; then
  fail "missing packages: ${missing[*]}" "scripts/install-deps.sh $(printf '%s ' "$@" | sed 's/--check //') installs them"
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || fail "root is needed to install: ${missing[*]}" \
    "run as root: apt-get install --no-install-recommends ${missing[*]}"
  as_root=(sudo)
fi
echo "install-deps: installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -q >&2
"${as_root[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}" >&2
