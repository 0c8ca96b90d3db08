#!/bin/bash
# SPDX-License-Identifier: MIT
# approvals/: a run that waits for a decision, an act of a user that is repeated after it, who may decide, expiry, a worker that
# is killed and a daemon that is started again meanwhile.
# shellcheck source=tests/mount/lib.sh
. "${0%/*}/lib.sh"
conf 'store.checkpoint_interval = "200ms"'
up
P=$M/approvals/pending D=$M/approvals/done
cat >"$M/policies/gate.yaml" <<'SPEC'
version: "1.0"
policies:
  - name: held
    effect: Escalate
    reason: held agents are looked at first
    to: ["4711"]
    conditions:
      - resource_type: Agent
    resources: ["held*"]
    operations: [Execute]
  - name: control
    effect: Escalate
    conditions:
      - resource_type: Agent
    resources: ["shared"]
    operations: [Modify]
SPEC
one() { ls "$P" | head -1; }
some() { [ -n "$(ls "$P")" ]; }
none() { [ -z "$(ls "$P")" ]; }

# ---- a run that waits ----
agent held 'sleep 1; echo got $(cat)' 'resource_limits: {execution_timeout: 3s}'
agent free 'cat'
echo in >"$A/held/run"
eventually "an approval is asked for" some
id=$(one)
like "the request says who" "^agent held$" "$(cat "$P/$id/request")"
like "what" '^arguments \["' "$(cat "$P/$id/request")"
like "why" "^reason held agents are looked at first$" "$(cat "$P/$id/request")"
like "by which rule" "^rule held$" "$(cat "$P/$id/request")"
like "and how much it matters" "^risk high$" "$(cat "$P/$id/request")"
eq "as JSON too" held "$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["agent"])' "$P/$id/request.json")"
eq "the agent waits" Waiting "$(state held)"
like "its run says for what" "^waits_for approval $id$" "$(cat "$A/held/runs/1/status")"
eq "others run meanwhile" here "$(ask free here)"
refused "a word that is no decision" bash -c "echo perhaps >$P/$id/decision"
eq "changes nothing" pending "$(cat "$P/$id/decision")"
timeout 60 head -n 1 "$M/wait/approvals" >"$T/next" &
next=$!
sleep 4 # longer than its execution_timeout: waiting is not counted
kill -9 "$(key "$M/status" worker_pid)"
eventually "a worker that is killed loses none" is pending cat "$P/$id/decision"
works "somebody approves" bash -c "echo 'approve: looks good' >$P/$id/decision"
eq "and the run has its answer, with all of its time" "got in" "$(cat "$A/held/run")"
gone "the approval is not pending any more" "$P/$id"
like "but done" "^used by uid 0 at_ms [0-9]+: looks good$" "$(cat "$D/$id/decision")"
wait $next
like "who waited for events was told" "\"type\":\"approval.decided\".*\"approval\":$id" "$(cat "$T/next")"
for type in asked decided used; do
  like "the events have it: $type" "\"type\":\"approval.$type\".*\"approval\":$id" "$(grep "approval.$type" "$M/events")"
  eventually "the audit trail too: $type" has "$M/audit/by-agent/held" "\"type\":\"approval.$type\""
done

# ---- denied, withdrawn, expired ----
echo in >"$A/held/run"
eventually "the next run asks again" some
id=$(one)
works "somebody denies" bash -c "echo 'deny: not today' >$P/$id/decision"
refused "the run has failed" cat "$A/held/run"
like "and says by whom and why" "APPROVAL_002 .*denied by uid 0: not today" "$(cat "$A/held/error")"
refused "a decision is not changed" bash -c "echo approve >$D/$id/decision"
echo in >"$A/held/run"
eventually "asked once more" some
id=$(one)
works "the run is stopped" bash -c "echo stop >$A/held/ctl"
eventually "what it waited for is withdrawn" has "$D/$id/decision" '^withdrawn'
conf 'approvals.timeout = "1s"'
write_conf
works "settings are read again" bash -c "echo reload >$M/ctl"
echo in >"$A/held/run"
eventually "nobody decides in time" has "$A/held/error" 'APPROVAL_003'
like "which is no denial" "^expired$" "$(cat "$D/$(ls "$D" | sort -n | tail -1)/decision")"
CONF=()
write_conf
works "and again" bash -c "echo reload >$M/ctl"

# ---- the daemon is started again ----
echo later >"$A/held/run"
eventually "one more" some
id=$(one)
works "the daemon stops" "$TEST_BIN/symbi" down --mount "$M"
up
eq "the approval is still pending" pending "$(cat "$P/$id/decision")"
eventually "the run waits again" has "$A/held/runs/5/status" "waits_for approval $id"
eq "nothing is asked twice" 1 "$(ls "$P" | wc -l)"
works "it is approved" bash -c "echo approve >$P/$id/decision"
eventually "and runs" has "$A/held/runs/5/output" 'got later'

# ---- the arguments are edited before ----
printf 'tier: None\ncommand: [sh, -c, "echo asked"]\n' >"$A/heldcmd.yaml"
echo in >"$A/heldcmd/run"
eventually "a run waits to be edited" some
id=$(one)
eq "its arguments are there, whole" '["sh","-c","echo asked"]' "$(cat "$P/$id/arguments")"
refused "what is no list is refused" bash -c "echo 'echo edited' >$P/$id/arguments"
like "and it is said what is" 'APPROVAL_004.*write the arguments as one line of JSON' "$(last_error)"
refused "an empty one too" bash -c "echo '[]' >$P/$id/arguments"
eq "nothing has changed" '["sh","-c","echo asked"]' "$(cat "$P/$id/arguments")"
works "somebody edits them" bash -c "echo '[\"sh\",\"-c\",\"echo edited\"]' >$P/$id/arguments"
like "the request has the new ones" '^arguments \["sh","-c","echo edited"\]$' "$(cat "$P/$id/request")"
like "and those that were asked" '^arguments_asked \["sh","-c","echo asked"\]$' "$(cat "$P/$id/request")"
like "and who did" '^edited_by 0$' "$(cat "$P/$id/request")"
kill -9 "$(key "$M/status" worker_pid)"
eventually "a killed worker keeps the edit" has "$P/$id/request" '^arguments \["sh","-c","echo edited"\]$'
agent meddler "for f in $P/*/arguments; do echo '[\"sh\",\"-c\",\"echo mine\"]' >\$f; done 2>&1; echo rc \$?"
like "an agent's process edits nothing" "rc [1-9]|not permitted" "$(ask meddler x)"
eq "they are as edited" '["sh","-c","echo edited"]' "$(cat "$P/$id/arguments")"
works "the edited act is approved" bash -c "echo approve >$P/$id/decision"
eventually "and is what runs" has "$A/heldcmd/runs/1/output" '^edited$'
refused "behind the decision nothing is edited" bash -c "echo '[\"true\"]' >$D/$id/arguments"
like "the journal has who edited what" '"type":"approval.edited".*"uid":0.*echo edited' "$(grep approval.edited "$M/events")"
eventually "the audit trail too" has "$M/audit/by-agent/heldcmd" '"type":"approval.edited"'

# What it became is decided on by policy again, before it runs.
cat >"$M/policies/commands.yaml" <<'SPEC'
version: "1.0"
policies:
  - name: no-touch
    effect: Deny
    reason: this program is not for agents
    conditions:
      - resource_type: Command
    resources: ["touch", "**/touch"]
    operations: [Execute]
SPEC
echo in >"$A/heldcmd/run"
eventually "another run waits" some
id=$(one)
works "it is edited to what policy denies" bash -c "echo '[\"touch\",\"$T/touched\"]' >$P/$id/arguments"
works "and approved" bash -c "echo approve >$P/$id/decision"
refused "policy is asked again and denies" cat "$A/heldcmd/run"
like "naming the rule" "POLICY_001 .*rule 'no-touch'" "$(cat "$A/heldcmd/error")"
gone "nothing ran" "$T/touched"
rm "$M/policies/commands.yaml"

# An approval is for what was asked: a spec that changes meanwhile is asked for anew.
echo in >"$A/heldcmd/run"
eventually "one more waits" some
id=$(one)
printf 'tier: None\ncommand: [sh, -c, "touch %s/swapped"]\n' "$T" >"$A/heldcmd.yaml"
works "the spec is replaced, then it is approved" bash -c "echo approve >$P/$id/decision"
eventually "the other command is asked for by itself" some
like "with what it is" "touch $T/swapped" "$(cat "$P/$(one)/request")"
gone "and has not run" "$T/swapped"
works "it is denied" bash -c "echo 'deny: no' >$P/$(one)/decision"

# ---- an agent does not decide ----
agent rogue "for f in $P/*/decision; do echo approve >\$f; done 2>&1; echo rc \$?"
echo in >"$A/held/run"
eventually "something to be decided" some
id=$(one)
like "an agent's own process is refused, also as root" "rc [1-9]|not permitted" "$(ask rogue x)"
eq "it still waits" pending "$(cat "$P/$id/decision")"
like "errors says why" "APPROVAL_004.*an agent decides on none" "$(cat "$M/errors")"

# ---- users of the host ----
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
  as() { setpriv --reuid "$1" --regid "$1" --clear-groups -- "${@:2}"; }
  eq "whom no rule names sees nothing of it" "" "$(as 54321 cat "$P/$id/request" 2>/dev/null)"
  as 54321 bash -c "echo approve >$P/$id/decision" 2>/dev/null && fail "nor decides" || ok "nor decides"
  as 4711 bash -c "echo approve >$P/$id/decision" 2>"$T/err" && ok "whom it names does" || fail "whom it names does" "$(cat "$T/err")"
  eventually "and it runs" has "$A/held/runs/6/output" 'got in'
  agent shared 'cat'
  chown 54321 "$A/shared.yaml"
  as 54321 bash -c "echo suspend >$A/shared/ctl" 2>/dev/null && fail "a user's act waits" || ok "a user's act waits"
  like "the refusal has the number" "APPROVAL_001.*waits for approval [0-9]+" "$(as 54321 tail -1 "$M/errors")"
  id=$(one)
  as 54321 bash -c "echo suspend >$A/shared/ctl" 2>/dev/null
  eq "asking again is the same approval" 1 "$(ls "$P" | wc -l)"
  like "who asked sees it" "^uid 54321$" "$(as 54321 cat "$P/$id/request")"
  as 54321 bash -c "echo approve >$P/$id/decision" 2>/dev/null && fail "but does not decide" || ok "but does not decide"
  works "root approves" bash -c "echo approve >$P/$id/decision"
  as 54321 bash -c "echo suspend >$A/shared/ctl" 2>"$T/err" && ok "then the act is done" || fail "then the act is done" "$(cat "$T/err")"
  as 54321 bash -c "echo resume >$A/shared/ctl" 2>/dev/null && fail "once" || ok "once"
fi
finish
