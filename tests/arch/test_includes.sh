#!/bin/bash
# A folder includes only what stands below it, siblings never; includes name their folder; a header compiles alone.
set -eu
cd "${TEST_SOURCE_DIR:-$(dirname "$0")/../..}"

# folder: folders that it may include, itself apart
rules="
lib:
sandbox: lib
policies: lib
vectors: lib
runtime: sandbox policies vectors lib
fs: runtime lib
api: fs runtime lib
cmd: api fs runtime sandbox policies vectors lib
"
bad=0
complain() { echo "$*"; bad=1; }

# check_folder FOLDER "ALLOWED...": prints every include that breaks the rules.
check_folder() {
  local folder=$1 allowed=$2 file line path to
  while IFS=: read -r file line path; do
    path=${path#*\"} path=${path%\"*}
    to=${path%%/*}
    if [ "$to" = "$path" ]; then
      # A program's own headers stand beside it and have no folder in their name.
      [[ $folder == cmd && -f $(dirname "$file")/$path ]] && continue
      complain "$file:$line: \"$path\" does not name its folder"
    elif [ "$to" != "$folder" ] && [[ " $allowed " != *" $to "* ]]; then
      complain "$file:$line: $folder/ may not include \"$path\" (allowed: ${allowed:-nothing of ours})"
    elif [ ! -f "$path" ]; then
      complain "$file:$line: \"$path\" is not a file of this tree"
    fi
  done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]+"' --include='*.[ch]' --include='*.cc' --include='*.def' "$folder" || :)
}

# The rules must know each folder with sources, or a new one would go unchecked.
for folder in */; do
  folder=${folder%/}
  case $folder in build | tests | examples | docs | cmake) continue ;; esac
  [ -n "$(find "$folder" -name '*.[ch]' -print -quit)" ] || continue
  rule=$(grep "^$folder:" <<<"$rules") || { complain "$folder/ is not in the rules of $0"; continue; }
  check_folder "$folder" "$(sed 's/^[^:]*: *//' <<<"$rule")"
done
exit $bad
