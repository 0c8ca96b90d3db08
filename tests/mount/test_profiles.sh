#!/bin/bash
# SPDX-License-Identifier: MIT
# sandbox/profiles/ on a mount: the built-in profiles, files that are written, edited and refused, and an agent in Tier1
# whose profile's limits bite.
. "${0%/*}/lib.sh"
P=$M/sandbox/profiles
SYMBI=$TEST_BIN/symbi

boxed() { # CODE LINE...: a spec in Tier1
  spec - "$@" | sed 's/^tier: None$/tier: Tier1/'
}
run() { # NAME
  echo in >"$A/$1/run" && cat "$A/$1/run"
}

up
eq "two are built in" "secure.yaml standard.yaml" "$(ls -C -w 200 "$P" | tr -s ' ')"
like "secure says what it is" "max_memory_mb: 4096" "$(cat "$P/secure.yaml")"
refused "a built-in one cannot be written" bash -c "echo 'resources: {}' >$P/secure.yaml"
refused "nor taken over in another format" bash -c "echo '{}' >$P/secure.json"
like "errors says why" "the profile 'secure' is built in" "$(last_error)"

# ---- refused ----
refused "an unknown key" bash -c "printf 'resources:\n  max_memory_mb: 8\n  max_memroy_mb: 9\n' >$P/a.yaml"
like "by its name and line" '"code":"SEC_003".*"line":3,.*unknown key .resources.max_memroy_mb.; did you mean .max_memory_mb.' "$(last_error)"
refused "a quota that cannot be had" bash -c "printf 'resources:\n  max_disk_mb: 5\n' >$P/a.yaml"
like "with the reason" '"code":"SEC_001".*max_disk_mb. cannot be enforced' "$(last_error)"
refused "another text" bash -c "echo 'rm -rf /' >$P/a.yaml"
refused "a directory" mkdir "$P/d"
eq "nothing of it is left" "secure.yaml standard.yaml" "$(ls -C -w 200 "$P" | tr -s ' ')"

# ---- in force ----
small='filesystem:\n  max_file_size_mb: 1\n  allow_temp_files: false\n  denied_paths: [/srv/keys]\nprocess:\n  max_execution_time_seconds: 2\n'
works "one of one's own" bash -c "printf '$small' >$P/small.yaml"
eq "is what was written" "$(printf "$small")" "$(cat "$P/small.yaml")"
refused "the same name in another format" bash -c "echo '{}' >$P/small.json"
works "a rename" mv "$P/small.yaml" "$P/tiny.yaml"
works "and back" mv "$P/tiny.yaml" "$P/small.yaml"
like "events have it" '"type":"profile.created",.*"profile":"small.yaml"' "$(cat "$M/events")"

refused "a profile for tier None" bash -c "printf 'tier: None\nsandbox_profile: small\ncommand: [true]\n' >$A/none.yaml"
printf 'tier: Tier1\nsandbox_profile: nowhere\ncommand: [cat]\n' >"$A/lost.yaml"
if [ -n "$("$SYMBI" sandbox run true 2>&1)" ]; then
  ok "what runs in Tier1 is not tried: this machine cannot have it"
else
  refused "a run whose profile is not there" bash -c "echo in >$A/lost/run && cat $A/lost/run"
  like "says so" "SEC_001 .*there is no sandbox profile 'nowhere'" "$(cat "$A/lost/error")"
  boxed 'head -c 3M /dev/zero >f && echo all; test -w /tmp && echo temp; true' "sandbox_profile: small" >"$A/small.yaml"
  boxed 'head -c 3M /dev/zero >f && echo all; touch /tmp/a && echo temp; true' >"$A/free.yaml"
  boxed 'sleep 60' "sandbox_profile: small" >"$A/slow.yaml"
  boxed 'cat' "sandbox_profile: small" "workdir: /srv/keys/a" >"$A/denied.yaml"
  like "without it files may be larger, and temporary ones are there" "^all temp$" "$(run free | paste -sd ' ')"
  eq "its largest file and its temporary files hold" "" "$(run small 2>"$T/err")"
  refused "its longest run too" bash -c "echo in >$A/slow/run && cat $A/slow/run"
  like "and is named" "SCHED_002 .*profile small: max_execution_time_seconds of 2s" "$(cat "$A/slow/error")"
  refused "a working directory that it denies, or that is not there" bash -c "echo in >$A/denied/run && cat $A/denied/run"
  printf 'filesystem:\n  max_file_size_mb: 4\n' >"$P/small.yaml"
  like "a new text holds for the next start" "^all temp$" "$(run small | paste -sd ' ')"
  kill -9 "$(key "$M/status" worker_pid)"
  like "a killed worker loses none" "max_file_size_mb: 4" "$(cat "$P/small.yaml")"
  like "and it goes on holding" "^all temp$" "$(run small | paste -sd ' ')"
  works "it goes" rm "$P/small.yaml"
  refused "and what names it runs no more" bash -c "echo in >$A/small/run && cat $A/small/run"
fi

if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
  other=(setpriv --reuid 65534 --regid 65534 --clear-groups)
  works "another user reads" "${other[@]}" cat "$P/standard.yaml"
  refused "and writes none" "${other[@]}" bash -c "echo 'resources: {}' >$P/mine.yaml"
fi
finish
