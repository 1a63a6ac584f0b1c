package org.torte.disk.crash;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import org.torte.disk.crash.Recorder.Operation;

/**
 * Every way a power failure can leave a file, given what was done to it: what was forced is there; of the operations
 * since then (an epoch) any prefix, any subset, and any of them in part. A write beyond the end of the file is there
 * only as far as the size is. States of one epoch that are the same in every byte are seen once.
 */
public final class CrashStates {
    /** Sees one state. {@code before} counts the operations up to the force that would have ended the epoch. */
    @FunctionalInterface
    public interface Visitor {
        void visit(MemoryFile state, int before, String description) throws Exception;
    }

    private final int exhaustiveSubsets;
    private final int sampledSubsets;
    private final int tearsPerWrite;
    private final SplittableRandom random;
    private final Set<Long> seen = new HashSet<>();
    private long distinct;

    /**
     * Settles how many states there are.
     *
     * @param exhaustiveSubsets epochs with no more operations than this are tried with all subsets
     * @param sampledSubsets how many subsets are tried of each longer epoch
     * @param tearsPerWrite how many places each write is torn at; 0 for all multiples of 512
     */
    public CrashStates(int exhaustiveSubsets, int sampledSubsets, int tearsPerWrite, SplittableRandom random) {
        this.exhaustiveSubsets = exhaustiveSubsets;
        this.sampledSubsets = sampledSubsets;
        this.tearsPerWrite = tearsPerWrite;
        this.random = random;
    }

    /** How many different states have been seen by all visits. */
    public long distinct() {
        return distinct;
    }

    private void show(Visitor visitor, MemoryFile state, int before, String description) throws Exception {
        if (seen.add(state.digest())) {
            distinct++;
            visitor.visit(state, before, description);
        }
    }

    /** Visits the states of all epochs; returns how many there were. */
    public long visit(MemoryFile start, List<Operation> operations, Visitor visitor) throws Exception {
        return visit(start, operations, 0, visitor);
    }

    /** Visits the states of the epochs that end after the first {@code skip} operations. */
    public long visit(MemoryFile start, List<Operation> operations, int skip, Visitor visitor) throws Exception {
        long states = 0;
        MemoryFile durable = start.copy();
        int at = 0;
        while (at <= operations.size()) {
            int end = at;
            while (end < operations.size() && !(operations.get(end) instanceof Operation.Force)) {
                end++;
            }
            if (end >= skip) {
                states += epoch(durable, operations.subList(at, end), at, end, visitor);
            }
            for (Operation operation : operations.subList(at, end)) {
                operation.applyTo(durable);
            }
            at = end + 1;
        }
        return states;
    }

    private long epoch(MemoryFile durable, List<Operation> epoch, int first, int end, Visitor visitor)
            throws Exception {
        long states = 0;
        seen.clear();
        MemoryFile prefix = durable.copy();
        for (int i = 0; i <= epoch.size(); i++) {
            show(visitor, prefix.copy(), end, "operations up to " + (first + i));
            states++;
            if (i < epoch.size()) {
                states += torn(prefix, epoch, i, first, end, visitor);
                epoch.get(i).applyTo(prefix);
            }
        }
        int n = epoch.size();
        if (n < 2) {
            return states;
        }
        if (n <= exhaustiveSubsets) {
            for (long subset = 1; subset < (1L << n) - 1; subset++) {
                // Prefixes were there already.
                if ((subset & (subset + 1)) != 0) {
                    states += subset(durable, epoch, subset, first, end, visitor);
                }
            }
        } else {
            for (int i = 0; i < sampledSubsets; i++) {
                long one = random.nextLong();
                long other = random.nextLong();
                states += subset(durable, epoch, one | other, first, end, visitor);
                states += subset(durable, epoch, one & other, first, end, visitor);
            }
            // All but one, and one alone: what an operation needs from another shows there.
            for (int i = 0; i < Math.min(n, 63); i++) {
                states += subset(durable, epoch, ~(1L << i), first, end, visitor);
                states += subset(durable, epoch, 1L << i, first, end, visitor);
            }
        }
        return states;
    }

    private long subset(MemoryFile durable, List<Operation> epoch, long subset, int first, int end, Visitor visitor)
            throws Exception {
        MemoryFile state = durable.copy();
        for (int i = 0; i < epoch.size(); i++) {
            if ((subset >>> (i & 63) & 1) != 0) {
                applyInside(state, epoch.get(i), epoch);
            }
        }
        show(visitor, state, end, "subset " + Long.toHexString(subset) + " of operations from " + first);
        return 1;
    }

    /** A write behind the end that an earlier, lost change of size would have moved is lost as far as it lies there. */
    static void applyInside(MemoryFile state, Operation operation, List<Operation> epoch) throws IOException {
        boolean resized = epoch.stream().anyMatch(o -> o instanceof Operation.Resize);
        if (resized
                && operation instanceof Operation.Write write
                && write.position() + write.content().length > state.size()) {
            long inside = state.size() - write.position();
            if (inside > 0) {
                write.part(0, (int) inside).applyTo(state);
            }
        } else {
            operation.applyTo(state);
        }
    }

    private long torn(MemoryFile before, List<Operation> epoch, int index, int first, int end, Visitor visitor)
            throws Exception {
        if (!(epoch.get(index) instanceof Operation.Write write) || write.content().length <= 512) {
            return 0;
        }
        List<Integer> cuts = new ArrayList<>();
        int sectors = write.content().length / 512;
        if (tearsPerWrite == 0 && sectors <= 64) {
            for (int i = 1; i < sectors; i++) {
                cuts.add(i * 512);
            }
        } else {
            int tears = tearsPerWrite == 0 ? 32 : tearsPerWrite;
            for (int i = 0; i < tears; i++) {
                int unit = random.nextBoolean() && sectors > 8 ? 4096 : 512;
                cuts.add(Math.max(unit, random.nextInt(write.content().length / unit) * unit));
            }
        }
        long states = 0;
        for (int cut : cuts) {
            if (cut >= write.content().length) {
                continue;
            }
            MemoryFile head = before.copy();
            write.part(0, cut).applyTo(head);
            show(visitor, head, end, "operation " + (first + index) + " up to byte " + cut);
            MemoryFile tail = before.copy();
            write.part(cut, write.content().length).applyTo(tail);
            show(visitor, tail, end, "operation " + (first + index) + " from byte " + cut);
            states += 2;
        }
        return states;
    }
}
