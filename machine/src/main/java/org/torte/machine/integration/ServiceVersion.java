package org.torte.machine.integration;

import java.nio.ByteBuffer;

/**
 * A version of the framing or of a service's messages.
 *
 * @param major 0 to 65535
 * @param minor 0 to 65535
 */
public record ServiceVersion(int major, int minor) implements Comparable<ServiceVersion> {
    /** Bytes in a message. */
    static final int LENGTH = 4;

    static ServiceVersion parse(ByteBuffer source) {
        return new ServiceVersion(source.getShort() & 0xffff, source.getShort() & 0xffff);
    }

    void put(ByteBuffer target) {
        target.putShort((short) major).putShort((short) minor);
    }

    @Override
    public int compareTo(ServiceVersion other) {
        return Integer.compare(major << 16 | minor, other.major << 16 | other.minor);
    }

    @Override
    public String toString() {
        return major + "." + minor;
    }
}
