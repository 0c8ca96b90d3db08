#!/bin/bash
# SPDX-License-Identifier: MIT
# test_remove.sh - rename, rm, rm -r, chmod, chown, touch on agents: what they do on a disk, and what is
# refused says why.
. "${0%/*}/lib.sh"
up
agent a cat
id=$(cat "$A/a/id")

# rename = the agent of another name, the same object
works "mv a.yaml b.yaml" mv "$A/a.yaml" "$A/b.yaml"
gone "the old spec is gone" "$A/a.yaml"
gone "the old directory is gone" "$A/a"
eq "the new one is the same agent" "$id" "$(cat "$A/b/id")"
eq "it answers under its new name" hello "$(ask b hello)"
works "mv back" mv "$A/b.yaml" "$A/a.yaml"
eq "it is the same agent again" "$id" "$(cat "$A/a/id")"
eq "it has its runs" 1 "$(ls "$A/a/runs")"
works "mv to another suffix of the same format" mv "$A/a.yaml" "$A/a.yml"
there "the spec has the new suffix" "$A/a.yml"
eq "the agent is the same" "$id" "$(cat "$A/a/id")"
refused "mv to a suffix whose format the text is not" mv "$A/a.yml" "$A/a.json"
there "then the old one stays" "$A/a.yml"
gone "and the new one is not there" "$A/a.json"
refused "mv to a name that is no spec's" mv "$A/a.yml" "$A/a.bak"
like "errors says which names there are" 'NAME.yaml' "$(last_error)"
refused "mv of the agent's directory" mv "$A/a" "$A/c"
refused "mv out of agents/" mv "$A/a.yml" "$M/a.yaml"
works "mv -n leaves what is there" mv -n "$A/a.yml" "$A/a.yml"
mv "$A/a.yml" "$A/a.yaml"

# over an existing agent: it is replaced
agent b 'echo b'
works "mv a.yaml over b.yaml" mv "$A/a.yaml" "$A/b.yaml"
gone "a is gone" "$A/a"
eq "b is the agent that was a" "$id" "$(cat "$A/b/id")"
eq "b does what a did" hello "$(ask b hello)"

# an agent that runs is not renamed
agent p 'while :; do sleep 1; done' 'execution_mode: persistent'
eventually "p runs" is Running state p
pid=$(cat "$A/p/pid")
refused "mv of a running agent" mv "$A/p.yaml" "$A/q.yaml"
like "errors says that it runs" "'p' is running" "$(last_error)"
eq "it has its name" Running "$(state p)"

# rm ends and removes
works "rm of a running agent" rm "$A/p.yaml"
gone "its spec is gone" "$A/p.yaml"
gone "its directory is gone" "$A/p"
eventually "its process is gone" test ! -d "/proc/$pid"
agent p 'while :; do sleep 1; done' 'execution_mode: persistent'
eventually "a new agent of the same name runs" is Running state p
pid2=$(cat "$A/p/pid")
works "rm -r agents/p" rm -r "$A/p"
gone "rm -r: the spec is gone" "$A/p.yaml"
gone "rm -r: the directory is gone" "$A/p"
eventually "rm -r: the process is gone" test ! -d "/proc/$pid2"
agent p cat
works "rm -rf agents/p.yaml agents/p" rm -rf "$A/p.yaml" "$A/p"
gone "both are gone" "$A/p"
refused "rm of what is not there" rm "$A/p.yaml"
refused "rm of a file of the tree" rm "$M/version"
refused "rmdir of a directory of the tree" rmdir "$M/wait"
there "which is still there" "$M/wait/events"
refused "rmdir agents" rmdir "$A"
works "unlink a single shown file does nothing" rm -f "$A/b/status"
there "it is still there" "$A/b/status"

# mode, owner, times
eq "a spec's mode is 0644" 644 "$(stat -c %a "$A/b.yaml")"
works "chmod 600" chmod 600 "$A/b.yaml"
eq "it is" 600 "$(stat -c %a "$A/b.yaml")"
works "chmod u=rw,go=r" chmod u=rw,go=r "$A/b.yaml"
eq "it is" 644 "$(stat -c %a "$A/b.yaml")"
if [ "$(id -u)" = 0 ]; then
  works "chown" chown 54321:54321 "$A/b.yaml"
  eq "the spec's owner" 54321:54321 "$(stat -c %u:%g "$A/b.yaml")"
  eq "its files have the same owner" "54321:54321" "$(stat -c %u:%g "$A/b/run")"
  eq "it runs as its owner" 54321 "$(printf 'tier: None\ncommand: [sh, -c, "id -u"]\n' >"$A/b.yaml" && ask b x)"
  works "chown back" chown 0:0 "$A/b.yaml"
fi
refused "chmod of a file of the tree" chmod 777 "$M/version"
refused "chmod of an agent's file" chmod 777 "$A/b/status"
works "touch" touch "$A/b.yaml"
works "touch -d" touch -d 2001-01-01 "$A/b.yaml"
works "cp -p over it" sh -c "cp -p $A/b.yaml $T/x && touch -d 2001-01-01 $T/x && cp -p $T/x $A/b.yaml"
refused "mkdir" mkdir "$A/new"
refused "ln" ln "$A/b.yaml" "$A/c.yaml"
refused "ln -s" ln -s b.yaml "$A/c.yaml"
refused "mkfifo" mkfifo "$A/c"

# every line of the feed is an object without a key told twice: who acted, and to whom it belongs
twice='import json, sys
def once(pairs):
    assert len(dict(pairs)) == len(pairs), pairs
    return dict(pairs)
for line in sys.stdin:
    json.loads(line, object_pairs_hook=once)'
works "no key stands twice in a line of events" python3 -c "$twice" <"$M/events"
if [ "$(id -u)" = 0 ]; then
  like "who gave it away, and to whom" '"agent.owner".*"uid":0,.*"owner":54321,"group":54321' "$(cat "$M/events")"
fi

# what was said is in the journal's feed, in order
seen=$(sed -n 's/.*"type":"\(agent\.[a-z]*\)","agent":"\(p\|b\)".*/\1 \2/p' "$M/events" | grep -E 'created|renamed|deleted' | tr '\n' ',')
eq "events has who was made, renamed, deleted" \
  "agent.created b,agent.created p,agent.deleted p,agent.created p,agent.deleted p,agent.created p,agent.deleted p," \
  "$(echo "$seen" | sed 's/agent.renamed b,//g')"
finish
