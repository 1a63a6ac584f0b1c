package org.torte.disk.crash;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import org.torte.disk.DiskFile;

/** Lets one of the modifications or forces of files fail, or all from one on. For one thread at a time. */
public final class FaultPlan {
    /** What fails. */
    public enum Fault {
        /** The host's disk is full, for one operation or until the end; forces work. */
        FULL_ONCE(true, false),
        FULL(true, true),
        /** The host's disk fails. */
        BROKEN_ONCE(false, false),
        BROKEN(false, true);

        private final boolean space;
        private final boolean lasting;

        Fault(boolean space, boolean lasting) {
            this.space = space;
            this.lasting = lasting;
        }

        /** Whether it is a full disk rather than a broken one. */
        public boolean isFull() {
            return space;
        }
    }

    private final Fault fault;
    private final int at;
    private int count;
    private boolean fired;
    private boolean forceFailed;

    /**
     * Settles what fails.
     *
     * @param at the operation, counted from 0 over all files
     */
    public FaultPlan(Fault fault, int at) {
        this.fault = fault;
        this.at = at;
    }

    /** Whether something failed. */
    public boolean fired() {
        return fired;
    }

    /** Whether a force failed. */
    public boolean forceFailed() {
        return forceFailed;
    }

    /** The same file with this plan. */
    public DiskFile around(MemoryFile file) {
        return new FaultyFile(file);
    }

    private boolean fails() {
        int now = count++;
        boolean fails = fault.lasting ? now >= at : now == at;
        fired |= fails;
        return fails;
    }

    private IOException failure(String what) {
        return fault.space
                ? new DiskFile.NoSpaceException(what + ": no space left on the device")
                : new IOException(what + ": input/output error");
    }

    private final class FaultyFile extends ForwardingFile {
        private final MemoryFile memory;
        private MemoryFile durable;

        FaultyFile(MemoryFile memory) {
            super(memory);
            this.memory = memory;
            this.durable = memory.copy();
        }

        @Override
        public void write(long position, MemorySegment source, long start, long length) throws IOException {
            if (fails()) {
                // Some of it may be there all the same.
                memory.write(position, source, start, length / 2 & -512);
                throw failure("writing");
            }
            memory.write(position, source, start, length);
        }

        @Override
        public void truncate(long size) throws IOException {
            if ((!fault.space || size > memory.size()) && fails()) {
                throw failure("setting the size");
            }
            memory.truncate(size);
        }

        @Override
        public boolean punchHole(long position, long length) throws IOException {
            if (!fault.space && fails()) {
                throw failure("punching");
            }
            return memory.punchHole(position, length);
        }

        @Override
        public boolean allocate(long position, long length) throws IOException {
            if (fails()) {
                throw failure("allocating");
            }
            return memory.allocate(position, length);
        }

        /** Linux forgets what it could not write: every other time it is gone after a failure. */
        @Override
        public void force() throws IOException {
            if (!fault.space && fails()) {
                forceFailed = true;
                if (at % 2 == 0) {
                    memory.become(durable);
                }
                throw failure("making writes durable");
            }
            durable = memory.copy();
        }
    }
}
