package org.torte.worker;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.time.Duration;
import java.util.function.Function;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.torte.hypervisor.Hypervisor;
import org.torte.hypervisor.HypervisorException;
import org.torte.hypervisor.Partition;
import org.torte.hypervisor.VirtualProcessor;

/** A back-end that gives up while a guest runs, as KVM does when its descriptor fails. */
@Timeout(120)
class BackendFailureTest {
    @Test
    void theMachineEndsWithTheBackEndsOwnWords(@TempDir Path folder) throws IOException {
        HypervisorException failure = new HypervisorException("KVM could not go on");
        Hypervisor failing = replace(
                Hypervisor.class,
                Backends.choose("software").hypervisor(),
                "createPartition",
                partition -> replace(
                        Partition.class,
                        (Partition) partition.get(),
                        "processor",
                        processor ->
                                replace(VirtualProcessor.class, (VirtualProcessor) processor.get(), "run", original -> {
                                    throw failure;
                                })));
        try (VirtualMachine machine = VirtualMachine.builder()
                .kernel(SmallKernel.write(folder, 0xeb, 0xfe))
                .hypervisor(failing)
                .memory(16 << 20)
                .processors(2)
                .build()) {
            machine.start();
            assertThat(machine.awaitExit(Duration.ofSeconds(60)))
                    .isInstanceOfSatisfying(
                            ExitReport.Failed.class,
                            failed -> assertThat(failed.cause()).isSameAs(failure));
        }
    }

    /** One that does the same as another but for one method, which is given the original. */
    private static <T> T replace(Class<T> type, T real, String name, Function<Supplier<Object>, Object> instead) {
        return type.cast(Proxy.newProxyInstance(
                type.getClassLoader(), new Class<?>[] {type}, (_, method, arguments) -> {
                    if (!method.getName().equals(name)) {
                        return invoke(method, real, arguments);
                    }
                    return instead.apply(() -> invoke(method, real, arguments));
                }));
    }

    private static Object invoke(Method method, Object target, Object[] arguments) {
        try {
            return method.invoke(target, arguments);
        } catch (InvocationTargetException e) {
            if (e.getCause() instanceof RuntimeException cause) {
                throw cause;
            }
            throw new AssertionError(e.getCause());
        } catch (IllegalAccessException e) {
            throw new AssertionError(e);
        }
    }
}
