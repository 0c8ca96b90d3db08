#!/bin/bash
# Functions that cannot be used safely, or that start a shell, are used nowhere; each has its replacement in lib.
# The floors of tests/bench are programs on their own, without lib.
set -eu
cd "${TEST_SOURCE_DIR:-$(dirname "$0")/../..}"

# Comments and strings are cut first, roughly: a word in a sentence is no call.
find lib policies vectors sandbox runtime fs api cmd tests -path tests/bench -prune -o \( -name '*.c' -o -name '*.h' -o -name '*.cc' \) -print0 2>/dev/null |
  xargs -0 awk '
  { line = $0
    gsub(/"([^"\\]|\\.)*"/, "\"\"", line)
    sub(/\/\/.*/, "", line); gsub(/\/\*.*\*\//, "", line); sub(/^[ \t]*(\/\*|\*).*/, "", line)
    if (line ~ /(^|[^A-Za-z0-9_])(strcpy|strcat|strncat|stpcpy|sprintf|vsprintf|gets|strtok|ato[ifl]|atoll|strtou?ll?|system|popen|alloca|mktemp|tmpnam)[ \t]*\(/) {
      print FILENAME ":" FNR ": " $0; bad = 1
    } }
  END { if (bad) print "use buf_*, snprintf, parse_* (lib/buf.h, lib/parse.h) or posix_spawn instead"; exit bad }'
