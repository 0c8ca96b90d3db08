#!/bin/sh
# run.sh [--preset NAME] [--no-install] [--jobs N] [CTEST OPTION...]: installs what the tests need, builds with
# warnings as errors and runs every test. The last line is "N passed, N failed, N skipped"; exit status 1 when any failed.
#   tests/run.sh                      everything, release build
#   tests/run.sh -LE 'mount|crash|slow'   the quick ones
#   tests/run.sh -R lib/              those of one folder
# TEST_CRASH_ROUNDS=N in the environment makes the tests that kill something kill it N times.
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

# What goes wrong before a test could run counts as one failure. give_up REASON [LOG]
give_up() {
  echo "---- failed: $1"
  [ $# -lt 2 ] || tail -n 60 "$2"
  echo "0 passed, 1 failed, 0 skipped"
  exit 1
}

[ "$install" = no ] || cmake/install-deps.sh build run test || give_up "packages are missing, see above"
build=build/$preset log=build/$preset/run.log
mkdir -p "$build"
cmake --preset "$preset" -DCMAKE_COMPILE_WARNING_AS_ERROR=ON >"$log" 2>&1 ||
  give_up "cmake cannot configure the preset '$preset'" "$log"
cmake --build --preset "$preset" -j "$jobs" >"$log" 2>&1 || give_up "the build" "$log"

result=$PWD/$build/run.xml
rm -f "$result"
ctest --test-dir "$build" -j "$jobs" --output-on-failure --no-tests=error --output-junit "$result" "$@" </dev/null || :
[ -s "$result" ] || give_up "ctest left no result"

# Reasons of the skipped ones, then each failed one with the end of its output (and what before that looks like a reason),
# so that the end of a long log is enough.
# ctest counts a test whose program is missing among the skipped ones; only status 77 is a skip here.
awk '
  function plain(s) {
    gsub(/&lt;/, "<", s); gsub(/&gt;/, ">", s); gsub(/&quot;/, "\"", s); gsub(/&apos;/, "\047", s); gsub(/&amp;/, "\\&", s)
    return s
  }
  /<testcase / { match($0, /name="[^"]*"/); name = substr($0, RSTART + 6, RLENGTH - 7); match($0, /time="[0-9]*/); seconds = substr($0, RSTART + 6, RLENGTH - 6)
                 lines = facts = is_skip = 0; first = early = why = ""
                 ran = /status="run"/; if (ran) passed++; else other++ }
  /<skipped message="SKIP_RETURN_CODE/ { skipped++; is_skip = 1 }
  /<(failure|skipped) message="/ { why = $0; sub(/.*message="/, "", why); sub(/".*/, "", why) }
  /<system-out>/ { sub(/.*<system-out>/, ""); reading = 1 }
  reading { text = $0; ended = sub(/<\/system-out>.*/, "", text); if (first == "") first = text
            if (lines >= KEPT && line[lines % KEPT] ~ /FAIL|ERROR|Sanitizer|runtime error/ && facts++ < KEPT)
              early = early line[lines % KEPT] "\n"
            if (!ended || text != "") line[lines++ % KEPT] = text }
  /<\/system-out>/ { reading = 0 }
  /<\/testcase>/ {
    if (is_skip) print "skipped " name ": " plain(first)
    else if (!ran) {
      report = report "---- failed: " name " after " seconds " s" (why ? ": " plain(why) : "") "\n" plain(early)
      for (i = lines > KEPT ? lines - KEPT : 0; i < lines; i++) report = report plain(line[i % KEPT]) "\n"
    }
  }
  END {
    if (passed + other == 0) { report = "---- failed: no test was run\n"; other = 1 }
    printf "%s%d passed, %d failed, %d skipped\n", report, passed, other - skipped, skipped
    exit other > skipped
  }
' KEPT=25 "$result"
