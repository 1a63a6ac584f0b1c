package org.torte.network;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Instant;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.torte.base.ManualClock;
import org.torte.base.ManualTimers;
import org.torte.base.RandomSource;
import org.torte.base.net.FrameBatch;
import org.torte.base.net.MacAddress;

/**
 * All pairs of kinds of ports, with all kinds of tags, to one receiver, to a group and to nobody known, alone and in a
 * batch, against a few lines that say what IEEE 802.1Q asks for.
 */
class VlanMatrixTest {
    private static final int NO_TAG = FrameBatch.NO_VLAN;
    private static final List<Integer> TAGS = List.of(NO_TAG, 0, 0xe000, 5, 0x6005, 6, 7, 0x2007, 4094, 4095);

    /** A kind of port: the VLAN without a tag, and those with. */
    private record Kind(int untagged, List<Integer> tagged) {
        PortVlan vlan() {
            if (tagged.isEmpty()) {
                return new PortVlan.Access(untagged);
            }
            BitSet set = new BitSet();
            tagged.forEach(set::set);
            return PortVlan.trunk(untagged, set);
        }

        /** The VLAN in which a frame enters, or -1. */
        int enters(int tag) {
            int vid = tag == NO_TAG ? 0 : tag & 0xfff;
            if (vid == 0) {
                return untagged;
            }
            return !tagged.isEmpty() && (tagged.contains(vid) || vid == untagged) ? vid : -1;
        }

        boolean has(int vid) {
            return vid == untagged || tagged.contains(vid);
        }
    }

    private static final List<Kind> KINDS = List.of(
            new Kind(0, List.of()),
            new Kind(5, List.of()),
            new Kind(6, List.of()),
            new Kind(4094, List.of()),
            new Kind(0, List.of(5, 6)),
            new Kind(5, List.of(6, 7)),
            new Kind(7, List.of(4094)));

    private final ManualTimers timers = new ManualTimers(new ManualClock(Instant.EPOCH));

    @Test
    void framesStayInTheirVlan() {
        int checked = 0;
        for (Kind from : KINDS) {
            for (Kind to : KINDS) {
                for (boolean inBytes : new boolean[] {false, true}) {
                    for (boolean crowded : new boolean[] {false, true}) {
                        checked += check(from, to, inBytes, crowded);
                    }
                }
            }
        }
        assertThat(checked).isEqualTo(KINDS.size() * KINDS.size() * 4 * TAGS.size() * 3);
    }

    private int check(Kind from, Kind to, boolean inBytes, boolean crowded) {
        try (VirtualSwitch network = new VirtualSwitch("vlans", timers, RandomSource.seeded(1))) {
            RawStation a = new RawStation(0x00155d000001L)
                    .plugInto(network.addPort(PortSettings.named("a").withVlan(from.vlan())));
            RawStation b = new RawStation(0x00155d000002L)
                    .plugInto(network.addPort(PortSettings.uplink("b").withVlan(to.vlan())));
            List<MacAddress> targets =
                    List.of(b.address(), MacAddress.BROADCAST, MacAddress.parse("02:00:00:00:00:77"));
            int checked = 0;
            List<RawStation.Frame> expected = new ArrayList<>();
            for (int tag : TAGS) {
                for (MacAddress target : targets) {
                    byte[] frame = Frames.ethernet(target, a.address(), 0x88b5, new byte[] {(byte) checked, 1, 2, 3});
                    if (inBytes && tag != NO_TAG) {
                        a.add(Frames.tagged(frame, tag), NO_TAG, 0, 0);
                    } else {
                        a.add(frame, tag, 0, 0);
                    }
                    int vid = from.enters(tag);
                    if (vid >= 0 && to.has(vid)) {
                        int priority = tag == NO_TAG ? 0 : tag & 0xf000;
                        int leaves = vid == to.untagged ? NO_TAG : priority | vid;
                        expected.add(new RawStation.Frame(frame, leaves, 0, 0));
                    }
                    if (!crowded) {
                        a.flush();
                    }
                    checked++;
                }
            }
            a.flush();
            assertThat(b.got)
                    .as("from %s to %s, tags %s, %s", from, to, inBytes ? "in bytes" : "beside", crowded)
                    .usingRecursiveFieldByFieldElementComparator()
                    .containsExactlyElementsOf(expected);
            return checked;
        }
    }
}
