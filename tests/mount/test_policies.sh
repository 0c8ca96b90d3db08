#!/bin/bash
# SPDX-License-Identifier: MIT
# policies/ on a mount: files that are written, edited, renamed and refused as a shell user does it, and 1,000 reloads
# while others read and write.
. "${0%/*}/lib.sh"
P=$M/policies

# rule NAME EFFECT > FILE
rule() {
  printf 'version: "1.0"\npolicies:\n  - name: %s\n    effect: %s\n    resources: ["/tmp/**"]\n    operations: [Read]\n' "$1" "$2"
}

version() {
  key "$M/status" policy_version
}

names() { # in one line
  find "$P" -name '*.*' ! -name check.json -type f -printf '%f\n' | sort | paste -sd ' '
}

up
works "there is a directory" test -d "$P"
eq "it holds the tree's own files alone" "check check.json effective explain shadow stats" "$(ls -C -w 200 "$P" | tr -s ' ')"
empty=$(version)

rule a Allow >"$P/a.yaml"
eq "a file that was written is listed" a.yaml "$(names)"
eq "and is what was written" "$(rule a Allow)" "$(cat "$P/a.yaml")"
one=$(version)
unlike "another set has another version" "^$empty$" "$one"

# ---- refused ----
refused "a text that is no policy" bash -c "echo 'echo me no more' >$P/broken.yaml"
like "errors says where" '"line":1,.*broken.yaml:1: a policy file is a map' "$(last_error)"
refused "a broken text for a file that exists" bash -c "printf 'version: \"1.0\"\npolices: []\n' >$P/a.yaml"
like "errors names the key" "a.yaml:2: unknown key 'polices'" "$(last_error)"
refused "a key given twice" bash -c "printf 'version: \"1.0\"\nversion: \"1.0\"\npolicies: []\n' >$P/a.yaml"
rule a Deny >"$T/dup"
refused "a rule of another file's name" cp "$T/dup" "$P/b.yaml"
like "errors names both" "b.yaml:3: a rule named 'a' stands at a.yaml:3" "$(last_error)"
refused "a name without a format" bash -c "mkdir $P/d"
eq "nothing of it is left" a.yaml "$(names)"
eq "the set that was active stays" "$one" "$(version)"

# ---- edited ----
works "sed -i" sed -i s/Allow/Deny/ "$P/a.yaml"
eq "changes the text" "$(rule a Deny)" "$(cat "$P/a.yaml")"
works "a scratch file" bash -c "printf '%s\n' '$(rule b Allow)' >$P/.b.swp"
two=$(version)
works "renamed into place" mv "$P/.b.swp" "$P/b.yaml"
unlike "is in force" "^$two$" "$(version)"
works "a rename" mv "$P/b.yaml" "$P/c.yaml"
eq "moves it" "a.yaml c.yaml" "$(names)"
refused "out of the directory" mv "$P/c.yaml" "$A/c.yaml"
works "chmod" chmod 600 "$P/c.yaml"
eq "holds" 600 "$(stat -c %a "$P/c.yaml")"
printf '{"version": "1.0", "policies": []}\n' >"$P/j.json"
printf 'version = "1.0"\npolicies = []\n' >"$P/t.toml"
eq "JSON and TOML too" "a.yaml c.yaml j.json t.toml" "$(names)"
works "rm" rm "$P/c.yaml" "$P/j.json" "$P/t.toml"
eq "removes" a.yaml "$(names)"
eq "the version is that of the files, not of their history" "$two" "$(version)"

# ---- asked ----
echo "Read /tmp/x" >"$P/check"
like "check decides" "^effect Deny" "$(cat "$P/check")"
like "and says by which rule" '"rule":"a","file":"a.yaml","line":3' \
  "$(echo '{"operation":"Read","resource":"/tmp/x"}' >"$P/check.json" && cat "$P/check.json")"
refused "a word that is no operation, by echo" bash -c "echo 'Reed /tmp/x' >$P/check"
refused "a key that is none" bash -c "echo '{\"operation\":\"Read\",\"resorce\":\"/tmp/x\"}' >$P/check.json"
like "a request of several lines, written one by one" '"effect":"Deny"' \
  "$(printf '%s\n' '{' '"operation": "Read",' '"resource": "/tmp/x"' '}' >"$P/check.json" && cat "$P/check.json")"
refused "what is no request" bash -c "exec 3<>$P/check; echo 'Reed /tmp/x' >&3; cat <&3"
like "effective names the rules" "^Deny a \(a.yaml:3\) priority 100" "$(cat "$P/effective")"
eq "and the version" "$two" "$(key "$P/effective" version)"

spec shell 'cat' >"$A/shell.yaml"
eq "an agent runs where no rule speaks of it" in "$(echo in >"$A/shell/run" && cat "$A/shell/run")"
cat >"$P/tier.yaml" <<'SPEC'
version: "1.0"
policies:
  - name: walls
    effect: Deny
    reason: nothing runs without a wall
    conditions:
      - resource_type: Tier
    resources: ["None"]
    operations: [Execute]
SPEC
refused "and not where one denies its tier" bash -c "echo in >$A/shell/run && cat $A/shell/run"
like "its error says which" "POLICY_001 .*rule 'walls' \(tier.yaml:3\) denies it: nothing runs without a wall" "$(cat "$A/shell/error")"
like "the journal has the decision" '"type":"policy.decision","agent":"shell",.*"effect":"Deny","rule":"walls","file":"tier.yaml","line":3,"policy_version":"'"$(version)" \
  "$(grep policy.decision "$M/events" | tail -1)"
like "and stats counts it" "^denied [1-9]" "$(cat "$P/stats")"
works "it goes" rm "$P/tier.yaml"
eq "and the agent runs again" in "$(echo in >"$A/shell/run" && cat "$A/shell/run")"

# ---- a worker that is killed ----
kill -9 "$(key "$M/status" worker_pid)"
eq "a killed worker loses none" "$(rule a Deny)" "$(cat "$P/a.yaml")"
eq "and the set is the same" "$two" "$(version)"

# ---- other users ----
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
  other=(setpriv --reuid 65534 --regid 65534 --clear-groups)
  works "another user reads" "${other[@]}" cat "$P/a.yaml"
  refused "and makes none" "${other[@]}" bash -c "echo x >$P/new.yaml"
  refused "changes none" "${other[@]}" bash -c "echo x >$P/a.yaml"
  refused "removes none" "${other[@]}" rm -f "$P/a.yaml"
fi

# ---- another set, on what was decided ----
printf 'version: "1.0"\npolicies: []\n' >"$T/empty.yaml"
simulated=$("$TEST_BIN/symbi" policy simulate "$T/empty.yaml" --state "$S")
like "simulate names the decision that another set would make otherwise" "^[0-9]+ agent shell Execute Tier None: Deny \(walls\) -> Allow \(no_match\)" "$simulated"
like "and counts" "^1 of [0-9]+ recorded decisions would differ" "$simulated"
cat >"$T/same.yaml" <<'SPEC'
version: "1.0"
policies:
  - name: another-wall
    effect: Deny
    conditions: [{resource_type: Tier}, {agent: shell}, {agent_tier: None}]
    resources: ["None"]
    operations: [Execute]
SPEC
works "a set that decides the same differs in nothing" "$TEST_BIN/symbi" policy simulate "$T/same.yaml" --state "$S"

# ---- rates ----
cat >"$P/rate.yaml" <<'SPEC'
version: "1.0"
policies:
  - name: twice-a-day
    effect: Limit
    limits: {per_day: 2}
    conditions: [{resource_type: Agent}]
    resources: ["shell*"]
    operations: [Execute]
SPEC
spec shell2 'cat' >"$A/shell2.yaml"
eq "a rule lets it run" 1 "$(echo 1 >"$A/shell/run" && cat "$A/shell/run")"
eq "twice" 2 "$(echo 2 >"$A/shell/run" && cat "$A/shell/run")"
refused "and not a third time" bash -c "echo 3 >$A/shell/run && cat $A/shell/run"
like "its error says when" "POLICY_005 .*rule 'twice-a-day' \(rate.yaml:3\) lets; again in [0-9]+ ms" "$(cat "$A/shell/error")"
eq "each agent has a count of its own" x "$(echo x >"$A/shell2/run" && cat "$A/shell2/run")"
refused "a limit that is none is refused" bash -c "sed 's/per_day/per_fortnight/' $P/rate.yaml >$T/x && cp $T/x $P/rate.yaml"
works "the rule goes" rm "$P/rate.yaml"
eq "and it runs again" 4 "$(echo 4 >"$A/shell/run" && cat "$A/shell/run")"

# ---- a set in the shadow ----
W=$P/shadow
eq "without files there is no shadow set" none "$(key "$W/stats" version)"
refused "a shadow file must be right" bash -c "echo 'nonsense: 1' >$W/x.yaml"
cat >"$W/wall.yaml" <<'SPEC'
version: "1.0"
policies:
  - name: wall-to-be
    effect: Deny
    conditions: [{resource_type: Tier}]
    resources: ["None"]
    operations: [Execute]
SPEC
unlike "it has a version of its own" "^(none|$(version))$" "$(key "$W/stats" version)"
eq "what it would deny runs" 5 "$(echo 5 >"$A/shell/run" && cat "$A/shell/run")"
eq "twice" 6 "$(echo 6 >"$A/shell/run" && cat "$A/shell/run")"
like "the difference is counted" "^2 Allow \(no_match\) -> Deny \(wall-to-be\) at_ms [0-9]+: Execute Tier None by agent shell$" "$(cat "$W/diff")"
eq "and in all" 2 "$(key "$W/stats" differ)"
like "and recorded" '"type":"policy.shadow","agent":"shell",.*"effect":"Allow","rule":"no_match","would":"Deny","would_rule":"wall-to-be"' "$(grep policy.shadow "$M/events" | tail -1)"
like "a metric has it" "^symbi_policy_shadow_differs_total 2" "$(grep shadow_differs "$M/metrics" | grep -v '^#')"
rule a Allow >"$W/a.yaml"
eq "a file of an active one's name stands in its place" 1 "$(cat "$W/wall.yaml" >/dev/null; key "$W/stats" files | grep -c 2)"
like "the active set goes on as it was" "^effect Deny" "$(echo "Read /tmp/x" >"$P/check" && cat "$P/check")"
rule b Deny >"$W/b.yaml"
printf 'version: "1.0"\npolicies:\n  - name: b\n    effect: Deny\n    resources: ["/x"]\n    operations: [Read]\n' >"$T/dup"
refused "a rule of another file's name is found when it is written" cp "$T/dup" "$W/c.yaml"
for ((i = 0; i < 200; i++)); do echo $i >"$A/shell/run" && cat "$A/shell/run"; done >/dev/null
eq "each difference is counted" 200 "$(key "$W/stats" differ)"
recorded=$(key "$W/stats" recorded) missed=$(key "$W/stats" missed)
eq "and recorded or said to be missed" 200 $((recorded + missed))
kill -9 "$(key "$M/status" worker_pid)"
eventually "a killed worker finds its files" has "$W/stats" "^files 3$"
works "they go" rm "$W/wall.yaml" "$W/a.yaml" "$W/b.yaml"
eq "and with them the set" none "$(key "$W/stats" version)"

# ---- a set that takes long to compile ----
many() {
  printf 'version: "1.0"\npolicies:\n'
  for ((i = 0; i < $1; i++)); do
    printf -- '  - name: many%d\n    effect: %s\n    resources: ["/data/%d/**"]\n    operations: [Read]\n' "$i" "$2" "$i"
  done
}
many 10000 Allow >"$T/many.yaml"
works "10,000 rules are taken" cp "$T/many.yaml" "$P/many.yaml"
same "byte for byte" "$T/many.yaml" "$P/many.yaml"
eq "there is one file of that name" 1 "$(names | tr ' ' '\n' | grep -c '^many.yaml$')"
like "and they decide" "^effect Allow" "$(echo "Read /data/9999/x" >"$P/check" && cat "$P/check")"
like "explain names the rule" "^matches Allow many9999 .*" "$(echo "Read /data/9999/x" >"$P/explain" && cat "$P/explain")"
sed -i '40002s/.*/    operations: [Reed]/' "$T/many.yaml"
refused "one wrong word in them is found" cp "$T/many.yaml" "$P/many.yaml"
like "and said with its line" "POLICY_002.*many.yaml:40002" "$(tail -1 "$M/errors")"
like "the others still decide" "^effect Allow" "$(echo "Read /data/9999/x" >"$P/check" && cat "$P/check")"
rule many5 Deny >"$T/same.yaml"
refused "a small file with a rule of that name is refused when it is closed" cp "$T/same.yaml" "$P/same.yaml"
gone "and leaves no name" "$P/same.yaml"
(for ((i = 0; i < 20; i++)); do many 3000 Allow >"$P/other.yaml"; rm -f "$P/other.yaml"; done) 2>/dev/null &
busy=$!
for ((i = 0; i < 20; i++)); do rule "s$i" Allow >"$P/small.yaml" || break; done
eq "others are put meanwhile" 20 "$i"
kill $busy 2>/dev/null
wait $busy 2>/dev/null
eq "the last one stands" "$(rule s19 Allow)" "$(cat "$P/small.yaml")"
works "they go" rm -f "$P/many.yaml" "$P/small.yaml" "$P/other.yaml"

# ---- what a spec grants of the host's files ----
mkdir -p "$T/granted" "$T/kept"
rule a Allow >"$P/a.yaml"
ln -s "$T/kept" "$T/way-in"
cat >"$P/files.yaml" <<SPEC
version: "1.0"
policies:
  - name: kept-is-kept
    effect: Deny
    conditions: [{resource_type: File}]
    resources: ["$T/kept/**"]
    operations: [Write]
SPEC
agent works 'pwd' "workdir: $T/granted"
agent direct 'pwd' "workdir: $T/kept"
agent linked 'pwd' "workdir: $T/way-in"
agent dotted 'pwd' "workdir: $T/granted/../kept"
eq "a directory that no rule denies is worked in" "$T/granted" "$(ask works x)"
refused "one that a rule denies is not" bash -c "echo x >$A/direct/run && cat $A/direct/run"
like "its error says which" "POLICY_001 .*rule 'kept-is-kept'" "$(cat "$A/direct/error")"
refused "nor by a link" bash -c "echo x >$A/linked/run && cat $A/linked/run"
like "which is decided on as where it leads" "POLICY_001 .*Write of '$T/kept'" "$(cat "$A/linked/error")"
refused "nor by .." bash -c "echo x >$A/dotted/run && cat $A/dotted/run"
rm "$P/files.yaml"
eq "and without the rule" "$T/kept" "$(ask direct x)"
rule a Deny >"$P/a.yaml"

# ---- reloads under load; TEST_RELOADS for how many ----
reloads=${TEST_RELOADS:-1000}
echo ok >"$T/go"
(while [ -e "$T/go" ]; do
  cat "$P/a.yaml" "$M/status" || echo unreadable
  echo 'nonsense: 1' >"$P/bad.yaml" && echo taken
  echo "Read /tmp/x" >"$P/check" && grep -q '^effect Deny' "$P/check" || echo undecided
done) >"$T/read" 2>/dev/null &
reader=$!
bad=0
for ((i = 1; i <= reloads; i++)); do
  rule "r$i" Allow >"$P/r.yaml" || bad=$((bad + 1))
done
rm "$T/go"
wait $reader
eq "$reloads reloads, none refused" 0 $bad
eq "nobody read nothing, nothing broken was taken, each decision was the same" 0 "$(grep -cE '^(unreadable|taken|undecided)$' "$T/read")"
eq "the last one stands" "$(rule "r$reloads" Allow)" "$(cat "$P/r.yaml")"
eq "readers saw a set all the time" 0 "$(grep -c '^policy_version none' "$T/read")"
ok "the load read $(grep -c '^policy_version' "$T/read") times"
eq "each is in the events" "$reloads" "$(grep -cE '"type":"policy.(created|updated)",.*"policy":"r.yaml"' "$M/events")"
finish
