#!/bin/bash
# SPDX-License-Identifier: MIT
# test_git.sh - agents/ as the work tree of a git repository that is kept elsewhere.
. "${0%/*}/lib.sh"
need git
up
agent a 'echo one'
agent b 'echo b'
export HOME=$T GIT_DIR=$T/repository GIT_WORK_TREE=$A GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@t GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@t

refused "a repository within agents/" env -u GIT_DIR -u GIT_WORK_TREE git init -q "$A"
like "errors says what to do" 'git --git-dir=DIR' "$(last_error)"
works "git init" git init -q -b main
echo '*/' >"$GIT_DIR/info/exclude" # agents' directories are shown, not kept
eq "git status: the specs are new" "?? a.yaml,?? b.yaml," "$(git status --short | tr '\n' ',')"
works "git add -A" git add -A
works "git commit" git commit -qm one
eq "git status is clean" "" "$(git status --short)"
sed -i 's/echo one/echo two/' "$A/a.yaml"
eq "git status: changed" " M a.yaml" "$(git status --short)"
like "git diff shows it" '^\+  echo two' "$(git diff)"
works "git commit -a" git commit -qam two
works "git checkout of what was before" git checkout -q HEAD~1
eq "the agent is what it was" one "$(ask a x)"
eq "git status is clean then" "" "$(git status --short)"
works "git checkout main" git checkout -q main
eq "the agent is the newer one" two "$(ask a x)"
echo '# a remark' >>"$A/b.yaml"
works "git stash" git stash -q
eq "git stash: the change is away" "" "$(grep remark "$A/b.yaml")"
works "git stash pop" git stash pop -q
like "git stash pop: it is back" remark "$(cat "$A/b.yaml")"
works "git checkout FILE" git checkout -q -- b.yaml
works "git mv" git -C "$A" mv b.yaml c.yaml
eq "git mv: the agent has the new name" b "$(ask c x)"
works "git rm" git -C "$A" rm -qf c.yaml
gone "git rm: the agent is gone" "$A/c"
works "git reset --hard" git reset -q --hard
eq "git reset: it is there again" b "$(ask b x)"
gone "and the other name is gone" "$A/c.yaml"
works "git clean" git clean -qfx
eq "git clean leaves what is kept" "a.yaml b.yaml" "$(cd "$A" && echo *.yaml)"
finish
