#!/bin/bash
# The pages of docs/ that are printed from tables say what the tables say today.
set -eu
cd "${TEST_SOURCE_DIR:-$(dirname "$0")/../..}"
bad=0
for page in TREE ERRORS CONFIG METRICS; do
  if ! "$TEST_BIN_DIR/symbid" "--print-${page,,}" | diff -u "docs/$page.md" -; then
    echo "docs/$page.md is not what symbid --print-${page,,} prints; make them anew: cmake --build build/release -t docs"
    bad=1
  fi
done
exit $bad
