package org.torte.machine.boot;

import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.SequencedMap;
import java.util.function.Supplier;
import org.torte.disk.VirtualDisk;
import org.torte.machine.BootLoader;
import org.torte.machine.BootTarget;

/** Recognises a kernel's format and loads it, every time the machine starts. For one thread at a time. */
public final class KernelLoader implements BootLoader {
    static final String INITRD = "initial RAM disk";

    private final Supplier<BootPlan> plans;
    private String description = "nothing loaded yet";

    /** A loader of these files, which are read anew each time the machine starts. */
    public KernelLoader(BootSource source) {
        BootPlan plan = BootPlan.of(source);
        plans = () -> plan;
    }

    private KernelLoader(Supplier<BootPlan> plans) {
        this.plans = plans;
    }

    /**
     * A loader that finds a kernel on the disks of the machine, anew each time the machine starts.
     *
     * @param disks the disks in the order in which they count, with what users know them as; asked for at each start
     * @param append what is added to the command line that is found
     */
    public static KernelLoader ofDisks(Supplier<? extends SequencedMap<String, VirtualDisk>> disks, String append) {
        return new KernelLoader(() -> {
            List<DiskBoot.Source> sources = new ArrayList<>();
            disks.get().forEach((name, disk) -> sources.add(new DiskBoot.Source(disk, name)));
            return DiskBoot.find(sources, append);
        });
    }

    /** What was loaded last and how, for logs, such as {@code Linux 6.1.0 (bzImage, lz4, entered directly)}. */
    public String description() {
        return description;
    }

    /**
     * Loads the kernel and its modules. A multiboot header counts before a PVH note, as in QEMU.
     *
     * @throws BootException when a file cannot be read, is not what it should be, or does not fit; the memory may then
     *     hold parts of it
     */
    @Override
    public void load(BootTarget target) {
        LoadedKernel kernel = place(plans.get(), target);
        target.processor().setState(kernel.start());
        description = kernel.description();
    }

    private static LoadedKernel place(BootPlan source, BootTarget target) {
        if (source.commandLine().indexOf('\0') >= 0) {
            throw new BootException("the command line holds a zero byte, which would end it; remove it from --append");
        }
        try (Arena arena = Arena.ofConfined()) {
            ImageFile file =
                    ImageFile.read(source.kernel(), "kernel", target.memory().size(), arena);
            if (LinuxImage.matches(file)) {
                return LinuxImage.parse(file).load(source, target);
            }
            MultibootImage multiboot = MultibootImage.find(file);
            if (multiboot != null) {
                return multiboot.load(source, target);
            }
            if (ElfImage.matches(file)) {
                ElfImage elf = ElfImage.parse(file);
                if (elf.pvhEntry().isPresent()) {
                    return PvhImage.load(elf, source, target, source.kernel().shortName());
                }
                throw new BootException("the ELF file " + file.name()
                        + " has neither a PVH note nor a multiboot header; build Linux with CONFIG_PVH, or"
                        + " give its bzImage");
            }
            throw new BootException("the kernel " + file.name()
                    + " is neither a Linux bzImage, nor an ELF file with a PVH note, nor a multiboot 1 image;"
                    + " give one of these, such as /boot/vmlinuz-*");
        }
    }

    static void requireOneModule(BootPlan source) {
        if (source.modules().size() > 1) {
            throw new BootException("Linux takes one initial RAM disk, not "
                    + source.modules().size() + "; concatenate them into one file and give that with --initrd");
        }
    }
}
