#!/bin/bash
# Which layers hold an agent stands in its status, in sandbox/tiers and in doctor; on a kernel without Landlock Tier1 is
# refused, but for specs that permit it.
# shellcheck source=tests/cmd/lib.sh
. "$(dirname "$0")/lib.sh"
without=${TEST_BUILD_DIR:-build/release}/tests/no_landlock

symbi doctor
grep -qE '^[a-z]+ +sandbox tiers .*Tier1 \(proc: .*landlock' <<<"$out" || { echo "no Tier1 with Landlock here: $out"; exit 77; }
line() { sed -n "s/^$1 //p" <<<"$out"; }

DOCKER_HOST=unix://$dir/none start
expect 0 cat sandbox/tiers
[ "$(id -u)" != 0 ] || has "$(line 'Tier1.docker no')" "listens on '$dir/none'"
tiers=$(line 'Tier1 available proc:' | sed 's/ [a-z]*: .*//') # other drivers of the tier stand behind it
has "$tiers" "mount pid net ipc uts cgroup landlock("
by=$(line limits_by)
grep -qxE 'cgroup_v1|cgroup_v2|rlimit' <<<"$by" || die "limits by '$by'"
expect 0 write agents/boxed.yaml 'command: ["true"]'
expect 0 write agents/plain.yaml 'tier: None
command: [sh, -c, "exit 0"]'
expect 0 cat agents/boxed/status
same "$(line layers_at_start)" "$tiers"
same "$(line layers)" ""
expect 0 run boxed
expect 0 cat agents/boxed/status
same "$(line layers)" "$tiers"
same "$(line layers_missing)" ""
same "$(line limits_by)" "$by"
expect 0 run plain
expect 0 cat agents/plain/status
same "$(line layers)" no_new_privs
expect 0 down

"$without" "$bin/symbi" up --state "$state" --no-fuse --allow-native >/dev/null
expect 0 cat sandbox/tiers
has "$(line 'Tier1 no')" "'landlock' is missing"
expect 1 write agents/refused.yaml 'command: ["true"]'
has "$err" "SEC_002"
has "$err" "'landlock' is missing"
has "$err" "allow_degraded"
expect 1 cat agents/refused/status
expect 1 run boxed # made while there was Landlock
has "$err" "'landlock' is missing"
expect 0 write agents/less.yaml 'allow_degraded: true
command: [echo, hi]'
expect 0 run less
same "$out" hi
expect 0 cat agents/less/status
same "$(line layers_missing)" landlock
same "$(line layers)" "$(sed 's/landlock([0-9]*) //' <<<"$tiers")"
status=0
out=$("$without" "$bin/symbi" doctor) || status=$?
grep -qE '^warn +landlock .*allow_degraded' <<<"$out" || die "doctor says nothing of Landlock: $out"
grep -qE '^warn +sandbox tiers ' <<<"$out" || die "doctor calls it well: $out"
has "$out" "proc: its layer 'landlock' is missing"
