package org.torte.cli.management;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.torte.cli.UsageException;
import org.torte.cli.output.Output;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** The commands of {@code torte adapter} that show and change adapters at switches. */
final class AdapterChangeCommands {
    private static final String ALL = "adapters";

    private AdapterChangeCommands() {}

    /** The adapter that a command is about. */
    static final class AdapterOption {
        @Option(
                names = "--adapter",
                paramLabel = "ADAPTER",
                description = "which (default: the first); torte adapter list shows them")
        private String adapter = "";

        /** Where the service has it. */
        String path(ServiceClient service, VmParameter vm) {
            String name = adapter;
            if (name.isEmpty()) {
                JsonNode all = service.get(vm.path(ALL));
                if (all.isEmpty()) {
                    throw new UsageException(
                            vm.name() + " has no network adapters; give it one with torte vm set --network");
                }
                name = all.path(0).path("name").asText();
            }
            return vm.path(ALL) + "/" + ServiceClient.segment(name);
        }
    }

    /** Changes one adapter. */
    abstract static class Change extends ChangeCommand {
        @Mixin
        VmParameter vm = new VmParameter();

        @Mixin
        AdapterOption adapter = new AdapterOption();

        int change(Map<String, Object> body) {
            String path = adapter.path(service(), vm);
            String name = path.substring(path.lastIndexOf('/') + 1);
            return change(
                    "PATCH",
                    path,
                    body,
                    "change adapter " + name + " of " + vm.name() + ": " + String.join(", ", body.keySet()),
                    changed -> Output.list(text(changed)));
        }
    }

    @Command(name = "list", description = "Lists the network adapters of a machine.", sortOptions = false)
    static final class ListAdapters extends ServiceOptions {
        @Mixin
        VmParameter vm = new VmParameter();

        @Override
        public Integer call() {
            JsonNode all = service().get(vm.path(ALL));
            List<List<String>> rows = new ArrayList<>();
            rows.add(List.of("NAME", "NETWORK", "ADDRESS", "FORWARDS", "GUEST"));
            for (JsonNode one : all) {
                List<String> forwards = new ArrayList<>();
                one.path("forwards").forEach(forward -> forwards.add(forward.asText()));
                List<String> addresses = new ArrayList<>();
                one.path("live")
                        .path("addresses")
                        .forEach(known -> addresses.add(known.path("address").asText()));
                rows.add(List.of(
                        one.path("name").asText(),
                        one.path("network").asText(),
                        one.path("address").asText(),
                        forwards.isEmpty() ? "-" : String.join(" ", forwards),
                        addresses.isEmpty() ? "-" : String.join(" ", addresses)));
            }
            show(all, Output.table(rows));
            return 0;
        }
    }

    @Command(
            name = "get",
            description = "Shows an adapter: what holds at its port, what went through, and what was dropped and why.",
            sortOptions = false)
    static final class Get extends ServiceOptions {
        @Mixin
        VmParameter vm = new VmParameter();

        @Mixin
        AdapterOption adapter = new AdapterOption();

        @Override
        public Integer call() {
            JsonNode one = service().get(adapter.path(service(), vm));
            show(one, Output.list(text(one)));
            return 0;
        }
    }

    @Command(
            name = "connect",
            description = "Connects an adapter to a switch; at once, if it was at one before.",
            sortOptions = false)
    static final class Connect extends Change {
        @Parameters(index = "1", arity = "0..1", paramLabel = "SWITCH", description = "which (default: the one it has)")
        String network = "";

        @Override
        public Integer call() {
            Map<String, Object> body = new LinkedHashMap<>();
            if (!network.isEmpty()) {
                body.put("network", "switch:" + network);
            }
            body.put("disconnected", false);
            return change(body);
        }
    }

    @Command(name = "disconnect", description = "Pulls the cable of an adapter at a switch.", sortOptions = false)
    static final class Disconnect extends Change {
        @Override
        public Integer call() {
            return change(Map.of("disconnected", true));
        }
    }

    @Command(
            name = "forward",
            description = {
                "Lets ports of the host lead to the guest, at once; the adapter is at a switch of type nat, such as Default.",
                "Without ports it shows those that there are."
            },
            sortOptions = false)
    static final class Forward extends Change {
        @Parameters(
                index = "1..*",
                arity = "0..*",
                paramLabel = "[ADDRESS:]HOST-PORT:GUEST-PORT[/udp]",
                description = "such as 2222:22 or [::1]:2222:22; without an address the host listens on 127.0.0.1 only")
        List<String> forwards = new ArrayList<>();

        @Option(names = "--remove", description = "removes them instead")
        boolean remove;

        @Override
        public Integer call() {
            if (forwards.isEmpty()) {
                JsonNode one = service().get(adapter.path(service(), vm));
                StringBuilder text = new StringBuilder();
                one.path("forwards")
                        .forEach(forward ->
                                text.append(Output.printable(forward.asText())).append('\n'));
                show(one.path("forwards"), text.toString());
                return 0;
            }
            return change(Map.of(remove ? "removeForwards" : "addForwards", forwards));
        }
    }

    @Command(
            name = "set",
            description = "Changes what holds at the port of a switch that an adapter is connected to; at once.",
            sortOptions = false)
    static final class Set extends Change {
        @Option(
                names = "--vlan",
                paramLabel = "VLANS",
                description = "10 for one VLAN, \"trunk 10,20-29\", perhaps with \" untagged 5\" after it, or none")
        @Nullable
        String vlan;

        @Option(
                names = "--mac-spoofing",
                paramLabel = "on|off",
                description = "whether the guest may use other Ethernet addresses than the adapter's, as bridges do")
        @Nullable
        String macSpoofing;

        @Option(
                names = "--dhcp-guard",
                paramLabel = "on|off",
                description = "drops what DHCP servers in the guest send")
        @Nullable
        String dhcpGuard;

        @Option(
                names = "--router-guard",
                paramLabel = "on|off",
                description = "drops router advertisements and redirections of the guest")
        @Nullable
        String routerGuard;

        @Option(
                names = "--bandwidth",
                paramLabel = "RATE",
                description = "what the guest may send in a second, such as 100Mbit or 1Gbit, or none")
        @Nullable
        String bandwidth;

        @Option(
                names = "--mirroring",
                paramLabel = "source|destination|none",
                description = "source (it is shown to all destinations of its switch), destination or none")
        @Nullable
        String mirroring;

        @Option(
                names = "--rule",
                paramLabel = "RULE",
                description = {
                    "such as \"deny out tcp remote 10.0.0.0/8 remote-port 25\": allow or deny, in, out or both, a protocol,",
                    "local and remote PREFIX, local-port and remote-port N[-M], remote-mac ADDRESS; the first that fits",
                    "decides. May be repeated; all rules are replaced"
                })
        List<String> rules = new ArrayList<>();

        @Option(names = "--no-rules", description = "removes all rules")
        boolean noRules;

        @Override
        public Integer call() {
            Map<String, Object> body = new LinkedHashMap<>();
            if (vlan != null) {
                body.put("vlan", vlan.equals("none") ? "" : vlan);
            }
            flag(body, "macSpoofing", "--mac-spoofing", macSpoofing);
            flag(body, "dhcpGuard", "--dhcp-guard", dhcpGuard);
            flag(body, "routerGuard", "--router-guard", routerGuard);
            if (bandwidth != null) {
                body.put("bandwidth", rate(bandwidth));
            }
            if (mirroring != null) {
                body.put("mirroring", mirroring);
            }
            if (noRules && !rules.isEmpty()) {
                throw new UsageException("--no-rules and --rule exclude each other; leave one out");
            }
            if (noRules || !rules.isEmpty()) {
                body.put("rules", rules);
            }
            if (body.isEmpty()) {
                throw new UsageException("there is nothing to change; torte adapter set --help lists what can be");
            }
            return change(body);
        }

        private static void flag(Map<String, Object> body, String name, String option, @Nullable String value) {
            if (value != null) {
                switch (value) {
                    case "on" -> body.put(name, true);
                    case "off" -> body.put(name, false);
                    default -> throw new UsageException(option + " takes on or off, not \"" + value + "\"");
                }
            }
        }

        /** Bits a second; units are powers of 1000. */
        static long rate(String text) {
            if (text.equals("none")) {
                return 0;
            }
            String lower = text.toLowerCase(Locale.ROOT);
            long unit = lower.endsWith("kbit") ? 1000L : lower.endsWith("mbit") ? 1_000_000L : 1_000_000_000L;
            if (!lower.matches("[1-9]\\d{0,6}[kmg]bit")) {
                throw new UsageException(
                        "--bandwidth takes a rate such as 100Mbit or 1Gbit, or none, not \"" + text + "\"");
            }
            return Long.parseLong(lower.substring(0, lower.length() - 4)) * unit;
        }
    }

    /** For people. */
    private static Map<String, String> text(JsonNode one) {
        Map<String, String> lines = new LinkedHashMap<>();
        lines.put("name", one.path("name").asText());
        lines.put("address", one.path("address").asText());
        lines.put("network", one.path("network").asText());
        one.path("forwards").forEach(forward -> lines.merge("forwards", forward.asText(), (a, b) -> a + ", " + b));
        one.path("services").forEach(each -> lines.merge("services", each.asText(), (a, b) -> a + ", " + b));
        if (one.path("problem").isTextual()) {
            lines.put("problem", one.path("problem").asText());
        }
        JsonNode port = one.path("port");
        if (port.path("disconnected").asBoolean()) {
            lines.put("cable", "pulled");
        }
        if (!port.path("vlan").asText().isEmpty()) {
            lines.put("VLAN", port.path("vlan").asText());
        }
        for (String name : List.of("macSpoofing", "dhcpGuard", "routerGuard")) {
            if (port.path(name).asBoolean()) {
                lines.put(name.replaceAll("([A-Z])", " $1").toLowerCase(Locale.ROOT), "on");
            }
        }
        if (port.path("bandwidth").asLong() > 0) {
            lines.put("bandwidth", port.path("bandwidth").asLong() + " bit/s");
        }
        if (port.isObject() && !port.path("mirroring").asText().equals("none")) {
            lines.put("mirroring", port.path("mirroring").asText());
        }
        int count = 0;
        for (JsonNode rule : port.path("rules")) {
            lines.put("rule " + ++count, rule.asText());
        }
        addLive(one.path("live"), lines);
        return lines;
    }

    private static void addLive(JsonNode live, Map<String, String> lines) {
        if (!live.isObject()) {
            return;
        }
        lines.put(
                "sent",
                live.path("framesSent").asLong() + " frames, "
                        + Output.size(live.path("bytesSent").asLong()));
        lines.put(
                "received",
                live.path("framesReceived").asLong() + " frames, "
                        + Output.size(live.path("bytesReceived").asLong()));
        live.path("sentDropped")
                .properties()
                .forEach(drop -> lines.put(
                        "dropped when sent, " + drop.getKey(), drop.getValue().asText()));
        live.path("receivedDropped")
                .properties()
                .forEach(drop -> lines.put(
                        "dropped when received, " + drop.getKey(),
                        drop.getValue().asText()));
        for (JsonNode known : live.path("addresses")) {
            lines.merge(
                    "guest's addresses",
                    known.path("address").asText() + " (" + known.path("from").asText() + ")",
                    (a, b) -> a + ", " + b);
        }
    }
}
