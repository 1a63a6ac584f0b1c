# A terminal around torte run: raw while the guest runs, and afterwards as it was, whatever ended it; and no terminal.
# Sourced by ./verify: $root, $scratch, check, skip.
# shellcheck disable=SC2154

# A multiboot kernel that waits for ever: sti; hlt; jmp back.
printf '\x02\xb0\xad\x1b\x00\x00\x01\x00\xfe\x4f\x51\xe4\x00\x00\x10\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x20\x00\x10\x00\xf4\xeb\xfd' >"$scratch"/waiting

# Runs the waiting guest in a terminal of its own and ends it as $1 says: by typed keys, or by a signal.
ends_in_a_terminal() {
  local ending=$1 wanted=$2 folder=$scratch/terminal pid='' i
  rm -rf "$folder" && mkdir "$folder" && mkfifo "$folder"/keys || return
  exec 8<>"$folder"/keys
  # The guard restores the terminal after a kill, which may be a moment later than the status is known.
  cat >"$folder"/session <<END
stty -g >'$folder'/before
'$root'/torte run --kernel '$scratch'/waiting --memory 4M
echo \$? >'$folder'/status
for i in 1 2 3 4 5 6 7 8 9 10; do
  stty -g >'$folder'/after
  cmp -s '$folder'/before '$folder'/after && break
  sleep 1
done
END
  script -qfec "sh '$folder'/session" /dev/null <&8 >"$folder"/output 2>&1 &
  for ((i = 0; i < 300; i++)); do
    pid=$(pgrep -f -- "-m org.torte.cli/org.torte.cli.Torte run --kernel $scratch/waiting" | head -n 1)
    [[ -n $pid && $(stty -a -F "/proc/$pid/fd/0" 2>/dev/null) == *-icanon* ]] && break
    sleep 0.1
  done
  if ((i == 300)); then
    echo 'the terminal never became raw'
    cat "$folder"/output
    kill "$pid" 2>/dev/null
  elif [[ $ending == keys ]]; then
    printf '\001h\001x' >&8
  else
    kill -s "$ending" "$pid"
  fi
  wait $!
  exec 8>&-
  cat "$folder"/output
  echo "status $(cat "$folder"/status), modes $(cat "$folder"/before) and after $(cat "$folder"/after)"
  [[ $(cat "$folder"/status) == "$wanted" ]] && cmp -s "$folder"/before "$folder"/after || return
  [[ $ending != keys || $(cat "$folder"/output) == *'Ctrl-A x'* ]]
}
if command -v script >/dev/null && command -v pgrep >/dev/null; then
  check 'a terminal is raw while a guest runs; Ctrl-A h helps, Ctrl-A x quits and restores it' ends_in_a_terminal keys 0
  check 'a terminal is restored after SIGTERM' ends_in_a_terminal TERM 143
  check 'a terminal is restored after SIGKILL' ends_in_a_terminal KILL 137
else
  skip 'the terminal is raw while a guest runs and restored after it' 'script or pgrep is not installed'
fi

# Without a terminal: standard input closed, and a pipe that ends at once.
runs_without_input() {
  local status
  timeout 60 "$root"/torte run --kernel "$scratch"/waiting --memory 4M --timeout 1s <&- 2>"$scratch"/messages
  status=$?
  cat "$scratch"/messages
  ((status == 4)) && (($(wc -l <"$scratch"/messages) == 1)) || return
  timeout 60 "$root"/torte run --kernel "$scratch"/waiting --memory 4M --timeout 1s <&- >&- 2>&-
  status=$?
  ((status == 4)) || return
  : | timeout 60 "$root"/torte run --kernel "$scratch"/waiting --memory 4M --timeout 1s
  status=$?
  ((status == 4))
}
check 'torte run works with standard input closed or at its end' runs_without_input
