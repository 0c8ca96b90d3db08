#!/bin/bash
# quickstart.sh: from a fresh Debian 12 to agents that run. Installs what is missing (root or sudo), builds, starts the
# daemon, mounts the tree and takes a tour of it; the mount stays, to be played with.
#   examples/quickstart.sh             as root on /symbi, else on $XDG_RUNTIME_DIR/symbi (without it /tmp/symbi-UID/symbi)
#   examples/quickstart.sh --stop      stops the daemon and its agents and unmounts
#   --mount DIR, --state DIR           elsewhere than the defaults
#   --bin DIR                          programs that are there already: nothing is installed or built
set -eu
cd "$(dirname "$0")/.."

stop='' mount='' state='' bin=''
while [ $# -gt 0 ]; do
  case $1 in
    --stop) stop=yes; shift ;;
    --mount) mount=$2; shift 2 ;;
    --state) state=$2; shift 2 ;;
    --bin) bin=$2; shift 2 ;;
    *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; [ "$1" = --help ] && exit 0 || exit 2 ;;
  esac
done

say() { printf '\n# %s\n' "$*"; }
fail() { echo "quickstart: $*" >&2; exit 1; }
# show COMMAND: as one would type it in the mount, then what it does. refused COMMAND: the same, and it must fail.
show() {
  printf '$ %s\n' "$*"
  bash -c "$*" 2>&1 || fail "this should have worked; $at/errors may say why it did not"
}
refused() {
  local status=0
  printf '$ %s\n' "$*"
  bash -c "$*" 2>&1 || status=$?
  echo "(exit status $status)"
  [ $status != 0 ] || fail "this should have been refused"
}

if [ -n "$stop" ]; then
  : "${bin:=build/release/bin}"
  [ -x "$bin/symbi" ] || fail "there is no $bin/symbi; nothing was started from here"
  if ! "$bin/symbi" status ${mount:+--mount "$mount"} >/dev/null 2>&1; then
    echo "no daemon is running"
    exit 0
  fi
  "$bin/symbi" down ${mount:+--mount "$mount"}
  echo "stopped and unmounted; agents and journal stay in the state directory for the next start"
  exit 0
fi

if [ -z "$bin" ]; then
  bin=build/release/bin
  say "packages, then a release build"
  cmake/install-deps.sh build run || exit 1
  mkdir -p build
  if ! { cmake --preset release && cmake --build --preset release; } >build/quickstart.log 2>&1; then
    tail -n 30 build/quickstart.log >&2
    fail "the build failed; build/quickstart.log has all of it"
  fi
fi
if [ ! -e /dev/fuse ]; then
  fail "there is no /dev/fuse: load the module (modprobe fuse), or give the container --device /dev/fuse and CAP_SYS_ADMIN"
elif [ ! -r /dev/fuse ] || [ ! -w /dev/fuse ]; then
  fail "/dev/fuse is closed to you; udev opens it on most machines, here root has to: chmod 666 /dev/fuse"
elif [ "$(id -u)" != 0 ] && [ ! -e /etc/mtab ]; then
  fail "there is no /etc/mtab, without which fusermount3 cannot unmount; as root: ln -s ../proc/self/mounts /etc/mtab"
fi

say "the daemon; agents run in a sandbox each, Tier1, which is the default"
if "$bin/symbi" status ${mount:+--mount "$mount"} >/dev/null 2>&1; then
  at=$("$bin/symbi" status ${mount:+--mount "$mount"} | sed -n 's/^mount //p')
  echo "it runs already, on $at"
else
  echo "\$ $bin/symbi up${mount:+ --mount $mount}${state:+ --state $state}"
  at=$("$bin/symbi" up ${mount:+--mount "$mount"} ${state:+--state "$state"}) || exit 1
  echo "$at"
fi
examples=$PWD/examples bin=$(cd "$bin" && pwd)
cd "$at"
show "cat version health"
grep -q '^Tier1 available' sandbox/tiers || fail "no sandbox can be had here: $(sed -n 's/^Tier1 no //p' sandbox/tiers)"

say "an agent is a file; writing it creates the agent"
show "cat $examples/agents/greet.yaml"
for spec in usher.yaml greet.yaml words.json upper.toml clock.yaml; do
  show "cp $examples/agents/$spec agents/"
done
show "ls agents"

say "ask: write an input, read the answer of that run"
show "echo world > agents/greet/run; cat agents/greet/run"
show "echo one two three > agents/words/run; cat agents/words/run"
show "cat agents/greet/runs/1/status"
show "grep -E '^(tier|layers|limits_by)' agents/greet/status"

say "a persistent agent has its streams as files"
show "echo good morning > agents/upper/stdin"
tries=100
while [ ! -s agents/upper/stdout ] && [ $((tries -= 1)) -gt 0 ]; do sleep 0.1; done
show "cat agents/upper/stdout"
show "echo suspend > agents/upper/ctl; cat agents/upper/state; echo resume > agents/upper/ctl; cat agents/upper/state"

say "agents start by themselves too: usher when another is created, clock every minute"
show "cat agents/usher/status; tail -n 2 agents/usher/log"

say "limits and usage are files"
show "echo 128 > agents/greet/limits/memory_mb; cat agents/greet/limits/memory_mb"
show "cat agents/words/usage/cpu_seconds agents/words/usage/runs_total"

say "what is wrong is refused by the write itself, changes nothing, and errors says why"
refused "printf 'command: [date]\nsecurity_tier: Teir1\n' > agents/wrong.yaml"
show "tail -n 1 errors"
refused "ls agents/wrong.yaml"

say "everything that happened is in events, and in a journal that proves its own order"
show "tail -n 3 events"
show "$bin/symbi journal verify${state:+ --state $state}"

say "the tree stays mounted on $at; cat $at/README says what its files are"
echo "to end it: $0 --stop${mount:+ --mount $mount}"
