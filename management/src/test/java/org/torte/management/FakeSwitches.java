package org.torte.management;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import org.torte.management.process.SwitchHost;
import org.torte.network.process.ConfigurationProblem;
import org.torte.network.process.NetworkConfiguration;

/** Switches that are none: they note what they are told, and find wrong what tests want. */
public final class FakeSwitches implements SwitchHost {
    public volatile NetworkConfiguration configuration = NetworkConfiguration.standard();
    public volatile boolean running;
    /** Forwarded ports of the host that are taken. */
    final List<Integer> taken = new CopyOnWriteArrayList<>();

    /** Why it does not say what there is, or empty. */
    public volatile String mute = "";

    /** What happens before each configuration. */
    volatile Runnable before = () -> {};

    @Override
    public void configure(NetworkConfiguration wanted) {
        before.run();
        configuration = wanted;
    }

    @Override
    public void start() {
        running = true;
    }

    @Override
    public boolean runs() {
        return running;
    }

    @Override
    public List<ConfigurationProblem> reload() {
        List<ConfigurationProblem> problems = new ArrayList<>();
        configuration
                .ports()
                .forEach(port -> port.forwards().forEach(forward -> {
                    if (taken.contains(forward.hostPort())) {
                        problems.add(new ConfigurationProblem(
                                port.network(),
                                port.id(),
                                "port " + forward.hostPort() + " of the host is in use: forward another one"));
                    }
                }));
        return problems;
    }

    @Override
    public Map<?, ?> status() {
        if (!mute.isEmpty()) {
            throw new Problem(Problem.Kind.FAILED, mute, "look at its log");
        }
        return Map.of(
                "switches",
                List.of(),
                "ports",
                configuration.ports().stream()
                        .map(port -> Map.of("id", port.id(), "connected", true))
                        .toList(),
                "problems",
                List.of());
    }
}
