#!/bin/sh
# SPDX-License-Identifier: MIT
# test_rag.sh - a short round of rag.py; by hand: tests/crash/rag.py 1000
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 77; }
exec python3 "$(dirname "$0")/rag.py" "$@"
