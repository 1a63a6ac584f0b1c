package org.torte.machine.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.torte.base.ManualClock;
import org.torte.base.ManualTimers;
import org.torte.base.StateContainerReader;
import org.torte.base.StateContainerWriter;
import org.torte.machine.hyperv.HypercallStatus;
import org.torte.machine.vmbus.BusHost;
import org.torte.machine.vmbus.TestGuest;
import org.torte.machine.vmbus.TestGuest.OpenChannel;
import org.torte.machine.vmbus.TestGuest.Received;
import org.torte.machine.vmbus.Vmbus;

/** A guest on a bus with all services, which answers only what the test tells it to. */
final class ServiceGuest implements AutoCloseable {
    static final long SECOND = 1_000_000_000;
    static final Instant EPOCH = Instant.parse("2026-11-29T01:02:03.456789Z");

    final ManualClock clock = new ManualClock(EPOCH);
    final ManualTimers timers = new ManualTimers(clock);
    final AtomicLong referenceTime = new AtomicLong(12_345);
    final TestGuest guest = new TestGuest();
    final List<String> events = new ArrayList<>();
    private final Map<IntegrationService, OpenChannel> channels = new LinkedHashMap<>();
    Vmbus bus = guest.bus;
    IntegrationServices services;

    /** Opens the channels of these services; the others are there and closed. */
    ServiceGuest(IntegrationService... open) {
        services = attach(bus);
        timers.resume();
        guest.connect(TestGuest.NEWEST);
        List<Integer> offered = guest.offers();
        for (IntegrationService service : open) {
            channels.put(
                    service,
                    guest.open(offered.get(List.of(IntegrationService.values()).indexOf(service)), 5));
        }
    }

    private IntegrationServices attach(Vmbus to) {
        IntegrationServices made = new IntegrationServices(IntegrationService.ALL, to, timers, referenceTime::get);
        made.listen(new IntegrationListener() {
            @Override
            public void heartbeat(Heartbeat.State state) {
                events.add("heartbeat " + state);
            }

            @Override
            public void backup(Backup.State state) {
                events.add("backup " + state);
            }
        });
        return made;
    }

    OpenChannel channel(IntegrationService service) {
        return Objects.requireNonNull(channels.get(service));
    }

    /** Lets time pass, in steps of a tenth of a second, and timers fire. */
    void pass(double seconds) {
        for (int i = 0; i < Math.round(seconds * 10); i++) {
            clock.advance(SECOND / 10);
            timers.runDue();
        }
        timers.runDue();
    }

    /** The data of the next packet that is not a completion; null when there is none. */
    @Nullable
    ByteBuffer nextData(IntegrationService service) {
        while (true) {
            Received received = channel(service).receive();
            if (received == null) {
                return null;
            }
            if (received.type() == 6) {
                return received.data();
            }
        }
    }

    /** The next message; null when there is none. */
    @Nullable
    ServiceMessage poll(IntegrationService service) {
        ByteBuffer data = nextData(service);
        return data == null ? null : Objects.requireNonNull(ServiceMessage.parse(data));
    }

    ServiceMessage next(IntegrationService service) {
        return Objects.requireNonNull(poll(service), "the host has sent nothing");
    }

    void send(IntegrationService service, byte[] data) {
        OpenChannel open = channel(service);
        assertThat(open.write(open.packet(6, 0, 0, new byte[0], data))).isTrue();
        signal(service);
    }

    /** Signals the bus that is there now. */
    void signal(IntegrationService service) {
        assertThat(bus.signal(0x2000 | channel(service).id, 0)).isEqualTo(HypercallStatus.SUCCESS);
    }

    void answer(IntegrationService service, ServiceMessage message, int status, byte[] body) {
        send(
                service,
                new ServiceMessage(
                                message.framework(),
                                message.type(),
                                message.version(),
                                status,
                                message.transaction(),
                                ServiceMessage.FLAG_TRANSACTION | ServiceMessage.FLAG_ANSWER,
                                body)
                        .bytes());
    }

    void answer(IntegrationService service, ServiceMessage message) {
        answer(service, message, ServiceMessage.OK, message.body());
    }

    /** Takes the offer of versions, and answers with the first ones. */
    void negotiate(IntegrationService service) {
        negotiate(service, 0);
    }

    /** The same with another one of the messages' versions. */
    void negotiate(IntegrationService service, int index) {
        ServiceMessage offer = next(service);
        assertThat(offer.type()).isEqualTo(ServiceMessage.NEGOTIATE);
        ByteBuffer versions = offer.view();
        int frameworks = versions.getShort(0);
        ByteBuffer chosen = ByteBuffer.allocate(16).order(ByteOrder.LITTLE_ENDIAN);
        chosen.putShort((short) 1).putShort((short) 1).putInt(0);
        chosen.putInt(versions.getInt(8)).putInt(versions.getInt(8 + 4 * (frameworks + index)));
        answer(service, offer, ServiceMessage.OK, chosen.array());
        timers.runDue();
    }

    // ---- state

    byte[] save() {
        bus.stop();
        timers.pause();
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        StateContainerWriter writer = new StateContainerWriter(out, "test");
        writer.section("bus", bus.stateVersion(), bus::save);
        bus.devices().forEach(device -> writer.section(device.name(), device.stateVersion(), device::save));
        writer.ram(guest.memory);
        writer.finish();
        return out.toByteArray();
    }

    /** Lets the machine go on after it was saved. */
    void goOn() {
        timers.resume();
        bus.start();
        timers.runDue();
    }

    /** Goes on with new devices on a new bus, from a saved state. */
    void restore(byte[] saved) {
        events.clear();
        bus = new Vmbus(new BusHost(guest.memory, (address, length) -> {}, Runnable::run, guest.failures::add), guest);
        services = attach(bus);
        try {
            StateContainerReader reader = new StateContainerReader(new ByteArrayInputStream(saved));
            reader.readRest(guest.memory);
            bus.restore(reader.section("bus", bus.stateVersion()));
            bus.devices().forEach(device -> device.restore(reader.section(device.name(), device.stateVersion())));
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    /** All services. */
    static IntegrationService[] all() {
        return Set.copyOf(IntegrationService.ALL).stream().sorted().toArray(IntegrationService[]::new);
    }

    @Override
    public void close() {
        assertThat(guest.failures).isEmpty();
        guest.close();
    }
}
