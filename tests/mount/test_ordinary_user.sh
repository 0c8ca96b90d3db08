#!/bin/bash
# SPDX-License-Identifier: MIT
# test_ordinary_user.sh - everything without root: nobody starts the daemon, makes and asks agents on a
# mount below $XDG_RUNTIME_DIR, is refused what is wrong, and takes it all down.
. "${0%/*}/lib.sh"
need_root # to become that user
OTHER=$(id -u nobody) # fusermount3 mounts for users that have a name
need fusermount3 findmnt curl
[ -e /dev/fuse ] || skip "there is no /dev/fuse"
# Where udev did not open the device to users, a device that is open to them is put over it, for this case alone.
if ! setpriv --reuid "$OTHER" --clear-groups -- test -w /dev/fuse; then
  [ -z "${TEST_FUSE_OPEN:-}" ] || skip "users cannot be given /dev/fuse"
  unshare -m --propagation slave true 2>/dev/null || skip "no mounts of one's own here (a chroot?): users cannot be given /dev/fuse"
  mknod -m 666 "$T/fuse" c 10 229 || skip "this container makes no device for users"
  TEST_FUSE_OPEN=1 exec unshare -m --propagation slave bash -c 'mount --bind "$1" /dev/fuse && exec bash "$2"' - "$T/fuse" "$0"
fi
[ -u "$(command -v fusermount3)" ] || skip "fusermount3 is not setuid root: users cannot mount"

# What lib.sh looks for and what the user has are the same places: it finds what is left.
mkdir -m 700 "$T/run" "$T/home" && chown "$OTHER:$OTHER" "$T/run" "$T/home"
user=(setpriv --reuid "$OTHER" --regid "$OTHER" --clear-groups --
  env -i "PATH=$PATH" "HOME=$T/home" "XDG_RUNTIME_DIR=$T/run" "TEST_CASE_DIR=$T")
[ -r "$TEST_BIN/symbi" ] && "${user[@]}" test -x "$TEST_BIN/symbi" ||
  skip "another user cannot run $TEST_BIN/symbi"
as_user() {
  (cd "$T/home" && "${user[@]}" "$@")
}
# The commands of a user, one line each; every one is a fact.
does() { # FACT COMMAND
  local out
  if out=$(as_user timeout 100 bash -c "$2" 2>&1); then ok "$1"; else fail "$1" "$2" "$out"; fi
}
does_not() { # FACT COMMAND
  local out rc
  out=$(as_user timeout 100 bash -c "$2" 2>&1)
  rc=$?
  if [ $rc != 0 ] && [ $rc -lt 124 ]; then ok "$1"; else fail "$1" "exit $rc: $2" "$out"; fi
}
says() { # FACT WANT COMMAND
  eq "$1" "$2" "$(as_user timeout 100 bash -c "$3" 2>&1)"
}

does "symbi up" "$TEST_BIN/symbi up --allow-native"
as_user test -e "$T/run/symbi/version" || finish
M=$T/run/symbi A=$M/agents
says "the mount is below XDG_RUNTIME_DIR" fuse.symbi "findmnt -no FSTYPE $M"
says "it is the user's daemon" "$OTHER" "stat -c %u $M/version"
says "health" ok "head -n 1 $M/health"
does "status names what limits what" "grep -E '^(limits|cgroup|enforce)' $M/status"
does "doctor" "$TEST_BIN/symbi doctor"
does "create" "cat > $A/greet.yaml <<'X'
tier: None
runtime: sh
code: read who; echo hello \$who; id -u
X"
says "ask" "hello world
$OTHER" "echo world > $A/greet/run; cat $A/greet/run"
does_not "a wrong spec is refused" "echo '{bad' > $A/x.yaml"
says "errors says why" 1 "tail -n 1 $M/errors | grep -c TEXT_001"
says "nothing is made" "greet greet.yaml" "ls $A | xargs"
does_not "a wrong command is refused" "echo nonsense > $A/greet/ctl"
does "a persistent agent" "printf 'tier: None\nexecution_mode: persistent\nruntime: sh\ncode: |\n  while :; do echo here; sleep 1; done\n' > $A/p.yaml"
says "it says something" here "for i in \$(seq 100); do [ -s $A/p/stdout ] && break; sleep 0.2; done; head -n 1 $A/p/stdout"
pid=$(as_user cat "$A/p/pid")
says "its process is the user's" "$OTHER" "stat -c %u /proc/$pid"
does "suspend" "echo suspend > $A/p/ctl"
says "it is suspended" Suspended "cat $A/p/state"
does "resume" "echo resume > $A/p/ctl"
does "the command line" "$TEST_BIN/symbi ls agents | grep -q greet"
says "the socket" 200 "curl -s -o /dev/null -w '%{http_code}' --unix-socket $T/run/symbi.sock http://localhost/fs/version || ls -l $T/run"
# Each agent has its own part of the mount; that all of them are of one user makes no difference in there.
if as_user unshare -U true 2>/dev/null; then
  does "two in Tier1" "for n in v w; do printf 'tier: Tier1\nruntime: sh\ncode: |\n  read -r l; eval \"\$l\"\n' > $A/\$n.yaml; done"
  says "one sees itself" "name v" "echo 'head -n 1 /symbi/self/status' > $A/v/run; cat $A/v/run"
  says "and nobody else" "README errors secrets self wait none" \
    "echo 'cd /symbi; echo * \$(ls -d $M $M/views/w /symbi/views ../views /proc/self/root/symbi/../views 2>/dev/null || echo none)' > $A/v/run; cat $A/v/run"
  says "it cannot raise its limit" 512 "echo 'echo 9999 > /symbi/self/limits/memory_mb || :' > $A/v/run; cat $A/v/run; cat $A/v/limits/memory_mb"
  says "its errors are its own" "" "echo 'cat /symbi/errors' > $A/v/run; cat $A/v/run"
  does "they are removed" "rm $A/v.yaml $A/w.yaml"
  rm -rf "/tmp/symbiont-native-$OTHER/$OTHER-"[vw].*
fi
refused "without allow_other not even root looks into it" ls "$M"
refused "a third user cannot either" setpriv --reuid 54322 --regid 54322 --clear-groups -- ls "$M"
does "rm" "rm $A/greet.yaml"
does_not "then it is gone" "test -e $A/greet"

does "symbi down" "$TEST_BIN/symbi down"
says "the mount is gone" "" "findmnt -no FSTYPE $M"
eventually "so is the agent's process" test ! -d "/proc/${pid:-self}"
does "symbi up again" "$TEST_BIN/symbi up --allow-native"
says "the agent is there" "p p.yaml" "ls $A | xargs"
does "and down" "$TEST_BIN/symbi down"
processes_left() {
  ours | while read -r pid; do [ "$(stat -c %u "/proc/$pid" 2>/dev/null)" = "$OTHER" ] && echo "$pid"; done
}
eventually "no process of that user is left" is "" processes_left
rm -rf "/tmp/symbiont-native-$OTHER/$OTHER-greet" "/tmp/symbiont-native-$OTHER/$OTHER-p"
rmdir "/tmp/symbiont-native-$OTHER" 2>/dev/null
finish
