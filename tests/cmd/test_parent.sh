#!/bin/bash
# The parent keeps its two children alive: a killed one is replaced and what it served goes on; one that cannot come up
# again is given up with the reason.
# shellcheck source=tests/cmd/lib.sh
. "$(dirname "$0")/lib.sh"
ulimit -c 0
log=$state/symbid.log

key() { "$bin/symbi" cat "$1" 2>/dev/null | sed -n "s/^$2 //p"; }
dead() { ! kill -0 "$1" 2>/dev/null; }
spawner() { pgrep -P "$parent" -x symbi-spawn; }
new_worker() { # OLD: another one answers
  local now
  now=$(key status worker_pid) && [ -n "$now" ] && [ "$now" != "$1" ]
}
new_spawner() {
  local now
  now=$(spawner) && [ "$now" != "$1" ]
}
agent() { # NAME CODE [LINE...]
  local name=$1 code=$2
  shift 2
  { printf 'tier: None\nruntime: sh\ncode: |\n  %s\n' "$code" && [ $# = 0 ] || printf '%s\n' "$@"; } |
    "$bin/symbi" write "agents/$name.yaml"
}
answers() { # NAME TEXT
  "$bin/symbi" write "agents/$1/run.d/t" "$2" >/dev/null 2>&1 && [ "$("$bin/symbi" cat "agents/$1/run.d/t" 2>/dev/null)" = "$2" ]
}
runs() { [ -n "$("$bin/symbi" cat agents/stay/pid 2>/dev/null)" ]; }

start
parent=$(key status pid)
agent echo cat
agent stay 'exec sleep 1000' 'execution_mode: persistent'
eventually runs
stay=$("$bin/symbi" cat agents/stay/pid)

# A worker that is killed costs nobody anything: not even often and soon.
for _ in $(seq 11); do # more than it would try a worker that ends by itself
  worker=$(key status worker_pid)
  kill -9 "$worker"
  eventually new_worker "$worker"
done
same "$(key status pid)" "$parent"
same "$(key status worker_restarts)" 11
same "$("$bin/symbi" cat agents/stay/pid)" "$stay"
eventually answers echo again

# A spawner that is killed takes with it what it ran; the next one runs it anew.
old=$(spawner) worker=$(key status worker_pid)
kill -9 "$old"
eventually new_spawner "$old"
eventually new_worker "$worker"
eventually dead "$stay"
eventually answers echo 'with a new spawner'
same "$(key status pid)" "$parent"
"$bin/symbi" write agents/stay/ctl restart || :
eventually runs

# One that ends by itself again and again is given up.
while kill -0 "$parent" 2>/dev/null; do
  worker=$(pgrep -P "$parent" -x symbid-worker) && kill -QUIT "$worker" 2>/dev/null || :
  sleep 0.05
done
grep 'daemon.gives_up' "$log" | grep -q 'ends again and again' || die "no reason is given for giving up"
eventually dead "$("$bin/symbi" cat agents/stay/pid 2>/dev/null || echo 999999999)"
[ ! -e "$SYMBI_SOCKET" ] || die "the socket of the dead daemon is left"
expect 1 status

# The next start finds everything; a worker that cannot read the journal any more says where it is damaged.
start
parent=$(key status pid) worker=$(key status worker_pid)
eventually answers echo recovered
segment=$(find "$state" -name '*.seg' | sort | head -n 1)
printf 'damage' | dd of="$segment" bs=1 seek=200 conv=notrunc status=none
kill -9 "$worker"
eventually dead "$parent"
grep 'daemon.gives_up' "$log" | tail -n 1 | grep -q JOURNAL_ || die "giving up does not name the damage: $(grep gives_up "$log" | tail -n 1)"
quiet=yes expect 1 up --state "$state" --no-fuse
has "$err" JOURNAL_
has "$err" "${segment##*/}"
