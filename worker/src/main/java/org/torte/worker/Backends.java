package org.torte.worker;

import java.util.ServiceLoader;
import org.torte.hypervisor.Hypervisor;

/** Chooses a back-end by the name that users give it. */
final class Backends {
    private Backends() {}

    /** The back-end called {@code name}: {@code auto}, {@code software} or {@code kvm}. */
    static Hypervisor find(String name) {
        String wanted = switch (name) {
            case "auto", "software" -> "software";
            case "kvm" ->
                throw new InputException(
                        "machines do not run on the KVM back-end yet; use --hypervisor software or auto");
            default ->
                throw new InputException(
                        "there is no hypervisor \"" + name + "\"; --hypervisor takes auto, software or kvm");
        };
        for (Hypervisor hypervisor : ServiceLoader.load(Hypervisor.class)) {
            if (hypervisor.name().equals(wanted)) {
                return hypervisor;
            }
        }
        throw new InputException("this installation of Torte lacks its " + wanted + " back-end; install it again");
    }
}
