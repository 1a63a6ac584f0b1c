package org.torte.machine.vmbus;

import java.util.concurrent.Executor;
import java.util.function.Consumer;
import org.torte.base.GuestMemory;

/**
 * What the bus and its devices run on.
 *
 * @param memory the guest's RAM
 * @param written tells the back-end of writes to it
 * @param executor runs what may block; its threads are not those of processors
 * @param failed is told of errors of Torte's own in a device, after which the machine ends
 */
public record BusHost(GuestMemory memory, MemoryWritten written, Executor executor, Consumer<Throwable> failed) {
    /** Hears of writes to guest memory. */
    @FunctionalInterface
    public interface MemoryWritten {
        /** {@code length} bytes at {@code address} have been written. */
        void at(long address, long length);
    }

    /** Tells the back-end that {@code length} bytes at {@code address} have been written. */
    public void memoryWritten(long address, long length) {
        written.at(address, length);
    }
}
