package org.torte.disk.vhdx;

import java.io.EOFException;
import java.io.IOException;
import java.util.Optional;
import org.torte.disk.DiskFile;
import org.torte.disk.Durability;

/** The two headers of an open file, and how they are updated (section 2.2.2.1). For one thread at a time. */
final class Headers {
    private final DiskFile file;
    private Header current;
    private boolean firstIsCurrent;

    private Headers(DiskFile file, Header current, boolean firstIsCurrent) {
        this.file = file;
        this.current = current;
        this.firstIsCurrent = firstIsCurrent;
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
            return new Headers(file, first.orElseGet(second::get), first.isPresent());
        }
        int order = Long.compareUnsigned(first.get().sequence(), second.get().sequence());
        if (order == 0 && !first.get().equals(second.get())) {
            throw new BadImageException("its two headers differ and neither is newer");
        }
        return order >= 0 ? new Headers(file, first.get(), true) : new Headers(file, second.get(), false);
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

    /** Writes the header that is not current with the next number and makes it durable, and thus current. */
    void updateOne(Header changed, Durability durability) throws IOException {
        Header next = changed.withSequence(current.sequence() + 1);
        file.write(firstIsCurrent ? Layout.HEADER_2 : Layout.HEADER_1, next.encode());
        durability.modified();
        durability.force();
        firstIsCurrent = !firstIsCurrent;
        current = next;
    }

    /** Updates one header and then the other, so that both say the same. */
    void updateBoth(Header changed, Durability durability) throws IOException {
        updateOne(changed, durability);
        updateOne(changed, durability);
    }
}
