package org.torte.machine.boot;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Pattern;
import org.torte.machine.filesystem.DamagedException;
import org.torte.machine.filesystem.Ext4;
import org.torte.machine.filesystem.Ext4File;

/**
 * Finds what a boot loader would boot from a file system, which is the root or a separate /boot: entries of the Boot Loader
 * Specification (type 1), else the default of an extlinux.conf, else the kernel that a distribution's link names, else the
 * newest one. The configuration of GRUB is a program and not read.
 */
final class BootEntries {
    /** Where is looked, for messages. */
    static final String PLACES =
            "/boot/loader/entries/*.conf, /boot/extlinux/extlinux.conf, /vmlinuz and /boot/vmlinuz*, the same without"
                    + " /boot";

    private static final int MAX_TEXT = 64 << 10, MAX_ENTRIES = 256;
    private static final List<String> FOLDERS = List.of("/boot", "");
    private static final List<String> KERNELS = List.of("vmlinuz-", "vmlinux-", "bzImage-", "kernel-");
    private static final Pattern LAST = Pattern.compile(".*(rescue|\\.old|\\.bak|\\.dpkg-).*");

    private static final Comparator<String> NEWEST_FIRST = (left, right) -> compareVersions(right, left);

    private final Ext4 fileSystem;

    private BootEntries(Ext4 fileSystem) {
        this.fileSystem = fileSystem;
    }

    /** The one to boot, if there is any. */
    static Optional<BootEntry> best(Ext4 fileSystem) throws DamagedException {
        BootEntries entries = new BootEntries(fileSystem);
        Optional<BootEntry> found = Optional.empty();
        for (String folder : FOLDERS) {
            found = found.isPresent() ? found : entries.ofSpecification(folder);
        }
        for (String folder : FOLDERS) {
            found = found.isPresent() ? found : entries.ofExtlinux(folder + "/extlinux/extlinux.conf");
            found = found.isPresent() ? found : entries.ofExtlinux(folder + "/syslinux/syslinux.cfg");
        }
        for (String folder : List.of("", "/boot")) {
            found = found.isPresent() ? found : entries.ofLinks(folder);
        }
        for (String folder : FOLDERS) {
            found = found.isPresent() ? found : entries.newest(folder);
        }
        return found;
    }

    /** A file by a path from the file system's root, or from /boot where that is the root of another one. */
    private Optional<Ext4File> file(String path) throws DamagedException {
        Optional<Ext4File> found = fileSystem.find(path);
        return found.isPresent() || !path.startsWith("/boot/")
                ? found
                : fileSystem.find(path.substring("/boot".length()));
    }

    private Optional<BootEntry> entry(String kernel, List<String> initrds, String options) throws DamagedException {
        Optional<Ext4File> image = kernel.isEmpty() ? Optional.empty() : file(kernel);
        if (image.isEmpty()) {
            return Optional.empty();
        }
        List<Ext4File> files = new ArrayList<>();
        for (String initrd : initrds) {
            Optional<Ext4File> file = file(initrd);
            if (file.isEmpty()) {
                return Optional.empty();
            }
            files.add(file.get());
        }
        return Optional.of(new BootEntry(image.get(), files, options));
    }

    private static String text(Optional<Ext4File> file) throws DamagedException {
        return file.isEmpty() ? "" : file.get().text(MAX_TEXT);
    }

    /** Entries in files of their own; the default of loader.conf, else the newest version. */
    private Optional<BootEntry> ofSpecification(String folder) throws DamagedException {
        String place = folder + "/loader/entries";
        List<String> names = fileSystem.list(place).stream()
                .filter(name -> name.endsWith(".conf"))
                .sorted(Comparator.comparing((String name) -> LAST.matcher(name).matches())
                        .thenComparing(NEWEST_FIRST))
                .limit(MAX_ENTRIES)
                .toList();
        String chosen = "";
        for (String line :
                text(fileSystem.find(folder + "/loader/loader.conf")).lines().toList()) {
            String[] words = line.strip().split("\\s+", 2);
            if (words.length == 2 && words[0].equals("default")) {
                chosen = words[1].strip();
            }
        }
        List<String> ordered = new ArrayList<>(names);
        for (String name : names) {
            if (!chosen.isEmpty() && matches(name, chosen)) {
                ordered.remove(name);
                ordered.addFirst(name);
                break;
            }
        }
        for (String name : ordered) {
            Optional<BootEntry> found = ofSpecificationFile(text(fileSystem.find(place + "/" + name)));
            if (found.isPresent()) {
                return found;
            }
        }
        return Optional.empty();
    }

    /** Names may be given with or without ".conf", and with the wild card {@code *}. */
    private static boolean matches(String name, String pattern) {
        StringBuilder expression = new StringBuilder();
        for (String part : pattern.split("\\*+", -1)) {
            expression.append(expression.isEmpty() ? "" : ".*").append(Pattern.quote(part));
        }
        return name.matches(expression.toString()) || name.matches(expression + "\\.conf");
    }

    private Optional<BootEntry> ofSpecificationFile(String text) throws DamagedException {
        String kernel = "";
        List<String> initrds = new ArrayList<>();
        StringBuilder options = new StringBuilder();
        for (String line : text.lines().toList()) {
            String[] words = line.strip().split("\\s+", 2);
            if (words.length < 2) {
                continue;
            }
            switch (words[0]) {
                case "linux" -> kernel = words[1];
                // Fedora's entries name variables of GRUB behind the files.
                case "initrd" -> initrds.add(words[1].split("\\s+", 2)[0]);
                case "options" -> options.append(' ').append(words[1]);
                default -> {}
            }
        }
        return entry(kernel, initrds, options.toString().strip());
    }

    /** The label that DEFAULT names, or else the first one. */
    private Optional<BootEntry> ofExtlinux(String place) throws DamagedException {
        String wanted = "";
        String label = "";
        String kernel = "";
        String append = "";
        List<String> initrds = new ArrayList<>();
        Optional<BootEntry> first = Optional.empty();
        List<String> lines =
                new ArrayList<>(text(fileSystem.find(place)).lines().toList());
        lines.add("label");
        for (String line : lines) {
            String[] words = line.strip().split("\\s+", 2);
            String value = words.length == 2 ? words[1].strip() : "";
            switch (words[0].toLowerCase(Locale.ROOT)) {
                case "default", "ontimeout" -> wanted = wanted.isEmpty() ? value : wanted;
                case "kernel", "linux" -> kernel = value;
                case "initrd" -> initrds.addAll(List.of(value.split(",", -1)));
                case "append" -> append = value;
                case "label" -> {
                    Optional<BootEntry> ended = entry(kernel, initrds, append);
                    if (ended.isPresent() && label.equals(wanted)) {
                        return ended;
                    }
                    first = first.isPresent() ? first : ended;
                    label = value;
                    kernel = "";
                    append = "";
                    initrds = new ArrayList<>();
                }
                default -> {}
            }
        }
        return first;
    }

    /** What Debian and others keep pointing to the kernel that counts. */
    private Optional<BootEntry> ofLinks(String folder) throws DamagedException {
        List<String> names = fileSystem.list(folder + "/");
        if (!names.contains("vmlinuz")) {
            return Optional.empty();
        }
        List<String> initrd = names.contains("initrd.img") ? List.of(folder + "/initrd.img") : List.of();
        return entry(folder + "/vmlinuz", initrd, "");
    }

    private Optional<BootEntry> newest(String folder) throws DamagedException {
        List<String> names = fileSystem.list(folder + "/");
        List<String> kernels = names.stream()
                .filter(name -> KERNELS.stream().anyMatch(name::startsWith))
                .sorted(Comparator.comparing((String name) -> LAST.matcher(name).matches())
                        .thenComparing(NEWEST_FIRST))
                .limit(MAX_ENTRIES)
                .toList();
        for (String kernel : kernels) {
            String version = kernel.substring(kernel.indexOf('-') + 1);
            List<String> initrds = new ArrayList<>();
            for (String name : List.of(
                    "initrd.img-" + version,
                    "initramfs-" + version + ".img",
                    "initrd-" + version,
                    "initrd-" + version + ".img",
                    "initramfs-" + version)) {
                if (initrds.isEmpty() && names.contains(name)) {
                    initrds.add(folder + "/" + name);
                }
            }
            Optional<BootEntry> found = entry(folder + "/" + kernel, initrds, "");
            if (found.isPresent()) {
                return found;
            }
        }
        return Optional.empty();
    }

    /** Runs of digits count as numbers, so that 6.10 comes after 6.9. */
    static int compareVersions(String left, String right) {
        int i = 0;
        int j = 0;
        while (i < left.length() && j < right.length()) {
            if (isDigit(left.charAt(i)) && isDigit(right.charAt(j))) {
                int from = i;
                int other = j;
                while (i < left.length() && isDigit(left.charAt(i))) {
                    i++;
                }
                while (j < right.length() && isDigit(right.charAt(j))) {
                    j++;
                }
                String first = left.substring(from, i).replaceFirst("^0+", "");
                String second = right.substring(other, j).replaceFirst("^0+", "");
                int order = first.length() != second.length()
                        ? Integer.compare(first.length(), second.length())
                        : first.compareTo(second);
                if (order != 0) {
                    return order;
                }
            } else if (left.charAt(i) != right.charAt(j)) {
                return Character.compare(left.charAt(i), right.charAt(j));
            } else {
                i++;
                j++;
            }
        }
        return Integer.compare(left.length() - i, right.length() - j);
    }

    private static boolean isDigit(char c) {
        return c >= '0' && c <= '9';
    }
}
