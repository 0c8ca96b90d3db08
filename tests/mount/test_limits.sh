#!/bin/bash
# SPDX-License-Identifier: MIT
# test_limits.sh - what does not end by itself, wants too much or cannot be started ends as its limits say, the
# reason is told, and nothing is left behind.
. "${0%/*}/lib.sh"
need python3
conf 'native_execution.max_processes = 20' 'native_execution.max_output_mb = 2' \
  'scheduler.max_concurrent_tasks = 8'
up

# run_of NAME TEXT: ask and wait for the end of the run; what the asker got is in out, err and rc
run_of() {
  out=$(timeout 100 sh -c "echo '$2' > $A/$1/run && cat $A/$1/run" 2>"$T/err")
  rc=$?
  err=$(cat "$T/err")
  number=$(find "$A/$1/runs" -mindepth 1 -maxdepth 1 -printf '%P\n' | sort -n | tail -n 1)
  status=$(cat "$A/$1/runs/$number/status")
}
failed_run() { # FACT ERE: the asker's exit status was not 0, and status has the reason
  if [ "$rc" != 0 ] && [ "$rc" != 124 ]; then ok "$1: who asked is told"; else fail "$1: who asked is told" "exit $rc" "$out" "$err"; fi
  like "$1: the run's status says why" "$2" "$status"
}
left() { # MARK; the brackets are for grep itself
  grep -lsa -- "${1%?}[${1: -1}]" /proc/[0-9]*/cmdline
}
nothing_left() { # FACT MARK: no process with MARK in its command line
  eventually "$1: no process is left" is "" left "$2"
}
daemon_lives() {
  eq "$1: the daemon lives" "$DAEMON" "$(key "$M/status" pid)"
}

# A fork bomb gets no further than max_processes, and ends with its run. Shells that cannot fork exit: what each leaves
# stays to be counted.
stay="tail -f /dev/null mark-bomb-$$ 2>&1 &"
agent bomb "trap '' TERM; b() { $stay b & b & wait; }; $stay b & wait" 'resource_limits: {execution_timeout: 2s}'
echo go >"$A/bomb/run.d/x"
eventually "a fork bomb: it runs" has "$A/bomb/runs/1/status" '^state running'
eq "meanwhile the mount answers" "$DAEMON" "$(key "$M/status" pid)"
most=0
for _ in 1 2 3 4 5 6 7 8; do
  now=$(left "mark-bomb-$$" | wc -l)
  [ "$now" -le "$most" ] || most=$now
  sleep 0.1
done
eventually "a fork bomb ends" has "$A/bomb/runs/1/status" '^state done'
like "it was its time that ended it" 'timeout|time' "$(cat "$A/bomb/runs/1/status")"
echo "     processes while it ran: $most"
eq "it had more than one and no more than max_processes" yes "$([ "$most" -gt 1 ] && [ "$most" -le 20 ] && echo yes)"
nothing_left "a fork bomb" "mark-bomb-$$"
daemon_lives "a fork bomb"

# SIGTERM is ignored: the whole group is killed after termination_timeout.
agent deaf ": mark-deaf-$$; trap '' TERM; while :; do sleep 1; done" 'resource_limits: {execution_timeout: 1s}'
run_of deaf x
failed_run "a run that ignores SIGTERM" 'timeout|time'
nothing_left "a run that ignores SIGTERM" "mark-deaf-$$"
agent deafp ": mark-deafp-$$; trap '' TERM; while :; do sleep 1; done" 'execution_mode: persistent'
eventually "a persistent one runs" is Running state deafp
works "stop" sh -c "echo stop > $A/deafp/ctl"
eventually "it is ended" is Ready state deafp
nothing_left "a persistent one that ignores SIGTERM" "mark-deafp-$$"

# 1 GB of stdout: no more than max_output_mb is kept.
agent loud 'head -c 1000000000 /dev/zero'
run_of loud x
failed_run "1 GB of stdout" 'output|file|XFSZ'
eq "1 GB of stdout: what is kept" 1 "$(($(stat -c %s "$A/loud/runs/1/output") <= 2 * 1024 * 1024))"
agent louder 'while :; do echo 0123456789012345678901234567890123456789; done >&2' 'resource_limits: {execution_timeout: 60s}'
run_of louder x
failed_run "endless stderr" 'output|file|XFSZ|time'
eq "endless stderr: what is kept" 1 "$(($(stat -c %s "$A/louder/runs/1/stderr") <= 2 * 1024 * 1024))"
eq "the state directory has not grown beyond that" 1 "$(($(du -sm "$S" | cut -f1) < 100))"

# Time, memory, input.
agent slow 'sleep 1000' 'resource_limits: {execution_timeout: 1s}'
run_of slow x
failed_run "execution_timeout" 'timeout|time'
agent idle 'sleep 1000' 'resource_limits: {idle_timeout: 1s}'
run_of idle x
failed_run "idle_timeout" 'idle'
spec busy 'end=$(($(date +%s) + 4)); while [ $(date +%s) -lt $end ]; do :; done; echo done' 'resource_limits: {idle_timeout: 2s}' >"$A/busy.yaml"
run_of busy x
eq "idle_timeout: who works is not idle" "done" "$out"
printf 'tier: None\nruntime: python3\nresource_limits: {memory_mb: 64}\ncode: |\n  x = bytearray(500 * 1024 * 1024)\n  for i in range(0, len(x), 4096): x[i] = 1\n  print("had it all")\n' >"$A/hog.yaml"
run_of hog x
failed_run "a memory hog" 'memory|MemoryError|exit|signal'
unlike "a memory hog: it had not all" 'had it all' "$out"
agent noin 'cat; echo end'
eq "no input: the end of the file at once" end "$(: >"$A/noin/run.d/e"; timeout 100 sh -c "printf '' > $A/noin/run.d/e; echo > $A/noin/run.d/e; cat $A/noin/run.d/e" | tail -n 1)"
agent closes 'exec <&-; sleep 1; echo still here'
eq "a program that closes its input" "still here" "$(head -c 900000 /dev/zero | tr '\0' x >"$A/closes/run.d/big"; cat "$A/closes/run.d/big")"
agent closed 'exec >&-; exec 2>&-; sleep 0.1'
run_of closed x
eq "a program that closes its output succeeds with nothing" "0 " "$rc $out"

# What cannot be started.
printf 'tier: None\ncommand: [no-such-program]\n' >"$A/none.yaml"
run_of none x
failed_run "a program that does not exist" "no-such-program.*No such file"
like "errors says so" "no-such-program.*No such file" "$(last_error)"
printf 'tier: None\nexecution_mode: persistent\nrestart: {policy: always, max_restarts: 1}\ncommand: [no-such-program]\n' >"$A/nonep.yaml"
eventually "a persistent one fails" is Failed state nonep
like "its error says why" "no-such-program.*No such file" "$(cat "$A/nonep/error")"
agent gone "exec no-such-program-$$"
run_of gone x
failed_run "a shell that finds no program" 'exit 127|127'
agent three 'echo part; echo why >&2; exit 3'
run_of three x
failed_run "exit status 3" '3'
eq "its output is kept" part "$(cat "$A/three/runs/1/output")"
eq "and what it said" why "$(cat "$A/three/runs/1/stderr")"
agent killed 'kill -9 $$'
run_of killed x
failed_run "a program that is killed" '9|KILL'
daemon_lives "after all of them"
eq "its health" ok "$(head -n 1 "$M/health")"
for n in bomb deaf loud slow hog killed; do
  eq "$n: it has no process" 0 "$(cut -d. -f1 "$A/$n/usage/pids")"
done
finish
