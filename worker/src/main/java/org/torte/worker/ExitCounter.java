package org.torte.worker;

import org.torte.hypervisor.CpuidTable;
import org.torte.hypervisor.ExitHandler;
import org.torte.hypervisor.Hypervisor;
import org.torte.hypervisor.Partition;
import org.torte.hypervisor.PartitionConfiguration;
import org.torte.hypervisor.TranslatorMode;

/**
 * Counts the exits of a partition on their way to the machine. Every processor counts in a row of its own, which only
 * its thread writes; sums are read by others and may miss the latest few.
 */
final class ExitCounter {
    static final int PORT_READ = 0, PORT_WRITE = 1, MEMORY_READ = 2, MEMORY_WRITE = 3, MSR_READ = 4, MSR_WRITE = 5;
    /** A row is two cache lines, so that processors do not disturb each other. */
    private static final int ROW = 16;

    private long[] counts = new long[0];

    /** The same back-end, counted, with this translator. Its partition's handler gets what it would have got. */
    Hypervisor count(Hypervisor hypervisor, TranslatorMode translator) {
        return new Hypervisor() {
            @Override
            public String name() {
                return hypervisor.name();
            }

            @Override
            public long tscFrequency() {
                return hypervisor.tscFrequency();
            }

            @Override
            public CpuidTable restrict(CpuidTable wanted) {
                return hypervisor.restrict(wanted);
            }

            @Override
            public Partition createPartition(PartitionConfiguration configuration) {
                counts = new long[configuration.processors() * ROW];
                return hypervisor.createPartition(configuration
                        .withHandler(new Counting(configuration.handler(), counts))
                        .withTranslator(translator));
            }
        };
    }

    /** How many exits of a kind all processors have made. */
    long sum(int kind) {
        long sum = 0;
        for (int i = kind; i < counts.length; i += ROW) {
            sum += counts[i];
        }
        return sum;
    }

    private static final class Counting implements ExitHandler {
        private final ExitHandler handler;
        private final long[] counts;

        Counting(ExitHandler handler, long[] counts) {
            this.handler = handler;
            this.counts = counts;
        }

        @Override
        public int readPort(int processor, int port, int size) {
            counts[processor * ROW + PORT_READ]++;
            return handler.readPort(processor, port, size);
        }

        @Override
        public void writePort(int processor, int port, int size, int value) {
            counts[processor * ROW + PORT_WRITE]++;
            handler.writePort(processor, port, size, value);
        }

        @Override
        public long readMemory(int processor, long address, int size) {
            counts[processor * ROW + MEMORY_READ]++;
            return handler.readMemory(processor, address, size);
        }

        @Override
        public void writeMemory(int processor, long address, int size, long value) {
            counts[processor * ROW + MEMORY_WRITE]++;
            handler.writeMemory(processor, address, size, value);
        }

        @Override
        public boolean readMsr(int processor, int index, MsrValue result) {
            counts[processor * ROW + MSR_READ]++;
            return handler.readMsr(processor, index, result);
        }

        @Override
        public boolean writeMsr(int processor, int index, long value) {
            counts[processor * ROW + MSR_WRITE]++;
            return handler.writeMsr(processor, index, value);
        }
    }
}
