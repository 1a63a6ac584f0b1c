package org.torte.worker;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.torte.base.StateContainerReader;
import org.torte.base.StateException;
import org.torte.disk.DiskStorage;
import org.torte.machine.Machine;
import org.torte.machine.MachineConfiguration;

/** A machine in a file, to be read: what {@link MachineFile} has written. */
final class SavedMachine implements AutoCloseable {
    static final String BOOT = "worker.boot";
    /** Since version 2 the kernel may be on a disk. */
    static final int BOOT_VERSION = 2;

    private final Path file;
    private final InputStream stream;
    private final StateContainerReader reader;
    private final MachineConfiguration configuration;

    private SavedMachine(Path file, InputStream stream, StateContainerReader reader) {
        this.file = file;
        this.stream = stream;
        this.reader = reader;
        configuration = MachineConfiguration.parse(reader.definition());
    }

    /** Opens a saved machine and reads its definition. */
    static SavedMachine open(Path file) {
        InputStream stream = null;
        try {
            if (Files.isDirectory(file)) {
                throw new InputException("the saved machine " + file + " is a folder; give a file's path");
            }
            stream = new BufferedInputStream(Files.newInputStream(file), 1 << 20);
            SavedMachine saved = new SavedMachine(file, stream, new StateContainerReader(stream));
            stream = null;
            return saved;
        } catch (IOException e) {
            throw unreadable(file, e);
        } catch (StateException e) {
            throw new InputException(file + ": " + e.getMessage());
        } finally {
            if (stream != null) {
                try {
                    stream.close();
                } catch (IOException e) {
                    // Nothing was written, so nothing is lost; the first error is the one to tell.
                    stream = null;
                }
            }
        }
    }

    MachineConfiguration configuration() {
        return configuration;
    }

    /**
     * Reads all of the file, and what belongs into RAM there; gives the disks of the machine, open.
     *
     * @param places where those of the first units are now, unless there are none
     */
    Disks load(Machine machine, List<DiskSource> places) {
        try {
            reader.readRest(machine.memory());
            return reader.has(Disks.SECTION)
                    ? Disks.open(reader.section(Disks.SECTION, Disks.VERSION), places)
                    : Disks.open(List.of(), DiskStorage.host());
        } catch (IOException e) {
            throw unreadable(file, e);
        } catch (StateException e) {
            throw new InputException(file + ": " + e.getMessage());
        }
    }

    /**
     * The ports of the machine's network adapters, open; after {@link #load}.
     *
     * @param places what the first ones are plugged into now, unless there are none
     */
    Networks networks(List<NetworkSource> places) {
        try {
            return reader.has(Networks.SECTION)
                    ? Networks.open(reader.section(Networks.SECTION, Networks.VERSION), places)
                    : Networks.open(List.of(), UUID.randomUUID());
        } catch (StateException e) {
            throw new InputException(file + ": " + e.getMessage());
        }
    }

    /** Puts the rest into a machine with its disks and adapters; gives what it starts from after a reset. */
    @Nullable
    StartSource restore(Machine machine) {
        try {
            machine.restore(reader);
            StartSource source = reader.has(BOOT) ? StartSource.load(reader.section(BOOT, BOOT_VERSION)) : null;
            reader.requireAllRead();
            return source;
        } catch (StateException e) {
            throw new InputException(file + ": " + e.getMessage());
        }
    }

    @Override
    public void close() {
        try {
            stream.close();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static InputException unreadable(Path file, IOException e) {
        return new InputException(
                switch (e) {
                    case NoSuchFileException _ -> "there is no saved machine " + file + "; check the path";
                    case AccessDeniedException _ ->
                        "the saved machine " + file + " may not be read by this user; change its permissions";
                    default ->
                        "the saved machine " + file + " cannot be read (" + HostError.cause(e)
                                + "); check the file system";
                });
    }
}
