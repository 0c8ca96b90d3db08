#!/bin/bash
# No source file is longer than 500 lines. A file stands in the list only with the reason why it cannot be cut.
set -eu
cd "${TEST_SOURCE_DIR:-$(dirname "$0")/../..}"
most=500

# path: reason
exceptions="
"
bad=0
while read -r lines file; do
  if [ "$lines" -gt $most ]; then
    grep -q "^$file: ." <<<"$exceptions" && continue
    echo "$file: $lines lines, more than $most: split it by what it is responsible for"
    bad=1
  elif grep -q "^$file:" <<<"$exceptions"; then
    echo "$file: $lines lines; take it off the list of exceptions in $0"
  fi
done < <(find . \( -path ./build -o -path ./.git \) -prune -o \( -name '*.c' -o -name '*.h' -o -name '*.cc' \) -printf '%P\n' |
  xargs wc -l | grep -v ' total$')
exit $bad
