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

        @Override
        public String text() {
            return vlan == 0 ? "" : Integer.toString(vlan);
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
        public String text() {
            StringBuilder text = new StringBuilder("trunk ");
            for (int first = tagged.nextSetBit(0); first >= 0; ) {
                int end = tagged.nextClearBit(first);
                text.append(text.length() > 6 ? "," : "").append(first);
                if (end - first > 1) {
                    text.append('-').append(end - 1);
                }
                first = tagged.nextSetBit(end);
            }
            return untagged == 0 ? text.toString() : text + " untagged " + untagged;
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

    /**
     * Reads what {@link #text} writes: nothing for {@link #UNTAGGED}, {@code 10} for a port of one VLAN, {@code trunk
     * 10,20-29} for several, perhaps with {@code untagged 5} after it.
     *
     * @throws IllegalArgumentException when it is something else
     */
    static PortVlan parse(String text) {
        String[] words = text.strip().split("\\s+", -1);
        if (words.length == 1 && words[0].isEmpty()) {
            return UNTAGGED;
        }
        if (words.length == 1) {
            return new Access(number(words[0], text));
        }
        boolean withUntagged = words.length == 4 && words[2].equals("untagged");
        if (!words[0].equals("trunk") || (words.length != 2 && !withUntagged)) {
            throw wrong(text);
        }
        BitSet tagged = new BitSet();
        for (String part : words[1].split(",", -1)) {
            int hyphen = part.indexOf('-');
            int first = number(hyphen < 0 ? part : part.substring(0, hyphen), text);
            int last = hyphen < 0 ? first : number(part.substring(hyphen + 1), text);
            if (first < 1 || last < first || last > LARGEST) {
                throw wrong(text);
            }
            tagged.set(first, last + 1);
        }
        return trunk(withUntagged ? number(words[3], text) : 0, tagged);
    }

    private static int number(String word, String text) {
        if (!word.matches("\\d{1,4}")) {
            throw wrong(text);
        }
        return Integer.parseInt(word);
    }

    private static IllegalArgumentException wrong(String text) {
        return new IllegalArgumentException(
                "VLANs are a number from 1 to 4094, or \"trunk 10,20-29\", perhaps with \"untagged 5\" after it, not \""
                        + text + "\"");
    }

    /** In words that {@link #parse} reads. */
    String text();

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
