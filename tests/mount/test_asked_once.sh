#!/bin/bash
# SPDX-License-Identifier: MIT
# A question whose run is not kept any more when a worker is killed is not asked a second time by the next one.
# shellcheck source=tests/mount/lib.sh
. "${0%/*}/lib.sh"
conf 'runs.keep = 3'
up
agent count "echo x >>$T/ran; cat"
for i in 1 2 3; do
  eq "somebody asks and is answered" "$i" "$(echo "$i" >"$A/count/run" && cat "$A/count/run")" # each a process of its own
done
for i in 4 5 6 7 8; do
  echo "$i" >"$A/count/run" && cat "$A/count/run" >/dev/null
done
eq "the first runs are not kept" 6 "$(find "$A/count/runs" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort -n | head -1)"
kill -9 "$(key "$M/status" worker_pid)"
eventually "a worker comes back" test -e "$M/status"
eq "an answer comes" 9 "$(echo 9 >"$A/count/run" && cat "$A/count/run")"
eq "each question was one run" 9 "$(wc -l <"$T/ran")"
finish
