package org.torte.worker;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.machine.Machine;
import org.torte.machine.storage.ScsiController;

/** The open disks of a machine, on one SCSI controller in the order in which they were given. For one thread. */
final class Disks implements AutoCloseable {
    /** The section of saved state that lists them. */
    static final String SECTION = "worker.disks";

    static final int VERSION = 1;

    private static final UUID CONTROLLER = UUID.fromString("f0d1c1a4-9a3c-4f5e-8f0e-746f72746530");
    private static final UUID NIL = new UUID(0, 0);

    /** A source, and what identifies the disk to the guest. */
    private record Attached(DiskSource source, UUID identifier, VirtualDisk disk) {}

    private final List<Attached> all = new ArrayList<>();

    private Disks() {}

    /**
     * Opens disks.
     *
     * @throws InputException when one cannot be opened; none is open then
     */
    static Disks open(List<DiskSource> sources) {
        Disks disks = new Disks();
        try {
            for (DiskSource source : sources) {
                disks.open(source, NIL);
            }
            return disks;
        } catch (RuntimeException e) {
            disks.close();
            throw e;
        }
    }

    /** Opens the disks of a saved machine. */
    static Disks open(StateInput state) {
        Disks disks = new Disks();
        try {
            int count = state.getInt();
            state.check(count > 0 && count <= ScsiController.MAX_UNITS, "there are " + count + " disks");
            for (int i = 0; i < count; i++) {
                Path file = Path.of(state.getString());
                String format = state.getString();
                boolean readOnly = state.getBoolean();
                UUID identifier = new UUID(state.getLong(), state.getLong());
                DiskFormat known = List.of(DiskFormat.values()).stream()
                        .filter(value -> value.name().equals(format))
                        .findFirst()
                        .orElseThrow(() -> new InputException("the saved machine has a disk in the format " + format
                                + ", which needs a newer version of Torte"));
                disks.open(new DiskSource(file, known, readOnly), identifier);
            }
            return disks;
        } catch (RuntimeException e) {
            disks.close();
            throw e;
        }
    }

    private void open(DiskSource source, UUID known) {
        if (all.size() == ScsiController.MAX_UNITS) {
            throw new InputException(
                    "a machine has at most " + ScsiController.MAX_UNITS + " disks; leave some --disk out");
        }
        DiskOptions options =
                DiskOptions.readWrite().withAccess(source.readOnly() ? DiskAccess.READ_ONLY : DiskAccess.READ_WRITE);
        VirtualDisk disk;
        try {
            disk = VirtualDisks.open(source.file(), source.format(), options);
        } catch (DiskException e) {
            throw new InputException(String.valueOf(e.getMessage()));
        }
        UUID identifier = known.equals(NIL) ? disk.info().identifier() : known;
        if (identifier.equals(NIL)) {
            String path = source.file().toAbsolutePath().normalize().toString();
            identifier = UUID.nameUUIDFromBytes(path.getBytes(StandardCharsets.UTF_8));
        }
        all.add(new Attached(source, identifier, disk));
    }

    boolean isEmpty() {
        return all.isEmpty();
    }

    /** Gives them to a machine that has not started. */
    void attach(Machine machine) {
        if (all.isEmpty()) {
            return;
        }
        ScsiController controller = new ScsiController(
                machine.vmbus(), 0, CONTROLLER, machine.configuration().processors());
        for (int i = 0; i < all.size(); i++) {
            controller.add(i, all.get(i).disk, all.get(i).identifier);
        }
        machine.vmbus().attach(controller);
    }

    void save(StateOutput state) {
        state.putInt(all.size());
        for (Attached attached : all) {
            DiskSource source = attached.source;
            state.putString(source.file().toAbsolutePath().toString())
                    .putString(source.format().name())
                    .putBoolean(source.readOnly())
                    .putLong(attached.identifier.getMostSignificantBits())
                    .putLong(attached.identifier.getLeastSignificantBits());
        }
    }

    /**
     * Makes durable what the guest has written; the machine stands.
     *
     * @throws InputException when the host's storage fails
     */
    void flush() {
        try {
            for (Attached attached : all) {
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
    public void close() {
        for (Attached attached : all) {
            try {
                attached.disk.close();
            } catch (DiskException e) {
                System.getLogger(Disks.class.getName())
                        .log(System.Logger.Level.ERROR, "a disk was not closed properly", e);
            }
        }
        all.clear();
    }
}
