#!/bin/sh
# man.sh BINDIR TEMPLATE: prints a manual page. What programs know themselves is asked from them: @VERSION@, @COMMANDS@
# (symbi help), @OPTIONS@ (symbid --help), @ENVIRONMENT@ (symbid --print-config).
set -eu
bin=$1 template=$2

# text -> roff: quotes what roff would read as its own.
roff='function roff(s) { gsub(/\\/, "\\e", s); gsub(/-/, "\\-", s); if (s ~ /^[.\047]/) s = "\\&" s; return s }'

commands() {
  "$bin/symbi" help | awk "$roff"'
    /^  [a-z]/ { name = $1; sub(/^  [a-z-]+ */, ""); printf ".TP\n\\fB%s\\fR %s\n", roff(name), roff($0); next }
    /^      / { sub(/^ +/, ""); print roff($0) }'
}
options() {
  "$bin/symbid" --help | awk "$roff"'
    /^  --/ { name = $1; text = $0; sub(/^ *--[a-z-]+ */, "", text); arg = ""
              if (match(text, /^[A-Z]+ +/)) { arg = $2; sub(/^[A-Z]+ +/, "", text) }
              printf ".TP\n\\fB%s\\fR \\fI%s\\fR\n%s\n", roff(name), roff(arg), roff(text) }'
}
environment() {
  "$bin/symbid" --print-config | awk -F ' *[|] *' "$roff"'
    $2 ~ /^`/ && $5 != "" && $6 !~ /^later/ { gsub(/`/, "", $2); printf ".TP\n.B %s\n%s: %s\n", roff($5), roff($2), roff($6) }'
}

version=$("$bin/symbi" --version | sed 's/.* //')
while IFS= read -r line; do
  case $line in
    @COMMANDS@) commands ;;
    @OPTIONS@) options ;;
    @ENVIRONMENT@) environment ;;
    *@VERSION@*) printf '%s%s%s\n' "${line%%@VERSION@*}" "$version" "${line#*@VERSION@}" ;;
    *) printf '%s\n' "$line" ;;
  esac
done <"$template"
