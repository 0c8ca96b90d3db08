#!/bin/bash
# SPDX-License-Identifier: MIT
# rag/docs/ on a mount: files and folders as on a disk, with every program that people use for that, and through the end of
# worker and daemon.
. "${0%/*}/lib.sh"
D=$M/rag/docs
SRC=$(cd "$HERE/../.." && pwd)

up
works "there is a directory" test -d "$D"
eq "it is empty" "" "$(ls -A "$D")"

# ---- files ----
works "a file is written" bash -c "echo hello >$D/a.txt"
eq "it is read" hello "$(cat "$D/a.txt")"
eq "its size is true" 6 "$(stat -c %s "$D/a.txt")"
works "appended to" bash -c "echo more >>$D/a.txt"
eq "both are there" "hello more" "$(paste -sd ' ' "$D/a.txt")"
works "sed -i" sed -i s/hello/bye/ "$D/a.txt"
eq "changed it" "bye more" "$(paste -sd ' ' "$D/a.txt")"
works "an empty file" touch "$D/empty"
eq "has no bytes" 0 "$(stat -c %s "$D/empty")"
works "cut by its writer" truncate -s 3 "$D/a.txt"
eq "is as long as that" bye "$(cat "$D/a.txt")"
works "written in the middle" bash -c "printf X | dd of=$D/a.txt bs=1 seek=1 conv=notrunc status=none"
eq "keeps the rest" bXe "$(cat "$D/a.txt")"
works "python reads and writes one descriptor" python3 -c "
f = open('$D/py', 'w+'); f.write('one two'); f.flush(); f.seek(4); assert f.read() == 'two'"
eq "it is there" "one two" "$(cat "$D/py")"
refused "a directory's name for a file" bash -c "echo x >$D"
works "a name with blanks and signs" bash -c "echo x >'$D/a b ü \"c\".md'"
eq "is read back" x "$(cat "$D/a b ü \"c\".md")"
refused "a name that is too long" touch "$D/$(printf 'n%.0s' $(seq 256))"

# A reader keeps what it opened, whatever is written meanwhile.
exec 7<"$D/py"
echo another >"$D/py"
eq "an open file stays as it was" "one two" "$(cat <&7)"
exec 7<&-
eq "who opens it now reads the new one" another "$(cat "$D/py")"

# ---- folders ----
works "folders in folders" mkdir -p "$D/x/y/z"
refused "one that is there" mkdir "$D/x"
works "a file in one" bash -c "echo deep >$D/x/y/z/f"
works "moved up" mv "$D/x/y/z/f" "$D/f"
eq "it is the same" deep "$(cat "$D/f")"
works "over another" mv "$D/f" "$D/py"
eq "whose place it takes" deep "$(cat "$D/py")"
works "a folder moved" mv "$D/x/y" "$D/y"
eq "with what is in it" z "$(ls "$D/y")"
refused "a folder into itself" mv "$D/y" "$D/y/z/w"
refused "a full folder removed" rmdir "$D/y"
works "an empty one" rmdir "$D/y/z"
refused "a link" ln -s /etc "$D/etc"
refused "another name for a file" ln "$D/py" "$D/py2"
eq "depth has an end" 1 "$(mkdir -p "$D/$(printf 'd/%.0s' $(seq 40))" 2>/dev/null; echo $?)"
rm -rf "$D/d"

# ---- trees ----
works "cp -r" cp -r "$SRC/docs" "$D/"
works "all of it is there" diff -r "$SRC/docs" "$D/docs"
works "tar out" bash -c "mkdir $T/out && tar cf - -C $D docs | tar xf - -C $T/out"
works "all of it came" diff -r "$SRC/docs" "$T/out/docs"
works "tar in" bash -c "tar cf - -C $SRC lib | tar xf - -C $D --no-same-owner"
works "all of it went" diff -r "$SRC/lib" "$D/lib"
if command -v rsync >/dev/null; then
  works "rsync" rsync -r "$SRC/examples/" "$D/examples/"
  works "all of it was sent" diff -r "$SRC/examples" "$D/examples"
fi
works "grep -r finds" grep -rq journal_append "$D/lib"
works "find lists" test "$(find "$D/lib" -type f | wc -l)" = "$(find "$SRC/lib" -type f | wc -l)"
head -c 20000000 /dev/urandom >"$T/big"
works "twenty megabytes" cp "$T/big" "$D/big"
works "are the same" cmp "$T/big" "$D/big"
works "rm -r" rm -r "$D/docs" "$D/examples"
refused "what was removed" ls "$D/docs"

# ---- over the socket ----
works "PUT" curl -sf --unix-socket "$T/s/symbi.sock" -T "$T/out/docs/TREE.md" http://x/fs/rag/docs/put.md
works "is the same" cmp "$T/out/docs/TREE.md" "$D/put.md"
curl -sf --unix-socket "$T/s/symbi.sock" http://x/fs/rag/docs/put.md >"$T/got"
works "GET too" cmp "$T/out/docs/TREE.md" "$T/got"
works "DELETE" curl -sf --unix-socket "$T/s/symbi.sock" -X DELETE http://x/fs/rag/docs/put.md
refused "it is gone" cat "$D/put.md"

# ---- the end of the worker, and of all ----
exec 7>"$D/open"
echo first >&7
kill -9 "$(key "$M/status" worker_pid)"
echo second >&7
exec 7>&-
eq "a file that was open when the worker was killed" "first second" "$(paste -sd ' ' "$D/open")"
for i in 1 2 3 4 5 6 7 8 9 10; do
  (for n in $(seq 20); do echo "$i $n" >"$D/kill.$i.$n" || echo "$i $n failed"; done) >>"$T/failed" 2>&1 &
  writers="${writers-} $!"
done
for n in 1 2 3 4 5; do
  sleep 0.1
  kill -9 "$(key "$M/status" worker_pid)"
done
# shellcheck disable=SC2086 # a list
wait $writers
eq "no writer saw an error" "" "$(cat "$T/failed")"
eq "each file is whole" "200" "$(for f in "$D"/kill.*; do name=${f##*/kill.}; [ "$(cat "$f")" = "${name%.*} ${name#*.}" ] && echo ok; done | grep -c ok)"
find "$D" -type f -exec md5sum {} + | sort >"$T/before"
down
up
find "$D" -type f -exec md5sum {} + | sort >"$T/after"
works "another daemon has the same files" diff "$T/before" "$T/after"
eq "no content is left over" "$(find "$D" -type f -size +0 | wc -l)" "$(find "$T/s/files" -type f | wc -l)"

# ---- others ----
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
  other=(setpriv --reuid "$OTHER" --regid "$OTHER" --clear-groups --)
  refused "another user writes" "${other[@]}" sh -c "echo x >$D/other"
  refused "removes" "${other[@]}" rm "$D/py"
  there "what is not theirs" "$D/py"
  works "reads" "${other[@]}" cat "$D/py"
  chmod 600 "$D/py"
  refused "what is the owner's alone" "${other[@]}" cat "$D/py"
  mkdir "$D/theirs" && chown "$OTHER" "$D/theirs"
  works "writes in a folder of their own" "${other[@]}" sh -c "echo x >$D/theirs/f && mkdir $D/theirs/g"
  eq "and owns it" "$OTHER" "$(stat -c %u "$D/theirs/f")"
fi
finish
