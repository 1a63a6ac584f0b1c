package org.torte.disk.vhdx;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import java.util.UUID;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.torte.disk.DiskAccess;
import org.torte.disk.DiskException;
import org.torte.disk.DiskException.Kind;
import org.torte.disk.DiskOptions;

/**
 * Changes what an image says about itself: its parent, its identifier, its physical sector size. All of a change is one
 * entry of the log, so a crash leaves the old or the new. The content stays the same, and with it DataWriteGuid: children
 * keep their connection.
 */
public final class VhdxEdit {
    private final VhdxImage image;
    private final long region;
    private final TreeMap<Long, byte[]> pages = new TreeMap<>();

    private VhdxEdit(VhdxImage image) {
        this.image = image;
        this.region = image.regions().find(Layout.METADATA_REGION).orElseThrow().offset();
    }

    /** One change, made of any of the methods below. */
    interface Change {
        void apply(VhdxEdit edit) throws IOException;
    }

    /**
     * Changes an image that is open for writing. No request to it may be under way.
     *
     * @param sameContent whether DataWriteGuid stays; otherwise it is the one of this opener
     */
    static void apply(VhdxImage image, Change change, boolean sameContent) {
        try {
            VhdxEdit edit = new VhdxEdit(image);
            change.apply(edit);
            edit.commit(sameContent);
            image.reloadMetadata();
        } catch (IOException e) {
            throw image.faults.of(e);
        }
    }

    private static void with(Path path, DiskOptions options, Change change) {
        Path real = options.storage().resolve(path, options.folders());
        DiskOptions alone = options.withAccess(DiskAccess.READ_WRITE).withOpenParents(false);
        try (VhdxImage image = VhdxImage.open(alone.storage().open(real, alone.access(), alone.folders()), alone)) {
            apply(image, change, true);
        }
    }

    /**
     * Points a differencing image to a parent.
     *
     * @param identifier DataWriteGuid of the parent
     */
    public static void setParent(Path child, Path parent, UUID identifier, DiskOptions options) {
        Path real = options.storage().resolve(child, options.folders());
        Path target = options.storage().resolve(parent, options.folders());
        setLocator(child, VhdxChain.locate(real, target, identifier), options);
    }

    static void setLocator(Path child, ParentLocator locator, DiskOptions options) {
        with(child, options, edit -> edit.locator(locator));
    }

    /** The paths by which a child names its parent, in the order in which they are tried; none without a parent. */
    public static List<String> parentPaths(Path child, DiskOptions options) {
        return inspect(
                child,
                options,
                image -> image.metadata().locator().map(ParentLocator::paths).orElse(List.of()));
    }

    private static <T> T inspect(Path path, DiskOptions options, Function<VhdxImage, T> look) {
        Path real = options.storage().resolve(path, options.folders());
        DiskOptions alone = options.withAccess(DiskAccess.INSPECT).withOpenParents(false);
        try (VhdxImage image = VhdxImage.open(alone.storage().open(real, alone.access(), alone.folders()), alone)) {
            return look.apply(image);
        }
    }

    /** The identifiers that a child accepts of its parent, the usual one first; none without a parent. */
    public static List<UUID> expected(Path child, DiskOptions options) {
        return inspect(child, options, image -> {
            List<UUID> found = new ArrayList<>();
            image.metadata().locator().ifPresent(locator -> {
                locator.linkage(ParentLocator.LINKAGE).ifPresent(found::add);
                locator.linkage(ParentLocator.LINKAGE_2)
                        .filter(g -> !g.equals(Layout.NIL))
                        .ifPresent(found::add);
            });
            return found;
        });
    }

    /**
     * Changes what the guest sees of the disk.
     *
     * @param identifier the disk's identifier, or null to keep it
     * @param physicalSectorSize 512 or 4096, or 0 to keep it
     */
    public static void setIdentity(Path path, @Nullable UUID identifier, int physicalSectorSize, DiskOptions options) {
        with(path, options, edit -> {
            if (identifier != null) {
                byte[] guid = new byte[16];
                Layout.putGuid(Layout.buffer(guid), 0, identifier);
                edit.patch(edit.item(Layout.VIRTUAL_DISK_ID).offset(), guid);
            }
            if (physicalSectorSize != 0) {
                byte[] bytes = new byte[4];
                Layout.buffer(bytes).putInt(0, physicalSectorSize);
                edit.patch(edit.item(Layout.PHYSICAL_SECTOR_SIZE).offset(), bytes);
            }
        });
    }

    /** Points to a parent, both paths real. */
    void connect(Path child, Path parent, UUID identifier) throws IOException {
        locator(VhdxChain.locate(child, parent, identifier));
    }

    /**
     * Accepts a second DataWriteGuid of the parent, which the parent is about to get (section 2.6.2.6.3,
     * parent_linkage2).
     *
     * @param now the parent's DataWriteGuid
     * @param next what it will be
     */
    void expect(UUID now, UUID next) throws IOException {
        locator(current()
                .with(ParentLocator.LINKAGE, ParentLocator.format(now))
                .with(ParentLocator.LINKAGE_2, ParentLocator.format(next)));
    }

    private ParentLocator current() {
        Optional<ParentLocator> locator = image.metadata().locator();
        return locator.orElseThrow(() ->
                new DiskException(Kind.INVALID, image.file.name(), "it has no parent", "name a differencing disk"));
    }

    private Metadata.Item item(UUID id) {
        return image.metadata().find(id).orElseThrow();
    }

    /** Replaces the locator: where it is if there is room, otherwise behind all other items. */
    private void locator(ParentLocator changed) throws IOException {
        current();
        byte[] encoded = changed.encode();
        Metadata.Item item = item(Layout.PARENT_LOCATOR);
        long length = image.regions().find(Layout.METADATA_REGION).orElseThrow().length();
        long room = length;
        long end = Layout.METADATA_TABLE_SIZE;
        for (Metadata.Item other : image.metadata().items()) {
            if (other.offset() > item.offset()) {
                room = Math.min(room, other.offset());
            }
            end = Math.max(end, (long) other.offset() + other.length());
        }
        long at = item.offset();
        if (at + encoded.length > room) {
            at = Layout.roundUp(end, Layout.PAGE);
        }
        if (at + encoded.length > length) {
            throw new DiskException(
                    Kind.UNSUPPORTED, image.file.name(), "its metadata has no room for the path", "use a shorter path");
        }
        patch(at, encoded);
        byte[] table = new byte[Layout.METADATA_TABLE_SIZE];
        image.file.read(region, table);
        ByteBuffer in = Layout.buffer(table);
        for (int entry = 32; entry + 32 <= table.length; entry += 32) {
            if (Layout.guid(in, entry).equals(Layout.PARENT_LOCATOR)) {
                byte[] place = new byte[8];
                Layout.buffer(place).putInt(0, (int) at).putInt(4, encoded.length);
                patch(entry + 16L, place);
                return;
            }
        }
    }

    /** Puts bytes at an offset of the metadata region into the pages that will be written. */
    private void patch(long offset, byte[] bytes) throws IOException {
        for (int done = 0; done < bytes.length; ) {
            long position = region + offset + done;
            long page = position & -Layout.PAGE;
            byte[] content = pages.get(page);
            if (content == null) {
                content = new byte[Layout.PAGE];
                image.file.read(page, content);
                pages.put(page, content);
            }
            int inside = (int) (position - page);
            int count = Math.min(bytes.length - done, Layout.PAGE - inside);
            System.arraycopy(bytes, done, content, inside, count);
            done += count;
        }
    }

    private void commit(boolean sameContent) {
        if (sameContent) {
            image.writer.announceContentIdentifier(image.headers.current().dataWrite());
        }
        image.writer.start();
        byte[] all = new byte[pages.size() * Layout.PAGE];
        int index = 0;
        for (byte[] page : pages.values()) {
            System.arraycopy(page, 0, all, index++ * Layout.PAGE, Layout.PAGE);
        }
        image.writer.writeThrough(new ArrayList<>(pages.keySet()), all);
    }
}
