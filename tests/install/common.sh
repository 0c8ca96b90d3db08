#!/bin/bash
# common.sh - what the tests of an installation share. Sourced; the caller has set -eu.

cd "${TEST_SOURCE_DIR:-$(dirname "$0")/../..}" || exit 1
# shellcheck disable=SC2034 # used by those who source this
build=${TEST_BUILD_DIR:-build/release}
dir=$(mktemp -d)
bin=
trap cleanup EXIT
cleanup() {
  [ -z "$bin" ] || "$bin/symbi" down --mount "$dir/m" >/dev/null 2>&1 || :
  rm -rf --one-file-system "$dir"
}
die() {
  echo "$*"
  exit 1
}

# complete_in ROOT: every file that an installation consists of is there.
complete_in() {
  local file
  for file in bin/symbi bin/symbid bin/symbi-spawn bin/symbi-engine bin/symbi-init bin/symbi-guest share/man/man1/symbi.1 share/man/man8/symbid.8 share/man/man8/symbi-spawn.8 \
    share/bash-completion/completions/symbi share/doc/symbi/copyright share/doc/symbi/config.toml lib/systemd/system/symbid.service; do
    [ -s "$1/usr/$file" ] || die "no /usr/$file in $1"
  done
  [ "$(readlink "$1/usr/bin/symbiont")" = symbi ] || die "symbiont is not a link to symbi"
  grep -qx 'ExecStart=/usr/bin/symbid' "$1/usr/lib/systemd/system/symbid.service" || die "the unit starts another program"
}

# runs_from ROOT: the installed programs serve an agent, by way of the link.
runs_from() {
  bin=$1/usr/bin
  [ -r /dev/fuse ] && [ -w /dev/fuse ] || { echo "/dev/fuse cannot be used by this user"; exit 77; }
  "$bin/symbiont" up --allow-native --mount "$dir/m" --state "$dir/s" >"$dir/out" 2>&1 || die "symbi up: $(cat "$dir/out")"
  cp "$1/usr/share/doc/symbi/examples/agents/words.json" "$dir/m/agents/" || die "$(tail -n 1 "$dir/m/errors")"
  [ "$(echo one two >"$dir/m/agents/words/run" && cat "$dir/m/agents/words/run")" = 2 ] || die "the agent does not answer"
  "$bin/symbi" down --mount "$dir/m" || die "symbi down failed"
  ! mountpoint -q "$dir/m" || die "still mounted"
}
