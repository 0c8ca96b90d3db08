#!/bin/bash
# SPDX-License-Identifier: MIT
# secrets/: stored sealed, read back, in folders, under every way of writing; nothing in the clear on the disk; an agent reads
# what a rule gives it and knows of nothing else; each read is recorded.
# shellcheck source=tests/mount/lib.sh
. "${0%/*}/lib.sh"
unset CREDENTIALS_DIRECTORY SYMBIONT_MASTER_KEY SYMBIONT_MASTER_KEY_FILE
conf 'store.checkpoint_interval = "200ms"' 'audit.checkpoint_interval = "200ms"'
up
X=$M/secrets

# ---- without a key ----
refused "without a master key nothing is stored" bash -c "echo x >$X/early"
like "and it is said how to make one" "SECRET_001.*symbi secrets keygen" "$(last_error)"
gone "no half a secret" "$X/early"
works "a key is made" "$TEST_BIN/symbi" secrets keygen --state "$S"

# ---- storing and reading ----
VALUE=hunter2-$$-in-the-clear
works "a secret is written" bash -c "echo $VALUE >$X/token"
eq "and read" "$VALUE" "$(cat "$X/token")"
eq "its size is true" $((${#VALUE} + 1)) "$(stat -c %s "$X/token")"
eq "it is its owner's alone" 600 "$(stat -c %a "$X/token")"
works "folders are made" mkdir -p "$X/app/prod"
works "with secrets in them" bash -c "printf %s pw-$VALUE >$X/app/prod/db"
eq "which are read" "pw-$VALUE" "$(cat "$X/app/prod/db")"
eq "ls shows names" "app token" "$(ls "$X" | tr '\n' ' ' | sed 's/ $//')"
like "the twin has no value" '"name":"app/prod/db","generation":[0-9]+,"size":' "$(cat "$X/app/prod/db.json")"
unlike "not at all" "$VALUE" "$(cat "$X/app/prod/db.json")"
head -c 300000 /dev/urandom >"$T/big"
works "a large one is copied" cp "$T/big" "$X/big"
same "byte for byte" "$T/big" "$X/big"
refused "one that is too large is refused" bash -c "head -c 1100000 /dev/zero >$X/huge"
first=$(sed -n 's/.*"generation":\([0-9]*\).*/\1/p' "$X/token.json")
gone "and leaves no name" "$X/huge"
works "it is replaced" bash -c "echo second-$VALUE >$X/token"
eq "at once, with nothing in between" $((first + 3)) "$(sed -n 's/.*"generation":\([0-9]*\).*/\1/p' "$X/token.json")"
eq "by the new one" "second-$VALUE" "$(cat "$X/token")"
works "mv copies" mv "$X/big" "$X/app/big"
same "and loses nothing" "$T/big" "$X/app/big"
gone "the old name" "$X/big"
works "rm" rm "$X/app/big"
refused "a folder with something in it stays" rmdir "$X/app"
works "an empty one is stored too" bash -c ": >$X/empty"
eq "as such" 0 "$(stat -c %s "$X/empty")"
works "and removed" rm "$X/empty"

# ---- what is left ----
kill -9 "$(key "$M/status" worker_pid)"
eventually "a killed worker loses none" is "second-$VALUE" cat "$X/token"
works "the daemon stops" "$TEST_BIN/symbi" down --mount "$M"
eq "nothing is on the disk in the clear" "" "$(grep -rlaF "$VALUE" "$S" 2>/dev/null)"
up
eq "and it is read again" "second-$VALUE" "$(cat "$X/token")"
eventually "a read is in the audit trail by its name" has "$M/audit/log" '"type":"secret.read".*"object":"token"'
like "a write too, with a digest of the sealed form" '"object":"app/prod/db".*"sealed_sha256":"[0-9a-f]{64}"' "$(grep secret.updated "$M/audit/log" | head -8)"
like "and the events" '"type":"secret.read","uid":0,"name":"token"' "$(grep secret.read "$M/events" | tail -1)"

# ---- what is left in processes ----
# Of all that the daemon is and started: memory, environment, arguments. The worker has handed out values by now.
cat >"$T/scan.py" <<'PY'
import os, re, sys
value, pids = sys.argv[1].encode(), sys.argv[2:]
for pid in pids:
    for name in ("environ", "cmdline"):
        if value in open(f"/proc/{pid}/{name}", "rb").read():
            print(f"{pid} {name}")
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) r(\S*) \S+ \S+ \S+ *(.*)", line)
            if not m or m[4] in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
                continue
            at, end = int(m[1], 16), int(m[2], 16)
            while at < end:
                try:
                    mem.seek(at)
                    piece = mem.read(min(end - at, 1 << 22))
                except (OSError, ValueError):
                    break
                if value in piece:
                    print(f"{pid} {open(f'/proc/{pid}/comm').read().strip()} memory {m[4] or 'anonymous'}")
                at += max(len(piece) - len(value), 1) if at + len(piece) < end else len(piece)
PY
if [ "$(id -u)" = 0 ] && command -v python3 >/dev/null; then
  agent bystander 'sleep 1000' 'execution_mode: persistent'
  eventually "an agent runs beside it" is Running state bystander
  for i in 1 2 3; do cat "$X/token" >/dev/null; ls -l "$X" >/dev/null; cat "$M/status" >/dev/null; done
  KEPT=$VALUE sleep 100 &
  like "the scan finds it where it is" "environ" "$(python3 "$T/scan.py" "$VALUE" $!)"
  kill $!
  # shellcheck disable=SC2046 # a list of numbers
  eq "no process of the daemon's has it, in memory, environment or arguments" "" \
    "$(python3 "$T/scan.py" "$VALUE" $(ours) 2>&1 | grep -v "^$$ \|^$PPID " | sort -u)"
  echo stop >"$A/bystander/ctl"
fi
eq "nor any file of the state, the log among them" "" "$(grep -rlaF "$VALUE" "$S" "$T/w" 2>/dev/null)"
eq "nor what the tree shows" "" "$(cat "$M/events" "$M/errors" "$M/audit/log" "$M/metrics" "$M/config" "$M/health" | grep -aF "$VALUE")"
cd "$T" || exit
worker=$(key "$M/status" worker_pid)
(ulimit -c unlimited; kill -SEGV "$worker")
eventually "a worker that crashes comes back" is "second-$VALUE" cat "$X/token"
eq "and leaves no core with it" "" "$(find "$T" -maxdepth 3 -name 'core*' -not -path "$M/*" -print0 2>/dev/null | xargs -0r grep -laF "$VALUE")"
cd / || exit

# ---- another key ----
mv "$S/master.key" "$T/master.key"
"$TEST_BIN/symbi" down --mount "$M" >/dev/null
"$TEST_BIN/symbi" secrets keygen --state "$S" >/dev/null
up
refused "another key opens nothing" cat "$X/token"
like "and that is said" "SECRET_001" "$(last_error)"
"$TEST_BIN/symbi" down --mount "$M" >/dev/null
mv "$T/master.key" "$S/master.key"
up
eq "the right one does" "second-$VALUE" "$(cat "$X/token")"

# ---- agents ----
cat >"$M/policies/secrets.yaml" <<'SPEC'
version: "1.0"
policies:
  - name: greet-token
    effect: Allow
    conditions:
      - resource_type: Secret
      - agent: greet
    resources: ["token", "app/**"]
    operations: [Read]
  - name: not-prod
    effect: Deny
    conditions:
      - resource_type: Secret
      - agent: greet
    resources: ["app/prod/**"]
    operations: [Read]
SPEC
echo visible >"$X/app/dev"
agent greet 'cat'
agent stranger 'cat'
V=$M/views/greet/secrets
eq "an agent's view has what a rule gives it" "app token" "$(ls "$V" | tr '\n' ' ' | sed 's/ $//')"
eq "a folder what is granted in it" dev "$(ls "$V/app")"
if [ "$(id -u)" = 0 ]; then
  eq "from within its sandbox" "second-$VALUE" "$("$TEST_BIN/symbi" sandbox run --mount "$M" --view greet --allow-degraded -- /bin/cat /symbi/secrets/token 2>&1)"
fi
eq "it reads" "second-$VALUE" "$(cat "$V/token")"
eq "also in folders" visible "$(cat "$V/app/dev")"
refused "what is denied it does not know" cat "$V/app/prod/db"
gone "by no name" "$V/app/prod"
refused "it writes none" bash -c "echo x >$V/token"
refused "and makes none" bash -c "echo x >$V/mine"
eq "another agent has nothing there" "" "$(ls "$M/views/stranger/secrets")"
refused "nor by name" cat "$M/views/stranger/secrets/token"
eventually "the record says which agent" has "$M/audit/by-agent/greet" '"type":"secret.read".*"object":"token"'
works "the rule goes" rm "$M/policies/secrets.yaml"
refused "and with it the grant" cat "$V/token"

# ---- users ----
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
  other=(setpriv --reuid 54321 --regid 54321 --clear-groups)
  refused "another user sees no names" "${other[@]}" ls "$X"
  refused "and reads nothing" "${other[@]}" cat "$X/token"
  refused "nor writes" "${other[@]}" bash -c "echo x >$X/token"
fi
finish
