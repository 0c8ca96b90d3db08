#!/bin/bash
# SPDX-License-Identifier: MIT
# test_dead_mount.sh - parent and worker are killed: the next start takes the dead mount's place without a
# hand, finds every agent, and its stop leaves no mount and no process.
. "${0%/*}/lib.sh"
up
agent a cat
agent p 'while :; do sleep 1; done' 'execution_mode: persistent'
eventually "p runs" is Running state p
id=$(cat "$A/a/id") old=$(cat "$A/p/pid")
worker=$(key "$M/status" worker_pid)
kill -9 "$DAEMON" "$worker"
eventually "the old daemon is gone" sh -c "! kill -0 $DAEMON && ! kill -0 $worker"
up
eq "one mount stands there" 1 "$(grep -cF " $M " /proc/self/mountinfo)"
eq "the agent is the same" "$id" "$(cat "$A/a/id")"
eq "it answers" hello "$(ask a hello)"
eventually "the persistent agent runs again" is Running state p
gone "its old process is gone" "/proc/$old"
works "down" "$TEST_BIN/symbi" down --mount "$M"
eq "down leaves no mount" 0 "$(grep -cF " $M " /proc/self/mountinfo)"
eq "down leaves no process" "" "$(ours)"
up
eq "the agents are there after a clean stop too" "a a.yaml p p.yaml " "$(ls -A "$A" | tr '\n' ' ')"
finish
