package org.torte.machine.vmbus;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.torte.base.GuestMemory;
import org.torte.base.StateContainerReader;
import org.torte.base.StateContainerWriter;
import org.torte.base.net.LinkState;
import org.torte.base.net.MacAddress;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.machine.hyperv.HypercallStatus;
import org.torte.machine.network.SyntheticAdapter;
import org.torte.machine.storage.ScsiController;
import org.torte.network.cable.LoopbackPort;

/**
 * A guest that does everything wrong against the bus with its real devices: versions, buffers that overlap or lie outside
 * RAM, channels opened twice and closed under work, ring positions, packets of both devices that make no sense, contact
 * anew, reset, save and restore. Between that it brings the devices to work ({@link WorkingGuest}), so that what is wrong
 * meets devices in all their states. It names pages of one part of its RAM only; nothing else may ever change.
 */
@Timeout(120)
class HostileBusGuestTest {
    private static final int[] VERSIONS = {
        0x20004, 0x30000, 0x40000, 0x40001, 0x50000, 0x50001, 0x50002, 0x50003, 0x60000, 7
    };
    private static final int FIRST_PAGE = 64, PAGES = 256, ROUNDS = 6000, CHANNELS = 3, HANDLES = 6;
    private static final long DISK = 4 << 20;

    /** After so many steps the guest makes contact anew, and after so many it opens its channels anew. */
    private static final int CONNECT = 200, REOPEN = 40;

    /** Of ten steps, how many are work. */
    private static final int WORK = 6;

    /** How often at least each device has done what it is for, in every run. */
    private static final int LEAST = 20;

    @TempDir
    Path folder;

    private final TestGuest guest = new TestGuest();
    private Random random = new Random();

    private int page() {
        return FIRST_PAGE + random.nextInt(PAGES);
    }

    private long number() {
        return switch (random.nextInt(40)) {
            case 0 -> random.nextLong();
            case 1 -> TestGuest.RAM / GuestMemory.PAGE_SIZE + random.nextInt(1 << 20);
            default -> page();
        };
    }

    private HypercallStatus post(int type, int... values) {
        guest.messages.clear();
        return guest.post(type, values);
    }

    private void giveBuffer() {
        int count = 1 + random.nextInt(26);
        int start = page();
        boolean row = random.nextBoolean();
        ByteBuffer message = ByteBuffer.allocate(28 + 8 * count).order(ByteOrder.LITTLE_ENDIAN);
        message.putInt(8).putInt(0).putInt(1 + random.nextInt(CHANNELS)).putInt(random.nextInt(HANDLES));
        message.putShort((short) (random.nextInt(20) == 0 ? random.nextInt() : 8 + 8 * count));
        message.putShort((short) (random.nextInt(20) == 0 ? random.nextInt(3) : 1));
        message.putInt(random.nextInt(20) == 0 ? random.nextInt() : GuestMemory.PAGE_SIZE * count);
        message.putInt(random.nextInt(20) == 0 ? random.nextInt(5000) : 0);
        for (int i = 0; i < count; i++) {
            message.putLong(row ? Math.min(start + i, FIRST_PAGE + PAGES - 1) : number());
        }
        guest.messages.clear();
        guest.bus.post(4, 1, message.array());
    }

    private void open() {
        int[] values = new int[35];
        values[0] = 1 + random.nextInt(CHANNELS);
        values[1] = random.nextInt();
        values[2] = random.nextInt(HANDLES);
        values[3] = random.nextInt(20) == 0 ? random.nextInt() : random.nextInt(4);
        values[4] = random.nextInt(20) == 0 ? random.nextInt() : 2 + random.nextInt(6);
        post(5, values);
    }

    private void contact() {
        int version = VERSIONS[random.nextInt(VERSIONS.length)];
        int connection = version >= 0x50000 ? 4 : 1;
        ByteBuffer message = ByteBuffer.allocate(40).order(ByteOrder.LITTLE_ENDIAN);
        message.putInt(14).putInt(0).putInt(version).putInt(random.nextInt(6));
        message.putInt(connection == 4 ? random.nextInt(4) : 0x5000);
        guest.messages.clear();
        guest.bus.post(connection, 1, message.array());
        post(3);
    }

    /** Scribbles over a page as if it were a ring's control page, or packets. */
    private void scribble() {
        long at = (long) GuestMemory.PAGE_SIZE * page();
        if (random.nextBoolean()) {
            for (int field = 0; field < 16; field += 4) {
                if (random.nextInt(3) == 0) {
                    guest.memory.putInt(
                            at + field, random.nextInt(8) == 0 ? random.nextInt() : 8 * random.nextInt(600));
                }
            }
            return;
        }
        int[] kinds = {6, 9, 0xb, 7, 6, 9};
        int[] messages = {1, 3, 7, 8, 9, 10, 13, 100, 101, 104, 107, 107, 125, 133};
        long position = at + 8L * random.nextInt(100);
        guest.memory.putShort(position, kinds[random.nextInt(kinds.length)]);
        guest.memory.putShort(position + 2, random.nextInt(12) == 0 ? random.nextInt() : 2 + random.nextInt(6));
        guest.memory.putShort(position + 4, random.nextInt(12) == 0 ? random.nextInt() : 8 + random.nextInt(12));
        guest.memory.putShort(position + 6, random.nextInt(2));
        guest.memory.putLong(position + 8, random.nextInt(1000));
        for (int i = 16; i < 200; i += 4) {
            int value = random.nextInt(3) == 0 ? messages[random.nextInt(messages.length)] : random.nextInt(8192);
            guest.memory.putInt(position + i, value);
        }
        guest.memory.putInt(position + 20, 1);
        guest.memory.putLong(position + 32, number());
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 1, 2, 3})
    void nothingThatAGuestDoesThrowsGrowsOrReachesMemoryThatItDidNotName(long offset) throws IOException {
        long seed = Long.getLong("torte.seed", 1) + offset;
        System.out.println("seed " + seed);
        random = new Random(seed);
        Path image = folder.resolve("disk.img");
        VirtualDisks.create(image, DiskFormat.RAW, CreateOptions.fixed(DISK), DiskOptions.readWrite());
        try (VirtualDisk disk = VirtualDisks.open(image, DiskFormat.RAW, DiskOptions.readWrite())) {
            ScsiController controller = new ScsiController(guest.bus, 0, new UUID(1, 1), 4);
            controller.add(0, disk, new UUID(2, 2));
            SyntheticAdapter adapter =
                    new SyntheticAdapter(guest.bus, 0, new UUID(3, 3), new MacAddress(0x020000000001L), 4);
            adapter.connect(new LoopbackPort(LinkState.DEFAULT_MTU));
            guest.bus.attach(controller);
            guest.bus.attach(adapter);
            contact();
            WorkingGuest working = new WorkingGuest(guest, FIRST_PAGE, random);
            for (int round = 0; round < ROUNDS; round++) {
                if (round % CONNECT == 0) {
                    working.connect();
                }
                if (round % REOPEN == 0) {
                    working.open();
                } else if (random.nextInt(10) < WORK) {
                    working.work();
                } else {
                    step(controller, adapter);
                    working.learn();
                }
                assertThat(guest.failures).as("seed %d, round %d", seed, round).isEmpty();
            }
            for (WorkingGuest.Reached what : WorkingGuest.Reached.values()) {
                System.out.println("  " + what + " " + working.reached(what));
                assertThat(working.reached(what)).as("%s", what).isGreaterThan(LEAST);
            }
            assertThat(othersTouched())
                    .as("bytes of pages that were never named")
                    .isEmpty();
            guest.bus.reset();
            guest.messages.clear();
            assertThat(guest.connect(TestGuest.NEWEST)).isTrue();
            assertThat(guest.offers()).hasSize(2);
        }
        guest.close();
    }

    private void step(ScsiController controller, SyntheticAdapter adapter) throws IOException {
        switch (random.nextInt(200)) {
            case 0 -> contact();
            case 1 -> {
                post(16);
                contact();
            }
            case 2 -> saveAndRestoreInPlace();
            case 3 -> {
                VmbusDevice device = random.nextBoolean() ? controller : adapter;
                guest.bus.detach(device);
                post(13, 1 + random.nextInt(CHANNELS));
                guest.bus.attach(device);
            }
            default -> {
                switch (random.nextInt(12)) {
                    case 0, 1 -> giveBuffer();
                    case 2, 3 -> open();
                    case 4 -> post(7, 1 + random.nextInt(CHANNELS));
                    case 5 -> post(11, 1 + random.nextInt(CHANNELS), random.nextInt(HANDLES));
                    case 6 -> post(22, 1 + random.nextInt(CHANNELS), random.nextInt(6));
                    case 7 -> post(9, 1, random.nextInt(HANDLES), random.nextInt(), random.nextInt());
                    case 8, 9 -> scribble();
                    default -> guest.bus.signal(0x2000 | random.nextInt(CHANNELS), 0);
                }
            }
        }
        guest.interrupts.clear();
    }

    /** The state that a hostile guest has made can be saved, and loads again. */
    private void saveAndRestoreInPlace() throws IOException {
        guest.bus.stop();
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        StateContainerWriter writer = new StateContainerWriter(out, "test");
        writer.section("bus", 1, guest.bus::save);
        List<VmbusDevice> devices = guest.bus.devices();
        for (VmbusDevice device : devices) {
            writer.section(device.name(), device.stateVersion(), device::save);
        }
        writer.finish();
        StateContainerReader reader = new StateContainerReader(new ByteArrayInputStream(out.toByteArray()));
        reader.readRest(guest.memory);
        guest.bus.restore(reader.section("bus", 1));
        for (VmbusDevice device : devices) {
            device.restore(reader.section(device.name(), device.stateVersion()));
        }
        guest.bus.start();
    }

    private List<Long> othersTouched() {
        List<Long> touched = new ArrayList<>();
        long named = (long) GuestMemory.PAGE_SIZE * FIRST_PAGE;
        long end = named + (long) GuestMemory.PAGE_SIZE * PAGES;
        for (long at = 0; at < TestGuest.RAM; at += 8) {
            if ((at < named || at >= end) && guest.memory.getLong(at) != 0) {
                touched.add(at);
            }
        }
        return touched;
    }
}
