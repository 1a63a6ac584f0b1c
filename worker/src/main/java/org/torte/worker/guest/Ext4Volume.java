package org.torte.worker.guest;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.stream.Stream;
import org.torte.worker.InputException;

/**
 * Makes ext4 file systems with e2fsprogs, without root and without mounting. Everything in them belongs to root, whoever
 * owned it on the host.
 */
final class Ext4Volume {
    /** Larger ones leave the clearing of their inode tables to the guest. */
    private static final long CLEARED_SIZE = 4L << 30;

    private Ext4Volume() {}

    /**
     * Makes a file with a file system that holds a folder's content.
     *
     * @param tree the folder; regular files, folders and symbolic links
     * @param size bytes, a multiple of 4096
     * @param file where to make it; it is sparse
     * @throws InputException when e2fsprogs are missing, or the content does not fit
     */
    static void make(Path tree, long size, UUID id, String label, Path file) throws IOException {
        boolean cleared = size <= CLEARED_SIZE;
        List<String> command = List.of(
                HostCommand.administrative("mkfs.ext4"),
                "-q",
                "-F",
                "-b",
                "4096",
                "-L",
                label,
                "-U",
                id.toString(),
                "-E",
                "root_owner=0:0,hash_seed=" + id + ",lazy_itable_init=" + (cleared ? 0 : 1) + ",lazy_journal_init="
                        + (cleared ? 0 : 1),
                "-d",
                tree.toString(),
                file.toString(),
                size / 1024 + "k");
        run(file, command);
        giveToRoot(tree, file);
    }

    /** Copying with {@code mkfs.ext4 -d} keeps the owners, and only root can have files of root's to copy. */
    private static void giveToRoot(Path tree, Path file) throws IOException {
        StringBuilder script = new StringBuilder();
        try (Stream<Path> files = Files.walk(tree)) {
            files.filter(path -> !path.equals(tree)).forEach(path -> {
                String name = "\"/" + tree.relativize(path) + "\"";
                script.append("set_inode_field ").append(name).append(" uid 0\n");
                script.append("set_inode_field ").append(name).append(" gid 0\n");
            });
        }
        Path commands = Files.createTempFile("torte", ".debugfs");
        try {
            Files.writeString(commands, script);
            run(file, List.of(HostCommand.administrative("debugfs"), "-w", "-f", commands.toString(), file.toString()));
        } finally {
            Files.delete(commands);
        }
    }

    private static void run(Path file, List<String> command) throws IOException {
        if (!command.getFirst().startsWith("/")) {
            throw new InputException("file systems are made with " + command.getFirst()
                    + ", which is not installed: sudo apt-get install e2fsprogs");
        }
        Path folder = file.toAbsolutePath().getParent();
        HostCommand.run(folder == null ? Path.of("/") : folder, new ArrayList<>(command), errors -> {
            String cause = errors.isEmpty() ? "no reason given" : errors.getLast();
            return new InputException("the file system cannot be made (" + cause + "); check the free space of "
                    + folder + ", or give a larger --size");
        });
    }
}
