package org.torte.machine.acpi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.torte.machine.MemoryMap;

class AcpiTablesTest {
    @Test
    void tablesAddUpToZeroAndDoNotOverlap() {
        long end = MemoryMap.ACPI_BASE;
        for (AcpiTables.Placed table : new AcpiTables(64, List.of()).tables()) {
            assertThat(table.address).isGreaterThanOrEqualTo(end);
            end = table.address + table.bytes.length;
            if (!table.signature.equals("FACS")) {
                int sum = 0;
                for (byte b : table.bytes) {
                    sum += b;
                }
                assertThat(sum & 0xff).as(table.signature).isZero();
            }
        }
        assertThat(end).isLessThanOrEqualTo(MemoryMap.ACPI_BASE + MemoryMap.ACPI_SIZE);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 64, 300})
    void theReferenceCompilerReadsThemWithoutErrorsOrWarnings(int processors, @TempDir Path folder)
            throws IOException, InterruptedException {
        assumeTrue(Files.isExecutable(Path.of("/usr/bin/iasl")), "iasl is not installed");
        for (AcpiTables.Placed table : new AcpiTables(processors, List.of()).tables()) {
            Path binary = folder.resolve(table.signature.strip() + ".aml");
            Files.write(binary, table.bytes);
            if (table.signature.startsWith("RSD")) {
                continue;
            }
            String disassembly = run("iasl", "-d", binary.toString());
            assertThat(disassembly)
                    .as(table.signature)
                    .containsPattern("ASL Output|Formatted output")
                    .doesNotContainIgnoringCase("error")
                    .doesNotContainIgnoringCase("warning")
                    .doesNotContain("Invalid");
            Path source = folder.resolve(table.signature.strip() + ".dsl");
            String text = Files.readString(source, StandardCharsets.ISO_8859_1);
            assertThat(text).doesNotContain("Incorrect").doesNotContain("**** ").doesNotContain("Unknown");
            String compiled = run("iasl", "-ve", "-p", folder.resolve("again").toString(), source.toString());
            assertThat(compiled).as(table.signature).containsPattern("Compilation successful. 0 Errors");
            if (table.signature.equals("DSDT")) {
                assertThat(compiled).contains("0 Errors, 0 Warnings");
            }
        }
    }

    private static String run(String... command) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        process.getOutputStream().close();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.ISO_8859_1);
        process.waitFor();
        return output;
    }

    @Test
    void packageLengthsOfEverySizeCountThemselves() {
        for (int size : new int[] {0, 60, 61, 62, 63, 64, 4000, 4085, 4090, 4100, 70000}) {
            byte[] scope = Aml.scope("\\_SB", new byte[size]);
            int lead = scope[1] & 0xff;
            int more = lead >>> 6;
            int length = more == 0 ? lead & 0x3f : lead & 0xf;
            for (int i = 0; i < more; i++) {
                length |= (scope[2 + i] & 0xff) << 4 + 8 * i;
            }
            assertThat(length).as("%d bytes", size).isEqualTo(scope.length - 1);
        }
    }

    @Test
    void eisaIdentifiersAreCompressedAsTheSpecificationSays() {
        // The example of ACPI 6.5, section 19.3.4: PNP0303 is 0x0303d041.
        assertThat(Aml.eisaId("PNP0303")).containsExactly(0x0c, 0x41, 0xd0, 0x03, 0x03);
    }
}
