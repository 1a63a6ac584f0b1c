package org.torte.network.gateway;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * A question to a name server (RFC 1035, section 4.1).
 *
 * @param id the client's number
 * @param flags the header's second word
 * @param name in lower case, with dots between the labels, without the last one
 * @param type what is asked about it
 * @param questionEnd where the question ends, in bytes from the message's begin
 */
record DnsMessage(int id, int flags, String name, int type, int questionEnd) {
    static final int HEADER = 12;
    static final int A = 1, PTR = 12, AAAA = 28, ANY = 255, INTERNET = 1;
    static final int NO_ERROR = 0, FORMAT_ERROR = 1, SERVER_FAILURE = 2, NAME_ERROR = 3, REFUSED = 5;
    private static final int RESPONSE = 0x8000, OPCODE = 0x7800, AUTHORITATIVE = 0x0400;
    private static final int RECURSION_DESIRED = 0x0100, RECURSION_AVAILABLE = 0x0080;
    private static final int MAX_NAME = 255, MAX_LABEL = 63, POINTER_TO_QUESTION = 0xc000 | HEADER;

    /** Reads a plain query with one question of class Internet; nothing when it is something else. */
    static Optional<DnsMessage> parse(ByteBuffer bytes) {
        if (bytes.limit() < HEADER
                || (bytes.getShort(2) & (RESPONSE | OPCODE)) != 0
                || bytes.getShort(4) != 1
                || bytes.getShort(6) != 0) {
            return Optional.empty();
        }
        StringBuilder name = new StringBuilder();
        int at = HEADER;
        while (true) {
            if (at >= bytes.limit()) {
                return Optional.empty();
            }
            int length = bytes.get(at++) & 0xff;
            if (length == 0) {
                break;
            }
            // A question comes first, so it has nothing to point to.
            if (length > MAX_LABEL || length > bytes.limit() - at || name.length() + length + 1 > MAX_NAME) {
                return Optional.empty();
            }
            byte[] label = new byte[length];
            bytes.get(at, label);
            at += length;
            name.append(name.isEmpty() ? "" : ".").append(new String(label, StandardCharsets.ISO_8859_1));
        }
        if (bytes.limit() - at < 4 || bytes.getShort(at + 2) != INTERNET) {
            return Optional.empty();
        }
        return Optional.of(new DnsMessage(
                bytes.getShort(0) & 0xffff,
                bytes.getShort(2) & 0xffff,
                name.toString().toLowerCase(Locale.ROOT),
                bytes.getShort(at) & 0xffff,
                at + 4));
    }

    /**
     * An answer.
     *
     * @param query the whole message that this one was read from
     * @param authoritative whether it is about a name of ours
     * @param records what is said about the name: the data of records of type {@code recordType}
     */
    byte[] answer(ByteBuffer query, int code, boolean authoritative, int recordType, int ttl, List<byte[]> records) {
        int length = questionEnd
                + records.stream().mapToInt(data -> HEADER + data.length).sum();
        ByteBuffer answer = ByteBuffer.allocate(length);
        answer.put(0, query, 0, questionEnd);
        int kept = flags & RECURSION_DESIRED;
        answer.putShort(
                2, (short) (RESPONSE | kept | RECURSION_AVAILABLE | (authoritative ? AUTHORITATIVE : 0) | code));
        answer.putShort(6, (short) records.size()).putInt(8, 0);
        answer.position(questionEnd);
        for (byte[] data : records) {
            answer.putShort((short) POINTER_TO_QUESTION)
                    .putShort((short) recordType)
                    .putShort((short) INTERNET)
                    .putInt(ttl)
                    .putShort((short) data.length)
                    .put(data);
        }
        return answer.array();
    }

    byte[] failure(ByteBuffer query, int code) {
        return answer(query, code, false, 0, 0, List.of());
    }

    /** A name as it stands in a record. */
    static byte[] wireName(String name) {
        ByteBuffer bytes = ByteBuffer.allocate(name.length() + 2);
        for (String label : name.split("\\.", -1)) {
            bytes.put((byte) label.length()).put(label.getBytes(StandardCharsets.ISO_8859_1));
        }
        return bytes.put((byte) 0).array();
    }
}
