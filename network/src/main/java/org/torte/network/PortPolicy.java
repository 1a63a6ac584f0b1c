package org.torte.network;

import org.jspecify.annotations.Nullable;

/** A port's settings, made ready for the path of the frames. Replaced as a whole when they change. */
final class PortPolicy {
    private static final long LEAST_BURST = 128 << 10;

    final PortSettings settings;
    final AclRule[] outbound;
    final AclRule[] inbound;
    /** Whether frames that are sent must be dissected. */
    final boolean inspected;

    final int untagged;
    final boolean trunk;
    final @Nullable TokenBucket bandwidth;
    final TokenBucket floods;
    /** Whether what nobody knows the place of may be here. */
    final boolean takesUnknown;

    PortPolicy(PortSettings settings, long now) {
        this.settings = settings;
        outbound = rules(settings, true);
        inbound = rules(settings, false);
        inspected = outbound.length > 0 || settings.dhcpGuard() || settings.routerGuard();
        untagged = settings.vlan().untagged();
        trunk = settings.vlan() instanceof PortVlan.Trunk;
        long bytes = Math.max(settings.bitsPerSecond() / 8, 1);
        bandwidth =
                settings.bitsPerSecond() == 0 ? null : new TokenBucket(bytes, Math.max(bytes / 100, LEAST_BURST), now);
        floods = new TokenBucket(settings.floodsPerSecond(), settings.floodsPerSecond(), now);
        takesUnknown = settings.macSpoofing() || settings.role() == PortSettings.Role.UPLINK;
    }

    private static AclRule[] rules(PortSettings settings, boolean outbound) {
        return settings.rules().stream().filter(rule -> rule.applies(outbound)).toArray(AclRule[]::new);
    }

    /** Whether a frame that the dissector has read may pass. */
    static boolean allows(AclRule[] rules, Dissector packet, boolean outbound) {
        for (AclRule rule : rules) {
            if (rule.fits(packet, outbound)) {
                return rule.allow();
            }
        }
        return true;
    }
}
