package org.torte.bench;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.torte.base.Clock;
import org.torte.base.RandomSource;
import org.torte.base.TimerThread;
import org.torte.base.net.MacAddress;
import org.torte.base.net.NetworkPort;
import org.torte.network.NatNetwork;
import org.torte.network.host.Nat;
import org.torte.network.host.Tap;
import org.torte.network.process.NetworkConfiguration;
import org.torte.network.process.PortDefinition;
import org.torte.network.process.PortOptions;
import org.torte.network.process.SwitchDefinition;
import org.torte.network.process.SwitchLink;
import org.torte.network.process.SwitchServer;
import org.torte.network.process.SwitchStarter;

/**
 * What a machine at a NAT network is to the host, with the kernel of a namespace in place of a guest: an interface whose
 * other end is a port of a network in this process, as with {@code torte run --network nat}, or of the switch process.
 */
final class NatStation {
    private NatStation() {}

    /** Arguments: {@code process}, {@code kernel} (the same by the kernel's NAT), {@code switch} or {@code serve}, the folder, the interface's name, its address. */
    public static void main(String[] arguments) throws Exception {
        Path folder = Path.of(arguments[1]);
        TimerThread timers = new TimerThread(Clock.system(), "timers");
        timers.resume();
        if (arguments[0].equals("serve")) {
            SwitchServer.open(folder, timers, RandomSource.secure(), System.err::println);
            Thread.currentThread().join();
        }
        MacAddress address = MacAddress.parse(arguments[3]);
        NetworkPort port;
        if (arguments[0].equals("switch")) {
            NetworkConfiguration configuration = new NetworkConfiguration(
                    List.of(SwitchDefinition.standard()),
                    List.of(new PortDefinition(
                            "guest", SwitchDefinition.DEFAULT, "guest", address, PortOptions.STANDARD, List.of())));
            Files.write(SwitchServer.configuration(folder), configuration.text());
            port = SwitchLink.open(new SwitchStarter(folder, serving(folder)), "guest");
        } else {
            Nat.Kind kind = arguments[0].equals("kernel") ? Nat.Kind.KERNEL : Nat.Kind.USER;
            port = NatNetwork.open(folder, kind, timers, RandomSource.secure()).addMachine("guest", address, List.of());
        }
        Tap tap = Tap.open(arguments[2], address);
        tap.start(port);
        System.out.println("ready");
        while (System.in.read() >= 0) {}
        System.exit(0);
    }

    /** What starts a switch process for a folder. */
    static List<String> serving(Path folder) {
        return List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:+UseSerialGC",
                "-Xmx256m",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                NatStation.class.getName(),
                "serve",
                folder.toString());
    }
}
