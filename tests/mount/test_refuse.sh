#!/bin/bash
# SPDX-License-Identifier: MIT
# test_refuse.sh - a wrong text is refused in the write: the shell's exit status is not 0, `errors` names
# file, line and what to do, and nothing is made.
. "${0%/*}/lib.sh"
need dash zsh busybox python3 node perl tee dd
up

told_lines=0

# nothing FACT NAME: neither a spec nor an agent of that name
nothing() {
  eq "$1: nothing is made" "" "$(ls -A "$A")"
  rm -f "$A"/x.* "$A"/broken.yaml
}

# told FACT ERE...: what errors has from this command has all of these. bash writes line by line: the line
# after the refused one may be refused for another reason.
told() {
  local fact=$1 seen
  seen=$(tail -n +$((told_lines + 1)) "$M/errors")
  told_lines=$(wc -l <"$M/errors")
  shift
  while [ $# -gt 0 ]; do
    like "$fact: errors has $1" "$1" "$seen"
    shift
  done
}

shells=("bash -c" "dash -c" "zsh -c" "busybox sh -c" "sh -c" "bash --posix -c")
for sh in "${shells[@]}"; do
  refused "$sh: echo '{bad' > x.yaml" $sh "echo '{bad' > $A/x.yaml"
  nothing "$sh: {bad"
  told "$sh: {bad" '"path":"agents/x.yaml"' '"line":[12]' '"errno":"EINVAL"' '"code":"TEXT_001"'

  refused "$sh: unknown key" $sh "printf 'tier: None\ncolour: red\ncommand: [sh]\n' > $A/x.yaml"
  nothing "$sh: unknown key"
  told "$sh: unknown key" '"line":2' "unknown key 'colour'" 'command'

  refused "$sh: misspelt tier" $sh "printf 'tier: Teir1\ncommand: [sh]\n' > $A/x.yaml"
  nothing "$sh: misspelt tier"
  told "$sh: misspelt tier" '"line":1' "Teir1" 'Tier1'

  refused "$sh: JSON with an unknown key" $sh "echo '{\"tier\":\"None\",\"comand\":[\"sh\"]}' > $A/x.json"
  nothing "$sh: JSON"
  told "$sh: JSON" 'agents/x.json' "comand" 'command'

  refused "$sh: TOML that is none" $sh "echo 'tier = = None' > $A/x.toml"
  nothing "$sh: TOML"
  told "$sh: TOML" 'agents/x.toml' '"line":1'

  refused "$sh: set -e ends the script" $sh "set -e; echo '{bad' > $A/x.yaml; exit 0"
done

refused "python3: with open(...) write" python3 -c "
with open('$A/x.yaml', 'w') as f: f.write('{bad\n')"
nothing "python3"
told "python3" '"path":"agents/x.yaml"' '"line":'
refused "python3: pathlib" python3 -c "
import pathlib; pathlib.Path('$A/x.yaml').write_text('tier: Nine\ncommand: [sh]\n')"
nothing "pathlib"
refused "node: writeFileSync" node -e "require('fs').writeFileSync('$A/x.yaml', '{bad\n')"
nothing "node"
refused "perl" perl -e "open(F, '>', '$A/x.yaml') or die; print F qq({bad\n}); close(F) or die \$!"
nothing "perl"

printf 'tier: None\nruntme: sh\ncode: echo hi\n' >"$T/broken.yaml"
refused "cp broken.yaml" cp "$T/broken.yaml" "$A/"
nothing "cp"
told "cp" 'agents/broken.yaml' '"line":2' 'runtme' 'runtime'
refused "cat broken.yaml >" sh -c "cat $T/broken.yaml > $A/broken.yaml"
nothing "cat"
refused "tee" sh -c "tee $A/broken.yaml < $T/broken.yaml > /dev/null"
nothing "tee"
refused "dd" dd if="$T/broken.yaml" of="$A/broken.yaml"
nothing "dd"
refused "install" install -m 644 "$T/broken.yaml" "$A/broken.yaml"
nothing "install"
refused "mv" mv "$T/broken.yaml" "$A/"
nothing "mv"
there "mv leaves the file where it was" "$T/broken.yaml"

# What only the end of a text can show is refused when it is closed: cp and cat report that.
printf 'tier: None\n' >"$T/half.yaml"
refused "cp of a spec that says not what to run" cp "$T/half.yaml" "$A/"
nothing "half a spec"
told "half a spec" 'agents/half.yaml' 'command'
refused "a duplicate key" cp /dev/stdin "$A/x.yaml" <<<$'tier: None\ntier: None\ncommand: [sh]'
nothing "a duplicate key"
told "a duplicate key" 'tier' '"line":2'
cp /dev/null "$A/x.yaml"
nothing "an empty spec"
touch "$A/x.yaml"
nothing "touch"
refused "a tier that cannot be had" sh -c "printf 'tier: Tier3\ncommand: [sh]\n' > $A/x.yaml"
nothing "Tier3"
told "Tier3" 'Tier3'
refused "mkdir agents/x" mkdir "$A/x"
told "mkdir agents/x" 'agents/x.yaml'
refused "a file in the root" sh -c "echo x > $M/x"
refused "a limit out of range" sh -c "printf 'tier: None\nresource_limits: {memory_mb: -3}\ncommand: [sh]\n' > $A/x.yaml"
told "a limit out of range" 'memory_mb' '"line":2'
nothing "a limit"
finish
