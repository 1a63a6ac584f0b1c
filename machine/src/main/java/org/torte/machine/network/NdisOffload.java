package org.torte.machine.network;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.jspecify.annotations.Nullable;

/**
 * What NDIS 6 calls an adapter's offloads: NDIS_OFFLOAD, which the adapter shows, and NDIS_OFFLOAD_PARAMETERS, by which
 * the guest chooses. Objects begin with {type 1, revision 1, size 2}.
 *
 * <pre>
 * NDIS_OFFLOAD                                   NDIS_OFFLOAD_PARAMETERS
 *   4 checksums: IPv4 sent {encapsulation 4,        4 IPv4 checksum          1
 *       what 4}, received, IPv6 likewise     32     5 TCP, UDP over IPv4     1, 1
 *  36 large send 1                           16     7 TCP, UDP over IPv6     1, 1
 *  52 IPsec 1                                28    11 large send 2, IPv4, 6  1, 1
 *  80 large send 2: IPv4 {encapsulation 4,         22 coalescing, IPv4, 6    1, 1
 *       most bytes 4, least segments 4},
 *       IPv6 likewise, options 4             28
 * 108 flags                                   4    (revision 1 ends here)
 * 112 IPsec 2                                32    (revision 2 ends here)
 * 144 coalescing: IPv4 1, IPv6 1, 2           4
 * 148 encapsulation                           8    (revision 3 ends here)
 * </pre>
 */
final class NdisOffload {
    /** The most bytes of a large send, headers of IP and TCP included, that fit a frame with room to spare. */
    static final int LARGE_SEND_BYTES = 62_768;

    static final int SIZE_1 = 112, SIZE_2 = 144, SIZE_3 = 156;
    static final int PARAMETERS_SIZE = 22, COALESCING_AT = 22;

    private static final int OBJECT_OFFLOAD = 0xa7;
    private static final int ETHERNET = 2;
    private static final int IPV4_OPTIONS = 1, TCP_OPTIONS = 4, TCP = 0x10, UDP = 0x40, IPV4 = 0x100;
    private static final int ON = 2;

    private NdisOffload() {}

    /**
     * What the adapter can do.
     *
     * @param revision 1 to 3
     */
    static byte[] capabilities(int revision) {
        int size = revision >= 3 ? SIZE_3 : revision == 2 ? SIZE_2 : SIZE_1;
        ByteBuffer out = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
        out.put((byte) OBJECT_OFFLOAD).put((byte) revision).putShort((short) size);
        int ipv4 = IPV4_OPTIONS | TCP_OPTIONS | TCP | UDP | IPV4;
        int ipv6 = IPV4_OPTIONS | TCP_OPTIONS | TCP | UDP; // the first bit stands for extension headers there
        out.putInt(ETHERNET).putInt(ipv4).putInt(ETHERNET).putInt(ipv4);
        out.putInt(ETHERNET).putInt(ipv6).putInt(ETHERNET).putInt(ipv6);
        out.position(80);
        out.putInt(ETHERNET).putInt(LARGE_SEND_BYTES).putInt(2);
        out.putInt(ETHERNET).putInt(LARGE_SEND_BYTES).putInt(2).putInt(IPV4_OPTIONS | TCP_OPTIONS);
        if (revision >= 3) {
            out.put(144, (byte) 1).put(145, (byte) 1);
        }
        return out.array();
    }

    /**
     * What the guest says about coalescing: whether it takes frames that are longer than the link allows; null when it
     * leaves it as it is.
     */
    static @Nullable Boolean coalescing(byte[] parameters) {
        if (parameters.length < COALESCING_AT + 2
                || parameters[COALESCING_AT] == 0
                || parameters[COALESCING_AT + 1] == 0) {
            return null;
        }
        return parameters[COALESCING_AT] == ON && parameters[COALESCING_AT + 1] == ON;
    }
}
