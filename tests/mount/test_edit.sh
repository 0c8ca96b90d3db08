#!/bin/bash
# SPDX-License-Identifier: MIT
# test_edit.sh - editors and filters that change a file in place change the agent: the same agent has the new
# text, answers by it, and no other name is left.
. "${0%/*}/lib.sh"
need vim perl ed python3 busybox
up
agent a 'echo v0'
id=$(cat "$A/a/id") mode=$(stat -c %a "$A/a.yaml") version=0

# edited FACT NAMES...: the text has the next version. NAMES: what ls shows beside the agent.
edited() {
  local fact=$1
  shift
  eq "$fact: it answers by the new text" "v$version" "$(ask a x)"
  eq "$fact: it is the same agent" "$id" "$(cat "$A/a/id")"
  eq "$fact: the mode is the same" "$mode" "$(stat -c %a "$A/a.yaml")"
  eq "$fact: other names" "$*" "$(cd "$A" && find . -maxdepth 1 -type f ! -name a.yaml -printf '%P')"
  rm -f "$A"/a.yaml[~.]* "$A"/.a.*
}

next() { # the next version, and the substitution that makes it
  version=$((version + 1))
  change="s/v[0-9]*\$/v$version/"
}

next
works "sed -i" sed -i "$change" "$A/a.yaml"
edited "sed -i"
next
works "busybox sed -i" busybox sed -i "$change" "$A/a.yaml"
edited "busybox sed -i"
next
works "perl -i" perl -i -pe "$change" "$A/a.yaml"
edited "perl -i"
next
works "ed" sh -c "printf '%s\n' ',$change' w q | ed -s $A/a.yaml"
edited "ed"

# vim as it comes and with what people set. backupskip holds /tmp, where this mount is.
vim_edits() { # FACT VIMRC SETTINGS [NAMES]
  next
  works "vim, $1" vim -es -u "$2" -c "set backupskip= $3" -c "%$change" -c wq "$A/a.yaml"
  edited "vim, $1" "${@:4}"
}
vim_edits "no vimrc" NONE ""
vim_edits "defaults.vim" DEFAULTS ""
vim_edits "backup" NONE "backup" "a.yaml~"
vim_edits "nowritebackup nobackup" NONE "nowritebackup nobackup"
vim_edits "backupcopy=yes" NONE "backup backupcopy=yes" "a.yaml~"
vim_edits "breakhardlink" NONE "backup backupcopy=auto,breakhardlink" "a.yaml~"
vim_edits "patchmode" NONE "patchmode=.orig" "a.yaml.orig"
vim_edits "swap and undo files" NONE "swapfile directory=. undofile" ".a.yaml.un~"

version=20
works "cp over it" sh -c "sed 's/v[0-9]*\$/v20/' $A/a.yaml > $T/new && cp $T/new $A/a.yaml"
edited "cp"
version=21
works "python: read, seek, write, truncate" python3 -c "
with open('$A/a.yaml', 'r+') as f:
    text = f.read().replace('v20', 'v21')
    f.seek(0); f.write(text); f.truncate()"
edited "python r+"
version=22
works "python: a temporary file and os.replace" python3 -c "
import os, tempfile
f = tempfile.NamedTemporaryFile('w', dir='$A', prefix='.a.', delete=False)
f.write(open('$A/a.yaml').read().replace('v21', 'v22')); f.close()
os.chmod(f.name, 0o644); os.replace(f.name, '$A/a.yaml')"
edited "os.replace"
works ">> adds to it" sh -c "echo '# a remark' >> $A/a.yaml"
edited ">>"
like "the remark is there" '# a remark' "$(tail -n 1 "$A/a.yaml")"

# A spec cannot be moved aside: for a moment there would be no agent. Who asks for that is told, and nothing
# changes.
refused "sed -i.bak" sed -i.bak 's/v22/v23/' "$A/a.yaml"
rm -f "$A"/sed*
edited "sed -i.bak"
like "errors says why" "cannot be moved aside" "$(last_error)"
refused "perl -i.orig" perl -i.orig -pe 's/v22/v23/' "$A/a.yaml"
edited "perl -i.orig"

# As on a disk these remove the file before they make it anew: another agent, which has the new text.
spec a 'echo installed' >"$T/a.new"
works "install" install -m 644 "$T/a.new" "$A/a.yaml"
eq "install: it answers by the new text" installed "$(ask a x)"
unlike "install: it is another agent" "$id" "$(cat "$A/a/id")"

# A running agent is ended and goes on with its new text.
agent p 'while :; do echo old; sleep 0.2; done' 'execution_mode: persistent'
eventually "p runs" has "$A/p/stdout" old
works "sed -i of a running agent" sed -i 's/echo old/echo new/' "$A/p.yaml"
eventually "it runs the new text" has "$A/p/stdout" new
finish
