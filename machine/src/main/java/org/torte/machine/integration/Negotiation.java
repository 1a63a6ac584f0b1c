package org.torte.machine.integration;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The body of the first message: the host offers versions, the guest answers with one of each (Linux
 * include/linux/hyperv.h, {@code icmsg_negotiate}).
 *
 * <pre>
 *   0 versions of the framing   2 bytes
 *   2 versions of the messages  2
 *   4 reserved                  4
 *   8 the versions              4 each
 * </pre>
 *
 * @param framework the version of the framing that is agreed on
 * @param messages the version of the messages
 */
record Negotiation(ServiceVersion framework, ServiceVersion messages) {
    /** Those of Windows Server 2012 and 2008. */
    static final List<ServiceVersion> FRAMEWORKS = List.of(new ServiceVersion(3, 0), new ServiceVersion(1, 0));

    private static final int HEADER = 8;

    /** The body that offers versions of a service's messages. */
    static byte[] offer(List<ServiceVersion> messages) {
        int count = FRAMEWORKS.size() + messages.size();
        ByteBuffer out =
                ByteBuffer.allocate(HEADER + count * ServiceVersion.LENGTH).order(ByteOrder.LITTLE_ENDIAN);
        out.putShort((short) FRAMEWORKS.size())
                .putShort((short) messages.size())
                .putInt(0);
        FRAMEWORKS.forEach(version -> version.put(out));
        messages.forEach(version -> version.put(out));
        return out.array();
    }

    /** Reads the answer; null when it takes none of what was offered. */
    static @Nullable Negotiation parse(ByteBuffer answer, List<ServiceVersion> messages) {
        if (answer.remaining() < HEADER + 2 * ServiceVersion.LENGTH
                || answer.getShort() != 1
                || answer.getShort() != 1) {
            return null;
        }
        answer.getInt();
        Negotiation chosen = new Negotiation(ServiceVersion.parse(answer), ServiceVersion.parse(answer));
        return FRAMEWORKS.contains(chosen.framework) && messages.contains(chosen.messages) ? chosen : null;
    }
}
