#!/bin/sh
# SPDX-License-Identifier: MIT
# test_govern.sh - a short round of govern.py; by hand: tests/crash/govern.py 1000
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 77; }
exec python3 "$(dirname "$0")/govern.py" "$@"
