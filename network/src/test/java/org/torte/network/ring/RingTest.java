package org.torte.network.ring;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.torte.base.net.FrameBatch;

class RingTest {
    private static final long SEED = Long.getLong("torte.seed", 1);

    private final Arena arena = Arena.ofShared();
    private final MemorySegment memory = arena.allocate(Ring.SIZE, 4096);
    private final RingWriter writer = new RingWriter(memory);
    private final RingReader reader = new RingReader(memory);
    private final FrameBatch out = new FrameBatch(64, 512 << 10);
    private final FrameBatch in = new FrameBatch(48, 256 << 10);

    @AfterEach
    void close() {
        arena.close();
    }

    private void add(byte[] bytes, int flags, int segmentSize, int vlan) {
        int at = out.append(bytes.length);
        assertThat(at).isNotNegative();
        MemorySegment.copy(bytes, 0, out.bytes(), ValueLayout.JAVA_BYTE, at, bytes.length);
        out.describe(out.size() - 1, flags, segmentSize, vlan);
    }

    @SuppressWarnings("ArrayRecordComponent") // compared byte by byte
    private record Sent(byte[] bytes, int flags, int segmentSize, int vlan) {}

    @Test
    void framesComeOutAsTheyWentInHoweverTheRingTurns() {
        System.out.println("torte.seed=" + SEED);
        Random random = new Random(SEED);
        ArrayDeque<Sent> under = new ArrayDeque<>();
        int moved = 0;
        for (int round = 0; round < 4000; round++) {
            out.clear();
            ArrayDeque<Sent> offered = new ArrayDeque<>();
            for (int i = random.nextInt(8); i > 0; i--) {
                int most = random.nextInt(10) == 0 ? FrameBatch.MAX_LENGTH + 1 : 1600;
                byte[] bytes = new byte[random.nextInt(most)];
                random.nextBytes(bytes);
                Sent sent = new Sent(bytes, random.nextInt(16), random.nextInt(0x10000), random.nextInt(0x10001) - 1);
                if (!out.hasRoom(bytes.length)) {
                    break;
                }
                add(bytes, sent.flags, sent.segmentSize, sent.vlan);
                offered.add(sent);
            }
            int written = writer.write(out, 0);
            assertThat(written).isBetween(0, offered.size());
            for (int i = 0; i < written; i++) {
                under.add(offered.remove());
            }
            if (random.nextInt(3) == 0) {
                in.clear();
                int got = reader.read(in);
                assertThat(got).isEqualTo(in.size());
                for (int i = 0; i < got; i++, moved++) {
                    Sent sent = under.remove();
                    assertThat(Arrays.equals(in.view(i).toArray(ValueLayout.JAVA_BYTE), sent.bytes))
                            .isTrue();
                    assertThat(in.flags(i)).isEqualTo(sent.flags);
                    assertThat(in.segmentSize(i)).isEqualTo(sent.segmentSize);
                    assertThat(in.vlan(i)).isEqualTo(sent.vlan);
                }
            }
        }
        assertThat(moved).isGreaterThan(3000);
    }

    @Test
    void aFullRingTakesNoMoreAndWakesItsWriterWhenItIsHalfEmpty() {
        byte[] large = new byte[FrameBatch.MAX_LENGTH];
        int total = 0;
        do {
            out.clear();
            add(large, 0, 0, FrameBatch.NO_VLAN);
            total++;
        } while (writer.write(out, 0) == 1);
        assertThat(total - 1).isEqualTo(Ring.DATA / Ring.record(FrameBatch.MAX_LENGTH));
        assertThat(reader.mustWake()).isFalse();
        assertThat(writer.askForRoom()).isFalse();
        int woken = -1;
        for (int taken = 0; woken < 0; taken++) {
            in.clear();
            assertThat(reader.read(in)).isPositive();
            if (reader.mustWake()) {
                woken = taken;
            }
        }
        assertThat(reader.mustWake()).as("once").isFalse();
        assertThat(writer.write(out, 0)).isEqualTo(1);
    }

    @Test
    void aSleepingReaderIsWokenOnce() {
        out.clear();
        add(new byte[60], 0, 0, FrameBatch.NO_VLAN);
        assertThat(reader.askForFrames()).isFalse();
        assertThat(writer.mustWake()).isTrue();
        assertThat(writer.mustWake()).isFalse();
        assertThat(writer.write(out, 0)).isEqualTo(1);
        assertThat(reader.askForFrames()).as("there is something already").isTrue();
        assertThat(writer.mustWake()).isFalse();
    }

    @Test
    void positionsThatCannotBeAreRefused() {
        long[] wrong = {-16, 8, 1, Ring.DATA + 16L, Long.MAX_VALUE & ~15L, Long.MIN_VALUE};
        for (long position : wrong) {
            memory.set(ValueLayout.JAVA_LONG, Ring.PRODUCER, position);
            assertThat(new RingReader(memory).read(in))
                    .as("producer at %d", position)
                    .isEqualTo(-1);
        }
        out.clear();
        add(new byte[FrameBatch.MAX_LENGTH], 0, 0, FrameBatch.NO_VLAN);
        for (long position : wrong) {
            memory.set(ValueLayout.JAVA_LONG, Ring.CONSUMER, position);
            RingWriter victim = new RingWriter(memory);
            int result = 1;
            for (int i = 0; i < 32 && result == 1; i++) {
                result = victim.write(out, 0);
            }
            assertThat(result).as("consumer at %d", position).isEqualTo(-1);
        }
    }

    @Test
    void aPositionThatGoesBackIsRefused() {
        out.clear();
        add(new byte[60], 0, 0, FrameBatch.NO_VLAN);
        assertThat(writer.write(out, 0)).isEqualTo(1);
        assertThat(reader.read(in)).isEqualTo(1);
        memory.set(ValueLayout.JAVA_LONG, Ring.PRODUCER, 0L);
        assertThat(reader.read(in)).isEqualTo(-1);
    }

    /** Whatever is in the ring: nothing is thrown, nothing but the batch and the ring is touched, and it ends. */
    @Test
    void garbageIsRefusedOrFrames() {
        System.out.println("torte.seed=" + SEED);
        Random random = new Random(SEED);
        byte[] garbage = new byte[(int) Ring.SIZE];
        int refused = 0;
        for (int round = 0; round < 300; round++) {
            random.nextBytes(garbage);
            MemorySegment.copy(garbage, 0, memory, ValueLayout.JAVA_BYTE, 0, garbage.length);
            if (round % 2 == 0) {
                // Plausible heads, so that some frames come through.
                for (int at = 0; at < Ring.DATA; at += 16 + 16 * random.nextInt(64)) {
                    memory.set(ValueLayout.JAVA_INT, Ring.RECORDS + at, random.nextInt(3000) - 100);
                    memory.set(ValueLayout.JAVA_INT, Ring.RECORDS + at + 4, random.nextInt(17));
                    memory.set(ValueLayout.JAVA_INT, Ring.RECORDS + at + 8, random.nextInt(2000));
                    memory.set(ValueLayout.JAVA_INT, Ring.RECORDS + at + 12, -1);
                }
            }
            memory.set(ValueLayout.JAVA_LONG, Ring.PRODUCER, (long) random.nextInt(Ring.DATA + 1) & ~15L);
            RingReader victim = new RingReader(memory);
            int got;
            int reads = 0;
            do {
                in.clear();
                got = victim.read(in);
                reads++;
            } while (got > 0);
            assertThat(reads).isLessThan(Ring.DATA / 16 + 2);
            refused += got < 0 ? 1 : 0;
        }
        assertThat(refused).isGreaterThan(100);
    }

    @Test
    void twoThreadsMoveFramesWithoutLosingAny() throws InterruptedException {
        int frames = 200_000;
        Thread producer = Thread.ofPlatform().start(() -> {
            FrameBatch batch = new FrameBatch(16, FrameBatch.MAX_LENGTH);
            for (int sent = 0; sent < frames; ) {
                batch.clear();
                for (int i = 0; i < 16; i++) {
                    int at = batch.append(60 + (sent + i) % 1400);
                    batch.bytes().set(ValueLayout.JAVA_INT_UNALIGNED, at, sent + i);
                    batch.bytes().set(ValueLayout.JAVA_INT_UNALIGNED, at + 50L, ~(sent + i));
                }
                for (int first = 0; first < 16; ) {
                    int written = writer.write(batch, first);
                    if (written < 0) {
                        return;
                    }
                    first += written;
                    Thread.onSpinWait();
                }
                sent += 16;
            }
        });
        int next = 0;
        while (next < frames) {
            in.clear();
            int got = reader.read(in);
            assertThat(got).isNotNegative();
            for (int i = 0; i < got; i++, next++) {
                int at = in.offset(i);
                boolean right = in.length(i) == 60 + next % 1400
                        && in.bytes().get(ValueLayout.JAVA_INT_UNALIGNED, at) == next
                        && in.bytes().get(ValueLayout.JAVA_INT_UNALIGNED, at + 50L) == ~next;
                if (!right) {
                    assertThat(in.length(i)).as("frame %d", next).isEqualTo(-1);
                }
            }
            if (got == 0) {
                Thread.onSpinWait();
            }
        }
        producer.join();
    }
}
