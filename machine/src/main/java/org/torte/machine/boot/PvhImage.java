package org.torte.machine.boot;

import static org.torte.hypervisor.CpuState.RBX;

import java.util.ArrayList;
import java.util.List;
import org.torte.base.GuestMemory;
import org.torte.hypervisor.CpuState;
import org.torte.machine.BootTarget;
import org.torte.machine.MemoryRange;

/**
 * An ELF file that is started as a PVH guest (Xen docs/misc/pvh.pandoc): 32-bit protected mode, EBX pointing to
 *
 * <pre>
 * hvm_start_info        | 0 magic | 4 version 1 | 8 flags | 12 modules | 16 -> module list | 24 -> command line
 *                       | 32 -> RSDP | 40 -> memory map | 48 map entries | 52 reserved |
 * hvm_modlist_entry     | 0 address | 8 size | 16 -> command line | 24 reserved |
 * hvm_memmap_table_entry| 0 address | 8 size | 16 type | 20 reserved |
 * </pre>
 */
final class PvhImage {
    private static final int START_MAGIC = 0x336ec578;
    private static final int START_SIZE = 56, MODULE_SIZE = 32, MAP_ENTRY_SIZE = 24;
    private static final long LOW = 0x1000;

    private PvhImage() {}

    static LoadedKernel load(ElfImage elf, BootPlan source, BootTarget target, String name) {
        RamLayout layout = new RamLayout(target);
        GuestMemory memory = layout.memory();
        long entry = elf.pvhEntry().orElseThrow();
        elf.load(layout, entry);

        List<BootPlan.Module> modules = source.modules();
        List<RamLayout.Range> loaded = new ArrayList<>();
        for (BootPlan.Module module : modules) {
            loaded.add(layout.putFile(module.file(), KernelLoader.INITRD, GuestMemory.HIGH_BASE));
        }
        long start = layout.claimLow(START_SIZE, 8, LOW, "the start information");
        layout.clear(start, START_SIZE);
        memory.putInt(start, START_MAGIC);
        memory.putInt(start + 4, 1);
        if (!modules.isEmpty()) {
            long list = layout.claimLow((long) modules.size() * MODULE_SIZE, 8, LOW, "the module list");
            memory.putInt(start + 12, modules.size());
            memory.putLong(start + 16, list);
            for (int i = 0; i < modules.size(); i++) {
                long at = list + (long) i * MODULE_SIZE;
                String arguments = modules.get(i).arguments();
                memory.putLong(at, loaded.get(i).address());
                memory.putLong(at + 8, loaded.get(i).length());
                memory.putLong(
                        at + 16, arguments.isEmpty() ? 0 : layout.putString(arguments, LOW, "a module's arguments"));
                memory.putLong(at + 24, 0);
            }
        }
        memory.putLong(start + 24, layout.putString(source.commandLine(), LOW, "the command line"));
        memory.putLong(start + 32, target.rsdp());

        List<MemoryRange> regions = target.memoryMap();
        long map = layout.claimLow((long) regions.size() * MAP_ENTRY_SIZE, 8, LOW, "the memory map");
        memory.putLong(start + 40, map);
        memory.putInt(start + 48, regions.size());
        for (int i = 0; i < regions.size(); i++) {
            long at = map + (long) i * MAP_ENTRY_SIZE;
            memory.putLong(at, regions.get(i).address());
            memory.putLong(at + 8, regions.get(i).length());
            memory.putInt(at + 16, regions.get(i).kind().type());
            memory.putInt(at + 20, 0);
        }
        CpuState state = StartState.protectedMode(layout, entry);
        state.gpr[RBX] = start;
        return new LoadedKernel(name + " (ELF, PVH entry)", state);
    }
}
