package org.torte.worker;

import java.util.ServiceLoader;
import org.torte.hypervisor.Hypervisor;
import org.torte.hypervisor.HypervisorException;
import org.torte.machine.MachineConfiguration;

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
            return suitable(kvm, KvmSpeed.ofHost(kvm));
        } catch (HypervisorException e) {
            return software(String.valueOf(e.getMessage()));
        }
    }

    /** KVM if it is as fast as hardware and has what a machine cannot do without. */
    static Choice suitable(Hypervisor kvm, long speed) {
        String measured = speed / 1_000_000 + " million instructions a second in a loop";
        if (speed < ENOUGH) {
            return software(
                    "KVM reaches only " + measured + ", so it emulates and is slower than Torte's own processor");
        }
        try {
            MachineConfiguration _ = new MachineConfiguration(MachineConfiguration.MIN_MEMORY, 1).fittedTo(kvm);
        } catch (HypervisorException e) {
            return software(String.valueOf(e.getMessage()));
        }
        return new Choice(kvm, "KVM reaches " + measured);
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
