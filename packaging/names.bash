# torte completion names KIND [VM] [--data FOLDER]: the names of what there is, one a line, for shells that complete them.
# Asked of the service of the data folder if it runs, by this shell itself: a start of Java would take too long for a
# key that is pressed. Whatever is in the way, there is nothing to tell. Sourced by ./torte.

complete_names() {
  local data=${TORTE_DATA:-} words=() port token line connection
  while (($#)); do
    case $1 in
      --data) data=${2:-} && shift ;;
      --data=*) data=${1#*=} ;;
      *) words+=("$1") ;;
    esac
    shift
  done
  if [[ -z $data ]]; then
    [[ ${XDG_DATA_HOME:-} == /* ]] && data=$XDG_DATA_HOME/torte || data=${HOME:-/nonexistent}/.local/share/torte
  fi
  [[ -r $data/service.json && ${words[1]:-} =~ ^[A-Za-z0-9._-]*$ && ${words[0]:-} =~ ^[A-Z]+$ ]] || return 0
  line=$(<"$data"/service.json)
  [[ $line =~ \"url\"\ *:\ *\"http://127\.0\.0\.1:([0-9]+)\" ]] || return 0
  port=${BASH_REMATCH[1]}
  [[ $line =~ \"token\"\ *:\ *\"([A-Za-z0-9_-]+)\" ]] || return 0
  token=${BASH_REMATCH[1]}
  { exec {connection}<>/dev/tcp/127.0.0.1/"$port"; } 2>/dev/null || return 0
  # HTTP 1.0, so that the answer is one piece and ends with the connection.
  printf 'GET /api/v1/names?kind=%s%s HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n' \
    "${words[0],,}" "${words[1]:+&vm=${words[1]}}" "$token" >&"$connection"
  IFS= read -r -t 5 line <&"$connection" && [[ $line == 'HTTP/1.'[01]' 200 '* ]] || return 0
  while IFS= read -r -t 5 line <&"$connection" && [[ $line != $'\r' ]]; do :; done
  while IFS= read -r -t 5 line <&"$connection"; do printf '%s\n' "$line"; done
}
