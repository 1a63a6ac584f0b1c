package org.torte.machine.boot;

import static org.torte.hypervisor.CpuState.RSI;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;
import org.torte.base.GuestMemory;
import org.torte.hypervisor.CpuState;
import org.torte.machine.BootTarget;
import org.torte.machine.MemoryRange;

/**
 * A Linux bzImage (Linux Documentation/arch/x86/boot.rst; offsets below are those of its "Details of Header Fields"):
 *
 * <pre>
 * 0                   | real-mode code, with the setup header from 0x1f1 on
 * (setup_sects+1)*512 | protected-mode code: 32-bit entry at 0, 64-bit entry at 0x200
 *   + payload_offset  | the packed vmlinux, and its unpacked size in the last 4 bytes
 * </pre>
 *
 * <p>A packing that the host knows is unpacked here, and the vmlinux is entered directly; otherwise the kernel unpacks
 * itself, from its 64-bit entry or, if it is a 32-bit kernel, from its 32-bit one. In every case it finds a zero page
 * with its own setup header, the memory map, the initial RAM disk, the command line and the ACPI root pointer. There is no
 * display, which an all-zero screen_info says.
 */
final class LinuxImage {
    private static final int BOOT_FLAG = 0x1fe, SETUP_SECTS = 0x1f1, HEADER_MAGIC = 0x202, VERSION = 0x206;
    private static final int KERNEL_VERSION = 0x20e, LOADFLAGS = 0x211, INITRD_ADDR_MAX = 0x22c;
    private static final int KERNEL_ALIGNMENT = 0x230, RELOCATABLE = 0x234, XLOADFLAGS = 0x236;
    private static final int CMDLINE_SIZE = 0x238, PAYLOAD_OFFSET = 0x248, PAYLOAD_LENGTH = 0x24c;
    private static final int PREF_ADDRESS = 0x258, INIT_SIZE = 0x260;

    /** "HdrS". */
    private static final int MAGIC = 0x53726448;
    /** Version 2.10 of the protocol, of Linux 2.6.31, tells how much memory a kernel needs where. */
    private static final int OLDEST_VERSION = 0x020a;

    private static final int LOADED_HIGH = 1;
    private static final int XLF_KERNEL_64 = 1;
    private static final int ENTRY_64 = 0x200;

    /** No kernel is larger than the part of its address space that is set aside for it. */
    private static final long MAX_UNPACKED = 1L << 30;
    /** Bytes that are unpacked at a time; the first must hold the program headers. */
    private static final int UNPACK_STEP = 1 << 18;

    private final ImageFile file;
    private final long codeOffset;

    private LinuxImage(ImageFile file) {
        this.file = file;
        int version = file.getShort(VERSION);
        if (version < OLDEST_VERSION || (file.getByte(LOADFLAGS) & LOADED_HIGH) == 0) {
            throw new BootException("the kernel " + file.name() + " follows version " + (version >> 8) + "."
                    + (version & 0xff) + " of the Linux boot protocol; give a kernel of Linux 2.6.31 or later");
        }
        // The last field that this loader reads.
        file.getInt(INIT_SIZE);
        int sectors = file.getByte(SETUP_SECTS);
        codeOffset = ((sectors == 0 ? 4 : sectors) + 1) * 512L;
        if (codeOffset >= file.size()) {
            throw file.malformed("its protected-mode part is missing");
        }
    }

    static boolean matches(ImageFile file) {
        return file.has(0, HEADER_MAGIC + 4)
                && file.getShort(BOOT_FLAG) == 0xaa55
                && file.getInt(HEADER_MAGIC) == MAGIC;
    }

    static LinuxImage parse(ImageFile file) {
        return new LinuxImage(file);
    }

    LoadedKernel load(BootPlan source, BootTarget target) {
        RamLayout layout = new RamLayout(target);
        Entry entry = place(layout);
        long zeroPage = zeroPage(layout, source, target, entry.codeAddress);
        CpuState state = entry.wide
                ? StartState.longMode(layout, entry.address)
                : StartState.protectedMode(layout, entry.address);
        state.gpr[RSI] = zeroPage;
        return new LoadedKernel("Linux " + versionText() + " (bzImage, " + entry.how + ")", state);
    }

    /** Where the kernel starts, in which mode, and where its protected-mode code is (0 when that is not loaded). */
    private record Entry(long address, boolean wide, long codeAddress, String how) {}

    private Entry place(RamLayout layout) {
        boolean wide = (file.getShort(XLOADFLAGS) & XLF_KERNEL_64) != 0;
        long offset = codeOffset + file.getUnsignedInt(PAYLOAD_OFFSET);
        long length = file.getUnsignedInt(PAYLOAD_LENGTH);
        Packing packing = null;
        if (length != 0) {
            MemorySegment payload = file.slice(offset, length, "its packed kernel");
            packing = Packing.of(payload);
            if (wide && packing != null && packing.unpackedHere()) {
                OptionalLong entry = unpack(packing, payload, layout);
                if (entry.isPresent()) {
                    return new Entry(entry.getAsLong(), true, 0, packing.label() + ", entered directly");
                }
            }
        }
        return placePacked(layout, wide, packing);
    }

    /** Unpacks an ELF kernel straight to its place and gives its entry point; nothing when it is no ELF file. */
    private OptionalLong unpack(Packing packing, MemorySegment payload, RamLayout layout) {
        long size = unpackedSize(packing, payload, layout);
        // What gzip itself ends with is that size; the others but the unpacked have it appended.
        boolean appended = packing != Packing.GZIP && packing != Packing.NONE;
        MemorySegment packed = appended ? payload.asSlice(0, payload.byteSize() - 4) : payload;
        byte[] buffer = new byte[UNPACK_STEP];
        MemorySegment bytes = MemorySegment.ofArray(buffer);
        try (InputStream stream = packing.open(packed)) {
            int length = stream.readNBytes(buffer, 0, buffer.length);
            ImageFile head = new ImageFile(file.name(), bytes.asSlice(0, length));
            if (!ElfImage.matches(head)) {
                return OptionalLong.empty();
            }
            ElfImage elf = ElfImage.parse(head, size);
            long entry = elf.physicalEntry();
            elf.claim(layout, entry);
            long at = 0;
            while (length > 0) {
                if (length > size - at) {
                    throw new IOException("it unpacks to more than it says");
                }
                elf.put(layout, at, bytes.asSlice(0, length));
                at += length;
                length = stream.readNBytes(buffer, 0, buffer.length);
            }
            if (at != size) {
                throw new IOException("it unpacks to " + at + " bytes instead of " + size);
            }
            return OptionalLong.of(entry);
        } catch (IOException e) {
            throw file.malformed("its " + packing.label() + " data cannot be unpacked (" + e.getMessage() + ")");
        }
    }

    private long unpackedSize(Packing packing, MemorySegment payload, RamLayout layout) {
        long size = payload.byteSize();
        if (packing == Packing.NONE) {
            return size;
        }
        if (size < 8) {
            throw file.malformed("its packed kernel has only " + size + " bytes");
        }
        long unpacked = new ImageFile(file.name(), payload).getUnsignedInt(size - 4);
        if (unpacked > MAX_UNPACKED || unpacked > layout.memory().size()) {
            throw new BootException("the kernel " + file.name() + " unpacks to " + unpacked + " bytes, more than the "
                    + Math.min(MAX_UNPACKED, layout.memory().size())
                    + " it may have; give the machine more with --memory, or another kernel");
        }
        if (unpacked < 64) {
            throw file.malformed("its unpacked size is given as " + unpacked + " bytes");
        }
        return unpacked;
    }

    /** Loads the protected-mode code as it is, with the room it needs to unpack itself. */
    private Entry placePacked(RamLayout layout, boolean wide, @Nullable Packing packing) {
        long size = file.size() - codeOffset;
        long room = Math.max(file.getUnsignedInt(INIT_SIZE), size);
        long alignment = file.getUnsignedInt(KERNEL_ALIGNMENT);
        long address = file.getLong(PREF_ADDRESS);
        boolean relocatable = file.getByte(RELOCATABLE) != 0;
        if (relocatable && (alignment == 0 || Long.bitCount(alignment) != 1)) {
            throw file.malformed("its alignment is no power of two");
        }
        String purpose = "the kernel " + file.name();
        if (relocatable && address < layout.usableEnd(GuestMemory.HIGH_BASE) && address >= 0) {
            address = layout.claimLow(room, alignment, address, purpose);
        } else {
            layout.claim(address, room, purpose);
        }
        layout.put(address, file.slice(codeOffset, size, "its protected-mode part"));
        layout.clear(address + size, room - size);
        String how = (packing == null ? "packed in an unknown way" : packing.label()) + ", unpacks itself";
        return new Entry(wide ? address + ENTRY_64 : address, wide, address, how);
    }

    private long zeroPage(RamLayout layout, BootPlan source, BootTarget target, long codeAddress) {
        GuestMemory memory = layout.memory();
        long page = layout.claimLow(GuestMemory.PAGE_SIZE, GuestMemory.PAGE_SIZE, 0x1000, "the zero page");
        layout.clear(page, GuestMemory.PAGE_SIZE);
        // The setup header ends where the jump at its start says (boot.rst, "Details of Header Fields").
        long headerEnd = Math.min(0x202L + file.getByte(0x201), 0x290);
        layout.put(page + SETUP_SECTS, file.slice(SETUP_SECTS, headerEnd - SETUP_SECTS, "its setup header"));
        memory.putByte(page + 0x210, 0xff);
        if (codeAddress != 0) {
            memory.putInt(page + 0x214, (int) codeAddress);
        }
        memory.putLong(page + 0x250, 0);
        memory.putLong(page + 0x070, target.rsdp());

        byte[] text = source.commandLine().getBytes(StandardCharsets.UTF_8);
        long most = file.getUnsignedInt(CMDLINE_SIZE);
        if (text.length > most) {
            throw new BootException("the command line has " + text.length + " bytes, and the kernel " + file.name()
                    + " takes at most " + most + "; shorten --append");
        }
        long commandLine = layout.putString(source.commandLine(), 0x1000, "the command line");
        memory.putInt(page + 0x228, (int) commandLine);
        memory.putInt(page + 0x0c8, (int) (commandLine >>> 32));

        KernelLoader.requireOneModule(source);
        if (!source.modules().isEmpty()) {
            long limit = Math.min(file.getUnsignedInt(INITRD_ADDR_MAX) + 1, GuestMemory.HIGH_BASE);
            RamLayout.Range disk = layout.putFile(source.modules().getFirst().file(), KernelLoader.INITRD, limit);
            memory.putInt(page + 0x218, (int) disk.address());
            memory.putInt(page + 0x0c0, (int) (disk.address() >>> 32));
            memory.putInt(page + 0x21c, (int) disk.length());
            memory.putInt(page + 0x0c4, (int) (disk.length() >>> 32));
        }

        int entries = target.memoryMap().size();
        if (entries > 128) {
            throw new IllegalArgumentException("the zero page has room for 128 memory regions, not " + entries);
        }
        memory.putByte(page + 0x1e8, entries);
        long at = page + 0x2d0;
        for (MemoryRange region : target.memoryMap()) {
            memory.putLong(at, region.address());
            memory.putLong(at + 8, region.length());
            memory.putInt(at + 16, region.kind().type());
            at += 20;
        }
        return page;
    }

    /** The release in the version string, made fit for a log. */
    private String versionText() {
        int pointer = file.getShort(KERNEL_VERSION);
        StringBuilder text = new StringBuilder();
        for (long at = pointer + 0x200L; pointer != 0 && file.has(at, 1) && text.length() < 64; at++) {
            int c = file.getByte(at);
            if (c <= ' ' || c > '~') {
                break;
            }
            text.append((char) c);
        }
        return text.isEmpty() ? "of unknown version" : text.toString();
    }
}
