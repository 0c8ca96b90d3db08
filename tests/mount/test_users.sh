#!/bin/bash
# SPDX-License-Identifier: MIT
# test_users.sh - a second user and a third, on the mount and on the socket of a daemon of root: each sees and does
# what the modes allow, and nothing else.
. "${0%/*}/lib.sh"
need_root
need curl python3
conf 'socket.mode = "0666"'
up
THIRD=54322
other=(setpriv --reuid "$OTHER" --regid "$OTHER" --clear-groups --)
third=(setpriv --reuid "$THIRD" --regid "$THIRD" --clear-groups --)
agent roots 'cat; id -u'
ask roots secret >/dev/null

# What root has, as another user. A row: may or not, on the mount, by the socket.
rows() { # AGENT MAY-READ-SPEC: of an agent of somebody else
  local a=$1
  cat <<X
yes read   agents
yes read   agents/$a
$2 read    agents/$a.yaml
yes read   agents/$a/id
yes read   agents/$a/state
yes read   agents/$a/status
yes read   agents/$a/log
yes read   agents/$a/events
yes read   agents/$a/limits/memory_mb
yes read   agents/$a/usage/runs_total
yes read   agents/$a/runs/1/status
no  read   agents/$a/runs/1/input
no  read   agents/$a/runs/1/output
no  read   agents/$a/runs/1/stderr
no  read   agents/$a/run
no  read   agents/$a/stdout
no  read   agents/$a/stderr
no  write  agents/$a/run
no  write  agents/$a/run.d/mine
no  write  agents/$a/ctl
no  write  agents/$a/stdin
no  write  agents/$a/limits/memory_mb
no  write  agents/$a.yaml
no  remove agents/$a.yaml
no  remove agents/$a
yes read   status
yes read   version
yes read   events
yes read   errors
no  write  ctl
no  write  version
no  write  new.yaml
X
}
texts() {
  case $1 in
  */ctl) echo start ;;
  ctl) echo 'log debug' ;;
  *memory_mb) echo 64 ;;
  *.yaml) cat "$T/roots.spec" ;;
  *) echo text ;;
  esac
}
on_mount() { # WHAT PATH
  case $1 in
  read) if [ -d "$M/$2" ]; then "${other[@]}" ls -l "$M/$2"; else "${other[@]}" head -c 1000 "$M/$2"; fi ;;
  write) texts "$2" | "${other[@]}" sh -c 'cat > "$1"' - "$M/$2" ;;
  remove) "${other[@]}" rm -r "$M/$2" ;;
  esac >/dev/null 2>&1
}
by_socket() {
  local method
  case $1 in read) method=GET ;; write) method=PUT ;; remove) method=DELETE ;; esac
  texts "$2" >"$T/body"
  chmod 644 "$T/body"
  "${other[@]}" curl -sf -o /dev/null --unix-socket "$S/symbi.sock" -X "$method" \
    ${method/#PUT/--data-binary @"$T/body"} "http://localhost/fs/$2" >/dev/null 2>&1
}
check_rows() { # WHOSE AGENT MAY-READ-SPEC
  local may what path how
  while read -r may what path; do
    for how in on_mount by_socket; do
      if $how "$what" "$path"; then seen=yes; else seen=no; fi
      eq "$1, $how: $what $path: $may" "$may" "$seen"
    done
  done < <(rows "$2" "$3")
}
chmod 755 "$S" && chmod 666 "$S/symbi.sock"
check_rows "another user" roots yes
eq "root's agent is what it was" "text 0" "$(ask roots text | xargs)"
chmod 600 "$A/roots.yaml"
check_rows "another user, mode 0600" roots no
like "its errors are its own" "\"uid\":$OTHER" "$("${other[@]}" cat "$M/errors")"
unlike "and nobody else's" '"uid":0' "$("${other[@]}" cat "$M/errors")"

# Who makes an agent owns it, on the mount and by the socket, and it runs as that user.
spec x 'id -u; id -g; id -G' >"$T/id.yaml"
works "another user makes an agent" "${other[@]}" cp "$T/id.yaml" "$A/theirs.yaml"
eq "it is that user's" "$OTHER:$OTHER" "$(stat -c %u:%g "$A/theirs.yaml")"
eq "its files are that user's" "$OTHER:$OTHER 600" "$(stat -c '%u:%g %a' "$A/theirs/run")"
"${other[@]}" sh -c "echo x > $A/theirs/run; cat $A/theirs/run" >"$T/ids" 2>&1
eq "it runs as that user, and in that user's group only" "$OTHER $OTHER $OTHER" "$(xargs <"$T/ids")"
works "its owner may read the output" "${other[@]}" cat "$A/theirs/runs/1/output"
works "its owner may change a limit" "${other[@]}" sh -c "echo 64 > $A/theirs/limits/memory_mb"
works "root may ask it" sh -c "echo x > $A/theirs/run && cat $A/theirs/run"
eq "root's question runs as its owner all the same" "$OTHER $OTHER $OTHER" "$(echo x >"$A/theirs/run" && cat "$A/theirs/run" | xargs)"
works "by the socket as well" "${other[@]}" curl -sf --unix-socket "$S/symbi.sock" -X PUT --data-binary @"$T/id.yaml" http://localhost/fs/agents/sock.yaml
eq "that one too" "$OTHER:$OTHER" "$(stat -c %u:%g "$A/sock.yaml")"
refused "it cannot be given away" "${other[@]}" chown "$THIRD" "$A/theirs.yaml"

# A third user.
refused "a third user asks it not" "${third[@]}" sh -c "echo x > $A/theirs/run"
refused "nor renames it" "${third[@]}" mv "$A/theirs.yaml" "$A/mine.yaml"
refused "nor replaces it" "${third[@]}" cp "$T/id.yaml" "$A/theirs.yaml"
"${third[@]}" sh -c "cat $T/id.yaml > $A/.x"
refused "nor by a scratch file" "${third[@]}" mv -f "$A/.x" "$A/theirs.yaml"
refused "nor takes its name in another format" "${third[@]}" sh -c "echo '{\"tier\":\"None\",\"command\":[\"sh\"]}' > $A/theirs.json"
eq "it is where it was" "$OTHER" "$(stat -c %u "$A/theirs.yaml")"
refused "a scratch file is its maker's" "${other[@]}" cat "$A/.x" "$A/.nothing"
works "chmod 0660 and a group" sh -c "chgrp $THIRD $A/theirs.yaml && chmod 660 $A/theirs.yaml"
works "then a member of the group writes it" "${third[@]}" sh -c "cat $T/id.yaml > $A/theirs.yaml"
eq "its owner has not changed" "$OTHER:$THIRD" "$(stat -c %u:%g "$A/theirs.yaml")"
works "and a member by a supplementary group too" setpriv --reuid 54323 --regid 54323 --groups "$THIRD" -- sh -c "cat $T/id.yaml > $A/theirs.yaml"
refused "but nobody else" setpriv --reuid 54323 --regid 54323 --clear-groups -- sh -c "cat $T/id.yaml > $A/theirs.yaml"
works "its owner removes it" "${other[@]}" rm "$A/theirs.yaml"

# An answer is its asker's.
agent both cat
chmod 666 "$A/both.yaml"
eq "an exchange is seen by who made it" "" "$(echo mine >"$A/both/run.d/x"; "${other[@]}" ls "$A/both/run.d")"
refused "and read by nobody else" "${other[@]}" cat "$A/both/run.d/x"

# The socket lets nobody in whom its mode does not.
chmod 600 "$S/symbi.sock"
refused "mode 0600 of the socket keeps others out" "${other[@]}" curl -sf --unix-socket "$S/symbi.sock" http://localhost/fs/version
for secret in "$S/journal" "$S/store" "$S/symbid.log"; do
  [ -e "$secret" ] || continue
  refused "the state is closed to others: ${secret##*/}" "${other[@]}" cat -- "$secret"
  refused "and cannot be listed: ${secret##*/}" "${other[@]}" ls -- "$secret/"
done
eq "it is alive and well" ok "$(head -n 1 "$M/health")"
finish
