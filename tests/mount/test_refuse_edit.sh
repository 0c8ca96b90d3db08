#!/bin/bash
# SPDX-License-Identifier: MIT
# test_refuse_edit.sh - a change of a spec that is refused leaves the old text, the old agent and its process.
. "${0%/*}/lib.sh"
need vim perl sponge
up
agent a 'echo one'
agent p 'while :; do sleep 1; done' 'execution_mode: persistent'
eventually "p runs" is Running state p
pid=$(cat "$A/p/pid") id=$(cat "$A/a/id")
cp "$A/a.yaml" "$T/a.before"
cp "$A/p.yaml" "$T/p.before"
sed 's/runtime/runtme/' "$T/a.before" >"$T/a.bad"
sed 's/^execution_mode:.*/execution_mode: persitent/' "$T/p.before" >"$T/p.bad"

unchanged() {
  same "$1: the text is the old one" "$T/a.before" "$A/a.yaml"
  eq "$1: the agent is the old one" "$id" "$(cat "$A/a/id")"
  eq "$1: it answers as before" one "$(ask a x)"
  eq "$1: no other names" "a a.yaml p p.yaml " "$(ls -A "$A" | tr '\n' ' ')"
}

refused "cp over it" cp "$T/a.bad" "$A/a.yaml"
unchanged "cp"
refused "cat > it" sh -c "cat $T/a.bad > $A/a.yaml"
unchanged "cat >"
refused "echo > it" bash -c "echo '{bad' > $A/a.yaml"
unchanged "echo >"
refused "echo >> it" bash -c "echo 'colour: red' >> $A/a.yaml"
unchanged "echo >>"
refused "sed -i" sed -i 's/runtime/runtme/' "$A/a.yaml"
rm -f "$A"/sed*
unchanged "sed -i"
refused "perl -i" perl -i -pe 's/runtime/runtme/' "$A/a.yaml"
unchanged "perl -i"
refused "python os.replace" python3 -c "
import os
open('$A/.new', 'w').write(open('$T/a.bad').read())
os.replace('$A/.new', '$A/a.yaml')"
rm -f "$A/.new"
unchanged "os.replace"
refused "vim -es" vim -es -u NONE -c '%s/runtime/runtme/' -c 'wq' "$A/a.yaml"
rm -f "$A"/.a.yaml.sw* "$A"/a.yaml~
unchanged "vim"
# `install`, and `mv` from another file system, remove the target before they copy, as on a disk: the
# agent is deleted by the one call, the bad text refused in the next. Nothing half made stays.
for tool in "install -m 644" mv; do
  refused "$tool" $tool "$T/a.bad" "$A/a.yaml"
  eq "$tool: no names left over" "p p.yaml " "$(ls -A "$A" | tr '\n' ' ')"
  cp "$T/a.before" "$A/a.yaml"
done
there "mv: the source is still there" "$T/a.bad"

refused "a bad text for a running agent" cp "$T/p.bad" "$A/p.yaml"
same "its text is the old one" "$T/p.before" "$A/p.yaml"
eq "its process lives on" "$pid" "$(cat "$A/p/pid")"
works "and it is there" kill -0 "$pid"
eq "its state" Running "$(state p)"
like "its error says why" 'persitent' "$(cat "$A/p/error")"
truncate -s 0 "$A/p.yaml"
same "truncate: its text is the old one" "$T/p.before" "$A/p.yaml"
: >"$A/p.yaml"
same "'> f' alone changes nothing" "$T/p.before" "$A/p.yaml"
eq "its process lives on after all that" "$pid" "$(cat "$A/p/pid")"
finish
