package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.torte.cli.GroupCommand;
import org.torte.cli.Quantities;
import org.torte.cli.UsageException;
import org.torte.cli.output.Output;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code torte switch}. */
@Command(
        name = "torte switch",
        description = {
            "Makes, shows, changes and removes virtual switches. Machines are connected to them with --network switch:NAME of",
            "torte vm new, or with torte adapter connect. Default is always there: it gives machines addresses and names, and",
            "lets them reach what the host reaches."
        },
        sortOptions = false,
        subcommands = {
            SwitchCommand.New.class,
            SwitchCommand.ListSwitches.class,
            SwitchCommand.Get.class,
            SwitchCommand.Set.class,
            SwitchCommand.Remove.class
        })
public final class SwitchCommand extends GroupCommand {
    private static final String PATH = "/api/v1/switches";

    private static String path(String name) {
        return PATH + "/" + ServiceClient.segment(name);
    }

    @Command(name = "new", description = "Makes a switch.", sortOptions = false)
    static final class New extends ChangeCommand {
        @Parameters(index = "0", paramLabel = "NAME", description = "what it is to be called")
        String name = "";

        @Option(
                names = "--type",
                required = true,
                paramLabel = "private|internal|external|nat",
                description = {
                    "private (machines among themselves), internal (with the host, which gets an interface), external (with",
                    "the network at an interface of the host) or nat (they get addresses and names, and reach what the host",
                    "reaches)"
                })
        String type = "";

        @Option(
                names = "--interface",
                paramLabel = "NAME",
                description = {
                    "internal: what the host's interface is called (default: to-NAME); external: the host's interface that",
                    "machines are joined with, or a bridge that it is in; nat: the host gets an interface of that name, too"
                })
        @Nullable
        String hostInterface;

        @Option(
                names = "--address",
                paramLabel = "ADDRESS/LENGTH",
                description =
                        "internal: what the host's interface gets, as 10.1.2.1/24 or fd00:1:2::1/64; may be repeated")
        List<String> addresses = new ArrayList<>();

        @Option(
                names = "--nat",
                paramLabel = "user|kernel|auto",
                description = {
                    "nat: who translates addresses: a library, which needs no root; the host's kernel, which does; or the",
                    "kernel where nothing is in its way (default: user)"
                })
        @Nullable
        String translation;

        @Option(names = "--mtu", paramLabel = "BYTES", description = "576 to 65535; 1500 for nat (default: 1500)")
        @Nullable
        String mtu;

        @Override
        public Integer call() {
            Map<String, Object> body = new LinkedHashMap<>();
            body.put("name", name);
            body.put("type", type);
            if (hostInterface != null) {
                body.put("interface", hostInterface);
            }
            if (!addresses.isEmpty()) {
                body.put("addresses", addresses);
            }
            if (mtu != null) {
                body.put("mtu", Quantities.integer("--mtu", mtu));
            }
            if (translation != null) {
                body.put("translation", translation);
            }
            return change("POST", PATH, body, "make the " + type + " switch " + name, made -> Output.list(text(made)));
        }
    }

    @Command(name = "list", description = "Lists switches.", sortOptions = false)
    static final class ListSwitches extends ServiceOptions {
        @Override
        public Integer call() {
            JsonNode all = service().get(PATH);
            List<List<String>> rows = new ArrayList<>();
            rows.add(List.of("NAME", "TYPE", "MTU", "SUBNET", "ADAPTERS"));
            for (JsonNode one : all) {
                rows.add(List.of(
                        one.path("name").asText(),
                        one.path("type").asText(),
                        one.path("mtu").asText(),
                        one.path("subnet").asText("-"),
                        Integer.toString(one.path("adapters").size())));
            }
            show(all, Output.table(rows));
            return 0;
        }
    }

    @Command(name = "get", description = "Shows a switch, and which adapters are connected to it.", sortOptions = false)
    static final class Get extends ServiceOptions {
        @Parameters(index = "0", paramLabel = "SWITCH", description = "which")
        String name = "";

        @Override
        public Integer call() {
            JsonNode one = service().get(path(name));
            show(one, Output.list(text(one)));
            return 0;
        }
    }

    @Command(
            name = "set",
            description = "Changes a switch; machines at it lose their link for a moment.",
            sortOptions = false)
    static final class Set extends ChangeCommand {
        @Parameters(index = "0", paramLabel = "SWITCH", description = "which")
        String name = "";

        @Option(names = "--mtu", paramLabel = "BYTES", description = "576 to 65535")
        @Nullable
        String mtu;

        @Option(
                names = "--interface",
                paramLabel = "NAME",
                description = "another interface of the host; nat: one, or none")
        @Nullable
        String hostInterface;

        @Option(
                names = "--address",
                paramLabel = "ADDRESS/LENGTH",
                description = {
                    "internal: what the host's interface has, instead of what it had; may be repeated, none for nothing"
                })
        List<String> addresses = new ArrayList<>();

        @Option(
                names = "--nat",
                paramLabel = "user|kernel|auto",
                description = {
                    "nat: who translates addresses: a library, which needs no root; the host's kernel, which does; or the",
                    "kernel where nothing is in its way"
                })
        @Nullable
        String translation;

        @Override
        public Integer call() {
            Map<String, Object> body = new LinkedHashMap<>();
            if (mtu != null) {
                body.put("mtu", Quantities.integer("--mtu", mtu));
            }
            if (translation != null) {
                body.put("translation", translation);
            }
            if (hostInterface != null) {
                body.put("interface", hostInterface.equals("none") ? "" : hostInterface);
            }
            if (!addresses.isEmpty()) {
                body.put("addresses", addresses.equals(List.of("none")) ? List.of() : addresses);
            }
            if (body.isEmpty()) {
                throw new UsageException("there is nothing to change; torte switch set --help lists what can be");
            }
            return change(
                    "PATCH",
                    path(name),
                    body,
                    "change the switch " + name + ": " + String.join(", ", body.keySet()),
                    changed -> Output.list(text(changed)));
        }
    }

    @Command(name = "remove", description = "Removes a switch that no adapter is connected to.", sortOptions = false)
    static final class Remove extends ChangeCommand {
        @Parameters(index = "0", paramLabel = "SWITCH", description = "which")
        String name = "";

        @Override
        public Integer call() {
            return change("DELETE", path(name), null, "remove the switch " + name, _ -> "");
        }
    }

    private static Map<String, String> text(JsonNode one) {
        Map<String, String> lines = new LinkedHashMap<>();
        lines.put("name", one.path("name").asText());
        lines.put("type", one.path("type").asText());
        if (one.path("interface").isTextual()) {
            lines.put("interface", one.path("interface").asText());
        }
        lines.put("MTU", one.path("mtu").asText());
        for (JsonNode address : one.path("addresses")) {
            lines.merge("host's addresses", address.asText(), (a, b) -> a + ", " + b);
        }
        if (one.path("translation").isTextual()) {
            lines.put("addresses translated by", one.path("translation").asText());
        }
        if (one.path("names").isTextual()) {
            lines.put("names are resolved", one.path("names").asText());
        }
        for (String name : List.of("bridge", "subnet", "gateway", "domain", "problem")) {
            if (one.path(name).isTextual()) {
                lines.put(name, one.path(name).asText());
            }
        }
        for (JsonNode adapter : one.path("adapters")) {
            lines.merge(
                    "adapters",
                    adapter.path("vm").asText() + " (" + adapter.path("adapter").asText() + ")",
                    (a, b) -> a + ", " + b);
        }
        return lines;
    }
}
