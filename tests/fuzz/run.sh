#!/bin/bash
# run.sh SECONDS [TARGET...]: builds the fuzz targets (clang) and runs each for SECONDS on its corpus. Ends with 1 on a
# finding, which is left in build/fuzz/findings. The last line is "N passed, N failed, N skipped".
#   tests/fuzz/run.sh 60 spec config     those two
#   tests/fuzz/run.sh 0                  the seeds alone, the same every time
# A target is tests/fuzz/fuzz_NAME.c, its seeds are tests/fuzz/corpus/NAME/*, its dictionary tests/fuzz/NAME.dict if there
# is one. What it finds interesting is kept in build/fuzz/corpus/NAME and used again.
set -eu
cd "$(dirname "$0")/../.."
case ${1:-} in '' | *[!0-9]*) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 2 ;; esac
seconds=$1
shift

# give_up REASON [LOG]
give_up() {
  echo "---- failed: $1"
  [ $# -lt 2 ] || tail -n 60 "$2"
  echo "0 passed, 1 failed, 0 skipped"
  exit 1
}
cmake/install-deps.sh build fuzz || give_up "packages are missing, see above"
mkdir -p build/fuzz/findings
log=build/fuzz/run.log
{ cmake --preset fuzz && cmake --build --preset fuzz; } >"$log" 2>&1 || give_up "the build" "$log"

if [ $# = 0 ]; then
  for file in tests/fuzz/fuzz_*.c; do
    name=${file##*/fuzz_}
    set -- "$@" "${name%.c}"
  done
fi
passed=0 failed=0 reports=
for target; do
  work=build/fuzz/corpus/$target seeds=tests/fuzz/corpus/$target dict=tests/fuzz/$target.dict
  mkdir -p "$work"
  if [ "$seconds" = 0 ]; then
    args=(-runs=0)
    work=$(mktemp -d build/fuzz/none.XXXXXX)
  else
    args=(-max_total_time="$seconds")
  fi
  args+=(-timeout=20 -rss_limit_mb=2048 -print_final_stats=1 "-artifact_prefix=build/fuzz/findings/$target-")
  [ -f "$dict" ] && args+=("-dict=$dict")
  args+=("$work")
  [ -d "$seeds" ] && args+=("$seeds")
  if "build/fuzz/fuzz/fuzz_$target" "${args[@]}" >"$log" 2>&1 </dev/null; then
    passed=$((passed + 1))
    printf 'ok   %-12s %s runs, %s\n' "$target" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
      "$(sed -n 's/.*\(cov: [0-9]*\).*/\1/p' "$log" | tail -n 1)"
  else
    failed=$((failed + 1))
    cp "$log" "build/fuzz/findings/$target.log"
    printf 'FAIL %-12s build/fuzz/findings/%s.log\n' "$target" "$target"
    reports+="---- failed: $target: build/fuzz/findings/$target.log"$'\n'$(tail -n 40 "$log")$'\n'
  fi
done
printf %s "$reports"
echo "$passed passed, $failed failed, 0 skipped"
[ $failed = 0 ]
