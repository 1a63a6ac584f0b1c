package org.torte.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.lang.System.Logger.Level;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.torte.management.definition.DynamicMemory;
import org.torte.management.memory.BalloonPolicy;
import org.torte.management.memory.MemoryReport;
import org.torte.management.memory.MemoryUse;

/**
 * Moves the memory of the machines that have it dynamic: looks at each once a second, asks its {@link BalloonPolicy}, and
 * tells the worker. What it knows is of its machines' processes, so a new service begins with what workers say. One thread.
 */
final class MemoryControl {
    private static final System.Logger LOG = System.getLogger(MemoryControl.class.getName());

    private static final long EVERY_MILLIS = 1000;
    private static final long ANSWER_SECONDS = 2;
    /** For how long a guest may move memory before it is asked for another size. */
    private static final int MOVE_SECONDS = 60;

    private static final long LEAST_HEADROOM = 64L << 20;
    private static final int HEADROOM_PART = 16;

    private final Supplier<Collection<Vm>> machines;
    private final Admission admission;
    private final LongSupplier nanos;
    private final Map<UUID, Guest> guests = new HashMap<>();

    /** A guest of one process. */
    private static final class Guest {
        final long processId;
        final BalloonPolicy policy = new BalloonPolicy();
        CompletableFuture<?> moving = CompletableFuture.completedFuture(null);

        Guest(long processId) {
            this.processId = processId;
        }
    }

    /**
     * For the machines of a host.
     *
     * @param machines all of them, when it is asked
     * @param nanos a clock that never jumps
     */
    MemoryControl(Supplier<Collection<Vm>> machines, Admission admission, LongSupplier nanos) {
        this.machines = machines;
        this.admission = admission;
        this.nanos = nanos;
    }

    /** Goes on until its thread is interrupted. */
    void run() {
        try {
            while (true) {
                Thread.sleep(EVERY_MILLIS);
                look();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Looks at all of them once. */
    void look() throws InterruptedException {
        Map<Vm, CompletableFuture<JsonNode>> asked = new LinkedHashMap<>();
        for (Vm vm : machines.get()) {
            Vm.View view = vm.view();
            boolean its = view.definition().hardware().dynamicMemory() != null && view.processId() != null;
            if (!its) {
                guests.remove(view.definition().id());
            } else if (view.state() == VmState.RUNNING) {
                asked.put(vm, vm.ask("memory", Map.of()));
            }
        }
        if (asked.isEmpty()) {
            return;
        }
        Admission.Room room = admission.room();
        long headroom = Math.max(LEAST_HEADROOM, room.total() / HEADROOM_PART);
        long free = room.free();
        for (Map.Entry<Vm, CompletableFuture<JsonNode>> entry : asked.entrySet()) {
            Optional<MemoryReport> report = answer(entry.getValue());
            if (report.isPresent()) {
                free -= look(entry.getKey(), report.get(), new BalloonPolicy.Room(free, headroom));
            }
        }
    }

    private static Optional<MemoryReport> answer(CompletableFuture<JsonNode> asked) throws InterruptedException {
        try {
            return MemoryReport.of(asked.get(ANSWER_SECONDS, TimeUnit.SECONDS));
        } catch (ExecutionException | TimeoutException e) {
            // It has ended, or does not answer, which others see to.
            return Optional.empty();
        }
    }

    /** Returns how much of the room it takes, in bytes. */
    private long look(Vm vm, MemoryReport report, BalloonPolicy.Room room) {
        Vm.View view = vm.view();
        DynamicMemory limits = view.definition().hardware().dynamicMemory();
        Long process = view.processId();
        if (limits == null || process == null) {
            return 0;
        }
        vm.uses(process, MemoryUse.of(report));
        Guest known = guests.get(view.definition().id());
        if (known == null || known.processId != process) {
            known = new Guest(process);
            guests.put(view.definition().id(), known);
        }
        if (!known.moving.isDone()) {
            return 0;
        }
        OptionalLong next = known.policy.next(limits, report, room, nanos.getAsLong());
        if (next.isEmpty()) {
            return 0;
        }
        long size = next.getAsLong();
        LOG.log(
                Level.DEBUG,
                () -> view.definition().name() + ": memory " + (report.wanted() >> 20) + " -> " + (size >> 20)
                        + " MiB");
        known.moving = vm.ask("memory", Map.of("size", size, "timeout", MOVE_SECONDS));
        return Math.max(0, size - report.wanted());
    }
}
