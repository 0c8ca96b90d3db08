#!/bin/bash
# SPDX-License-Identifier: MIT
# test_shared.sh - with paths.shared, whoever has that directory bound goes on with the next daemon: in another mount
# namespace, as a container has it, and in this one.
. "${0%/*}/lib.sh"
need_root
need unshare mount mountpoint
unshare -m --propagation slave true 2>/dev/null || skip "no mount namespace can be made here"
P=$T/share
conf "paths.shared = \"$P\""
up
agent a cat
eq "the tree is in the shared directory" "$(cat "$A/a/id")" "$(cat "$P/symbi/agents/a/id")"
like "which passes on what is mounted in it" " $P .* shared:" "$(grep -F " $P " /proc/self/mountinfo)"

# mounts DIR...: how many stand on each
mounts() {
  local dir
  for dir in "$@"; do
    awk -v d="$dir" '$5 == d { n++ } END { print n + 0 }' /proc/self/mountinfo
  done | xargs
}

# A container: a mount namespace of its own, the directory bound elsewhere. It asks when it is told to.
mkdir "$T/in" "$T/bound"
mkfifo "$T/go" "$T/said"
unshare -m --propagation slave sh -c '
  mount --rbind "$1" "$2" && mount --make-rslave "$2" || exit 1
  while read -r line; do
    { cat "$2/symbi/agents/a/id" && echo "$line" | sh -c "cat > $2/symbi/agents/a/run; cat $2/symbi/agents/a/run"; } 2>&1 | xargs
  done' sh "$P" "$T/in" <"$T/go" >"$T/said" &
exec 8>"$T/go" 9<"$T/said"
contained() {
  echo "$1" >&8
  read -r -t 60 -u 9 line && echo "$line"
}
mount --rbind "$P" "$T/bound"
id=$(cat "$A/a/id")
eq "a container sees it" "$id one" "$(contained one)"
eq "a bind beside it too" "$id" "$(cat "$T/bound/symbi/agents/a/id")"

kill -9 "$DAEMON" "$(key "$M/status" worker_pid)"
eventually "the daemon is gone" sh -c "! kill -0 $DAEMON"
refused "its tree is dead" cat "$P/symbi/version"
up
eq "the container goes on with the next daemon" "$id two" "$(contained two)"
eq "the bind does too" "$id" "$(cat "$T/bound/symbi/agents/a/id")"
eq "nothing is mounted twice" "1 1 1" "$(mounts "$M" "$P" "$P/symbi")"

works "down" "$TEST_BIN/symbi" down --mount "$M"
eq "down leaves no tree" "0 0" "$(mounts "$M" "$P/symbi")"
up
eq "after a stop and a start as well" "$id three" "$(contained three)"
exec 8>&- 9<&-
finish
