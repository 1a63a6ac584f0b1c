package org.torte.machine.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.torte.machine.vmbus.TestGuest;

/** The saved state of services in the middle of what they do, as the first version wrote it. */
class ServiceStateTest {
    private static final int MIB = 1 << 20;

    /** Heartbeat and key-value request under way, frozen, memory half given up, keys waiting. */
    private static void keepBusy(ServiceGuest guest) {
        for (IntegrationService service : List.of(
                IntegrationService.HEARTBEAT,
                IntegrationService.SHUTDOWN,
                IntegrationService.TIME,
                IntegrationService.KVP,
                IntegrationService.VSS)) {
            guest.negotiate(service);
        }
        IntegrationServices services = guest.services;
        CompletableFuture<Boolean> _ = services.kvp().orElseThrow().set(KeyValueExchange.Pool.EXTERNAL, "key", "value");
        CompletableFuture<Void> _ = services.vss().orElseThrow().freeze(30);
        guest.answer(IntegrationService.VSS, guest.next(IntegrationService.VSS));
        guest.answer(IntegrationService.VSS, guest.next(IntegrationService.VSS));
        ByteBuffer message = ByteBuffer.allocate(32).order(ByteOrder.LITTLE_ENDIAN);
        message.putShort((short) 1).putShort((short) 16).putInt(1).putInt(2 << 16);
        guest.send(IntegrationService.MEMORY, message.array());
        message.clear().putShort((short) 3).putShort((short) 32).putInt(2).putLong(1);
        guest.send(IntegrationService.MEMORY, message.array());
        CompletableFuture<DynamicMemory.Status> _ =
                services.memory().orElseThrow().setSize(TestGuest.RAM - MIB);
        message.clear()
                .putShort((short) 7)
                .putShort((short) 24)
                .putInt(3)
                .putInt(0)
                .putInt(3);
        message.putLong(3000 | 100L << 40);
        guest.send(IntegrationService.MEMORY, message.array());
        guest.send(IntegrationService.KEYBOARD, new byte[] {1, 0, 0, 0, 0, 0, 1, 0});
        services.keyboard().orElseThrow().press(KeyStroke.of("x".repeat(500)));
    }

    private static byte[] golden() throws IOException {
        try (InputStream stream = ServiceStateTest.class.getResourceAsStream("services-1.torte")) {
            return Objects.requireNonNull(stream).readAllBytes();
        }
    }

    @Test
    void theFirstVersionIsStillWhatIsWritten() throws IOException {
        try (ServiceGuest guest = new ServiceGuest(ServiceGuest.all())) {
            keepBusy(guest);
            assertThat(guest.save()).isEqualTo(golden());
        }
    }

    @Test
    void aStateOfTheFirstVersionGoesOn() throws IOException {
        try (ServiceGuest guest = new ServiceGuest(ServiceGuest.all())) {
            guest.bus.stop();
            guest.restore(golden());
            guest.goOn();
            assertThat(guest.services.vss().orElseThrow().state()).isEqualTo(Backup.State.THAWING);
            assertThat(guest.services.memory().orElseThrow().status().assigned())
                    .isEqualTo(TestGuest.RAM - 100 * 4096);
            assertThat(guest.next(IntegrationService.KVP).body())
                    .isEqualTo(KeyValueMessage.set(KeyValueExchange.Pool.EXTERNAL, "key", "value"));
            assertThat(guest.next(IntegrationService.HEARTBEAT).view().getLong(0))
                    .isEqualTo(1);
        }
    }
}
