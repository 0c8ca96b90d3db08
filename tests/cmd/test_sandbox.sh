#!/bin/bash
# symbi sandbox run: one program in a tier, without a daemon: streams, exit status and signals are passed on, what is
# wrong is refused, and nothing is left, also when it is killed.
# shellcheck source=tests/cmd/lib.sh
. "$(dirname "$0")/lib.sh"

symbi sandbox run true
if [ "$status" != 0 ]; then
  echo "no Tier1 here: $err"
  exit 77
fi
mine() { find /tmp -maxdepth 1 -name 'symbi-run-*' -user "$(id -u)" -newer "$dir/begin" 2>/dev/null; }
touch -d '-1 second' "$dir/begin"

same "$(echo in | "$bin/symbi" sandbox run sh -c 'cat; echo "$0 $1"' 'a b' -l)" "in
a b -l"
expect 0 sandbox run --tier Tier1 --network None -- sh -c 'echo out; echo err >&2'
same "$out" out
same "$err" err
quiet=1 expect 7 sandbox run sh -c 'exit 7'
quiet=1 expect 139 sandbox run sh -c 'kill -SEGV $$'
expect 0 sandbox run sh -c 'test "$(id -u)" != 0 && test ! -e /home && test ! -e /root && readlink /proc/self/ns/net'
[ "$out" != "$(readlink /proc/self/ns/net)" ] || die "it has the machine's network"
SECRET=x expect 0 sandbox run sh -c 'echo ${SECRET-none}; pwd; echo kept >file; cat file'
has "$out" none
has "$out" kept
expect 0 sandbox run --tier None id -u
same "$out" "$(id -u)"
mkdir -m 755 "$dir/given"
chmod 755 "$dir"
echo given >"$dir/given/file"
expect 0 sandbox run --dir "$dir/given" cat file
same "$out" given
[ -d "$dir/given" ] || die "--dir was removed"

expect 2 sandbox
expect 2 sandbox walk
expect 2 sandbox run
expect 2 sandbox run --nonsense true
expect 2 sandbox run --tier Tier9 true
expect 2 sandbox run --network Some true
symbi sandbox run --network Full cat /etc/resolv.conf
case $err in
*"SPAWN_001 slirp4netns could not give its sandbox a network"*) ;; # a chroot: it cannot make the namespaces that it wants
*) [ "$status" = 0 ] || has "$err" "SEC_001 network Full needs " ;;
esac
expect 2 sandbox run --allow nonsense true
expect 2 sandbox run --network None --allow a:1 true
expect 2 sandbox run --tier None --allow a:1 true
expect 2 sandbox run --profile standard --network Restricted true
expect 2 sandbox run --tier None --network None true
expect 2 sandbox run --max-memory none true
expect 1 sandbox run --tier Tier3 true
has "$err" SEC_002
expect 2 sandbox run --tier None --profile secure true
expect 1 sandbox run --profile ../secure true
printf 'filesystem:\n  max_file_size_mb: 1\n  allow_temp_files: false\n' >"$dir/small.yaml"
printf 'process:\n  max_execution_time_seconds: 1\n' >"$dir/short.yaml"
expect 0 sandbox run --profile "$dir/small.yaml" sh -c 'echo x >here && ! touch /tmp/a'
quiet=1 expect 153 sandbox run --profile "$dir/small.yaml" head -c 2M /dev/zero
quiet=1 expect 153 sandbox run --profile "$dir/small.yaml" sh -c 'head -c 2M /dev/zero >here; exit $?'
expect 137 sandbox run --profile "$dir/short.yaml" sleep 60
has "$err" "max_execution_time_seconds"
printf 'network:\n  access_mode: Restricted\n' >"$dir/net.yaml"
expect 0 sandbox run --profile "$dir/net.yaml" --allow a.invalid:80 sh -c 'curl -s http://b.invalid; echo $http_proxy'
has "$out" "b.invalid:80: it is none of the allowed destinations"
has "$out" http://127.0.0.1:1080
has "$err" "SEC_001 connection to b.invalid:80 refused"
expect 2 sandbox run --profile "$dir/small.yaml" --allow a:1 true
printf 'network:\n  access_mode: Restricted\n  allowed_destinations: [a]\n' >"$dir/net.yaml"
expect 1 sandbox run --profile "$dir/net.yaml" true
has "$err" "line 3: destination 'a'"
expect 1 sandbox run --driver nonsense true
has "$err" "has no driver 'nonsense'"
# makes COMMAND OPTION...: its containers start here; what a runtime needs of a machine it alone knows.
makes() {
  [ "$(id -u)" = 0 ] && command -v "$1" >/dev/null || return 1
  symbi sandbox run "${@:2}" true
  ! grep -E 'SPAWN_001|SEC_002' <<<"$err"
}
for driver in crun runc; do
  if makes "$driver" --driver "$driver"; then
    symbi sandbox run --driver "$driver" sh -c 'id -u; kill -9 $$'
    same "$status" 137
    [ "$out" != 0 ] || die "root in a container of $driver"
    expect 0 sandbox run --driver "$driver" touch /tmp/a /dev/shm/a
    expect 0 sandbox run --driver "$driver" --profile "$dir/small.yaml" sh -c 'echo x >here && ! touch /tmp/a'
  else
    expect 1 sandbox run --driver "$driver" true
    grep -qE 'SPAWN_001|SEC_002' <<<"$err" || die "$err"
  fi
done
# Tier2 is there or refused by name, never less.
if makes runsc --tier Tier2; then
  symbi sandbox run --tier Tier2 sh -c 'dmesg | head -n 1; exit 3'
  same "$status" 3
  has "$out" gVisor
else
  expect 1 sandbox run --tier Tier2 true
  grep -qE 'SPAWN_001|SEC_002' <<<"$err" || die "$err"
fi
expect 1 sandbox run no-such-program
has "$err" "no-such-program"
expect 1 sandbox run --dir "$dir/nowhere" true
expect 1 sandbox run --dir /etc true
has "$err" "working directory"
expect 0 sandbox run --help
has "$out" "usage: symbi sandbox run"

# The kernel's word for it is needed: a limit of memory without a cgroup ends nothing but allocations.
if "$bin/symbi" doctor | grep -qE 'cgroups .* memory'; then
  expect 137 sandbox run --max-memory 20 sh -c 'x=$(head -c 200M /dev/zero | tr "\0" x); echo "$x"'
  has "$err" "--max-memory"
fi

# Without Landlock.
without=${TEST_BUILD_DIR:-build/release}/tests/no_landlock
status=0
"$without" "$bin/symbi" sandbox run true 2>"$dir/err" || status=$?
same "$status" 1
has "$(cat "$dir/err")" "'landlock' is missing"
same "$("$without" "$bin/symbi" sandbox run --allow-degraded echo hi)" hi

# Signals go to the program; the end of symbi is its end.
word=symbi-test-$$
"$bin/symbi" sandbox run sh -c 'trap "echo got; exit 5" TERM; echo ready; while :; do sleep 0.1; done' $word >"$dir/out" &
pid=$!
eventually grep -q ready "$dir/out"
kill -TERM $pid
status=0
wait $pid || status=$?
same "$status" 5
grep -qx got "$dir/out" || die "the signal was not passed on"
"$bin/symbi" sandbox run sh -c 'echo ready; (setsid sh -c "sleep 999; :" "$0" &) ; sleep 999' $word >"$dir/out" &
pid=$!
eventually grep -q ready "$dir/out"
kill -KILL $pid
wait $pid || :
gone() { ! pgrep -f "$word" >/dev/null; }
eventually gone
nothing() { [ -z "$(mine)" ]; }
eventually nothing

if [ "$(id -u)" = 0 ] && setpriv --reuid 64321 --regid 64321 --clear-groups test -x "$bin/symbi"; then
  same "$(setpriv --reuid 64321 --regid 64321 --clear-groups "$bin/symbi" sandbox run id -u)" 64321
fi
eventually nothing
