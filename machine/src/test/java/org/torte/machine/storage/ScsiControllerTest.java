package org.torte.machine.storage;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Objects;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.torte.base.StateContainerReader;
import org.torte.base.StateContainerWriter;
import org.torte.disk.CreateOptions;
import org.torte.disk.DiskFormat;
import org.torte.disk.DiskOptions;
import org.torte.disk.VirtualDisk;
import org.torte.disk.VirtualDisks;
import org.torte.machine.vmbus.TestGuest;
import org.torte.machine.vmbus.TestGuest.OpenChannel;
import org.torte.machine.vmbus.TestGuest.Received;
import org.torte.machine.vmbus.Vmbus;

@Timeout(120)
class ScsiControllerTest {
    private static final UUID DISK = UUID.fromString("01234567-89ab-cdef-0123-456789abcdef");
    private static final UUID CONTROLLER = UUID.fromString("11111111-2222-3333-4444-555555555555");
    private static final int SECTOR = 512;
    private static final long SIZE = 16 << 20;
    private static final int GOOD = 1, FAILED_WITH_SENSE = 0x84, NO_UNIT = 0x20;

    /** Where the guest has its data: pages that are not neighbours. */
    private static final int DATA_PAGE = 2048;

    /** What is to be done later, when the test says so. */
    private final ArrayDeque<Runnable> later = new ArrayDeque<>();

    private boolean postponing;
    private @Nullable Executor threads;

    @TempDir
    Path folder;

    private final Executor executor = task -> {
        if (threads != null) {
            threads.execute(task);
        } else if (postponing) {
            later.add(task);
        } else {
            task.run();
        }
    };

    private final TestGuest guest = new TestGuest(executor);
    private final ScsiController controller = new ScsiController(guest.bus, 0, CONTROLLER, 4);
    private @Nullable VirtualDisk disk;
    private @Nullable OpenChannel channel;

    @BeforeEach
    void connect() {
        Path file = folder.resolve("disk.vhdx");
        VirtualDisks.create(file, DiskFormat.VHDX, CreateOptions.dynamic(SIZE), DiskOptions.readWrite());
        disk = VirtualDisks.open(file, DiskFormat.VHDX, DiskOptions.readWrite());
        controller.add(0, disk, DISK);
        guest.bus.attach(controller);
        guest.connect(TestGuest.NEWEST);
        channel = guest.open(guest.offers().getFirst(), 9);
    }

    @AfterEach
    void close() {
        disk().close();
        guest.close();
    }

    private VirtualDisk disk() {
        return Objects.requireNonNull(disk);
    }

    private OpenChannel channel() {
        return Objects.requireNonNull(channel);
    }

    private ByteBuffer exchange(int operation, int argument) {
        ByteBuffer packet = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);
        packet.putInt(0, operation).putShort(12, (short) argument);
        channel().send(5, packet.array());
        return answer();
    }

    private ByteBuffer answer() {
        Received received = Objects.requireNonNull(channel().receive());
        assertThat(received.data().getInt(0)).isEqualTo(1);
        return received.data();
    }

    private void initialize() {
        assertThat(exchange(7, 0).getInt(8)).isZero();
        assertThat(exchange(9, 0x602).getInt(8)).isZero();
        assertThat(exchange(10, 0).getInt(8)).isZero();
        assertThat(exchange(8, 0).getInt(8)).isZero();
    }

    private static byte[] packet(int unit, int direction, byte[] command) {
        ByteBuffer packet = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);
        packet.putInt(0, 3).putShort(12, (short) 0x34);
        packet.put(19, (byte) unit).put(20, (byte) command.length).put(22, (byte) direction);
        packet.put(28, command);
        return packet.array();
    }

    /** A descriptor of {@code length} bytes from {@code offset} of the first data page. */
    private static byte[] memory(int offset, int length) {
        int pages = (offset + length + 4095) / 4096;
        ByteBuffer out = ByteBuffer.allocate(16 + 8 * pages).order(ByteOrder.LITTLE_ENDIAN);
        out.putInt(0).putInt(1).putInt(length).putInt(offset);
        for (int i = 0; i < pages; i++) {
            out.putLong(DATA_PAGE + (i % 3 == 2 ? 500 + i : i));
        }
        return out.array();
    }

    private static long address(int offset, int at) {
        int i = (offset + at) / 4096;
        return (DATA_PAGE + (i % 3 == 2 ? 500 + i : i)) * 4096L + (offset + at) % 4096;
    }

    private void send(int unit, int direction, int offset, int length, int... command) {
        byte[] bytes = new byte[command.length];
        for (int i = 0; i < command.length; i++) {
            bytes[i] = (byte) command[i];
        }
        byte[] data = packet(unit, direction, bytes);
        OpenChannel open = channel();
        byte[] whole = length == 0
                ? open.packet(6, 1, 7, new byte[0], data)
                : open.packet(9, 1, 7, memory(offset, length), data);
        assertThat(open.write(whole)).isTrue();
        open.signal();
    }

    /** Carries out a command; gives the status of the request, and sense key and code in the upper bytes if there are. */
    private int execute(int unit, int direction, int length, int... command) {
        send(unit, direction, 8, length, command);
        return status(answer());
    }

    private static int status(ByteBuffer answer) {
        int status = answer.get(14) & 0xff;
        if (status != FAILED_WITH_SENSE) {
            return status;
        }
        assertThat(answer.get(15)).isEqualTo((byte) 2);
        return answer.get(28 + 2) << 16 | (answer.get(28 + 12) & 0xff) << 8 | answer.get(28 + 13) & 0xff;
    }

    private byte[] data(int length) {
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++) {
            bytes[i] = (byte) guest.memory.getByte(address(8, i));
        }
        return bytes;
    }

    private void fill(int offset, byte[] bytes) {
        for (int i = 0; i < bytes.length; i++) {
            guest.memory.putByte(address(offset, i), bytes[i]);
        }
    }

    @Test
    void versionsAreNegotiatedAndPropertiesTold() {
        assertThat(exchange(9, 0x603).getInt(8)).isNotZero();
        for (int version : new int[] {0x200, 0x402, 0x501, 0x600, 0x602}) {
            assertThat(exchange(9, version).getInt(8)).isZero();
        }
        ByteBuffer properties = exchange(10, 0);
        assertThat(properties.getShort(16)).isEqualTo((short) 3);
        assertThat(properties.getInt(24)).isEqualTo(256 << 10);
        assertThat(exchange(12, 0).getInt(8)).as("fibre channel").isNotZero();
    }

    @Test
    void furtherChannelsAreOfferedWhenTheGuestAsks() {
        initialize();
        assertThat(exchange(13, 2).getInt(8)).isZero();
        ByteBuffer offer = guest.expect(1);
        assertThat(offer.getShort(180)).as("first sub-channel").isEqualTo((short) 1);
        assertThat(guest.expect(1).getShort(180)).isEqualTo((short) 2);
        channel = guest.open(offer.getInt(184), 5);
        assertThat(execute(0, 2, 0, 0)).isEqualTo(GOOD);
        assertThat(exchange(13, 1).getInt(8)).as("asked on a sub-channel").isNotZero();
        guest.bus.stop();
        guest.bus.reset();
        assertThat(guest.messages).as("for the guest that starts anew").isEmpty();
    }

    @Test
    void inquiryNamesTheDiskAndItsPages() {
        assertThat(execute(0, 1, 96, 0x12, 0, 0, 0, 96, 0)).isEqualTo(GOOD);
        byte[] standard = data(36);
        assertThat(standard[0]).isZero();
        assertThat(new String(standard, 8, 28, StandardCharsets.US_ASCII)).isEqualTo("Torte   Virtual Disk    1.0 ");
        execute(0, 1, 255, 0x12, 1, 0, 0, 255, 0);
        assertThat(Arrays.copyOf(data(255), 10)).containsExactly(0, 0, 0, 6, 0, 0x80, 0x83, 0xb0, 0xb1, 0xb2);
        for (int page : new int[] {0, 0x80, 0x83, 0xb0, 0xb1, 0xb2}) {
            assertThat(execute(0, 1, 255, 0x12, 1, page, 0, 255, 0)).isEqualTo(GOOD);
            assertThat(data(2)[1]).isEqualTo((byte) page);
        }
        execute(0, 1, 255, 0x12, 1, 0x80, 0, 255, 0);
        assertThat(new String(data(255), 4, 32, StandardCharsets.US_ASCII))
                .isEqualTo(DISK.toString().replace("-", ""));
        assertThat(execute(0, 1, 255, 0x12, 1, 0x89, 0, 255, 0)).isEqualTo(0x52400);
        assertThat(execute(0, 1, 255, 0x12, 0, 1, 0, 255, 0)).isEqualTo(0x52400);
    }

    @Test
    void whereNoDiskIsNothingIsFound() {
        assertThat(execute(3, 1, 36, 0x12, 0, 0, 0, 36, 0)).isEqualTo(GOOD);
        assertThat(data(1)[0]).isEqualTo((byte) 0x7f);
        assertThat(execute(3, 2, 0, 0, 0, 0, 0, 0, 0)).isEqualTo(NO_UNIT);
        assertThat(execute(3, 1, 64, 0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0)).isEqualTo(GOOD);
        assertThat(Arrays.copyOf(data(64), 16)).containsExactly(0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    }

    @Test
    void capacityModesAndCommandsAreTold() {
        assertThat(execute(0, 1, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0)).isEqualTo(GOOD);
        assertThat(ByteBuffer.wrap(data(8)).getLong()).isEqualTo((SIZE / SECTOR - 1) << 32 | SECTOR);
        assertThat(execute(0, 1, 32, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0))
                .isEqualTo(GOOD);
        ByteBuffer capacity = ByteBuffer.wrap(data(32));
        assertThat(capacity.getLong()).isEqualTo(SIZE / SECTOR - 1);
        assertThat(capacity.get(13))
                .as("sectors in a physical one, as a power of 2")
                .isEqualTo((byte) 3);
        assertThat(execute(0, 1, 64, 0x1a, 0, 8, 0, 64, 0)).isEqualTo(GOOD);
        assertThat(data(7)[6] & 4).as("write cache").isEqualTo(4);
        assertThat(execute(0, 1, 64, 0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 64, 0)).isEqualTo(GOOD);
        assertThat(execute(0, 1, 64, 0x1a, 0, 5, 0, 64, 0)).isEqualTo(0x52400);
        assertThat(execute(0, 1, 255, 0xa3, 0x0c, 1, 0x42, 0, 0, 0, 0, 0, 255, 0, 0))
                .isEqualTo(GOOD);
        assertThat(data(2)[1]).as("UNMAP is supported").isEqualTo((byte) 3);
        assertThat(execute(0, 1, 255, 0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0))
                .isEqualTo(GOOD);
        assertThat(execute(0, 2, 0, 0xc0)).isEqualTo(0x52000);
        assertThat(execute(0, 1, 18, 3, 0, 0, 0, 18, 0)).isEqualTo(GOOD);
    }

    @Test
    void everySizeOfReadAndWriteMovesTheSameBytes() {
        long seed = 20261123;
        Random random = new Random(seed);
        byte[] model = new byte[(int) SIZE];
        int[] reads = {0x08, 0x28, 0xa8, 0x88}, writes = {0x0a, 0x2a, 0xaa, 0x8a};
        for (int i = 0; i < 400; i++) {
            int kind = random.nextInt(4);
            int count = 1 + random.nextInt(kind == 0 ? 200 : 500);
            int block = random.nextInt((int) (SIZE / SECTOR) - count);
            int offset = random.nextInt(3) == 0 ? random.nextInt(4096) : 0;
            int length = count * SECTOR;
            boolean write = random.nextBoolean();
            byte[] bytes = new byte[length];
            if (write) {
                random.nextBytes(bytes);
                fill(offset, bytes);
                System.arraycopy(bytes, 0, model, block * SECTOR, length);
            }
            send(0, write ? 0 : 1, offset, length, command((write ? writes : reads)[kind], block, count));
            ByteBuffer answer = answer();
            assertThat(status(answer)).as("seed %d, request %d", seed, i).isEqualTo(GOOD);
            assertThat(answer.getInt(24)).isEqualTo(length);
            if (!write) {
                for (int at = 0; at < length; at++) {
                    bytes[at] = (byte) guest.memory.getByte(address(offset, at));
                }
                assertThat(bytes)
                        .as("seed %d, request %d", seed, i)
                        .isEqualTo(Arrays.copyOfRange(model, block * SECTOR, block * SECTOR + length));
            }
        }
        byte[] all = new byte[(int) SIZE];
        disk().read(0, all);
        assertThat(Arrays.mismatch(all, model)).isEqualTo(-1);
    }

    private static int[] command(int operation, int block, int count) {
        byte[] bytes = new byte[16];
        ByteBuffer out = ByteBuffer.wrap(bytes);
        switch (operation >>> 5) {
            case 0 -> out.putInt(block).put((byte) count);
            case 4 -> out.putShort((short) 0).putLong(block).putInt(count);
            case 5 -> out.putShort((short) 0).putInt(block).putInt(count);
            default -> out.putShort((short) 0).putInt(block).put((byte) 0).putShort((short) count);
        }
        bytes[0] = (byte) operation;
        int length = operation >>> 5 == 0 ? 6 : operation >>> 5 == 4 ? 16 : operation >>> 5 == 5 ? 12 : 10;
        int[] command = new int[length];
        for (int i = 0; i < length; i++) {
            command[i] = bytes[i];
        }
        return command;
    }

    @Test
    void requestsOutsideTheDiskOrTheMemoryAreRefused() {
        int last = (int) (SIZE / SECTOR);
        assertThat(execute(0, 1, SECTOR, command(0x28, last, 1))).isEqualTo(0x52100);
        assertThat(execute(0, 1, SECTOR, command(0x28, last - 1, 1))).isEqualTo(GOOD);
        assertThat(execute(0, 1, SECTOR, command(0x88, -1, 1))).isEqualTo(0x52100);
        assertThat(execute(0, 1, SECTOR, command(0x28, 0, 2)))
                .as("too little memory")
                .isEqualTo(0x52400);
        assertThat(execute(0, 1, 0, command(0x28, 0, 1))).as("no memory").isEqualTo(0x52400);
        assertThat(execute(0, 0, 300 << 10, command(0x2a, 0, 600)))
                .as("too much")
                .isEqualTo(0x52400);
        byte[] outside = memory(0, SECTOR);
        ByteBuffer.wrap(outside).order(ByteOrder.LITTLE_ENDIAN).putLong(16, TestGuest.RAM / 4096);
        OpenChannel open = channel();
        byte[] command = new byte[10];
        command[0] = 0x28;
        command[8] = 1;
        open.write(open.packet(9, 1, 7, outside, packet(0, 1, command)));
        open.signal();
        assertThat(status(answer())).as("memory that is none").isEqualTo(0x52400);
    }

    @Test
    void unmappedAndZeroedBlocksReadAsZeroes() {
        byte[] bytes = new byte[64 * SECTOR];
        Arrays.fill(bytes, (byte) 7);
        disk().write(0, bytes);
        disk().write(4 << 20, bytes);
        byte[] list = new byte[24];
        ByteBuffer.wrap(list)
                .putShort((short) 22)
                .putShort((short) 16)
                .putInt(0)
                .putLong(0)
                .putInt((int) (SIZE / SECTOR));
        fill(8, list);
        assertThat(execute(0, 0, 24, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0)).isEqualTo(GOOD);
        byte[] read = new byte[64 * SECTOR];
        disk().read(0, read);
        assertThat(read).containsOnly(0);
        Arrays.fill(bytes, (byte) 9);
        fill(8, Arrays.copyOf(bytes, SECTOR));
        assertThat(execute(0, 0, SECTOR, command(0x41, 8, 300))).isEqualTo(GOOD);
        disk().read(8 * SECTOR, read);
        assertThat(read).containsOnly(9);
        fill(8, new byte[SECTOR]);
        assertThat(execute(0, 0, SECTOR, command(0x93, 8, 300))).isEqualTo(GOOD);
        disk().read(8 * SECTOR, read);
        assertThat(read).containsOnly(0);
        assertThat(execute(0, 0, SECTOR, command(0x93, 8, 0))).as("to the end").isEqualTo(0x52400);
        ByteBuffer.wrap(list).putInt(16, -1);
        fill(8, list);
        assertThat(execute(0, 0, 24, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0)).isEqualTo(0x52100);
        assertThat(execute(0, 0, 4, 0x42, 0, 0, 0, 0, 0, 0, 0, 4, 0)).isEqualTo(0x51a00);
        assertThat(execute(0, 2, 0, 0x35)).isEqualTo(GOOD);
    }

    @Test
    void aReadOnlyDiskIsNotWritten() {
        Path file = folder.resolve("fixed.raw");
        VirtualDisks.create(file, DiskFormat.RAW, CreateOptions.fixed(1 << 20), DiskOptions.readWrite());
        try (VirtualDisk other = VirtualDisks.open(file, DiskFormat.RAW, DiskOptions.readOnly())) {
            controller.add(5, other, DISK);
            assertThat(execute(5, 0, SECTOR, command(0x2a, 0, 1))).isEqualTo(0x72700);
            execute(5, 1, 64, 0x1a, 0, 8, 0, 64, 0);
            assertThat(data(3)[2]).as("write-protected").isEqualTo((byte) 0x80);
            controller.remove(5);
            assertThat(execute(5, 2, 0, 0)).isEqualTo(NO_UNIT);
        }
    }

    @Test
    void theGuestHearsOfDisksThatComeGoAndGrow() {
        initialize();
        Path file = folder.resolve("other.raw");
        VirtualDisks.create(file, DiskFormat.RAW, CreateOptions.fixed(1 << 20), DiskOptions.readWrite());
        try (VirtualDisk other = VirtualDisks.open(file, DiskFormat.RAW, DiskOptions.readWrite())) {
            controller.add(1, other, DISK);
            Received notice = Objects.requireNonNull(channel().receive());
            assertThat(notice.type()).isEqualTo(6);
            assertThat(notice.transaction()).isZero();
            assertThat(notice.data().getInt()).isEqualTo(11);
            other.resize(2 << 20);
            controller.capacityChanged(1);
            assertThat(Objects.requireNonNull(channel().receive()).data().getInt())
                    .isEqualTo(11);
            assertThat(execute(1, 2, 0, 0)).isEqualTo(0x62a09);
            assertThat(execute(1, 2, 0, 0)).isEqualTo(GOOD);
            controller.remove(1);
            assertThat(Objects.requireNonNull(channel().receive()).data().getInt())
                    .isEqualTo(11);
        }
    }

    @Test
    void onlySoManyRequestsAreTakenAtATime() {
        initialize();
        postponing = true;
        for (int i = 0; i < 40; i++) {
            send(0, 1, 8, SECTOR, command(0x28, i, 1));
        }
        int carriedOut = 0;
        int most = 0;
        while (!later.isEmpty()) {
            most = Math.max(most, later.size());
            later.remove().run();
            carriedOut++;
        }
        int answers = 0;
        while (channel().receive() != null) {
            answers++;
        }
        assertThat(answers).isEqualTo(40);
        assertThat(most).isLessThanOrEqualTo(ScsiController.MAX_UNDER_WAY + 1);
        assertThat(carriedOut).isGreaterThanOrEqualTo(40);
    }

    @Test
    void savedWithAnswersThatFoundNoRoomNoneIsLost() throws IOException {
        initialize();
        int sent = 0;
        while (guest.memory.getInt(channel().control(false, 12)) == 0) {
            send(0, 1, 8, 8, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0);
            sent++;
        }
        guest.bus.stop();
        byte[] saved = save(guest.bus, controller);

        Vmbus bus = new Vmbus(guest.bus.host(), guest);
        ScsiController again = new ScsiController(bus, 0, CONTROLLER, 4);
        again.add(0, disk(), DISK);
        bus.attach(again);
        StateContainerReader reader = new StateContainerReader(new ByteArrayInputStream(saved));
        reader.readRest(guest.memory);
        bus.restore(reader.section("bus", 1));
        again.restore(reader.section("scsi", 1));
        assertThat(save(bus, again)).isEqualTo(saved);
        int received = 0;
        while (channel().receive() != null) {
            received++;
        }
        bus.start();
        while (channel().receive() != null) {
            received++;
        }
        assertThat(received).isEqualTo(sent);
    }

    @Test
    void manyRequestsAtOnceEachDoWhatTheyShould() {
        long seed = 20261123;
        Random random = new Random(seed);
        int places = 64;
        int sectors = 8;
        long[] expected = new long[places];
        try (ExecutorService pool = Executors.newCachedThreadPool()) {
            threads = pool;
            for (int round = 0; round < 60; round++) {
                int requests = 0;
                for (int place = 0; place < places; place++) {
                    if (random.nextInt(3) == 0) {
                        continue;
                    }
                    // Each place has a page of its own in the guest.
                    long page = DATA_PAGE + place;
                    expected[place] = random.nextLong();
                    guest.memory.putLong(page * 4096, expected[place]);
                    byte[] range = memory(0, sectors * SECTOR);
                    ByteBuffer.wrap(range).order(ByteOrder.LITTLE_ENDIAN).putLong(16, page);
                    byte[] command = new byte[10];
                    ByteBuffer.wrap(command).put((byte) 0x2a).position(2).putInt(place * sectors);
                    command[8] = (byte) sectors;
                    byte[] packet = channel().packet(9, 1, place, range, packet(0, 0, command));
                    while (!channel().write(packet)) {
                        requests -= take();
                    }
                    channel().signal();
                    requests++;
                }
                while (requests > 0) {
                    requests -= take();
                }
            }
            guest.bus.stop();
        }
        for (int place = 0; place < places; place++) {
            byte[] block = new byte[SECTOR];
            disk().read((long) place * sectors * SECTOR, block);
            assertThat(ByteBuffer.wrap(block).order(ByteOrder.LITTLE_ENDIAN).getLong())
                    .as("seed %d, place %d", seed, place)
                    .isEqualTo(expected[place]);
        }
        assertThat(guest.failures).isEmpty();
    }

    /** Takes one answer if there is one; how many it was. */
    private int take() {
        Received received = channel().receive();
        if (received == null) {
            Thread.onSpinWait();
            return 0;
        }
        assertThat(status(received.data())).isEqualTo(GOOD);
        return 1;
    }

    /** An open channel with answers that wait; must load for ever. */
    @Test
    void theFirstVersionStillLoads() throws IOException {
        try (InputStream golden = ScsiControllerTest.class.getResourceAsStream("storage-1.torte")) {
            assertThat(golden).isNotNull();
            guest.bus.stop();
            StateContainerReader reader = new StateContainerReader(golden);
            reader.readRest(guest.memory);
            guest.bus.restore(reader.section("bus", 1));
            controller.restore(reader.section("scsi", 1));
            assertThat(save(guest.bus, controller)).isNotEmpty();
        }
    }

    private static byte[] save(Vmbus bus, ScsiController controller) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        StateContainerWriter writer = new StateContainerWriter(out, "test");
        writer.section("bus", 1, bus::save);
        writer.section("scsi", 1, controller::save);
        writer.finish();
        return out.toByteArray();
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4})
    void noiseInCommandsHarmsNobody(long seed) {
        Random random = new Random(seed);
        int[] operations = {
            0, 3, 8, 0xa, 0x12, 0x1a, 0x25, 0x28, 0x2a, 0x2f, 0x35, 0x41, 0x42, 0x5a, 0x88, 0x8a, 0x93, 0x9e, 0xa0, 0xa3
        };
        OpenChannel open = channel();
        for (int i = 0; i < 3000; i++) {
            byte[] packet = new byte[8 * random.nextInt(12)];
            random.nextBytes(packet);
            if (packet.length >= 48) {
                ByteBuffer view = ByteBuffer.wrap(packet).order(ByteOrder.LITTLE_ENDIAN);
                view.putInt(0, random.nextInt(8) == 0 ? random.nextInt(16) : 3);
                view.putInt(16, 0).put(20, (byte) random.nextInt(32));
                view.put(28, (byte) operations[random.nextInt(operations.length)]);
                view.putInt(29, random.nextInt(4) == 0 ? random.nextInt() : 0);
            }
            byte[] range = memory(random.nextInt(4096), 1 + random.nextInt(300_000));
            if (random.nextInt(4) == 0) {
                range[random.nextInt(range.length)] = (byte) random.nextInt();
            }
            open.write(open.packet(random.nextInt(3) == 0 ? 6 : 9, 1, i, range, packet));
            open.signal();
            while (open.receive() != null) {}
            assertThat(guest.failures).as("seed %d, request %d", seed, i).isEmpty();
        }
        assertThat(execute(0, 2, 0, 0)).isEqualTo(GOOD);
    }
}
