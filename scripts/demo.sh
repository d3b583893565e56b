#!/bin/bash
# Shows what Bale is for, on files of this machine: `make demo`.
#
#   scripts/demo.sh [PROGRAM]
#
# Everything happens in a temporary directory, which is removed at the end.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${1:-build/bale}")
work=$(mktemp -d "${TMPDIR:-/tmp}/bale-demo-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
export BALE_LOCAL=$work/store
unset AWS_PROFILE AWS_REGION AWS_DEFAULT_REGION AWS_ENDPOINT_URL

if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi
say() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; }
bale() { "$program" --no-progress "$@"; }
# Shows a command as a person would type it, and runs it.
show() {
  echo "  \$ $*"
  "$@" | sed 's/^/    /'
}
size_of() { find "$1" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum + 0 }'; }
megabytes() { awk -v bytes="$1" 'BEGIN { printf "%.1f MB", bytes / 1e6 }'; }

# Files of directory $1, at most $2 (the other arguments are for find), become files/$3, with the tree that they are in.
take() {
  local from=$1 most=$2 to=$3
  shift 3
  mkdir -p "files/$to"
  { (cd "$from" && find . -type f -readable "$@" 2>/dev/null) || true; } | LC_ALL=C sort | sed -n "1,${most}p" |
    while IFS= read -r file; do
      mkdir -p "files/$to/$(dirname "$file")"
      cp -- "$from/$file" "files/$to/$file"
    done
  printf '  %-9s %4d files, %8s, of %s\n' "$to" "$(find "files/$to" -type f | wc -l)" \
         "$(megabytes "$(size_of "files/$to")")" "$from"
}

say "Bale carries S3 objects between regions, compressed, and keeps a backup that gives back any one of them."
echo "Here a directory stands in for S3 with three regions. The objects are files of this machine:"
take /usr/share/doc 150 text -name copyright
take /usr/include 250 code -name '*.h*' -size +1k
take /usr/bin 60 programs -size +30k -size -1000k

say "1. The rule: objects of a bucket in Frankfurt go to a copy in Ireland and to a backup in Virginia"
mkdir config
cat > config/settings.json <<'END'
{"stack_name": "demo", "enabled_regions": [
  {"region": "eu-central-1", "vpc_cidr": "10.0.0.0/16", "source_target": ["source"], "availability_zones": 2},
  {"region": "eu-west-1", "vpc_cidr": "10.1.0.0/16", "source_target": ["target"], "availability_zones": 2},
  {"region": "us-east-1", "vpc_cidr": "10.2.0.0/16", "source_target": ["target"], "availability_zones": 2}]}
END
cat > config/replication_config.json <<'END'
{"replication_configuration": [
  {"source": {"region": "eu-central-1", "bucket": "reports", "frame_size": 262144},
   "destinations": [
     {"region": "eu-west-1", "bucket": "reports-copy"},
     {"region": "us-east-1", "bucket": "reports-backup", "backup": true}]}]}
END
show cat config/replication_config.json
echo "  \$ bale replicate init --config config"
bale --quiet replicate init --config config
echo "    made the buckets, and the queues for their events"

say "2. Objects are put into the source, as with any S3 client"
echo "  \$ bale s3 cp --recursive files s3://reports/"
bale s3 cp --recursive files s3://reports/ | tail -n 1 | sed 's/^/    /'

say "3. They are packed once, carried to both regions, and landed there"
show bale replicate run --until-idle --config config

say "4. In Ireland, every object as it was; in Virginia, one archive and its catalog"
echo "  \$ bale s3 cp --recursive s3://reports-copy/ copy && diff -r files copy"
bale --quiet s3 cp --recursive s3://reports-copy/ copy
diff -r files copy && echo "    no difference"
show bale s3 ls --recursive s3://reports-backup

say "5. One file is wanted back from the backup"
wanted=$(cd files && find text -type f | LC_ALL=C sort | sed -n 75p)
show bale catalog search "$wanted" --config config
echo "  \$ bale restore $wanted --config config --to restored"
read_bytes=$(bale --output json restore "$wanted" --config config --to restored |
             sed -n 's/.*"type":"summary".*"bytes_read":\([0-9]*\).*/\1/p')
archive_bytes=$(bale --output json s3 ls --recursive s3://reports-backup |
                sed -n 's/.*"size":\([0-9]*\).*/\1/p' | awk '{ sum += $1 } END { print sum }')
(cd files && sha256sum "$wanted") | sed 's/^/    was:  /'
(cd restored && sha256sum "$wanted") | sed 's/^/    is:   /'
cmp "files/$wanted" "restored/$wanted"
awk -v read_bytes="$read_bytes" -v all="$archive_bytes" 'BEGIN {
  printf "    identical, for which %d of the archive'\''s %d bytes were read (%.1f %%), in one request\n",
         read_bytes, all, 100 * read_bytes / all }'

say "Next: README.md has the same as a five-minute tour; \`make test\` proves the rest."
