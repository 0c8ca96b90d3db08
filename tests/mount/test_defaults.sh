#!/bin/bash
# SPDX-License-Identifier: MIT
# The set that a fresh installation has: there at the first start, in force, its owner's from then on.
# shellcheck source=tests/mount/lib.sh
. "${0%/*}/lib.sh"
conf 'store.checkpoint_interval = "200ms"'
# As without a word about it in the settings.
write_conf() {
  printf 'native_execution.working_directory = "%s/w"\nlifecycle.termination_timeout = "2s"\n' "$T" >"$T/symbi.toml"
}
P=$M/policies
up
same "a fresh state has the shipped set" "${TEST_SOURCE_DIR:-$HERE/../..}/policies/defaults/baseline.yaml" "$P/baseline.yaml"
like "it decides" "^effect Deny" "$(echo "Connect 169.254.169.254 type=Network" >"$P/check" && cat "$P/check")"
like "by its rule" "^rule baseline-no-metadata" "$(cat "$P/check")"
like "the journal begins with it" '"type":"policy.created".*"policy":"baseline.yaml"' "$(head -1 "$M/events")"
agent greet 'cat'
eq "agents run" hello "$(ask greet hello)"
agent inside 'pwd' 'workdir: /etc'
refused "but not in a directory of the system" bash -c "echo x >$A/inside/run && cat $A/inside/run"
like "and it is said by which rule" "POLICY_001 .*baseline-no-system-files" "$(cat "$A/inside/error")"
sed 's/169.254.0.0/169.253.0.0/' "$P/baseline.yaml" >"$T/mine"
works "it is its owner's to change" cp "$T/mine" "$P/baseline.yaml"
down
up
same "a start leaves it as it is" "$T/mine" "$P/baseline.yaml"
works "and to remove" rm "$P/baseline.yaml"
kill -9 "$(key "$M/status" worker_pid)"
eventually "a worker comes back" test -e "$P/stats"
gone "without it" "$P/baseline.yaml"
down
up
gone "no start brings it back" "$P/baseline.yaml"
finish
