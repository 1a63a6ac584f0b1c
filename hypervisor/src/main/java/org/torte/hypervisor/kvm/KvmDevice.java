package org.torte.hypervisor.kvm;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;
import org.torte.hypervisor.CpuidTable;
import org.torte.hypervisor.HypervisorException;

/** /dev/kvm, open. */
final class KvmDevice implements AutoCloseable {
    private static final String PATH = "/dev/kvm";
    private static final String SOFTWARE = "; --hypervisor software needs no KVM";
    private static final int MAX_LEAVES = 256;

    /** TSC-deadline in leaf 1 ECX. */
    private static final int DEADLINE_TIMER = 1 << 24;

    /** What this back-end cannot do without, and since when kernels have it. */
    private static final Map<Integer, String> NEEDED = Map.of(
            Kvm.CAP_SPLIT_IRQCHIP, "local interrupt controllers without an IOAPIC (Linux 4.4)",
            Kvm.CAP_IMMEDIATE_EXIT, "immediate exits (4.12)",
            Kvm.CAP_X86_USER_SPACE_MSR, "exits for model-specific registers (5.10)",
            Kvm.CAP_X86_MSR_FILTER, "a filter of model-specific registers (5.10)",
            Kvm.CAP_SIGNAL_MSI, "message-signalled interrupts (3.5)",
            Kvm.CAP_XSAVE, "XSAVE (2.6.36)");

    private final int fd;

    private KvmDevice(int fd) {
        this.fd = fd;
    }

    /**
     * Opens it and looks whether it can do what is needed.
     *
     * @throws HypervisorException when it cannot be used; the message says what to do
     */
    static KvmDevice open() {
        return open(PATH);
    }

    /** As {@link #open()}, of another file in tests. */
    static KvmDevice open(String path) {
        int fd = Linux.open(path);
        if (fd < 0) {
            throw new HypervisorException(refusal(-fd) + SOFTWARE);
        }
        KvmDevice device = new KvmDevice(fd);
        try {
            device.check();
            return device;
        } catch (RuntimeException e) {
            device.close();
            throw e;
        }
    }

    /** Why it cannot be opened, and what to do. */
    static String refusal(int error) {
        return switch (error) {
            case Linux.ENOENT, Linux.ENODEV ->
                "this host has no " + PATH
                        + ": turn on virtualisation in its firmware (or for this virtual machine in its"
                        + " host) and load kvm_amd or kvm_intel";
            case Linux.EACCES, Linux.EPERM ->
                "you may not open " + PATH + ": an administrator adds you to its group with"
                        + " sudo usermod -aG kvm $USER, which takes effect at the next login";
            default -> PATH + " cannot be opened (error " + error + ")";
        };
    }

    private void check() {
        int version = Linux.ioctl(fd, Kvm.GET_API_VERSION, 0);
        if (version != Kvm.API_VERSION) {
            throw new HypervisorException(
                    PATH + " is not KVM (its version is " + version + ", not " + Kvm.API_VERSION + ")" + SOFTWARE);
        }
        for (Map.Entry<Integer, String> needed : NEEDED.entrySet()) {
            if (Linux.ioctl(fd, Kvm.CHECK_EXTENSION, needed.getKey()) <= 0) {
                throw new HypervisorException(
                        "this host's KVM lacks " + needed.getValue() + "; a newer kernel has it" + SOFTWARE);
            }
        }
    }

    int request(long request, long argument) {
        return Linux.ioctl(fd, request, argument);
    }

    /** The descriptor of a new, empty machine. */
    int createMachine() {
        int machine;
        do {
            machine = Linux.ioctl(fd, Kvm.CREATE_VM, 0);
        } while (machine == -Linux.EINTR);
        if (machine == -Linux.EBUSY) {
            throw new HypervisorException("another hypervisor uses the host's virtualisation; stop it" + SOFTWARE);
        }
        return Kvm.check(machine, "a virtual machine");
    }

    /** Ticks per second of the host's time-stamp counter. */
    long tscFrequency() {
        int machine = createMachine();
        try {
            int processor = Kvm.check(Linux.ioctl(machine, Kvm.CREATE_VCPU, 0), "a processor");
            int kilohertz = Linux.ioctl(processor, Kvm.GET_TSC_KHZ, 0);
            Linux.close(processor);
            return Kvm.check(kilohertz, "the frequency of time stamps") * 1000L;
        } finally {
            Linux.close(machine);
        }
    }

    int maxProcessors() {
        return Linux.ioctl(fd, Kvm.CHECK_EXTENSION, Kvm.CAP_MAX_VCPUS);
    }

    /** What the host's processor and KVM offer together. */
    CpuidTable supported() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment list = arena.allocate(8 + 40L * MAX_LEAVES, 8);
            list.set(JAVA_INT, 0, MAX_LEAVES);
            Kvm.check(Linux.ioctl(fd, Kvm.GET_SUPPORTED_CPUID, list), "KVM_GET_SUPPORTED_CPUID");
            Map<Long, int[]> seen = new HashMap<>();
            CpuidTable.Builder table = new CpuidTable.Builder();
            int count = list.get(JAVA_INT, 0);
            for (int i = 0; i < count; i++) {
                long at = 8 + 40L * i;
                int leaf = list.get(JAVA_INT, at);
                int subleaf = list.get(JAVA_INT, at + 4);
                int[] r = new int[4];
                for (int k = 0; k < 4; k++) {
                    r[k] = list.get(JAVA_INT, at + 12 + 4L * k);
                }
                if (leaf == 1 && hasDeadlineTimer()) {
                    r[2] |= DEADLINE_TIMER;
                }
                if (seen.put((long) leaf << 32 | subleaf, r) == null) {
                    if ((list.get(JAVA_INT, at + 8) & 1) != 0) {
                        table.subleaf(leaf, subleaf, r[0], r[1], r[2], r[3]);
                    } else {
                        table.leaf(leaf, r[0], r[1], r[2], r[3]);
                    }
                }
            }
            return table.build();
        }
    }

    /** Older kernels have the timer and do not show it in CPUID, as it needs local interrupt controllers of KVM's own. */
    private boolean hasDeadlineTimer() {
        return Linux.ioctl(fd, Kvm.CHECK_EXTENSION, Kvm.CAP_TSC_DEADLINE_TIMER) > 0;
    }

    @Override
    public void close() {
        Linux.close(fd);
    }
}
