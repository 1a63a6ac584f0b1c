package org.torte.hypervisor.software;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.torte.hypervisor.VirtualProcessor;

/** System behaviour as the kernels in src/test/kernels see it; run-in-qemu there gives a second opinion. */
class SystemKernelsTest {
    /** The lines that the kernel of the golden files has printed before. */
    private static final int GOLDEN_LINES = 8;

    @ParameterizedTest
    @ValueSource(strings = {"protected", "paging", "long", "access", "registers", "legacy"})
    void aKernelSeesWhatTheManualSays(String name) {
        TestKernel.Result result = TestKernel.run(name);
        assertThat(result.output()).isEqualTo(TestKernel.expected(name));
        assertThat(result.exit()).isEqualTo(VirtualProcessor.Exit.CANCELLED);
    }

    @ParameterizedTest
    @ValueSource(strings = {"protected", "paging", "long", "access", "registers", "legacy"})
    void aKernelDoesNotNoticeThatItMoves(String name) {
        TestKernel.Result result = TestKernel.runMoving(name, 1, 7);
        assertThat(result.output()).isEqualTo(TestKernel.expected(name));
    }

    @ParameterizedTest
    @ValueSource(strings = {"smp", "x2apic"})
    void twoProcessorsDoNotNoticeThatTheyMove(String name) {
        TestKernel.Result result = TestKernel.runMoving(name, 2, 1);
        assertThat(result.output()).isEqualTo(TestKernel.expected(name));
    }

    /** Both processors in the middle of their work, in each version of the processors' sections. */
    @ParameterizedTest
    @ValueSource(strings = {"processor-1.torte", "processor-2.torte"})
    void everyVersionOfSavedStateStillGoesOn(String state) {
        TestKernel.Result result = TestKernel.resume("smp", 2, TestKernel.bytes(state));
        List<String> expected = TestKernel.expected("smp");
        assertThat(result.output()).isEqualTo(expected.subList(GOLDEN_LINES, expected.size()));
    }

    @ParameterizedTest
    @ValueSource(strings = {"smp", "x2apic"})
    void twoProcessorsSeeWhatTheManualSays(String name) {
        TestKernel.Result result = TestKernel.run(name, 2);
        assertThat(result.output()).isEqualTo(TestKernel.expected(name));
        assertThat(result.exit()).isEqualTo(VirtualProcessor.Exit.CANCELLED);
    }

    @Test
    void aTripleFaultShutsTheProcessorDown() {
        TestKernel.Result result = TestKernel.run("triple");
        assertThat(result.output()).containsExactly("before 0000600d");
        assertThat(result.exit()).isEqualTo(VirtualProcessor.Exit.SHUTDOWN);
    }
}
