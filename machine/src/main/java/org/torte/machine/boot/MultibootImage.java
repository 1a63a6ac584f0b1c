package org.torte.machine.boot;

import static org.torte.hypervisor.CpuState.RAX;
import static org.torte.hypervisor.CpuState.RBX;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.torte.base.GuestMemory;
import org.torte.hypervisor.CpuState;
import org.torte.machine.BootTarget;
import org.torte.machine.MemoryRange;

/**
 * A multiboot 1 kernel (The Multiboot Specification 0.6.96, section numbers below): its header lies in the first 8 KiB
 * of the file, 4-byte aligned; it is started in 32-bit protected mode with a magic number in EAX and EBX pointing to
 *
 * <pre>
 * 0 flags | 4 mem_lower | 8 mem_upper | 12 boot_device | 16 cmdline | 20 mods_count | 24 mods_addr | 28 syms[4]
 * 44 mmap_length | 48 mmap_addr | ... | 64 boot_loader_name | ...
 * </pre>
 *
 * <p>The command line begins with the file's name, as GRUB legacy and QEMU have it: kernels take it for argv[0].
 */
final class MultibootImage {
    private static final int HEADER_MAGIC = 0x1badb002;
    private static final int START_MAGIC = 0x2badb002;
    private static final int SEARCH_LIMIT = 8192;

    private static final int WANTS_PAGE_ALIGNED_MODULES = 1;
    private static final int WANTS_MEMORY = 1 << 1;
    private static final int WANTS_VIDEO = 1 << 2;
    private static final int HAS_ADDRESSES = 1 << 16;
    private static final int MUST_UNDERSTAND = 0xffff;

    private static final int INFO_MEMORY = 1, INFO_COMMAND_LINE = 1 << 2, INFO_MODULES = 1 << 3;
    private static final int INFO_MEMORY_MAP = 1 << 6, INFO_LOADER_NAME = 1 << 9;
    private static final int INFO_SIZE = 116, MODULE_SIZE = 16, MAP_ENTRY_SIZE = 24;
    private static final long LOW = 0x1000;
    private static final long MEGABYTE = 1 << 20;

    private final ImageFile file;
    private final long header;
    private final int flags;

    private MultibootImage(ImageFile file, long header) {
        this.file = file;
        this.header = header;
        this.flags = file.getInt(header + 4);
    }

    /** Looks for a header; gives null when there is none. */
    static @Nullable MultibootImage find(ImageFile file) {
        for (long at = 0; at + 12 <= Math.min(SEARCH_LIMIT, file.size()); at += 4) {
            if (file.getInt(at) == HEADER_MAGIC && HEADER_MAGIC + file.getInt(at + 4) + file.getInt(at + 8) == 0) {
                return new MultibootImage(file, at);
            }
        }
        return null;
    }

    LoadedKernel load(BootPlan source, BootTarget target) {
        if ((flags & WANTS_VIDEO) != 0) {
            throw new BootException("the multiboot kernel " + file.name()
                    + " demands a video mode, and this machine has no display; build it without that flag");
        }
        int unknown = flags & MUST_UNDERSTAND & ~(WANTS_PAGE_ALIGNED_MODULES | WANTS_MEMORY);
        if (unknown != 0) {
            throw new BootException("the multiboot kernel " + file.name() + " demands unknown features (flags 0x"
                    + Integer.toHexString(unknown) + "); give one for multiboot 0.6.96");
        }
        RamLayout layout = new RamLayout(target);
        long entry;
        if ((flags & HAS_ADDRESSES) != 0) {
            entry = loadByAddresses(layout);
        } else if (ElfImage.matches(file)) {
            ElfImage elf = ElfImage.parse(file);
            entry = elf.physicalEntry();
            elf.load(layout, entry);
        } else {
            throw file.malformed("its multiboot header gives no addresses, and it is no ELF file");
        }
        CpuState state = StartState.protectedMode(layout, entry);
        state.gpr[RAX] = START_MAGIC;
        state.gpr[RBX] = information(layout, source, target);
        return new LoadedKernel(source.kernel().shortName() + " (multiboot)", state);
    }

    /** The address fields of the header (3.1.3), which replace those of the file format. */
    private long loadByAddresses(RamLayout layout) {
        long headerAddress = file.getUnsignedInt(header + 12);
        long loadAddress = file.getUnsignedInt(header + 16);
        long loadEnd = file.getUnsignedInt(header + 20);
        long bssEnd = file.getUnsignedInt(header + 24);
        long entry = file.getUnsignedInt(header + 28);
        long offset = header - (headerAddress - loadAddress);
        if (headerAddress < loadAddress || offset < 0) {
            throw file.malformed("its multiboot load address makes no sense");
        }
        long size = loadEnd == 0 ? file.size() - offset : loadEnd - loadAddress;
        if (size <= 0 || !file.has(offset, size)) {
            throw file.malformed("its multiboot addresses reach outside the file");
        }
        long total = bssEnd == 0 ? size : bssEnd - loadAddress;
        if (total < size) {
            throw file.malformed("its multiboot data end after its multiboot bss");
        }
        if (entry < loadAddress || entry - loadAddress >= total) {
            throw file.malformed("its multiboot entry point is not in what is loaded");
        }
        layout.claim(loadAddress, total, "the kernel " + file.name());
        layout.put(loadAddress, file.slice(offset, size, "its code"));
        layout.clear(loadAddress + size, total - size);
        return entry;
    }

    private long information(RamLayout layout, BootPlan source, BootTarget target) {
        GuestMemory memory = layout.memory();
        long info = layout.claimLow(INFO_SIZE, 8, LOW, "the multiboot information");
        layout.clear(info, INFO_SIZE);
        int present = INFO_MEMORY | INFO_COMMAND_LINE | INFO_MODULES | INFO_MEMORY_MAP | INFO_LOADER_NAME;
        memory.putInt(info, present);
        memory.putInt(info + 4, (int) (layout.usableEnd(MEGABYTE) >> 10));
        memory.putInt(info + 8, (int) (contiguousFrom(target, MEGABYTE) >> 10));
        String line = withName(source.kernel(), source.commandLine());
        memory.putInt(info + 16, (int) layout.putString(line, LOW, "the command line"));

        List<BootPlan.Module> modules = source.modules();
        List<RamLayout.Range> loaded = new ArrayList<>();
        for (BootPlan.Module module : modules) {
            loaded.add(layout.putFile(module.file(), "module", GuestMemory.HIGH_BASE));
        }
        memory.putInt(info + 20, modules.size());
        if (!modules.isEmpty()) {
            long list = layout.claimLow((long) modules.size() * MODULE_SIZE, 8, LOW, "the module list");
            memory.putInt(info + 24, (int) list);
            for (int i = 0; i < modules.size(); i++) {
                BootPlan.Module module = modules.get(i);
                long at = list + (long) i * MODULE_SIZE;
                String text = withName(module.file(), module.arguments());
                memory.putInt(at, (int) loaded.get(i).address());
                memory.putInt(at + 4, (int) loaded.get(i).end());
                memory.putInt(at + 8, (int) layout.putString(text, LOW, "a module's arguments"));
                memory.putInt(at + 12, 0);
            }
        }

        List<MemoryRange> regions = target.memoryMap();
        long map = layout.claimLow((long) regions.size() * MAP_ENTRY_SIZE, 8, LOW, "the memory map");
        memory.putInt(info + 44, regions.size() * MAP_ENTRY_SIZE);
        memory.putInt(info + 48, (int) map);
        for (int i = 0; i < regions.size(); i++) {
            long at = map + (long) i * MAP_ENTRY_SIZE;
            memory.putInt(at, MAP_ENTRY_SIZE - 4);
            memory.putLong(at + 4, regions.get(i).address());
            memory.putLong(at + 12, regions.get(i).length());
            memory.putInt(at + 20, regions.get(i).kind().type());
        }
        memory.putInt(info + 64, (int) layout.putString("Torte", LOW, "the loader's name"));
        return info;
    }

    /** How much usable RAM follows {@code address} up to the first hole, at most what 32 bits can tell in KiB. */
    private static long contiguousFrom(BootTarget target, long address) {
        long end = address;
        for (MemoryRange region : target.memoryMap()) {
            if (region.kind() == MemoryRange.Kind.RAM && region.address() <= end && region.end() > end) {
                end = region.end();
            }
        }
        return end - address;
    }

    private static String withName(BootFile file, String arguments) {
        return arguments.isEmpty() ? file.name() : file.name() + " " + arguments;
    }
}
