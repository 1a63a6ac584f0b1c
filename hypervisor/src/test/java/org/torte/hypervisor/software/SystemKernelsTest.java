package org.torte.hypervisor.software;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.torte.hypervisor.VirtualProcessor;

/** System behaviour as the kernels in src/test/kernels see it; run-in-qemu there gives a second opinion. */
class SystemKernelsTest {
    @ParameterizedTest
    @ValueSource(strings = {"protected", "paging", "long", "access", "registers"})
    void aKernelSeesWhatTheManualSays(String name) {
        TestKernel.Result result = TestKernel.run(name);
        assertThat(result.output()).isEqualTo(TestKernel.expected(name));
        assertThat(result.exit()).isEqualTo(VirtualProcessor.Exit.CANCELLED);
    }

    @ParameterizedTest
    @ValueSource(strings = {"protected", "paging", "long", "access", "registers"})
    void aKernelDoesNotNoticeThatItMoves(String name) {
        TestKernel.Result result = TestKernel.runMoving(name, 1, 7);
        assertThat(result.output()).isEqualTo(TestKernel.expected(name));
    }

    @Test
    void twoProcessorsDoNotNoticeThatTheyMove() {
        TestKernel.Result result = TestKernel.runMoving("smp", 2, 1);
        assertThat(result.output()).isEqualTo(TestKernel.expected("smp"));
    }

    @Test
    void aSecondProcessorStartsAndSharesMemory() {
        TestKernel.Result result = TestKernel.run("smp", 2);
        assertThat(result.output()).isEqualTo(TestKernel.expected("smp"));
        assertThat(result.exit()).isEqualTo(VirtualProcessor.Exit.CANCELLED);
    }

    @Test
    void aTripleFaultShutsTheProcessorDown() {
        TestKernel.Result result = TestKernel.run("triple");
        assertThat(result.output()).containsExactly("before 0000600d");
        assertThat(result.exit()).isEqualTo(VirtualProcessor.Exit.SHUTDOWN);
    }
}
