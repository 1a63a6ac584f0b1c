package org.torte.network;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.torte.base.net.FrameBatch;

/**
 * Takes a batch from one port to where its frames go. It first judges every frame; if all that remain go to one port and
 * leave as they came, which is what nearly all traffic does, that port gets the sender's batch itself. Else each port gets
 * copies of what is for it, in order. One call at a time; a port keeps one and uses it again, so that nothing is allocated.
 */
final class Forwarder {
    /** What bridges keep to themselves: 01:80:c2:00:00:00 to :0f. */
    private static final long LINK_LOCAL = 0x0180_c200_0000L;

    private static final long GROUP = 1L << 40;
    private static final int DHCP_SERVER = 67, DHCPV6_SERVER = 547;
    private static final int ICMP_REDIRECT = 5, ICMP_ROUTER = 9, ND_ROUTER = 134, ND_REDIRECT = 137;
    private static final DropReason[] REASONS = DropReason.values();

    private final VirtualSwitch network;
    private final SwitchPort source;
    private final Dissector dissector = new Dissector();
    private final Dissector inboundDissector = new Dissector();
    private final int[] drops = new int[REASONS.length];

    /** Of each frame of the batch: the port it goes to, if it is one. */
    private @Nullable SwitchPort[] targets = new SwitchPort[0];
    /** Whether it goes to many, and to which. */
    private byte[] floods = {};

    private static final byte NO_FLOOD = 0, TO_ALL = 1, TO_UNKNOWN = 2;

    private int[] vids = {};
    private int[] tags = {};
    private byte[] skips = {};
    private int base;
    private FrameBatch frames = NONE;

    private static final FrameBatch NONE = new FrameBatch(1, FrameBatch.MAX_LENGTH);

    Forwarder(VirtualSwitch network, SwitchPort source) {
        this.network = network;
        this.source = source;
    }

    /** Takes frames from {@code first} on; returns how many. */
    int forward(FrameBatch batch, int first) {
        int end = batch.size();
        if (first >= end) {
            return 0;
        }
        PortPolicy policy = source.policy();
        long now = network.clock().nanos();
        if (!policy.settings.enabled()) {
            source.counters().sentDropped(DropReason.LINK_DOWN, end - first);
            return end - first;
        }
        if (policy.bandwidth != null) {
            end = admitted(batch, first, policy.bandwidth, now);
        }
        int count = end - first;
        if (targets.length < count) {
            targets = new SwitchPort[count];
            floods = new byte[count];
            vids = new int[count];
            tags = new int[count];
            skips = new byte[count];
        }
        frames = batch;
        base = first;
        route(policy, end, now);
        frames = NONE;
        Arrays.fill(targets, 0, count, null);
        return count;
    }

    private int admitted(FrameBatch batch, int first, TokenBucket bandwidth, long now) {
        for (int i = first; i < batch.size(); i++) {
            if (!bandwidth.take(batch.length(i), now)) {
                source.wakeLater(now + bandwidth.nanosToWait(now));
                return i;
            }
        }
        return batch.size();
    }

    private void route(PortPolicy policy, int end, long now) {
        boolean uniform = source.taps().length == 0;
        boolean any = false;
        boolean flooded = false;
        SwitchPort only = null;
        long bytes = 0;
        for (int i = base; i < end; i++) {
            int at = i - base;
            bytes += frames.length(i);
            floods[at] = NO_FLOOD;
            skips[at] = 0;
            DropReason dropped = judge(policy, i, now);
            if (dropped != null) {
                targets[at] = null;
                floods[at] = NO_FLOOD;
                drops[dropped.index()]++;
                uniform = false;
                continue;
            }
            any = true;
            flooded |= floods[at] != NO_FLOOD;
            SwitchPort target = targets[at];
            if (i == base) {
                only = target;
            }
            uniform &= target != null && target == only && leavesAsItCame(i, target.policy());
        }
        source.counters().sent(end - base, bytes);
        if (!any) {
            countDrops();
            return;
        }
        if (uniform && only != null && end == frames.size() && takesAll(only, policy)) {
            only.deliver(frames, base);
            return;
        }
        showTaps(end);
        if (flooded) {
            for (SwitchPort port : network.portArray()) {
                if (port != source) {
                    give(port, end);
                }
            }
        } else {
            giveUnicast(end);
        }
        countDrops();
    }

    /** Finds out where a frame goes: into {@code targets} or {@code floods}; or why it goes nowhere. */
    private @Nullable DropReason judge(PortPolicy policy, int frame, long now) {
        MemorySegment bytes = frames.bytes();
        int at = frames.offset(frame);
        int length = frames.length(frame);
        if (length < FrameBatch.ETHERNET_HEADER) {
            return DropReason.RUNT;
        }
        int index = frame - base;
        int tag = frames.vlan(frame);
        if (tag == FrameBatch.NO_VLAN && Dissector.unsignedShort(bytes, at + 12) == Dissector.VLAN_TAG) {
            if (length < FrameBatch.ETHERNET_HEADER + 4) {
                return DropReason.RUNT;
            }
            tag = Dissector.unsignedShort(bytes, at + 14);
            skips[index] = 4;
            length -= 4;
        }
        if (length > policy.settings.mtu() + FrameBatch.ETHERNET_HEADER && frames.segmentSize(frame) == 0) {
            return DropReason.GIANT;
        }
        int vid = tag == FrameBatch.NO_VLAN ? 0 : tag & 0xfff;
        if (vid == 0) {
            vid = policy.untagged;
        } else if (!policy.trunk || !policy.settings.vlan().contains(vid)) {
            return DropReason.VLAN;
        }
        vids[index] = vid;
        tags[index] = tag;
        long from = Dissector.mac(bytes, at + 6);
        if (!mayComeFrom(policy, from, vid, now)) {
            return DropReason.SPOOFED_SOURCE;
        }
        if (policy.inspected) {
            DropReason denied = inspect(policy, frame);
            if (denied != null) {
                return denied;
            }
        }
        long to = Dissector.mac(bytes, at);
        if ((to & GROUP) != 0) {
            if ((to & ~0xfL) == LINK_LOCAL) {
                return DropReason.LINK_LOCAL;
            }
            floods[index] = TO_ALL;
            targets[index] = null;
            if (!policy.floods.take(1, now)) {
                return DropReason.FLOOD_LIMIT;
            }
            if (from == source.ownAddress()) {
                source.addresses().see(frames, frame, skips[index]);
            }
            return null;
        }
        AddressTable table = network.addresses();
        SwitchPort target = table.known(to, vid);
        if (target == null) {
            target = table.learned(to, vid, now);
        }
        targets[index] = target;
        if (target == null) {
            floods[index] = TO_UNKNOWN;
            return policy.floods.take(1, now) ? null : DropReason.FLOOD_LIMIT;
        }
        return target == source ? DropReason.NOWHERE : null;
    }

    private boolean mayComeFrom(PortPolicy policy, long from, int vid, long now) {
        if (from == source.ownAddress()) {
            return true;
        }
        if (!policy.settings.macSpoofing() || (from & GROUP) != 0 || from == 0) {
            return false;
        }
        SwitchPort owner = network.addresses().known(from, vid);
        if (owner != null) {
            return false;
        }
        network.addresses().learn(from, vid, source, policy.settings.addresses(), now);
        return true;
    }

    private @Nullable DropReason inspect(PortPolicy policy, int frame) {
        Dissector packet = dissector;
        if (!packet.read(frames, frame)) {
            return DropReason.MALFORMED;
        }
        if (policy.settings.dhcpGuard()
                && packet.protocol == Dissector.UDP
                && packet.hasPorts
                && packet.sourcePort == (packet.ipv6 ? DHCPV6_SERVER : DHCP_SERVER)) {
            return DropReason.DHCP_GUARD;
        }
        if (policy.settings.routerGuard()) {
            if (packet.protocol == Dissector.ICMPV6
                    && (packet.icmpType == ND_ROUTER || packet.icmpType == ND_REDIRECT)) {
                return DropReason.ROUTER_GUARD;
            }
            if (packet.protocol == Dissector.ICMP
                    && (packet.icmpType == ICMP_ROUTER || packet.icmpType == ICMP_REDIRECT)) {
                return DropReason.ROUTER_GUARD;
            }
        }
        return PortPolicy.allows(policy.outbound, packet, true) ? null : DropReason.ACL;
    }

    /** Whether a port takes whatever comes from here, so that no frame has to be looked at for it. */
    private static boolean takesAll(SwitchPort port, PortPolicy from) {
        PortPolicy policy = port.policy();
        return policy.inbound.length == 0
                && policy.settings.enabled()
                && policy.settings.mtu() >= from.settings.mtu()
                && port.taps().length == 0;
    }

    private boolean leavesAsItCame(int frame, PortPolicy to) {
        return skips[frame - base] == 0
                && tagFor(frame, to) == frames.vlan(frame)
                && to.settings.vlan().contains(vids[frame - base]);
    }

    /** The tag with which a frame leaves a port. */
    int tagFor(int frame, PortPolicy to) {
        int vid = vids[frame - base];
        if (vid == to.untagged) {
            return FrameBatch.NO_VLAN;
        }
        int tag = tags[frame - base];
        return (tag == FrameBatch.NO_VLAN ? 0 : tag & 0xf000) | vid;
    }

    /** The bytes of a tag inside the frame, which leaves without them. */
    int skipped(int frame) {
        return skips[frame - base];
    }

    /** Whether a frame is for a port and may go there; counts it there if it may not. */
    boolean isFor(int frame, SwitchPort port) {
        int index = frame - base;
        PortPolicy to = port.policy();
        switch (floods[index]) {
            case TO_ALL -> {
                if (!to.settings.vlan().contains(vids[index])) {
                    return false;
                }
            }
            case TO_UNKNOWN -> {
                if (!to.takesUnknown || !to.settings.vlan().contains(vids[index])) {
                    return false;
                }
            }
            default -> {
                if (targets[index] != port) {
                    return false;
                }
                if (!to.settings.vlan().contains(vids[index])) {
                    port.counters().receivedDropped(DropReason.VLAN, 1);
                    return false;
                }
            }
        }
        if (!to.settings.enabled()) {
            return false;
        }
        int length = frames.length(frame) - skips[index];
        if (length > to.settings.mtu() + FrameBatch.ETHERNET_HEADER && frames.segmentSize(frame) == 0) {
            port.counters().receivedDropped(DropReason.GIANT, 1);
            return false;
        }
        if (to.inbound.length > 0) {
            if (!inboundDissector.read(frames, frame)) {
                port.counters().receivedDropped(DropReason.MALFORMED, 1);
                return false;
            }
            if (!PortPolicy.allows(to.inbound, inboundDissector, false)) {
                port.counters().receivedDropped(DropReason.ACL, 1);
                return false;
            }
        }
        return true;
    }

    private void showTaps(int end) {
        FrameTap[] taps = source.taps();
        for (FrameTap tap : taps) {
            for (int i = base; i < end; i++) {
                if (targets[i - base] != null || floods[i - base] != NO_FLOOD) {
                    tap.frame(frames, i, true, frames.vlan(i));
                }
            }
            tap.flush();
        }
    }

    private void giveUnicast(int end) {
        for (int i = base; i < end; i++) {
            SwitchPort port = targets[i - base];
            if (port == null) {
                continue;
            }
            give(port, end);
            for (int k = i; k < end; k++) {
                if (targets[k - base] == port) {
                    targets[k - base] = null;
                }
            }
        }
    }

    private void give(SwitchPort port, int end) {
        int next = port.enqueue(this, frames, base, end, false);
        while (next < end) {
            boolean force = !port.flush();
            next = port.enqueue(this, frames, next, end, force);
        }
        port.flush();
        for (FrameTap tap : port.taps()) {
            tap.flush();
        }
    }

    private void countDrops() {
        for (int i = 0; i < drops.length; i++) {
            if (drops[i] != 0) {
                source.counters().sentDropped(REASONS[i], drops[i]);
                drops[i] = 0;
            }
        }
    }
}
