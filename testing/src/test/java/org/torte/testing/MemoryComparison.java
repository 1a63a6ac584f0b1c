package org.torte.testing;

import java.util.ArrayList;
import java.util.List;
import org.torte.base.GuestMemory;
import org.torte.base.MemorySink;
import org.torte.hypervisor.LiveCopy;
import org.torte.worker.VirtualMachine;

/** Copies the memory of a machine while it runs, and looks whether the copy is what the machine has in the end. */
final class MemoryComparison implements MemorySink {
    private static final int MOST_NAMED = 20;
    private final GuestMemory copy;

    private MemoryComparison(GuestMemory copy) {
        this.copy = copy;
    }

    /**
     * How it went.
     *
     * @param copied what was copied
     * @param different addresses of pages that somebody has written and told nobody, some of them
     */
    record Result(LiveCopy.Copied copied, List<String> different) {}

    /** Copies and compares. */
    static Result of(VirtualMachine machine) {
        try (GuestMemory copy = GuestMemory.allocate(machine.statistics().memoryBytes())) {
            List<String> different = new ArrayList<>();
            LiveCopy.Copied copied =
                    machine.copyMemory(new MemoryComparison(copy), memory -> compare(memory, copy, different));
            return new Result(copied, different);
        }
    }

    private static void compare(GuestMemory memory, GuestMemory copy, List<String> different) {
        for (GuestMemory.Bank bank : memory.banks()) {
            for (long at = next(memory, copy, bank.address(), bank.end());
                    at < bank.end() && different.size() < MOST_NAMED;
                    at = next(memory, copy, at + GuestMemory.PAGE_SIZE, bank.end())) {
                if (memory.segment()
                                .asSlice(at, GuestMemory.PAGE_SIZE)
                                .mismatch(copy.segment().asSlice(at, GuestMemory.PAGE_SIZE))
                        >= 0) {
                    different.add(Long.toHexString(at));
                }
            }
        }
    }

    private static long next(GuestMemory memory, GuestMemory copy, long from, long end) {
        return Math.min(memory.nextData(from, end), copy.nextData(from, end));
    }

    @Override
    public void pages(long address, byte[] bytes, int length) {
        copy.write(address, bytes, 0, length);
    }

    @Override
    public void zeroes(long address, long length) {
        copy.release(address, length);
    }
}
