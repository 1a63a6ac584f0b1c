package org.torte.network.host;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.torte.network.NetworkException;

/** Runs {@code ip}. */
final class Iproute2 implements IpCommand {
    private static final Pattern FAILED = Pattern.compile("Command failed [^:]*:(\\d+)");

    @Override
    public List<Shown> show(String... arguments) {
        HostProgram.Result result = run(join("-j", "-d", arguments), "");
        if (result.status() != 0) {
            throw new NetworkException("ip " + String.join(" ", arguments) + " failed (" + result.reason() + ")");
        }
        return Shown.parse(result.output(), "ip " + String.join(" ", arguments));
    }

    @Override
    public Optional<Shown> link(String name) {
        HostProgram.Result result = run(List.of("-j", "-d", "addr", "show", "dev", name), "");
        if (result.status() != 0) {
            if (result.errors().contains("does not exist")) {
                return Optional.empty();
            }
            throw new NetworkException("ip addr show dev " + name + " failed (" + result.reason() + ")");
        }
        return Shown.parse(result.output(), "ip addr show").stream().findFirst();
    }

    @Override
    public void batch(String family, List<String> commands) {
        if (commands.isEmpty()) {
            return;
        }
        List<String> arguments = family.isEmpty() ? List.of("-batch", "-") : List.of(family, "-batch", "-");
        HostProgram.Result result = run(arguments, String.join("\n", commands) + "\n");
        if (result.status() != 0) {
            Matcher failed = FAILED.matcher(result.errors());
            int line = failed.find() ? Integer.parseInt(failed.group(1)) : 1;
            String command = commands.get(Math.min(line, commands.size()) - 1);
            throw new NetworkException("ip " + command + " failed (" + result.reason() + ")");
        }
    }

    private static List<String> join(String first, String second, String... arguments) {
        List<String> all = new ArrayList<>(List.of(first, second));
        all.addAll(List.of(arguments));
        return all;
    }

    private static HostProgram.Result run(List<String> arguments, String input) {
        return HostProgram.find("ip")
                .orElseThrow(() -> new NetworkException("the host has no program ip: install iproute2"))
                .run(arguments, input);
    }
}
