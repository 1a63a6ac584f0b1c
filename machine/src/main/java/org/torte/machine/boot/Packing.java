package org.torte.machine.boot;

import com.github.luben.zstd.ZstdInputStreamNoFinalizer;
import java.io.IOException;
import java.io.InputStream;
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
     * The unpacked bytes, in order and to their end, where checksums are compared.
     *
     * @param packed the packed bytes, followed by nothing else
     */
    InputStream open(MemorySegment packed) throws IOException {
        InputStream stream = new SegmentStream(packed);
        return switch (this) {
            case GZIP -> new GZIPInputStream(stream, 1 << 16);
            case XZ -> new SingleXZInputStream(stream, XZ_MEMORY_KIB);
            case ZSTD -> new ZstdInputStreamNoFinalizer(stream);
            case LZ4 -> new Lz4LegacyInputStream(stream);
            case NONE -> stream;
            case BZIP2, LZMA, LZO -> throw new IllegalStateException("no stream unpacks " + label());
        };
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
