# Completion of torte for bash: source <(torte completion bash)
declare -gA _torte_commands=(
@COMMANDS@
)
declare -gA _torte_options=(
@OPTIONS@
)
declare -gA _torte_values=(
@VALUES@
)

# Follows the words before the one that is completed: where they lead ($at), the option that waits for its value ($option),
# how many parameters there are ($place), the first of these ($first), and the data folder ($data).
_torte_follow() {
  at=torte option='' place=0 first='' data=''
  local word
  for word in "$@"; do
    if [[ -n $option ]]; then
      [[ $word != '=' ]] || continue
      [[ $option != --data ]] || data=${word//\\/}
      option=''
    elif [[ $word == -* ]]; then
      [[ -z ${_torte_values["$at $word"]-} ]] || option=$word
    elif [[ -n ${_torte_commands["$at"]-} ]]; then
      at="$at $word"
    else
      ((place > 0)) || first=$word
      place=$((place + 1))
    fi
  done
}

_torte() {
  local at option place first data kind candidate
  local current=${COMP_WORDS[COMP_CWORD]}
  local -a candidates=()
  [[ $current != '=' ]] || current=''
  _torte_follow "${COMP_WORDS[@]:1:COMP_CWORD-1}"
  COMPREPLY=()
  if [[ -n $option ]]; then
    kind=${_torte_values["$at $option"]}
  elif [[ $current == -* ]]; then
    kind=${_torte_options["$at"]-}
  elif [[ -n ${_torte_commands["$at"]-} ]]; then
    kind=${_torte_commands["$at"]}
  else
    kind=${_torte_values["$at $place"]-}
  fi
  case $kind in
    FILE)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      return ;;
    FOLDER)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -d -- "$current")
      return ;;
    VM | CHECKPOINT | ADAPTER | SWITCH | TASK | TOKEN)
      mapfile -t candidates < <("${COMP_WORDS[0]/#\~/$HOME}" completion names "$kind" ${first:+"$first"} ${data:+--data "${data/#\~/$HOME}"} 2>/dev/null) ;;
    *[a-z]*) IFS=' |' read -r -a candidates <<<"$kind" ;;
  esac
  for candidate in "${candidates[@]}"; do
    [[ $candidate != "$current"* ]] || COMPREPLY+=("$candidate")
  done
}

complete -F _torte torte
