package org.torte.machine;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import org.torte.base.GuestMemory;
import org.torte.base.StateException;
import org.torte.hypervisor.PartitionConfiguration;
import org.torte.machine.integration.IntegrationService;

/**
 * What a machine is, apart from what it runs on: all that must be equal for saved state to fit. Its text form is stored
 * at the head of saved state.
 *
 * @param memoryBytes RAM, a positive multiple of 1 MiB up to {@link #MAX_MEMORY}
 * @param processors virtual processors, 1 to {@link PartitionConfiguration#MAX_PROCESSORS}
 * @param cpuModel a name from {@link CpuModels}
 * @param tscFrequency ticks of the time-stamp counter per second
 * @param exitPort an I/O port through which the guest ends the machine with a status of its own, if wanted
 * @param integration the integration services that it has
 */
public record MachineConfiguration(
        long memoryBytes,
        int processors,
        String cpuModel,
        long tscFrequency,
        OptionalInt exitPort,
        Set<IntegrationService> integration) {
    /** The most RAM of one machine: 1 TiB, half of what the smallest physical address space could hold. */
    public static final long MAX_MEMORY = 1L << 40;

    /** The least RAM: 2 MiB, below which there is no room for the tables and a kernel. */
    public static final long MIN_MEMORY = 2L << 20;

    /** The default rate of the time-stamp counter: one tick a nanosecond. */
    public static final long DEFAULT_TSC_FREQUENCY = 1_000_000_000L;

    private static final long MEBIBYTE = 1L << 20;

    /** Checks the ranges. */
    public MachineConfiguration {
        integration = Set.copyOf(integration);
        if (memoryBytes < MIN_MEMORY || memoryBytes > MAX_MEMORY || memoryBytes % MEBIBYTE != 0) {
            throw new IllegalArgumentException(
                    "a machine has 2 MiB to 1 TiB of memory in whole MiB, not " + memoryBytes + " bytes");
        }
        if (processors < 1 || processors > PartitionConfiguration.MAX_PROCESSORS) {
            throw new IllegalArgumentException(
                    "a machine has 1 to " + PartitionConfiguration.MAX_PROCESSORS + " processors, not " + processors);
        }
        if (!CpuModels.names().contains(cpuModel)) {
            throw new IllegalArgumentException(
                    "there is no processor model " + cpuModel + "; known are " + String.join(", ", CpuModels.names()));
        }
        if (exitPort.isPresent() && (exitPort.getAsInt() < 0 || exitPort.getAsInt() > 0xffff)) {
            throw new IllegalArgumentException("ports are 0 to 0xffff, not " + exitPort.getAsInt());
        }
    }

    /** A machine with the default processor model, all integration services and no exit port. */
    public MachineConfiguration(long memoryBytes, int processors) {
        this(
                memoryBytes,
                processors,
                CpuModels.DEFAULT,
                DEFAULT_TSC_FREQUENCY,
                OptionalInt.empty(),
                IntegrationService.ALL);
    }

    /** The same machine with an exit port: the guest writes {@code v} there and the exit status is {@code v << 1 | 1}. */
    public MachineConfiguration withExitPort(int port) {
        return new MachineConfiguration(
                memoryBytes, processors, cpuModel, tscFrequency, OptionalInt.of(port), integration);
    }

    /** The same machine with these integration services and no others. */
    public MachineConfiguration withIntegration(Set<IntegrationService> services) {
        return new MachineConfiguration(memoryBytes, processors, cpuModel, tscFrequency, exitPort, services);
    }

    /** Reserves the RAM of such a machine. */
    GuestMemory allocateMemory() {
        return GuestMemory.allocate(memoryBytes);
    }

    /** The text form: one {@code name = value} per line. */
    public String toText() {
        StringBuilder text = new StringBuilder();
        text.append("memory = ").append(memoryBytes).append('\n');
        text.append("processors = ").append(processors).append('\n');
        text.append("cpu-model = ").append(cpuModel).append('\n');
        text.append("tsc-frequency = ").append(tscFrequency).append('\n');
        exitPort.ifPresent(port -> text.append("exit-port = ").append(port).append('\n'));
        if (!integration.isEmpty()) {
            text.append("integration = ")
                    .append(IntegrationService.text(integration))
                    .append('\n');
        }
        return text.toString();
    }

    /**
     * Reads the text form.
     *
     * @throws StateException when the text is not one, or describes a machine that this version does not know
     */
    public static MachineConfiguration parse(String text) {
        Map<String, String> values = new LinkedHashMap<>();
        for (String line : text.lines().toList()) {
            int equals = line.indexOf('=');
            if (equals < 0
                    || values.put(
                                    line.substring(0, equals).strip(),
                                    line.substring(equals + 1).strip())
                            != null) {
                throw unreadable("line \"" + line + "\"");
            }
        }
        try {
            String exitPort = values.remove("exit-port");
            // Machines saved by older versions have no services.
            String integration = values.remove("integration");
            MachineConfiguration result = new MachineConfiguration(
                    Long.parseLong(take(values, "memory")),
                    Integer.parseInt(take(values, "processors")),
                    take(values, "cpu-model"),
                    Long.parseLong(take(values, "tsc-frequency")),
                    exitPort == null ? OptionalInt.empty() : OptionalInt.of(Integer.parseInt(exitPort)),
                    IntegrationService.parse(integration == null ? "" : integration));
            if (!values.isEmpty()) {
                throw unreadable("unknown setting " + values.keySet().iterator().next());
            }
            return result;
        } catch (IllegalArgumentException e) {
            throw unreadable(String.valueOf(e.getMessage()));
        }
    }

    private static String take(Map<String, String> values, String name) {
        String value = values.remove(name);
        if (value == null) {
            throw unreadable("no setting " + name);
        }
        return value;
    }

    private static StateException unreadable(String why) {
        return new StateException("the machine definition in the saved state cannot be used: " + why
                + "; it needs the version of Torte that wrote it or a newer one");
    }
}
