# bash completion for symbi, symbiont and symbid. Commands and options come from their own help, so that this file
# cannot fall behind.

_symbi_words() { # the words after COMMAND on its line of `symbi help`, split into completable ones
  "$1" help 2>/dev/null | sed -n "s/^  $2 \{1,\}//p" | tr '[]|,. ' '\n\n\n\n\n\n' | grep -E '^-?-?[a-z][a-z-]*$'
}

_symbi() {
  local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]}
  if [ "$COMP_CWORD" = 1 ]; then
    mapfile -t COMPREPLY < <(compgen -W "$("$program" help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\).*/\1/p') --help --version" -- "$word")
    return
  fi
  case ${COMP_WORDS[COMP_CWORD - 1]} in
    --mount | --state | --socket | --config) COMPREPLY=() ;; # file names, by -o default
    *) mapfile -t COMPREPLY < <(compgen -W "$(_symbi_words "$program" "${COMP_WORDS[1]}")" -- "$word") ;;
  esac
}

_symbid() {
  mapfile -t COMPREPLY < <(compgen -W "$("${COMP_WORDS[0]}" --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u)" -- "${COMP_WORDS[COMP_CWORD]}")
}

complete -o default -F _symbi symbi symbiont
complete -o default -F _symbid symbid
