package org.torte.machine.boot;

import java.io.IOException;
import java.io.InputStream;

/**
 * Unpacks the LZ4 legacy frame, the form in which kernels are packed (lz4 doc/lz4_Frame_format.md, "Legacy frame"), with
 * blocks after lz4 doc/lz4_Block_format.md:
 *
 * <pre>
 * frame    | magic 02 21 4c 18 | block | block | ...
 * block    | packed size, 4 bytes, little-endian | sequences; unpacks to 8 MiB, the last one to less |
 * sequence | token | [literal length...] | literals | offset, 2 bytes | [match length...] |
 * </pre>
 *
 * <p>It holds the 64 KiB that a match may reach back and as much again, however large a block is.
 */
final class Lz4LegacyInputStream extends InputStream {
    static final int MAGIC = 0x184c2102;

    private static final int BLOCK = 8 << 20;
    /** The worst case of the format for incompressible data: one byte in 255 and a few more. */
    private static final int MAX_PACKED = BLOCK + BLOCK / 255 + 16;

    private static final int MIN_MATCH = 4;
    /** The farthest that a match reaches back, and one. */
    private static final int HISTORY = 1 << 16;

    /** What comes next in the block. */
    private enum Part {
        TOKEN,
        LITERALS,
        OFFSET,
        MATCH
    }

    private final InputStream packed;
    private final byte[] in = new byte[1 << 16];
    private int inAt;
    private int inEnd;

    private final byte[] out = new byte[2 * HISTORY];
    /** Where in {@link #out} the next byte is written, and the next one that was not read yet. */
    private int to;

    private int taken;

    private Part part = Part.TOKEN;
    /** Packed bytes of the block that are not used yet. */
    private int blockLeft;
    /** How many bytes the block has unpacked to, literals and match of the current sequence included. */
    private int blockLength;
    /** Of literals or match, bytes to go. */
    private int length;

    private int token;
    private int offset;

    /** A stream over a frame; {@code packed} ends with it. */
    Lz4LegacyInputStream(InputStream packed) throws IOException {
        this.packed = packed;
        if (littleEndian() != MAGIC) {
            throw new IOException("it has no LZ4 magic number");
        }
    }

    @Override
    public int read() throws IOException {
        return prepare() ? out[taken++] & 0xff : -1;
    }

    @Override
    public int read(byte[] target, int at, int count) throws IOException {
        if (count == 0) {
            return 0;
        }
        if (!prepare()) {
            return -1;
        }
        int step = Math.min(count, to - taken);
        System.arraycopy(out, taken, target, at, step);
        taken += step;
        return step;
    }

    @Override
    public void close() throws IOException {
        packed.close();
    }

    /** Sees to it that bytes can be taken; false at the end of the frame. */
    private boolean prepare() throws IOException {
        if (taken == to) {
            if (to > HISTORY) {
                System.arraycopy(out, to - HISTORY, out, 0, HISTORY);
                to = HISTORY;
                taken = HISTORY;
            }
            unpack();
        }
        return taken < to;
    }

    /** Unpacks until {@link #out} is full or the frame ends. */
    private void unpack() throws IOException {
        while (to < out.length) {
            switch (part) {
                case TOKEN -> {
                    if (blockLeft == 0 && !nextBlock()) {
                        return;
                    }
                    token = next();
                    begin(token >>> 4, 0);
                    if (length > blockLeft) {
                        throw damaged();
                    }
                    part = Part.LITERALS;
                }
                case LITERALS -> {
                    literals();
                    if (length == 0) {
                        // A block ends with literals.
                        part = blockLeft == 0 ? Part.TOKEN : Part.OFFSET;
                    }
                }
                case OFFSET -> {
                    offset = next() | next() << 8;
                    if (offset == 0 || offset > blockLength) {
                        throw damaged();
                    }
                    begin(token & 15, MIN_MATCH);
                    part = Part.MATCH;
                }
                case MATCH -> {
                    match();
                    if (length == 0) {
                        if (blockLeft == 0) {
                            throw damaged();
                        }
                        part = Part.TOKEN;
                    }
                }
            }
        }
    }

    /** Reads the rest of the length of literals or of a match. */
    private void begin(int start, int least) throws IOException {
        length = start + least;
        if (start == 15) {
            int more;
            do {
                more = next();
                length += more;
                if (length > BLOCK) {
                    throw damaged();
                }
            } while (more == 255);
        }
        if (length > BLOCK - blockLength) {
            throw damaged();
        }
        blockLength += length;
    }

    private void literals() throws IOException {
        while (length > 0 && to < out.length) {
            refill();
            int step = Math.min(Math.min(length, out.length - to), inEnd - inAt);
            System.arraycopy(in, inAt, out, to, step);
            inAt += step;
            blockLeft -= step;
            to += step;
            length -= step;
        }
    }

    /** Copies forward; where source and target overlap, bytes just written are copied again. */
    private void match() {
        int count = Math.min(length, out.length - to);
        int from = to - offset;
        int done = 0;
        while (done < count) {
            // Each round may copy all that is there already, so the step doubles.
            int step = Math.min(count - done, offset + done);
            System.arraycopy(out, from, out, to + done, step);
            done += step;
        }
        to += count;
        length -= count;
    }

    private boolean nextBlock() throws IOException {
        int size;
        do {
            size = littleEndian();
            // Frames may follow each other.
        } while (size == MAGIC);
        if (size == 0 && inAt == inEnd) {
            return false;
        }
        if (size <= 0 || size > MAX_PACKED) {
            throw new IOException("an LZ4 block has an impossible size");
        }
        blockLeft = size;
        blockLength = 0;
        return true;
    }

    /** Four bytes outside of blocks; 0 when the stream ends before them. */
    private int littleEndian() throws IOException {
        int value = 0;
        for (int i = 0; i < 4; i++) {
            if (inAt == inEnd && !more()) {
                return 0;
            }
            value |= (in[inAt++] & 0xff) << 8 * i;
        }
        return value;
    }

    private int next() throws IOException {
        if (blockLeft == 0) {
            throw damaged();
        }
        blockLeft--;
        refill();
        return in[inAt++] & 0xff;
    }

    /** Inside a block there must be more. */
    private void refill() throws IOException {
        if (inAt == inEnd && !more()) {
            throw damaged();
        }
    }

    private boolean more() throws IOException {
        inAt = 0;
        inEnd = Math.max(0, packed.read(in, 0, in.length));
        return inEnd > 0;
    }

    private static IOException damaged() {
        return new IOException("an LZ4 block is damaged");
    }
}
