#!/bin/bash
# SPDX-License-Identifier: MIT
# test_engines.sh - agents in containers of Docker and of podman's service, each started here for the purpose: the cases of every
# driver, an agent end to end with its view, what is refused, and that nothing is left, also when the daemon is killed.
export CASE_SECONDS=540
. "${0%/*}/lib.sh"
need_root
need python3 curl cc

export DOCKER_HOST=unix://$T/docker.sock CONTAINER_HOST=unix://$T/podman.sock
engines=()

answers() { [ "$(curl -s --max-time 5 --unix-socket "$T/$1.sock" http://engine/_ping)" = OK ]; }

# What is printed of an engine that does not start here is its last words.
try_engine() {
  local name=$1 i
  shift
  "$@" >"$T/$name.log" 2>&1 &
  echo $! >"$T/$name.pid"
  for ((i = 0; i < 300; i++)); do
    answers "$name" && engines+=("$name") && return
    kill -0 "$(cat "$T/$name.pid")" 2>/dev/null || break
    sleep 0.1
  done
  echo "skipped: $name does not start here: $(tail -n 1 "$T/$name.log" | cut -c 1-300)"
}

# They come after the daemon, whose mount they must see.
up
command -v dockerd >/dev/null && try_engine docker dockerd --data-root "$T/docker" --exec-root "$T/docker-run" -H "$DOCKER_HOST" \
  --pidfile "$T/docker.own" --bridge=none --iptables=false --ip6tables=false
# With CONTAINER_HOST it would be a client; and its runtime does not work beside both versions of cgroups: the second is hidden from it.
# shellcheck disable=SC2016 # $0 is for the inner shell
command -v podman >/dev/null && try_engine podman env -u CONTAINER_HOST unshare -m sh -c \
  'umount /sys/fs/cgroup/unified 2>/dev/null; exec podman --root "$0/pod" --runroot "$0/pod-run" system service --time=0 "unix://$0/podman.sock"' "$T"
[ ${#engines[@]} -gt 0 ] || skip "neither Docker nor podman starts here"

# The smallest image: a program, and a file that it shows.
mkdir "$T/image" "$T/image/bin" && echo "this is the image" >"$T/image/which"
printf '#include <stdio.h>\nint main(void) { char s[99]; FILE *f = fopen("/which", "r"); return !f || !fgets(s, 99, f) || fputs(s, stdout) < 0; }\n' >"$T/hello.c"
cc -static -o "$T/image/bin/hello" "$T/hello.c" && tar -C "$T/image" -cf "$T/image.tar" . || skip "no compiler makes a static program"

containers() { curl -s --unix-socket "$T/$1.sock" 'http://engine/containers/json?all=1'; }
in_a_container() { containers "$1" | grep -q '"/symbi-'; }

for engine in "${engines[@]}"; do
  [ -z "${TEST_BUILD_DIR:-}" ] || works "$engine: the cases of every driver" "$TEST_BUILD_DIR/tests/test_drivers" oci "$engine"
  printf 'tier: Tier1\nsandbox_driver: %s\nruntime: python3\ncode: |\n  %s\n' "$engine" \
    "import os, sys; print(open('/symbi/self/id').read().strip(), os.getuid() > 0, sys.stdin.read())" >"$A/in-$engine.yaml" ||
    die "agent" "$(last_error)"
  if ! ask "in-$engine" warm >/dev/null; then
    echo "skipped: $engine makes no container here: $(last_error)"
    continue
  fi
  eq "$engine: an agent in Python answers, and sees its own /symbi" "$(cat "$A/in-$engine/id") True hello" "$(ask "in-$engine" hello)"
  like "$engine: its status tells the layers" 'mount pid net ipc uts.*seccomp no_new_privs no_caps own_uid' "$(grep -E '^layers' "$A/in-$engine/status")"
  printf 'tier: Tier1\nsandbox_driver: %s\nruntime: sh\ncode: |\n  cat > todo; exec 2>&1; . ./todo\n' "$engine" >"$A/sh-$engine.yaml"
  for act in 'ls /root' "cat $T/s/config.toml" 'echo x > /usr/x' 'echo x > /x' 'mount -t tmpfs x /tmp' 'echo x > /symbi/README' \
    'unshare -U true' 'ls /symbi/../agents' 'cat /etc/shadow'; do
    eq "$engine: refused: $act" refused "$(ask "sh-$engine" "($act) >/dev/null 2>&1 || echo refused")"
  done
  # An image of the engine's as the root: made here, as nothing is fetched.
  curl -s -X POST --data-binary @"$T/image.tar" -H 'Content-Type: application/x-tar' --unix-socket "$T/$engine.sock" \
    'http://engine/images/create?fromSrc=-&repo=localhost/symbi-test' >/dev/null
  printf 'tier: Tier1\nsandbox_driver: %s\nsandbox_image: localhost/symbi-test\ncommand: [hello]\n' "$engine" >"$A/im-$engine.yaml"
  eq "$engine: an image is the root, and the program is looked up in it" "this is the image" "$(ask "im-$engine" x)"
  sed 's/symbi-test/symbi-none/' "$A/im-$engine.yaml" >"$A/no-$engine.yaml"
  eq "$engine: an image that is not there" "" "$(ask "no-$engine" x 2>/dev/null)"
  like "$engine: it is said how to get it" "no image .*symbi-none.* pull" "$(cat "$A/no-$engine/error" "$M/errors" | tail -n 2)"
  refused "$engine: an image without the program" "$TEST_BIN/symbi" sandbox run --driver "$engine" --image localhost/symbi-test -- sh
  printf 'sleep 1000' >"$A/sh-$engine/run.d/long" &
  eventually "$engine: it runs" has "$A/sh-$engine/status" '^state Running'
  eventually "$engine: in a container" in_a_container "$engine"
done

# Worker and parent are killed: the spawner ends what it started, and each engine forgets it.
for pid in $(pgrep -x 'symbid|symbid-worker'); do
  grep -qsaF "TEST_CASE_DIR=$T" "/proc/$pid/environ" && kill -9 "$pid"
done
for engine in "${engines[@]}"; do
  eventually "$engine: nothing is left" is '[]' containers "$engine"
done
for engine in "${engines[@]}"; do
  kill "$(cat "$T/$engine.pid")" 2>/dev/null
done
finish
