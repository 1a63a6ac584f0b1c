package org.torte.base;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import java.util.function.Consumer;
import java.util.zip.CRC32C;

/**
 * Writes a saved machine as one stream (docs/state-format.md): the definition, then sections and RAM in any order, then
 * {@link #finish}. Equal state gives equal bytes. An error of the stream comes out as {@link UncheckedIOException}. For
 * one thread.
 */
public final class StateContainerWriter implements StateWriter {
    private static final byte[] ZEROES = new byte[GuestMemory.PAGE_SIZE];

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
        write(name, flags, version, bytes, bytes.length);
    }

    /** Writes all pages of RAM that are not zero. Nothing else may write to it meanwhile. */
    public void ram(GuestMemory memory) {
        byte[] chunk = new byte[8 + StateFormat.MAX_PAGES * GuestMemory.PAGE_SIZE];
        byte[] page = new byte[GuestMemory.PAGE_SIZE];
        for (GuestMemory.Bank bank : memory.banks()) {
            int filled = 0;
            for (long at = memory.nextData(bank.address(), bank.end()); at < bank.end(); ) {
                memory.read(at, page, 0, page.length);
                boolean zero = isZero(page);
                if (!zero) {
                    if (filled == 0) {
                        ByteBuffer.wrap(chunk).order(ByteOrder.LITTLE_ENDIAN).putLong(at);
                        filled = 8;
                    }
                    System.arraycopy(page, 0, chunk, filled, page.length);
                    filled += page.length;
                }
                long next = at + page.length;
                if (zero || next % (1 << 20) == 0) {
                    next = memory.nextData(next, bank.end());
                }
                if (filled > 0 && (zero || filled == chunk.length || next != at + page.length)) {
                    write(StateFormat.RAM, 0, 1, chunk, filled);
                    filled = 0;
                }
                at = next;
            }
            if (filled > 0) {
                write(StateFormat.RAM, 0, 1, chunk, filled);
            }
        }
    }

    /** Ends the container; without this end, readers take it for cut off. */
    public void finish() {
        StateOutput output = new StateOutput();
        output.putLong(sections);
        byte[] bytes = output.toByteArray();
        write(StateFormat.END, 0, 1, bytes, bytes.length);
    }

    private static boolean isZero(byte[] page) {
        return Arrays.equals(page, ZEROES);
    }

    private void write(String name, int flags, int version, byte[] body, int length) {
        byte[] text = name.getBytes(StandardCharsets.UTF_8);
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
        sum.update(body, 0, length);
        put(head.array(), head.capacity());
        put(body, length);
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
