# The README's commands on fresh systems, with --long. Sourced by ./verify: $root, $long, check, skip.

for variant in bookworm trixie no-root; do
  if [[ -n $long ]]; then
    check "both README commands work on a fresh system: $variant" "$root"/packaging/fresh-machine "$variant"
  else
    skip "both README commands work on a fresh system: $variant" './verify --long runs it'
  fi
done
