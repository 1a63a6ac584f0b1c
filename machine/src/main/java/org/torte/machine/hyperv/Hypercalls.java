package org.torte.machine.hyperv;

import org.torte.base.GuestMemory;
import org.torte.hypervisor.CpuState;
import org.torte.hypervisor.ExitHandler.MsrValue;
import org.torte.hypervisor.VirtualProcessor;

/**
 * Carries out hypercalls on the thread of the calling processor (TLFS, "Hypercall Reference"). Without state; several
 * processors call at once. Nothing a guest passes makes it throw.
 */
final class Hypercalls {
    private static final int FLUSH_SPACE = 2, FLUSH_LIST = 3, LONG_SPIN_WAIT = 8, SEND_INTERRUPT = 0xb;
    private static final int FLUSH_SPACE_EX = 0x13, FLUSH_LIST_EX = 0x14, SEND_INTERRUPT_EX = 0x15;
    private static final int GET_REGISTERS = 0x50, SET_REGISTERS = 0x51, POST_MESSAGE = 0x5c, SIGNAL_EVENT = 0x5d;
    private static final int QUERY_CAPABILITIES = 0x8001, MEMORY_HINT = 0x8003;

    /** The extended capability of {@link #MEMORY_HINT}, and the only hint there is: the content may be thrown away. */
    private static final long DISCARD_CAPABILITY = 1 << 8;

    private static final int DISCARD = 2;

    /** A range of large pages: more pages in bits 0 to 10, large in 11, 1 GiB instead of 2 MiB in 12, address from 21 on. */
    private static final int LARGE = 1 << 11, GIGABYTE = 1 << 12, MORE_PAGES = 0x7ff;

    private static final int LARGE_PAGE = 2 << 20;

    private static final long FLUSH_ALL_PROCESSORS = 1;
    private static final int CONNECTION_BITS = 0xff_ffff;
    private static final int POST_HEADER = 16;
    private static final int FIRST_VECTOR = 16, LAST_VECTOR = 255;
    private static final int SPARSE_SET = 0, EVERYBODY = 1;
    private static final long SELF_PARTITION = -1;
    private static final int SELF_PROCESSOR = -2;

    /** The synthetic registers by which guests read and write what are model-specific registers elsewhere. */
    interface Registers {
        boolean read(int processor, int msr, MsrValue value);

        boolean write(int processor, int msr, long value);
    }

    private final GuestMemory memory;
    private final PartitionPort partition;
    private final Registers registers;
    private final int processors;
    private volatile Connections connections = Connections.NONE;

    Hypercalls(GuestMemory memory, PartitionPort partition, int processors, Registers registers) {
        this.memory = memory;
        this.partition = partition;
        this.processors = processors;
        this.registers = registers;
    }

    void connect(Connections to) {
        connections = to;
    }

    /** Status and how many repetitions are done. */
    private record Result(HypercallStatus status, int done) {}

    /** Answers the call whose parameters are in the processor's registers. */
    void call(int caller, boolean wide) {
        VirtualProcessor processor = partition.processor(caller);
        HypercallInput input = new HypercallInput(processor, wide, memory);
        Result result = answer(caller, input);
        long value = result.status.code() | (long) result.done << 32;
        if (wide) {
            processor.setRegister(CpuState.RAX, value);
        } else {
            processor.setRegister(CpuState.RAX, value & 0xffff_ffffL);
            processor.setRegister(CpuState.RDX, value >>> 32);
        }
    }

    /**
     * An event for the connection in EDX, with flag 0, from the hypercall page's own code: it gets EDX and the status
     * added up in EAX.
     */
    void signal(int caller) {
        VirtualProcessor processor = partition.processor(caller);
        long connection = processor.register(CpuState.RDX) & 0xffff_ffffL;
        HypercallStatus status = signal((int) connection, 0);
        processor.setRegister(CpuState.RAX, connection + status.code() & 0xffff_ffffL);
    }

    private Result answer(int caller, HypercallInput input) {
        return switch (input.code()) {
            case FLUSH_SPACE -> flush(caller, input, false, false);
            case FLUSH_LIST -> flush(caller, input, true, false);
            case FLUSH_SPACE_EX -> flush(caller, input, false, true);
            case FLUSH_LIST_EX -> flush(caller, input, true, true);
            case SEND_INTERRUPT -> simple(input, 16, this::sendInterrupt);
            case SEND_INTERRUPT_EX -> single(sendInterruptEx(input));
            case LONG_SPIN_WAIT -> simple(input, 8, parameters -> spin());
            case POST_MESSAGE -> simple(input, POST_HEADER + SynicPort.MAX_PAYLOAD, this::postMessage);
            case SIGNAL_EVENT -> simple(input, 8, this::signalEvent);
            case GET_REGISTERS -> getRegisters(caller, input);
            case SET_REGISTERS -> setRegisters(caller, input);
            case QUERY_CAPABILITIES -> single(queryCapabilities(input));
            case MEMORY_HINT -> memoryHint(input);
            default -> single(HypercallStatus.INVALID_HYPERCALL_CODE);
        };
    }

    private interface Action {
        HypercallStatus run(HypercallInput input);
    }

    private static Result single(HypercallStatus status) {
        return new Result(status, 0);
    }

    /** A call with parameters of fixed size and no repetitions. */
    private static Result simple(HypercallInput input, int bytes, Action action) {
        if (!input.wellFormed(false) || input.variableHeader() != 0) {
            return single(HypercallStatus.INVALID_HYPERCALL_INPUT);
        }
        HypercallStatus place = input.checkInput(bytes);
        return single(place == HypercallStatus.SUCCESS ? action.run(input) : place);
    }

    private HypercallStatus queryCapabilities(HypercallInput input) {
        if (!input.wellFormed(false) || input.variableHeader() != 0) {
            return HypercallStatus.INVALID_HYPERCALL_INPUT;
        }
        HypercallStatus place = input.checkOutput(Long.BYTES);
        if (place == HypercallStatus.SUCCESS) {
            memory.putLong(input.outputAddress(), DISCARD_CAPABILITY);
            partition.memoryWritten(input.outputAddress(), Long.BYTES);
        }
        return place;
    }

    /** Free pages of the guest go back to the host (Linux include/asm-generic/hyperv-tlfs.h, {@code hv_memory_hint}). */
    private Result memoryHint(HypercallInput input) {
        int count = input.repetitions();
        if (!input.wellFormed(true) || input.variableHeader() != 0) {
            return single(HypercallStatus.INVALID_HYPERCALL_INPUT);
        }
        HypercallStatus place = input.checkInput(8 + count * Long.BYTES);
        if (place != HypercallStatus.SUCCESS) {
            return single(place);
        }
        if (input.word(0) != DISCARD) {
            return single(HypercallStatus.INVALID_PARAMETER);
        }
        for (int i = input.firstRepetition(); i < count; i++) {
            long range = input.word(8 + i * Long.BYTES);
            long address = range & -LARGE_PAGE;
            long length = ((range & MORE_PAGES) + 1) * LARGE_PAGE;
            if ((range & LARGE) == 0 || (range & GIGABYTE) != 0 || !memory.contains(address, length)) {
                return new Result(HypercallStatus.INVALID_PARAMETER, i);
            }
            memory.release(address, length);
            partition.memoryWritten(address, length);
        }
        return new Result(HypercallStatus.SUCCESS, count);
    }

    @SuppressWarnings("ThreadPriorityCheck") // the processor that holds the lock may need this host processor
    private static HypercallStatus spin() {
        Thread.yield();
        return HypercallStatus.SUCCESS;
    }

    private HypercallStatus postMessage(HypercallInput input) {
        if (input.fast()) {
            return HypercallStatus.INVALID_HYPERCALL_INPUT;
        }
        int connection = (int) input.word(0);
        long second = input.word(8);
        int type = (int) second;
        int size = (int) (second >>> 32);
        // The hypervisor's own types have the highest bit set.
        if (size < 0 || size > SynicPort.MAX_PAYLOAD || type <= 0) {
            return HypercallStatus.INVALID_PARAMETER;
        }
        byte[] payload = new byte[size];
        input.copy(POST_HEADER, payload);
        return (connection & ~CONNECTION_BITS) != 0
                ? HypercallStatus.INVALID_CONNECTION_ID
                : connections.post(connection, type, payload);
    }

    private HypercallStatus signalEvent(HypercallInput input) {
        long word = input.word(0);
        return signal((int) word, (int) (word >>> 32) & 0xffff);
    }

    private HypercallStatus signal(int connection, int flag) {
        return (connection & ~CONNECTION_BITS) != 0
                ? HypercallStatus.INVALID_CONNECTION_ID
                : connections.signal(connection, flag);
    }

    private HypercallStatus sendInterrupt(HypercallInput input) {
        return interrupt(input.word(0), input.word(8));
    }

    private HypercallStatus sendInterruptEx(HypercallInput input) {
        int banks = input.variableHeader();
        if (!input.wellFormed(false)) {
            return HypercallStatus.INVALID_HYPERCALL_INPUT;
        }
        HypercallStatus place = input.checkInput(24 + banks);
        if (place != HypercallStatus.SUCCESS) {
            return place;
        }
        long[] mask = new long[1];
        HypercallStatus set = processorSet(input, 8, banks, mask);
        return set == HypercallStatus.SUCCESS ? interrupt(input.word(0), mask[0]) : set;
    }

    private HypercallStatus interrupt(long vectorAndLevel, long mask) {
        int vector = (int) vectorAndLevel;
        // Only the one trust level there is.
        if (vector < FIRST_VECTOR || vector > LAST_VECTOR || vectorAndLevel >>> 32 != 0) {
            return HypercallStatus.INVALID_PARAMETER;
        }
        for (int i = 0; i < processors; i++) {
            if ((mask >>> i & 1) != 0) {
                partition.interrupt(i, vector);
            }
        }
        return HypercallStatus.SUCCESS;
    }

    /** A set of processors: format, valid banks, and 64 bits for each bank (TLFS, "Virtual Processor Set"). */
    private static HypercallStatus processorSet(HypercallInput input, int at, int bankBytes, long[] mask) {
        long format = input.word(at);
        long valid = input.word(at + 8);
        if (format == EVERYBODY) {
            mask[0] = -1;
            return HypercallStatus.SUCCESS;
        }
        if (format != SPARSE_SET) {
            return HypercallStatus.INVALID_PARAMETER;
        }
        if (Long.bitCount(valid) * Long.BYTES != bankBytes) {
            return HypercallStatus.INVALID_HYPERCALL_INPUT;
        }
        mask[0] = (valid & 1) == 0 ? 0 : input.word(at + 16);
        return HypercallStatus.SUCCESS;
    }

    /** Everything is flushed, whatever the lists say: translations are cheap to find again, and exits are not. */
    private Result flush(int caller, HypercallInput input, boolean list, boolean extended) {
        int banks = input.variableHeader();
        if (!input.wellFormed(list) || !extended && banks != 0) {
            return single(HypercallStatus.INVALID_HYPERCALL_INPUT);
        }
        int header = extended ? 32 + banks : 24;
        HypercallStatus place = input.checkInput(header + (list ? input.repetitions() * Long.BYTES : 0));
        if (place != HypercallStatus.SUCCESS) {
            return single(place);
        }
        long[] mask = {-1};
        if ((input.word(8) & FLUSH_ALL_PROCESSORS) == 0) {
            if (extended) {
                HypercallStatus set = processorSet(input, 16, banks, mask);
                if (set != HypercallStatus.SUCCESS) {
                    return single(set);
                }
            } else {
                mask[0] = input.word(16);
            }
        }
        partition.flushTranslations(caller, mask[0]);
        return new Result(HypercallStatus.SUCCESS, list ? input.repetitions() : 0);
    }

    private Result getRegisters(int caller, HypercallInput input) {
        int count = input.repetitions();
        HypercallStatus target = registerTarget(caller, input, 16 + (count * Integer.BYTES + 7 & ~7));
        if (target == HypercallStatus.SUCCESS) {
            target = input.checkOutput(count * 16);
        }
        if (target != HypercallStatus.SUCCESS) {
            return single(target);
        }
        MsrValue value = new MsrValue();
        int first = input.firstRepetition();
        for (int i = first; i < count; i++) {
            int name = (int) (input.word(16 + i * Integer.BYTES & ~7) >>> (i & 1) * Integer.SIZE);
            int msr = msr(name);
            if (msr == 0 || !registers.read(caller, msr, value)) {
                return new Result(HypercallStatus.INVALID_PARAMETER, i);
            }
            long at = input.outputAddress() + i * 16L;
            memory.putLong(at, value.value);
            memory.putLong(at + 8, 0);
            partition.memoryWritten(at, 16);
        }
        return new Result(HypercallStatus.SUCCESS, count);
    }

    private Result setRegisters(int caller, HypercallInput input) {
        int count = input.repetitions();
        HypercallStatus target = registerTarget(caller, input, 16 + count * 32);
        if (target != HypercallStatus.SUCCESS) {
            return single(target);
        }
        for (int i = input.firstRepetition(); i < count; i++) {
            int at = 16 + i * 32;
            int msr = msr((int) input.word(at));
            if (msr == 0 || !registers.write(caller, msr, input.word(at + 16))) {
                return new Result(HypercallStatus.INVALID_PARAMETER, i);
            }
        }
        return new Result(HypercallStatus.SUCCESS, count);
    }

    /** Processors may only name themselves. */
    private static HypercallStatus registerTarget(int caller, HypercallInput input, int bytes) {
        if (!input.wellFormed(true) || input.variableHeader() != 0) {
            return HypercallStatus.INVALID_HYPERCALL_INPUT;
        }
        HypercallStatus place = input.checkInput(bytes);
        if (place != HypercallStatus.SUCCESS) {
            return place;
        }
        if (input.word(0) != SELF_PARTITION) {
            return HypercallStatus.INVALID_PARTITION_ID;
        }
        int index = (int) input.word(8);
        return index == SELF_PROCESSOR || index == caller ? HypercallStatus.SUCCESS : HypercallStatus.INVALID_VP_INDEX;
    }

    /** The model-specific register that a synthetic register is (TLFS, "Virtual Processor Register Names"), or 0. */
    private static int msr(int name) {
        if (name >= 0x210 && name <= 0x215) {
            return 0x4000_0100 + name - 0x210; // guest crash
        }
        if (name >= 0xa_0000 && name < 0xa_0010) {
            return 0x4000_0090 + name - 0xa_0000; // synthetic interrupt sources
        }
        if (name >= 0xb_0000 && name < 0xb_0008) {
            return 0x4000_00b0 + name - 0xb_0000; // synthetic timers
        }
        return switch (name) {
            case 0x9_0000 -> 0x4000_0010; // run time
            case 0x9_0001 -> 0x4000_0001; // hypercall page
            case 0x9_0002 -> 0x4000_0000; // guest id
            case 0x9_0003 -> 0x4000_0002; // processor index
            case 0x9_0004 -> 0x4000_0020; // reference time
            case 0x9_0013 -> 0x4000_0073; // assist page
            case 0x9_0017 -> 0x4000_0021; // reference page
            case 0xa_0010 -> 0x4000_0080; // interrupt controller
            case 0xa_0011 -> 0x4000_0081;
            case 0xa_0012 -> 0x4000_0082;
            case 0xa_0013 -> 0x4000_0083;
            case 0xa_0014 -> 0x4000_0084;
            default -> 0;
        };
    }
}
