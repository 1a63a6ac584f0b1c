package org.torte.disk.operation;

import java.io.IOException;
import java.io.StringReader;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import java.util.Properties;
import org.torte.disk.DiskException;

/**
 * How far a merge has come, in a file beside the child, replaced atomically.
 *
 * @param parent the path of the parent
 * @param child what the child was when the merge began: its length and time stamp, so that a child that was written to
 *     since is merged from its start
 * @param copied everything of the child before this offset is durable in the parent
 * @param complete whether all is in the parent and only the child is left to be deleted
 */
record MergeJournal(String parent, String child, long copied, boolean complete) {
    private static final String SUFFIX = ".merge";

    static Path file(Path child) {
        return child.resolveSibling(child.getFileName() + SUFFIX);
    }

    /** What tells whether a child was written to. */
    static String state(Path child) {
        try {
            return Files.size(child) + " " + Files.getLastModifiedTime(child).toInstant();
        } catch (IOException e) {
            throw failed(child, e);
        }
    }

    static Optional<MergeJournal> read(Path child) {
        Path file = file(child);
        if (!Files.exists(file)) {
            return Optional.empty();
        }
        try {
            Properties properties = new Properties();
            properties.load(new StringReader(Files.readString(file)));
            return Optional.of(new MergeJournal(
                    properties.getProperty("parent", ""),
                    properties.getProperty("child", ""),
                    Long.parseLong(properties.getProperty("copied", "0")),
                    Boolean.parseBoolean(properties.getProperty("complete", "false"))));
        } catch (IOException | IllegalArgumentException e) {
            throw new DiskException(
                    DiskException.Kind.DAMAGED,
                    file.toString(),
                    "the record of an interrupted merge cannot be read",
                    "delete it; the merge then begins again, which loses nothing",
                    e);
        }
    }

    void write(Path child) {
        Path file = file(child);
        Path next = file.resolveSibling(file.getFileName() + ".new");
        String text = "parent=" + escape(parent) + "\nchild=" + escape(this.child) + "\ncopied=" + copied
                + "\ncomplete=" + complete + "\n";
        try {
            try (FileChannel channel = FileChannel.open(
                    next, StandardOpenOption.CREATE, StandardOpenOption.WRITE, StandardOpenOption.TRUNCATE_EXISTING)) {
                channel.write(ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8)));
                channel.force(true);
            }
            Files.move(next, file, StandardCopyOption.ATOMIC_MOVE);
            forceFolder(file);
        } catch (IOException e) {
            throw failed(file, e);
        }
    }

    private static String escape(String value) {
        return value.replace("\\", "\\\\").replace("\n", "\\n");
    }

    static void delete(Path child) {
        try {
            Files.deleteIfExists(file(child));
            forceFolder(child);
        } catch (IOException e) {
            throw failed(child, e);
        }
    }

    /** Makes names durable. */
    static void forceFolder(Path file) throws IOException {
        Path folder = file.toAbsolutePath().getParent();
        if (folder != null) {
            try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
                channel.force(true);
            }
        }
    }

    private static DiskException failed(Path path, IOException e) {
        return new DiskException(
                DiskException.Kind.INPUT_OUTPUT,
                path.toString(),
                "the record of the merge cannot be kept (" + e.getMessage() + ")",
                "check the host's storage and merge again",
                e);
    }
}
