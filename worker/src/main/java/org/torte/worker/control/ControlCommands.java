package org.torte.worker.control;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import org.torte.disk.DiskFormat;
import org.torte.machine.integration.Backup;
import org.torte.machine.integration.DynamicMemory;
import org.torte.machine.integration.Heartbeat;
import org.torte.machine.integration.IntegrationService;
import org.torte.machine.integration.KeyStroke;
import org.torte.machine.integration.KeyValueExchange;
import org.torte.machine.integration.KeyValueExchange.Pool;
import org.torte.machine.integration.ServiceException;
import org.torte.machine.integration.Shutdown;
import org.torte.worker.Capture;
import org.torte.worker.DiskSource;
import org.torte.worker.InputException;
import org.torte.worker.VirtualMachine;

/** What can be asked of a machine. Safe for several threads; a call may take long. */
public final class ControlCommands {
    private static final int DEFAULT_SECONDS = 180, MAX_SECONDS = 3600;
    private static final int DEFAULT_HOLD = 60;
    private static final int MAX_TYPED = 1024;
    /** Of what is written to the console, so much waits for the guest, in bytes. */
    private static final int MAX_PENDING = 64 << 10;

    private final VirtualMachine machine;
    private final CheckpointCommands checkpoints;
    private final DiskCommands disks;

    /** Who waits for an answer; is told, in a few words, about what takes time. */
    @FunctionalInterface
    public interface Asker extends Consumer<String> {
        /** Whether nobody waits any more: what can be ended without harm ends then. */
        default boolean gone() {
            return false;
        }

        /** Whether it is not wanted any more: what can be undone ends then. */
        default boolean cancelled() {
            return false;
        }
    }

    /** Commands for one machine. */
    public ControlCommands(VirtualMachine machine) {
        this.machine = machine;
        checkpoints = new CheckpointCommands(machine);
        disks = new DiskCommands(machine);
    }

    /**
     * Carries out a request.
     *
     * @param method its name
     * @param parameters by name: strings, whole numbers, booleans
     * @param progress is told about what takes time
     * @return the result: maps, lists, strings, numbers and booleans
     * @throws ControlException when it fails
     */
    public Map<String, Object> execute(String method, Map<String, Object> parameters, Asker progress) {
        try {
            return run(method, new ControlParameters(parameters), progress);
        } catch (ServiceException e) {
            throw new ControlException(ControlException.Code.GUEST, String.valueOf(e.getMessage()));
        } catch (InputException e) {
            throw new ControlException(ControlException.Code.HOST, String.valueOf(e.getMessage()));
        } catch (IllegalArgumentException e) {
            throw ControlParameters.bad(String.valueOf(e.getMessage()));
        }
    }

    private Map<String, Object> run(String method, ControlParameters parameters, Asker progress) {
        return switch (method) {
            case "ping" -> {
                parameters.allow();
                yield Map.of();
            }
            case "status" -> {
                parameters.allow();
                yield status();
            }
            case "pause" -> {
                parameters.allow();
                requireAlive();
                machine.pause();
                yield state();
            }
            case "resume" -> {
                parameters.allow();
                requireAlive();
                machine.resume();
                yield state();
            }
            case "stop" -> {
                parameters.allow();
                machine.powerOff();
                yield Map.of();
            }
            case "shutdown" -> shutdown(Shutdown.Kind.POWER_OFF, parameters);
            case "restart" -> shutdown(Shutdown.Kind.RESTART, parameters);
            case "save" -> save(parameters, progress);
            case "heartbeat" -> {
                parameters.allow();
                yield heartbeat();
            }
            case "kvp.get" -> pairs(parameters);
            case "kvp.set" -> setPair(parameters);
            case "kvp.remove" -> removePair(parameters);
            case "freeze" -> freeze(parameters, progress);
            case "thaw" -> {
                parameters.allow("timeout");
                await(
                        service(machine.integration().vss(), IntegrationService.VSS)
                                .thaw(),
                        parameters);
                yield backup();
            }
            case "memory" -> memory(parameters, progress);
            case "processor-limit" -> {
                parameters.allow("percent");
                if (parameters.has("percent")) {
                    machine.limitProcessors((int) parameters.number("percent", 1, 100, null));
                }
                yield Map.of("percent", machine.processorLimit());
            }
            case "disk.add" -> addDisk(parameters);
            case "disk.remove" -> {
                parameters.allow("unit");
                requireAlive();
                machine.removeDisk((int) parameters.number("unit", 0, Integer.MAX_VALUE, null));
                yield disks();
            }
            case "disk.list" -> {
                parameters.allow();
                yield disks.list();
            }
            case "disk.grow" -> {
                requireAlive();
                yield disks.grow(parameters);
            }
            case "disk.merge" -> {
                requireAlive();
                yield disks.merge(parameters, progress);
            }
            case "checkpoint.new" -> {
                requireAlive();
                yield checkpoints.create(parameters, progress);
            }
            case "checkpoint.merge" -> {
                requireAlive();
                yield checkpoints.merge(parameters, progress);
            }
            case "checkpoint.disks" -> {
                parameters.allow();
                yield checkpoints.disks();
            }
            case "capture.start" -> {
                parameters.allow("adapter", "file", "length");
                requireAlive();
                machine.startCapture(adapter(parameters), parameters.path("file"), (int)
                        parameters.number("length", 1, Capture.MAX_LENGTH, (long) Capture.MAX_LENGTH));
                yield Map.of();
            }
            case "capture.stop" -> {
                parameters.allow("adapter");
                yield NetworkStatus.capture(machine.stopCapture(adapter(parameters)));
            }
            case "type" -> type(parameters);
            case "console.write" -> writeConsole(parameters);
            default -> throw ControlParameters.bad("there is no method \"" + method + "\"");
        };
    }

    // ---- the machine

    private Map<String, Object> state() {
        return Map.of("state", text(machine.state()));
    }

    private static String text(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    private void requireAlive() {
        if (machine.state() == VirtualMachine.State.ENDED) {
            throw wrongState("the machine has ended");
        }
    }

    /** The guest can only do something while it runs. */
    private void requireRunning() {
        requireAlive();
        if (machine.state() != VirtualMachine.State.RUNNING) {
            throw wrongState("the machine does not run; resume it first");
        }
    }

    private static ControlException wrongState(String message) {
        return new ControlException(ControlException.Code.WRONG_STATE, message);
    }

    private Map<String, Object> status() {
        Map<String, Object> status = new LinkedHashMap<>(state());
        status.put("processors", machine.statistics().processors());
        status.put("processor-limit", machine.processorLimit());
        status.put("running-ms", machine.statistics().running().toMillis());
        status.put("memory", memoryStatus());
        machine.integration().heartbeat().ifPresent(heartbeat -> status.put("heartbeat", heartbeat()));
        machine.integration().vss().ifPresent(vss -> status.put("file-systems", text(vss.state())));
        machine.integration().kvp().ifPresent(kvp -> status.put("key-value-pairs", kvp.isReady()));
        status.putAll(disks());
        status.put("adapters", NetworkStatus.of(machine));
        return status;
    }

    private Map<String, Object> disks() {
        List<Map<String, Object>> list = new ArrayList<>();
        machine.disks()
                .forEach((unit, source) -> list.add(Map.of(
                        "unit",
                        unit,
                        "file",
                        source.file().toAbsolutePath().toString(),
                        "format",
                        text(source.format()),
                        "read-only",
                        source.readOnly())));
        return Map.of("disks", list);
    }

    private static int adapter(ControlParameters parameters) {
        return (int) parameters.number("adapter", 0, Integer.MAX_VALUE, null);
    }

    private Map<String, Object> save(ControlParameters parameters, Consumer<String> progress) {
        parameters.allow("file", "keep-running");
        requireAlive();
        Path file = parameters.path("file");
        boolean wasRunning = machine.state() == VirtualMachine.State.RUNNING;
        machine.pause();
        progress.accept("saving");
        try {
            machine.save(file);
        } catch (RuntimeException e) {
            if (wasRunning) {
                machine.resume();
            }
            throw e;
        }
        if (!parameters.flag("keep-running")) {
            machine.powerOff();
        } else if (wasRunning) {
            machine.resume();
        }
        return Map.of("file", file.toString());
    }

    private Map<String, Object> addDisk(ControlParameters parameters) {
        parameters.allow("file", "format", "read-only");
        requireAlive();
        Path file = parameters.path("file");
        DiskFormat format = switch (parameters.text("format", "")) {
            case "" -> DiskSource.formatOf(file);
            case "raw" -> DiskFormat.RAW;
            case "vhd" -> DiskFormat.VHD;
            case "vhdx" -> DiskFormat.VHDX;
            default -> throw ControlParameters.bad("formats are raw, vhd and vhdx");
        };
        return Map.of("unit", machine.addDisk(new DiskSource(file, format, parameters.flag("read-only"))));
    }

    // ---- the guest

    private static <T> T service(Optional<T> service, IntegrationService which) {
        return service.orElseThrow(
                () -> wrongState("the machine was made without the integration service " + which.text()));
    }

    private <T> T await(CompletableFuture<T> future, ControlParameters parameters) {
        long seconds = parameters.number("timeout", 1, MAX_SECONDS, (long) DEFAULT_SECONDS);
        try {
            return future.get(seconds, TimeUnit.SECONDS);
        } catch (TimeoutException e) {
            throw new ControlException(
                    ControlException.Code.TIMEOUT,
                    "the guest has not done it within " + seconds + " seconds; it may still come to it");
        } catch (ExecutionException e) {
            if (e.getCause() instanceof ServiceException cause) {
                throw cause;
            }
            throw new IllegalStateException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new ControlException(ControlException.Code.TIMEOUT, "interrupted");
        }
    }

    private Map<String, Object> shutdown(Shutdown.Kind kind, ControlParameters parameters) {
        parameters.allow("force", "message", "timeout");
        requireRunning();
        Shutdown shutdown = service(machine.integration().shutdown(), IntegrationService.SHUTDOWN);
        await(shutdown.request(kind, parameters.flag("force"), parameters.text("message", "")), parameters);
        return Map.of();
    }

    private Map<String, Object> heartbeat() {
        Heartbeat.Status status = service(machine.integration().heartbeat(), IntegrationService.HEARTBEAT)
                .status();
        Map<String, Object> shown = new LinkedHashMap<>();
        shown.put("state", text(status.state()));
        shown.put("interval-ms", Heartbeat.INTERVAL / 1_000_000);
        shown.put("answers", status.answers());
        if (status.age() >= 0) {
            shown.put("age-ms", status.age() / 1_000_000);
        }
        return shown;
    }

    private static Pool pool(String name) {
        return switch (name) {
            case "host" -> Pool.EXTERNAL;
            case "guest" -> Pool.GUEST;
            case "guest-facts" -> Pool.AUTO;
            case "host-facts" -> Pool.AUTO_EXTERNAL;
            default -> throw ControlParameters.bad("pools are host, guest, guest-facts and host-facts");
        };
    }

    private Map<String, Object> pairs(ControlParameters parameters) {
        parameters.allow("pool", "key", "timeout");
        requireRunning();
        Pool pool = pool(parameters.text("pool", "guest-facts"));
        Map<String, String> pairs = await(
                service(machine.integration().kvp(), IntegrationService.KVP).pairs(pool), parameters);
        if (!parameters.has("key")) {
            return Map.of("pairs", pairs);
        }
        String key = parameters.text("key");
        String value = pairs.get(key);
        if (value == null) {
            throw new ControlException(ControlException.Code.GUEST, "the guest has no value for \"" + key + "\"");
        }
        return Map.of("pairs", Map.of(key, value));
    }

    private Map<String, Object> setPair(ControlParameters parameters) {
        parameters.allow("pool", "key", "value", "timeout");
        requireAlive();
        KeyValueExchange kvp = service(machine.integration().kvp(), IntegrationService.KVP);
        Pool pool = pool(parameters.text("pool", "host"));
        return Map.of("delivered", await(kvp.set(pool, parameters.text("key"), parameters.text("value")), parameters));
    }

    private Map<String, Object> removePair(ControlParameters parameters) {
        parameters.allow("pool", "key", "timeout");
        requireAlive();
        KeyValueExchange kvp = service(machine.integration().kvp(), IntegrationService.KVP);
        Pool pool = pool(parameters.text("pool", "host"));
        return Map.of("delivered", await(kvp.remove(pool, parameters.text("key")), parameters));
    }

    private Map<String, Object> backup() {
        return Map.of(
                "file-systems", text(machine.integration().vss().orElseThrow().state()));
    }

    private Map<String, Object> freeze(ControlParameters parameters, Consumer<String> progress) {
        parameters.allow("hold", "timeout");
        requireRunning();
        Backup vss = service(machine.integration().vss(), IntegrationService.VSS);
        int hold = (int) parameters.number("hold", 1, Backup.MAX_HOLD, (long) DEFAULT_HOLD);
        progress.accept("freezing");
        await(vss.freeze(hold), parameters);
        return backup();
    }

    private Map<String, Object> memoryStatus() {
        Map<String, Object> shown = new LinkedHashMap<>();
        shown.put("total", machine.statistics().memoryBytes());
        shown.put("committed-on-host", machine.statistics().committedBytes());
        machine.integration().memory().ifPresent(service -> {
            DynamicMemory.Status status = service.status();
            shown.put("dynamic", status.ready());
            shown.put("wanted", status.wanted());
            shown.put("assigned", status.assigned());
            shown.put("limited", status.limited());
            if (status.committed() >= 0) {
                shown.put("guest-committed", status.committed());
                shown.put("guest-available", status.available());
                shown.put("guest-reports", status.reports());
            }
        });
        return shown;
    }

    private Map<String, Object> memory(ControlParameters parameters, Consumer<String> progress) {
        parameters.allow("size", "timeout");
        if (parameters.has("size")) {
            requireRunning();
            DynamicMemory memory = service(machine.integration().memory(), IntegrationService.MEMORY);
            progress.accept("moving memory");
            await(memory.setSize(parameters.number("size", 1, Long.MAX_VALUE, null)), parameters);
        }
        return memoryStatus();
    }

    private Map<String, Object> writeConsole(ControlParameters parameters) {
        parameters.allow("bytes");
        requireAlive();
        String bytes = parameters.text("bytes");
        if (bytes.chars().anyMatch(c -> c > 0xff)) {
            throw ControlParameters.bad("\"bytes\" has one character, U+0000 to U+00FF, for each byte");
        }
        if (machine.console().pendingInput() > MAX_PENDING) {
            throw new ControlException(
                    ControlException.Code.BUSY, "the guest has not read what was written to its console before");
        }
        machine.console().type(bytes.getBytes(StandardCharsets.ISO_8859_1));
        return Map.of();
    }

    private Map<String, Object> type(ControlParameters parameters) {
        parameters.allow("text");
        requireRunning();
        String text = parameters.text("text");
        if (text.length() > MAX_TYPED) {
            throw ControlParameters.bad("at most " + MAX_TYPED + " characters are typed at once");
        }
        service(machine.integration().keyboard(), IntegrationService.KEYBOARD).press(KeyStroke.of(text));
        return Map.of();
    }
}
