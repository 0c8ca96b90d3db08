#!/bin/bash
# sanitized.sh COMMAND...: a test under a sanitizer, as ctest starts it in such a build. What any process of it reports, a
# daemon in the background too, is shown and fails the test: reports are files of a directory of its own, for the log of a
# daemon is read by nobody.
set -u
reports=$(mktemp -d "${TMPDIR:-/tmp}/symbi-san.XXXXXX") || exit 1
chmod 1777 "$reports" # a test's processes may be other users'
trap 'rm -rf "$reports"' EXIT
common="exitcode=99 halt_on_error=1"
ours="log_path=$reports/report" # one of these may run within another one
export ASAN_OPTIONS="$common detect_leaks=1 abort_on_error=0 ${ASAN_OPTIONS:-} $ours"
export UBSAN_OPTIONS="$common print_stacktrace=1 ${UBSAN_OPTIONS:-} $ours"
# Tests fork engines to kill them; a forked one starts its threads anew.
export TSAN_OPTIONS="$common second_deadlock_stack=1 die_after_fork=0 ${TSAN_OPTIONS:-} $ours"
"$@"
status=$?
shopt -s nullglob
found=("$reports"/*)
if [ ${#found[@]} -gt 0 ]; then
  echo "a sanitizer reports, in ${#found[@]} process(es):"
  head -c 20000 -- "${found[@]}"
  exit 99
fi
exit $status
