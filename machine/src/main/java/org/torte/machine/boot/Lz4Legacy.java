package org.torte.machine.boot;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * The LZ4 legacy frame, the form in which kernels are packed (lz4 doc/lz4_Frame_format.md, "Legacy frame"), with blocks
 * after lz4 doc/lz4_Block_format.md:
 *
 * <pre>
 * frame    | magic 02 21 4c 18 | block | block | ...
 * block    | packed size, 4 bytes, little-endian | sequences; unpacks to 8 MiB, the last one to less |
 * sequence | token | [literal length...] | literals | offset, 2 bytes | [match length...] |
 * </pre>
 *
 * <p>It works on Java arrays only: a kernel image cannot make it touch anything else.
 */
final class Lz4Legacy {
    static final int MAGIC = 0x184c2102;

    private static final int BLOCK = 8 << 20;
    /** The worst case of the format for incompressible data: one byte in 255 and a few more. */
    private static final int MAX_PACKED = BLOCK + BLOCK / 255 + 16;

    private static final int MIN_MATCH = 4;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private Lz4Legacy() {}

    /** Unpacks a frame and gives the number of bytes; fails when they are more than {@code target} holds. */
    static long unpack(MemorySegment frame, MemorySegment target) throws IOException {
        if (frame.byteSize() < 4 || frame.get(INT, 0) != MAGIC) {
            throw new IOException("it has no LZ4 magic number");
        }
        byte[] block = new byte[(int) Math.min(BLOCK, target.byteSize())];
        long at = 4;
        long produced = 0;
        while (frame.byteSize() - at >= 4) {
            int size = frame.get(INT, at);
            at += 4;
            if (size == MAGIC) {
                continue;
            }
            if (size <= 0 || size > MAX_PACKED || size > frame.byteSize() - at) {
                throw new IOException("an LZ4 block has an impossible size");
            }
            byte[] packed = frame.asSlice(at, size).toArray(ValueLayout.JAVA_BYTE);
            int length = unpackBlock(packed, block);
            if (length > target.byteSize() - produced) {
                throw new IOException("it unpacks to more than it says");
            }
            MemorySegment.copy(block, 0, target, ValueLayout.JAVA_BYTE, produced, length);
            produced += length;
            at += size;
        }
        return produced;
    }

    /** Unpacks one block and gives the number of bytes. */
    static int unpackBlock(byte[] in, byte[] out) throws IOException {
        int at = 0;
        int to = 0;
        while (true) {
            if (at >= in.length) {
                throw damaged();
            }
            int token = in[at++] & 0xff;
            int literals = token >>> 4;
            if (literals == 15) {
                int more;
                do {
                    if (at >= in.length) {
                        throw damaged();
                    }
                    more = in[at++] & 0xff;
                    literals += more;
                } while (more == 255);
            }
            if (literals > in.length - at || literals > out.length - to) {
                throw damaged();
            }
            System.arraycopy(in, at, out, to, literals);
            at += literals;
            to += literals;
            if (at == in.length) {
                return to;
            }
            if (in.length - at < 2) {
                throw damaged();
            }
            int offset = in[at] & 0xff | (in[at + 1] & 0xff) << 8;
            at += 2;
            int match = token & 15;
            if (match == 15) {
                int more;
                do {
                    if (at >= in.length) {
                        throw damaged();
                    }
                    more = in[at++] & 0xff;
                    match += more;
                } while (more == 255);
            }
            match += MIN_MATCH;
            if (offset == 0 || offset > to || match > out.length - to) {
                throw damaged();
            }
            repeat(out, to - offset, to, match);
            to += match;
        }
    }

    /** Copies forward; where source and target overlap, bytes just written are copied again. */
    private static void repeat(byte[] bytes, int from, int to, int length) {
        int distance = to - from;
        int done = 0;
        while (done < length) {
            // Each round may copy all that is there already, so the step doubles.
            int step = Math.min(length - done, distance + done);
            System.arraycopy(bytes, from, bytes, to + done, step);
            done += step;
        }
    }

    private static IOException damaged() {
        return new IOException("an LZ4 block is damaged");
    }
}
