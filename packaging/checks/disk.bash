# Virtual disks as people work on them. Sourced by ./verify: $root, $scratch, check.

# A conversion that is long enough to be interrupted, and its target while it is being made.
makes_a_long_conversion() {
  disks=$scratch/disks
  [[ -d $disks ]] && return
  mkdir "$disks" && head -c 700M /dev/zero | tr '\0' 'x' >"$disks"/source.raw
}

ctrl_c_leaves_nothing_half_made() {
  local signal torte status tries
  makes_a_long_conversion || return
  for signal in INT TERM; do
    rm -f "$disks"/target*
    # A background job of a script ignores SIGINT unless it is told otherwise.
    env --default-signal=INT "$root"/torte vhd convert "$disks"/source.raw "$disks"/target.vhdx >"$disks"/log 2>&1 &
    torte=$!
    for ((tries = 0; tries < 600; tries++)); do
      [[ -e $disks/target.vhdx.partial || ! -e /proc/$torte ]] && break
      sleep 0.05
    done
    kill -$signal $torte
    wait $torte
    status=$?
    cat "$disks"/log
    ls -l "$disks"
    ((status == 130 || status == 143)) || return 1
    compgen -G "$disks/target*" && return 1
    [[ $(<"$disks"/log) == *cancelled* ]] || return 1
  done
  "$root"/torte vhd test "$disks"/source.raw
}
check 'Ctrl-C ends a conversion with one line and leaves no half image' ctrl_c_leaves_nothing_half_made

killed_conversion_can_be_repeated() {
  local torte tries
  makes_a_long_conversion || return
  rm -f "$disks"/target*
  "$root"/torte vhd convert "$disks"/source.raw "$disks"/target.vhdx >/dev/null 2>&1 &
  torte=$!
  for ((tries = 0; tries < 600; tries++)); do
    [[ -e $disks/target.vhdx.partial || ! -e /proc/$torte ]] && break
    sleep 0.05
  done
  kill -KILL $torte
  wait $torte
  "$root"/torte vhd convert "$disks"/source.raw "$disks"/target.vhdx || return
  [[ ! -e $disks/target.vhdx.partial ]] && "$root"/torte vhd test "$disks"/target.vhdx
}
check 'a conversion that was killed can be repeated' killed_conversion_can_be_repeated

# Holds up the conversion for a second, as a slow disk would: progress is shown only of what takes long.
hold_up() {
  local tries torte
  for ((tries = 0; tries < 3000; tries++)); do
    [[ -e $disks/target.vhdx.partial ]] && break
    sleep 0.01
  done
  torte=$(pgrep -n -f "Torte vhd convert $disks/source.raw")
  kill -STOP "$torte"
  sleep 1
  kill -CONT "$torte"
}

shows_progress_on_a_terminal_only() {
  local shown
  makes_a_long_conversion || return
  command -v script >/dev/null && command -v pgrep >/dev/null || {
    echo 'script (util-linux) or pgrep (procps) is not installed'
    return 77
  }
  rm -f "$disks"/target*
  hold_up &
  # The shell stays between them: script would stop with its own child.
  shown=$(script -qec "'$root'/torte vhd convert '$disks'/source.raw '$disks'/target.vhdx; exit \$?" /dev/null </dev/null) || return
  [[ $shown == *'convert  '*' %  '*'MiB of 700 MiB'* ]] || {
    printf '%q\n' "$shown"
    return 1
  }
  rm -f "$disks"/target*
  shown=$("$root"/torte vhd convert "$disks"/source.raw "$disks"/target.vhdx 2>&1) || return
  [[ $shown != *'% '* ]]
}
check 'long work shows its progress on a terminal, and nothing in a log' shows_progress_on_a_terminal_only
rm -rf "$scratch"/disks
