package org.torte.network.host;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.torte.network.NetworkException;

/** Runs {@code ip}. */
final class Iproute2 implements IpCommand {
    private static final Pattern FAILED = Pattern.compile("Command failed [^:]*:(\\d+)");

    private record Result(int status, String output, String errors) {
        /** The first line of what it complains of, without whose answer that is. */
        String reason() {
            String line = errors.lines().findFirst().orElse("status " + status);
            return line.replaceFirst("^(RTNETLINK answers|Error): ", "");
        }
    }

    @Override
    public List<Shown> show(String... arguments) {
        Result result = run(join("-j", "-d", arguments), "");
        if (result.status != 0) {
            throw new NetworkException("ip " + String.join(" ", arguments) + " failed (" + result.reason() + ")");
        }
        return Shown.parse(result.output, "ip " + String.join(" ", arguments));
    }

    @Override
    public Optional<Shown> link(String name) {
        Result result = run(List.of("-j", "-d", "addr", "show", "dev", name), "");
        if (result.status != 0) {
            if (result.errors.contains("does not exist")) {
                return Optional.empty();
            }
            throw new NetworkException("ip addr show dev " + name + " failed (" + result.reason() + ")");
        }
        return Shown.parse(result.output, "ip addr show").stream().findFirst();
    }

    @Override
    public void batch(String family, List<String> commands) {
        if (commands.isEmpty()) {
            return;
        }
        List<String> arguments = family.isEmpty() ? List.of("-batch", "-") : List.of(family, "-batch", "-");
        Result result = run(arguments, String.join("\n", commands) + "\n");
        if (result.status != 0) {
            Matcher failed = FAILED.matcher(result.errors);
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

    /** People's own PATH may lack the folders of the administrator's programs. */
    private static String program() {
        String own = System.getenv().getOrDefault("PATH", "");
        for (String folder : (own + ":/usr/sbin:/sbin:/usr/bin:/bin").split(":", -1)) {
            if (folder.startsWith("/") && Files.isExecutable(Path.of(folder, "ip"))) {
                return folder + "/ip";
            }
        }
        throw new NetworkException("the host has no program ip: install iproute2");
    }

    private static Result run(List<String> arguments, String input) {
        List<String> command = new ArrayList<>(arguments);
        command.addFirst(program());
        try {
            ProcessBuilder builder = new ProcessBuilder(command);
            builder.environment().put("LC_ALL", "C");
            Process process = builder.start();
            try (OutputStream to = process.getOutputStream()) {
                to.write(input.getBytes(UTF_8));
            } catch (IOException e) {
                // It has ended before it read everything, and says why.
            }
            String output = new String(process.getInputStream().readAllBytes(), UTF_8);
            String errors = new String(process.getErrorStream().readAllBytes(), UTF_8);
            return new Result(process.waitFor(), output, errors);
        } catch (IOException e) {
            throw new NetworkException("the program ip cannot be run: " + e.getMessage(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new NetworkException("interrupted while ip runs", e);
        }
    }
}
