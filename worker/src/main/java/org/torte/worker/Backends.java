package org.torte.worker;

import java.util.ServiceLoader;
import org.torte.hypervisor.Hypervisor;
import org.torte.hypervisor.HypervisorException;

/** Chooses a back-end: by the name that users give it, or the one that suits this host. */
public final class Backends {
    /**
     * What KVM must reach in a simple loop, in instructions per second: hardware does several thousand millions, a KVM
     * that emulates a few millions, the software processor some tens to hundreds of millions.
     */
    public static final long ENOUGH = 300_000_000L;

    /**
     * A back-end and why it was chosen, in a few words.
     *
     * @param hypervisor the back-end
     * @param reason why, as part of a sentence
     */
    public record Choice(Hypervisor hypervisor, String reason) {}

    private Backends() {}

    /**
     * The back-end called {@code name}: {@code auto}, {@code software} or {@code kvm}.
     *
     * @throws InputException when there is none of that name
     * @throws HypervisorException when it cannot be used
     */
    public static Choice choose(String name) {
        return switch (name) {
            case "auto" -> suitable();
            case "software" -> new Choice(load("software"), "asked for");
            case "kvm" -> {
                Hypervisor kvm = load("kvm");
                long _ = kvm.tscFrequency();
                yield new Choice(kvm, "asked for");
            }
            default ->
                throw new InputException(
                        "there is no hypervisor \"" + name + "\"; --hypervisor takes auto, software or kvm");
        };
    }

    private static Choice suitable() {
        Hypervisor kvm = load("kvm");
        try {
            long speed = KvmSpeed.ofHost(kvm);
            String measured = speed / 1_000_000 + " million instructions a second in a loop";
            // No operating system has been seen to run on KVM to its end yet: users say so if they want it.
            return software(
                    speed >= ENOUGH
                            ? "KVM reaches " + measured
                                    + ", but no operating system has been proved on it yet; --hypervisor kvm tries it"
                            : "KVM reaches only " + measured
                                    + ", so it emulates and is slower than Torte's own processor");
        } catch (HypervisorException e) {
            return software(String.valueOf(e.getMessage()));
        }
    }

    private static Choice software(String reason) {
        return new Choice(load("software"), reason);
    }

    private static Hypervisor load(String name) {
        for (Hypervisor hypervisor : ServiceLoader.load(Hypervisor.class)) {
            if (hypervisor.name().equals(name)) {
                return hypervisor;
            }
        }
        throw new InputException("this installation of Torte lacks its " + name + " back-end; install it again");
    }
}
