#!/bin/bash
# symbi sandbox run --tier Tier3: what a program finds in a microVM, how it ends, and that nothing is left when whoever holds it is
# killed. 77 where there is no QEMU or no image.
# shellcheck source=tests/cmd/lib.sh
. "$(dirname "$0")/../cmd/lib.sh"

symbi sandbox run --tier Tier3 true
if [ "$status" != 0 ]; then
  grep -q SEC_002 <<<"$err" || die "$err"
  echo "skipped: no Tier3 here: $err"
  exit 77
fi
vm() { expect "$1" sandbox run --tier Tier3 "${@:2}"; }
chmod 755 "$dir"

# another kernel, and not the machine's files
vm 0 -- sh -c 'uname -r; id -u; hostname; cat /proc/self/mounts'
[ "$(head -1 <<<"$out")" != "$(uname -r)" ] || die "it has the machine's kernel"
has "$out" "$(sed -n 's/^kernel //p' "$SYMBI_VM_IMAGE/image")"
[ "$(sed -n 2p <<<"$out")" != 0 ] || die "it is root"
vm 0 -- sh -c 'test ! -e /home && test ! -e /root && test ! -e /etc/shadow && test ! -e /run/symbi/vmlinux && ! touch /usr/x /x 2>/dev/null'
vm 0 -- sh -c 'echo mine >/tmp/a && cat /tmp/a && echo mine >/dev/shm/a && python3 -c "print(6 * 7)"'
has "$out" 42

# a kept guest that is damaged is made anew
find "$SYMBI_VM_IMAGE/warm" -type f ! -name '*.ram' ! -name '*.new' -exec truncate -s 500 {} + 2>/dev/null || :
vm 0 -- echo anew
same "$out" anew

# streams both ways, larger than any window; the end of input; a reader that goes away
head -c 3000000 /dev/urandom >"$dir/random"
"$bin/symbi" sandbox run --tier Tier3 cat <"$dir/random" >"$dir/back"
cmp "$dir/random" "$dir/back"
"$bin/symbi" sandbox run --tier Tier3 -- sh -c 'yes; echo never >&2' 2>"$dir/err" | head -c 100 >/dev/null
[ ! -s "$dir/err" ] || die "it lived on: $(cat "$dir/err")"
quiet=1 vm 7 -- sh -c 'exit 7'
quiet=1 vm 139 -- sh -c 'kill -SEGV $$'

# its directory is the machine's; a name that an option's comma would end
mkdir -m 755 "$dir/a,b=c"
echo given >"$dir/a,b=c/file"
chmod 777 "$dir/a,b=c"
vm 0 --dir "$dir/a,b=c" -- sh -c 'cat file; echo made >new; mkdir d; mv new d; rm file; ln -s d/new link; cat link'
has "$out" given
has "$out" made
same "$(cat "$dir/a,b=c/d/new")" made
[ ! -e "$dir/a,b=c/file" ] || die "what was removed is there"

# limits, inside and around
vm 137 --max-memory 64 -- python3 -c 'b"x" * (200 << 20)'
has "$err" RESOURCE_001
printf 'filesystem: {max_file_size_mb: 1, allow_temp_files: false}\nprocess: {max_execution_time_seconds: 60}\n' >"$dir/p.yaml"
quiet=1 vm 153 --profile "$dir/p.yaml" -- head -c 2M /dev/zero
quiet=1 vm 153 --profile "$dir/p.yaml" -- sh -c 'head -c 2M /dev/zero >file'
vm 0 --profile "$dir/p.yaml" -- sh -c '! touch /tmp/a 2>/dev/null && touch b'
vm 1 --network Restricted -- true
has "$err" SEC_001

# nothing is left when it is killed
"$bin/symbi" sandbox run --tier Tier3 --dir "$dir/a,b=c" -- sh -c 'echo up; sleep 1000' >"$dir/up" &
pid=$!
eventually grep -q up "$dir/up"
kill -KILL $pid
wait $pid || :
nothing() { ! pgrep -f "[q]emu-system-x86_64 .*$(basename "$dir")" >/dev/null; }
eventually nothing
