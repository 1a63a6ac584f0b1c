# A stock Debian on the KVM back-end. Sourced by ./verify: $root, $long, check, skip.

if [[ -n $long ]]; then
  check 'a stock Debian with disk and integration services runs on KVM' "$root"/packaging/kvm-rig
else
  skip 'a stock Debian with disk and integration services runs on KVM' './verify --long runs it'
fi
