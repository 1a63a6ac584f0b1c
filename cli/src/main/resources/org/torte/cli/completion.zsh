#compdef torte
# Completion of torte for zsh: source <(torte completion zsh), after compinit
typeset -gA _torte_commands _torte_options _torte_values
_torte_commands=(
@COMMANDS@
)
_torte_options=(
@OPTIONS@
)
_torte_values=(
@VALUES@
)

_torte() {
  local at=torte option='' place=0 first='' data='' kind='' word
  local -a candidates
  for word in "${(@Q)words[2,CURRENT-1]}"; do
    if [[ -n $option ]]; then
      [[ $option != --data ]] || data=$word
      option=''
    elif [[ $word == --data=* ]]; then
      data=${word#*=}
    elif [[ $word == -* ]]; then
      [[ -z ${_torte_values[$at $word]-} ]] || option=$word
    elif [[ -n ${_torte_commands[$at]-} ]]; then
      at="$at $word"
    else
      (( place > 0 )) || first=$word
      (( place += 1 ))
    fi
  done
  if [[ -z $option && $words[CURRENT] == --*=* ]]; then
    option=${words[CURRENT]%%=*}
    compset -P '*='
  fi
  if [[ -n $option ]]; then
    kind=${_torte_values[$at $option]-}
  elif [[ $words[CURRENT] == -* ]]; then
    kind=${_torte_options[$at]-}
  elif [[ -n ${_torte_commands[$at]-} ]]; then
    kind=${_torte_commands[$at]}
  else
    kind=${_torte_values[$at $place]-}
  fi
  case $kind in
    FILE) _files; return ;;
    FOLDER) _files -/; return ;;
    VM | CHECKPOINT | ADAPTER | SWITCH | TASK | TOKEN)
      candidates=("${(@f)$(${~words[1]} completion names $kind ${first:+$first} ${data:+--data} ${data:+${~data}} 2>/dev/null)}") ;;
    *[a-z]*) candidates=(${(s: :)${kind//|/ }}) ;;
  esac
  compadd -a candidates
}

if [[ ${funcstack[1]-} == _torte ]]; then _torte "$@"; else compdef _torte torte; fi
