package org.torte.hypervisor.software;

import java.io.IOException;
import java.io.InputStream;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import org.jspecify.annotations.Nullable;

/**
 * {@link Interpreter} for a processor that interprets for long although code was to be translated, as 32-bit code is not, and
 * none where the host does not allow it: the same class once more, hidden, which the JVM compiles by itself. {@code packaging/translator-compilers.json} keeps the JVM's
 * second compiler from the class that goes by its name, because it would take longer over it than the few million
 * instructions do that are interpreted while a 64-bit system starts; it names no hidden class.
 */
final class LastingInterpreter {
    private static final MethodType TYPE =
            MethodType.methodType(void.class, Cpu.class, Executor.class, BlockBuilder.class, TranslatedCode.class);
    private static final MethodHandle NEW = define();

    private LastingInterpreter() {}

    private static MethodHandle define() {
        MethodHandles.Lookup here = MethodHandles.lookup();
        Class<?> copy = Interpreter.class;
        try (InputStream in = Interpreter.class.getResourceAsStream("Interpreter.class")) {
            // In an image without its bytes it is as slow as before.
            if (in != null) {
                copy = here.defineHiddenClass(in.readAllBytes(), false).lookupClass();
            }
            return here.findConstructor(copy, TYPE).asType(TYPE.changeReturnType(Interpretation.class));
        } catch (IOException | ReflectiveOperationException e) {
            throw new LinkageError("the interpreter cannot be copied", e);
        }
    }

    static Interpretation create(
            Cpu cpu, Executor executor, BlockBuilder builder, @Nullable TranslatedCode translated) {
        try {
            return (Interpretation) NEW.invokeExact(cpu, executor, builder, translated);
        } catch (Throwable e) {
            throw new LinkageError("the interpreter cannot be copied", e);
        }
    }
}
