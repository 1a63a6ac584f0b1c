package org.torte.machine.boot;

import java.util.List;

/**
 * What is loaded at a start of the machine.
 *
 * @param kernel the kernel
 * @param modules what is loaded beside it
 * @param commandLine what the kernel gets as its command line
 */
record BootPlan(BootFile kernel, List<Module> modules, String commandLine) {
    /**
     * A file that is loaded beside the kernel.
     *
     * @param file the file
     * @param arguments what follows the file's name in the module's own command line
     */
    record Module(BootFile file, String arguments) {}

    /** Takes a copy of the list. */
    BootPlan {
        modules = List.copyOf(modules);
    }

    static BootPlan of(BootSource source) {
        return new BootPlan(
                new BootFile.OnHost(source.kernel()),
                source.modules().stream()
                        .map(module -> new Module(new BootFile.OnHost(module.file()), module.arguments()))
                        .toList(),
                source.commandLine());
    }
}
