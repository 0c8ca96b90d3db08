#!/bin/bash
# The tree names no path of a developer's machine and no host that packages come from.
set -eu
cd "${TEST_SOURCE_DIR:-$(dirname "$0")/../..}"
pattern='(^|[^A-Za-z0-9_.])/(work|home/[a-z]+|Users)/|pkg\.dev|artifactregistry|npmjs\.(org|com)|registry\.npm|pypi\.org|deb\.debian\.org'
found=$(grep -rnIE --exclude-dir=build --exclude=.git --exclude-dir=.git --exclude=test_machine.sh "$pattern" . || :)
[ -z "$found" ] && exit 0
echo "$found"
exit 1
