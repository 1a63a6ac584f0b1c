# The texts and scripts of the repository. Sourced by ./verify: $root, $scratch, check.

links_lead_somewhere() {
  local file target bad=0
  for file in "$root"/*.md "$root"/docs/*.md; do
    while IFS= read -r target; do
      [[ $target == http*://* || $target == '#'* ]] && continue
      [[ -e ${file%/*}/${target%%#*} ]] || {
        echo "${file#"$root"/}: $target"
        bad=1
      }
    done < <(grep -o '](\([^)]*\))' "$file" | sed 's/^](//; s/)$//')
  done
  return $bad
}
check 'every link in the documentation leads to a file' links_lead_somewhere

nothing_is_left_for_later() {
  ! grep -rnE '\b(TODO|FIXME|XXX|HACK)\b|UnsupportedOperationException\("not' "$root"/*/src "$root"/{torte,verify} \
    "$root"/docs "$root"/README.md --include='*' --exclude-dir=resources
}
check 'no note in the sources puts something off' nothing_is_left_for_later

scripts_are_clean() {
  command -v shellcheck >/dev/null || {
    echo 'shellcheck is not installed'
    return 77
  }
  cd "$root" && shellcheck -x -s bash -S warning -e SC2034,SC2154 torte verify .ci/run bench/run bench/boot bench/guests bench/kvm bench/nat bench/network bench/rows.sh bench/switch bench/translator packaging/fresh-machine packaging/kvm-rig packaging/*.bash packaging/checks/*.bash
}
check 'shellcheck has nothing to say about the scripts' scripts_are_clean
