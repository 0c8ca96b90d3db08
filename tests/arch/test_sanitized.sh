#!/bin/bash
# A report of a sanitizer in a process that nobody waits for fails the test that it comes from (tests/support/sanitized.sh).
set -eu
cd "${TEST_SOURCE_DIR:-$(dirname "$0")/../..}"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
echo 'int main(int n, char **v) { int a[2] = {0}; (void)v; return a[n]; }' >"$dir/x.c"
gcc -g -fsanitize=address "$dir/x.c" -o "$dir/x" || { echo "gcc has no -fsanitize=address"; exit 77; }
wrap=tests/support/sanitized.sh
$wrap true || { echo "a test that passes fails"; exit 1; }
$wrap "$dir/x" || { echo "nothing wrong, and it fails"; exit 1; }
status=0
# shellcheck disable=SC2016 # for the inner shell
out=$($wrap sh -c '("$0" a b 2>/dev/null; :) & wait; echo done' "$dir/x") || status=$?
[ $status = 99 ] || { echo "exit status $status, not 99: $out"; exit 1; }
[[ $out == *done* && $out == *stack-buffer-overflow* ]] || { echo "the report is not shown: $out"; exit 1; }
status=0
$wrap sh -c 'exit 77' || status=$?
[ $status = 77 ] || { echo "a skip is not passed on: $status"; exit 1; }
