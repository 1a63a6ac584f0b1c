package org.torte.machine.boot;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;

/**
 * The parts of an ELF file that a loader needs (System V ABI, chapters 4 and 5): its entry point, its loadable segments
 * by physical address and its notes. Everything is checked when it is read. Only the head of the file need be there, up to
 * its program headers; then it has no notes.
 */
final class ElfImage {
    private static final int MAGIC = 0x464c457f;
    private static final int CLASS_32 = 1, CLASS_64 = 2;
    private static final int MACHINE_386 = 3, MACHINE_X86_64 = 62;
    private static final int PT_LOAD = 1, PT_NOTE = 4;
    /** Real kernels have fewer than 20; the bound keeps a hostile file from costing time. */
    private static final int MAX_SEGMENTS = 1024;

    private static final int XEN_ELFNOTE_PHYS32_ENTRY = 18;
    private static final int XEN_NAME = 0x006e6558;

    /** A loadable segment: where its bytes are in the file, where they go, and how much memory it takes. */
    record Segment(long fileOffset, long fileSize, long virtualAddress, long physicalAddress, long memorySize) {}

    private final ImageFile file;
    /** Bytes of the whole file. */
    private final long size;

    private final boolean wide;
    private final long entry;
    private final List<Segment> segments = new ArrayList<>();
    private OptionalLong pvhEntry = OptionalLong.empty();

    private ElfImage(ImageFile file, long size) {
        this.file = file;
        this.size = size;
        int kind = file.getByte(4);
        int machine = file.getShort(18);
        if (file.getByte(5) != 1
                || !(kind == CLASS_64 && machine == MACHINE_X86_64
                        || kind == CLASS_32 && (machine == MACHINE_386 || machine == MACHINE_X86_64))) {
            throw new BootException("the kernel " + file.name() + " is an ELF file for another processor (machine "
                    + machine + "); give one for x86");
        }
        wide = kind == CLASS_64;
        entry = wide ? file.getLong(24) : file.getUnsignedInt(24);
        long table = wide ? file.getLong(32) : file.getUnsignedInt(28);
        int entrySize = file.getShort(wide ? 54 : 42);
        int count = file.getShort(wide ? 56 : 44);
        if (entrySize < (wide ? 56 : 32) || count > MAX_SEGMENTS) {
            throw file.malformed("its ELF program headers make no sense");
        }
        for (int i = 0; i < count; i++) {
            readProgramHeader(table + (long) i * entrySize);
        }
    }

    static boolean matches(ImageFile file) {
        return file.has(0, 52) && file.getInt(0) == MAGIC;
    }

    static ElfImage parse(ImageFile file) {
        return parse(file, file.size());
    }

    /**
     * Parses what begins with {@code head}.
     *
     * @param size bytes of the whole file
     */
    static ElfImage parse(ImageFile head, long size) {
        if (!matches(head)) {
            throw head.malformed("it has no ELF header");
        }
        return new ElfImage(head, size);
    }

    private void readProgramHeader(long at) {
        int type = file.getInt(at);
        if (type != PT_LOAD && type != PT_NOTE) {
            return;
        }
        long offset = wide ? file.getLong(at + 8) : file.getUnsignedInt(at + 4);
        long virtual = wide ? file.getLong(at + 16) : file.getUnsignedInt(at + 8);
        long physical = wide ? file.getLong(at + 24) : file.getUnsignedInt(at + 12);
        long fileSize = wide ? file.getLong(at + 32) : file.getUnsignedInt(at + 16);
        long memorySize = wide ? file.getLong(at + 40) : file.getUnsignedInt(at + 20);
        if (offset < 0 || fileSize < 0 || offset > size || fileSize > size - offset) {
            throw file.malformed("a segment of " + Long.toUnsignedString(fileSize) + " bytes at offset "
                    + Long.toUnsignedString(offset) + " lies outside the file");
        }
        if (type == PT_NOTE) {
            if (file.has(offset, fileSize)) {
                readNotes(offset, fileSize);
            }
        } else if (memorySize != 0) {
            if (memorySize < fileSize) {
                throw file.malformed("a segment is larger in the file than in memory");
            }
            segments.add(new Segment(offset, fileSize, virtual, physical, memorySize));
        }
    }

    private void readNotes(long offset, long size) {
        long at = offset;
        long end = offset + size;
        while (end - at >= 12) {
            long nameSize = file.getUnsignedInt(at);
            long dataSize = file.getUnsignedInt(at + 4);
            int type = file.getInt(at + 8);
            long data = at + 12 + (nameSize + 3 & -4L);
            long next = data + (dataSize + 3 & -4L);
            if (data + dataSize > end) {
                return;
            }
            if (type == XEN_ELFNOTE_PHYS32_ENTRY
                    && nameSize == 4
                    && file.getInt(at + 12) == XEN_NAME
                    && (dataSize == 4 || dataSize == 8)) {
                pvhEntry = OptionalLong.of(dataSize == 8 ? file.getLong(data) : file.getUnsignedInt(data));
            }
            at = next;
        }
    }

    /** Whether it is an ELF64 file. */
    boolean wide() {
        return wide;
    }

    /** The 32-bit entry point that its PVH note names, when it has one. */
    OptionalLong pvhEntry() {
        return pvhEntry;
    }

    /** The physical address of the entry point: kernels give either that or the virtual one. */
    long physicalEntry() {
        for (Segment segment : segments) {
            if (segment.virtualAddress != segment.physicalAddress
                    && Long.compareUnsigned(entry, segment.virtualAddress) >= 0
                    && Long.compareUnsigned(entry - segment.virtualAddress, segment.fileSize) < 0) {
                return entry - segment.virtualAddress + segment.physicalAddress;
            }
        }
        return entry;
    }

    /**
     * Puts all segments of a file that is there as a whole into memory.
     *
     * @param start the physical entry point, which must lie in one of them
     */
    void load(RamLayout layout, long start) {
        claim(layout, start);
        put(layout, 0, file.slice(0, size, "its end"));
    }

    /**
     * Takes the memory of all segments, and clears what the file has no bytes for.
     *
     * @param start the physical entry point, which must lie in one of them
     */
    void claim(RamLayout layout, long start) {
        if (segments.isEmpty()) {
            throw file.malformed("it has nothing to load");
        }
        boolean entered = false;
        for (Segment segment : segments) {
            layout.claim(segment.physicalAddress, segment.memorySize, "the kernel " + file.name());
            entered |= start >= segment.physicalAddress && start - segment.physicalAddress < segment.fileSize;
        }
        if (!entered) {
            throw file.malformed("its entry point 0x" + Long.toHexString(start) + " is in none of its segments");
        }
        for (Segment segment : segments) {
            layout.clear(segment.physicalAddress + segment.fileSize, segment.memorySize - segment.fileSize);
        }
    }

    /**
     * Puts a piece of the file into the segments to which it belongs.
     *
     * @param offset where in the file the piece begins
     */
    void put(RamLayout layout, long offset, MemorySegment piece) {
        for (Segment segment : segments) {
            long from = Math.max(offset, segment.fileOffset);
            long end = Math.min(offset + piece.byteSize(), segment.fileOffset + segment.fileSize);
            if (from < end) {
                layout.put(
                        segment.physicalAddress + (from - segment.fileOffset),
                        piece.asSlice(from - offset, end - from));
            }
        }
    }
}
