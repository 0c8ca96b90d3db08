#!/bin/bash
# SPDX-License-Identifier: MIT
# test_read_all.sh - many processes read every file of the tree, several times, while agents come and go, ask and
# end: the daemon answers afterwards as before and holds no file more. TEST_LONG=1: more of it.
. "${0%/*}/lib.sh"
need python3
rounds=3 walkers=6
[ -z "${TEST_LONG:-}" ] || rounds=40 walkers=16
up
agent a cat
agent fails 'exit 3'
agent p 'while :; do echo line; sleep 0.2; done' 'execution_mode: persistent'
agent slow 'sleep 1000'
ask a question >/dev/null
# An answer belongs to who asked and to its parent: this one to none of the walkers, who would get its failure.
sh -c "sh -c 'echo question > $A/fails/run'; :"
echo question >"$A/slow/run.d/unfinished"
eventually "a run is under way" has "$A/slow/runs/1/status" '^state running'

open_files() {
  find "/proc/$DAEMON/fd" -lname '/*' | wc -l
}
before=$(open_files)
python3 "$HERE/walkers.py" "$M" "$rounds" "$walkers" >"$T/walkers.out" 2>&1 &
walking=$!
n=0
while kill -0 $walking 2>/dev/null; do
  n=$((n + 1))
  spec "n$n" cat >"$A/n$n.yaml" || fail "agent n$n is made" "$(last_error)"
  eq "agent n$n answers meanwhile" "hello $n" "$(ask "n$n" "hello $n")"
  rm "$A/n$n.yaml" || fail "agent n$n is deleted" "$(last_error)"
done
wait $walking
rc=$?
sed 's/^/     /' "$T/walkers.out" | cut -c1-500
eq "no walker met what it may not meet" 0 "$rc"
eq "all of them came to their end" "$walkers" "$(grep -c '^walker .*bad' "$T/walkers.out")"
eq "it is the same daemon" "$DAEMON" "$(key "$M/status" pid)"
eq "its health" ok "$(head -1 "$M/health")"
eq "it answers" again "$(ask a again)"
eventually "it holds no file more than before" test "$(open_files)" -le "$((before + 1))"
eq "nobody's run was disturbed" running "$(sed -n 's/^state //p' "$A/slow/runs/1/status")"
echo stop >"$A/slow/ctl"
finish
