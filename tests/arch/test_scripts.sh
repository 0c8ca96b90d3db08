#!/bin/bash
# Shell scripts pass shellcheck and can be run.
set -eu
cd "${TEST_SOURCE_DIR:-$(dirname "$0")/../..}"
command -v shellcheck >/dev/null || { echo "shellcheck is not installed"; exit 77; }
bad=0
scripts=$(grep -rlE --exclude-dir=build --exclude-dir=.git '^#!/(usr/)?bin/(env )?(ba|da)?sh' . | sort)
for script in $scripts; do
  [ -x "$script" ] || { echo "$script is not executable"; bad=1; }
done
# shellcheck disable=SC2086 # a list of files
shellcheck -x --severity=warning $scripts || bad=1
exit $bad
