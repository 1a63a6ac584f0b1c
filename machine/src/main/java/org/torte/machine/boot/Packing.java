package org.torte.machine.boot;

import com.github.luben.zstd.ZstdInputStreamNoFinalizer;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.zip.GZIPInputStream;
import org.jspecify.annotations.Nullable;
import org.tukaani.xz.SingleXZInputStream;

/** The ways in which a Linux kernel may be packed inside its bzImage, told apart by their first bytes. */
enum Packing {
    GZIP(0x1f, 0x8b),
    XZ(0xfd, '7', 'z', 'X', 'Z', 0),
    LZ4(0x02, 0x21, 0x4c, 0x18),
    ZSTD(0x28, 0xb5, 0x2f, 0xfd),
    BZIP2('B', 'Z', 'h'),
    LZMA(0x5d, 0, 0),
    LZO(0x89, 'L', 'Z', 'O'),
    /** Not packed at all. */
    NONE(0x7f, 'E', 'L', 'F');

    /** Kernels are packed with windows of at most 128 MiB (zstd) and 32 MiB (xz). */
    private static final int XZ_MEMORY_KIB = 160 << 10;

    /** As characters 0 to 255. */
    private final String magic;

    Packing(int... magic) {
        StringBuilder text = new StringBuilder();
        for (int b : magic) {
            text.append((char) b);
        }
        this.magic = text.toString();
    }

    /** The packing of these bytes, or null when they are of no known kind. */
    static @Nullable Packing of(MemorySegment bytes) {
        for (Packing packing : values()) {
            byte[] magic = packing.magic.getBytes(StandardCharsets.ISO_8859_1);
            if (bytes.byteSize() >= magic.length
                    && bytes.asSlice(0, magic.length).mismatch(MemorySegment.ofArray(magic)) < 0) {
                return packing;
            }
        }
        return null;
    }

    /** What users call it. */
    String label() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** Whether the host unpacks it; the others are left to the kernel's own code. */
    boolean unpackedHere() {
        return switch (this) {
            case GZIP, XZ, LZ4, ZSTD, NONE -> true;
            case BZIP2, LZMA, LZO -> false;
        };
    }

    /**
     * Unpacks.
     *
     * @param packed the packed bytes, followed by nothing else
     * @param size how many bytes must come out
     * @throws IOException when other bytes come out than that, or none
     */
    MemorySegment unpack(MemorySegment packed, long size, Arena arena) throws IOException {
        if (this == NONE) {
            return packed;
        }
        MemorySegment target = arena.allocate(size);
        long produced;
        if (this == LZ4) {
            produced = Lz4Legacy.unpack(packed, target);
        } else {
            try (InputStream stream = open(new SegmentStream(packed))) {
                produced = drain(stream, target);
            }
        }
        if (produced != size) {
            throw new IOException("it unpacks to " + produced + " bytes instead of " + size);
        }
        return target;
    }

    private InputStream open(InputStream packed) throws IOException {
        return switch (this) {
            case GZIP -> new GZIPInputStream(packed, 1 << 16);
            case XZ -> new SingleXZInputStream(packed, XZ_MEMORY_KIB);
            case ZSTD -> new ZstdInputStreamNoFinalizer(packed);
            case LZ4, BZIP2, LZMA, LZO, NONE -> throw new IllegalStateException("no stream unpacks " + label());
        };
    }

    /** Reads to the end of the stream, so that its checksum is compared. */
    private static long drain(InputStream stream, MemorySegment target) throws IOException {
        byte[] buffer = new byte[1 << 18];
        long at = 0;
        while (true) {
            int got = stream.read(buffer);
            if (got < 0) {
                return at;
            }
            if (got > target.byteSize() - at) {
                throw new IOException("it unpacks to more than it says");
            }
            MemorySegment.copy(buffer, 0, target, ValueLayout.JAVA_BYTE, at, got);
            at += got;
        }
    }

    /** Reads a segment as a stream. */
    private static final class SegmentStream extends InputStream {
        private final MemorySegment bytes;
        private long at;

        SegmentStream(MemorySegment bytes) {
            this.bytes = bytes;
        }

        @Override
        public int read() {
            return at < bytes.byteSize() ? bytes.get(ValueLayout.JAVA_BYTE, at++) & 0xff : -1;
        }

        @Override
        public int read(byte[] target, int offset, int length) {
            if (length == 0) {
                return 0;
            }
            int count = (int) Math.min(length, bytes.byteSize() - at);
            if (count == 0) {
                return -1;
            }
            MemorySegment.copy(bytes, ValueLayout.JAVA_BYTE, at, target, offset, count);
            at += count;
            return count;
        }

        @Override
        public int available() {
            return (int) Math.min(Integer.MAX_VALUE, bytes.byteSize() - at);
        }
    }
}
