#!/bin/bash
# SPDX-License-Identifier: MIT
# test_tail.sh - logs grow and end; wait/ blocks: tail -f, while read, poll and epoll in both ways, and
# reads that would wait and may not.
. "${0%/*}/lib.sh"
need busybox python3 stdbuf
up
agent a cat

# tail -f of a log: GNU and busybox, each line once, in order
: >"$T/tail.out"
tail -n +1 -f "$M/events" >"$T/tail.out" &
busybox tail -n +1 -f "$M/events" >"$T/bbtail.out" &
tail -n +1 -F "$A/a/log" >"$T/log.out" 2>/dev/null &
for i in 1 2 3 4 5; do ask a "$i" >/dev/null; done
last=$(tail -n 1 "$M/events" | sed 's/.*"seq":\([0-9]*\).*/\1/')
eventually "tail -f sees the last event" has "$T/tail.out" "\"seq\":$last,"
eventually "busybox tail -f sees it" has "$T/bbtail.out" "\"seq\":$last,"
head -n "$(wc -l <"$T/tail.out")" "$M/events" >"$T/events"
same "tail -f printed every event once, in order" "$T/events" "$T/tail.out"
works "their numbers only grow" sh -c "sed 's/.*\"seq\":\([0-9]*\).*/\1/' $T/events | sort -nuC"
same "busybox tail -f printed the same" "$T/tail.out" "$T/bbtail.out"
kill %1 %2 %3 2>/dev/null
wait 2>/dev/null

# wait/events: a shell loop, cat, head
(while IFS= read -r line; do echo "$line"; [ "$(wc -l <"$T/loop.out")" -ge 3 ] && break; done <"$M/wait/events") >"$T/loop.out" &
loop=$!
env --default-signal=INT cat "$M/wait/events" >"$T/cat.out" & # a script's `&` ignores SIGINT
cat=$!
busybox cat "$M/wait/events" >"$T/bbcat.out" &
bbcat=$!
head -n 2 "$M/wait/events" >"$T/head.out" 2>/dev/null & # it complains that it cannot seek
head=$!
waiting() { # all four have it open
  local n=0 pid
  for pid in $loop $cat $bbcat $head; do
    # shellcheck disable=SC2010 # what the links point at
    ls -l "/proc/$pid/fd" 2>/dev/null | grep -q wait/events && n=$((n + 1))
  done
  echo $n
}
eventually "four readers have it open" is 4 waiting
ask a again >/dev/null
last=$(tail -n 1 "$M/events" | sed 's/.*"seq":\([0-9]*\).*/\1/')
eventually "cat of wait/events goes on" has "$T/cat.out" "\"seq\":$last,"
eventually "busybox cat goes on" has "$T/bbcat.out" "\"seq\":$last,"
eventually "head -n 2 ends" test ! -d "/proc/$head"
eq "head has two lines" 2 "$(wc -l <"$T/head.out")"
like "each line is an event" '^\{"seq":[0-9]+,.*\}$' "$(head -n 1 "$T/cat.out")"
ask a and again >/dev/null
eventually "the shell loop had its three lines" test ! -d "/proc/$loop"
like "a line is whole in the loop" '^\{"seq":[0-9]+,.*\}$' "$(head -n 1 "$T/loop.out")"
kill -INT $cat 2>/dev/null
eventually "SIGINT ends a waiting cat" test ! -d "/proc/$cat"
kill -TERM $bbcat
eventually "SIGTERM ends a waiting busybox cat" test ! -d "/proc/$bbcat"

# wait/agents/NAME: the next state, once
agent p 'while :; do sleep 1; done' 'execution_mode: persistent'
eventually "p runs" is Running state p
cat "$M/wait/agents/p" >"$T/state.out" &
w=$!
eventually "it is waited for" sh -c "ls -l /proc/$w/fd | grep -q wait/agents"
eq "nothing is said while nothing changes" "" "$(cat "$T/state.out")"
echo suspend >"$A/p/ctl"
eventually "cat of wait/agents/p ends by itself" test ! -d "/proc/$w"
eq "it said the next state" Suspended "$(cat "$T/state.out")"
echo resume >"$A/p/ctl"

agent slow "read q; while [ ! -e $T/go ]; do sleep 0.05; done; echo answer \$q"
python3 "$HERE/polling.py" "$M" >"$T/poll.out" 2>&1
while IFS= read -r line; do
  case $line in
  'ok '*) ok "${line#ok }" ;;
  *) fail "${line#FAIL }" ;;
  esac
done <"$T/poll.out"
like "polling.py came to its end" 'ok the end' "$(tail -n 1 "$T/poll.out")"
finish
