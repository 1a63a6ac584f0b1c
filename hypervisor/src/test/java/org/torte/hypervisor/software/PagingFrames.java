package org.torte.hypervisor.software;

import java.util.Arrays;
import java.util.Random;

/**
 * What is in the frames that {@link PagingPrograms} maps. All have the same shape, so that whatever is mapped where, code
 * that is called there ends: 31 functions at multiples of 64, which go on to functions behind them in their page, or in the
 * next page, or return; from 0x800 on data; and an instruction that begins in the last two bytes and whose other three are the
 * first of the next page, where a RET follows.
 */
final class PagingFrames {
    static final int FUNCTIONS = 32, FUNCTION = 0x40, DATA = 0x800, DATA_END = 0xff8, STRADDLER = 0xffe;

    /** Functions before this one begin with a constant that may be replaced, four bytes from the second on. */
    static final int CHANGEABLE = 8;

    /** MOV of a constant to EAX, EDX or EBX. */
    static final int[] MOVES = {0xb8, 0xba, 0xbb};

    private final Random random;
    private final byte[] bytes;

    /** Where the page is that is being filled, and where in {@link #bytes} the next byte goes. */
    private int page;

    private int at;

    private PagingFrames(Random random, int count) {
        this.random = random;
        bytes = new byte[count * PagingMachine.PAGE];
    }

    static byte[] make(Random random, int count) {
        PagingFrames frames = new PagingFrames(random, count);
        for (int i = 0; i < count; i++) {
            frames.fill(i * PagingMachine.PAGE);
        }
        return frames.bytes;
    }

    private void fill(int start) {
        page = start;
        Arrays.fill(bytes, page, page + DATA, (byte) 0xcc);
        at = page;
        put(random.nextInt(), random.nextInt(), random.nextInt(), 0xc3);
        for (int number = 1; number < FUNCTIONS; number++) {
            at = page + number * FUNCTION;
            if (number < CHANGEABLE) {
                put(MOVES[random.nextInt(3)]);
                int32(random.nextInt());
            }
            function(number);
        }
        for (at = page + DATA; at < page + PagingMachine.PAGE; ) {
            put(random.nextInt(3) == 0 ? 0 : random.nextInt());
        }
        at = page + STRADDLER;
        put(MOVES[random.nextInt(3)], random.nextInt());
    }

    private void put(int... values) {
        for (int value : values) {
            bytes[at++] = (byte) value;
        }
    }

    private void int32(int value) {
        put(value, value >> 8, value >> 16, value >> 24);
    }

    /** The last four bytes of an instruction with {@code after} more: how far it is to an offset from the page's start. */
    private void distance(int offset, int after) {
        int32(page + offset - at - 4 - after);
    }

    private int data() {
        return DATA + random.nextInt((DATA_END - DATA) / 16) * 16 + (random.nextInt(4) == 0 ? random.nextInt(8) : 0);
    }

    /** A function of the next page. */
    private int next() {
        return PagingMachine.PAGE + (1 + random.nextInt(FUNCTIONS - 1)) * FUNCTION;
    }

    /** One behind this one. */
    private int later(int number) {
        return (number + 1 + random.nextInt(FUNCTIONS - 1 - number)) * FUNCTION;
    }

    private void function(int number) {
        switch (random.nextInt(number == FUNCTIONS - 1 ? 11 : 14)) {
            case 0 -> {
                put(0x48, 0x01, 0x05); // add [rip + ...], rax
                distance(data(), 0);
            }
            case 1 -> {
                put(0xb9, 1 + random.nextInt(40), 0, 0, 0); // mov ecx, ...
                put(0x48, 0x03, 0x15); // add rdx, [rip + ...]
                distance(data(), 0);
                put(0xff, 0xc9, 0x75, 0xf5); // dec ecx; jne back to the addition
            }
            case 2 -> {
                put(0xe9); // jmp
                distance(next(), 0);
            }
            case 3 -> {
                put(0xe8); // call
                distance(next(), 0);
                put(0x48, 0x01, 0xc3); // add rbx, rax
            }
            case 4 -> {
                put(0xe9);
                distance(STRADDLER, 0);
            }
            case 5 -> {
                put(0x0f, 0x10, 0x05); // movups xmm0, [rip + ...]
                distance(data(), 0);
                put(0x66, 0x0f, 0xd4, 0xc8); // paddq xmm1, xmm0
                put(0x0f, random.nextBoolean() ? 0x11 : 0x29, 0x0d); // movups or movaps [rip + ...], xmm1
                distance(data(), 0);
            }
            case 6 -> {
                put(0xff, 0x35); // push qword [rip + ...]
                distance(data(), 0);
                put(0x5a); // pop rdx
            }
            case 7 -> {
                put(0x48, 0x8d, 0x15); // lea rdx, [rip + ...]
                distance(next(), 0);
                put(0xff, 0xe2); // jmp rdx
            }
            case 8 -> {
                put(0xf0, 0x48, 0x0f, 0xc1, 0x05); // lock xadd [rip + ...], rax
                distance(data(), 0);
            }
            case 9 -> {
                put(0xff, 0x05); // inc dword [rip + ...], in the next page
                distance(PagingMachine.PAGE + data(), 0);
            }
            case 10 -> {
                put(0xc6, 0x05); // mov byte [rip + ...], ...: changes code
                distance((1 + random.nextInt(CHANGEABLE - 1)) * FUNCTION + 1 + random.nextInt(4), 1);
                put(random.nextInt());
            }
            case 11 -> {
                put(0xa8, 1, 0x0f, 0x84); // test al, 1; je
                distance(later(number), 0);
            }
            case 12 -> {
                put(0xe8);
                distance(later(number), 0);
                put(0x48, 0x31, 0xd0); // xor rax, rdx
            }
            default -> {
                put(0xe9);
                distance(later(number), 0);
            }
        }
        put(0xc3);
    }
}
