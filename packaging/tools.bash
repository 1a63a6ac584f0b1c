# Shared by ./torte, ./verify, bench/* and packaging/*: finds a JDK and Maven, installs or names what is
# missing, builds lib/. Sourced by bash; expects $root (the checkout) to be set. Sets $java_home and $mvn.

# File names are UTF-8: in a locale without, Java could not even open some of them.
case ${LC_ALL:-${LC_CTYPE:-${LANG:-}}} in
  *[Uu][Tt][Ff]-8* | *[Uu][Tt][Ff]8*) ;;
  *) export LC_ALL=C.UTF-8 ;;
esac

say() { printf 'torte: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

# What Debian calls the things the build needs, and those that only tests use (each missing one skips tests).
jdk_release=25
build_packages=("openjdk-$jdk_release-jdk-headless" maven)
# What the command that is about to start needs besides, of the packages that is_here knows.
command_packages=()
test_packages=(acpica-tools bind9-dnsutils binutils busybox-static curl debootstrap e2fsprogs fish iperf3 iproute2 iputils-ping isc-dhcp-client libslirp0 libvhdi-utils lz4 mmdebstrap nftables procps python3 python3-websockets qemu-system-x86 qemu-utils shellcheck tshark zsh)

# Flags of every Torte JVM; docs/performance.md says what each is worth. The AOT cache is trained with the same.
native_modules=org.torte.base,org.torte.hypervisor,org.torte.disk,org.torte.network,org.torte.cli,com.github.luben.zstd_jni,org.xerial.sqlitejdbc
torte_jvm=(
  -XX:+UseSerialGC
  -Xms16m
  -Xmn8m
  -XX:TrimNativeHeapInterval=2000
  -XX:-UsePerfData
  "--enable-native-access=$native_modules"
)

# And of one that translates guest code, as all do that are not told otherwise; the JVM would say on standard output that it has
# read the file.
translator_jvm=(
  -XX:+UnlockDiagnosticVMOptions
  -XX:-DisplayVMOutput
  "-XX:CompilerDirectivesFile=$root/packaging/translator-compilers.json"
)

# The feature release of the JDK in $1, from its release file; nothing if it is not a JDK (javac missing) or has none.
jdk_version() {
  [[ -r $1/release && -x $1/bin/java && -x $1/bin/javac ]] || return 1
  local line
  while IFS= read -r line; do
    if [[ $line =~ ^JAVA_VERSION=\"(1\.)?([0-9]+) ]]; then
      printf -v found_version '%s' "${BASH_REMATCH[2]}"
      return 0
    fi
  done <"$1/release"
  return 1
}

# Sets java_home to the first JDK that is recent enough, looking where people and distributions put them.
find_java() {
  local candidate on_path
  if [[ -n ${TORTE_JAVA_HOME:-} ]] && ! { jdk_version "$TORTE_JAVA_HOME" && ((found_version >= jdk_release)); }; then
    say "TORTE_JAVA_HOME=$TORTE_JAVA_HOME is not a JDK $jdk_release or later: looking elsewhere"
  fi
  for candidate in "${TORTE_JAVA_HOME:-}" "${JAVA_HOME:-}" "$root"/runtime "$root"/runtime/*/ /usr/lib/jvm/* \
    "${HOME:-/nonexistent}"/{.jdks/*,jdk*,.sdkman/candidates/java/*} /opt/{,java/,jvm/}*jdk*; do
    if [[ -n $candidate ]] && jdk_version "$candidate" && ((found_version >= jdk_release)); then
      java_home=${candidate%/}
      return 0
    fi
  done
  if on_path=$(command -v javac) && on_path=$(readlink -f "$on_path"); then
    candidate=${on_path%/bin/javac}
    if jdk_version "$candidate" && ((found_version >= jdk_release)); then
      java_home=$candidate
      return 0
    fi
  fi
  return 1
}

find_maven() {
  local candidate
  for candidate in "$(command -v mvn)" "$root"/runtime/*maven*/bin/mvn "${HOME:-/nonexistent}"/*maven*/bin/mvn /opt/*maven*/bin/mvn; do
    if [[ -x $candidate ]]; then
      mvn=$candidate
      return 0
    fi
  done
  return 1
}

# Sets as_root to the prefix that runs a command as root without asking for anything; fails if there is none.
find_root() {
  if ((EUID == 0)); then
    as_root=()
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=(sudo -n)
  else
    return 1
  fi
}

# Does the distribution offer package $1? On a new machine the lists are empty: fetches them once, if it may.
apt_offers() {
  apt-cache show --no-all-versions "$1" >/dev/null 2>&1 && return
  if [[ -z ${apt_updated:-} ]] && find_root; then
    apt_updated=1
    "${as_root[@]}" apt-get -qq update >/dev/null 2>&1
    apt-cache show --no-all-versions "$1" >/dev/null 2>&1 && return
  fi
  return 1
}

apt_install() {
  say "installing $*"
  local log
  log=$("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "$@" 2>&1) && return
  printf '%s\n' "$log" | tail -n 5 >&2
  return 1
}

# Is package $1 installed, however it came here? Plain users of Debian do not have the sbin folders in their PATH.
is_here() {
  local PATH=$PATH:/usr/sbin:/sbin
  case $1 in
    e2fsprogs) command -v mkfs.ext4 && command -v debugfs ;;
    # By the loader's cache, else where distributions put it: a library may be there without a cache.
    libslirp0) ldconfig -p 2>/dev/null | grep -F libslirp.so.0 || compgen -G '/usr/lib*/**/libslirp.so.0*' || compgen -G '/usr/lib*/libslirp.so.0*' ;;
  esac >/dev/null
}

# Makes sure that there is a JDK, with argument 'maven' Maven as well, and what the command needs: finds them, else
# installs the distribution's as root, else ends with the one line that says how to get what is missing.
need_tools() {
  local missing=() package
  find_java || missing+=("${build_packages[0]}")
  [[ ${1:-} != maven ]] || find_maven || missing+=("${build_packages[1]}")
  # Where there is no apt, the command itself says what it lacks.
  if command -v apt-get >/dev/null; then
    for package in "${command_packages[@]}"; do
      is_here "$package" || missing+=("$package")
    done
  fi
  ((${#missing[@]})) || return 0
  if command -v apt-get >/dev/null; then
    local offered=() lacking=()
    for package in "${missing[@]}"; do
      if apt_offers "$package"; then offered+=("$package"); else lacking+=("$package"); fi
    done
    # Without root the lists may simply be empty; trust that a distribution with apt has Maven.
    if [[ " ${lacking[*]} " == *" maven "* ]] && ! find_root; then
      offered+=(maven)
    fi
    if [[ " ${lacking[*]} " == *" ${build_packages[0]} "* ]]; then
      say "no JDK $jdk_release or later found, and this distribution does not package one: unpack one" \
        "(https://adoptium.net/temurin/releases/?version=$jdk_release) as ~/jdk-$jdk_release, or set TORTE_JAVA_HOME"
      if ((${#offered[@]})) && ! find_root; then
        say "also missing: sudo apt-get install ${offered[*]}"
      fi
      exit 1
    fi
    find_root || die "missing ${missing[*]}: sudo apt-get install ${missing[*]}"
    apt_install "${missing[@]}" || die "could not install ${missing[*]}: sudo apt-get install ${missing[*]}"
    find_java || die "no JDK $jdk_release or later found after installing ${missing[*]}: set TORTE_JAVA_HOME"
    [[ ${1:-} != maven ]] || find_maven || die "no mvn found after installing ${missing[*]}"
    return 0
  fi
  find_java || die "no JDK $jdk_release or later found: unpack one" \
    "(https://adoptium.net/temurin/releases/?version=$jdk_release) as ~/jdk-$jdk_release, or set TORTE_JAVA_HOME"
  die "no Maven found: install it with this system's package manager, or unpack it (https://maven.apache.org/download.cgi) as ~/apache-maven"
}

# Runs Maven on this checkout under the chosen JDK. The flags quieten Maven 3.8's own libraries on new JDKs.
run_maven() {
  (
    cd "$root" || exit 1
    unset MAVEN_ARGS MAVEN_PROJECTBASEDIR
    JAVA_HOME=$java_home MAVEN_OPTS="${MAVEN_OPTS:-} --sun-misc-unsafe-memory-access=allow --enable-native-access=ALL-UNNAMED" \
      "$mvn" -B -Dstyle.color=never "$@" </dev/null
  )
}

# What went wrong, from Maven's log $1, without its advice on Maven.
maven_errors() {
  grep -E '^\[(ERROR|FATAL)\]' "$1" | grep -vE '^\[ERROR\] *$|Help 1|-> |To see the full|Re-run Maven|For more information|After correcting|mvn <args>|Failed to execute goal.*Compilation failure' | head -n 20
}

# Prints one file that is newer than lib/, if any; nothing means lib/ is up to date. A file dated in the future, which
# would look newer for ever, does not count.
newer_than_lib() {
  local inputs=("$root"/pom.xml) module
  for module in "$root"/*/pom.xml; do
    module=${module%/pom.xml}
    case ${module##*/} in
      bench | testing) ;;
      *) inputs+=("$module"/pom.xml "$module"/src/main) ;;
    esac
  done
  find "${inputs[@]}" -newer "$root"/lib/.built ! -newermt now -print -quit 2>/dev/null
}

lib_is_current() { [[ -e $root/lib/.built ]] && [[ -z $(newer_than_lib) ]]; }

# One build at a time: the lock is on the checkout's folder itself, so that no lock file is left behind.
lock_checkout() {
  exec {checkout_lock}<"$root" || die "cannot read $root"
  flock "$checkout_lock"
}
unlock_checkout() { exec {checkout_lock}<&-; }

# Starts a new module path: an empty folder beside lib/ whose stamp is older than anything built from now on.
new_lib() {
  rm -rf "$root"/lib.new.* "$root"/lib.old.* 2>/dev/null
  lib_new=$root/lib.new.$$
  mkdir "$lib_new" && : >"$lib_new"/.built
}

# Puts the finished folder in place of lib/. A reader sees the old or the new one, whole.
publish_lib() {
  [[ ! -e $root/lib ]] || mv "$root"/lib "$root"/lib.old.$$
  mv "$lib_new" "$root"/lib
  rm -rf "$root"/lib.old.$$
}

# The ahead-of-time cache: only makes starting quicker, is tied to this JDK and this folder, and is never needed. Trained by
# a kernel that does what kernels do, interpreted and translated.
train_lib() {
  rm -f "$root"/lib/torte.aot
  "$java_home"/bin/java "${torte_jvm[@]}" "${translator_jvm[@]}" -XX:AOTCacheOutput="$root"/lib/torte.aot.new -Xlog:disable -Xlog:all=off \
    -p "$root"/lib -m org.torte.cli/org.torte.cli.Torte run --kernel "$root"/packaging/training/kernel.bin --memory 16M \
    --hypervisor software --timeout 1m >/dev/null 2>&1 </dev/null &&
    [[ -s $root/lib/torte.aot.new ]] &&
    mv "$root"/lib/torte.aot.new "$root"/lib/torte.aot &&
    printf '%s\n' "$java_home" "$root" >"$root"/lib/.aot
}

# Is the cache this JDK's and this folder's?
aot_fits() {
  local java_was root_was
  [[ -r $root/lib/.aot && -r $root/lib/torte.aot ]] || return 1
  { read -r java_was && read -r root_was; } <"$root"/lib/.aot
  [[ $java_was == "$java_home" && $root_was == "$root" ]]
}

build_lib() {
  need_tools maven
  lock_checkout
  if ! lib_is_current; then
    if [[ -d $root/lib ]]; then say "sources have changed: building"; else say "building (the first time fetches libraries: minutes)"; fi
    new_lib || die "cannot write to $root: build there as its owner first"
    local log=$lib_new/build.log
    if ! run_maven -q -pl cli -am package -Dmaven.test.skip=true -Dtorte.failOnWarning=false -Dtorte.lib="$lib_new" >"$log" 2>&1; then
      maven_errors "$log" >&2
      rm -rf "$lib_new"
      die "the build failed (the lines above say why)"
    fi
    rm -f "$log"
    publish_lib
    train_lib
  fi
  unlock_checkout
}

# Builds the benchmarks and their class path.
bench_build() {
  local log
  need_tools maven
  # Who runs several benchmarks has built them before the first.
  [[ -z ${TORTE_BENCH_BUILT:-} ]] || return 0
  lock_checkout
  rm -rf "$root"/bench/target/lib
  if ! log=$(run_maven -q -pl bench -am package -Dmaven.test.skip=true -Dtorte.bench.skip=false 2>&1); then
    grep -m 15 -E '^\[(ERROR|FATAL)\]' <<<"$log" >&2
    die 'the benchmarks do not build'
  fi
  unlock_checkout
}
bench_java() {
  "$java_home"/bin/java -XX:+UseSerialGC --enable-native-access=ALL-UNNAMED \
    -cp "$root/bench/target/classes:$root/bench/target/lib/*" "$@"
}
