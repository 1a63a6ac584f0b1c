package org.torte.machine.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.torte.machine.integration.KeyValueExchange.Pool;
import org.torte.machine.vmbus.TestGuest;
import org.torte.machine.vmbus.TestGuest.OpenChannel;

/** A guest that answers what nobody asked, in any order, with anything. */
@Timeout(120)
class HostileServiceGuestTest {
    private static final int STEPS = 4000;

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6})
    void noiseHarmsNobodyAndStateSavesAndRestoresInBetween(long salt) {
        long seed = Long.getLong("torte.seed", 1) * 100 + salt;
        System.out.println("seed " + seed);
        Random random = new Random(seed);
        try (ServiceGuest guest = new ServiceGuest(ServiceGuest.all())) {
            for (int step = 0; step < STEPS; step++) {
                IntegrationService service = List.of(ServiceGuest.all()).get(random.nextInt(ServiceGuest.all().length));
                switch (random.nextInt(8)) {
                    case 0 -> ask(guest, random);
                    case 1 -> guest.pass(random.nextInt(30) / 10.0);
                    case 2 -> {
                        if (random.nextInt(20) == 0) {
                            byte[] saved = guest.save();
                            if (random.nextBoolean()) {
                                guest.restore(saved);
                            }
                            guest.goOn();
                        }
                    }
                    case 3, 4 -> answerAlmost(guest, service, random);
                    default -> {
                        OpenChannel open = guest.channel(service);
                        boolean _ = open.write(open.packet(
                                random.nextInt(12), random.nextInt(2), random.nextLong(), new byte[0], noise(random)));
                        guest.signal(service);
                    }
                }
            }
            DynamicMemory.Status memory = guest.services.memory().orElseThrow().status();
            assertThat(memory.assigned()).isBetween(0L, (long) TestGuest.RAM);
        }
    }

    /** Answers the next message, or something like it. */
    private static void answerAlmost(ServiceGuest guest, IntegrationService service, Random random) {
        ByteBuffer data = guest.nextData(service);
        if (data == null) {
            return;
        }
        byte[] bytes = new byte[data.remaining()];
        data.get(bytes);
        if (bytes.length > 28) {
            bytes[25] = 5;
        }
        for (int i = random.nextInt(3); i > 0; i--) {
            bytes[random.nextInt(Math.min(bytes.length, 64))] = (byte) random.nextInt();
        }
        OpenChannel open = guest.channel(service);
        boolean _ = open.write(open.packet(6, 0, 0, new byte[0], bytes));
        guest.signal(service);
    }

    private static byte[] noise(Random random) {
        byte[] bytes = new byte[random.nextInt(10) == 0 ? random.nextInt(6000) : random.nextInt(80)];
        random.nextBytes(bytes);
        ByteBuffer view = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        if (bytes.length >= 28 && random.nextBoolean()) {
            view.putInt(0, 1).putInt(4, random.nextInt(bytes.length + 8)).put(25, (byte) 5);
            view.putShort(12, (short) random.nextInt(6)).put(24, (byte) random.nextInt(8));
        } else if (bytes.length >= 16) {
            view.putShort(0, (short) random.nextInt(14)).putShort(2, (short) random.nextInt(bytes.length + 8));
            if (random.nextBoolean()) {
                view.putInt(8, random.nextInt(3) << 16);
                view.putInt(12, random.nextInt(2 * bytes.length));
            }
            for (int at = 16; at + 8 <= bytes.length; at += 8) {
                view.putLong(at, random.nextInt(5000) | (long) random.nextInt(200) << 40);
            }
        }
        return bytes;
    }

    private static void ask(ServiceGuest guest, Random random) {
        IntegrationServices services = guest.services;
        CompletableFuture<?> _ = switch (random.nextInt(7)) {
            case 0 -> services.shutdown().orElseThrow().request(Shutdown.Kind.POWER_OFF, false, "");
            case 1 -> services.kvp().orElseThrow().pairs(List.of(Pool.values()).get(random.nextInt(5)));
            case 2 -> services.kvp().orElseThrow().set(Pool.EXTERNAL, "key" + random.nextInt(20), "v");
            case 3 -> services.vss().orElseThrow().freeze(1 + random.nextInt(20));
            case 4 -> services.vss().orElseThrow().thaw();
            case 5 -> services.memory().orElseThrow().setSize((long) (1 + random.nextInt(TestGuest.RAM >> 20)) << 20);
            default -> {
                try {
                    services.keyboard().orElseThrow().press(KeyStroke.of("noise"));
                } catch (ServiceException e) {
                    // The guest reads none, which is what it was told.
                    assertThat(e).hasMessageContaining("guest");
                }
                yield CompletableFuture.completedFuture(null);
            }
        };
    }
}
