package org.torte.worker;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import org.torte.hypervisor.Hypervisor;
import org.torte.hypervisor.SpeedProbe;

/**
 * How fast this host's KVM is, measured once and kept in the user's cache folder for as long as the host has not been
 * started anew: two lines, the host's identity and instructions per second.
 */
final class KvmSpeed {
    private static final int MAX_LENGTH = 4096;

    private KvmSpeed() {}

    /**
     * The speed, measured now if it is not known.
     *
     * @throws org.torte.hypervisor.HypervisorException when KVM cannot be used
     */
    static long ofHost(Hypervisor kvm) {
        // Even a known speed is of no use when the device has gone or may not be opened.
        long _ = kvm.tscFrequency();
        return ofHost(kvm, folder(System.getenv()).resolve("kvm-speed"), identity());
    }

    static long ofHost(Hypervisor kvm, Path file, String identity) {
        try {
            if (Files.size(file) <= MAX_LENGTH) {
                List<String> lines = Files.readAllLines(file, StandardCharsets.UTF_8);
                if (lines.size() == 2 && lines.getFirst().equals(identity)) {
                    return Long.parseLong(lines.getLast());
                }
            }
        } catch (IOException | NumberFormatException e) {
            // Not known, or not readable: measured again.
        }
        long speed = SpeedProbe.instructionsPerSecond(kvm);
        keep(file, identity + "\n" + speed + "\n");
        return speed;
    }

    private static void keep(Path file, String text) {
        try {
            Path folder = file.toAbsolutePath().getParent();
            Files.createDirectories(folder);
            Path temporary = Files.createTempFile(folder, "kvm-speed", ".new");
            Files.writeString(temporary, text);
            Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            // A home that cannot be written costs a measurement at each start.
            return;
        }
    }

    /** Where programs of this user keep what they can do without (XDG base directory specification). */
    static Path folder(Map<String, String> environment) {
        String cache = environment.getOrDefault("XDG_CACHE_HOME", "");
        Path base = cache.startsWith("/") ? Path.of(cache) : Path.of(System.getProperty("user.home"), ".cache");
        return base.resolve("torte");
    }

    /** This start of this kernel on this machine. */
    private static String identity() {
        try {
            return Files.readString(Path.of("/proc/sys/kernel/random/boot_id")).strip() + " "
                    + Files.readString(Path.of("/proc/sys/kernel/osrelease")).strip();
        } catch (IOException e) {
            return "unknown host " + ProcessHandle.current().pid();
        }
    }
}
