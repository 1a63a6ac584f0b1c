package org.torte.base;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * Reads what {@link StateContainerWriter} wrote, without trusting it: first {@link #definition}, then {@link #readRest}
 * with the RAM of a machine made after it, then the sections, then {@link #requireAllRead}. For one thread.
 */
public final class StateContainerReader implements StateReader {
    private static final class Section {
        final int version;
        final boolean optional;
        final byte[] body;

        Section(int version, boolean optional, byte[] body) {
            this.version = version;
            this.optional = optional;
            this.body = body;
        }
    }

    private final InputStream stream;
    private final Map<String, Section> sections = new HashMap<>();
    private final Set<String> read = new HashSet<>();
    private final String definition;
    private long count;
    private long kept;

    /**
     * Reads the head.
     *
     * @throws StateException when the stream is no saved machine
     * @throws IOException when the stream cannot be read
     */
    public StateContainerReader(InputStream stream) throws IOException {
        this.stream = stream;
        byte[] head = stream.readNBytes(16);
        if (head.length < 16 || !Arrays.equals(head, 0, 8, StateFormat.MAGIC, 0, 8)) {
            throw new StateException("this is not a saved machine; give a file that Torte has saved");
        }
        ByteBuffer fields = ByteBuffer.wrap(head).order(ByteOrder.LITTLE_ENDIAN);
        int version = fields.getInt(8);
        if (version != StateFormat.VERSION || fields.getInt(12) != 0) {
            throw new StateException("this saved machine has format " + version + ", and this version of Torte reads "
                    + StateFormat.VERSION + "; use the version that saved it");
        }
        if (!next(null).equals(StateFormat.DEFINITION)) {
            throw damaged("it does not begin with its definition");
        }
        definition = section(StateFormat.DEFINITION, 1).getString();
    }

    /** What the machine is, in the text form of its definition. */
    public String definition() {
        return definition;
    }

    /**
     * Reads all that follows and puts the RAM in place.
     *
     * @param memory RAM full of zeroes, of the size that the definition tells
     * @throws StateException when the container is damaged or cut off, or has RAM where {@code memory} has none
     * @throws IOException when the stream cannot be read
     */
    public void readRest(GuestMemory memory) throws IOException {
        while (true) {
            long before = count;
            String name = next(memory);
            if (name.equals(StateFormat.END)) {
                if (section(StateFormat.END, 1).getLong() != before) {
                    throw damaged("some of its sections are missing");
                }
                return;
            }
        }
    }

    @Override
    public StateInput section(String name, int newest) {
        Section section = sections.get(name);
        if (section == null) {
            throw new StateException("the saved machine has no section " + name
                    + "; it was saved by another version of Torte, use that one");
        }
        if (section.version > newest) {
            throw new StateException("section " + name + " of the saved machine has version " + section.version
                    + ", and this version of Torte reads up to " + newest + "; use the version that saved it");
        }
        read.add(name);
        return new StateInput(name, section.version, section.body);
    }

    @Override
    public boolean has(String name) {
        return sections.containsKey(name);
    }

    /**
     * Checks that nothing which matters was passed over.
     *
     * @throws StateException when there is a section that nobody has asked for and that is not optional
     */
    public void requireAllRead() {
        for (Map.Entry<String, Section> entry : sections.entrySet()) {
            if (!entry.getValue().optional && !read.contains(entry.getKey())) {
                throw new StateException("the saved machine has a section " + entry.getKey()
                        + " that this version of Torte does not know; use the version that saved it");
            }
        }
    }

    /** Reads one section, keeps it or puts it into RAM, and gives its name. */
    private String next(@Nullable GuestMemory memory) throws IOException {
        byte[] fixed = take(24);
        ByteBuffer head = ByteBuffer.wrap(fixed).order(ByteOrder.LITTLE_ENDIAN);
        int tag = head.getInt();
        int flags = head.getInt();
        int version = head.getInt();
        int nameLength = head.getInt();
        long length = head.getLong();
        if (tag != StateFormat.SECTION
                || nameLength < 1
                || nameLength > StateFormat.MAX_NAME
                || version < 1
                || length < 0
                || length > StateFormat.MAX_BODY) {
            throw damaged("what should be section " + count + " is none");
        }
        byte[] nameBytes = take(nameLength);
        byte[] body = take((int) length);
        CRC32C sum = new CRC32C();
        sum.update(fixed);
        sum.update(nameBytes);
        sum.update(body);
        int stored = ByteBuffer.wrap(take(4)).order(ByteOrder.LITTLE_ENDIAN).getInt();
        String name = new String(nameBytes, StandardCharsets.UTF_8);
        if (stored != (int) sum.getValue()) {
            throw damaged("the checksum of a section is wrong");
        }
        count++;
        if (name.equals(StateFormat.RAM)) {
            putRam(memory, version, body);
            return name;
        }
        kept += body.length;
        if (sections.size() >= StateFormat.MAX_SECTIONS || kept > StateFormat.MAX_KEPT) {
            throw damaged("its sections are larger than those of any machine");
        }
        if (sections.put(name, new Section(version, (flags & StateFormat.OPTIONAL) != 0, body)) != null) {
            throw damaged("it has two sections " + name);
        }
        return name;
    }

    private static void putRam(@Nullable GuestMemory memory, int version, byte[] body) {
        long length = body.length - 8;
        ByteBuffer fields = ByteBuffer.wrap(body).order(ByteOrder.LITTLE_ENDIAN);
        boolean fits = switch (version) {
            case StateFormat.PAGES -> length <= StateFormat.MAX_PAGES * GuestMemory.PAGE_SIZE;
            case StateFormat.ZEROES -> body.length == StateFormat.ZEROES_LENGTH;
            default -> false;
        };
        if (fits && version == StateFormat.ZEROES) {
            length = Integer.toUnsignedLong(fields.getInt(8)) * GuestMemory.PAGE_SIZE;
        }
        if (!fits || length <= 0 || length % GuestMemory.PAGE_SIZE != 0) {
            throw damaged("a part of its memory has an impossible size");
        }
        long address = fields.getLong(0);
        if (memory == null || address % GuestMemory.PAGE_SIZE != 0 || !memory.contains(address, length)) {
            throw damaged("a part of its memory lies outside the machine's");
        }
        if (version == StateFormat.ZEROES) {
            memory.release(address, length);
        } else {
            memory.write(address, body, 8, (int) length);
        }
    }

    private byte[] take(int length) throws IOException {
        byte[] bytes = stream.readNBytes(length);
        if (bytes.length < length) {
            throw new StateException("the saved machine is cut off; take another copy of it");
        }
        return bytes;
    }

    private static StateException damaged(String how) {
        return new StateException("the saved machine is damaged: " + how + "; take another copy of it");
    }
}
