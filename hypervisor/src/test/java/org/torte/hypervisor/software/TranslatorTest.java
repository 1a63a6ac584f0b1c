package org.torte.hypervisor.software;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.torte.hypervisor.oracle.HostProcessor;
import org.torte.hypervisor.software.translator.Translator;

/** Translated code against the processor of this machine, and the test kernels with all their code translated. */
class TranslatorTest {
    private static final long SEED = Long.getLong("torte.seed", 20261129);

    @Test
    void translatedCodeAgreesWithTheHost() throws Exception {
        oracle(40_000, 60_000);
    }

    @Tag("long")
    @Test
    void millionsOfTranslatedCasesAgreeWithTheHost() throws Exception {
        oracle(5_000_000, 5_000_000);
    }

    @Test
    void translatedSequencesDoWhatInterpretedOnesDo() throws Exception {
        sequences(4_000);
    }

    @Tag("long")
    @Test
    void millionsOfTranslatedSequencesDoWhatInterpretedOnesDo() throws Exception {
        sequences(20_000_000);
    }

    private static void sequences(int programs) throws Exception {
        System.out.println("repeat with -Dtorte.seed=" + SEED);
        assertThat(child("sequences", Long.toString(SEED), Integer.toString(programs)))
                .as("seed " + SEED)
                .endsWith(TranslatorProof.DONE)
                .doesNotContain("state ", "only ");
    }

    @Test
    void translatedKernelsAnswerSystemCallsAsInterpretedOnesDo() throws Exception {
        privileges(10_000);
    }

    @Tag("long")
    @Test
    void millionsOfTranslatedKernelsAnswerSystemCallsAsInterpretedOnesDo() throws Exception {
        privileges(5_000_000);
    }

    private static void privileges(int programs) throws Exception {
        System.out.println("repeat with -Dtorte.seed=" + SEED);
        assertThat(child("privileges", Long.toString(SEED), Integer.toString(programs)))
                .as("seed " + SEED)
                .endsWith(TranslatorProof.DONE)
                .doesNotContain("seed ", "only ");
    }

    @Test
    void translatedKernelsChangePageTablesAsInterpretedOnesDo() throws Exception {
        paging(300);
    }

    @Tag("long")
    @Test
    void millionsOfTranslatedKernelsChangePageTablesAsInterpretedOnesDo() throws Exception {
        paging(1_000_000);
    }

    private static void paging(int programs) throws Exception {
        System.out.println("repeat with -Dtorte.seed=" + SEED);
        assertThat(child("paging", Long.toString(SEED), Integer.toString(programs)))
                .as("seed " + SEED)
                .endsWith(TranslatorProof.DONE)
                .doesNotContain("seed ", "only ");
    }

    @ParameterizedTest
    @CsvSource({"paging,1", "long,1", "access,1", "registers,1"})
    void aKernelDoesNotNoticeThatItIsTranslated(String name, String processors) throws Exception {
        assertThat(child("kernel", name, processors)).isEqualTo(TranslatorProof.DONE);
    }

    @Test
    void whatFourTranslatedProcessorsLockIsWhole() throws Exception {
        assertThat(child("hammer", "4", "6400")).isEqualTo(TranslatorProof.DONE);
    }

    @Tag("long")
    @Test
    void whatFourTranslatedProcessorsLockIsWholeMillionsOfTimes() throws Exception {
        assertThat(child("hammer", "4", "1280000")).isEqualTo(TranslatorProof.DONE);
    }

    @Test
    void whatIsTakenFromTranslatedProcessorsIsGoneWhenTheyHaveAgreed() throws Exception {
        assertThat(child("shootdowns", "2", "100")).isEqualTo(TranslatorProof.DONE);
    }

    @Tag("long")
    @Test
    void whatIsTakenFromTranslatedProcessorsIsGoneWhenTheyHaveAgreedThousandsOfTimes() throws Exception {
        assertThat(child("shootdowns", "2", "20000")).isEqualTo(TranslatorProof.DONE);
    }

    @Test
    void translatedProcessorsSeeWhatTheMemoryModelAllows() throws Exception {
        assertThat(child("litmus", "2000")).isEqualTo(TranslatorProof.DONE);
    }

    @Tag("long")
    @Test
    void translatedProcessorsSeeWhatTheMemoryModelAllowsInAllLitmusTests() throws Exception {
        assertThat(child("litmus", "200000", "all")).isEqualTo(TranslatorProof.DONE);
    }

    @Test
    void pagesAccessedLastAreForgottenWhenTheyMustBe() throws Exception {
        assertThat(child("slots")).isEqualTo(TranslatorProof.DONE);
    }

    @Test
    void instructionsThatGoOnIntoTheNextPageAreTranslatedAndForgottenWhenTheyMustBe() throws Exception {
        assertThat(child("straddlers")).isEqualTo(TranslatorProof.DONE);
    }

    @Test
    void translatedProcessorsThatWantSomethingOfEachOtherEnd() throws Exception {
        assertThat(child("liveness", "2", "300")).isEqualTo(TranslatorProof.DONE);
    }

    @Test
    void theTimeStampCounterIsTheSameInTranslatedCode() throws Exception {
        assertThat(child("time")).isEqualTo(TranslatorProof.DONE);
    }

    private static void oracle(int singles, int sequences) throws Exception {
        assumeTrue(HostProcessor.available(), "the host is not x86-64 Linux");
        System.out.println("repeat with -Dtorte.seed=" + SEED);
        String output = child("oracle", Long.toString(SEED), Integer.toString(singles), Integer.toString(sequences));
        assertThat(output).as("seed " + SEED).isEqualTo(TranslatorProof.DONE);
    }

    /** The output of {@link TranslatorProof} in a JVM of its own. */
    private static String child(String... arguments) throws IOException, InterruptedException {
        Translator translator = Translator.create(1 << 20);
        if (translator == null) {
            return Assumptions.abort("this host does not allow translated code");
        }
        translator.close();
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-XX:+UseSerialGC",
                "-XX:-CreateCoredumpOnCrash",
                "-XX:ErrorFile=/dev/stdout",
                "-cp",
                System.getProperty("java.class.path"),
                TranslatorProof.class.getName()));
        command.addAll(List.of(arguments));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        process.waitFor();
        return output.strip();
    }
}
