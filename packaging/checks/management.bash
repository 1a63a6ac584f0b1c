# The service as people and programs use it: real processes, killed at the worst moments. Sourced by ./verify: $root,
# $scratch, check. The guest is the waiting kernel of terminal.bash, made again here: each file stands alone.
# shellcheck disable=SC2154

service_data=$scratch/service
printf '\x02\xb0\xad\x1b\x00\x00\x01\x00\xfe\x4f\x51\xe4\x00\x00\x10\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x20\x00\x10\x00\xf4\xeb\xfd' >"$scratch"/idle

torte_here() { TORTE_DATA=$service_data "$root"/torte "$@"; }
field() { sed -n "s/.*\"$1\" *: \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" | head -n 1; }
state_of() { torte_here vm get "$1" -o json | field state; }
service_pid() { field processId <"$service_data"/service.json; }
worker_pid() { torte_here vm get "$1" -o json | field processId; }

# Waits until a machine is in a state, or a minute is over.
becomes() {
  local i
  for ((i = 0; i < 120; i++)); do
    [[ $(state_of "$1") == "$2" ]] && return
    sleep 0.5
  done
  echo "$1 is $(state_of "$1"), not $2"
  return 1
}

machine_lives() {
  torte_here vm new one --kernel "$scratch"/idle --memory 4M --notes 'the first' || return
  [[ $(state_of one) == Off ]] || return
  torte_here vm start one && [[ $(state_of ONE) == Running ]] || return
  torte_here vm pause one && [[ $(state_of one) == Paused ]] || return
  torte_here vm resume one && torte_here vm save one && [[ $(state_of one) == Saved ]] || return
  torte_here vm start one && [[ $(state_of one) == Running ]] || return
  torte_here vm list -o json | grep -q '"name": "one"' || return
  torte_here task list && torte_here event | grep -c vm.state
}
check 'a virtual machine is made, started, paused, saved and goes on, in a process of its own' machine_lives

worker_is_killed() {
  local worker
  worker=$(worker_pid one)
  kill -KILL "$worker" || return
  becomes one Off || return
  torte_here vm get one
  torte_here vm get one | grep -q "last end:.*died: the worker's process $worker ended without a word with status 137" || return
  torte_here vm start one && [[ $(state_of one) == Running ]]
}
check 'a worker is killed; that is noticed and told, and the machine starts again' worker_is_killed

service_is_killed() {
  local before after worker
  before=$(service_pid) worker=$(worker_pid one)
  kill -KILL "$before" || return
  kill -0 "$worker" || return
  [[ $(state_of one) == Running ]] || return
  after=$(service_pid)
  echo "service $before, then $after; worker $worker, then $(worker_pid one)"
  [[ $after != "$before" && $(worker_pid one) == "$worker" ]] && torte_here vm pause one && torte_here vm resume one
}
check 'the service is killed; the machine goes on, and the next service has it again' service_is_killed

adapters_are_shown() {
  local mac
  torte_here vm new three --kernel "$scratch"/idle --memory 4M --network cable:"$scratch"/cable --network none || return
  mac=$(torte_here vm get three | sed -n "s|^adapter net1: *cable:$scratch/cable, \\(.*\\)|\\1|p")
  [[ -n $mac ]] && torte_here vm start three && adapter_is_captured && torte_here vm stop three --turn-off || return
  torte_here vm set three --network none && torte_here vm get three | grep -q "^adapter net1: *none, $mac" || return
  torte_here vm remove three
}
# Ended by a signal as by Ctrl-C, which processes in the background do not get.
adapter_is_captured() {
  local capture i
  torte_here adapter capture three --out "$scratch"/a.pcapng --adapter net2 2>"$scratch"/capture.out && return 1
  grep -q '^torte: network adapter 1 is not plugged in' "$scratch"/capture.out || return
  TORTE_DATA=$service_data exec_torte adapter capture three --out "$scratch"/a.pcapng >"$scratch"/capture.out 2>&1 &
  capture=$!
  for ((i = 0; i < 120; i++)); do
    grep -q 'Ctrl-C ends it' "$scratch"/capture.out && break
    sleep 0.5
  done
  kill -TERM $capture && wait $capture
  cat "$scratch"/capture.out
  grep -q "^0 frames in $scratch/a.pcapng, 0 dropped" "$scratch"/capture.out && [[ -s $scratch/a.pcapng ]]
}
exec_torte() { exec "$root"/torte "$@"; }
check 'a machine has network adapters whose addresses stay, and can be captured' adapters_are_shown

hung_worker_is_turned_off() {
  local worker
  worker=$(worker_pid one)
  kill -STOP "$worker" && becomes one NotResponding || return
  torte_here vm get one | grep -q "not responding:.*process $worker, does not answer; somebody has stopped it" || return
  torte_here vm pause one && return 1
  kill -CONT "$worker" && becomes one Running || return
  kill -STOP "$worker" && becomes one NotResponding && torte_here vm stop one --turn-off || return
  [[ $(state_of one) == Off ]] && ! kill -0 "$worker" 2>/dev/null
}
check 'a worker that hangs is shown, and turned off all the same' hung_worker_is_turned_off

# The waiting kernel has no driver for it, so that nothing moves; the host has no memory for the other one.
memory_is_shown_and_refused() {
  torte_here vm set one --memory-minimum 2M && torte_here vm start one || return
  torte_here vm get one | grep -q '^memory: *2 MiB to 4 MiB, starts with 4 MiB, buffer 20 %' || return
  torte_here vm set one --memory-buffer 50% && torte_here vm set one --no-dynamic-memory || return
  torte_here vm get one | grep -q '^memory: *4 MiB$' && torte_here vm stop one --turn-off || return
  torte_here vm new huge --kernel "$scratch"/idle --memory 1T || return
  torte_here host && torte_here host | grep -q '^for machines: .* free' || return
  torte_here vm start one --what-if | grep -qx 'would start one, which is Off' || return
  torte_here vm start huge --what-if 2>"$scratch"/err && return 1
  grep -q '^torte: huge needs 1024 GiB of memory ' "$scratch"/err || return
  torte_here vm start huge 2>"$scratch"/err && return 1
  cat "$scratch"/err
  [[ $(wc -l <"$scratch"/err) == 1 ]] && grep -q '^torte: huge needs 1024 GiB of memory .*--overcommit$' "$scratch"/err || return
  torte_here vm remove huge
}
check 'memory is dynamic if that is wanted, and a start that there is no memory for is refused' memory_is_shown_and_refused

# A machine of the waiting kernel: what counts here are the files and processes.
checkpoints_are_kept() {
  local folder
  "$root"/torte vhd new "$scratch"/kept.vhdx --size 64M || return
  torte_here vm new two --kernel "$scratch"/idle --memory 4M --image "$scratch"/kept.vhdx && torte_here vm start two || return
  torte_here checkpoint new two one && torte_here checkpoint new two other --production || return
  torte_here checkpoint list two || return
  torte_here checkpoint list two | grep -q '^one  *standard  *memory' || return
  torte_here checkpoint list two | grep -q '^  other  *production  *crash' || return
  torte_here checkpoint apply two one && return 1
  torte_here vm stop two --turn-off && torte_here checkpoint apply two one --keep-as last || return
  [[ $(state_of two) == Saved ]] && torte_here vm start two && [[ $(state_of two) == Running ]] || return
  kill -KILL "$(service_pid)" || return
  torte_here checkpoint remove two last && torte_here checkpoint remove two other && torte_here checkpoint remove two one || return
  [[ $(state_of two) == Running ]] && torte_here vm stop two --turn-off || return
  folder=$(torte_here vm get two -o json | field folder)
  ls "$folder"
  [[ $(find "$folder" -name '*.vhdx' -o -name '*.state') == "$folder"/disk.vhdx ]] || return
  "$root"/torte vhd test "$folder"/disk.vhdx && torte_here vm start two && torte_here vm stop two --turn-off || return
  torte_here vm remove two && [[ ! -e $folder ]] && torte_here vm register "$service_data"/removed/two-* || return
  torte_here vm remove two --disks && [[ -z $(find "$service_data"/removed -mindepth 1) ]]
}
check 'checkpoints are made, applied and merged away under a running machine' checkpoints_are_kept

machine_is_exported_and_imported() {
  local out=$scratch/exported
  "$root"/torte vhd new "$scratch"/carried.vhdx --size 64M || return
  torte_here vm new four --kernel "$scratch"/idle --memory 4M --image "$scratch"/carried.vhdx --network nat,service=80:"$scratch"/page || return
  torte_here vm start four && torte_here checkpoint new four now || return
  torte_here vm export four "$out" && return 1
  torte_here vm export four "$out" --checkpoint now && [[ ! -e $out.partial ]] || return
  mv "$scratch"/carried.vhdx "$scratch"/aside.vhdx
  "$root"/torte vhd info "$out"/disk.vhdx | grep -q 'Parent: *[.]\\carried.vhdx' || return
  torte_here vm import "$out" --what-if && return 1
  torte_here vm import "$out" --what-if | grep -q 'problem: .*--copy' || return
  torte_here vm import "$out" --copy --name five >"$scratch"/out 2>"$scratch"/err || return
  cat "$scratch"/out "$scratch"/err
  grep -q "service=80:$scratch/page" "$scratch"/err || return
  torte_here vm start five && [[ $(state_of five) == Running ]] && torte_here vm stop five --turn-off || return
  ln -s /etc/passwd "$out"/extra
  torte_here vm import "$out" --copy --name six --what-if | grep -q 'problem: .*extra is a symbolic link' || return
  mv "$scratch"/aside.vhdx "$scratch"/carried.vhdx
  torte_here vm stop four --turn-off && torte_here checkpoint remove four now || return
  torte_here vm remove four --disks && torte_here vm remove five --disks
}
check 'a machine is exported and imported, and what could do harm is refused' machine_is_exported_and_imported

mistakes_are_one_line() {
  local line status
  while IFS='|' read -r line status; do
    # shellcheck disable=SC2086
    torte_here $line >"$scratch"/out 2>"$scratch"/err
    [[ $? == "$status" && $(wc -l <"$scratch"/err) == 1 && ! -s $scratch/out ]] && ! grep -q 'Exception' "$scratch"/err || {
      echo "$line:" && cat "$scratch"/out "$scratch"/err
      return 1
    }
  done <<'END'
vm start nobody|2
vm new one --kernel /nowhere|2
vm new two --kernel /nowhere/vmlinuz|2
vm new ../two --kernel /etc/passwd|2
vm set one --processors 1000|2
vm set one|2
vm pause one|2
checkpoint list nobody|2
checkpoint new one a/b|2
checkpoint apply one nothing|2
checkpoint|2
vm stop one --timeout soon|2
vm|2
task get 9999|2
task get x|2
token new a --role king|2
service --port banana|2
service --data /proc/nowhere|2
END
}
check 'mistakes with the service are one line with status 2' mistakes_are_one_line

output_is_taken_or_not() {
  local errors status
  errors=$(torte_here vm list 2>&1 >/dev/full)
  status=$?
  printf '%s: %s\n' "$status" "$errors"
  [[ $status == 1 && $errors == 'torte: the output cannot be written ('*')'* ]] || return
  # Who follows events and is read no more ends, too, with the status of SIGPIPE.
  torte_here event --follow --after 0 | head -n 1
  [[ ${PIPESTATUS[0]} == 141 ]] || return
  # Names for the tabulator come without Java, and not from a service that does not run.
  [[ $(torte_here completion names VM) == one && $(torte_here completion names SWITCH) == Default ]] || return
  [[ -z $(torte_here completion names CHECKPOINT one --data "$scratch"/nowhere) && ! -e $scratch/nowhere ]]
}
check 'output that cannot be written is told, and names are there for the tabulator' output_is_taken_or_not

second_service_is_refused() {
  torte_here service >"$scratch"/out 2>&1
  [[ $? == 2 && $(<"$scratch"/out) == *"another service (process $(service_pid)) uses"* ]]
}
check 'a second service on the same folder is refused by name' second_service_is_refused

damaged_definition_is_shown() {
  local folder
  folder=$(torte_here vm get one -o json | field folder)
  kill -TERM "$(service_pid)" && printf '{"version": 1,' >"$folder"/definition.json || return
  torte_here host || return
  torte_here host | grep -q 'problem 1:.*definition.json is not JSON' || return
  [[ $(torte_here vm list -o json | tr -d ' \n') == '[]' ]] || return
  [[ $(<"$folder"/definition.json) == '{"version": 1,' ]]
}
check 'a damaged definition is shown with its place, and not touched' damaged_definition_is_shown

web_is_guarded() {
  local url token
  url=$(field url <"$service_data"/service.json) token=$(field token <"$service_data"/service.json)
  [[ $(stat -c %a "$service_data"/service.json) == 600 ]] || return
  [[ $(curl -s -o /dev/null -w '%{http_code}' "$url"/api/v1/vms) == 401 ]] || return
  [[ $(curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $token" "$url"/api/v1/vms) == 200 ]] || return
  [[ $(curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $token" -H 'Origin: http://evil.example' "$url"/api/v1/vms) == 403 ]] || return
  curl -s -H "Authorization: Bearer $token" "$url"/metrics | grep -q '^torte_machines{state="Running"} 0' || return
  curl -s "$url"/openapi.yaml | grep -q '^openapi: 3.1'
}
if command -v curl >/dev/null; then
  check 'REST wants a token, refuses other sites, and describes itself' web_is_guarded
else
  skip 'REST wants a token, refuses other sites, and describes itself' 'curl is not installed'
fi

no_process_is_left() {
  [[ ! -e $service_data/service.json ]] || kill -TERM "$(service_pid)"
  local i
  for ((i = 0; i < 60; i++)); do
    pgrep -f -- "Torte (worker|service).*$service_data" >/dev/null || return 0
    sleep 0.5
  done
  pgrep -a -f -- "$service_data"
  return 1
}
check 'nothing runs when all machines are off and the service has ended' no_process_is_left
