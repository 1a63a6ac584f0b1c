package org.torte.machine.boot;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.SplittableRandom;
import java.util.zip.GZIPOutputStream;
import org.tukaani.xz.LZMA2Options;
import org.tukaani.xz.XZOutputStream;

/** Small images in every format that the loader knows. */
@SuppressWarnings("ByteBufferBackingArray") // every buffer here wraps an array of its own, from its start
final class TestImages {
    static final int LOAD_ADDRESS = 0x1000000;
    static final int ENTRY = LOAD_ADDRESS + 0x40;

    private TestImages() {}

    /** An ELF64 file with one segment of code, some bss and, if wanted, a PVH note. */
    static byte[] elf64(byte[] code, boolean pvh) {
        int headers = 64 + (pvh ? 2 : 1) * 56;
        int note = (headers + 15) & -16;
        int offset = note + (pvh ? 32 : 0);
        ByteBuffer file = little(offset + code.length);
        file.putInt(0x464c457f).put((byte) 2).put((byte) 1).put((byte) 1);
        file.position(16);
        file.putShort((short) 2)
                .putShort((short) 62)
                .putInt(1)
                .putLong(ENTRY)
                .putLong(64)
                .putLong(0);
        file.putInt(0).putShort((short) 64).putShort((short) 56).putShort((short) (pvh ? 2 : 1));
        file.position(64);
        file.putInt(1).putInt(7).putLong(offset).putLong(0xffffffff81000000L).putLong(LOAD_ADDRESS);
        file.putLong(code.length).putLong(code.length + 0x2000L).putLong(0x1000);
        if (pvh) {
            file.putInt(4)
                    .putInt(4)
                    .putLong(note)
                    .putLong(0)
                    .putLong(0)
                    .putLong(20)
                    .putLong(20)
                    .putLong(4);
            file.position(note);
            file.putInt(4)
                    .putInt(4)
                    .putInt(18)
                    .put("Xen\0".getBytes(StandardCharsets.US_ASCII))
                    .putInt(ENTRY);
        }
        file.position(offset);
        return file.put(code).array();
    }

    /** An ELF32 multiboot kernel, as small test kernels are. */
    static byte[] multibootElf(int flags) {
        ByteBuffer file = little(0x1000 + 0x100);
        file.putInt(0x464c457f).put((byte) 1).put((byte) 1).put((byte) 1);
        file.position(16);
        file.putShort((short) 2)
                .putShort((short) 3)
                .putInt(1)
                .putInt(0x400010)
                .putInt(52)
                .putInt(0)
                .putInt(0);
        file.putShort((short) 52).putShort((short) 32).putShort((short) 1);
        file.position(52);
        file.putInt(1)
                .putInt(0x1000)
                .putInt(0x400000)
                .putInt(0x400000)
                .putInt(0x100)
                .putInt(0x5000)
                .putInt(7);
        file.position(0x1000);
        file.putInt(0x1badb002).putInt(flags).putInt(-(0x1badb002 + flags));
        return file.array();
    }

    /** A flat multiboot kernel that gives its addresses in the header. */
    static byte[] multibootFlat() {
        ByteBuffer file = little(0x200);
        file.position(0x20);
        int flags = 1 << 16;
        file.putInt(0x1badb002).putInt(flags).putInt(-(0x1badb002 + flags));
        file.putInt(0x200020).putInt(0x200000).putInt(0x200200).putInt(0x203000).putInt(0x200080);
        file.position(0x80);
        file.put((byte) 0xf4);
        return file.array();
    }

    /** A bzImage around a packed payload. */
    static byte[] bzImage(byte[] payload, boolean wide) {
        int setup = 5 * 512;
        int payloadOffset = 0x400;
        ByteBuffer file = little(setup + payloadOffset + payload.length);
        file.put(0x1f1, (byte) 4);
        file.putShort(0x1fe, (short) 0xaa55);
        file.put(0x201, (byte) 0x6a);
        file.putInt(0x202, 0x53726448).putShort(0x206, (short) 0x20f).putShort(0x20e, (short) 0x100);
        file.put(0x211, (byte) 1)
                .putInt(0x22c, 0x7fffffff)
                .putInt(0x230, 0x200000)
                .put(0x234, (byte) 1);
        file.putShort(0x236, (short) (wide ? 1 : 0)).putInt(0x238, 255);
        file.putInt(0x248, payloadOffset).putInt(0x24c, payload.length);
        file.putLong(0x258, LOAD_ADDRESS).putInt(0x260, 0x400000);
        file.position(0x300);
        file.put("9.8.7-test (somebody)".getBytes(StandardCharsets.US_ASCII));
        file.position(setup + payloadOffset);
        return file.put(payload).array();
    }

    /** Packs as the kernel's build does: gzip as it is, the others with the unpacked size behind. */
    static byte[] pack(Packing packing, byte[] bytes) throws IOException {
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        switch (packing) {
            case GZIP -> copy(new GZIPOutputStream(packed), bytes);
            case XZ -> copy(new XZOutputStream(packed, new LZMA2Options(1)), bytes);
            case ZSTD -> packed.writeBytes(com.github.luben.zstd.Zstd.compress(bytes));
            case LZ4 -> packed.writeBytes(storedLz4(bytes));
            case BZIP2 ->
                packed.writeBytes("BZh9 of which the host unpacks nothing".getBytes(StandardCharsets.US_ASCII));
            default -> throw new IllegalArgumentException("no test packs " + packing);
        }
        if (packing != Packing.GZIP) {
            packed.writeBytes(little(4).putInt(bytes.length).array());
        }
        return packed.toByteArray();
    }

    private static void copy(OutputStream stream, byte[] bytes) throws IOException {
        try (stream) {
            stream.write(bytes);
        }
    }

    /** One LZ4 block of literals only. */
    private static byte[] storedLz4(byte[] bytes) {
        ByteArrayOutputStream block = new ByteArrayOutputStream();
        block.write(0xf0);
        int rest = bytes.length - 15;
        for (; rest >= 255; rest -= 255) {
            block.write(255);
        }
        block.write(rest);
        block.writeBytes(bytes);
        ByteBuffer frame = little(8 + block.size());
        return frame.putInt(Lz4LegacyInputStream.MAGIC)
                .putInt(block.size())
                .put(block.toByteArray())
                .array();
    }

    static byte[] code(long seed) {
        byte[] code = new byte[3000];
        new SplittableRandom(seed).nextBytes(code);
        return code;
    }

    static ByteBuffer little(int size) {
        return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    }
}
