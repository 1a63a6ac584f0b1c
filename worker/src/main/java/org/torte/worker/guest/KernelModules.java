package org.torte.worker.guest;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.tukaani.xz.SingleXZInputStream;

/**
 * Modules of a Linux kernel in the order in which they have to be loaded. It follows from what each module says about
 * itself, because packages do not hold the list that depmod makes.
 */
final class KernelModules {
    private static final String SUFFIX = ".ko";
    private static final String DEPENDS = "\0depends=";

    private KernelModules() {}

    /** Dashes and underscores mean the same in names of modules. */
    private static String name(Path file) {
        String text = file.getFileName().toString();
        return text.substring(0, text.indexOf(SUFFIX)).replace('-', '_');
    }

    private static Map<String, Path> find(Path folder) throws IOException {
        Map<String, Path> modules = new HashMap<>();
        try (Stream<Path> files = Files.walk(folder)) {
            files.filter(file -> {
                        String text = file.toString();
                        return text.endsWith(SUFFIX) || text.endsWith(SUFFIX + ".xz");
                    })
                    .forEach(file -> modules.put(name(file), file));
        }
        return modules;
    }

    private static byte[] content(Path module) throws IOException {
        byte[] bytes = Files.readAllBytes(module);
        if (!module.toString().endsWith(".xz")) {
            return bytes;
        }
        try (SingleXZInputStream unpacked = new SingleXZInputStream(new ByteArrayInputStream(bytes))) {
            return unpacked.readAllBytes();
        }
    }

    /** Copies modules and all that they need from an unpacked package; those that are built into the kernel are not there. */
    static void copy(Path from, List<String> names, Path to) throws IOException {
        Map<String, Path> modules = find(from);
        for (String name : order(modules, names)) {
            Path module = modules.get(name);
            if (module != null) {
                Files.write(to.resolve(name + SUFFIX), content(module));
            }
        }
    }

    /** The files of modules and all that they need, in the order of loading. */
    static List<Path> inOrder(Path folder, List<String> names) throws IOException {
        Map<String, Path> modules = find(folder);
        List<Path> files = new ArrayList<>();
        for (String name : order(modules, names)) {
            Path module = modules.get(name);
            if (module != null) {
                files.add(module);
            }
        }
        return files;
    }

    private static Set<String> order(Map<String, Path> modules, List<String> names) throws IOException {
        Set<String> order = new LinkedHashSet<>();
        for (String name : names) {
            add(name.replace('-', '_'), modules, order);
        }
        return order;
    }

    private static void add(String name, Map<String, Path> modules, Set<String> order) throws IOException {
        Path module = modules.get(name);
        if (module == null || order.contains(name)) {
            return;
        }
        // The strings of the section .modinfo, one of which names what the module needs.
        String text = new String(content(module), StandardCharsets.ISO_8859_1);
        int at = text.indexOf(DEPENDS);
        if (at >= 0) {
            int start = at + DEPENDS.length();
            for (String needed :
                    text.substring(start, text.indexOf('\0', start)).split(",", -1)) {
                add(needed.replace('-', '_'), modules, order);
            }
        }
        order.add(name);
    }
}
