package org.torte.hypervisor.x86;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** GNU objdump as a judge of lengths and texts. */
final class Objdump {
    /** One instruction as objdump sees it. */
    record Line(int offset, int length, String text) {}

    private static final Pattern LINE = Pattern.compile("\\s*([0-9a-f]+):\\t((?:[0-9a-f]{2} )+)\\s*(?:\\t(.*))?");
    private static final Pattern PREFIXES = Pattern.compile(
            "^((rex(\\.[wrxb]+)?|repz|repnz|rep|data16|data32|addr16|addr32|lock|bnd|xacquire|xrelease|notrack|[cdefgs]s|,p[nt]) )+");

    private static final Pattern TARGET = Pattern.compile("(j\\w+|call|loop\\w*) 0x(\\w+)");

    private static final Pattern ALIAS = Pattern.compile("cmp(eq|lt|le|unord|neq|nlt|nle|ord)(ps|pd|ss|sd)( .*)");
    private static final List<String> PREDICATES = List.of("eq", "lt", "le", "unord", "neq", "nlt", "nle", "ord");
    private static final Pattern MULTIPLY = Pattern.compile("pclmul([hl])q([hl])qdq( .*)");

    private Objdump() {}

    static boolean installed() {
        try {
            Process process = new ProcessBuilder("objdump", "--version")
                    .redirectErrorStream(true)
                    .start();
            process.getInputStream().readAllBytes();
            return process.waitFor() == 0;
        } catch (IOException e) {
            return false;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    /** Disassembles raw bytes as code of this mode, linearly from offset 0. */
    static List<Line> disassemble(byte[] code, int mode) throws IOException, InterruptedException {
        Path file = Files.createTempFile("torte-objdump", ".bin");
        try {
            Files.write(file, code);
            String machine = switch (mode) {
                case 16 -> "i8086";
                case 32 -> "i386";
                default -> "i386:x86-64";
            };
            Process process = new ProcessBuilder(
                            "objdump",
                            "-D",
                            "-z",
                            "-w",
                            "-b",
                            "binary",
                            "-m",
                            machine,
                            "-M",
                            "intel,intel64",
                            "--insn-width=16",
                            file.toString())
                    .redirectErrorStream(true)
                    .start();
            List<Line> lines = new ArrayList<>();
            try (BufferedReader reader = process.inputReader(StandardCharsets.ISO_8859_1)) {
                for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                    Matcher matcher = LINE.matcher(line);
                    if (matcher.matches()) {
                        String text = matcher.group(3) == null ? "" : matcher.group(3);
                        lines.add(new Line(
                                Integer.parseInt(matcher.group(1), 16),
                                matcher.group(2).length() / 3,
                                text));
                    }
                }
            }
            process.waitFor();
            return lines;
        } finally {
            Files.delete(file);
        }
    }

    /**
     * What our text and objdump's must have in common: spelling variants, size suffixes, idle prefixes, redundant segment
     * overrides and shorthands for constants are removed, and branch targets wrap at 64 KB if
     * {@code wrap} says so (16-bit operand size).
     */
    static String normalise(String text, boolean wrap) {
        String s = text.toLowerCase(Locale.ROOT)
                .replaceAll("\\s*[#<].*", "")
                .replaceAll("\\s+", " ")
                .trim();
        s = PREFIXES.matcher(s + " ").replaceFirst("").trim();
        s = s.replaceAll("[+][re]iz\\*[1248]", "").replace("+0x0]", "]").replaceAll(",p[nt]\\b", "");
        s = s.replaceAll("\\bds:\\[(?!(e|r)?bp|(e|r)sp)", "[").replaceAll("\\bss:\\[(?=(e|r)?bp|(e|r)sp)", "[");
        s = s.replaceAll(
                "^(push[af]?|pop[af]?|call|retf?|iret|jmp|enter|leave|[ls][gi]dt|fldenv|fnstenv|frstor|fnsave)[wdq]\\b",
                "$1");
        s = s.replaceAll("^xchg (e?ax),\\1$", "nop").replaceAll("\\[eip\\+0xffffffff(\\w{8})]", "[eip+0x$1]");
        s = s.replaceAll("ptr \\[[er]iz\\*[1248]\\+", "ptr ds:")
                .replaceAll("([cdefgs]s:)\\[[er]iz\\*[1248]\\+(\\w+)]", "$1$2");
        s = s.replace("lddqu xmmword ptr ", "lddqu ").replaceAll("^(lddqu \\w+,)xmmword ptr ", "$1");
        Matcher alias = ALIAS.matcher(s);
        if (alias.matches()) {
            int predicate = PREDICATES.indexOf(alias.group(1));
            s = "cmp" + alias.group(2) + alias.group(3) + ",0x" + predicate;
        }
        alias = MULTIPLY.matcher(s);
        if (alias.matches()) {
            String selector =
                    (alias.group(2).equals("h") ? "1" : "") + (alias.group(1).equals("h") ? "1" : "0");
            s = "pclmulqdq" + alias.group(3) + ",0x" + selector;
        }
        Matcher target = TARGET.matcher(s);
        if (wrap && target.matches()) {
            s = target.group(1) + " " + (Long.parseUnsignedLong(target.group(2), 16) & 0xFFFF);
        }
        return s;
    }
}
