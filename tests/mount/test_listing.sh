#!/bin/bash
# SPDX-License-Identifier: MIT
# test_listing.sh - the kernel keeps names, attributes and whole listings of agents/; whatever changes them, by the
# mount, the socket or the daemon itself, is seen by the next who looks.
. "${0%/*}/lib.sh"
need python3
up

works "names and attributes follow what happens on the socket and on the mount" \
  python3 "$HERE/listing.py" "$M" "$S/symbi.sock"

agent one 'cat'
agent two 'cat'
eq "both are listed" "one one.yaml two two.yaml" "$(ls -A "$A" | sort | xargs)"
ls -lA "$A" >/dev/null
inside() { unshare -m sh -c "$1"; }
if inside true 2>/dev/null; then
  inside "rm '$A/one.yaml'"
  eq "a name that goes in another mount namespace is gone here" "two two.yaml" "$(ls -A "$A" | sort | xargs)"
  gone "and so is its directory" "$A/one"
fi

# The worker that knew what the kernel keeps is gone; what the next one does is seen.
names=$(ls -A "$A" | sort | xargs)
ls -lA "$A" >/dev/null
kill -9 "$(key "$M/status" worker_pid)"
eq "after a new worker: the same names" "$names" "$(ls -A "$A" | sort | xargs)"
works "and their changes are seen as before" python3 "$HERE/listing.py" "$M" "$S/symbi.sock"
finish
