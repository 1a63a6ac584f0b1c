# The command as people start it. Sourced by ./verify: $root, $scratch, $java_home, check.

starts_from_another_directory() {
  cd / && [[ $("$root"/torte --version) == torte\ [0-9]* ]]
}
check 'torte starts from any directory' starts_from_another_directory

starts_through_a_link() {
  ln -s "$root"/torte "$scratch"/a-link && cd "$scratch" && [[ $(./a-link --version) == torte\ [0-9]* ]]
}
check 'torte starts through a symbolic link' starts_through_a_link

starts_under_an_old_java() {
  local old
  for old in /usr/lib/jvm/*; do
    if jdk_version "$old" && ((found_version < jdk_release)); then
      JAVA_HOME=$old PATH=$old/bin:$PATH "$root"/torte --version
      return
    fi
  done
  echo "no JDK older than $jdk_release on this machine"
  return 77
}
check 'torte starts when JAVA_HOME and PATH hold an older Java' starts_under_an_old_java

starts_without_environment() {
  [[ $(env -i TORTE_JAVA_HOME="$java_home" PATH=/usr/bin:/bin "$root"/torte --version) == torte\ [0-9]* ]]
}
check 'torte starts without HOME and with a bare PATH' starts_without_environment

prints_only_the_version() {
  local errors
  errors=$("$root"/torte --version 2>&1 >/dev/null)
  printf '%s\n' "$errors"
  [[ -z $errors ]]
}
check 'torte --version writes nothing but the version: no warnings of the JVM' prints_only_the_version

# Made once for each build, in lib/: what shells read when they start.
completes_words() {
  local shell
  for shell in bash zsh fish; do
    "$root"/torte completion $shell >"$scratch"/first && "$root"/torte completion $shell >"$scratch"/second || return
    grep -q torte "$scratch"/first && cmp "$scratch"/first "$scratch"/second || return
  done
  bash -n "$root"/lib/completion.bash && [[ -z $(cd "$root"/lib && compgen -G 'completion.*.*') ]]
}
check 'torte completion prints the same script whenever it is asked' completes_words

# Runs torte with the given arguments; wants status 2 and a line that says what is wrong.
refuses() {
  local output status
  output=$("$root"/torte "$@" 2>&1 </dev/null)
  status=$?
  printf '%s\n' "$output"
  [[ $status == 2 && -n $output && $output != *Exception* ]]
}
check 'torte refuses an unknown option with status 2' refuses --no-such-option
check 'torte refuses an unknown command with status 2' refuses no-such-command
check 'torte run refuses a kernel that does not exist with status 2' refuses run --kernel "$scratch"/no-such-kernel

# What the ahead-of-time cache is trained with runs to its end, and nothing else is printed.
trains_its_cache() {
  local mode
  for mode in off on; do
    [[ $("$root"/torte run --kernel "$root"/packaging/training/kernel.bin --memory 16M --translator "$mode" --timeout 2m) =~ ^\.+\ trained.?$ ]] || return
  done
  aot_fits
}
check 'the kernel that trains the ahead-of-time cache runs, and there is a cache' trains_its_cache

# Where all is interpreted, the JVM's second compiler works on the interpreter, wherever the option stands.
compiles_its_interpreter() {
  local kernel=(--kernel "$root"/packaging/training/kernel.bin --memory 16M --timeout 2m)
  has_directives run "${kernel[@]}" && has_directives run --translator on "${kernel[@]}" || return
  ! has_directives run --translator off "${kernel[@]}" && ! has_directives run "${kernel[@]}" --translator=off || return
  ! has_directives run --memory 16M --translator off "${kernel[@]:0:2}"
}

# Whether the JVM of a command is kept from compiling what a translator makes needless.
has_directives() {
  local process line=
  "$root"/torte "$@" >/dev/null 2>&1 </dev/null &
  process=$!
  while [[ $line != *org.torte.cli/* ]] && kill -0 $process 2>/dev/null; do
    line=$(tr '\0' ' ' <"/proc/$process/cmdline" 2>/dev/null)
  done
  wait $process
  [[ $line == *' -XX:CompilerDirectivesFile='* ]]
}
check 'torte has the interpreter compiled well where nothing is translated' compiles_its_interpreter

# The README's first command as continuous integration sees it: no terminal, so the guest does its own session.
demo_proves_itself() {
  local output status line
  output=$(cd / && TORTE_DATA=$scratch/demo "$root"/torte demo 2>&1 </dev/null)
  status=$?
  printf '%s\n' "$output"
  # All that a machine without package sources can cause comes before the service.
  if ((status == 2)) && [[ ! -e $scratch/demo/service.json ]]; then return 77; fi
  ((status == 0)) || return
  for line in sha256sum: 'network:     eth0' 'from host:   a page of the host' 'from guest:  a page of the guest' 'integration: heartbeat ok'; do
    [[ $output == *"== $line"* ]] || { echo "missing: $line"; return 1; }
  done
  if pgrep -a -f -- "Torte (worker|service).*$scratch/demo"; then return 1; fi
  [[ -z $(find "$scratch"/demo/machines "$scratch"/demo/run -mindepth 1) && ! -e $scratch/demo/demo ]]
}
check 'torte demo without a terminal proves itself, network and all, and leaves nothing behind' demo_proves_itself

# The sources as somebody else would get them, without what has been built.
copy_checkout() {
  mkdir -p "$1" && tar -c -C "$root" --exclude=target --exclude='./lib*' --exclude=./.git . | tar -x -C "$1"
}

starts_from_a_read_only_checkout() {
  local copy=$scratch/read-only started=()
  mkdir "$copy" && cp -r "$root"/{torte,pom.xml,packaging,lib,base,cli} "$copy" || return
  chmod -R a+rX "$scratch" && chmod -R a-w "$copy" || return
  # The sources are newer than lib/ in a copy, and root would be able to write.
  if ((EUID == 0)); then started=(setpriv --reuid=65534 --regid=65534 --clear-groups); fi
  [[ $("${started[@]}" env TORTE_JAVA_HOME="$java_home" "$copy"/torte --version) == torte\ [0-9]* ]]
}
check 'torte starts from a read-only checkout that has lib/' starts_from_a_read_only_checkout

# A Maven that builds at once what this checkout has built: what is checked here is what ./torte makes of it.
quick_maven() {
  mkdir -p "$scratch"/quick && cat >"$scratch"/quick/mvn <<'END'
#!/bin/bash
for argument; do
  case $argument in
    -Dtorte.lib=*) sleep 1 && exec cp "$BUILT"/*.jar "${argument#*=}" ;;
  esac
done
exit 1
END
  chmod +x "$scratch"/quick/mvn
}

# Two terminals, one fresh clone: one builds, the other waits, both run, and lib/ is whole.
builds_once_for_two_first_starts() {
  local copy=$scratch/twice first second
  copy_checkout "$copy" && quick_maven || return
  export BUILT=$root/lib PATH=$scratch/quick:$PATH
  "$copy"/torte --version >"$scratch"/first 2>&1 &
  first=$!
  "$copy"/torte --version >"$scratch"/second 2>&1 &
  second=$!
  wait "$first" && wait "$second" || {
    cat "$scratch"/first "$scratch"/second
    return 1
  }
  cat "$scratch"/first "$scratch"/second
  [[ $(cat "$scratch"/first "$scratch"/second | grep -c '^torte [0-9]') == 2 ]] &&
    [[ $(cat "$scratch"/first "$scratch"/second | grep -c building) == 1 ]] &&
    [[ $(cd "$copy" && echo lib*) == lib ]]
}
check 'two first starts at once build once' builds_once_for_two_first_starts

rebuilds_when_a_source_changes() {
  local copy=$scratch/twice output
  export BUILT=$root/lib PATH=$scratch/quick:$PATH
  touch "$copy"/cli/src/main/java/module-info.java
  output=$("$copy"/torte --version 2>&1) || return
  printf '%s\n' "$output"
  [[ $output == *building* ]] && [[ $("$copy"/torte --version 2>&1) != *building* ]] || return
  rm "$copy"/cli/src/main/java/module-info.java
  [[ $("$copy"/torte --version 2>&1) == *building* ]] || return
  touch -d '+1 day' "$copy"/pom.xml
  [[ $("$copy"/torte --version 2>&1) != *building* ]]
}
check 'torte builds again when a source was changed or deleted, not for one dated in the future' rebuilds_when_a_source_changes

keeps_what_works_when_a_build_fails() {
  local copy=$scratch/twice output
  touch "$copy"/cli/pom.xml
  printf '#!/bin/bash\necho "[ERROR] no luck"\nexit 1\n' >"$scratch"/quick/mvn
  output=$(PATH=$scratch/quick:$PATH "$copy"/torte --version 2>&1) && return 1
  printf '%s\n' "$output"
  [[ $output == *'no luck'* && -e $copy/lib/.built && $(cd "$copy" && echo lib*) == lib ]]
}
check 'a build that fails says why and leaves lib/ alone' keeps_what_works_when_a_build_fails

names_what_is_missing() {
  local empty=$scratch/empty output status
  mkdir -p "$empty"/bin && ln -s "$(command -v bash)" "$(command -v readlink)" "$(command -v env)" "$empty"/bin
  # A machine with no JDK, no Maven, no apt and no root: same script, told to look in empty places.
  output=$(env -i PATH="$empty"/bin HOME="$empty" bash -c '
    root=$1; . "$2"/packaging/tools.bash; find_java() { return 1; }; need_tools maven' - "$empty" "$root" 2>&1)
  status=$?
  printf '%s\n' "$output"
  [[ $status == 1 && $output == *"JDK $jdk_release"* && $output == *TORTE_JAVA_HOME* ]]
}
check 'a missing JDK is named with where to get it' names_what_is_missing
