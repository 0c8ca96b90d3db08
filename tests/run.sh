#!/bin/sh
# run.sh [--preset NAME] [--no-install] [--jobs N] [CTEST OPTION...]: installs what the tests need, builds with
# warnings as errors and runs every test. The last line is "N passed, N failed, N skipped"; exit status 1 when any failed.
#   tests/run.sh                      everything, release build
#   tests/run.sh -LE 'mount|crash|slow'   the quick ones
#   tests/run.sh -R lib/              those of one folder
# SYMBI_LONG=1 in the environment makes the crash and mount tests run their long rounds.
set -eu
cd "$(dirname "$0")/.."

preset=release install=yes jobs=$(nproc)
while [ $# -gt 0 ]; do
  case $1 in
    --preset) preset=$2; shift 2 ;;
    --no-install) install=no; shift ;;
    --jobs) jobs=$2; shift 2 ;;
    --help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    *) break ;;
  esac
done

# What goes wrong before a test could run counts as one failure.
give_up() {
  echo "$0: $1" >&2
  echo "0 passed, 1 failed, 0 skipped"
  exit 1
}

[ "$install" = no ] || cmake/install-deps.sh build run test || give_up "packages are missing, see above"
build=build/$preset log=build/$preset/run.log
mkdir -p "$build"
cmake --preset "$preset" -DCMAKE_COMPILE_WARNING_AS_ERROR=ON >"$log" 2>&1 ||
  { cat "$log" >&2; give_up "cmake cannot configure the preset '$preset'"; }
cmake --build --preset "$preset" -j "$jobs" >"$log" 2>&1 || { cat "$log" >&2; give_up "the build failed"; }

# A report of a sanitizer must fail the test that it comes from.
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0:exitcode=99}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}"
# Tests fork engines to kill them; a forked one starts its threads anew.
export TSAN_OPTIONS="${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1:die_after_fork=0}"
result=$PWD/$build/run.xml
rm -f "$result"
ctest --test-dir "$build" -j "$jobs" --output-on-failure --no-tests=error --output-junit "$result" "$@" </dev/null || :
[ -s "$result" ] || give_up "ctest left no result"

# ctest counts a test whose program is missing among the skipped ones; only status 77 is a skip here.
awk '
  /<testcase / { match($0, /name="[^"]*"/); name = substr($0, RSTART + 6, RLENGTH - 7); out = ""; kept = 0
                 if (/status="run"/) passed++; else { other++; open = 1 } }
  /<skipped message="SKIP_RETURN_CODE/ { if (open) { skipped++; is_skip = 1 } }
  /<system-out>/ { sub(/.*<system-out>/, ""); reading = 1 }
  reading && NF && !kept { out = $0; sub(/<\/system-out>.*/, "", out); kept = out != "" }
  /<\/system-out>/ { reading = 0 }
  /<\/testcase>/ { if (is_skip) print "skipped " name ": " out; open = is_skip = 0 }
  END { if (passed + other == 0) { print "no test was run"; other = 1 }
        printf "%d passed, %d failed, %d skipped\n", passed, other - skipped, skipped; exit other > skipped }
' "$result"
