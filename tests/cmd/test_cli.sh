#!/bin/bash
# symbi without a daemon, and the words of its command line: help, usage, doctor, config, journal.
# shellcheck source=tests/cmd/lib.sh
. "$(dirname "$0")/lib.sh"

expect 0 --version
has "$out" "symbi "
expect 0 help
for command in up down status doctor run ls cat write tail config journal policy sandbox help; do
  has "$out" "  $command "
done
for command in up down status doctor run ls cat write tail config journal policy sandbox; do
  expect 0 help $command
  has "$out" "usage: symbi $command"
  same "$("$bin/symbi" $command --help)" "$out"
done
expect 0 help --help
expect 2
expect 2 nonsense
expect 2 help nonsense
expect 2 status --nonsense
expect 2 status more
expect 2 status --socket
expect 2 up --config

expect 1 status
has "$err" "symbi up"
expect 1 status --mount "$dir"
expect 1 down
expect 1 cat version

expect 2 config
expect 2 config edit
expect 0 config show
has "$out" "socket.mode"
expect 0 config show --json
same "$(json 'd["socket.mode"]["value"]' <<<"$out")" 0600
echo 'lifecycle = { max_agents = 7 }' >"$dir/good.toml"
expect 0 config check "$dir/good.toml"
same "$out" ok
expect 0 config show "$dir/good.toml"
has "$out" "$dir/good.toml:1"
printf '\n[lifecycle]\nmax_agnets = 7\n' >"$dir/bad.toml"
expect 1 config check "$dir/bad.toml"
has "$err" max_agents
quiet=1 expect 1 config check --json "$dir/bad.toml"
same "$(json 'd["ok"], d["line"]' <<<"$out")" "(False, 3)"
expect 1 config check "$dir/nothing.toml"

expect 1 journal stat --state "$state"
expect 2 journal
expect 2 journal burn
start
expect 0 write agents/a.yaml 'tier: None
command: ["true"]'
expect 0 journal verify --state "$state"
has "$out" "torn no"
expect 0 journal stat --json --state "$state"
same "$(json 'd["torn"], d["records"] > 0, len(d["head"])' <<<"$out")" "(False, True, 64)"
expect 0 journal cat --json --state "$state"
same "$(grep '"object":"a"' <<<"$out" | head -n 1 | json 'd["body"]["file"]')" a.yaml
expect 0 journal cat --state "$state"
has "$out" '"file":"a.yaml"'

# doctor: its exit status is its verdict, and each line is one of three.
symbi doctor
[ "$(grep -c missing <<<"$(cut -c1-7 <<<"$out")")" -gt 0 ] && want=1 || want=0
same "$status" "$want"
! grep -vE '^(ok|warn|missing) |^ +-> .' <<<"$out" || die "doctor prints something else"
symbi doctor --json
json 'all(c["status"] in ("ok", "warn", "missing") and c["name"] and c["found"] for c in d)' <<<"$out" | grep -qx True
same "$(json '[c["status"] for c in d if c["name"] == "daemon"][0]' <<<"$out")" ok
chmod g+w "$state"
symbi doctor --state "$state"
same "$status" 1
has "$out" "chmod go-w"
chmod g-w "$state"
