#!/bin/bash
# SPDX-License-Identifier: MIT
# Every act that a file of the tree names is one that policies are asked about (runtime/policy_ask.c), but those that concern
# nobody.
set -eu
cd "${TEST_SOURCE_DIR:-$(dirname "$0")/../..}"
bad=0
while read -r action; do
  case $action in
  tree.*) continue ;;                      # walking and reading what concerns nobody
  agent.start | agent.connect) continue ;; # decided where they happen
  esac
  grep -q "^	{\"$action\", POLICY_" runtime/policy_ask.c || { echo "$action: policies are not asked about it"; bad=1; }
done < <(grep -rhoE '\.action = "[^"]+"' fs/*.c runtime/*.c | sed 's/.*"\(.*\)"/\1/' | sort -u)
exit $bad
