#!/bin/bash
# tidy.sh [FILE...]: clang-tidy over the programs' sources (or those named), with the checks of .clang-tidy. Ends with 1 on
# a finding.
set -eu
cd "$(dirname "$0")/.."
cmake/install-deps.sh build tidy
cmake --preset dev >/dev/null
[ $# -gt 0 ] || mapfile -t files < <(find lib policies vectors sandbox runtime fs api cmd -name '*.c' 2>/dev/null | sort)
[ $# = 0 ] || files=("$@")
# lib/err.c defines what tests/tidy.h stands in for.
printf '%s\n' "${files[@]}" | grep -vxF lib/err.c |
  xargs -P "$(nproc)" -n 4 clang-tidy --quiet -p build/dev --extra-arg=-include --extra-arg="$PWD/tests/tidy.h" 2>/dev/null
