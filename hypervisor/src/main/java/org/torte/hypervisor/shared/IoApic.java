package org.torte.hypervisor.shared;

import java.util.Arrays;
import java.util.List;
import java.util.function.IntPredicate;
import org.torte.base.StateInput;
import org.torte.base.StateOutput;

/**
 * An 82093AA-compatible I/O APIC with 24 inputs (Intel 82093AA data sheet, section 3). Wires, register accesses and ends
 * of interrupts come from any thread; one lock orders them.
 */
public final class IoApic {
    /** Where its messages go. */
    public interface Output {
        /**
         * Carries a message to the local APICs.
         *
         * @return whether any took it
         */
        boolean deliver(InterruptMessage message);

        /** A level-triggered entry is new, different or gone: see {@link #levelMessages}. Called without the lock. */
        default void levelsChanged() {}
    }

    /** Guest-physical address of the register window. */
    public static final long ADDRESS = 0xfec0_0000L;

    private static final int SIZE = 0x1000;

    /** Number of inputs. */
    public static final int INPUTS = 24;

    private static final int ID = 0, VERSION = 1, ARBITRATION = 2, REDIRECTION = 0x10;

    /** Version 0x11; the highest redirection entry in bits 16 to 23. */
    private static final int VERSION_VALUE = INPUTS - 1 << 16 | 0x11;

    private static final long REMOTE_IRR = 0x4000, LEVEL = 0x8000, MASKED = 0x1_0000, LOGICAL = 0x800;

    /** Vector, delivery mode, destination mode, polarity, trigger mode, mask, destination. */
    private static final long WRITABLE = 0xff00_0000_0001_afffL;

    private final Output output;
    private final long[] entries = new long[INPUTS];

    /** A bit for each input whose wire is high. */
    private int wires;

    private int select;
    private int id;

    /** A controller in power-up state. */
    public IoApic(Output output) {
        this.output = output;
        reset();
    }

    /** Power-up: everything masked. Wires keep their level, which is their devices' business. */
    public synchronized void reset() {
        Arrays.fill(entries, MASKED);
        select = 0;
        id = 0;
    }

    /** Sets an input's wire; edge-triggered inputs fire on the change from low to high, unless masked. */
    public synchronized void setWire(int input, boolean high) {
        if (input < 0 || input >= INPUTS) {
            throw new IllegalArgumentException("the IOAPIC has inputs 0 to 23, not " + input);
        }
        int bit = 1 << input;
        boolean rising = high && (wires & bit) == 0;
        wires = high ? wires | bit : wires & ~bit;
        if ((entries[input] & LEVEL) != 0 ? high : rising) {
            service(input);
        }
    }

    /** Whether a guest-physical address is in the register window. */
    public static boolean claims(long address) {
        return address >= ADDRESS && address < ADDRESS + SIZE;
    }

    /** A read of the register window. Its two registers are 4 bytes at offsets 0 and 0x10. */
    public synchronized long read(long address, int size) {
        int offset = (int) address & 0xff;
        long value = switch (offset & ~3) {
            case 0x00 -> select;
            case 0x10 -> readSelected() & 0xffff_ffffL;
            default -> 0;
        };
        value >>>= 8 * (offset & 3);
        return size >= 4 ? value : value & (1L << 8 * size) - 1;
    }

    /** A write to the register window; only whole registers can be written. */
    public void write(long address, int size, long value) {
        if (size >= 4 && writeRegister((int) address & 0xff, (int) value)) {
            output.levelsChanged();
        }
    }

    private synchronized boolean writeRegister(int offset, int value) {
        boolean levels = false;
        switch (offset) {
            case 0x00 -> select = value & 0xff;
            case 0x10 -> levels = writeSelected(value);
            default -> {
                // Nothing there.
            }
        }
        return levels;
    }

    private int readSelected() {
        if (select >= REDIRECTION && select < REDIRECTION + 2 * INPUTS) {
            long entry = entries[select - REDIRECTION >> 1];
            return (int) (entry >>> 32 * (select & 1));
        }
        return switch (select) {
            case ID, ARBITRATION -> id << 24;
            case VERSION -> VERSION_VALUE;
            default -> 0;
        };
    }

    /** Whether a level-triggered entry has changed. */
    private boolean writeSelected(int value) {
        if (select == ID) {
            id = value >>> 24 & 0xf;
        } else if (select >= REDIRECTION && select < REDIRECTION + 2 * INPUTS) {
            int input = select - REDIRECTION >> 1;
            long old = entries[input];
            long entry = (select & 1) == 0
                    ? old & 0xffff_ffff_0000_0000L | value & 0xffff_ffffL
                    : old & 0xffff_ffffL | (long) value << 32;
            entry = entry & WRITABLE | old & REMOTE_IRR;
            if ((entry & LEVEL) == 0) {
                entry &= ~REMOTE_IRR; // how drivers for versions below 0x20 end an interrupt by hand
            }
            entries[input] = entry;
            if ((entry & LEVEL) != 0 && (wires & 1 << input) != 0) {
                service(input);
            }
            return ((old | entry) & LEVEL) != 0 && (old & ~REMOTE_IRR) != (entry & ~REMOTE_IRR);
        }
        return false;
    }

    private void service(int input) {
        long entry = entries[input];
        if ((entry & MASKED) != 0 || (entry & (LEVEL | REMOTE_IRR)) == (LEVEL | REMOTE_IRR)) {
            return;
        }
        InterruptMessage message = message(entry);
        boolean taken = output.deliver(message);
        if (message.level() && taken) {
            entries[input] |= REMOTE_IRR;
        }
    }

    private static InterruptMessage message(long entry) {
        int mode = (int) (entry >> 8) & 7;
        // Only interrupts with a vector can be level-triggered.
        boolean level = (entry & LEVEL) != 0 && mode <= InterruptMessage.LOWEST_PRIORITY;
        return new InterruptMessage(
                (int) entry & 0xff, mode, (entry & LOGICAL) != 0, (int) (entry >>> 56), false, level);
    }

    /** The messages of the level-triggered inputs that are not masked: what ends of interrupts may come back for. */
    public synchronized List<InterruptMessage> levelMessages() {
        return Arrays.stream(entries)
                .filter(entry -> (entry & (LEVEL | MASKED)) == LEVEL)
                .mapToObj(IoApic::message)
                .filter(InterruptMessage::level)
                .toList();
    }

    /** A processor has finished a level-triggered interrupt: wires that are still high interrupt again. */
    public synchronized void endOfInterrupt(int vector) {
        for (int input = 0; input < INPUTS; input++) {
            long entry = entries[input];
            if ((entry & REMOTE_IRR) != 0 && (entry & 0xff) == vector) {
                entries[input] = entry & ~REMOTE_IRR;
                if ((wires & 1 << input) != 0) {
                    service(input);
                }
            }
        }
    }

    /** Writes wires and registers, where ends of interrupts are told at once. */
    public void save(StateOutput out) {
        save(out, _ -> true);
    }

    /**
     * Writes wires and registers. A level-triggered interrupt that no processor has any more has ended, even if the back-end
     * was stopped before it told so.
     *
     * @param unfinished whether a vector waits or is in service somewhere
     */
    public synchronized void save(StateOutput out, IntPredicate unfinished) {
        long[] saved = entries.clone();
        for (int input = 0; input < INPUTS; input++) {
            if ((saved[input] & REMOTE_IRR) != 0 && !unfinished.test((int) saved[input] & 0xff)) {
                saved[input] &= ~REMOTE_IRR;
            }
        }
        out.putInt(id).putInt(select).putInt(wires).putLongs(saved);
    }

    /** Interrupts for wires that are high and of which no processor knows. After everything has been restored. */
    public synchronized void raiseLevels() {
        for (int input = 0; input < INPUTS; input++) {
            if ((entries[input] & LEVEL) != 0 && (wires & 1 << input) != 0) {
                service(input);
            }
        }
    }

    /** Reads what {@link #save} wrote. */
    public synchronized void restore(StateInput in) {
        id = in.getInt() & 0xf;
        select = in.getInt() & 0xff;
        wires = in.getInt() & (1 << INPUTS) - 1;
        in.getLongs(entries);
        for (int i = 0; i < INPUTS; i++) {
            entries[i] &= WRITABLE | REMOTE_IRR;
        }
    }
}
