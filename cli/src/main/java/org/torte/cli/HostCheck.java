package org.torte.cli;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.torte.worker.Backends;

/** What {@code torte doctor} looks at. Nothing here changes the host. */
final class HostCheck {
    private static final int NEEDED_JDK = 25;
    private static final long GIB = 1L << 30;

    /** How good a thing is. */
    enum State {
        GOOD,
        FAIR,
        BAD;

        String word() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /**
     * One line.
     *
     * @param name what was looked at
     * @param state how good it is
     * @param found what was found
     * @param meaning what that means for guests
     * @param remedy what to do to improve it; empty if nothing is to be done
     */
    record Finding(String name, State state, String found, String meaning, String remedy) {}

    private HostCheck() {}

    static List<Finding> all() {
        return List.of(jdk(), hypervisor(), translator(), hugePages(), tap(), controlGroups(), memory(), disk());
    }

    private static Finding jdk() {
        int feature = Runtime.version().feature();
        String found = System.getProperty("java.vendor") + " " + Runtime.version();
        return feature >= NEEDED_JDK
                ? new Finding("jdk", State.GOOD, found, "recent enough", "")
                : new Finding(
                        "jdk", State.BAD, found, "too old for Torte", "install a JDK " + NEEDED_JDK + " or later");
    }

    private static Finding hypervisor() {
        Backends.Choice choice = Backends.choose("auto");
        boolean kvm = choice.hypervisor().name().equals("kvm");
        return new Finding(
                "hypervisor",
                kvm ? State.GOOD : State.FAIR,
                choice.reason(),
                kvm
                        ? "guests run at the speed of this host's processor"
                        : "guests run on Torte's own processor, in software",
                kvm
                        ? ""
                        : "on a host with hardware virtualisation and a /dev/kvm that you may open, try --hypervisor kvm");
    }

    private static Finding translator() {
        Optional<String> obstacle = Backends.choose("software").hypervisor().translatorObstacle();
        return new Finding(
                "translator",
                obstacle.isEmpty() ? State.GOOD : State.FAIR,
                obstacle.orElse("this host's processor and memory are suited"),
                obstacle.isEmpty()
                        ? "without KVM, guests' 64-bit code becomes code of this host's processor"
                        : "without KVM, guests are interpreted, which is several times slower",
                obstacle.isEmpty()
                        ? ""
                        : "use an x86-64 Linux host with a recent processor, whose security rules (seccomp, SELinux) let Java"
                                + " call memfd_create and map what that gives to be executed");
    }

    private static Finding hugePages() {
        String setting = selected(read("/sys/kernel/mm/transparent_hugepage/shmem_enabled"));
        boolean on = List.of("always", "advise", "within_size", "force").contains(setting);
        return new Finding(
                "huge-pages",
                on ? State.GOOD : State.FAIR,
                setting.isEmpty() ? "no huge pages for shared memory" : "huge pages for shared memory: " + setting,
                on
                        ? "memory of guests may be mapped in 2 MiB pages"
                        : "memory of guests is mapped in 4 KiB pages, which costs KVM guests speed",
                on ? "" : "echo advise | sudo tee /sys/kernel/mm/transparent_hugepage/shmem_enabled");
    }

    /** The word in brackets. */
    private static String selected(String text) {
        int from = text.indexOf('[');
        int to = text.indexOf(']');
        return from >= 0 && to > from ? text.substring(from + 1, to) : "";
    }

    private static Finding tap() {
        Path device = Path.of("/dev/net/tun");
        boolean there = Files.exists(device);
        boolean usable = there && Files.isReadable(device) && Files.isWritable(device);
        return new Finding(
                "tap",
                usable ? State.GOOD : State.FAIR,
                usable ? device + " can be opened" : there ? "you may not open " + device : "there is no " + device,
                usable ? "guests can be on the host's networks" : "guests can only be on networks inside Torte",
                usable ? "" : there ? "sudo chmod 666 " + device : "sudo modprobe tun");
    }

    /** The type of the mount counts: on a plain tmpfs writes succeed and limit nothing. */
    private static Finding controlGroups() {
        String type = "";
        for (String line : read("/proc/self/mounts").lines().toList()) {
            String[] fields = line.split(" ", -1);
            if (fields.length > 2 && fields[1].equals("/sys/fs/cgroup")) {
                type = fields[2];
            }
        }
        boolean limits = type.equals("cgroup2")
                && !read("/sys/fs/cgroup/cgroup.controllers").isBlank();
        return new Finding(
                "cgroups",
                limits ? State.GOOD : State.FAIR,
                type.isEmpty() ? "nothing is mounted at /sys/fs/cgroup" : "/sys/fs/cgroup is of type " + type,
                limits
                        ? "processor and memory of a guest can be limited by the host"
                        : "the host cannot limit single guests",
                limits ? "" : "mount control groups of version 2 there, with controllers (systemd does)");
    }

    private static Finding memory() {
        long kibibytes = 0;
        for (String line : read("/proc/meminfo").lines().toList()) {
            if (line.startsWith("MemAvailable:")) {
                kibibytes = Long.parseLong(line.replaceAll("\\D", ""));
            }
        }
        long bytes = kibibytes << 10;
        boolean enough = bytes >= GIB;
        return new Finding(
                "memory",
                enough ? State.GOOD : State.FAIR,
                (bytes >> 20) + " MiB are available",
                enough ? "room for guests of up to about that size together" : "little more than one small guest fits",
                enough ? "" : "stop other programs, or give guests less with --memory");
    }

    private static Finding disk() {
        Path here = Path.of("").toAbsolutePath();
        try {
            long free = Files.getFileStore(here).getUsableSpace();
            boolean enough = free >= 2 * GIB;
            return new Finding(
                    "disk",
                    enough ? State.GOOD : State.FAIR,
                    (free >> 20) + " MiB are free in " + here,
                    enough ? "room for disks that grow as they are written" : "disks of guests will soon fill it",
                    enough ? "" : "keep disks on a larger file system");
        } catch (IOException e) {
            return new Finding(
                    "disk",
                    State.FAIR,
                    here + " cannot be asked",
                    "how much room there is for disks is not known (" + e.getMessage() + ")",
                    "keep disks in a folder of a local file system");
        }
    }

    private static String read(String file) {
        try {
            return Files.readString(Path.of(file), StandardCharsets.ISO_8859_1);
        } catch (IOException e) {
            return "";
        }
    }
}
