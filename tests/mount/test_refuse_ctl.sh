#!/bin/bash
# SPDX-License-Identifier: MIT
# test_refuse_ctl.sh - what ctl, limits, run and the daemon's ctl do not know is refused in the write, with a
# sentence that says what is known; the agent is as it was.
. "${0%/*}/lib.sh"
need dash zsh busybox python3 node
up
agent a 'cat'

for sh in "bash -c" "dash -c" "zsh -c" "busybox sh -c"; do
  refused "$sh: echo nonsense > ctl" $sh "echo nonsense > $A/a/ctl"
  like "$sh: errors names the file" '"path":"agents/a/ctl"' "$(last_error)"
  like "$sh: errors has the words that are known" 'nonsense.*start.*stop.*suspend' "$(last_error)"
  refused "$sh: a good line before a bad one does not hide it" $sh "printf 'suspend nonsense\n' > $A/a/ctl"
  refused "$sh: kill of no signal" $sh "echo 'kill SIGNOTHING' > $A/a/ctl"
  like "$sh: errors names the signal" 'SIGNOTHING' "$(last_error)"
  refused "$sh: resume of an agent that is not suspended" $sh "echo resume > $A/a/ctl"
  like "$sh: errors says in which state it is" 'resume.*Ready' "$(last_error)"
  refused "$sh: a limit that is no number" $sh "echo lots > $A/a/limits/memory_mb"
  like "$sh: errors names the limit" 'agents/a/limits/memory_mb' "$(last_error)"
  refused "$sh: a negative limit" $sh "echo -5 > $A/a/limits/cpu_cores"
  refused "$sh: a limit there is none of" $sh "echo 1 > $A/a/limits/memory"
  refused "$sh: nonsense to the daemon's ctl" $sh "echo nonsense > $M/ctl"
  like "$sh: errors has the daemon's words" 'nonsense.*stop' "$(last_error)"
  refused "$sh: writing what is only read" $sh "echo x > $A/a/status"
  refused "$sh: writing the version" $sh "echo x > $M/version"
  refused "$sh: stdin of an agent that has none" $sh "echo x > $A/a/stdin"
done
refused "python3: ctl" python3 -c "
with open('$A/a/ctl', 'w') as f: f.write('nonsense\n')"
refused "python3: unbuffered ctl" python3 -c "
import os; os.write(os.open('$A/a/ctl', os.O_WRONLY), b'nonsense\n')"
refused "node: ctl" node -e "require('fs').writeFileSync('$A/a/ctl', 'nonsense\n')"
refused "no such agent" sh -c "echo start > $A/b/ctl"

eq "the state is as it was" Ready "$(state a)"
eq "memory_mb is as it was" 512 "$(cat "$A/a/limits/memory_mb")"
eq "cpu_cores is as it was" 1 "$(cat "$A/a/limits/cpu_cores" | sed 's/\.0*$//')"
eq "the agent answers" hello "$(ask a hello)"
like "the agent's error is the last refusal" 'AGENT_006|RESOURCE_002|AGENT_002' "$(cat "$A/a/error")"
finish
