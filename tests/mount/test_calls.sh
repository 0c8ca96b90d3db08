#!/bin/sh
# SPDX-License-Identifier: MIT
# test_calls.sh - 640 questions in each form of a call file, each reader its own answer: see calls.py.
command -v python3 >/dev/null || { echo "skipped: python3 is not installed"; exit 77; }
exec python3 "$(dirname "$0")/calls.py"
