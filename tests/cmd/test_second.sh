#!/bin/bash
# A second daemon is refused what the first one has: the state directory, the socket, the mount; the reason names it and
# says what to do, and the first one is none the worse.
# shellcheck source=tests/cmd/lib.sh
. "$(dirname "$0")/lib.sh"
start
pid=$("$bin/symbi" cat status | sed -n 's/^pid //p')

expect 1 up --state "$state" --socket "$dir/other.sock" --no-fuse
has "$err" "'$state' is in use by symbid, pid $pid"
has "$err" --state
[ ! -e "$dir/other.sock" ] || die "the refused daemon left a socket"

expect 1 up --state "$dir/s2" --socket "$SYMBI_SOCKET" --no-fuse
has "$err" "$SYMBI_SOCKET"
has "$err" "symbi down"

status=0
"$bin/symbid" --state "$state" --socket "$dir/other.sock" --no-fuse >"$dir/out" 2>&1 || status=$?
same "$status" 1
grep -q "in use by symbid, pid $pid" "$dir/out" || die "symbid by hand: $(cat "$dir/out")"

# The lock goes with the daemon, however that goes.
same "$("$bin/symbi" cat status | sed -n 's/^pid //p')" "$pid"
expect 0 down
start
pid=$("$bin/symbi" cat status | sed -n 's/^pid //p')
kill -9 "$pid"
eventually start
expect 0 down

[ -r /dev/fuse ] && [ -w /dev/fuse ] || exit 0
trap '"$bin/symbi" down --mount "$dir/m" >/dev/null 2>&1 || :; cleanup' EXIT
expect 0 up --state "$dir/s1" --socket "$dir/s1/sock" --mount "$dir/m"
expect 1 up --state "$dir/s2" --socket "$dir/s2/sock" --mount "$dir/m"
has "$err" "mounted on '$dir/m' already"
has "$err" "symbi down --mount $dir/m"
[ -s "$dir/m/version" ] || die "the mount of the first is gone"
expect 0 down --mount "$dir/m"
! mountpoint -q "$dir/m" || die "still mounted"
