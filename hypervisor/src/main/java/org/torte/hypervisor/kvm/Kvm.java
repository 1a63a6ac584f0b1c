package org.torte.hypervisor.kvm;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import org.torte.hypervisor.HypervisorException;

/** Numbers of linux/kvm.h, as they are on x86-64. */
final class Kvm {
    static final int API_VERSION = 12;

    // ---- requests
    static final long GET_API_VERSION = 0xae00, CREATE_VM = 0xae01, CHECK_EXTENSION = 0xae03;
    static final long GET_VCPU_MMAP_SIZE = 0xae04, GET_SUPPORTED_CPUID = 0xc008ae05;
    static final long CREATE_VCPU = 0xae41, GET_DIRTY_LOG = 0x4010ae42, SET_USER_MEMORY_REGION = 0x4020ae46;
    static final long SET_TSS_ADDR = 0xae47, SET_IDENTITY_MAP_ADDR = 0x4008ae48, ENABLE_CAP = 0x4068aea3;
    static final long X86_SET_MSR_FILTER = 0x4188aec6, SET_GSI_ROUTING = 0x4008ae6a, SIGNAL_MSI = 0x4020aea5;
    static final long IOEVENTFD = 0x4040ae79, SET_TSC_KHZ = 0xaea2, GET_TSC_KHZ = 0xaea3;
    static final long RUN = 0xae80, GET_REGS = 0x8090ae81L, SET_REGS = 0x4090ae82, GET_SREGS = 0x8138ae83L;
    static final long SET_SREGS = 0x4138ae84, INTERRUPT = 0x4004ae86, GET_MSRS = 0xc008ae88L, SET_MSRS = 0x4008ae89;
    static final long SET_SIGNAL_MASK = 0x4004ae8b, GET_LAPIC = 0x8400ae8eL, SET_LAPIC = 0x4400ae8f;
    static final long SET_CPUID2 = 0x4008ae90, GET_MP_STATE = 0x8004ae98L, SET_MP_STATE = 0x4004ae99, NMI = 0xae9a;
    static final long GET_VCPU_EVENTS = 0x8040ae9fL, SET_VCPU_EVENTS = 0x4040aea0, GET_DEBUGREGS = 0x8080aea1L;
    static final long SET_DEBUGREGS = 0x4080aea2, GET_XSAVE = 0x9000aea4L, SET_XSAVE = 0x5000aea5;
    static final long GET_XCRS = 0x8188aea6L, SET_XCRS = 0x4188aea7;

    // ---- capabilities
    static final int CAP_TSC_CONTROL = 60, CAP_MAX_VCPUS = 66, CAP_SPLIT_IRQCHIP = 121, CAP_IMMEDIATE_EXIT = 136;
    static final int CAP_X86_USER_SPACE_MSR = 188, CAP_X86_MSR_FILTER = 189, CAP_DISABLE_QUIRKS2 = 213;
    static final int CAP_SIGNAL_MSI = 77,
            CAP_IOEVENTFD = 36,
            CAP_XSAVE = 55,
            CAP_XCRS = 56,
            CAP_TSC_DEADLINE_TIMER = 72;
    static final int QUIRK_LINT0_REENABLED = 1;

    /** Exits for registers that KVM does not know, and for those that are filtered. */
    static final int MSR_EXITS = 2 | 4;

    // ---- exits
    static final int EXIT_IO = 2, EXIT_HLT = 5, EXIT_MMIO = 6, EXIT_WINDOW = 7, EXIT_SHUTDOWN = 8, EXIT_FAIL_ENTRY = 9;
    static final int EXIT_INTR = 10, EXIT_INTERNAL_ERROR = 17, EXIT_IOAPIC_EOI = 26, EXIT_RDMSR = 29, EXIT_WRMSR = 30;

    // ---- struct kvm_run
    static final int REQUEST_WINDOW = 0, IMMEDIATE_EXIT = 1, EXIT_REASON = 8, READY_FOR_INTERRUPT = 12;
    static final int IO_DIRECTION = 32, IO_SIZE = 33, IO_PORT = 34, IO_COUNT = 36, IO_OFFSET = 40;
    static final int MMIO_ADDRESS = 32, MMIO_DATA = 40, MMIO_LENGTH = 48, MMIO_WRITE = 52;
    static final int MSR_ERROR = 32, MSR_INDEX = 44, MSR_DATA = 48, EOI_VECTOR = 32, ERROR_CODE = 32;

    // ---- states of a processor
    static final int RUNNABLE = 0, UNINITIALIZED = 1, INIT_RECEIVED = 2, HALTED = 3, SIPI_RECEIVED = 4;

    private static final VarHandle BYTE = ValueLayout.JAVA_BYTE.varHandle();

    private Kvm() {}

    static void setImmediateExit(MemorySegment run, boolean on) {
        BYTE.setVolatile(run, (long) IMMEDIATE_EXIT, (byte) (on ? 1 : 0));
    }

    /** Passes a result on, unless it is an error. */
    static int check(int result, String what) {
        if (result < 0) {
            throw failed(what, -result);
        }
        return result;
    }

    static HypervisorException failed(String what, int error) {
        return new HypervisorException("KVM refused " + what + " (error " + error
                + "); use --hypervisor software, or look into the host's kernel log for the cause");
    }
}
