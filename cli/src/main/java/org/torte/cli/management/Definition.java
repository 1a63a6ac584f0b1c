package org.torte.cli.management;

import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.torte.cli.DiskOption;
import org.torte.cli.NetworkOption;
import org.torte.cli.Quantities;
import org.torte.cli.UsageException;
import org.torte.worker.DiskSource;
import picocli.CommandLine.Option;

/** The options that say what a virtual machine is. */
final class Definition {
    private static final String CABLE = "cable:";

    @Option(names = "--processors", paramLabel = "N", description = "virtual processors, 1 to 64")
    @Nullable
    String processors;

    @Option(
            names = "--cpu-limit",
            paramLabel = "PERCENT",
            description = "how much of a processor of the host each of its processors gets at most, such as 50%%")
    @Nullable
    String limit;

    @Option(names = "--memory", paramLabel = "SIZE", description = "RAM, such as 512M or 2G")
    @Nullable
    String memory;

    @Option(
            names = "--memory-minimum",
            paramLabel = "SIZE",
            description = "makes memory dynamic: the guest has what it needs, from this up to --memory")
    @Nullable
    String memoryMinimum;

    @Option(
            names = "--memory-startup",
            paramLabel = "SIZE",
            description = "what it has until it has told its need (default: all of --memory)")
    @Nullable
    String memoryStartup;

    @Option(
            names = "--memory-buffer",
            paramLabel = "PERCENT",
            description = "what it has beyond its need, 5%% to 2000%% of that (default: 20%%)")
    @Nullable
    String memoryBuffer;

    @Option(names = "--no-dynamic-memory", description = "the guest has all of its memory")
    boolean noDynamicMemory;

    @Option(names = "--kernel", paramLabel = "FILE", description = "what it starts from; without one, its first disk")
    @Nullable
    String kernel;

    @Option(names = "--initrd", paramLabel = "FILE", description = "initial RAM disk; may be repeated")
    List<String> initrds = new ArrayList<>();

    @Option(names = "--append", paramLabel = "TEXT", description = "the kernel's command line")
    @Nullable
    String append;

    @Option(
            names = "--disk",
            paramLabel = "FILE[,ro][,format=F]",
            description = "a disk: raw, vhd or vhdx, as its name or format= says; may be repeated")
    List<String> disks = new ArrayList<>();

    @Option(
            names = "--network",
            paramLabel = "NETWORK[,OPTION...]",
            description = {
                "a network adapter: nat, switch:NAME, cable:PATH or none; for nat, and for switches of that type, also",
                "forward=HOST-PORT:GUEST-PORT, for nat service=PORT:SOCKET too, which may be repeated; name= and mac= unless",
                "those are to be chosen. May be repeated"
            })
    List<String> networks = new ArrayList<>();

    @Option(names = "--no-network", description = "no network adapter")
    boolean noNetwork;

    @Option(names = "--hypervisor", paramLabel = "auto|software|kvm", description = "auto, software or kvm")
    @Nullable
    String hypervisor;

    @Option(
            names = "--translator",
            paramLabel = "on|off",
            description = "on or off: whether a software processor translates what it executes often into host code")
    @Nullable
    String translator;

    @Option(
            names = "--automatic-start",
            paramLabel = "nothing|if-it-ran|always",
            description = "nothing, if-it-ran or always: what happens when the service starts")
    @Nullable
    String automaticStart;

    @Option(names = "--notes", paramLabel = "TEXT", description = "free text")
    @Nullable
    String notes;

    /** What was given, as the service wants it. */
    Map<String, Object> given() {
        Map<String, Object> body = new LinkedHashMap<>();
        if (processors != null) {
            body.put("processors", Quantities.integer("--processors", processors));
        }
        if (limit != null) {
            body.put("processorLimit", percent("--cpu-limit", limit));
        }
        if (memory != null) {
            body.put("memory", Quantities.bytes("--memory", memory));
        }
        Map<String, Object> dynamic = dynamicMemory();
        if (!dynamic.isEmpty()) {
            body.put("dynamicMemory", dynamic);
        }
        if (kernel != null || append != null || !initrds.isEmpty()) {
            Map<String, Object> boot = new LinkedHashMap<>();
            if (kernel != null) {
                boot.put("kernel", absolute("--kernel", kernel));
            }
            boot.put(
                    "initrds",
                    initrds.stream().map(file -> absolute("--initrd", file)).toList());
            boot.put("commandLine", append == null ? "" : append);
            body.put("boot", boot);
        }
        if (!disks.isEmpty()) {
            body.put("disks", disks.stream().map(text -> disk("--disk", text)).toList());
        }
        if (noNetwork && !networks.isEmpty()) {
            throw new UsageException("--no-network and --network exclude each other; leave one out");
        }
        if (noNetwork || !networks.isEmpty()) {
            body.put("adapters", networks.stream().map(Definition::adapter).toList());
        }
        put(body, "hypervisor", hypervisor);
        put(body, "translator", translator);
        put(body, "automaticStart", automaticStart);
        put(body, "notes", notes);
        return body;
    }

    private Map<String, Object> dynamicMemory() {
        Map<String, Object> dynamic = new LinkedHashMap<>();
        if (memoryMinimum != null) {
            dynamic.put("minimum", Quantities.bytes("--memory-minimum", memoryMinimum));
        }
        if (memoryStartup != null) {
            dynamic.put("startup", Quantities.bytes("--memory-startup", memoryStartup));
        }
        if (memoryBuffer != null) {
            dynamic.put("buffer", percent("--memory-buffer", memoryBuffer));
        }
        if (noDynamicMemory) {
            if (!dynamic.isEmpty()) {
                throw new UsageException(
                        "--no-dynamic-memory and the other options of dynamic memory exclude each other; leave one out");
            }
            dynamic.put("enabled", false);
        }
        return dynamic;
    }

    private static int percent(String option, String text) {
        return Quantities.integer(option, text.endsWith("%") ? text.substring(0, text.length() - 1) : text);
    }

    private static Map<String, Object> adapter(String text) {
        NetworkOption.Parts parts = NetworkOption.split(text, Set.of("name", "mac", "forward", "service"));
        Map<String, Object> adapter = new LinkedHashMap<>();
        String plug = parts.plug();
        adapter.put(
                "network",
                plug.startsWith(CABLE) && plug.length() > CABLE.length()
                        ? CABLE + absolute("--network", plug.substring(CABLE.length()))
                        : plug);
        parts.last("name").ifPresent(name -> adapter.put("name", name));
        parts.last("mac").ifPresent(mac -> adapter.put("address", mac));
        adapter.put("forwards", parts.all("forward"));
        adapter.put(
                "services",
                parts.all("service").stream().map(Definition::service).toList());
        return adapter;
    }

    /** A socket is meant from where the command is given. */
    private static String service(String text) {
        int colon = text.indexOf(':');
        return colon < 0 ? text : text.substring(0, colon + 1) + absolute("service=", text.substring(colon + 1));
    }

    private static void put(Map<String, Object> body, String name, @Nullable String value) {
        if (value != null) {
            body.put(name, value);
        }
    }

    /** A disk, as the service wants it. */
    static Map<String, Object> disk(String option, String text) {
        DiskSource source = DiskOption.parse(option, text);
        Map<String, Object> disk = new LinkedHashMap<>();
        disk.put("path", absolute(option, source.file().toString()));
        disk.put("format", source.format().name().toLowerCase(java.util.Locale.ROOT));
        disk.put("readOnly", source.readOnly());
        return disk;
    }

    private static String absolute(String option, String file) {
        if (file.isEmpty()) {
            throw new UsageException(option + " takes the path of a file, and is empty");
        }
        try {
            return Path.of(file).toAbsolutePath().normalize().toString();
        } catch (InvalidPathException e) {
            throw new UsageException(option + " takes the path of a file, not \"" + file + "\"", e);
        }
    }
}
