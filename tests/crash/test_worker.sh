#!/bin/sh
# SPDX-License-Identifier: MIT
# test_worker.sh - a short round of worker.py; SYMBI_LONG=1 kills 1,000 times.
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 77; }
exec python3 "$(dirname "$0")/worker.py" "${SYMBI_LONG:+1000}"
