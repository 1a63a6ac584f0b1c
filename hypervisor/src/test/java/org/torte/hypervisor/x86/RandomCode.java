package org.torte.hypervisor.x86;

import java.util.Random;

/** Random bytes with more prefixes and escapes than chance would give. */
final class RandomCode {
    private static final int[] PREFIXES = {0x66, 0xF2, 0xF3, 0x67, 0x48, 0x41, 0x44, 0x64, 0x2E, 0xF0};

    private RandomCode() {}

    static byte[] bytes(Random random, int size) {
        byte[] code = new byte[size];
        random.nextBytes(code);
        for (int i = 0; i + 24 < size; i += 8 + random.nextInt(12)) {
            int at = i;
            while (random.nextInt(3) == 0 && at < i + 4) {
                code[at++] = (byte) PREFIXES[random.nextInt(PREFIXES.length)];
            }
            switch (random.nextInt(6)) {
                case 0, 1, 2 -> code[at++] = 0x0F;
                case 3 -> {
                    code[at++] = 0x0F;
                    code[at++] = (byte) (random.nextBoolean() ? 0x38 : 0x3A);
                }
                case 4 -> code[at++] = (byte) (0xD8 + random.nextInt(8));
                default -> {}
            }
        }
        return code;
    }
}
