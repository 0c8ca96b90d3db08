#!/bin/sh
# SPDX-License-Identifier: MIT
# test_worker.sh - a short round of worker.py; TEST_CRASH_ROUNDS=1000 is the long one.
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 77; }
exec python3 "$(dirname "$0")/worker.py" "${TEST_CRASH_ROUNDS:-30}"
