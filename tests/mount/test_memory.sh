#!/bin/bash
# SPDX-License-Identifier: MIT
# agents/NAME/memory, knowledge, query and share: what an agent remembers and knows, kept over the end of worker and daemon, found by
# it and by nobody else until it is shared; limits, and forgetting.
# shellcheck source=tests/mount/lib.sh
CASE_SECONDS=600
. "${0%/*}/lib.sh"
need python3
conf 'context.max_context_size_mb = 1'
up
for a in alice bob carol; do printf 'command: ["/bin/true"]\n' >"$A/$a.yaml"; done
P=$A/alice

ask_as() { # AGENT QUESTION
  echo "$2" >"$A/$1/query" && cat "$A/$1/query"
}

# ---- memory ----
works "a fact" bash -c "echo 'the boiler runs at nine bar' >$P/memory/facts"
works "another is added" bash -c "echo 'the valve is brass' >>$P/memory/facts"
eq "both are there" 2 "$(wc -l <"$P/memory/facts")"
like "as JSON lines" '^\{"id":[0-9]+,"time":"20.*","importance":0.5,"weight":0.[0-9]+,"uses":0,"text":"the boiler runs at nine bar"\}$' "$(head -1 "$P/memory/facts")"
works "one of its own importance" bash -c "echo '{\"text\":\"never open the red door\",\"importance\":1}' >$P/memory/procedures"
like "which is kept" '"importance":1,' "$(cat "$P/memory/procedures")"
refused "an importance that is none" bash -c "echo '{\"text\":\"x\",\"importance\":7}' >$P/memory/facts"
like "errors says so" "CTX_002.*importance is a number from 0 to 1" "$(last_error)"
refused "a kind that there is not" bash -c "echo x >$P/memory/dreams"
works "a variable" bash -c "echo 'goal find the leak' >$P/memory/working"
works "is replaced" bash -c "echo 'goal fix the leak' >$P/memory/working"
eq "by its name" "goal fix the leak" "$(cat "$P/memory/working")"
works "and unset" bash -c "echo goal >$P/memory/working"
eq "then there is none" "" "$(cat "$P/memory/working")"
like "memory answers" 'the boiler runs at nine bar\. \[1\]|the boiler runs at nine bar \[1\]' "$(ask_as alice "at how many bar does the boiler run")"
like "and is cited" 'agents/alice/memory/facts#[0-9]+' "$(ask_as alice "boiler bar")"
like "its use counts" '"uses":[1-9]' "$(grep boiler "$P/memory/facts")"
id=$(sed -n 's/.*"id":\([0-9]*\),.*valve.*/\1/p' "$P/memory/facts")
works "one is forgotten" bash -c "echo -$id >$P/memory/facts"
unlike "and gone" valve "$(cat "$P/memory/facts")"
unlike "also from answers" brass "$(ask_as alice "what is the valve made of")"
refused "it cannot be forgotten twice" bash -c "echo -$id >$P/memory/facts"

# ---- knowledge ----
mkdir "$P/knowledge/plans"
printf '# Turbine\n\nThe turbine is from Turin.\n' >"$P/knowledge/plans/turbine.md"
like "knowledge answers, with file and line" '^\[1\] agents/alice/knowledge/plans/turbine.md:1-3  Turbine$' "$(ask_as alice "where is the turbine from")"
unlike "another agent finds nothing of it" Turin "$(ask_as bob "where is the turbine from")"
unlike "nor does rag/query" Turin "$(echo turbine >"$M/rag/query" && cat "$M/rag/query")"
refused "it cannot be moved out of sight into rag/docs unseen" python3 -c "import os; os.rename('$P/knowledge/plans/turbine.md', '$M/rag/docs/t.md')"
echo "all may know that the tower is tall" >"$M/rag/docs/tower.txt"
like "what all may know an agent finds too" "tower is tall" "$(ask_as bob "is the tower tall")"
like "a filter by source" 'tower.txt' "$(ask_as alice '{"query":"tower turbine","source":"tower*"}')"
unlike "leaves the rest out" 'turbine.md' "$(ask_as alice '{"query":"tower turbine","source":"tower*"}')"
unlike "a filter by time" 'turbine.md' "$(ask_as alice '{"query":"turbine","before":"2020-01-01"}')"
like "within it" 'turbine.md' "$(ask_as alice '{"query":"turbine","after":"2020-01-01"}')"
refused "a filter that is none" bash -c "echo '{\"query\":\"x\",\"sauce\":\"y\"}' >$P/query"
like "is named" "RAG_003.*'sauce' is none of query, source" "$(last_error)"

# ---- sharing ----
works "shared with one" bash -c "echo 'share plans/turbine.md bob Restricted' >$P/share"
like "that one finds it" Turin "$(ask_as bob "where is the turbine from")"
unlike "others do not" Turin "$(ask_as carol "where is the turbine from")"
eq "it is shown" "share plans/turbine.md bob Restricted" "$(cat "$P/share")"
eventually "and on record" has "$M/events" '"type":"knowledge.shared".*"path":"plans/turbine.md"'
works "in confidence" bash -c "echo 'share plans/turbine.md bob Confidential' >$P/share"
ask_as bob "where is the turbine from" >/dev/null
eventually "each showing is on record" has "$M/events" '"type":"knowledge.shown"'
refused "a level that is none" bash -c "echo 'share plans/turbine.md bob Loudly' >$P/share"
refused "what is Secret" bash -c "echo 'share plans/turbine.md bob Secret' >$P/share"
refused "a file that is not there" bash -c "echo 'share plans/none.md bob Restricted' >$P/share"
refused "an agent that is not there" bash -c "echo 'share plans/turbine.md dave Restricted' >$P/share"
works "no more" bash -c "echo 'unshare plans/turbine.md bob' >$P/share"
unlike "then it is not found" Turin "$(ask_as bob "where is the turbine from")"
works "with all" bash -c "echo 'share plans/turbine.md * Public' >$P/share"
like "all find it" Turin "$(ask_as carol "where is the turbine from")"

# ---- what stays ----
kill -9 "$(key "$M/status" worker_pid)"
like "behind the end of the worker" "nine bar" "$(ask_as alice "boiler bar")"
works "the daemon stops" "$TEST_BIN/symbi" down --mount "$M"
up
like "behind the end of the daemon: memory" "nine bar" "$(ask_as alice "boiler bar")"
like "knowledge" Turin "$(ask_as alice turbine)"
like "what is shared" Turin "$(ask_as carol turbine)"
eq "the importance" 1 "$(grep -c '"importance":1,' "$P/memory/procedures")"

# ---- limits ----
head -c 900000 /dev/zero | tr '\0' 'k' >"$P/knowledge/large.txt"
refused "knowledge has an end" bash -c "head -c 300000 /dev/zero | tr '\0' 'k' >$P/knowledge/more.txt"
like "and it is said which" "RESOURCE_003.*context.max_context_size_mb" "$(last_error)"
for i in $(seq 40); do printf 'line %d %s\n' "$i" "$(head -c 8000 /dev/zero | tr '\0' c)"; done >"$T/talk"
works "what was said goes on" cp "$T/talk" "$P/memory/conversation"
rest=$(wc -l <"$P/memory/conversation")
works "by forgetting the least of it" test "$rest" -gt 5 -a "$rest" -lt 40
like "the newest stays" "line 40 " "$(tail -1 "$P/memory/conversation")"
like "a fact is not forgotten for that" "nine bar" "$(cat "$P/memory/facts")"
like "stats says how much" "^context_max_kb 1024$" "$(cat "$P/memory/stats")"
refused "an entry has an end" bash -c "head -c 17000 /dev/zero | tr '\0' 'e' >$P/memory/facts"

# ---- the end of an agent ----
works "an agent goes" rm "$A/alice.yaml"
unlike "and what it knew" Turin "$(ask_as carol turbine)"
printf 'command: ["/bin/true"]\n' >"$A/alice.yaml"
eq "one of its name knows nothing" "" "$(ls "$A/alice/knowledge")$(cat "$A/alice/memory/facts")"

# ---- users ----
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
  refused "another user cannot ask as it" setpriv --reuid "$OTHER" --regid "$OTHER" --clear-groups -- sh -c "echo x >$A/alice/query"
  refused "nor read what it remembers" setpriv --reuid "$OTHER" --regid "$OTHER" --clear-groups -- cat "$A/alice/memory/facts"
fi

# ---- whatever is asked ----
"${0%/*}/isolation.py" "$M" "${QUESTIONS:-10000}" >"$T/out" 2>&1
eq "nobody is shown what is another's, in 10,000 questions" 0 $?
sed 's/^/     /' "$T/out" | head -5
finish
