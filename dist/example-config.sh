#!/bin/sh
# example-config.sh BINDIR: prints every setting that something reads, with its default, commented out, as TOML.
set -eu
cat <<'HEAD'
# Settings of symbid, all with their defaults. Copy this to /etc/symbi/config.toml and remove the '#' before what you
# change; `symbi config check FILE` checks a file, /symbi/config shows what is in effect and where it came from.
HEAD
"$1/symbid" --print-config | awk -F ' *[|] *' '
  function toml(type, text,  n, word, i, out) {
    if (type ~ /^(whole number|number|true or false)/) return text
    if (type !~ /^list/) return "\"" text "\""
    n = split(text, word, ",")
    for (i = 1; i <= n; i++) out = out (i > 1 ? ", " : "") "\"" word[i] "\""
    return "[" out "]"
  }
  # columns: setting, type, default, environment, when, what it does
  $2 ~ /^`[a-z_]+[.][a-z_]+`$/ && ($6 == "live" || $6 == "restart") {
    gsub(/`/, "", $2); gsub(/`/, "", $4)
    dot = index($2, ".")
    section = substr($2, 1, dot - 1)
    if (section != last) printf "\n[%s]\n", section
    last = section
    printf "# %s (%s)\n#%s = %s\n", $7, $3, substr($2, dot + 1), toml($3, $4)
  }'
