package org.torte.hypervisor.software;

import org.torte.base.StateInput;
import org.torte.base.StateOutput;

/**
 * An 82093AA-compatible I/O APIC with 24 inputs (Intel 82093AA data sheet, section 3). Wires, register accesses and ends
 * of interrupts come from any thread; one lock orders them.
 */
final class IoApic {
    /** Guest-physical address of the register window. */
    static final long ADDRESS = 0xfec0_0000L;

    private static final int SIZE = 0x1000;

    /** Number of inputs. */
    static final int INPUTS = 24;

    private static final int ID = 0, VERSION = 1, ARBITRATION = 2, REDIRECTION = 0x10;

    /** Version 0x11; the highest redirection entry in bits 16 to 23. */
    private static final int VERSION_VALUE = INPUTS - 1 << 16 | 0x11;

    private static final long REMOTE_IRR = 0x4000, LEVEL = 0x8000, MASKED = 0x1_0000, LOGICAL = 0x800;

    /** Vector, delivery mode, destination mode, polarity, trigger mode, mask, destination. */
    private static final long WRITABLE = 0xff00_0000_0001_afffL;

    private final InterruptRouter router;
    private final long[] entries = new long[INPUTS];

    /** A bit for each input whose wire is high. */
    private int wires;

    private int select;
    private int id;

    IoApic(InterruptRouter router) {
        this.router = router;
        reset();
    }

    /** Power-up: everything masked. Wires keep their level, which is their devices' business. */
    synchronized void reset() {
        java.util.Arrays.fill(entries, MASKED);
        select = 0;
        id = 0;
    }

    /** Sets an input's wire; edge-triggered inputs fire on the change from low to high, unless masked. */
    synchronized void setWire(int input, boolean high) {
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
    static boolean claims(long address) {
        return address >= ADDRESS && address < ADDRESS + SIZE;
    }

    /** A read of the register window. Its two registers are 4 bytes at offsets 0 and 0x10. */
    synchronized long read(long address, int size) {
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
    synchronized void write(long address, int size, long value) {
        if (size < 4) {
            return;
        }
        switch ((int) address & 0xff) {
            case 0x00 -> select = (int) value & 0xff;
            case 0x10 -> writeSelected((int) value);
            default -> {
                // Nothing there.
            }
        }
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

    private void writeSelected(int value) {
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
        }
    }

    private void service(int input) {
        long entry = entries[input];
        if ((entry & MASKED) != 0 || (entry & (LEVEL | REMOTE_IRR)) == (LEVEL | REMOTE_IRR)) {
            return;
        }
        int mode = (int) (entry >> 8) & 7;
        // Only interrupts with a vector can be level-triggered.
        boolean level = (entry & LEVEL) != 0 && mode <= InterruptMessage.LOWEST_PRIORITY;
        boolean taken = router.deliver(new InterruptMessage(
                (int) entry & 0xff, mode, (entry & LOGICAL) != 0, (int) (entry >>> 56), false, level));
        if (level && taken) {
            entries[input] |= REMOTE_IRR;
        }
    }

    /** A processor has finished a level-triggered interrupt: wires that are still high interrupt again. */
    synchronized void endOfInterrupt(int vector) {
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

    synchronized void save(StateOutput out) {
        out.putInt(id).putInt(select).putInt(wires).putLongs(entries);
    }

    synchronized void restore(StateInput in) {
        id = in.getInt() & 0xf;
        select = in.getInt() & 0xff;
        wires = in.getInt() & (1 << INPUTS) - 1;
        in.getLongs(entries);
        for (int i = 0; i < INPUTS; i++) {
            entries[i] &= WRITABLE | REMOTE_IRR;
        }
    }
}
