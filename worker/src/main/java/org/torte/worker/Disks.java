package org.torte.worker;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.TreeMap;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.disk.AllowedFolders;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.DiskStorage;
import org.torte.disk.LayeredDisk;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.disk.operation.LiveDisk;
import org.torte.disk.operation.Progress;
import org.torte.machine.Machine;
import org.torte.machine.storage.ScsiController;

/** The open disks of a machine, units of one SCSI controller, which is there when they are. Safe for several threads. */
final class Disks implements AutoCloseable {
    /** The section of saved state that lists them. */
    static final String SECTION = "worker.disks";

    static final int VERSION = 1;

    private static final UUID CONTROLLER = UUID.fromString("f0d1c1a4-9a3c-4f5e-8f0e-746f72746530");
    private static final UUID NIL = new UUID(0, 0);

    /** A source, and what identifies the disk to the guest. */
    private record Attached(DiskSource source, UUID identifier, VirtualDisk disk) {
        /** Where the disk is: after a merge into its parent, the parent's file. */
        Path file() {
            return disk instanceof LiveDisk live
                    ? live.layers().getFirst()
                    : source.file().toAbsolutePath();
        }

        /** The source, where it is now. */
        DiskSource current() {
            return new DiskSource(file(), source.format(), source.readOnly());
        }

        DiskState state() {
            List<Path> layers = switch (disk) {
                case LiveDisk live -> live.layers();
                case LayeredDisk layered -> layered.layers();
                default -> List.of(file());
            };
            return new DiskState(current(), disk.size(), List.copyOf(layers));
        }
    }

    private final Map<Integer, Attached> units = new TreeMap<>();
    private @Nullable ScsiController controller;
    /** The saved machine had a controller, though perhaps no disk any more. */
    private boolean controllerSaved;

    private final DiskStorage storage;

    private Disks(DiskStorage storage) {
        this.storage = storage;
    }

    /**
     * Opens disks.
     *
     * @param storage where their files are
     * @throws InputException when one cannot be opened; none is open then
     */
    static Disks open(List<DiskSource> sources, DiskStorage storage) {
        Disks disks = new Disks(storage);
        try {
            for (DiskSource source : sources) {
                disks.open(disks.freeUnit(), source, NIL);
            }
            return disks;
        } catch (RuntimeException e) {
            disks.close();
            throw e;
        }
    }

    /**
     * Opens the disks of a saved machine.
     *
     * @param places where those of the first units are now, unless there are none; the others are where they were
     */
    static Disks open(StateInput state, List<DiskSource> places) {
        Disks disks = new Disks(DiskStorage.host());
        try {
            disks.controllerSaved = true;
            int count = state.getInt();
            state.check(count >= 0 && count <= ScsiController.MAX_UNITS, "there are " + count + " disks");
            for (int i = 0; i < count; i++) {
                int unit = state.getInt();
                state.check(
                        unit >= 0 && unit < ScsiController.MAX_UNITS && !disks.units.containsKey(unit),
                        "there is a disk " + unit);
                Path file = Path.of(state.getString());
                String format = state.getString();
                boolean readOnly = state.getBoolean();
                UUID identifier = new UUID(state.getLong(), state.getLong());
                DiskFormat known = List.of(DiskFormat.values()).stream()
                        .filter(value -> value.name().equals(format))
                        .findFirst()
                        .orElseThrow(() -> new InputException("the saved machine has a disk in the format " + format
                                + ", which needs a newer version of Torte"));
                DiskSource source = new DiskSource(file, known, readOnly);
                disks.open(unit, unit < places.size() ? placed(unit, source, places.get(unit)) : source, identifier);
            }
            return disks;
        } catch (RuntimeException e) {
            disks.close();
            throw e;
        }
    }

    private static DiskSource placed(int unit, DiskSource saved, DiskSource place) {
        if (place.format() != saved.format() || place.readOnly() != saved.readOnly()) {
            throw new InputException("the machine was saved with another disk " + unit + ", " + saved.file() + ", than "
                    + place.file() + "; give that one, or throw the saved state away");
        }
        return place;
    }

    private int freeUnit() {
        for (int unit = 0; unit < ScsiController.MAX_UNITS; unit++) {
            if (!units.containsKey(unit)) {
                return unit;
            }
        }
        throw new InputException("a machine has at most " + ScsiController.MAX_UNITS + " disks; leave some out");
    }

    private Attached open(int unit, DiskSource source, UUID known) {
        DiskOptions options = DiskOptions.readWrite()
                .withAccess(source.readOnly() ? DiskAccess.READ_ONLY : DiskAccess.READ_WRITE)
                .withStorage(storage);
        VirtualDisk disk;
        try {
            disk = source.readOnly()
                    ? VirtualDisks.open(source.file(), source.format(), options)
                    : LiveDisk.open(source.file(), source.format(), options);
        } catch (DiskException e) {
            throw new InputException(String.valueOf(e.getMessage()));
        }
        UUID identifier = known.equals(NIL) ? disk.info().identifier() : known;
        if (identifier.equals(NIL)) {
            String path = source.file().toAbsolutePath().normalize().toString();
            identifier = UUID.nameUUIDFromBytes(path.getBytes(StandardCharsets.UTF_8));
        }
        Attached attached = new Attached(source, identifier, disk);
        units.put(unit, attached);
        return attached;
    }

    /** The disks by the names of their files, in the order of their units. */
    synchronized SequencedMap<String, VirtualDisk> open() {
        SequencedMap<String, VirtualDisk> disks = new LinkedHashMap<>();
        units.values().forEach(attached -> disks.put(attached.source.file().toString(), attached.disk));
        return disks;
    }

    /** What there is, by unit, in the files where they are now. */
    synchronized Map<Integer, DiskSource> sources() {
        Map<Integer, DiskSource> sources = new TreeMap<>();
        units.forEach((unit, attached) -> sources.put(unit, attached.current()));
        return sources;
    }

    /** The same with their sizes and what they are made of. */
    synchronized Map<Integer, DiskState> states() {
        Map<Integer, DiskState> states = new TreeMap<>();
        units.forEach((unit, attached) -> states.put(unit, attached.state()));
        return states;
    }

    /** Whether the machine has no controller for disks, and so none of them. */
    synchronized boolean isEmpty() {
        return controller == null && units.isEmpty();
    }

    /** Gives them to a machine that has not started. */
    synchronized void attach(Machine machine) {
        if (controllerSaved || !units.isEmpty()) {
            ScsiController made = makeController(machine);
            units.forEach((unit, attached) -> made.add(unit, attached.disk, attached.identifier));
            machine.vmbus().attach(made);
        }
    }

    private ScsiController makeController(Machine machine) {
        controller = new ScsiController(
                machine.vmbus(), 0, CONTROLLER, machine.configuration().processors());
        return controller;
    }

    /**
     * Adds a disk to a machine in any state; gives its unit.
     *
     * @throws InputException when it cannot be opened
     */
    synchronized int add(Machine machine, DiskSource source) {
        int unit = freeUnit();
        Attached attached = open(unit, source, NIL);
        ScsiController present = controller;
        if (present == null) {
            ScsiController made = makeController(machine);
            made.add(unit, attached.disk, attached.identifier);
            machine.vmbus().attach(made);
        } else {
            present.add(unit, attached.disk, attached.identifier);
        }
        return unit;
    }

    /** Takes a disk away from the machine and closes it. */
    synchronized void remove(int unit) {
        Attached removed = units.remove(unit);
        if (removed == null) {
            throw new InputException("the machine has no disk " + unit);
        }
        if (controller != null) {
            controller.remove(unit);
        }
        close(removed);
    }

    /**
     * A disk that the guest may write.
     *
     * @throws InputException when there is none
     */
    synchronized LiveDisk live(int unit) {
        Attached found = units.get(unit);
        if (found == null) {
            throw new InputException("the machine has no disk " + unit);
        }
        if (found.disk instanceof LiveDisk live) {
            return live;
        }
        throw new InputException("the disk " + found.source.file() + " may only be read; add it without ro");
    }

    /**
     * Keeps disks as they are: what is written from now on goes to new differencing disks. All of them or none.
     *
     * @param children the new files, by unit
     * @throws InputException when that cannot be done; every disk goes on as before
     */
    synchronized void checkpoint(Map<Integer, Path> children) {
        List<Map.Entry<LiveDisk, Path>> done = new ArrayList<>();
        try {
            for (Map.Entry<Integer, Path> child : new TreeMap<>(children).entrySet()) {
                LiveDisk disk = live(child.getKey());
                disk.checkpoint(child.getValue());
                done.add(Map.entry(disk, child.getValue()));
            }
        } catch (DiskException | InputException e) {
            for (Map.Entry<LiveDisk, Path> child : done.reversed()) {
                undo(child.getKey(), child.getValue(), e);
            }
            throw new InputException(String.valueOf(e.getMessage()));
        }
    }

    /**
     * Makes ahead what {@link #checkpoint} needs, while the guest uses its disks.
     *
     * @throws InputException when that cannot be done; nothing is left then
     */
    synchronized void prepare(Map<Integer, Path> children) {
        try {
            children.forEach((unit, child) -> live(unit).prepare(child));
        } catch (DiskException | InputException e) {
            abandon(children);
            throw new InputException(String.valueOf(e.getMessage()));
        }
    }

    /** Deletes what was made ahead and is not in use now. */
    synchronized void abandon(Map<Integer, Path> children) {
        children.forEach((unit, child) -> {
            Attached found = units.get(unit);
            try {
                if (found != null && found.disk instanceof LiveDisk disk) {
                    disk.abandon(child);
                }
            } catch (DiskException e) {
                System.getLogger(Disks.class.getName())
                        .log(System.Logger.Level.WARNING, "a file was not deleted: " + e.getMessage());
            }
        });
    }

    /** Merges a child that has nothing yet; what cannot be undone is a longer chain, which reads the same. */
    private static void undo(LiveDisk disk, Path child, RuntimeException reason) {
        try {
            disk.merge(child, Progress.NONE);
        } catch (DiskException e) {
            reason.addSuppressed(e);
        }
    }

    /**
     * The disk that has an image in its chain, which is not the last of it.
     *
     * @throws InputException when no disk has
     */
    synchronized LiveDisk withLayer(Path image) {
        Path file;
        try {
            file = storage.resolve(image, AllowedFolders.everywhere());
        } catch (DiskException e) {
            throw new InputException(String.valueOf(e.getMessage()));
        }
        for (Attached attached : units.values()) {
            if (attached.disk instanceof LiveDisk live && live.layers().contains(file)) {
                return live;
            }
        }
        throw new InputException("no disk of the machine is made of " + image + "; look at its disks");
    }

    /**
     * Grows a disk and tells the guest.
     *
     * @throws InputException when it cannot have this size
     */
    void grow(int unit, long bytes) {
        LiveDisk disk = live(unit);
        if (bytes < disk.size()) {
            throw new InputException(
                    "the disk " + unit + " has " + disk.size() + " bytes, and a disk in use only grows");
        }
        try {
            disk.resize(bytes);
        } catch (DiskException e) {
            throw new InputException(String.valueOf(e.getMessage()));
        }
        ScsiController present = presentController();
        if (present != null) {
            present.capacityChanged(unit);
        }
    }

    private synchronized @Nullable ScsiController presentController() {
        return controller;
    }

    synchronized void save(StateOutput state) {
        state.putInt(units.size());
        units.forEach((unit, attached) -> {
            DiskSource source = attached.source;
            state.putInt(unit);
            state.putString(attached.file().toString())
                    .putString(source.format().name())
                    .putBoolean(source.readOnly())
                    .putLong(attached.identifier.getMostSignificantBits())
                    .putLong(attached.identifier.getLeastSignificantBits());
        });
    }

    /**
     * Makes durable what the guest has written; the machine stands.
     *
     * @throws InputException when the host's storage fails
     */
    synchronized void flush() {
        try {
            for (Attached attached : units.values()) {
                if (!attached.source.readOnly()) {
                    attached.disk.flush();
                }
            }
        } catch (DiskException e) {
            throw new InputException(String.valueOf(e.getMessage()));
        }
    }

    /** Closes them; the machine has ended. */
    @Override
    public synchronized void close() {
        units.values().forEach(Disks::close);
        units.clear();
    }

    private static void close(Attached attached) {
        try {
            attached.disk.close();
        } catch (DiskException e) {
            System.getLogger(Disks.class.getName()).log(System.Logger.Level.ERROR, "a disk was not closed properly", e);
        }
    }
}
