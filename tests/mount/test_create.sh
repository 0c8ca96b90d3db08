#!/bin/bash
# SPDX-License-Identifier: MIT
# test_create.sh - every way in which people make a file makes an agent, of every format, and it runs.
. "${0%/*}/lib.sh"
need dash zsh busybox python3 node perl vim rsync install tee dd sponge curl
up
yaml=$(printf 'tier: None\ncommand: [sh, -c, cat]')
json='{"tier": "None", "command": ["sh", "-c", "cat"]}'
toml=$(printf 'tier = "None"\ncommand = ["sh", "-c", "cat"]')
echo "$yaml" >"$T/n.yaml"

# made FACT NAME [SUFFIX]: the agent is there, has the text, and answers
made() {
  local file=$A/$2.${3:-yaml}
  if [ -e "$file" ] && [ -d "$A/$2" ]; then ok "$1: the agent is there"; else fail "$1: the agent is there" "$(ls -A "$A")" "$(last_error)"; return; fi
  eq "$1: ls says the true size" "$(stat -c %s "$file")" "$(cat "$file" | wc -c)"
  eq "$1: it answers" "hello $2" "$(ask "$2" "hello $2")"
  rm "$file"
  gone "$1: rm removes it" "$A/$2"
}

i=0
for sh in "bash -c" "dash -c" "zsh -c" "busybox sh -c"; do
  i=$((i + 1))
  works "$sh: echo >" $sh "echo '$yaml' > $A/e$i.yaml"
  made "$sh: echo >" e$i
  works "$sh: printf in pieces" $sh "{ printf 'tier: '; echo None; echo 'command: '; echo '  - sh'; echo '  - -c'; echo '  - cat'; } > $A/p$i.yaml"
  made "$sh: pieces" p$i
  works "$sh: YAML line by line" $sh "printf 'tier: None\nresource_limits:\n  memory_mb: 64\ncommand:\n  - sh\n  - -c\n  - cat\n' > $A/y$i.yaml"
  made "$sh: YAML line by line" y$i
  works "$sh: JSON line by line" $sh "printf '{\n  \"tier\": \"None\",\n  \"command\": [\n    \"sh\", \"-c\", \"cat\"\n  ]\n}\n' > $A/k$i.json"
  made "$sh: JSON line by line" k$i json
  works "$sh: lists and maps over several lines" $sh "printf 'tier: None\nresource_limits: {memory_mb: 64,\n  cpu_cores: 1}\ncommand: [\n  sh,\n  -c,\n  cat\n]\n' > $A/f$i.yaml"
  made "$sh: several lines" f$i
  works "$sh: TOML over several lines" $sh "printf 'tier = \"None\"\nruntime = \"sh\"\ncode = \"\"\"\nx=[1\ncat\n\"\"\"\n' > $A/w$i.toml"
  made "$sh: TOML over several lines" w$i toml
  works "$sh: here document" $sh "cat > $A/h$i.yaml <<'X'
$yaml
X"
  made "$sh: here document" h$i
  works "$sh: JSON" $sh "echo '$json' > $A/j$i.json"
  made "$sh: JSON" j$i json
  works "$sh: TOML" $sh "echo '$toml' > $A/t$i.toml"
  made "$sh: TOML" t$i toml
  works "$sh: >> to a new file" $sh "echo '$yaml' >> $A/a$i.yml"
  made "$sh: >>" a$i yml
done
works "cat >" sh -c "cat $T/n.yaml > $A/n.yaml"; made "cat >" n
works "cp" cp "$T/n.yaml" "$A/n.yaml"; made cp n
works "cp to the directory" cp "$T/n.yaml" "$A/"; made "cp DIR" n
works "cp -p" cp -p "$T/n.yaml" "$A/"; made "cp -p" n
works "cp -a" cp -a "$T/n.yaml" "$A/"; made "cp -a" n
works "busybox cp" busybox cp "$T/n.yaml" "$A/"; made "busybox cp" n
works "busybox cat >" busybox sh -c "busybox cat $T/n.yaml > $A/n.yaml"; made "busybox cat" n
cp "$T/n.yaml" "$T/m.yaml"
works "mv" mv "$T/m.yaml" "$A/"; gone "mv: the source is gone" "$T/m.yaml"; made mv m
works "tee" sh -c "tee $A/n.yaml < $T/n.yaml > /dev/null"; made tee n
works "dd" dd if="$T/n.yaml" of="$A/n.yaml" status=none; made dd n
works "dd bs=1" dd if="$T/n.yaml" of="$A/n.yaml" bs=1 status=none; made "dd bs=1" n
works "install" install -m 644 "$T/n.yaml" "$A/n.yaml"; made install n
works "sponge" sh -c "sponge $A/n.yaml < $T/n.yaml"; made sponge n
works "rsync" rsync "$T/n.yaml" "$A/"; made rsync n
works "rsync --inplace" rsync --inplace "$T/n.yaml" "$A/"; made "rsync --inplace" n
works "curl file://" curl -s -o "$A/n.yaml" "file://$T/n.yaml"; made curl n
works "python open" python3 -c "open('$A/n.yaml', 'w').write(open('$T/n.yaml').read())"; made python n
works "python pathlib" python3 -c "import pathlib; pathlib.Path('$A/n.yaml').write_text('''$yaml
''')"; made pathlib n
works "python shutil.copy" python3 -c "import shutil; shutil.copy('$T/n.yaml', '$A/')"; made shutil n
works "python temporary file and os.replace" python3 -c "
import os, tempfile
f = tempfile.NamedTemporaryFile('w', dir='$A', delete=False)
f.write(open('$T/n.yaml').read()); f.flush(); os.fsync(f.fileno()); f.close()
os.replace(f.name, '$A/n.yaml')"; made os.replace n
works "python json.dump" python3 -c "
import json; f = open('$A/n.json', 'w')
json.dump({'tier': 'None', 'command': ['sh', '-c', 'cat']}, f, indent=2); f.close()"; made json.dump n json
works "node writeFileSync" node -e "require('fs').writeFileSync('$A/n.yaml', require('fs').readFileSync('$T/n.yaml'))"; made node n
works "node stream" node -e "
const fs = require('fs'); fs.createReadStream('$T/n.yaml').pipe(fs.createWriteStream('$A/n.yaml')).on('error', e => { throw e; })"; made "node stream" n
works "perl" perl -e "open(F, '>', '$A/n.yaml') or die; print F qq($yaml\n); close(F) or die"; made perl n
works "vim -es" vim -es -u NONE -c "read $T/n.yaml" -c 'wq' "$A/n.yaml"; made vim n

# A long text comes in pieces of 4 KiB (bash), 128 KiB (cp): it is whole or not there.
{ echo "$yaml"; seq -f '# line %g is a comment that fills the file' 1 5000; } >"$T/long.yaml"
works "cp of 200 kB" cp "$T/long.yaml" "$A/"
same "cp of 200 kB: the text is whole" "$T/long.yaml" "$A/long.yaml"; made "cp of 200 kB" long
works "bash echo of 200 kB" bash -c 'echo "$(cat "$1")" > "$2"' - "$T/long.yaml" "$A/long.yaml"
same "bash echo: the text is whole" "$T/long.yaml" "$A/long.yaml"; made "bash echo of 200 kB" long
works "dash echo of 200 kB" dash -c 'echo "$(cat "$1")" > "$2"' - "$T/long.yaml" "$A/long.yaml"
same "dash echo: the text is whole" "$T/long.yaml" "$A/long.yaml"; made "dash echo of 200 kB" long
head -c 3000000 /dev/zero | tr '\0' '#' >"$T/huge.yaml"
refused "3 MB are refused" cp "$T/huge.yaml" "$A/"
gone "and nothing is made" "$A/huge.yaml"

# noclobber and exclusive creation
works "set -C creates" bash -c "set -C; echo '$yaml' > $A/n.yaml"
refused "set -C does not overwrite" bash -c "set -C; echo '$yaml' > $A/n.yaml"
refused "python open(x) does not overwrite" python3 -c "open('$A/n.yaml', 'x')"
refused "another suffix of the same name" cp "$T/n.yaml" "$A/n.yml"
like "errors says which spec there is" "n.yaml" "$(last_error)"
made "noclobber" n
eq "nothing else is left" "" "$(ls -A "$A")"
finish
