package org.torte.base;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.Set;
import java.util.function.Consumer;
import java.util.zip.CRC32C;

/**
 * Writes a saved machine as one stream (docs/state-format.md): the definition, then sections and RAM in any order, then
 * {@link #finish}. Pages that are written twice count as they were written last. Equal state gives equal bytes. An error of the stream comes out as {@link UncheckedIOException}. For
 * one thread.
 */
public final class StateContainerWriter implements StateWriter, MemorySink {
    private static final byte[] NOTHING = {};

    private final OutputStream stream;
    private final Set<String> names = new HashSet<>();
    private long sections;

    /** Begins a container; the stream stays the caller's to flush and close. */
    public StateContainerWriter(OutputStream stream, String definition) {
        this.stream = stream;
        ByteBuffer head = ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN);
        head.put(StateFormat.MAGIC).putInt(StateFormat.VERSION).putInt(0);
        put(head.array(), head.capacity());
        section(StateFormat.DEFINITION, 1, body -> body.putString(definition));
    }

    @Override
    public void section(String name, int version, Consumer<StateOutput> body) {
        section(name, 0, version, body);
    }

    /** Writes a section that readers may leave unread, because the machine is whole without it. */
    public void optionalSection(String name, int version, Consumer<StateOutput> body) {
        section(name, StateFormat.OPTIONAL, version, body);
    }

    private void section(String name, int flags, int version, Consumer<StateOutput> body) {
        if (!names.add(name) || name.equals(StateFormat.RAM) || name.equals(StateFormat.END)) {
            throw new IllegalArgumentException("a second section " + name);
        }
        StateOutput output = new StateOutput();
        body.accept(output);
        byte[] bytes = output.toByteArray();
        write(name, flags, version, NOTHING, bytes, bytes.length);
    }

    /** Writes all pages of RAM that are not zero. Nothing else may write to it meanwhile. */
    public void ram(GuestMemory memory) {
        new MemoryReader(memory, this).all(_ -> {});
    }

    @Override
    public void pages(long address, byte[] bytes, int length) {
        write(StateFormat.RAM, 0, StateFormat.PAGES, place(address, Long.BYTES).array(), bytes, length);
    }

    @Override
    public void zeroes(long address, long length) {
        int pages = (int) (length / GuestMemory.PAGE_SIZE);
        byte[] body = place(address, StateFormat.ZEROES_LENGTH).putInt(pages).array();
        write(StateFormat.RAM, 0, StateFormat.ZEROES, NOTHING, body, body.length);
    }

    private static ByteBuffer place(long address, int length) {
        return ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN).putLong(address);
    }

    /** Ends the container; without this end, readers take it for cut off. */
    public void finish() {
        StateOutput output = new StateOutput();
        output.putLong(sections);
        byte[] bytes = output.toByteArray();
        write(StateFormat.END, 0, 1, NOTHING, bytes, bytes.length);
    }

    private void write(String name, int flags, int version, byte[] begin, byte[] rest, int restLength) {
        byte[] text = name.getBytes(StandardCharsets.UTF_8);
        long length = (long) begin.length + restLength;
        if (text.length > StateFormat.MAX_NAME || version < 1 || length > StateFormat.MAX_BODY) {
            throw new IllegalArgumentException(
                    "no section can be called " + name + " version " + version + " with " + length + " bytes");
        }
        ByteBuffer head = ByteBuffer.allocate(24 + text.length).order(ByteOrder.LITTLE_ENDIAN);
        head.putInt(StateFormat.SECTION)
                .putInt(flags)
                .putInt(version)
                .putInt(text.length)
                .putLong(length)
                .put(text);
        CRC32C sum = new CRC32C();
        sum.update(head.array());
        sum.update(begin);
        sum.update(rest, 0, restLength);
        put(head.array(), head.capacity());
        put(begin, begin.length);
        put(rest, restLength);
        ByteBuffer tail = ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN);
        put(tail.putInt((int) sum.getValue()).array(), 4);
        sections++;
    }

    private void put(byte[] bytes, int length) {
        try {
            stream.write(bytes, 0, length);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
