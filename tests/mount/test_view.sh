#!/bin/bash
# SPDX-License-Identifier: MIT
# test_view.sh - what an agent finds as /symbi in its sandbox: itself, all that its README promises, nothing else, no way
# to another's; and that goes on when the worker is killed.
. "${0%/*}/lib.sh"
need_root
need python3
up

# boxed NAME: an agent in Tier1 that runs the commands it is asked, in sh
boxed() {
  printf 'tier: Tier1\nruntime: sh\ncode: |\n  cat > todo; exec 2>&1; . ./todo\n' >"$A/$1.yaml" || die "agent $1" "$(last_error)"
}
boxed a
boxed b
eq "another agent runs" hidden "$(ask b 'echo hidden')"
serial_dir() { echo "$T/w/0-$1.$2"; }

# in_a COMMANDS: what a says to them
in_a() {
  ask a "$1"
}
ask a true >/dev/null || skip "no sandbox can be made here: $(last_error)"

# ---- what is promised ----
eq "what /symbi has" "README errors secrets self wait" "$(in_a 'ls -A /symbi' | xargs)"
eq "what it says of itself" "error events id limits log memory runs state status tier usage" "$(in_a 'ls -A /symbi/self' | xargs)"
eq "no secret was granted" "" "$(in_a 'ls -A /symbi/secrets')"
eq "what waits" "events state" "$(in_a 'ls -A /symbi/wait' | xargs)"
like "README says whose it is" "You are an agent" "$(in_a 'cat /symbi/README')"
eq "its status is its own" "name a" "$(in_a 'head -n 1 /symbi/self/status')"
eq "its id" "$(cat "$A/a/id")" "$(in_a 'cat /symbi/self/id')"
eq "its state" Running "$(in_a 'cat /symbi/self/state')"
eq "each limit" "$(cat "$A/a/limits/"* | xargs)" "$(in_a 'cat /symbi/self/limits/*' | xargs)"
eq "each measure has a value" "$(ls "$A/a/usage" | wc -l)" "$(in_a 'cat /symbi/self/usage/* | wc -l')"
eq "the input of its run" "cat /symbi/self/runs/\$SYMBI_RUN/input" "$(in_a 'cat /symbi/self/runs/$SYMBI_RUN/input')"
like "its events are about it alone" '^"a"$' "$(in_a "sed 's/.*\"agent\":\\(\"[^\"]*\"\\).*/\\1/' /symbi/self/events | sort -u")"
in_a 'sed -n "s/^  \([a-z/]*\)  .*/\1/p" /symbi/README' >"$T/promised"
eq "README names every file" "$(in_a 'cd /symbi; find errors wait self -type f -o -type p' | grep -vE 'limits/|usage/|runs/|memory/[a-rw]' | sort | xargs)" \
  "$(grep -vE '^(wait|secrets|self/(limits|usage|runs|memory))$' "$T/promised" | sort -u | xargs)"
eq "each can be read to its end" "" "$(in_a 'cd /symbi; for f in README errors $(find self -type f); do cat $f >/dev/null || echo $f; done')"
eq "busybox's size and the text's agree" ok "$(in_a 'cd /symbi/self; [ $(stat -c %s status) -gt 100 ] && echo ok')"

# ---- it is only to be read ----
like "a limit is not the agent's to raise" "denied" "$(in_a '(echo 999999 > /symbi/self/limits/memory_mb) 2>&1; echo')"
eq "it was not raised" 512 "$(cat "$A/a/limits/memory_mb")"
for act in 'rm /symbi/README' 'rmdir /symbi/self' 'mkdir /symbi/x' 'touch /symbi/x' 'ln -s / /symbi/x' 'mv /symbi/self /symbi/x' \
  'chmod 777 /symbi/self' 'chown 0 /symbi/README' 'umount /symbi' 'mount -t tmpfs x /symbi'; do
  eq "refused: $act" refused "$(in_a "$act 2>/dev/null || echo refused")"
done

# ---- nothing else has a name ----
for name in agents policies audit config status ctl version metrics health events sandbox views views/a views/b \
  self/ctl self/run self/stdin self/stdout self/pid self/run.d wait/agents wait/agents/b self/../../views/b self/../agents .. self/runs/0; do
  [ "$name" = .. ] && continue
  like "no such name: $name" "No such file" "$(in_a "ls -d /symbi/$name 2>&1; true")"
done
eq ".. is the sandbox's root" same "$(in_a '[ /symbi/.. -ef / ] && [ /symbi/self/../.. -ef / ] && echo same')"
eq "/proc/self/root too" same "$(in_a '[ /proc/self/root/symbi -ef /symbi ] && [ ! -e /proc/self/root/symbi/../views ] && echo same')"
eq "the mount itself is not seen" "" "$(in_a "ls -d $M $M/views/b 2>/dev/null || :")"
eq "no link leads to another's" "" "$(in_a "ln -s $M/views/b /tmp/l; ln -s ../../views/b l2; cat /tmp/l/README l2/README /symbi/../views/b/README 2>/dev/null || :")"
eq "no mount of the machine is listed but its own" 1 "$(in_a "grep -c fuse /proc/self/mountinfo")"

# What no path leads to could be guessed: an id, by a handle. And the names move while somebody looks.
cat >"$T/race.py" <<'X'
import os, threading
os.makedirs("d/in", exist_ok=True)
for l, to in (("l", "/symbi"), ("m", "/symbi/self/runs")):
    if not os.path.islink(l): os.symlink(to, l)
stop, won, n = False, 0, 0
def swap():
    global stop
    for i in range(50000):
        os.rename("d", "t"); os.rename("l", "d"); os.rename("d", "l"); os.rename("t", "d")
    stop = True
t = threading.Thread(target=swap); t.start()
tries = ["d/../views/b/README", "d/../../views/b/README", "/symbi/../views/b/README", "d/self/../../b/README", "m/../../../b/self/status"]
while not stop:
    for p in tries:
        n += 1
        try: os.close(os.open(p, os.O_RDONLY)); won += 1
        except OSError as e:
            if e.errno not in (2, 13, 20): won += 1
t.join()
print("won", won, "tried" if n > 1000 else "hardly tried")
X
cp "$T/race.py" "$(serial_dir a 1)/race.py" && chmod 644 "$(serial_dir a 1)/race.py"
eq "nor in 200,000 renames" "won 0 tried" "$(in_a '/usr/bin/python3 race.py')"

# ---- nobody else comes in by the view ----
refused "another user cannot enter it" setpriv --reuid $OTHER --regid $OTHER --clear-groups ls "$M/views/a"
refused "nor list the views" setpriv --reuid $OTHER --regid $OTHER --clear-groups ls "$M/views"
uid=$(stat -c %u "$M/views/a")
[ "$uid" != 0 ] && [ "$uid" != "$(stat -c %u "$M/views/b")" ] && ok "each has an owner of its own" || fail "each has an owner of its own" "$uid"
refused "an agent's uid does not open another's" setpriv --reuid "$uid" --regid "$uid" --clear-groups cat "$M/views/b/README"
refused "root cannot write there either" sh -c "echo 7 > $M/views/a/self/limits/memory_mb"
like "errors in the view says so, as the agent knows the path" '"path":"self/limits/memory_mb"' "$(in_a 'cat /symbi/errors')"
eq "the other's is empty" "" "$(cat "$M/views/b/errors")"
refused "rm does not take a view away" rm -r "$M/views/a"
there "it is there" "$M/views/a/README"

# ---- waiting ----
cat >"$T/wait" <<'X'
exec 5< /symbi/self/status 6< /symbi/wait/events 7< /symbi/wait/state
echo open > ready
until [ -e go ]; do sleep 0.05; done
head -n 1 <&5
read -r event <&6; echo "$event" | grep -o '"agent":"[^"]*"'
head -n 1 /symbi/self/status; ls /symbi | xargs
X
rm -f "$(serial_dir a 1)"/{go,ready}
cat "$T/wait" >"$A/a/run.d/w"
cat "$A/a/run.d/w" >"$T/waited" 2>&1 &
reader=$!
eventually "it has its files open" test -s "$(serial_dir a 1)/ready"
worker=$(key "$M/status" worker_pid)
kill -9 "$worker"
eventually "there is another worker" sh -c "[ \"\$(sed -n 's/^worker_pid //p' $M/status)\" != $worker ]"
echo 100 >"$A/b/limits/memory_mb" # about another: not for it
echo 600 >"$A/a/limits/memory_mb"
touch "$(serial_dir a 1)/go"
wait $reader
eq "after kill -9 of the worker its files, events and names go on" 'name a|"agent":"a"|name a|README errors secrets self wait' \
  "$(paste -sd'|' "$T/waited")"
for ((i = 0; i < 5; i++)); do
  kill -9 "$(key "$M/status" worker_pid)" &
  [ "$(in_a 'cat /symbi/self/state')" = Running ] || fail "a start while the worker is killed" "$(last_error)"
  wait $!
done
ok "five starts while the worker was killed"

# ---- one program in the view of an agent ----
eq "symbi sandbox run --view" "$(cat "$A/a/id")" "$("$TEST_BIN/symbi" sandbox run --view a --mount "$M" cat /symbi/self/id)"
refused "of nobody" "$TEST_BIN/symbi" sandbox run --view nobody --mount "$M" true
refused "of what is no name" "$TEST_BIN/symbi" sandbox run --view ../agents/a --mount "$M" true
like "status says where the view is" '^view /symbi$' "$(cat "$A/a/status")"

# ---- open files have a limit that others do not feel ----
eq "many open files" "256 EDQUOT" "$(in_a '/usr/bin/python3 -c "
import os, errno
n = 0
try:
    while True: os.open(\"/symbi/wait/events\", os.O_RDONLY); n += 1
except OSError as e: print(n, errno.errorcode[e.errno])"')"
like "errors says which limit that is" RESOURCE_001 "$(in_a 'tail -n 1 /symbi/errors')"

# ---- rename and removal ----
mv "$A/b.yaml" "$A/c.yaml"
eq "renamed, it is the same" "name c" "$(ask c 'head -n 1 /symbi/self/status')"
gone "the old name has no view" "$M/views/b"
rm "$A/c.yaml"
gone "nor has who was removed" "$M/views/c"
boxed c
eq "who has its name now is another" "runs_total 1" "$(ask c 'grep runs_total /symbi/self/status')"
finish
