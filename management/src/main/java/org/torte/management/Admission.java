package org.torte.management;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.torte.management.definition.DynamicMemory;
import org.torte.management.definition.Hardware;
import org.torte.management.definition.VmDefinition;
import org.torte.management.memory.HostMemory;
import org.torte.management.memory.HostMemory.Resident;
import org.torte.management.memory.MemoryUse;

/**
 * Lets a machine start only if the host can hold its memory, what the others may still claim put aside. Guests' memory is
 * taken from the host as they touch it, so without this a host would be full long after the start that was too much. Safe
 * for several threads.
 */
final class Admission {
    /** What a worker takes besides its guest's memory, in bytes. */
    static final long PROCESS = 128L << 20;

    private static final int NAMED = 3;
    private static final long MOST_RESERVE = 512L << 20;
    private static final int RESERVE_PART = 32;

    private final HostMemory host;
    private final Supplier<Collection<Vm>> machines;
    private final Map<UUID, Long> held = new HashMap<>();

    /**
     * What a machine that runs, or is about to, may have in all, and what of that it has not yet taken; in bytes.
     *
     * @param name of the machine
     */
    record Claim(String name, long size, long open) {}

    /**
     * The host's memory, in bytes.
     *
     * @param total what there is
     * @param available what programs can still have
     * @param reserve what of that is kept for the host
     * @param claims of the machines
     */
    record Room(long total, long available, long reserve, List<Claim> claims) {
        /** What of the memory that is available belongs to machines already. */
        long claimed() {
            return claims.stream().mapToLong(Claim::open).sum();
        }

        /** What other machines can have; less than 0 when the host has promised more than it has. */
        long free() {
            return available - reserve - claimed();
        }
    }

    /** Memory that is put aside until the machine has its process. */
    interface Held extends AutoCloseable {
        @Override
        void close();
    }

    /**
     * For the machines of a host.
     *
     * @param machines all of them, when it is asked
     */
    Admission(HostMemory host, Supplier<Collection<Vm>> machines) {
        this.host = host;
        this.machines = machines;
    }

    /** The host's memory now. */
    synchronized Room room() {
        long total = host.total();
        List<Claim> claims = new ArrayList<>();
        for (Vm vm : machines.get()) {
            Vm.View view = vm.view();
            VmDefinition its = view.definition();
            Long admitted = held.get(its.id());
            if (admitted != null) {
                claims.add(new Claim(its.name(), admitted, admitted));
            } else if (view.processId() != null) {
                Resident taken = host.of(view.processId());
                long guest = size(its.hardware(), view.memory());
                long open = Math.max(0, guest - taken.guest()) + Math.max(0, PROCESS - taken.own());
                claims.add(new Claim(its.name(), guest + PROCESS, open));
            }
        }
        return new Room(total, host.available(), Math.min(MOST_RESERVE, total / RESERVE_PART), claims);
    }

    /** What a guest may have: of dynamic memory what it has now, or what it starts with. */
    private static long size(Hardware hardware, @Nullable MemoryUse now) {
        DynamicMemory dynamic = hardware.dynamicMemory();
        if (dynamic == null) {
            return hardware.memory();
        }
        return now == null ? dynamic.startup() : Math.max(now.assigned(), now.wanted());
    }

    /**
     * Puts memory aside for a machine that is about to start.
     *
     * @throws Problem when there is not enough
     */
    synchronized Held admit(VmDefinition definition) {
        refuse(definition);
        held.put(definition.id(), size(definition.hardware(), null) + PROCESS);
        return () -> release(definition.id());
    }

    private synchronized void release(UUID id) {
        held.remove(id);
    }

    /**
     * Says why a machine cannot start.
     *
     * @throws Problem when there is not enough memory for it
     */
    void refuse(VmDefinition definition) {
        long guest = size(definition.hardware(), null);
        Room room = room();
        if (guest + PROCESS <= room.free()) {
            return;
        }
        List<Claim> largest = room.claims().stream()
                .sorted(Comparator.comparingLong(Claim::size).reversed())
                .toList();
        String names = largest.stream()
                        .limit(NAMED)
                        .map(claim -> claim.name() + " " + mebibytes(claim.size()))
                        .collect(Collectors.joining(", "))
                + (largest.size() > NAMED ? " and " + (largest.size() - NAMED) + " more" : "");
        String own = definition.hardware().dynamicMemory() == null ? "--memory" : "--memory-startup";
        throw new Problem(
                Problem.Kind.CONFLICT,
                definition.name() + " needs " + mebibytes(guest + PROCESS)
                        + " of memory (its process included), and the"
                        + " host has " + mebibytes(Math.max(0, room.free())) + " for it: " + mebibytes(room.available())
                        + " are available, of which " + mebibytes(room.reserve()) + " are the host's own"
                        + (largest.isEmpty()
                                ? ""
                                : " and " + mebibytes(room.claimed()) + " are still to be taken by machines that run ("
                                        + names + " in all)"),
                (largest.isEmpty() ? "end other programs" : "stop one of these") + ", give it less with torte vm set "
                        + definition.name() + " " + own + ", or start it all the same with --overcommit");
    }

    private static String mebibytes(long bytes) {
        return bytes >= 100L << 30
                ? String.format(Locale.ROOT, "%d GiB", bytes >> 30)
                : String.format(Locale.ROOT, "%d MiB", bytes >> 20);
    }
}
