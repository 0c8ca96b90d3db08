#!/bin/bash
# SPDX-License-Identifier: MIT
# rag/ on a full disk: a document that has no room is refused by name, what was there is found as before, and goes on to be once there
# is room again, also over a restart.
# shellcheck source=tests/mount/lib.sh
. "${0%/*}/lib.sh"
need_root
mkdir -p "$S" && mount -t tmpfs -o size=260m,mode=0755 tmpfs "$S" || skip "no tmpfs can be mounted"
up
R=$M/rag
ask_rag() { echo "$1" >"$R/query" && cat "$R/query"; }
echo "the okapi lives in the north" >"$R/docs/okapi.txt"
like "a document is found" okapi "$(ask_rag "where does the okapi live")"
seq -f 'line %g of a large document about turbines and valves' 150000 >"$T/large"
last=none
for i in $(seq 60); do
  cp "$T/large" "$R/docs/large$i.txt" 2>"$T/why" || { last=$i; break; }
done
unlike "the disk fills" none "$last"
like "it is said which file had no room" "large$last.txt.*(space|FULL|full)|No space" "$(cat "$T/why" "$M/errors" | tail -3)"
like "what was there is found" okapi "$(ask_rag "where does the okapi live")"
works "and read" grep -q okapi "$R/docs/okapi.txt"
works "documents can be removed" rm -f "$R"/docs/large*.txt
eventually "then there is room again" bash -c "echo 'the tapir lives in the south' >$R/docs/tapir.txt"
like "and it is found" tapir "$(ask_rag "where does the tapir live")"
works "the daemon stops" "$TEST_BIN/symbi" down --mount "$M"
up
like "behind a restart too" tapir "$(ask_rag "where does the tapir live")"
like "all of it" okapi "$(ask_rag "where does the okapi live")"
finish
