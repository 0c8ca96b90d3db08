#!/bin/bash
# examples/quickstart.sh works, twice in a row, and takes everything down again; every agent of examples/ does what its
# comment says.
set -eu
cd "${TEST_SOURCE_DIR:-$(dirname "$0")/../..}"
bin=${TEST_BIN_DIR:-build/release/bin}
[ -r /dev/fuse ] && [ -w /dev/fuse ] || { echo "/dev/fuse cannot be used by this user"; exit 77; }
"$bin/symbi" sandbox run true || { echo "no Tier1 here"; exit 77; }
[ "$(id -u)" = 0 ] || [ -e /etc/mtab ] || { echo "fusermount3 cannot unmount without /etc/mtab"; exit 77; }
dir=$(mktemp -d)
args=(--mount "$dir/m" --state "$dir/s" --bin "$bin")
trap 'examples/quickstart.sh --stop "${args[@]}" >/dev/null 2>&1 || :; rm -rf --one-file-system "$dir"' EXIT
die() { echo "$*"; cat "$dir"/out* 2>/dev/null; exit 1; }

eventually() { # COMMAND...
  for _ in $(seq 300); do
    "$@" && return 0
    sleep 0.1
  done
  die "never true: $*"
}
welcomed() { cat "$dir"/m/agents/usher/runs/*/output 2>/dev/null | grep -qx "welcome, $1"; }

examples/quickstart.sh "${args[@]}" >"$dir/out1" 2>&1 || die "the first run failed"
grep -qx 'hello world' "$dir/out1" || die "no answer of greet"
grep -qE '^layers (user )?mount pid net ' "$dir/out1" || die "greet was in no sandbox"
grep -qx 3 "$dir/out1" || die "no answer of words"
grep -qx 'GOOD MORNING' "$dir/out1" || die "no answer of upper"
grep '^{' "$dir/out1" | grep -q "'Teir1' is no tier; did you mean 'Tier1'" || die "the refusal does not say why"
for agent in greet words upper clock; do
  eventually welcomed $agent
done
for spec in examples/agents/*; do
  cmp "$spec" "$dir/m/agents/${spec##*/}" || die "$spec is not an agent of the quickstart"
done
echo >"$dir/m/agents/clock/run" && cat "$dir/m/agents/clock/run" >"$dir/out0" || die "clock cannot be asked"
grep -q : "$dir/out0" || die "clock does not say the time"

# Bash writes a text line by line; the lines before a refused one are a spec by themselves.
if printf 'command: [date]\nbogus: 1\npriority: Low\n' >"$dir/m/agents/half.yaml" 2>/dev/null; then
  die "half a text was taken"
fi
[ ! -e "$dir/m/agents/half.yaml" ] || die "the half before the refused line became an agent"

examples/quickstart.sh "${args[@]}" >"$dir/out2" 2>&1 || die "the second run failed"
grep -q 'it runs already' "$dir/out2" || die "the second run did not find the first one's daemon"
examples/quickstart.sh --stop "${args[@]}" >"$dir/out3" 2>&1 || die "--stop failed"
! mountpoint -q "$dir/m" || die "still mounted"
examples/quickstart.sh --stop "${args[@]}" | grep -qx 'no daemon is running' || die "--stop again"
