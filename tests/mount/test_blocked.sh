#!/bin/bash
# SPDX-License-Identifier: MIT
# test_blocked.sh - 1,000 readers blocked on wait/events and on unfinished runs, and the mount still answers;
# SIGINT frees a reader of an unfinished run, and the run goes on.
. "${0%/*}/lib.sh"
need python3
conf 'scheduler.max_concurrent_tasks = 4'
up
agent slow "while [ ! -e $T/go ]; do sleep 0.2; done; cat"
cat >"$T/readers.py" <<'X'
import os, sys, threading, time
mount, threads = sys.argv[1], []
threading.stack_size(65536)
got = [None] * 1000
def events(n):
    fd = os.open(mount + "/wait/events", os.O_RDONLY)
    got[n] = os.read(fd, 65536)
def run(n):
    path = f"{mount}/agents/slow/run.d/n{n % 4}"
    fd = os.open(path, os.O_RDONLY)
    got[n] = os.read(fd, 100)
for n in range(4):
    with open(f"{mount}/agents/slow/run.d/n{n}", "w") as f:
        f.write(f"n{n}\n")
for n in range(1000):
    t = threading.Thread(target=run if n % 2 else events, args=(n,), daemon=True)
    t.start()
    threads.append(t)
time.sleep(1)
print("blocked", sum(t.is_alive() for t in threads[1::2]), flush=True)
sys.stdin.readline()
for t in threads:
    t.join(100)
print("freed", sum(not t.is_alive() for t in threads),
      "right", sum(got[n] == b"n%d\n" % (n % 4) for n in range(1, 1000, 2)), flush=True)
os._exit(0)
X
mkfifo "$T/in"
python3 "$T/readers.py" "$M" <"$T/in" >"$T/readers.out" 2>&1 &
exec 5>"$T/in"
eventually "500 readers of unfinished runs are blocked" has "$T/readers.out" '^blocked 500$'
for i in 1 2 3; do
  before=$(date +%s%N)
  eq "the mount answers cat version ($i)" "symbi $("$TEST_BIN/symbi" --version | cut -d' ' -f2)" "$(cat "$M/version")"
  echo "     $((($(date +%s%N) - before) / 1000)) us"
done
works "ls -l answers" ls -l "$A"

cat >"$T/one.sh" <<'X'
exec 3<>"$1"
echo question >&3
exec env --default-signal=INT cat <&3
X
bash "$T/one.sh" "$A/slow/run" >/dev/null 2>&1 &
one=$!
eventually "a reader waits for its run" sh -c "tr '\\0' ' ' < /proc/$one/cmdline | grep -q '^cat'"
sleep 0.3
kill -INT $one
eventually "SIGINT ends it" test ! -d "/proc/$one"
number=$(ls "$A/slow/runs" | sort -n | tail -1)
unlike "its run is not done" '^state done' "$(cat "$A/slow/runs/$number/status")"
touch "$T/go"
echo >&5
eventually "every reader is freed, each with its answer" has "$T/readers.out" '^freed 1000 right 500$'
eventually "the run of the one that was interrupted ends as well" has "$A/slow/runs/$number/status" '^result ok'
finish
