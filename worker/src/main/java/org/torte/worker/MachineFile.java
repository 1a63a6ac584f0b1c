package org.torte.worker;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import org.jspecify.annotations.Nullable;
import org.torte.base.StateContainerWriter;
import org.torte.machine.Machine;

/**
 * A file into which a machine is saved: the container of docs/state-format.md with what the machine starts from after a
 * reset. It has its name when it is complete and on the disk ({@link #commit}), or never. For one thread.
 */
final class MachineFile implements AutoCloseable {
    private static final int BUFFER = 1 << 20;

    /** A part of the work. */
    @FunctionalInterface
    private interface Work {
        void run() throws IOException;
    }

    private final Path file;
    private final Path target;
    private final Path folder;
    private @Nullable Path part;
    private @Nullable FileChannel channel;
    private @Nullable OutputStream stream;
    private final StateContainerWriter writer;

    /**
     * Begins a file, which replaces one of the same name in the end.
     *
     * @throws InputException when it cannot be made
     */
    MachineFile(Path file, Machine machine) {
        this.file = file;
        target = file.toAbsolutePath();
        Path parent = target.getParent();
        if (parent == null || Files.isDirectory(target)) {
            throw new InputException(
                    "a machine cannot be saved to " + file + ", which is a folder; give a file's path");
        }
        folder = parent;
        try {
            part = Files.createTempFile(folder, ".torte-", ".part");
            channel = FileChannel.open(part, StandardOpenOption.WRITE);
            stream = new BufferedOutputStream(Channels.newOutputStream(channel), BUFFER);
            writer = new StateContainerWriter(stream, machine.configuration().toText());
        } catch (IOException | UncheckedIOException e) {
            close();
            throw failed(e);
        }
    }

    /**
     * Where memory goes. Its {@link UncheckedIOException}s come out of whatever is done through {@link #writing}.
     */
    StateContainerWriter memory() {
        return writer;
    }

    /** Does something that writes. */
    void writing(Runnable work) {
        attempt(work::run);
    }

    /** Makes durable what has been written so far, so that less is left for the end. */
    void force() {
        attempt(() -> {
            stream().flush();
            channel().force(true);
        });
    }

    /** Writes everything but memory, of a machine that stands. */
    void devices(Machine machine, Disks disks, Networks networks, @Nullable StartSource source) {
        attempt(() -> {
            if (source != null) {
                writer.section(SavedMachine.BOOT, SavedMachine.BOOT_VERSION, source::save);
            }
            if (!disks.isEmpty()) {
                writer.section(Disks.SECTION, Disks.VERSION, disks::save);
            }
            if (!networks.isEmpty()) {
                writer.section(Networks.SECTION, Networks.VERSION, networks::save);
            }
            machine.save(writer);
        });
    }

    /** Ends the container and hands it to the host's file system, where only a failure of the host itself can lose it. */
    void end() {
        attempt(() -> {
            writer.finish();
            stream().flush();
        });
    }

    /** Makes the file durable and gives it its name. */
    void commit() {
        attempt(() -> {
            channel().force(true);
            stream().close();
            Path made = part;
            if (made != null) {
                Files.move(made, target, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
                part = null;
            }
            try (FileChannel directory = FileChannel.open(folder, StandardOpenOption.READ)) {
                directory.force(true);
            }
        });
    }

    private OutputStream stream() throws IOException {
        if (stream == null) {
            throw new IOException("closed");
        }
        return stream;
    }

    private FileChannel channel() throws IOException {
        if (channel == null) {
            throw new IOException("closed");
        }
        return channel;
    }

    private void attempt(Work work) {
        try {
            work.run();
        } catch (IOException | UncheckedIOException e) {
            throw failed(e);
        }
    }

    private InputException failed(Exception e) {
        return new InputException("the machine cannot be saved to " + file + " (" + HostError.cause(e)
                + "); give a path where there is room and permission to write");
    }

    /** Without {@link #commit}, deletes what there is. */
    @Override
    public void close() {
        Path left = part;
        try {
            if (channel != null) {
                channel.close();
            }
            if (left != null) {
                Files.deleteIfExists(left);
            }
        } catch (IOException e) {
            // The error that led here is the one to tell; a left-over .part file harms nobody and is swept later.
            part = null;
        }
    }
}
