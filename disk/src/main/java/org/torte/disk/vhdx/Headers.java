package org.torte.disk.vhdx;

import java.io.EOFException;
import java.io.IOException;
import java.util.Optional;
import org.torte.disk.DiskFile;
import org.torte.disk.Durability;

/**
 * The two headers of an open file, and how they are updated (section 2.2.2.1): one copy is written and forced, then the
 * other is written with the same information, so that each protects from damage to the other. Nothing waits for the second
 * to be durable; any later force makes it so. At every moment one copy has the current information durably, and the next
 * update overwrites the other one first.
 *
 * <p>For one thread at a time, but for {@link #current()}.
 */
final class Headers {
    private final DiskFile file;
    private volatile Header current;
    /** Whether the next update begins with the first copy: the second has the current information durably. */
    private boolean firstIsNext;
    /** Whether it is unknown if the copy that stays meanwhile is durable. */
    private boolean inDoubt;

    private Headers(DiskFile file, Header current, boolean firstIsNext, boolean inDoubt) {
        this.file = file;
        this.current = current;
        this.firstIsNext = firstIsNext;
        this.inDoubt = inDoubt;
    }

    /**
     * Reads both headers.
     *
     * @throws BadImageException when there is no current one
     */
    static Headers read(DiskFile file) throws IOException {
        Optional<Header> first = at(file, Layout.HEADER_1);
        Optional<Header> second = at(file, Layout.HEADER_2);
        if (first.isEmpty() && second.isEmpty()) {
            throw new BadImageException("both of its headers are damaged");
        }
        if (first.isEmpty() || second.isEmpty()) {
            return new Headers(file, first.orElseGet(second::get), first.isEmpty(), true);
        }
        int order = Long.compareUnsigned(first.get().sequence(), second.get().sequence());
        boolean same = first.get().withSequence(0).equals(second.get().withSequence(0));
        if (order == 0 && !same) {
            throw new BadImageException("its two headers differ and neither is newer");
        }
        Header newer = order >= 0 ? first.get() : second.get();
        // Of two that say the same the newer is overwritten: the older was durable before that was written.
        return new Headers(file, newer, same == order >= 0, !same);
    }

    static Optional<Header> at(DiskFile file, long position) throws IOException {
        byte[] bytes = new byte[Layout.HEADER_SIZE];
        try {
            file.read(position, bytes);
        } catch (EOFException e) {
            return Optional.empty();
        }
        return Header.decode(bytes);
    }

    Header current() {
        return current;
    }

    /** Changes the information, durably; the second copy becomes durable with the next force. */
    void update(Header changed, Durability durability) throws IOException {
        if (inDoubt) {
            // Whoever wrote it may have been killed before its force.
            durability.modified();
            durability.force();
            inDoubt = false;
        }
        Header next = changed.withSequence(current.sequence() + 1);
        write(next, durability);
        durability.force();
        firstIsNext = !firstIsNext;
        current = next;
        Header copy = next.withSequence(next.sequence() + 1);
        write(copy, durability);
        current = copy;
    }

    private void write(Header header, Durability durability) throws IOException {
        file.write(firstIsNext ? Layout.HEADER_1 : Layout.HEADER_2, header.encode());
        durability.modified();
    }
}
