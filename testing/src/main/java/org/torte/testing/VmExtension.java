package org.torte.testing;

import java.lang.reflect.Constructor;
import java.lang.reflect.Executable;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Parameter;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolutionException;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.junit.jupiter.api.extension.TestInstancePostProcessor;
import org.junit.platform.commons.support.AnnotationSupport;
import org.junit.platform.commons.support.HierarchyTraversalMode;
import org.junit.platform.commons.support.ReflectionSupport;
import org.torte.worker.InputException;

/** Makes the machines of {@link Vm}, gives them to fields and parameters, and takes them back to their clean state. */
final class VmExtension implements BeforeAllCallback, BeforeEachCallback, TestInstancePostProcessor, ParameterResolver {
    private static final Namespace NAMESPACE = Namespace.create(VmExtension.class);
    private static final System.Logger LOG = System.getLogger(VmExtension.class.getName());

    /** The machines of a class, by what is asked of them. */
    private static final class Machines implements AutoCloseable {
        private final Map<Vm, TestMachine> machines = new HashMap<>();

        synchronized TestMachine get(Vm properties) {
            TestMachine known = machines.get(properties);
            if (known != null) {
                return known;
            }
            try {
                TestMachine made = TestMachine.boot(properties);
                machines.put(properties, made);
                return made;
            } catch (InputException e) {
                String reason = "there is no virtual machine for this test: " + e.getMessage();
                LOG.log(System.Logger.Level.INFO, reason);
                return Assumptions.abort(reason);
            }
        }

        synchronized void restore() {
            for (TestMachine machine : machines.values()) {
                machine.keep();
                machine.restore();
            }
        }

        @Override
        public synchronized void close() {
            machines.values().forEach(TestMachine::close);
        }
    }

    /** Machines boot here and in {@link #beforeEach}: a test that is aborted where a parameter is looked for counts as failed. */
    @Override
    public void beforeAll(ExtensionContext context) throws IllegalAccessException {
        Class<?> type = context.getRequiredTestClass();
        Machines machines = machines(context);
        AnnotationSupport.findAnnotation(type, Vm.class).ifPresent(machines::get);
        for (Field field : AnnotationSupport.findAnnotatedFields(type, Vm.class)) {
            machines.get(properties(field));
        }
        for (Method method : ReflectionSupport.findMethods(
                type, method -> Modifier.isStatic(method.getModifiers()), HierarchyTraversalMode.TOP_DOWN)) {
            boot(method, machines);
        }
        for (Constructor<?> constructor : type.getDeclaredConstructors()) {
            boot(constructor, machines);
        }
        inject(type, null, context);
    }

    @Override
    public void postProcessTestInstance(Object instance, ExtensionContext context) throws IllegalAccessException {
        inject(instance.getClass(), instance, context);
    }

    @Override
    public void beforeEach(ExtensionContext context) {
        Machines machines = machines(context);
        Method test = context.getRequiredTestMethod();
        for (Method method : ReflectionSupport.findMethods(
                context.getRequiredTestClass(),
                method -> method.equals(test) || isLifecycle(method),
                HierarchyTraversalMode.TOP_DOWN)) {
            boot(method, machines);
        }
        machines.restore();
    }

    private static boolean isLifecycle(Method method) {
        return AnnotationSupport.isAnnotated(method, BeforeEach.class)
                || AnnotationSupport.isAnnotated(method, AfterEach.class);
    }

    private static void boot(Executable executable, Machines machines) {
        for (Parameter parameter : executable.getParameters()) {
            AnnotationSupport.findAnnotation(parameter, Vm.class).ifPresent(machines::get);
        }
    }

    @Override
    public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
        return parameter.getParameter().getType() == TestMachine.class;
    }

    @Override
    public TestMachine resolveParameter(ParameterContext parameter, ExtensionContext context) {
        Vm properties = parameter
                .findAnnotation(Vm.class)
                .or(() -> ofClass(context))
                .orElseThrow(() -> new ParameterResolutionException(
                        "neither " + parameter.getParameter() + " nor its class has @Vm, which describes the machine"));
        return machines(context).get(properties);
    }

    private static void inject(Class<?> type, @Nullable Object instance, ExtensionContext context)
            throws IllegalAccessException {
        for (Field field : AnnotationSupport.findAnnotatedFields(type, Vm.class)) {
            if (Modifier.isStatic(field.getModifiers()) == (instance == null)) {
                if (field.getType() != TestMachine.class) {
                    throw new IllegalArgumentException("@Vm is for fields of the type TestMachine, not " + field);
                }
                field.setAccessible(true);
                field.set(instance, machines(context).get(properties(field)));
            }
        }
    }

    private static Vm properties(Field field) {
        return AnnotationSupport.findAnnotation(field, Vm.class).orElseThrow();
    }

    private static Optional<Vm> ofClass(ExtensionContext context) {
        return context.getEnclosingTestClasses().isEmpty()
                ? AnnotationSupport.findAnnotation(context.getRequiredTestClass(), Vm.class)
                : AnnotationSupport.findAnnotation(
                        context.getRequiredTestClass(), Vm.class, context.getEnclosingTestClasses());
    }

    /** Those of the outermost class, which are closed when its tests are over. */
    private static Machines machines(ExtensionContext context) {
        ExtensionContext outermost = context;
        while (outermost.getParent().flatMap(ExtensionContext::getTestClass).isPresent()) {
            outermost = outermost.getParent().orElseThrow();
        }
        return outermost.getStore(NAMESPACE).computeIfAbsent(Machines.class, _ -> new Machines(), Machines.class);
    }
}
