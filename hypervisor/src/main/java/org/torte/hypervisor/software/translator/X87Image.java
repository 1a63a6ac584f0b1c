package org.torte.hypervisor.software.translator;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * The x87 registers of one processor while translated code uses the host's: FRSTOR takes them from here when code is
 * entered, FNSAVE puts them here, and leaves the host's as they were, when it is left. Only while something is loaded; and
 * only what masks all exceptions may be, so that no instruction of the host can raise one. Used by the processor's own thread.
 *
 * <pre>
 *    0  whether anything is loaded (8 bytes)
 *   16  what FRSTOR and FNSAVE know (Intel SDM vol. 1, figure 8-9): control, status and tag word, the pointers, which nobody
 *       looks at, from 28 ST(0) to ST(7) in ten bytes each
 * </pre>
 */
public final class X87Image {
    static final int LOADED = 0, IMAGE = 16;
    private static final int CONTROL = IMAGE, STATUS = IMAGE + 4, TAGS = IMAGE + 8, REGISTERS = IMAGE + 28;

    private final MemorySegment memory = Arena.ofAuto().allocate(128, 64);

    /** The area whose code finds its registers in the host's. */
    private @Nullable StateArea area;

    long address() {
        return memory.address();
    }

    /** The area that it is loaded for, or null while the registers are the processor's. */
    public @Nullable StateArea area() {
        return area;
    }

    /** From now on code finds the registers here; those of {@link #setRegister} included. */
    public void load(StateArea by, int control, int status, int tags) {
        memory.set(JAVA_INT, CONTROL, 0xffff0000 | control);
        memory.set(JAVA_INT, STATUS, 0xffff0000 | status);
        memory.set(JAVA_INT, TAGS, 0xffff0000 | tags);
        memory.set(JAVA_LONG, LOADED, 1);
        area = by;
        by.setX87(true);
    }

    /** Code does no longer find them here. */
    public void unload() {
        memory.set(JAVA_LONG, LOADED, 0);
        if (area != null) {
            area.setX87(false);
        }
        area = null;
    }

    /** Gives ST(i). */
    public void setRegister(int i, long significand, int signExponent) {
        memory.set(JAVA_LONG_UNALIGNED, REGISTERS + 10L * i, significand);
        memory.set(JAVA_SHORT_UNALIGNED, REGISTERS + 10L * i + 8, (short) signExponent);
    }

    public long significand(int i) {
        return memory.get(JAVA_LONG_UNALIGNED, REGISTERS + 10L * i);
    }

    public int signExponent(int i) {
        return memory.get(JAVA_SHORT_UNALIGNED, REGISTERS + 10L * i + 8) & 0xffff;
    }

    public int controlWord() {
        return memory.get(JAVA_INT, CONTROL) & 0xffff;
    }

    public int statusWord() {
        return memory.get(JAVA_INT, STATUS) & 0xffff;
    }

    /** Two bits for each physical register, 3 for an empty one. */
    public int tagWord() {
        return memory.get(JAVA_INT, TAGS) & 0xffff;
    }
}
