package org.torte.testing;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Gives a test class a virtual machine with a small Linux, of the distribution's own kernel and busybox, in this process
 * and without root. It is for fields and parameters of the type {@link TestMachine}; on a class it describes the machine
 * of those that have no annotation of their own.
 *
 * <pre>{@code
 * @Vm(network = Vm.Network.NAT, guestPorts = 80)
 * class WebServerTest {
 *     @Test
 *     void servesItsPage(TestMachine machine) {
 *         machine.output("echo hello >/tmp/index.html; httpd -p 80 -h /tmp");
 *         URI page = URI.create("http://127.0.0.1:" + machine.hostPort(80));
 *         ...
 *     }
 * }
 * }</pre>
 *
 * A machine boots once for a class, nested ones included. What {@code @BeforeAll} does with it
 * belongs to its clean state, which is saved before the first test; a test that comes after one that has used the machine
 * finds it in that state again: memory, processes, disk. {@link #restore} can turn that off. Fields and parameters with
 * equal annotations share one machine; {@link #name} tells more of them apart. Tests that share a machine run one
 * after the other.
 *
 * <p>Where no guest can be made (the packages are neither in the cache nor to be had, libslirp is missing for a network) the
 * tests are skipped, and say why.
 */
@Documented
@Target({ElementType.TYPE, ElementType.FIELD, ElementType.PARAMETER, ElementType.ANNOTATION_TYPE})
@Retention(RetentionPolicy.RUNTIME)
@ExtendWith(VmExtension.class)
public @interface Vm {
    /** What the machine's network adapter is plugged into. */
    enum Network {
        /** It has no adapter. */
        NONE,
        /** A network of its own, by which it reaches what the host reaches. Needs libslirp. */
        NAT
    }

    /** What tells this machine from others of the class with the same properties; its name in its network. */
    String name() default "tiny";

    /** Virtual processors, 1 to 64. */
    int processors() default 1;

    /** RAM in MiB, at least 64. */
    int memory() default 256;

    /** The size of its disk in MiB, at least 128; the host's file holds only what is written. */
    int disk() default 256;

    /** Its network. */
    Network network() default Network.NONE;

    /** TCP ports of the guest that {@link TestMachine#hostPort} leads to, with {@link Network#NAT}. */
    int[] guestPorts() default {};

    /** The back-end: {@code auto}, {@code software} or {@code kvm}. */
    String hypervisor() default "auto";

    /** Whether each test finds the clean state; without it the tests see what those before them did. */
    boolean restore() default true;

    /** How long the boot and each command may take, in seconds: a machine without hardware virtualisation is slow. */
    int patience() default 600;
}
