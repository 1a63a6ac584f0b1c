package org.torte.network;

import java.util.BitSet;

/**
 * Which VLANs a port belongs to, and which of their frames carry a tag there (IEEE 802.1Q-2018, chapter 8). VLAN 0 is the
 * network of the ports that know of no VLANs.
 */
public sealed interface PortVlan {
    /** The largest VLAN number; 4095 is reserved. */
    int LARGEST = 4094;

    /** Knows of no VLANs. */
    PortVlan UNTAGGED = new Access(0);

    /**
     * One VLAN, untagged. Frames with a tag are dropped, except with a mere priority (VLAN 0 in the tag).
     *
     * @param vlan 0 to 4094; 0 is the network without VLANs
     */
    record Access(int vlan) implements PortVlan {
        /** Checks the range. */
        public Access {
            check(vlan, 0);
        }

        @Override
        public int untagged() {
            return vlan;
        }

        @Override
        public boolean contains(int other) {
            return other == vlan;
        }
    }

    /** Several VLANs, with tags, and one without. */
    final class Trunk implements PortVlan {
        private final int untagged;
        private final BitSet tagged;

        private Trunk(int untagged, BitSet tagged) {
            this.untagged = untagged;
            this.tagged = tagged;
        }

        @Override
        public int untagged() {
            return untagged;
        }

        @Override
        public boolean contains(int vlan) {
            return vlan == untagged || tagged.get(vlan);
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Trunk that && untagged == that.untagged && tagged.equals(that.tagged);
        }

        @Override
        public int hashCode() {
            return untagged * 31 + tagged.hashCode();
        }

        @Override
        public String toString() {
            return "Trunk[untagged=" + untagged + ", tagged=" + tagged + "]";
        }
    }

    /**
     * A trunk.
     *
     * @param untagged the VLAN of frames without a tag, 0 to 4094
     * @param tagged the VLANs whose frames have one, each 1 to 4094
     */
    static PortVlan trunk(int untagged, BitSet tagged) {
        check(untagged, 0);
        if (!tagged.isEmpty()) {
            check(tagged.nextSetBit(0), 1);
            check(tagged.length() - 1, 1);
        }
        return new Trunk(untagged, (BitSet) tagged.clone());
    }

    /** The VLAN of frames without a tag. */
    int untagged();

    /** Whether the port belongs to a VLAN, with tags or without. */
    boolean contains(int vlan);

    private static void check(int vlan, int least) {
        if (vlan < least || vlan > LARGEST) {
            throw new IllegalArgumentException("VLAN " + vlan + " is not within " + least + " to " + LARGEST);
        }
    }
}
