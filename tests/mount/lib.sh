#!/bin/bash
# SPDX-License-Identifier: MIT
# lib.sh - what every case of tests/mount uses: a daemon of its own, facts, a second user. Sourced.
#
#	. "${0%/*}/lib.sh"     in the first line; CASE_SECONDS=N before it for a longer limit
#	up                     a daemon with state and mount of its own, settings from `conf`
#	eq, like, works ...    facts: each prints one line, the failing ones what was seen
#	finish                 the exit status: 0, 1 when a fact failed; 77 came from `skip`
#
# A case may be run by hand: tests/mount/test_NAME.sh takes the programs from build/release/bin or from
# $TEST_BIN. Whatever it started is ended and removed, however it ends.
set -u
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
HERE=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
export TEST_BIN=${TEST_BIN_DIR:-$(cd "$HERE/../.." && pwd)/build/release/bin}

# ---- the outer half: a time limit, and an end that leaves nothing ----

# Everything that carries our directory in its environment: the daemon's processes (TEST_CASE_DIR)
# and the agents' (HOME, below the working directory that `up` sets). Prints pids.
ours() {
  local pid
  for pid in $(grep -lsaF -- "$T" /proc/[0-9]*/environ 2>/dev/null); do
    pid=${pid#/proc/} pid=${pid%/environ}
    [ -s "/proc/$pid/cmdline" ] && [ "$pid" != "$BASHPID" ] && echo "$pid"
  done
}

cleanup() {
  local pids group down i
  trap '' INT TERM HUP
  # A process that waits for a daemon's answer cannot be killed until that daemon is: nothing here waits
  # for one, the daemon goes first.
  "$TEST_BIN/symbi" down --mount "$T/m" >/dev/null 2>&1 &
  down=$!
  for ((i = 0; i < 400; i++)); do
    kill -0 $down 2>/dev/null || break
    sleep 0.05
  done
  pids=$(ours)
  if [ -n "$pids" ]; then
    # shellcheck disable=SC2046 # a list of files
    group=$(cat $(printf '/proc/%s/cgroup ' $pids) 2>/dev/null | sed -n 's|.*:\(/.*symbi-[0-9a-f]*\).*|\1|p' | sort -u)
    kill -9 $pids 2>/dev/null
    sleep 0.2
    for group in $group; do
      find /sys/fs/cgroup/*"$group" -depth -type d -exec rmdir {} \; 2>/dev/null
    done
  fi
  awk -v t="$T/" 'index($5, t) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
    while read -r m; do umount -l "$m" 2>/dev/null || fusermount3 -uzq "$m"; done
  rm -rf --one-file-system "$T"
}

# The limit ends a case that hangs; how long one takes is never a fact. The case runs in a process group
# of its own, which `timeout` signals, and cleaning up is not its business: it may hang in the mount.
if [ -z "${TEST_CASE_DIR:-}" ]; then
  T=$(mktemp -d "${TMPDIR:-/tmp}/symbi-case.XXXXXX") || exit 1
  chmod 755 "$T"
  trap 'kill -9 $inner 2>/dev/null; cleanup; exit 130' INT TERM HUP
  TEST_CASE_DIR=$T timeout -k 5 "${CASE_SECONDS:-300}" bash "$0" "$@" &
  inner=$!
  wait $inner
  rc=$?
  case $rc in
  124 | 137) echo "FAIL the case ends within ${CASE_SECONDS:-300} s" ;;
  esac
  [ $rc = 0 ] || [ $rc = 77 ] || [ ! -s "$T/s/symbid.log" ] || { echo "---- symbid.log"; tail -20 "$T/s/symbid.log"; }
  cleanup
  exit $rc
fi

# ---- the inner half: the case itself ----

T=$TEST_CASE_DIR # in the environment of all that is started here: cleanup finds it by this
M=$T/m            # the mount
A=$M/agents
S=$T/s # the state
facts=0 failed=0 CONF=()
trap 'echo "FAIL it was in line ${BASH_LINENO[0]}: $BASH_COMMAND"; exit 124' TERM

finish() {
  echo "$facts facts, $failed failed"
  [ "$failed" = 0 ]
  exit $?
}

# skip REASON: this machine cannot show it.
skip() {
  echo "SKIP $1"
  exit 77
}

# die REASON: no use to go on.
die() {
  fail "$@"
  finish
}

# need PROGRAM...: skip without them.
need() {
  local p
  for p in "$@"; do
    command -v "$p" >/dev/null || skip "$p is not installed"
  done
}

need_root() {
  [ "$(id -u)" = 0 ] || skip "needs root: it acts as a second user"
  need setpriv
}

# ---- facts ----

ok() {
  facts=$((facts + 1))
  echo "ok   $1"
}

# fail FACT [SEEN...]
fail() {
  facts=$((facts + 1)) failed=$((failed + 1))
  echo "FAIL $1"
  shift
  [ $# -eq 0 ] || printf '%s\n' "$@" | head -c 1500 | sed 's/^/       /'
  return 0
}

# eq FACT WANT SEEN
eq() {
  if [ "$2" = "$3" ]; then ok "$1"; else fail "$1" "want: $2" "seen: $3"; fi
}

# like FACT ERE SEEN
like() {
  if grep -qE -- "$2" <<<"$3"; then ok "$1"; else fail "$1" "want: /$2/" "seen: $3"; fi
}

unlike() {
  if grep -qE -- "$2" <<<"$3"; then fail "$1" "want no: /$2/" "seen: $3"; else ok "$1"; fi
}

# same FACT FILE FILE: byte for byte
same() {
  local seen
  if seen=$(cmp -- "$2" "$3" 2>&1); then ok "$1"; else fail "$1" "seen: $seen"; fi
}

# works FACT COMMAND...; refused: its exit status is not 0, and it was not killed for hanging.
works() {
  local fact=$1 out rc
  shift
  out=$(timeout -k 2 100 "$@" 2>&1)
  rc=$?
  if [ $rc = 0 ]; then ok "$fact"; else fail "$fact" "exit $rc: $*" "$out"; fi
}

refused() {
  local fact=$1 out rc
  shift
  out=$(timeout -k 2 100 "$@" 2>&1)
  rc=$?
  case $rc in
  0) fail "$fact" "exit 0: $*" "$out" ;;
  124 | 137) fail "$fact" "hung: $*" ;;
  126 | 127) fail "$fact" "not run, exit $rc: $*" "$out" ;;
  *) ok "$fact" ;;
  esac
}

there() {
  if [ -e "$2" ]; then ok "$1"; else fail "$1" "there is no $2"; fi
}

gone() {
  if [ -e "$2" ]; then fail "$1" "there is $2"; else ok "$1"; fi
}

# eventually FACT COMMAND...: becomes true. It is given up after 80 s and more: a busy machine is no failure.
eventually() {
  local fact=$1 i
  shift
  if until_true "$@"; then ok "$fact"; else fail "$fact" "not within 80 s: $*" "now: $("$@" 2>&1)"; fi
}

until_true() {
  local i
  for ((i = 0; i < 1600; i++)); do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.05
  done
  return 1
}

# is COMMAND... = WANT, for eventually: `eventually "it is Ready" is Ready cat FILE`
is() {
  local want=$1
  shift
  [ "$("$@")" = "$want" ]
}

# has FILE ERE
has() {
  grep -qE -- "$2" "$1"
}

# ---- the daemon ----

# conf 'KEY = VALUE'...: settings of the next `up`, in TOML
conf() {
  CONF+=("$@")
}

# write_conf: the settings so far, for `up` or for a reload
write_conf() {
  {
    printf 'native_execution.working_directory = "%s/w"\n' "$T"
    printf 'lifecycle.termination_timeout = "2s"\n'
    printf 'policies.defaults = false\n' # test_defaults.sh has them
    [ ${#CONF[@]} -eq 0 ] || printf '%s\n' "${CONF[@]}"
  } >"$T/symbi.toml"
}

# try_up [ARG...]: `symbi up` as its own status says.
try_up() {
  write_conf
  "$TEST_BIN/symbi" up --mount "$M" --state "$S" --config "$T/symbi.toml" --allow-native "$@"
}

up() {
  local out
  out=$(try_up "$@" 2>&1) || die "symbi up" "$out"
  export DAEMON
  DAEMON=$(key "$M/status" pid)
}

down() {
  "$TEST_BIN/symbi" down --mount "$M"
}

# key FILE KEY: the value of a `key value` line
key() {
  sed -n "s/^$2 //p" "$1" | head -1
}

# last_error: the message of the last line of errors
last_error() {
  tail -n 1 "$M/errors"
}

# ---- agents ----

# spec NAME CODE [LINE...] > FILE: a native agent that runs CODE in sh; LINEs are further keys.
spec() {
  local code=$2
  shift 2
  printf 'tier: None\nruntime: sh\n'
  [ $# -eq 0 ] || printf '%s\n' "$@"
  printf 'code: |\n'
  sed 's/^/  /' <<<"$code"
}

# agent NAME CODE [LINE...]
agent() {
  spec "$@" >"$T/$1.spec"
  cp "$T/$1.spec" "$A/$1.yaml" 2>"$T/agent.err" ||
    die "agent $1 is made" "$(cat "$T/agent.err")" "$(last_error)"
}

# ask NAME TEXT: one run, its answer
ask() {
  echo "$2" >"$A/$1/run" && cat "$A/$1/run"
}

# state NAME
state() {
  cat "$A/$1/state"
}

# ---- other users ----

OTHER=54321 # a uid that nobody has
as_other() {
  setpriv --reuid "$OTHER" --regid "$OTHER" --clear-groups -- "$@"
}
