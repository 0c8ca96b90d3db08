#!/bin/bash
# SPDX-License-Identifier: MIT
# test_walk.sh - what copies, searches and lists whole trees, on agents/: cp -r, tar, rsync, grep -r, find, du,
# ls -lR read all of it and start nothing; specs that they put there are agents.
. "${0%/*}/lib.sh"
need busybox rsync tar python3 du find
up
agent a cat
agent b 'echo b'
agent p 'while :; do sleep 1; done' 'execution_mode: persistent'
eventually "p runs" is Running state p
ask a needle >/dev/null
events=$(wc -l <"$M/events")

# walks FACT COMMAND...: exit status 0, and nothing happened
walks() {
  works "$@"
  eq "$1: nothing was started" "$events" "$(wc -l <"$M/events")"
}
walks "cp -r" cp -r "$A" "$T/cp"
walks "cp -a" cp -a "$A" "$T/cpa"
walks "busybox cp -r" busybox cp -r "$A" "$T/bbcp"
walks "tar c" tar cf "$T/a.tar" -C "$A" .
walks "busybox tar c" busybox tar cf "$T/bb.tar" -C "$A" .
walks "rsync -a" rsync -a "$A/" "$T/rsync/"
walks "python shutil.copytree" python3 -c "import shutil; shutil.copytree('$A', '$T/copytree')"
mkdir "$T/tar" "$T/bbtar"
tar xf "$T/a.tar" -C "$T/tar" && tar xf "$T/bb.tar" -C "$T/bbtar"
for copy in cp cpa bbcp tar bbtar rsync copytree; do
  for f in a.yaml b.yaml p.yaml a/id a/log a/limits/memory_mb a/runs/1/output; do
    cmp -s "$A/$f" "$T/$copy/$f" || fail "$copy: $f is the same" "$(cmp "$A/$f" "$T/$copy/$f" 2>&1)"
  done
  eq "$copy: it has every name" "$(cd "$A" && find . | sort)" "$(cd "$T/$copy" && find . | sort)"
done
walks "grep -r" grep -rq needle "$A/a/runs"
walks "grep -r of everything" sh -c "grep -r needle $M > $T/grep.out"
has "$T/grep.out" "$A/a/runs/1/output:needle" && ok "grep -r finds" || fail "grep -r finds" "$(cat "$T/grep.out")"
walks "busybox grep -r" sh -c "busybox grep -r needle $A > $T/bbgrep.out"
walks "find" find "$M" -type f -size +0
walks "find -exec" sh -c "find $A -name status -exec cat {} + > $T/status.out"
eq "find -exec: a status of each agent and run" 5 "$(grep -c '^state ' "$T/status.out")"
walks "du" du -a "$M"
walks "ls -lR" sh -c "ls -lR $M > $T/ls.out"
walks "busybox ls -lR" sh -c "busybox ls -lR $M > $T/bbls.out"
eq "ls -lR shows each document" "$(find "$A" "$M/policies" "$M/sandbox/profiles" -maxdepth 1 -name '*.yaml' | wc -l)" "$(grep -c '\.yaml$' "$T/ls.out")"
eq "an agent that was walked by has no error" "" "$(cat "$A/b/error")"
refused "but who asked nothing and reads run is told so" cat "$A/b/run"
like "errors says it" 'asked nothing here' "$(last_error)"

# The other way: a directory of specs.
mkdir "$T/d"
spec x 'echo one' >"$T/d/x.yaml"
spec y 'echo two' >"$T/d/y.yaml"
arrived() { # FACT
  eq "$1: x answers" one "$(ask x q)"
  eq "$1: y answers" two "$(ask y q)"
  rm "$A/x.yaml" "$A/y.yaml"
}
works "cp -r to agents/" cp -r "$T/d/." "$A/"
arrived "cp -r"
works "cp -r twice" sh -c "cp -r $T/d/. $A/ && cp -r $T/d/. $A/"
arrived "cp -r twice"
works "cp -a of files" cp -a "$T/d/x.yaml" "$T/d/y.yaml" "$A/"
arrived "cp -a"
tar cf "$T/d.tar" -C "$T/d" x.yaml y.yaml
works "tar x" tar xf "$T/d.tar" -C "$A"
arrived "tar x"
works "tar x twice" sh -c "tar xf $T/d.tar -C $A && tar xf $T/d.tar -C $A"
arrived "tar x twice"
works "busybox tar x" busybox tar xf "$T/d.tar" -C "$A"
arrived "busybox tar x"
works "a pipe from tar to tar" sh -c "tar c -C $T/d x.yaml y.yaml | tar x -C $A"
arrived "tar to tar"

# A mirror: what is gone there goes here. Agents' directories are not the mirror's; a spec's time is when the
# agent took it, so that contents are compared.
mirror=(rsync -rc --delete --exclude='*/' "$T/d/" "$A/")
works "rsync" "${mirror[@]}"
eq "rsync --delete removed the others" "x y" "$(cd "$A" && find . -mindepth 1 -maxdepth 1 -type d -printf '%P\n' | sort | xargs)"
id=$(cat "$A/x/id")
sed -i 's/echo one/echo uno/' "$T/d/x.yaml"
works "rsync of a change" "${mirror[@]}"
eq "the agent has it" uno "$(ask x q)"
eq "and is the same agent" "$id" "$(cat "$A/x/id")"
sed -i 's/echo uno/echo one/' "$T/d/x.yaml"
works "rsync --inplace" "${mirror[@]}" --inplace
echo 'colour: red' >>"$T/d/y.yaml"
refused "rsync of a wrong spec" "${mirror[@]}"
like "errors says why" "unknown key 'colour'" "$(cat "$M/errors")"
arrived "after that"
finish
