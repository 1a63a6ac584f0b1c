package org.torte.hypervisor.contract;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.torte.base.GuestMemory;
import org.torte.base.MemorySink;
import org.torte.hypervisor.LiveCopy;

/** What a processor and a device write while memory is copied is in the copy, on every back-end. */
@Timeout(120)
class LiveCopyContractTest {
    private static final int CODE = 0x10_0000, FIRST = 4 << 20, PAGES = 2600, COPIES = 6;
    /** Where a device writes, and how many pages. */
    private static final int BUFFERS = 2 << 20, BUFFER_PAGES = 300;

    /** XOR EBP, EBP; pass: INC EBP; EDI = FIRST; ECX = PAGES; page: [EDI] = EBP; EDI += 4096; ECX--; to page or pass. */
    private static final int[] WRITER = {
        0x31,
        0xed,
        0x45,
        0xbf,
        0,
        0,
        FIRST >> 16,
        0,
        0xb9,
        PAGES & 0xff,
        PAGES >> 8,
        0,
        0,
        0x89,
        0x2f,
        0x81,
        0xc7,
        0,
        0x10,
        0,
        0,
        0x49,
        0x75,
        0xf5,
        0xeb,
        0xe8
    };

    private record Copy(GuestMemory to) implements MemorySink {
        @Override
        public void pages(long address, byte[] bytes, int length) {
            to.write(address, bytes, 0, length);
        }

        @Override
        public void zeroes(long address, long length) {
            to.release(address, length);
        }
    }

    @ParameterizedTest
    @EnumSource
    void whatIsWrittenMeanwhileIsInTheCopy(Backend backend) throws Exception {
        try (ContractGuest guest =
                new ContractGuest(backend, 1).load(ContractGuest.Task.SPIN).begin()) {
            for (int i = 0; i < WRITER.length; i++) {
                guest.memory.putByte(CODE + i, WRITER[i]);
            }
            guest.partition.memoryWritten(CODE, WRITER.length);
            for (int i = 0; i < COPIES; i++) {
                copy(guest);
            }
        }
    }

    private static void copy(ContractGuest guest) throws Exception {
        try (GuestMemory to = GuestMemory.allocate(guest.memory.size());
                LiveCopy copy = new LiveCopy(guest.memory, guest.partition, new Copy(to), _ -> {}, (_, _) -> {})) {
            int before = guest.memory.getInt(FIRST);
            CompletableFuture<?> run = guest.start();
            AtomicBoolean ends = new AtomicBoolean();
            Thread device = Thread.ofPlatform().start(() -> write(guest, ends));
            while (guest.memory.getIntVolatile(FIRST) == before) {
                Thread.onSpinWait();
            }
            copy.all();
            copy.rounds();
            ends.set(true);
            device.join();
            guest.stop();
            run.get();
            LiveCopy.Copied copied = copy.rest();
            assertThat(copied.rounds()).isPositive();
            assertThat(guest.memory.segment().mismatch(to.segment())).isEqualTo(-1);
        }
    }

    /** A device, which says what it has written once it has; some pages become zero again. */
    private static void write(ContractGuest guest, AtomicBoolean ends) {
        for (int i = 1; !ends.get(); i++) {
            long page = BUFFERS + ((long) (i % BUFFER_PAGES) << 12);
            if (i % 7 == 0) {
                guest.memory.release(page, GuestMemory.PAGE_SIZE);
            } else {
                guest.memory.putInt(page + 4L * (i & 1023), i);
            }
            guest.partition.memoryWritten(page, GuestMemory.PAGE_SIZE);
        }
    }
}
