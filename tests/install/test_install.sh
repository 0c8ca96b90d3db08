#!/bin/bash
# cmake --install into an empty root: everything is there, works from there, and the documents agree with the programs.
set -eu
# shellcheck source=tests/install/common.sh
. "$(dirname "$0")/common.sh"
DESTDIR=$dir/root cmake --install "$build" --prefix /usr >"$dir/out" 2>&1 || die "$(cat "$dir/out")"
complete_in "$dir/root"
runs_from "$dir/root"

# The example configuration is valid as it is and with every setting made effective.
example=$dir/root/usr/share/doc/symbi/config.toml
"$bin/symbi" config check "$example" || die "the example configuration is refused"
sed 's/^#\([a-z]\)/\1/' "$example" >"$dir/all.toml"
[ "$(grep -c '^[a-z_]* = ' "$dir/all.toml")" -gt 10 ] || die "the example configuration is empty"
"$bin/symbi" config check "$dir/all.toml" || die "the example configuration's settings are refused"

# Each command of the help is in the manual page and is completed.
COMP_WORDS=("$bin/symbi" "") COMP_CWORD=1 COMPREPLY=()
# shellcheck source=dist/symbi.bash
. "$dir/root/usr/share/bash-completion/completions/symbi"
_symbi
commands=$("$bin/symbi" help | sed -n 's/^  \([a-z-]*\) .*/\1/p')
[ "$(wc -w <<<"$commands")" -ge 5 ] || die "symbi help lists no commands"
for command in $commands; do
  grep -q "^.fB$command.fR" "$dir/root/usr/share/man/man1/symbi.1" || die "symbi.1 does not name '$command'"
  [[ " ${COMPREPLY[*]} " == *" $command "* ]] || die "'$command' is not completed, only ${COMPREPLY[*]}"
done
for option in $("$bin/symbid" --help | grep -oE -- '^  --[a-z-]+'); do
  grep -qF -- "\\fB${option//-/\\-}\\fR" "$dir/root/usr/share/man/man8/symbid.8" || die "symbid.8 does not name '$option'"
done
COMP_WORDS=("$bin/symbi" up --mo) COMP_CWORD=2 COMPREPLY=()
_symbi
[ "${COMPREPLY[*]}" = --mount ] || die "'symbi up --mo' completes to '${COMPREPLY[*]}'"

if command -v groff >/dev/null; then
  for page in "$dir"/root/usr/share/man/man?/*; do
    warnings=$(groff -man -Tutf8 -ww "$page" 2>&1 >/dev/null) || :
    [ -z "$warnings" ] || die "$warnings"
  done
fi
