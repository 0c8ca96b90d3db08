#!/bin/bash
# SPDX-License-Identifier: MIT
# test_call_fd.sh - 64 processes ask one agent 10 questions each in the form "one descriptor, write then read", from every
# language: 640 of 640 read their own answer.
CASE_SECONDS=540
. "${0%/*}/lib.sh"
need bash dash busybox python3 node
conf 'scheduler.max_concurrent_tasks = 64'
up
agent echo cat 'resource_limits: {memory_mb: 16}'
n=${SYMBI_SHELLS:-64}
for language in bash dash "busybox sh" python node; do
  eq "$language: every answer is the asker's" "$((n * 10)) of $((n * 10)) right, 0 foreign" \
    "$(python3 "$HERE/asking.py" "$A/echo/run" fd "$language" "$n" 10 2>"$T/err" || cat "$T/err")"
done
eq "runs are counted" "$((5 * n * 10))" "$(cat "$A/echo/usage/runs_total")"
finish
