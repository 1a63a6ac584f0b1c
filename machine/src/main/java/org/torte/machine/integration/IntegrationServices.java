package org.torte.machine.integration;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.LongSupplier;
import org.torte.base.Timers;
import org.torte.machine.vmbus.Vmbus;
import org.torte.machine.vmbus.VmbusDevice;

/** The integration services that a machine has. Safe for several threads. */
public final class IntegrationServices {
    private final List<IntegrationListener> listeners = new CopyOnWriteArrayList<>();
    private final Optional<Heartbeat> heartbeat;
    private final Optional<Shutdown> shutdown;
    private final Optional<TimeSync> time;
    private final Optional<KeyValueExchange> kvp;
    private final Optional<Backup> vss;
    private final Optional<DynamicMemory> memory;
    private final Optional<Keyboard> keyboard;

    /**
     * Makes services and attaches them to the bus.
     *
     * @param referenceTime the guest's partition reference time, in units of 100 ns
     */
    public IntegrationServices(Set<IntegrationService> wanted, Vmbus bus, Timers timers, LongSupplier referenceTime) {
        heartbeat = wanted.contains(IntegrationService.HEARTBEAT)
                ? Optional.of(new Heartbeat(timers, state -> listeners.forEach(l -> l.heartbeat(state))))
                : Optional.empty();
        shutdown = wanted.contains(IntegrationService.SHUTDOWN) ? Optional.of(new Shutdown(timers)) : Optional.empty();
        time = wanted.contains(IntegrationService.TIME)
                ? Optional.of(new TimeSync(timers, referenceTime))
                : Optional.empty();
        kvp = wanted.contains(IntegrationService.KVP) ? Optional.of(new KeyValueExchange(timers)) : Optional.empty();
        vss = wanted.contains(IntegrationService.VSS)
                ? Optional.of(new Backup(timers, state -> listeners.forEach(l -> l.backup(state))))
                : Optional.empty();
        memory = wanted.contains(IntegrationService.MEMORY)
                ? Optional.of(new DynamicMemory(bus.host()))
                : Optional.empty();
        keyboard = wanted.contains(IntegrationService.KEYBOARD) ? Optional.of(new Keyboard()) : Optional.empty();
        devices().forEach(bus::attach);
    }

    private List<VmbusDevice> devices() {
        List<VmbusDevice> devices = new ArrayList<>();
        heartbeat.ifPresent(service -> devices.add(service.link));
        shutdown.ifPresent(service -> devices.add(service.link));
        time.ifPresent(service -> devices.add(service.link));
        kvp.ifPresent(service -> devices.add(service.link));
        vss.ifPresent(service -> devices.add(service.link));
        memory.ifPresent(devices::add);
        keyboard.ifPresent(devices::add);
        return devices;
    }

    /** Adds somebody who is told from now on. */
    public void listen(IntegrationListener listener) {
        listeners.add(listener);
    }

    /** Removes somebody who was added. */
    public void unlisten(IntegrationListener listener) {
        listeners.remove(listener);
    }

    /** Whether the guest is alive. */
    public Optional<Heartbeat> heartbeat() {
        return heartbeat;
    }

    /** Shutting down and restarting. */
    public Optional<Shutdown> shutdown() {
        return shutdown;
    }

    /** The guest's clock. */
    public Optional<TimeSync> time() {
        return time;
    }

    /** Keys and values. */
    public Optional<KeyValueExchange> kvp() {
        return kvp;
    }

    /** Freezing and thawing. */
    public Optional<Backup> vss() {
        return vss;
    }

    /** The guest's memory. */
    public Optional<DynamicMemory> memory() {
        return memory;
    }

    /** Typing. */
    public Optional<Keyboard> keyboard() {
        return keyboard;
    }
}
