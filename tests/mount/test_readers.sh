#!/bin/bash
# SPDX-License-Identifier: MIT
# test_readers.sh - every reader sees the same bytes, and as many as stat says, of each kind of file:
# rendered, stored, log, answer.
export CASE_SECONDS=500
. "${0%/*}/lib.sh"
need busybox python3 node perl rsync tar vim dd sponge zsh
up
agent a 'cat; seq 1 2000'
agent p 'echo said; seq 1 200' 'execution_mode: persistent'
ask a question >/dev/null
eventually "p has said its piece" grep -q 200 "$A/p/stdout"
eventually "p has ended" is Ready state p

# Files whose bytes do not change while nothing happens, with where the true bytes can be had otherwise.
files=(version README events agents/a.yaml agents/a/status agents/a/log agents/a/limits/memory_mb
  agents/a/runs/1/output agents/p/stdout)
cat > "$T/sendfile.py" <<'X'
import os, sys
src = os.open(sys.argv[1], os.O_RDONLY)
size, at = os.fstat(src).st_size, 0
while at < size:
    n = os.sendfile(1, src, at, size - at)
    if n == 0:
        break
    at += n
X
cat > "$T/preads.py" <<'X'
import os, sys
fd, at = os.open(sys.argv[1], os.O_RDONLY), 0
while True:
    data = os.pread(fd, 7, at)
    if not data:
        break
    os.write(1, data)
    at += len(data)
X
cat > "$T/splice.py" <<'X'
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
r, w = os.pipe()
while True:
    n = os.splice(fd, w, 4096)
    if n == 0:
        break
    while n:
        n -= os.write(1, os.read(r, n))
X
has_splice=$(python3 -c 'import os; print(hasattr(os, "splice"))')

# read_with READER FILE: the bytes that READER gets
read_with() {
  case $1 in
  cat) cat "$2" ;;
  'cat <') cat <"$2" ;;
  'busybox cat') busybox cat "$2" ;;
  'busybox cat <') busybox sh -c 'busybox cat < "$1"' - "$2" ;;
  'busybox cp') rm -f "$T/o" && busybox cp "$2" "$T/o" && cat "$T/o" ;;
  head) head -c 100000000 "$2" ;;
  tail) tail -n +1 "$2" ;;
  'tail -c') tail -c 100000000 "$2" ;;
  dd) dd if="$2" status=none ;;
  'dd bs=1') dd if="$2" bs=1 status=none ;;
  'dd bs=1M') dd if="$2" bs=1M status=none ;;
  cp) rm -f "$T/o" && cp "$2" "$T/o" && cat "$T/o" ;;
  'cp -a') rm -f "$T/o" && cp -a "$2" "$T/o" && cat "$T/o" ;;
  'cp --sparse=always') rm -f "$T/o" && cp --sparse=always "$2" "$T/o" && cat "$T/o" ;;
  install) install -m 600 "$2" "$T/o" && cat "$T/o" ;;
  rsync) rm -f "$T/o" && rsync "$2" "$T/o" && cat "$T/o" ;;
  tar) tar cf - -C "${2%/*}" "${2##*/}" | tar xOf - ;;
  'busybox tar') busybox tar cf - -C "${2%/*}" "${2##*/}" | tar xOf - ;;
  'bash $(<)') bash -c 'x=$(<"$1"); printf "%s\n" "$x"' - "$2" ;;
  'bash read') bash -c 'while IFS= read -r l; do printf "%s\n" "$l"; done < "$1"' - "$2" ;;
  'zsh $(<)') zsh -c 'x=$(<$1); print -r -- "$x"' - "$2" ;;
  'python read') python3 -c 'import sys; sys.stdout.buffer.write(open(sys.argv[1], "rb").read())' "$2" ;;
  'python lines') python3 -c 'import sys; [sys.stdout.write(l) for l in open(sys.argv[1])]' "$2" ;;
  'python pread 7') python3 "$T/preads.py" "$2" ;;
  'python shutil') rm -f "$T/o" && python3 -c 'import sys, shutil; shutil.copy(*sys.argv[1:])' "$2" "$T/o" && cat "$T/o" ;;
  sendfile) python3 "$T/sendfile.py" "$2" | cat ;;
  splice) python3 "$T/splice.py" "$2" ;;
  'node readFile') node -e 'process.stdout.write(require("fs").readFileSync(process.argv[1]))' "$2" | cat ;;
  'node stream') node -e 'require("fs").createReadStream(process.argv[1]).pipe(process.stdout)' "$2" | cat ;;
  perl) perl -pe '' "$2" ;;
  sed) sed '' "$2" ;;
  awk) awk '{ print }' "$2" ;;
  grep) grep '' "$2" ;;
  sort) LC_ALL=C sort "$2" | cmp -s - <(LC_ALL=C sort "$T/true") && cat "$T/true" ;;
  base64) base64 "$2" | base64 -d ;;
  od) od -An -v -tx1 "$2" | xxd_r ;;
  vim) vim -es -u NONE -c "set nofixeol bin | w! $T/o | q" "$2" && cat "$T/o" ;;
  esac
}

xxd_r() {
  perl -ne 'print pack("H*", join("", split))'
}

readers=(cat 'cat <' 'busybox cat' 'busybox cat <' 'busybox cp' head tail 'tail -c' dd 'dd bs=1M' cp 'cp -a'
  'cp --sparse=always' install rsync tar 'busybox tar' 'bash $(<)' 'bash read' 'zsh $(<)' 'python read' 'python lines'
  'python pread 7' 'python shutil' sendfile 'node readFile' 'node stream' perl sed awk grep sort base64 od vim)
[ "$has_splice" = True ] && readers+=(splice)

for f in "${files[@]}"; do
  wrong="" seen=0
  cat "$M/$f" >"$T/true"
  for r in "${readers[@]}"; do
    read_with "$r" "$M/$f" >"$T/seen" 2>"$T/err"
    seen=$((seen + 1))
    cmp -s "$T/true" "$T/seen" || wrong="$wrong $r ($(wc -c <"$T/seen") bytes: $(head -c 80 "$T/err"));"
  done
  if [ -z "$wrong" ]; then ok "$f: $seen readers agree ($(wc -c <"$T/true") bytes)"; else
    fail "$f: the readers agree" "true: $(wc -c <"$T/true") bytes; others:$wrong"; fi
  eq "$f: stat says its size" "$(wc -c <"$T/true")" "$(stat -c %s "$M/$f")"
  eq "$f: wc -c agrees" "$(wc -c <"$T/true")" "$(wc -c "$M/$f" | cut -d' ' -f1)"
done
cmp -s "$T/a.spec" "$A/a.yaml" && ok "a spec reads as it was written" || fail "a spec reads as it was written"
eq "the output of a run is what it printed" "$(printf 'question\n'; seq 1 2000)" "$(cat "$A/a/runs/1/output")"
eq "dd bs=1 of a small one" "$(cat "$A/a/id")" "$(dd if="$A/a/id" bs=1 status=none)"

# A rendered file that changes: size and bytes belong together in every open.
for i in 1 2 3 4 5; do
  ask a "$i" >/dev/null
  eq "status after a run: busybox cat and cat agree ($i)" "$(cat "$A/a/status")" "$(busybox cat "$A/a/status")"
done
# The answer of a call file has its true size for whoever asked.
for r in cat 'busybox cat' cp rsync tar dd sendfile splice 'node readFile' 'python read'; do
  [ "$r" = splice ] && [ "$has_splice" != True ] && continue
  echo "by $r" >"$A/a/run"
  eq "an answer read by $r" "$(echo "by $r"; seq 1 2000)" "$(read_with "$r" "$A/a/run" 2>&1)"
done
# One that takes longer than a stat waits, and is longer than any guess: its size is not known when it is opened,
# and nobody may take what is said instead for its end.
agent late 'sleep 3; cat; seq 1 200000'
late=(cat 'busybox cat' 'busybox cp' cp dd tail 'tail -n 1' 'wc -c' sendfile 'node readFile' 'python read' 'python shutil')
[ "$has_splice" = True ] && late+=(splice)
read_late() { # READER FILE
  case $1 in
  'tail -n 1') tail -n 1 "$2" ;;
  'wc -c') wc -c <"$2" ;;
  *) read_with "$1" "$2" ;;
  esac
}
for r in "${late[@]}"; do
  (
    name=${r// /_}
    mkdir "$T/$name"
    cp "$T"/*.py "$T/$name/"
    T=$T/$name # where read_with puts its files
    echo "$r" >"$A/late/run.d/$name"
    read_late "$r" "$A/late/run.d/$name" >"$T/late" 2>&1
  ) &
done
wait
for r in "${late[@]}"; do
  { echo "$r"; seq 1 200000; } >"$T/true"
  read_late "$r" "$T/true" >"$T/want"
  same "a late answer read by $r" "$T/want" "$T/${r// /_}/late"
done
finish
