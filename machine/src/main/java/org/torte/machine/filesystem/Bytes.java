package org.torte.machine.filesystem;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.HexFormat;
import java.util.Locale;

/** Numbers in the bytes of a disk, where to look for one beyond the end is damage. */
final class Bytes {
    private static final VarHandle SHORT = view(short[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle INT = view(int[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle LONG = view(long[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle BIG_INT = view(int[].class, ByteOrder.BIG_ENDIAN);
    private static final VarHandle BIG_SHORT = view(short[].class, ByteOrder.BIG_ENDIAN);

    private Bytes() {}

    private static VarHandle view(Class<?> array, ByteOrder order) {
        return MethodHandles.byteArrayViewVarHandle(array, order);
    }

    private static void check(byte[] bytes, int at, int length) throws DamagedException {
        if (at < 0 || at > bytes.length - length) {
            throw new DamagedException("a structure that ends too early");
        }
    }

    static int u8(byte[] bytes, int at) throws DamagedException {
        check(bytes, at, 1);
        return bytes[at] & 0xff;
    }

    static int u16(byte[] bytes, int at) throws DamagedException {
        check(bytes, at, 2);
        return (short) SHORT.get(bytes, at) & 0xffff;
    }

    static long u32(byte[] bytes, int at) throws DamagedException {
        check(bytes, at, 4);
        return (int) INT.get(bytes, at) & 0xffffffffL;
    }

    static long u64(byte[] bytes, int at) throws DamagedException {
        check(bytes, at, 8);
        return (long) LONG.get(bytes, at);
    }

    /** Big-endian, as in journals. */
    static int be16(byte[] bytes, int at) throws DamagedException {
        check(bytes, at, 2);
        return (short) BIG_SHORT.get(bytes, at) & 0xffff;
    }

    /** Big-endian, as in journals. */
    static long be32(byte[] bytes, int at) throws DamagedException {
        check(bytes, at, 4);
        return (int) BIG_INT.get(bytes, at) & 0xffffffffL;
    }

    /** A GUID as GPT has them: the first three fields little-endian; in the form in which Linux shows it. */
    static String guid(byte[] bytes, int at) throws DamagedException {
        return String.format(
                Locale.ROOT,
                "%08x-%04x-%04x-%s-%s",
                u32(bytes, at),
                u16(bytes, at + 4),
                u16(bytes, at + 6),
                hex(bytes, at + 8, 2),
                hex(bytes, at + 10, 6));
    }

    /** A UUID as ext4 has it. */
    static String uuid(byte[] bytes, int at) throws DamagedException {
        return hex(bytes, at, 4) + "-" + hex(bytes, at + 4, 2) + "-" + hex(bytes, at + 6, 2) + "-"
                + hex(bytes, at + 8, 2) + "-" + hex(bytes, at + 10, 6);
    }

    private static String hex(byte[] bytes, int at, int length) throws DamagedException {
        check(bytes, at, length);
        return HexFormat.of().formatHex(bytes, at, at + length);
    }
}
