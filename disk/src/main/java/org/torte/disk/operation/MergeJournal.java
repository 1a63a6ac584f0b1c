package org.torte.disk.operation;

import java.io.EOFException;
import java.io.IOException;
import java.io.StringReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Properties;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskException;
import org.torte.disk.DiskFile;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskInfo;
import org.torte.disk.DiskOptions;
import org.torte.disk.Faults;
import org.torte.disk.VirtualDisk;

/**
 * How far a merge has come, in a file beside the disk that is merged. It has two slots, written in turn, each complete
 * in itself: "tortemrg", a number that grows, the length and CRC-32C of a text, and the text. A crash while one is
 * written leaves the other, and a step costs one force. Without a valid slot nothing was copied yet.
 */
final class MergeJournal implements AutoCloseable {
    /** The end of the journal's name. */
    static final String SUFFIX = ".merge";

    private static final long SLOT = 1 << 20;
    private static final int HEADER = 24;
    private static final long MAGIC = 0x746f7274656d7267L;
    private static final long LONGEST = SLOT - HEADER;

    /**
     * What a slot says.
     *
     * @param parent the disk that receives the content
     * @param parentContent its content identifier when this was written
     * @param child what the merged disk was when the merge began, so that one that was written to since is merged from
     *     its start
     * @param children the disks that are to be connected to the parent in the end, as far as they are known
     * @param copied everything of the disk before this offset is durable in the parent
     * @param complete whether all is in the parent, and only the connections and the deletion are left
     */
    record Entry(Path parent, String parentContent, String child, List<Path> children, long copied, boolean complete) {
        Entry {
            children = List.copyOf(children);
        }

        /** What is true of two open layers. */
        static Entry of(
                Path parent,
                VirtualDisk from,
                VirtualDisk to,
                List<Path> children,
                long copied,
                boolean complete,
                DiskOptions options) {
            return new Entry(parent, content(to), state(from, options), children, copied, complete);
        }

        /** Whether two open layers are what they were when this was written. */
        boolean describes(VirtualDisk from, VirtualDisk to, DiskOptions options) {
            return child.equals(state(from, options)) && parentContent.equals(content(to));
        }

        private static String content(VirtualDisk disk) {
            return disk.info().contentIdentifier().toString();
        }

        /** A VHD has no identifier of its content; whoever opens it here for writing deletes the journal. */
        private static String state(VirtualDisk disk, DiskOptions options) {
            DiskInfo info = disk.info();
            return info.format() != DiskFormat.VHD
                    ? content(disk)
                    : content(disk) + " " + info.fileSize() + " "
                            + options.storage().modified(Path.of(info.image()));
        }

        private String text() {
            StringBuilder text = new StringBuilder();
            text.append("parent=").append(escape(parent.toString()));
            text.append("\nparent.content=").append(escape(parentContent));
            text.append("\nchild=").append(escape(child));
            for (int i = 0; i < children.size(); i++) {
                text.append("\nchild.")
                        .append(i)
                        .append('=')
                        .append(escape(children.get(i).toString()));
            }
            return text + "\ncopied=" + copied + "\ncomplete=" + complete + "\n";
        }

        private static String escape(String value) {
            return value.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r");
        }

        private static Entry parse(String text) throws IOException {
            Properties properties = new Properties();
            properties.load(new StringReader(text));
            List<Path> children = new ArrayList<>();
            for (int i = 0; properties.containsKey("child." + i); i++) {
                children.add(Path.of(properties.getProperty("child." + i)));
            }
            return new Entry(
                    Path.of(properties.getProperty("parent", "")),
                    properties.getProperty("parent.content", ""),
                    properties.getProperty("child", ""),
                    children,
                    Long.parseLong(properties.getProperty("copied", "0")),
                    Boolean.parseBoolean(properties.getProperty("complete", "false")));
        }
    }

    private record Slot(long number, Entry entry) {}

    private final Path path;
    private final DiskOptions options;
    private final Faults faults;
    private @Nullable DiskFile file;
    private long number;

    private MergeJournal(Path path, DiskOptions options) {
        this.path = path;
        this.options = options;
        this.faults = new Faults(path.toString());
    }

    /** The journal of a disk's merge, which is opened when it is needed. For one thread after the other. */
    static MergeJournal of(Path disk, DiskOptions options) {
        return new MergeJournal(file(disk), options);
    }

    /** Whether a merge of this disk has begun before. */
    boolean exists() {
        return options.storage().exists(path);
    }

    /** Where the journal of a merge of {@code disk} is. */
    static Path file(Path disk) {
        return disk.resolveSibling(disk.getFileName() + SUFFIX);
    }

    /** What the journal of an interrupted merge says. */
    static Optional<Entry> read(Path disk, DiskOptions options) {
        Path path = file(disk);
        if (!options.storage().exists(path)) {
            return Optional.empty();
        }
        try (DiskFile file = options.storage().open(path, DiskAccess.READ_ONLY, options.folders())) {
            return newest(file).map(Slot::entry);
        } catch (IOException e) {
            throw new Faults(path.toString()).of(e);
        }
    }

    /**
     * Opens the journal for writing and makes it if it is not there.
     *
     * @throws DiskException IN_USE when another merge of this disk is under way
     */
    void open() {
        opened();
    }

    private DiskFile opened() {
        DiskFile now = file;
        if (now == null) {
            now = exists()
                    ? options.storage().open(path, DiskAccess.READ_WRITE, options.folders())
                    : options.storage().create(path, options.folders());
            file = now;
            try {
                number = newest(now).map(Slot::number).orElse(0L);
            } catch (IOException e) {
                throw faults.of(e);
            }
        }
        return now;
    }

    private static Optional<Slot> newest(DiskFile file) throws IOException {
        Optional<Slot> first = slot(file, 0);
        Optional<Slot> second = slot(file, SLOT);
        if (first.isPresent() && second.isPresent()) {
            return first.get().number() > second.get().number() ? first : second;
        }
        return first.or(() -> second);
    }

    private static Optional<Slot> slot(DiskFile file, long at) throws IOException {
        try {
            byte[] header = new byte[HEADER];
            file.read(at, header);
            ByteBuffer in = ByteBuffer.wrap(header);
            int length = in.getInt(16);
            if (in.getLong(0) != MAGIC || length < 0 || length > LONGEST) {
                return Optional.empty();
            }
            byte[] text = new byte[length];
            file.read(at + HEADER, text);
            if (in.getInt(20) != checksum(in.getLong(8), text)) {
                return Optional.empty();
            }
            return Optional.of(new Slot(in.getLong(8), Entry.parse(new String(text, StandardCharsets.UTF_8))));
        } catch (EOFException | IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    private static int checksum(long number, byte[] text) {
        CRC32C crc = new CRC32C();
        crc.update(ByteBuffer.allocate(8).putLong(0, number));
        crc.update(text);
        return (int) crc.getValue();
    }

    /** Writes what is true from now on; durable on return. */
    void write(Entry entry) {
        DiskFile journal = opened();
        byte[] text = entry.text().getBytes(StandardCharsets.UTF_8);
        if (text.length > LONGEST) {
            throw new DiskException(
                    DiskException.Kind.UNSUPPORTED,
                    path.toString(),
                    "the disk has too many children to be connected to its parent",
                    "merge or delete some of them first");
        }
        long next = number + 1;
        ByteBuffer slot = ByteBuffer.allocate(HEADER + text.length);
        slot.putLong(MAGIC).putLong(next).putInt(text.length).putInt(checksum(next, text));
        slot.put(text);
        try {
            journal.write(next % 2 * SLOT, slot.array());
            journal.force();
        } catch (IOException e) {
            throw faults.of(e);
        }
        number = next;
    }

    @Override
    public void close() {
        DiskFile journal = file;
        file = null;
        try {
            if (journal != null) {
                journal.close();
            }
        } catch (IOException e) {
            throw faults.of(e);
        }
    }

    /** Forgets a merge. */
    static void delete(Path disk, DiskOptions options) {
        options.storage().delete(file(disk));
    }
}
