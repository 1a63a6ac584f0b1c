package org.torte.hypervisor.x86;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Decoder and disassembler against GNU objdump, over random bytes and over real binaries. */
class ObjdumpComparisonTest {
    @ParameterizedTest
    @ValueSource(ints = {16, 32, 64})
    void agreesWithObjdumpOnRandomBytes(int mode) throws Exception {
        assumeTrue(Objdump.installed(), "objdump is not installed");
        long seed = Long.getLong("torte.seed", mode);
        System.out.println("seed " + seed);
        int size = Integer.getInteger("torte.objdump.bytes", 300_000);
        assertAgreement(RandomCode.bytes(new Random(seed), size), mode);
    }

    @Tag("long")
    @ParameterizedTest
    @ValueSource(
            strings = {
                "/bin/bash",
                "/bin/busybox",
                "/usr/bin/python3",
                "/lib/x86_64-linux-gnu/libc.so.6",
                "/usr/lib/x86_64-linux-gnu/libcrypto.so.3"
            })
    void agreesWithObjdumpOnBinaries(String file) throws Exception {
        Path path = Path.of(file);
        assumeTrue(Objdump.installed() && Files.exists(path), "objdump or " + file + " is missing");
        assertAgreement(Files.readAllBytes(path), 64);
    }

    private static void assertAgreement(byte[] code, int mode) throws Exception {
        List<String> differences = new ArrayList<>();
        Map<String, Integer> unknown = new TreeMap<>();
        Instruction instruction = new Instruction();
        int agreed = 0;
        for (Objdump.Line line : Objdump.disassemble(code, mode)) {
            int start = line.offset();
            if (start + 16 > code.length) {
                break;
            }
            int length = Decoder.decode(offset -> code[start + offset] & 0xFF, mode, instruction);
            boolean wrap = mode == 16 || mode == 32 && instruction.operandSize == 2;
            String expected = Objdump.normalise(line.text(), wrap);
            if (length == Decoder.TOO_LONG || instruction.form == Form.INVALID) {
                if (!line.text().contains("(bad)")
                        && !line.text().contains("lock")
                        && !expected.isEmpty()
                        && !expected.startsWith("v")) {
                    unknown.merge(line.text().replaceAll("\\s+", " "), 1, Integer::sum);
                }
                continue;
            }
            String actual = Objdump.normalise(Disassembler.text(instruction, mode, start), wrap);
            if (expected.isEmpty() || unknownToObjdump(instruction, line.text())) {
                continue;
            }
            if (length != line.length() || !actual.equals(expected)) {
                StringBuilder bytes = new StringBuilder();
                for (int i = 0; i < line.length(); i++) {
                    bytes.append(String.format("%02x", code[start + i]));
                }
                differences.add(mode + " " + bytes + " objdump " + line.length() + " " + line.text() + " | ours "
                        + length + " " + actual);
            } else {
                agreed++;
            }
        }
        System.out.println(agreed + " agree, " + differences.size() + " differ");
        differences.forEach(System.out::println);
        unknown.forEach((text, count) -> System.out.println("unknown " + count + " " + text));
        assertThat(agreed).isPositive();
        assertThat(differences).isEmpty();
    }

    /**
     * Where objdump is no judge: encodings that processors execute and it calls bad or names after an extension that we
     * execute as NOP, FWAIT joined with the next instruction, absolute addresses with an index of zero.
     */
    private static boolean unknownToObjdump(Instruction instruction, String text) {
        if (instruction.base == Instruction.NONE && text.contains("iz*")) {
            return true;
        }
        return switch (instruction.form.operation()) {
            case SALC, FSTP, FXCH, FCOM, FCOMP, BSF, BSR, INVD, WBINVD, LFENCE, MFENCE, SFENCE ->
                text.contains("(bad)") || text.contains("wbnoinvd");
            case FNOP -> text.contains(" only)");
            case FWAIT -> true;
            case LOAD_FAR, CALL_FAR, JMP_FAR -> instruction.operandSize == 8;
            case PEXTRW -> instruction.operandSize == 8;
            case XCHG -> text.contains("pause");
            // Newer binutils (2.44) name a register of the operand size, of which the processor takes 16 bits.
            case ARPL, VERR, VERW -> text.matches(".*(,|(arpl|ver[rw]) +)e[a-ds][xpi]\\b.*");
            case NOP -> instruction.opcode >= 0x18 && instruction.opcode <= 0x1E;
            // With 66 before F3 it takes the MMX register for an XMM one.
            case MOVQ2DQ, MOVDQ2Q -> text.contains("data16") || instruction.repeat != 0;
            default -> false;
        };
    }
}
