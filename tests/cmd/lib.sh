# What the tests of the programs share: a directory, a daemon of their own without a mount, and checks. To be sourced.
# shellcheck shell=bash
set -eu
cd "${TEST_SOURCE_DIR:-$(dirname "$0")/../..}"
bin=$(realpath "${TEST_BIN_DIR:-build/release/bin}")
dir=$(mktemp -d)
state=$dir/s
export SYMBI_SOCKET=$state/symbi.sock
# Nothing of this machine's settings, and no terminal.
export XDG_CONFIG_HOME=$dir/config HOME=$dir
exec </dev/null

cleanup() {
  "$bin/symbi" down >/dev/null 2>&1 || :
  rm -rf --one-file-system "$dir"
}
trap cleanup EXIT

die() {
  echo "$*"
  tail -n 20 "$state/symbid.log" 2>/dev/null || :
  exit 1
}

start() { "$bin/symbi" up --state "$state" --no-fuse --allow-native "$@" >/dev/null; }

# symbi with its output in $out, its talk in $err, its exit status in $status.
symbi() {
  status=0
  "$bin/symbi" "$@" >"$dir/out" 2>"$dir/err" || status=$?
  out=$(cat "$dir/out") err=$(cat "$dir/err")
}

# expect STATUS [ARGUMENT...]: symbi ends with it. A failure must say why, beginning with a code.
expect() {
  local want=$1
  shift
  symbi "$@"
  [ "$status" = "$want" ] || die "symbi $*: exit status $status, not $want: $out$err"
  [ "$want" = 0 ] || [ "${quiet:-}" ] || grep -qE '^symbi: [A-Z]+_[0-9]{3} .' <<<"$err" ||
    die "symbi $*: a failure without a code: $err"
}

same() { [ "$1" = "$2" ] || die "not the same: '$1' and '$2'"; }
has() { grep -qF -- "$2" <<<"$1" || die "'$1' has no '$2'"; }
json() { python3 -c 'import json, sys; d = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"; }

eventually() {
  for _ in $(seq 600); do
    "$@" && return 0
    sleep 0.05
  done
  die "never true: $*"
}
