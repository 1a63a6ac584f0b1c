package org.torte.disk.vhdx;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.torte.disk.DiskException;
import org.torte.disk.Durability;
import org.torte.disk.Faults;
import org.torte.disk.crash.MemoryFile;
import org.torte.disk.crash.Recorder;
import org.torte.disk.crash.Recorder.Operation;

/**
 * Updates headers in many openings, some of which are killed before a force, and cuts the power everywhere: each write
 * since the last force is there, missing, or has left damage. The headers must always say what the last completed update
 * said, or a later one.
 */
class HeadersCrashTest {
    private static final int OPENINGS = 200;

    /** An update: the operations recorded before it, and its first force, or -1 if it was killed before that. */
    private record Update(int begun, int forced) {}

    @Test
    void everyCrashLeavesTheLastCompletedUpdateOrALaterOne() throws IOException {
        long seed = Long.getLong("torte.seed", 1);
        SplittableRandom random = new SplittableRandom(seed);
        MemoryFile start = new MemoryFile("headers");
        start.truncate(Layout.FIRST_REGION);
        Header first = new Header(1, id(0), id(0), Layout.NIL, 0, 1, Layout.MIB, Layout.MIB);
        start.write(Layout.HEADER_1, first.encode());
        start.write(Layout.HEADER_2, first.withSequence(2).encode());
        Recorder recorder = new Recorder(start.copy());
        List<Update> updates = new ArrayList<>();
        updates.add(new Update(0, 0));
        for (int i = 0; i < OPENINGS; i++) {
            open(recorder, updates, random);
        }
        long states = 0;
        MemoryFile durable = start.copy();
        List<Operation.Write> epoch = new ArrayList<>();
        List<Operation> operations = recorder.operations();
        for (int i = 0; i < operations.size(); i++) {
            switch (operations.get(i)) {
                case Operation.Write write -> epoch.add(write);
                case Operation.Force force -> {
                    states += check(durable, epoch, updates, i, "seed " + seed + ", before operation " + i);
                    for (Operation.Write write : epoch) {
                        write.applyTo(durable);
                    }
                    epoch.clear();
                }
                default -> throw new AssertionError(operations.get(i));
            }
        }
        System.out.println("headers, seed " + seed + ": " + updates.size() + " updates, " + states + " states");
        assertThat(states).isGreaterThan(1000);
    }

    private static UUID id(int update) {
        return new UUID(1, update);
    }

    /** One opener, which updates the headers some times and may be killed before a force, or may force the file. */
    private static void open(Recorder file, List<Update> updates, SplittableRandom random) throws IOException {
        Durability durability = new Durability(file, new Faults("headers"));
        // Forcing what may only be read fails: whoever has this comes no further than its first force.
        Durability killed = new Durability(new MemoryFile("headers").asReadOnly(), new Faults("headers"));
        Headers headers = Headers.read(file);
        int count = 1 + random.nextInt(3);
        for (int i = 0; i < count; i++) {
            int begun = file.count();
            Header next = headers.current().withFileWrite(id(updates.size()));
            if (random.nextInt(4) == 0) {
                updates.add(new Update(begun, -1));
                assertThatThrownBy(() -> headers.update(next, killed)).isInstanceOf(DiskException.class);
                return;
            }
            headers.update(next, durability);
            updates.add(new Update(begun, file.count() - 2));
            assertThat(file.operations().get(file.count() - 2)).isInstanceOf(Operation.Force.class);
        }
        if (random.nextBoolean()) {
            durability.force();
        }
    }

    /** All states of an epoch that ends before an operation. */
    private static long check(
            MemoryFile durable, List<Operation.Write> epoch, List<Update> updates, int end, String what)
            throws IOException {
        int least = 0;
        int most = 0;
        for (int i = 0; i < updates.size(); i++) {
            Update update = updates.get(i);
            least = update.forced >= 0 && update.forced < end ? i : least;
            most = update.begun < end ? i : most;
        }
        long states = (long) Math.pow(3, epoch.size());
        for (long state = 0; state < states; state++) {
            MemoryFile left = durable.copy();
            long rest = state;
            for (Operation.Write write : epoch) {
                if (rest % 3 > 0) {
                    write.applyTo(left);
                }
                if (rest % 3 > 1) {
                    left.write(write.position() + 20, new byte[] {1, 2, 3, 4});
                }
                rest /= 3;
            }
            long says = Headers.read(left).current().fileWrite().getLeastSignificantBits();
            assertThat(says).as(what + ", state " + state).isBetween((long) least, (long) most);
        }
        return states;
    }
}
