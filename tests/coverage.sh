#!/bin/bash
# coverage.sh [CTEST OPTION...]: line coverage of each folder by the tests, by way of the preset coverage and gcovr.
# Without options all tests run; -LE 'mount|crash|slow' is the quick round.
set -eu
cd "$(dirname "$0")/.."
cmake/install-deps.sh build run test coverage
export GCOV_ERROR_FILE=/dev/null # processes of other users cannot write their counters, and need not say so
find build/coverage -name '*.gcda' -delete 2>/dev/null || :
tests/run.sh --preset coverage "$@" || echo "coverage of a suite with failures:"
report=$(mktemp)
trap 'rm -f "$report"' EXIT
gcovr --root . --object-directory build/coverage --exclude tests/ --exclude build/ --csv "$report" --gcov-ignore-parse-errors >/dev/null 2>&1 ||
  gcovr --root . --object-directory build/coverage --exclude tests/ --exclude build/ --csv "$report" >/dev/null
awk -F, '
  NR > 1 { folder = $1; sub(/\/[^\/]*$/, "", folder); total[folder] += $2; hit[folder] += $3; all += $2; all_hit += $3 }
  END { for (f in total) printf "%-20s %6d of %6d lines  %5.1f %%\n", f, hit[f], total[f], 100 * hit[f] / total[f] | "sort"
        close("sort"); printf "%-20s %6d of %6d lines  %5.1f %%\n", "all", all_hit, all, 100 * all_hit / all }' "$report"
