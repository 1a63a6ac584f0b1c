package org.torte.machine.hyperv;

import java.lang.invoke.VarHandle;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import org.torte.base.GuestMemory;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;
import org.torte.base.Timers;

/**
 * The synthetic interrupt controller of one processor with its timers (TLFS, "Virtual Interrupt Controller" and "Timers").
 * Safe for several threads.
 *
 * <p>A message slot in guest memory, of 16 in the message page:
 *
 * <pre>
 *   0 type, 0 when free   4 bytes
 *   4 length of payload   1
 *   5 flags: bit 0 set when more messages wait, so that the guest says when the slot is free
 *   6 reserved            2
 *   8 sender              8
 *  16 payload           240
 * </pre>
 */
final class SyntheticInterrupts {
    static final int COUNT = 16, TIMERS = 4;

    /** Messages that may wait for one synthetic interrupt: more than the offers of a full bus. */
    static final int MAX_WAITING = 4096;

    private static final int CONTROL = 0x4000_0080, VERSION = 0x4000_0081, EVENT_PAGE = 0x4000_0082;
    private static final int MESSAGE_PAGE = 0x4000_0083, END_OF_MESSAGE = 0x4000_0084, SOURCE = 0x4000_0090;
    private static final int TIMER = 0x4000_00b0;

    static final int FIRST = CONTROL, LAST = TIMER + 2 * TIMERS - 1;

    private static final long ENABLE = 1;
    private static final long PAGE_MASK = -GuestMemory.PAGE_SIZE;
    private static final long MASKED = 1 << 16, AUTOMATIC_END = 1 << 17, POLLING = 1 << 18;
    private static final int FIRST_VECTOR = 16;
    private static final long SLOT = 256;
    private static final int LENGTH = 4, FLAGS = 5, SENDER = 8, PAYLOAD = 16;
    private static final int MORE_WAIT = 1;

    /** A message that waits for its slot. */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Message(int type, byte[] payload) {}

    private final int processor;
    private final GuestMemory memory;
    private final PartitionPort partition;
    private final SyntheticTimer[] timers = new SyntheticTimer[TIMERS];

    private long control;
    private long eventPage;
    private long messagePage;
    private final long[] sources = new long[COUNT];
    private final List<ArrayDeque<Message>> waiting = new ArrayList<>();

    SyntheticInterrupts(
            int processor, GuestMemory memory, PartitionPort partition, Timers hostTimers, ReferenceClock time) {
        this.processor = processor;
        this.memory = memory;
        this.partition = partition;
        for (int i = 0; i < TIMERS; i++) {
            timers[i] = new SyntheticTimer(i, this, hostTimers, time);
        }
        for (int i = 0; i < COUNT; i++) {
            waiting.add(new ArrayDeque<>());
            sources[i] = MASKED;
        }
    }

    /** The value of a register from {@link #FIRST} to {@link #LAST}, or -1 with {@code exists[0]} false. */
    synchronized long read(int index, boolean[] exists) {
        exists[0] = true;
        if (index >= TIMER) {
            SyntheticTimer timer = timers[index - TIMER >> 1];
            return (index & 1) == 0 ? timer.configuration() : timer.count();
        }
        if (index >= SOURCE && index < SOURCE + COUNT) {
            return sources[index - SOURCE];
        }
        switch (index) {
            case CONTROL -> {
                return control;
            }
            case VERSION -> {
                return 1;
            }
            case EVENT_PAGE -> {
                return eventPage;
            }
            case MESSAGE_PAGE -> {
                return messagePage;
            }
            case END_OF_MESSAGE -> {
                return 0;
            }
            default -> {
                exists[0] = false;
                return -1;
            }
        }
    }

    /** Whether the register took the value. */
    synchronized boolean write(int index, long value) {
        if (index >= TIMER) {
            SyntheticTimer timer = timers[index - TIMER >> 1];
            if ((index & 1) == 0) {
                timer.configure(value);
            } else {
                timer.setCount(value);
            }
            return true;
        }
        if (index >= SOURCE && index < SOURCE + COUNT) {
            return writeSource(index - SOURCE, value);
        }
        switch (index) {
            case CONTROL -> {
                control = value;
                deliverAll();
            }
            case EVENT_PAGE -> {
                if (!openPage(eventPage, value)) {
                    return false;
                }
                eventPage = value;
            }
            case MESSAGE_PAGE -> {
                if (!openPage(messagePage, value)) {
                    return false;
                }
                messagePage = value;
                deliverAll();
            }
            case END_OF_MESSAGE -> deliverAll();
            default -> {
                return false;
            }
        }
        return true;
    }

    /** A page that becomes active reads as zeroes: stale bytes would look like messages. */
    private boolean openPage(long old, long value) {
        if ((value & ENABLE) == 0) {
            return true;
        }
        long page = value & PAGE_MASK;
        if (!memory.contains(page, GuestMemory.PAGE_SIZE)) {
            return false;
        }
        if ((old & ENABLE) == 0 || (old & PAGE_MASK) != page) {
            for (int at = 0; at < GuestMemory.PAGE_SIZE; at += Long.BYTES) {
                memory.putLong(page + at, 0);
            }
            partition.memoryWritten(page, GuestMemory.PAGE_SIZE);
        }
        return true;
    }

    private boolean writeSource(int number, long value) {
        if ((value & (MASKED | POLLING)) == 0 && (value & 0xff) < FIRST_VECTOR) {
            return false;
        }
        int before = (int) sources[number] & 0xff;
        sources[number] = value;
        updateAutomaticEnd(before);
        updateAutomaticEnd((int) value & 0xff);
        deliver(number);
        return true;
    }

    private void updateAutomaticEnd(int vector) {
        if (vector < FIRST_VECTOR) {
            return;
        }
        boolean automatic = false;
        for (long source : sources) {
            automatic |= (source & MASKED) == 0 && (source & 0xff) == vector && (source & AUTOMATIC_END) != 0;
        }
        partition.setAutomaticEnd(processor, vector, automatic);
    }

    synchronized boolean post(int number, int type, byte[] payload) {
        ArrayDeque<Message> line = waiting.get(number);
        if (line.size() >= MAX_WAITING) {
            return false;
        }
        line.add(new Message(type, payload));
        deliver(number);
        return true;
    }

    synchronized int room(int number) {
        return MAX_WAITING - waiting.get(number).size();
    }

    synchronized void discard(int number) {
        waiting.get(number).clear();
    }

    synchronized void signal(int number, int flag) {
        long source = sources[number];
        if ((control & ENABLE) == 0 || (eventPage & ENABLE) == 0) {
            return;
        }
        long word = (eventPage & PAGE_MASK) + number * SLOT + (flag >> 5 << 2);
        int bit = 1 << flag;
        boolean news = (memory.getAndBitwiseOr(word, bit) & bit) == 0;
        partition.memoryWritten(word, Integer.BYTES);
        if (news && (source & (MASKED | POLLING)) == 0) {
            partition.interrupt(processor, (int) source & 0xff);
        }
    }

    private void deliverAll() {
        for (int i = 0; i < COUNT; i++) {
            deliver(i);
        }
        for (SyntheticTimer timer : timers) {
            timer.messagesMoved();
        }
    }

    /** Puts the first message in line into its slot if that is free; else has the guest tell when it is. */
    private void deliver(int number) {
        ArrayDeque<Message> line = waiting.get(number);
        long source = sources[number];
        if (line.isEmpty() || (control & messagePage & ENABLE) == 0 || (source & MASKED) != 0) {
            return;
        }
        long slot = (messagePage & PAGE_MASK) + number * SLOT;
        if (memory.getIntVolatile(slot) != 0) {
            memory.putByte(slot + FLAGS, memory.getByte(slot + FLAGS) | MORE_WAIT);
            partition.memoryWritten(slot, SLOT);
            // The guest frees the slot and then looks at the flag; this is the other way round, so one sees the other.
            VarHandle.fullFence();
            if (memory.getIntVolatile(slot) != 0) {
                return;
            }
        }
        Message message = line.remove();
        memory.putByte(slot + LENGTH, message.payload.length);
        memory.putByte(slot + FLAGS, line.isEmpty() ? 0 : MORE_WAIT);
        memory.putShort(slot + FLAGS + 1, 0);
        memory.putLong(slot + SENDER, 0);
        memory.write(slot + PAYLOAD, message.payload, 0, message.payload.length);
        memory.putIntVolatile(slot, message.type);
        partition.memoryWritten(slot, SLOT);
        if ((source & POLLING) == 0) {
            partition.interrupt(processor, (int) source & 0xff);
        }
    }

    /** For the timers: an interrupt without a message. */
    void interrupt(int vector) {
        partition.interrupt(processor, vector);
    }

    synchronized void reset() {
        control = 0;
        eventPage = 0;
        messagePage = 0;
        for (int i = 0; i < COUNT; i++) {
            sources[i] = MASKED;
            waiting.get(i).clear();
        }
        for (SyntheticTimer timer : timers) {
            timer.reset();
        }
    }

    synchronized void save(StateOutput state) {
        state.putLong(control).putLong(eventPage).putLong(messagePage).putLongs(sources);
        for (ArrayDeque<Message> line : waiting) {
            state.putInt(line.size());
            for (Message message : line) {
                state.putInt(message.type).putBytes(message.payload);
            }
        }
        for (SyntheticTimer timer : timers) {
            timer.save(state);
        }
    }

    synchronized void restore(StateInput state) {
        control = state.getLong();
        eventPage = state.getLong();
        messagePage = state.getLong();
        checkPage(state, eventPage);
        checkPage(state, messagePage);
        state.getLongs(sources);
        for (ArrayDeque<Message> line : waiting) {
            line.clear();
            int count = state.getInt();
            state.check(count >= 0 && count <= MAX_WAITING, count + " messages wait");
            for (int i = 0; i < count; i++) {
                int type = state.getInt();
                byte[] payload = state.getBytes();
                state.check(
                        type != 0 && payload.length <= SynicPort.MAX_PAYLOAD,
                        "a message of type " + type + " with " + payload.length + " bytes");
                line.add(new Message(type, payload));
            }
        }
        for (int i = 0; i < COUNT; i++) {
            updateAutomaticEnd((int) sources[i] & 0xff);
        }
        for (SyntheticTimer timer : timers) {
            timer.restore(state);
        }
    }

    private void checkPage(StateInput state, long register) {
        state.check(
                (register & ENABLE) == 0 || memory.contains(register & PAGE_MASK, GuestMemory.PAGE_SIZE),
                "a page of the interrupt controller lies outside RAM");
    }
}
