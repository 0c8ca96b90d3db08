#!/bin/bash
# A setting that some part reads is not marked LATER in the table: its reload and its page would be wrong.
set -eu
cd "${TEST_SOURCE_DIR:-$(dirname "$0")/../..}"
bad=0
rows=runtime/config_items.def
read_keys=$(grep -rhoE 'config_(str|secret|u64|ms|real|bool|list|tree)\([^"]*"[^"]+"' --include='*.c' runtime fs api cmd 2>/dev/null |
  sed 's/.*"\(.*\)"$/\1/' | sort -u)
for key in $read_keys; do
  grep -qE "^(ITEM|WORDS)\(\"$key\"" $rows || { echo "$rows: no row for '$key', which is read"; bad=1; }
  if grep -E "^(ITEM|WORDS)\(\"$key\"" $rows | grep -q ', LATER,'; then
    echo "$rows: '$key' is read ($(grep -rlF "\"$key\"" --include='*.c' runtime fs api cmd | head -1)): mark it LIVE or RESTART"
    bad=1
  fi
done
exit $bad
