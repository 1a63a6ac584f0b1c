package org.torte.disk.crash;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.torte.disk.DiskFile;

/** Passes everything on to a file and remembers each modification and each force in its order. */
public final class Recorder extends ForwardingFile {
    /** One modification, or a force. */
    public sealed interface Operation {
        /** Makes the modification, or the part of it that reached the disk. */
        void applyTo(MemoryFile file) throws IOException;

        /** Content at a position. */
        @SuppressWarnings("ArrayRecordComponent") // never compared
        record Write(long position, byte[] content) implements Operation {
            @Override
            public void applyTo(MemoryFile file) throws IOException {
                file.write(position, content);
            }

            /** Only the bytes from {@code from} to {@code to}. */
            public Write part(int from, int to) {
                return new Write(position + from, java.util.Arrays.copyOfRange(content, from, to));
            }
        }

        /** Another size. */
        record Resize(long size) implements Operation {
            @Override
            public void applyTo(MemoryFile file) throws IOException {
                file.truncate(size);
            }
        }

        /** A hole. */
        record Punch(long position, long length) implements Operation {
            @Override
            public void applyTo(MemoryFile file) throws IOException {
                file.punchHole(position, length);
            }
        }

        /** Everything before is durable. */
        record Force() implements Operation {
            @Override
            public void applyTo(MemoryFile file) {}
        }
    }

    private final List<Operation> operations = new ArrayList<>();
    private final Consumer<Operation> told;

    public Recorder(DiskFile file) {
        this(file, operation -> {});
    }

    /** Tells of each operation, too, as it happens. */
    public Recorder(DiskFile file, Consumer<Operation> told) {
        super(file);
        this.told = told;
    }

    private void add(Operation operation) {
        operations.add(operation);
        told.accept(operation);
    }

    /** What happened so far. */
    public synchronized List<Operation> operations() {
        return List.copyOf(operations);
    }

    public synchronized int count() {
        return operations.size();
    }

    @Override
    public synchronized void write(long position, MemorySegment memory, long at, long length) throws IOException {
        file.write(position, memory, at, length);
        byte[] content = memory.asSlice(at, length).toArray(ValueLayout.JAVA_BYTE);
        add(new Operation.Write(position, content));
    }

    @Override
    public synchronized void truncate(long size) throws IOException {
        if (size != file.size()) {
            add(new Operation.Resize(size));
        }
        file.truncate(size);
    }

    @Override
    public synchronized boolean punchHole(long position, long length) throws IOException {
        add(new Operation.Punch(position, length));
        return file.punchHole(position, length);
    }

    @Override
    public synchronized boolean allocate(long position, long length) throws IOException {
        if (position + length > file.size()) {
            add(new Operation.Resize(position + length));
        }
        return file.allocate(position, length);
    }

    @Override
    public synchronized void force() throws IOException {
        file.force();
        add(new Operation.Force());
    }
}
