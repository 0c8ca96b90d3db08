#!/bin/bash
# symbi ls, cat, write, tail and status over the socket: what they print, and how they fail.
# shellcheck source=tests/cmd/lib.sh
. "$(dirname "$0")/lib.sh"
start

expect 0 ls
has "$out" README
has "$out" agents/
expect 0 ls -l
has "$out" "-0444"
expect 0 ls --json
same "$(json '[e["type"] for e in d if e["name"] == "agents"][0]' <<<"$out")" dir
expect 1 ls nowhere
expect 1 ls version
expect 2 ls a b

expect 0 cat version
same "$out" "symbi $("$bin/symbi" --version | cut -d' ' -f2)"
expect 0 cat /version health # a slash in front is nothing special
same "$out" "$("$bin/symbi" --version)
ok"
expect 1 cat nothing version # the second is printed all the same
has "$out" symbi
has "$err" FS_001
expect 2 cat

expect 0 write agents/echo.yaml 'tier: None
command: [sh, -c, "read x; echo got $x"]'
symbi write agents/none.yaml 'tier: Teir1'
same "$status" 1
has "$err" AGENT_003
has "$err" Tier1
"$bin/symbi" write agents/piped.json <<<'{"tier": "None", "command": ["true"]}'
expect 0 ls agents
has "$out" echo.yaml
has "$out" piped.json
expect 0 write agents/echo/limits/memory_mb 64
expect 0 cat agents/echo/limits/memory_mb
same "$out" 64
expect 1 write agents/echo/ctl nonsense
has "$err" AGENT_006
expect 1 write agents/echo/state Running
expect 1 write version x
head -c 1100000 /dev/zero | tr '\0' x >"$dir/big"
status=0
"$bin/symbi" write agents/big.yaml <"$dir/big" 2>"$dir/err" || status=$?
same "$status" 1
grep -q RESOURCE_003 "$dir/err" || die "a text that is too long: $(cat "$dir/err")"

# A question by write, its answer by cat: both are children of this shell.
expect 0 write agents/echo/run there
expect 0 cat agents/echo/run
same "$out" "got there"

# tail: the end of a log, and what is added.
expect 0 tail -n 2 events
same "$(wc -l <<<"$out")" 2
expect 0 tail -n 0 events
same "$out" ""
expect 0 tail -n 1000 events
same "$out" "$("$bin/symbi" cat events)"
expect 0 tail agents/echo/stdout # empty
same "$out" ""
expect 1 tail nothing
expect 2 tail -n x events
expect 2 tail events more
"$bin/symbi" tail -f -n 1 events >"$dir/follow" &
follower=$!
"$bin/symbi" cat wait/events >"$dir/stream" &
stream=$!
eventually test -s "$dir/follow"
expect 0 write agents/seen.yaml 'tier: None
command: ["true"]'
eventually grep -q '"seen"' "$dir/follow"
waits() { "$bin/symbi" write agents/seen.yaml "tier: None
command: [\"true\", \"$RANDOM\"]" && grep -q '"seen"' "$dir/stream"; }
eventually waits
kill $follower $stream
wait $follower $stream 2>/dev/null || :

expect 0 status
has "$out" "state_dir $state"
expect 0 status --json
same "$(json 'd["state_dir"]' <<<"$out")" "$state"
same "$(json 'type(d["pid"]).__name__' <<<"$out")" int

expect 0 down
quiet='' expect 1 status
has "$err" API_002
expect 1 cat version
expect 1 down
