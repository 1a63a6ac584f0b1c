package org.torte.machine.boot;

import java.nio.file.Path;
import java.util.List;

/**
 * What to boot.
 *
 * @param kernel a Linux bzImage, an ELF file with a PVH note, or a multiboot 1 image
 * @param modules files to load beside it: at most one initial RAM disk for Linux, any number for the others
 * @param commandLine what the kernel gets as its command line
 */
public record BootSource(Path kernel, List<Module> modules, String commandLine) {
    /**
     * A file that is loaded beside the kernel.
     *
     * @param file its path
     * @param arguments what follows the file's name in the module's own command line; Linux has no use for it
     */
    public record Module(Path file, String arguments) {}

    /** Takes a copy of the list. */
    public BootSource {
        modules = List.copyOf(modules);
    }
}
