#!/bin/bash
# SPDX-License-Identifier: MIT
# test_blocked.sh - 1,000 readers blocked on wait/events and on unfinished runs, and the mount still answers;
# SIGINT frees a reader of an unfinished run, and the run goes on.
. "${0%/*}/lib.sh"
need python3
conf 'scheduler.max_concurrent_tasks = 4'
up

# answers WHEN: the mount answers, and how fast
answers() {
  local file seen
  for file in version status; do
    if seen=$(timeout 100 python3 "$HERE/latency.py" "$M/$file" 2>&1); then
      ok "$1: the mount answers cat $file"
      echo "     $seen"
    else
      fail "$1: the mount answers cat $file" "$seen"
    fi
  done
}
answers "no reader"
agent slow "while [ ! -e $T/go ]; do sleep 0.2; done; cat"
for n in 0 1 2 3; do echo "n$n" >"$A/slow/run.d/n$n"; done
cat >"$T/readers.py" <<'X'
import os, sys, threading, time
mount, threads = sys.argv[1], []
threading.stack_size(65536)
got, reads = [None] * 1000, [False] * 1000
last = False
def events(n):
    fd = os.open(mount + "/wait/events", os.O_RDONLY)
    reads[n] = True
    got[n] = os.read(fd, 65536)
    while not last:  # an event that came too early: wait for another
        got[n] = os.read(fd, 65536)
def run(n):
    fd = os.open(f"{mount}/agents/slow/run.d/n{n % 4}", os.O_RDONLY)
    reads[n] = True
    got[n] = os.read(fd, 100)
for n in range(1000):
    t = threading.Thread(target=run if n % 2 else events, args=(n,), daemon=True)
    t.start()
    threads.append(t)
while not all(reads):
    time.sleep(0.1)
time.sleep(1)
print("blocked", sum(t.is_alive() for t in threads), flush=True)
sys.stdin.readline()
last = True
print("the next event is the last", flush=True)
for t in threads:
    t.join(100)
print("freed", sum(not t.is_alive() for t in threads),
      "right", sum(got[n] == b"n%d\n" % (n % 4) for n in range(1, 1000, 2)),
      "events", sum(got[n].startswith(b'{"seq":') for n in range(0, 1000, 2)), flush=True)
os._exit(0)
X
mkfifo "$T/in"
python3 "$T/readers.py" "$M" <"$T/in" >"$T/readers.out" 2>&1 &
exec 5>"$T/in"
eventually "1,000 readers are blocked, of events and of runs" has "$T/readers.out" '^blocked 1000$'
answers "1,000 blocked readers"
eq "cat version" "$("$TEST_BIN/symbi" --version | cut -d' ' -f1,2)" "$(cat "$M/version")"
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
echo >&5
eventually "the readers are told" has "$T/readers.out" 'is the last'
touch "$T/go"
eventually "every reader is freed, each with its answer" has "$T/readers.out" '^freed 1000 right 500 events 500$'
eventually "the run of the one that was interrupted ends as well" has "$A/slow/runs/$number/status" '^result ok'
finish
