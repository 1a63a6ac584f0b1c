# A stock Debian on the KVM back-end. Sourced by ./verify: $root, begin_check.

# Beside the others: it keeps one of the host's processors busy for some minutes.
begin_check 'a stock Debian with disk and integration services runs on KVM' "$root"/packaging/kvm-rig
