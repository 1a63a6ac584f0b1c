package org.torte.hypervisor.oracle;

import java.util.List;

/**
 * What cases see of memory and segments, the same for the host's process and for whatever is compared with it.
 *
 * <pre>
 * 2000_0000  code, two pages, execute and read; nothing behind them
 * 3000_0000  nothing
 * 3000_1000  data, two pages, read and write
 * 3000_3000  constants, read only
 * 3000_4000  nothing
 * </pre>
 *
 * Three windows of the data pages are part of a case: the first 128 bytes, 1024 bytes around the boundary between the
 * pages, and the last 128 bytes. The rest of these pages is zero before each case.
 */
public final class AddressSpace {
    /** The code pages, filled with INT3. */
    public static final long CODE = 0x2000_0000L;

    public static final int CODE_PAGES = 2;

    /** The writable pages. */
    public static final long DATA = 0x3000_1000L;

    public static final int DATA_PAGES = 2;

    /** The read-only page. */
    public static final long CONSTANTS = DATA + DATA_PAGES * 0x1000L;

    /** One of the pieces of memory that belong to a case. */
    public record Window(long address, int size) {}

    public static final List<Window> WINDOWS =
            List.of(new Window(DATA, 0x80), new Window(DATA + 0xF80, 0x400), new Window(CONSTANTS - 0x80, 0x80));

    /** Bytes of all windows. */
    public static final int WINDOW_BYTES = 0x500;

    /** Selectors of Linux: 32-bit code, data, 64-bit code, all flat. */
    public static final int FLAT_CODE_32 = 0x23, FLAT_DATA = 0x2B, FLAT_CODE_64 = 0x33;

    /** Descriptors of those three selectors. */
    public static final long FLAT_CODE_32_DESCRIPTOR = 0x00CF_FB00_0000_FFFFL;

    public static final long FLAT_DATA_DESCRIPTOR = 0x00CF_F300_0000_FFFFL;
    public static final long FLAT_CODE_64_DESCRIPTOR = 0x00AF_FB00_0000_FFFFL;

    /** Linux' segment whose limit is the number of the processor, so that LSL reads it; never above this limit. */
    public static final int PROCESSOR_NUMBER = 0x7B, PROCESSOR_NUMBER_LIMIT = 0xFFE;

    /** Its descriptor on processor 0. */
    public static final long PROCESSOR_NUMBER_DESCRIPTOR = 0x0000_F500_0000_0000L;

    private static final int DATA_SEGMENT = 0, EXPAND_DOWN = 1, CODE_SEGMENT = 2, CONFORMING = 3;

    /** A segment of the local descriptor table, in the terms of Linux' struct user_desc. */
    public record Segment(
            long base, int limit, boolean wide, int contents, boolean restricted, boolean pages, boolean present) {
        /** The structure that modify_ldt takes. */
        int[] user(int entry) {
            int flags =
                    (wide ? 1 : 0) | contents << 1 | (restricted ? 8 : 0) | (pages ? 16 : 0) | (present ? 0 : 32) | 64;
            return new int[] {entry, (int) base, limit, flags};
        }

        /** The descriptor that Linux makes of it. */
        public long descriptor() {
            long type = contents << 2 | (restricted ? 0 : 2) | 1;
            long access = type | 0x70 | (present ? 0x80 : 0);
            long upper = (wide ? 0x40 : 0) | (pages ? 0x80 : 0) | 0x10 | limit >>> 16;
            return limit & 0xFFFF | (base & 0xFF_FFFF) << 16 | access << 40 | upper << 48 | (base >>> 24) << 56;
        }
    }

    /** The local descriptor table. */
    public static final List<Segment> LDT = List.of(
            new Segment(0, 0xF_FFFF, true, CODE_SEGMENT, false, true, true),
            new Segment(CODE, 0x2FFF, false, CODE_SEGMENT, false, false, true),
            new Segment(CODE, 0x17FF, true, CODE_SEGMENT, false, false, true),
            new Segment(CODE, 0x17FF, false, CODE_SEGMENT, true, false, true),
            new Segment(DATA - 0x1000, 0x2FBF, true, DATA_SEGMENT, false, false, true),
            new Segment(DATA - 0x1000, 0xF_FFFF, true, DATA_SEGMENT, true, true, true),
            new Segment(DATA - 0x1000, 0x0FFF, true, EXPAND_DOWN, false, false, true),
            new Segment(DATA - 0x1000, 0x0FFF, false, EXPAND_DOWN, false, false, true),
            new Segment(DATA - 0x1000, 0xFFFF, false, DATA_SEGMENT, false, false, true),
            new Segment(DATA, 0xF_FFFF, true, DATA_SEGMENT, false, true, true),
            new Segment(DATA + 0xF00, 0xFFFF, true, DATA_SEGMENT, false, false, true),
            new Segment(DATA, 0xFFFF, true, DATA_SEGMENT, false, false, false),
            new Segment(0, 0xF_FFFF, true, DATA_SEGMENT, false, true, true),
            new Segment(0, 0xF_FFFF, true, CONFORMING, false, true, false));

    public static final int CODE_32 = local(0);
    public static final int CODE_16 = local(1);
    public static final int SHORT_CODE_32 = local(2);
    public static final int SHORT_CODE_16 = local(3);
    public static final int SHORT_DATA = local(4);
    public static final int CONSTANT_DATA = local(5);
    public static final int DOWN_32 = local(6);
    public static final int DOWN_16 = local(7);
    public static final int STACK_16 = local(8);
    public static final int LOW_DATA = local(9);
    public static final int HIGH_DATA = local(10);
    public static final int ABSENT_DATA = local(11);
    public static final int WIDE_DATA = local(12);

    private AddressSpace() {}

    private static int local(int entry) {
        return entry << 3 | 7;
    }

    /** The base address of a selector of these tables, 0 for the flat and the null ones. */
    public static long base(int selector) {
        int entry = selector >>> 3;
        return (selector & 4) != 0 && entry < LDT.size() ? LDT.get(entry).base() : 0;
    }

    /** How far into the windows, as a case has them one behind the other, an address lies; -1 for one in none. */
    public static int inWindows(long address) {
        int before = 0;
        for (Window window : WINDOWS) {
            long offset = address - window.address();
            if (offset >= 0 && offset < window.size()) {
                return before + (int) offset;
            }
            before += window.size();
        }
        return -1;
    }

    /** The content of the read-only page. */
    public static byte constant(int offset) {
        return (byte) (offset * 37 >>> 2 ^ offset);
    }
}
