package org.torte.cli.management;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.torte.cli.ExitStatus;
import org.torte.cli.HelpOption;
import org.torte.cli.HostTerminal;
import org.torte.cli.Quantities;
import org.torte.network.NetworkException;
import org.torte.network.host.UserNat;
import org.torte.worker.InputException;
import org.torte.worker.guest.GuestImages;
import org.torte.worker.guest.PackageSource;
import org.torte.worker.guest.TinyGuest;
import org.torte.worker.guest.TinyGuests;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code torte demo}: a virtual machine of the service, from its making to its removal. */
@Command(
        name = "torte demo",
        description = {
            "Makes a Linux from the distribution's packages, on a VHDX, and lets the service run it as the virtual machine",
            "\"demo\": in a process of its own, on a NAT network, reached through a port of the host. With a terminal you get its",
            "shell; without one it runs a short session, prints what proves it, shuts the guest down and exits with 0.",
            "Afterwards the machine is removed, and the service ends if the demo has started it."
        },
        sortOptions = false,
        footer = {
            "",
            "Exit status: 0 all is proved, 1 Torte failed, 2 wrong usage or no packages, 3 the guest crashed,",
            "4 the guest did not do it in time."
        })
public final class DemoCommand implements Callable<Integer> {
    @Option(names = "--processors", paramLabel = "N", description = "virtual processors, 1 to 64; 2 unless given")
    String processors = "2";

    @Option(names = "--memory", paramLabel = "SIZE", description = "RAM, such as 512M (the default) or 2G")
    String memory = "512M";

    @Option(
            names = "--kernel",
            paramLabel = "PACKAGE",
            description = "another kernel, by its package's name or .deb file, as in torte image build tiny")
    @Nullable
    String kernel;

    @Option(
            names = "--hypervisor",
            paramLabel = "auto|software|kvm",
            description = "auto (the default), software or kvm")
    String hypervisor = "auto";

    @Option(names = "--keep", description = "leaves the machine as it is in the end, running or not")
    boolean keep;

    @Option(
            names = "--data",
            paramLabel = "FOLDER",
            description = "the service's data folder (default: $TORTE_DATA, else the user's data folder)")
    @Nullable
    String data;

    @Mixin
    HelpOption help = new HelpOption();

    @Override
    public Integer call() throws IOException, InterruptedException {
        Map<String, Object> hardware = Map.of(
                "processors", Quantities.integer("--processors", processors),
                "memory", Quantities.bytes("--memory", memory),
                "hypervisor", hypervisor);
        requireNat();
        Path folder = ServiceOptions.folder(data);
        TinyGuests guests = new TinyGuests(new GuestImages(DemoCommand::say));
        TinyGuest guest = kernel == null ? guests.guest() : guests.make(PackageSource.host(), kernel);
        HostTerminal terminal = HostTerminal.find();
        try (DemoMachine machine = new DemoMachine(folder, keep)) {
            machine.make(guest, hardware);
            if (terminal != null) {
                machine.show(terminal);
                return ExitStatus.OK;
            }
            return new DemoProof(machine).run();
        }
    }

    /** What the network needs is looked for before minutes have gone into a guest. */
    private static void requireNat() {
        try {
            UserNat.require();
        } catch (NetworkException e) {
            throw new InputException(String.valueOf(e.getMessage()));
        }
    }

    static void say(String text) {
        System.err.println("torte: " + text);
    }
}
