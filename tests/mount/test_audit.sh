#!/bin/bash
# SPDX-License-Identifier: MIT
# audit/: the log follows, heads are signed and exported, verification finds what was changed, a killed worker loses nothing, and
# openssl checks a head as docs/AUDIT.md says.
# shellcheck source=tests/mount/lib.sh
. "${0%/*}/lib.sh"
need openssl
conf 'audit.checkpoint_interval = "200ms"' "audit.export = \"$T/exported\""
up
D=$M/audit
SYMBI=$TEST_BIN/symbi

# ---- the log ----
agent greet 'echo hello $(cat)'
eq "an agent runs" "hello world" "$(ask greet world)"
eventually "its creation is in the log" has "$D/log" '"type":"agent.updated".*"object":"greet"'
eventually "and the end of its run" has "$D/log" '"type":"run.done"'
eq "every line is JSON" "" "$(python3 -c 'import json, sys
for line in open(sys.argv[1]): json.loads(line)' "$D/log" 2>&1)"
eventually "by-agent has it too" has "$D/by-agent/greet" '"type":"run.done"'
eq "and nothing else" 0 "$(grep -vc '"object":"greet"' "$D/by-agent/greet")"
tail -n 0 -f "$D/log" >"$T/tailed" 2>/dev/null &
tail=$!
agent other 'cat'
eventually "tail -f sees what comes" has "$T/tailed" '"object":"other"'
kill $tail
size=$(stat -c %s "$D/log")
eq "the size is true, and reading from an offset works" "$(head -c "$size" "$D/log" | tail -c 100)" \
  "$(dd if="$D/log" bs=1 skip=$((size - 100)) count=100 status=none)"
refused "nobody writes to it" bash -c "echo x >>$D/log"

# ---- heads ----
signed() { sed -n 2p "$D/head"; }
covers() { [ "$(signed)" -ge "$1" ] 2>/dev/null; }
eventually "a head covers all of it" covers "$(wc -l <"$D/log")"
eventually "audit.export has the newest head" cmp "$D/head" "$T/exported"
mkdir "$T/o"
cp "$D/head" "$D/key.pub" "$T/o"
sed -n '/^```sh openssl$/,/^```$/p' "${TEST_SOURCE_DIR:-$HERE/../..}/docs/AUDIT.md" | sed '/^```/d' >"$T/o/commands"
[ -s "$T/o/commands" ] || fail "docs/AUDIT.md has the commands"
works "openssl checks it as docs/AUDIT.md says" bash -ec "cd $T/o && . ./commands"
sed -i '2s/$/0/' "$T/o/head"
refused "and not another size" bash -ec "cd $T/o && . ./commands"

# ---- verification ----
works "it verifies" bash -c "echo now >$D/verify"
eq "and says so" ok "$(head -1 "$D/verify")"
refused "what is no request" bash -c "echo later >$D/verify"
cp -r "$D" "$T/copy"
cp "$D/key.pub" "$T/key"
cp "$D/head" "$T/kept"
works "a copy verifies offline" "$SYMBI" audit verify --log "$T/copy" --key "$T/key" --checkpoint "$T/kept"
cp "$D/seal.pub" "$T/seal"
works "its seals begin with the key that was kept" "$SYMBI" audit verify --log "$T/copy" --key "$T/key" --seal "$T/seal"
like "each checkpoint has one" "^sealed [1-9]" "$("$SYMBI" audit verify --log "$T/copy" --key "$T/key" --seal "$T/seal")"
sed 's/^\(seal ...\)./\1x/' "$T/copy/checkpoints" >"$T/copy/broken" && mkdir "$T/resealed" && cp "$T/copy/"* "$T/resealed/" 2>/dev/null
mv "$T/resealed/broken" "$T/resealed/checkpoints"
refused "another seal is found" "$SYMBI" audit verify --log "$T/resealed" --key "$T/key" --seal "$T/seal"
rm "$T/copy/broken"
works "a record is proved" bash -c "$SYMBI audit proof 3 --log $T/copy --key $T/key >$T/proof"
works "to whom has the key alone" "$SYMBI" audit check --proof "$T/proof" --key "$T/key"
like "in the tree too" '"seq":3,"index":2,' "$(echo 3 >"$D/proof" && cat "$D/proof")"
refused "a question that is none" bash -c "echo three >$D/proof && cat $D/proof"
sed -i '4s/"uid":0/"uid":1/' "$T/copy/log"
refused "another uid in a line is found" "$SYMBI" audit verify --log "$T/copy" --key "$T/key"
cp "$D/log" "$T/copy/log"
sed -i 4d "$T/copy/log"
refused "a line that is gone is found" "$SYMBI" audit verify --log "$T/copy" --key "$T/key"

# ---- a worker that is killed ----
for i in 1 2 3; do
  agent "k$i" 'cat'
  kill -9 "$(key "$M/status" worker_pid)"
  eventually "killed, it goes on ($i)" has "$D/log" "\"object\":\"k$i\""
done
eq "no record is missing" "$(wc -l <"$D/log")" "$(python3 -c 'import json, sys
print(json.loads(open(sys.argv[1]).readlines()[-1])["seq"])' "$D/log")"
works "and all of it verifies" bash -c "echo now >$D/verify"

# ---- stopped ----
last=$(signed)
works "it stops" "$SYMBI" down --mount "$M"
works "everything is signed then" "$SYMBI" audit verify --log "$S/audit" --key "$T/key" --checkpoint "$T/kept,$T/exported"
eq "with nothing left" 0 "$("$SYMBI" audit verify --log "$S/audit" --key "$T/key" | sed -n 's/^unsigned //p')"
[ "$(sed -n 2p "$T/exported")" -ge "$last" ] && ok "the last head is exported" || fail "the last head is exported"
rm -rf "$T/newer" && cp -r "$S/audit" "$T/newer"
lines=$(sed -n 2p "$T/kept")
head -n "$lines" "$S/audit/log" >"$T/newer/log"
refused "an end that is cut off is found" "$SYMBI" audit verify --log "$T/newer" --key "$T/key"
rm "$T/newer/checkpoints"
cp "$T/kept" "$T/newer/head"
works "an older trail is right by itself" "$SYMBI" audit verify --log "$T/newer" --key "$T/key"
refused "and found by the head that was exported" "$SYMBI" audit verify --log "$T/newer" --key "$T/key" --checkpoint "$T/exported"
mv "$S/audit.key" "$T/audit.key"
if try_up >"$T/up" 2>&1; then fail "without its key it does not start"; else ok "without its key it does not start"; fi
like "and says what is missing" "AUDIT_002 .*missing" "$(cat "$S/symbid.log")"
mv "$T/audit.key" "$S/audit.key"
up
works "it goes on" bash -c "echo now >$D/verify"

# ---- other users ----
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
  other=(setpriv --reuid 65534 --regid 65534 --clear-groups)
  refused "another user does not read the log" "${other[@]}" cat "$D/log"
  refused "nor what is about an agent" "${other[@]}" cat "$D/by-agent/greet"
  works "but the head" "${other[@]}" cat "$D/head"
  refused "and has it verified by nobody" "${other[@]}" bash -c "echo now >$D/verify"
fi
finish
