package org.torte.hypervisor.software;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.torte.hypervisor.VirtualProcessor;

/** System behaviour as the kernels in src/test/kernels see it; run-in-qemu there gives a second opinion. */
class SystemKernelsTest {
    @ParameterizedTest
    @ValueSource(strings = {"protected"})
    void aKernelSeesWhatTheManualSays(String name) {
        TestKernel.Result result = TestKernel.run(name);
        assertThat(result.output()).isEqualTo(TestKernel.expected(name));
        assertThat(result.exit()).isEqualTo(VirtualProcessor.Exit.CANCELLED);
    }
}
