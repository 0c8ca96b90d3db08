#!/bin/bash
# An agent's network in a daemon: what its specification, its profile and the policies let through together, and that each
# connection is an event and in its status.
# shellcheck source=tests/cmd/lib.sh
. "$(dirname "$0")/lib.sh"
command -v curl >/dev/null || { echo "skipped: there is no curl"; exit 77; }
symbi sandbox run true
[ "$status" = 0 ] || { echo "skipped: no Tier1 here: $err"; exit 77; }

# A service of this machine, named by the destinations: nothing else of it can be reached.
/usr/bin/python3 -u -c '
import http.server, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"served " + self.path.encode())
    def log_message(self, *a): pass
s = http.server.HTTPServer(("127.0.0.1", 0), H)
print(s.server_port); s.serve_forever()' >"$dir/port" &
server=$!
trap 'kill $server; cleanup' EXIT
eventually test -s "$dir/port"
port=$(cat "$dir/port")

start
# agent NAME KEY...: a specification with these lines, that asks for what its input names
agent() {
  { printf 'tier: Tier1\ncommand: [sh, -c, "read u; curl -s --noproxy x -m 20 $u"]\n'; printf '%s\n' "${@:2}"; } >"$dir/$1.yaml"
  expect 0 write "agents/$1.yaml" "$(cat "$dir/$1.yaml")"
}
# get NAME URL: what the agent gets there
get() {
  echo "$2" >"$dir/input"
  symbi run "$1" --input "$dir/input"
}
events() { "$bin/symbi" cat events | grep '"agent.connect"' | grep "\"$1\"" || :; }

agent listed 'network:' '  access_mode: Restricted' "  allowed_destinations: ['127.0.0.1:$port']"
get listed "http://127.0.0.1:$port/a"
same "$out" "served /a"
get listed "http://127.0.0.1:1/"
has "$out" "SEC_001 127.0.0.1:1: it is none of the allowed destinations"
event=$(events listed | head -n 1)
same "$(json 'd["effect"], d["resource"], d["address"], d["rule"], d["missed"]' <<<"$event")" \
  "('Allow', '127.0.0.1:$port', '127.0.0.1', '127.0.0.1:$port', 0)"
event=$(events listed | tail -n 1)
same "$(json 'd["effect"], d["resource"], d["message"], "rule" in d' <<<"$event")" \
  "('Deny', '127.0.0.1:1', 'it is none of the allowed destinations', False)"
has "$("$bin/symbi" cat agents/listed/status)" "network Restricted"
"$bin/symbi" cat agents/listed/status | grep -q "^enforced.* network_io_mbps" || die "bandwidth is not said to be limited"

# Without a network, and with a profile that has less than the specification, or as much.
agent without
get without "http://127.0.0.1:$port/"
same "$out" ""
has "$("$bin/symbi" cat agents/without/status)" "network None"
if [ "$(id -u)" = 0 ]; then
  expect 0 write sandbox/profiles/web.yaml "network: {access_mode: Restricted, allowed_destinations: ['127.0.0.1:$port']}"
  agent both 'sandbox_profile: web' 'network:' '  access_mode: Restricted' "  allowed_destinations: ['127.0.0.0/8:*']"
  get both "http://127.0.0.1:$port/b"
  same "$out" "served /b"
  get both "http://127.0.0.1:1/"
  has "$out" "none of the allowed destinations"
  agent profiled 'sandbox_profile: web'
  get profiled "http://127.0.0.1:$port/c"
  same "$out" "served /c"
  agent less 'sandbox_profile: web' 'network: None'
  get less "http://127.0.0.1:$port/"
  same "$out" ""
fi

# A rule forbids what is listed; where nothing is listed it allows, but no special address.
agent ruled 'network: Restricted'
get ruled "http://127.0.0.1:$port/"
has "$out" "SEC_001 127.0.0.1:$port: "
has "$out" "no rule allows it"
policy() { # EFFECT
  expect 0 write policies/net.yaml "version: \"1.0\"
policies:
- name: net
  effect: $1
  operations: [Connect]
  resources: ['127.0.0.1:$port']
  conditions: [{resource_type: Network}]"
}
policy Deny
get listed "http://127.0.0.1:$port/"
has "$out" "rule 'net'"
event=$(events listed | tail -n 1)
same "$(json 'd["effect"], d["rule"]' <<<"$event")" "('Deny', 'net')"
policy Allow
get listed "http://127.0.0.1:$port/d"
same "$out" "served /d"
get ruled "http://127.0.0.1:$port/"
has "$out" "127.0.0.1 is loopback, and no destination names that"

# Refused with their line, and nothing is made.
refused() { # WHAT LINE...
  expect 1 write agents/bad.yaml "$(printf 'command: [sh]\n'; printf '%s\n' "${@:2}")"
  has "$err" "$1"
}
refused "line 2: 'Some' is no network" 'network: Some'
refused "'network' is for a tier" 'tier: None' 'network: Restricted'
refused "access_mode: Restricted" 'tier: Tier1' 'network: {access_mode: None, allowed_destinations: ["a:1"]}'
refused "line 4: destination 'a'" 'tier: Tier1' 'network: {access_mode: Restricted,' ' allowed_destinations: ["a"]}'
refused "another tier" 'tier: Tier1' 'sandbox_driver: runsc'
refused "sandbox_driver" 'tier: Tier1' 'sandbox_driver: chroot'
if [ "$(id -u)" = 0 ] && command -v crun >/dev/null && "$bin/symbi" sandbox run --driver crun true; then
  agent contained 'sandbox_driver: crun' 'network:' '  access_mode: Restricted' "  allowed_destinations: ['127.0.0.1:$port']"
  get contained "http://127.0.0.1:$port/e"
  same "$out" "served /e"
  has "$("$bin/symbi" cat agents/contained/status)" "layers mount pid net"
fi
agent driven 'sandbox_driver: proc'
get driven x
same "$status" 6
