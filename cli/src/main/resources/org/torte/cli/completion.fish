# Completion of torte for fish: torte completion fish | source
function __torte_commands
  switch "$argv"
@COMMANDS@
  end
end

function __torte_options
  switch "$argv"
@OPTIONS@
  end
end

function __torte_values
  switch "$argv"
@VALUES@
  end
end

function __torte_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  set -l at torte
  set -l option
  set -l parameters
  set -l data
  for word in $words[2..-1]
    if test -n "$option"
      test "$option" = --data; and set data --data $word
      set option
    else if string match -q -- '--data=*' $word
      set data $word
    else if string match -q -- '-*' $word
      test -n "$(__torte_values "$at $word")"; and set option $word
    else if test -n "$(__torte_commands "$at")"
      set at "$at $word"
    else
      set -a parameters $word
    end
  end
  set -l before
  if test -z "$option"; and string match -q -- '--*=*' $current
    set option (string split -m 1 = -- $current)[1]
    set before $option=
    set current (string split -m 1 = -- $current)[2]
  end
  set -l kind
  if test -n "$option"
    set kind (__torte_values "$at $option")
  else if string match -q -- '-*' $current
    set kind (__torte_options "$at")
  else
    set kind (__torte_commands "$at")
    test -n "$kind"; or set kind (__torte_values "$at "(count $parameters))
  end
  switch "$kind"
    case FILE
      __fish_complete_path $current | string replace -r '^' -- "$before"
    case FOLDER
      __fish_complete_directories $current '' | string replace -r '^' -- "$before"
    case VM CHECKPOINT ADAPTER SWITCH TASK TOKEN
      $words[1] completion names $kind $parameters[1] $data 2>/dev/null | string replace -r '^' -- "$before"
    case '*'
      string match -q -r '[a-z]' -- "$kind"; and string split ' ' -- (string replace -a '|' ' ' -- "$kind") | string replace -r '^' -- "$before"
  end
end

complete -c torte -f -a '(__torte_complete)'
