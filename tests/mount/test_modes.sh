#!/bin/bash
# SPDX-License-Identifier: MIT
# test_modes.sh - persistent, scheduled and event-driven agents: their streams, suspending, restarts with backoff and
# intensity, intervals, topics, and every word of ctl.
. "${0%/*}/lib.sh"
up

# A persistent agent: its streams and its commands.
spec p 'echo ready; while read -r line; do echo "got $line"; echo "err $line" >&2; done; echo end of input' \
  'execution_mode: persistent' 'restart: never' >"$A/p.yaml"
eventually "persistent: it runs" is Running state p
eventually "stdout has what it said" has "$A/p/stdout" '^ready$'
works "stdin takes lines" sh -c "echo one > $A/p/stdin; printf 'two\nthree\n' >> $A/p/stdin"
eventually "they arrived, in order" has "$A/p/stdout" '^got three$'
eq "each once" "ready,got one,got two,got three," "$(tr '\n' ',' <"$A/p/stdout")"
eventually "stderr has its own" has "$A/p/stderr" '^err three$'
eq "nothing of it is in stdout" 0 "$(grep -c err "$A/p/stdout")"
tail -n +1 -f "$A/p/stdout" >"$T/tail.out" 2>/dev/null &
tailing=$!
echo four >"$A/p/stdin"
eventually "tail -f of stdout follows" has "$T/tail.out" '^got four$'
kill $tailing
works "message TEXT is a line of input" sh -c "echo 'message hello there' > $A/p/ctl"
eventually "it arrived" has "$A/p/stdout" '^got hello there$'
like "log has its life" 'Running|started' "$(cat "$A/p/log")"
pid=$(cat "$A/p/pid")
eq "pid is a process" "$pid" "$(sed -n 's/^Pid:\s*//p' "/proc/$pid/status")"

# suspend freezes every process, resume goes on with the same ones.
spec s "while :; do date +%N; sleep 0.05; done" 'execution_mode: persistent' >"$A/s.yaml"
grown() { [ "$(stat -c %s "$A/s/stdout")" -gt "$1" ]; }
eventually "it writes" grown 0
pid_s=$(cat "$A/s/pid")
works "suspend" sh -c "echo suspend > $A/s/ctl"
eq "the state says so" Suspended "$(state s)"
size=$(stat -c %s "$A/s/stdout")
sleep 1
eq "suspended it writes nothing" "$size" "$(stat -c %s "$A/s/stdout")"
refused "suspend twice" sh -c "echo suspend > $A/s/ctl"
works "resume" sh -c "echo resume > $A/s/ctl"
eventually "it goes on" grown "$size"
eq "it is the same process" "$pid_s" "$(cat "$A/s/pid")"
works "restart" sh -c "echo restart > $A/s/ctl"
other_pid() { [ -n "$(cat "$A/s/pid")" ] && [ "$(cat "$A/s/pid")" != "$pid_s" ]; }
eventually "restart: another process" other_pid
eventually "the old one is gone" test ! -d "/proc/$pid_s"
works "stop" sh -c "echo stop > $A/s/ctl"
eventually "stop: it is Ready" is Ready state s
eq "no process" "" "$(cat "$A/s/pid")"
works "start" sh -c "echo start > $A/s/ctl"
eventually "start: it runs" is Running state s
works "suspend, then stop" sh -c "printf 'suspend\nstop\n' > $A/s/ctl"
eventually "a frozen one is ended as well" is Ready state s
works "terminate" sh -c "echo terminate > $A/s/ctl"
eventually "terminate: it is Terminated" is Terminated state s
refused "a word that ctl does not know" sh -c "echo dance > $A/s/ctl"
like "errors names those it knows" 'start.*stop.*suspend' "$(last_error)"

# kill SIGNAL reaches it, eof closes its input.
spec k 'trap "echo caught" USR1; echo ready; while :; do sleep 0.05; done' 'execution_mode: persistent' 'restart: never' >"$A/k.yaml"
eventually "it is ready" has "$A/k/stdout" ready
works "kill USR1" sh -c "echo 'kill USR1' > $A/k/ctl"
eventually "it caught it" has "$A/k/stdout" caught
refused "a signal that there is not" sh -c "echo 'kill NONE' > $A/k/ctl"
works "kill KILL" sh -c "echo 'kill KILL' > $A/k/ctl"
not_running() { [ "$(state k)" != Running ]; }
eventually "that ends it" not_running
works "eof" sh -c "echo eof > $A/p/ctl"
eventually "p saw the end of its input" has "$A/p/stdout" '^end of input$'
eventually "and ended" is Ready state p

# Restarts: always, on failure, never; with backoff; no more than max_restarts in the window.
count() { grep -c . "$T/$1" 2>/dev/null; }
at_least() { [ "$(count "$1")" -ge "$2" ]; }
spec crash "date +%s.%N >> $T/crash; exit 3" 'execution_mode: persistent' 'restart: {policy: on-failure, max_restarts: 3, window: 60s}' >"$A/crash.yaml"
eventually "after 3 restarts a fourth is one too many" has "$A/crash/log" 'not restarted: 3 restarts within the window'
eq "it has failed" Failed "$(state crash)"
eq "it was started once and restarted three times" 4 "$(count crash)"
like "its error says how it ended" 'exit code 3' "$(cat "$A/crash/error")"
awk 'NR > 1 { printf "     %.2f s after the start before\n", $1 - last } { last = $1 }' "$T/crash"
works "start after it failed" sh -c "echo start > $A/crash/ctl"
eventually "it is tried again" at_least crash 5
spec over "echo x >> $T/over; exit 0" 'execution_mode: persistent' 'restart: on-failure' >"$A/over.yaml"
eventually "on-failure: a good end is an end" is Ready state over
eq "it ran once" 1 "$(count over)"
spec again "echo x >> $T/again; exit 0" 'execution_mode: persistent' 'restart: {policy: always, max_restarts: 100}' >"$A/again.yaml"
eventually "always: after a good end as well" at_least again 3
works "stop" sh -c "echo stop > $A/again/ctl"
eventually "it stays ended" is Ready state again
spec once "echo x >> $T/once; exit 3" 'execution_mode: persistent' 'restart: never' >"$A/once.yaml"
eventually "never" is Failed state once
eq "it ran once" 1 "$(count once)"

# Scheduled: a run at each interval.
spec clock "echo x >> $T/clock; cat" 'execution_mode: scheduled' 'interval: 1s' >"$A/clock.yaml"
eventually "scheduled: it runs again and again" at_least clock 3
eventually "each is a run that is kept" test -e "$A/clock/runs/3/status"
like "which went well" '^result ok' "$(cat "$A/clock/runs/1/status")"
works "suspend" sh -c "echo suspend > $A/clock/ctl"
sleep 0.5
n=$(count clock)
sleep 2.2
eq "suspended it does not run" "$n" "$(count clock)"
works "resume" sh -c "echo resume > $A/clock/ctl"
eventually "then it does" at_least clock $((n + 1))
rm "$A/clock.yaml"
n=$(count clock)
sleep 1.5
eq "deleted it does not run" "$n" "$(count clock)"

# Event-driven: a run for each event of a topic, the event its input.
spec watch "cat >> $T/watch" 'execution_mode: event_driven' 'topic: agent.created' >"$A/watch.yaml"
agent new1 cat
agent new2 cat
eventually "event-driven: it was told of the first" has "$T/watch" '"type":"agent.created".*"new1"'
eventually "and of the second" has "$T/watch" '"type":"agent.created".*"new2"'
rm "$A/new1.yaml"
agent new3 cat
eventually "and of the third" has "$T/watch" '"new3"'
eq "of no other topic" "" "$(grep -v '"type":"agent.created"' "$T/watch")"
spec all "cat >> $T/all" 'execution_mode: event_driven' 'topic: agent.*' >"$A/all.yaml"
rm "$A/new3.yaml"
eventually "a topic with a star" has "$T/all" '"type":"agent.deleted".*"new3"'

rm "$A/watch.yaml" "$A/all.yaml"

# Ephemeral: a run for each question, side by side.
agent two "echo x >> $T/two; while [ ! -e $T/go ]; do sleep 0.05; done; cat"
for i in 1 2 3; do echo "q$i" >"$A/two/run.d/c$i"; done
eventually "ephemeral: three runs at once" at_least two 3
like "status says how many" '^runs_running 3' "$(cat "$A/two/status")"
touch "$T/go"
eq "each has its own answer" "q1 q2 q3" "$(cat "$A/two/run.d/c1" "$A/two/run.d/c2" "$A/two/run.d/c3" | xargs)"

# What cannot run yet waits, and says for what.
conf 'scheduler.max_concurrent_tasks = 2'
rm "$T/go"
write_conf
works "reload" sh -c "echo reload > $M/ctl"
for i in 1 2 3; do echo "w$i" >"$A/two/run.d/w$i"; done
eventually "of three runs two are under way" has "$A/two/status" '^runs_running 2'
like "the agent says for what the third waits" '^waits_for scheduler.max_concurrent_tasks' "$(cat "$A/two/status")"
waiting=$(grep -l '^state queued' "$A"/two/runs/*/status)
like "so does the run" '^waits_for scheduler.max_concurrent_tasks: 2 run' "$(cat "$waiting")"
touch "$T/go"
eq "it has its turn" "w1 w2 w3" "$(cat "$A/two/run.d/w1" "$A/two/run.d/w2" "$A/two/run.d/w3" | xargs)"

# A restart of the daemon: what persisted runs again, what was stopped stays so.
eq "the daemon is well" ok "$(head -n 1 "$M/health")"
works "symbi down" "$TEST_BIN/symbi" down --mount "$M"
up
eq "a terminated one stays so" Terminated "$(state s)"
eq "one that failed does not come back by itself" Failed "$(state once)"
finish
