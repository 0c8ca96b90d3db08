#!/bin/sh
# SPDX-License-Identifier: MIT
# test_all.sh - a short round of all.py; by hand: tests/crash/all.py 1000
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 77; }
exec python3 "$(dirname "$0")/all.py" "$@"
