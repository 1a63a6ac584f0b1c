package org.torte.hypervisor.oracle;

import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;

/**
 * The program that the oracle's child process runs: a static x86-64 Linux executable of a few hundred bytes, written
 * here instruction by instruction. It does all its work in one signal handler. Every case ends with a signal (INT3, or
 * the exception that the instruction under test raised); the handler stores the interrupted registers in the case's
 * record, puts the next case's registers into the signal frame, and returns into it.
 */
final class HostProgram {
    /**
     * The program's own memory lies where no case comes to by a 32-bit value, times eight as an index too: a case that met
     * it would find there what the other side does not have.
     */
    static final long SHARED = 0x2B53_1470_0000L;

    /** Where the pages are in the shared file; the one behind the code takes what is cut off at its end. */
    static final int CODE_PAGES = 0x1000, DATA_PAGES = 0x4000, CONSTANTS = 0x6000;

    static final long RECORDS = 0x7000;
    private static final long IMAGE = 0x1A42_3570_0000L;
    private static final long SIGNAL_STACK = 0x3C64_8530_0000L;
    private static final int SIGNAL_STACK_SIZE = 0x1_0000;
    /** MAP_SHARED, MAP_FIXED, and present from the start, so that faults have the error code of a protection. */
    private static final int POPULATED = 0x8011;

    private static final int HEADERS = 64 + 56;

    private final ByteBuffer out = ByteBuffer.allocate(4096).order(ByteOrder.LITTLE_ENDIAN);
    private final Map<String, Integer> labels = new HashMap<>();
    private final Map<Integer, String> jumps = new HashMap<>();

    private final boolean bases;

    private HostProgram(boolean bases) {
        this.bases = bases;
    }

    /**
     * The executable's bytes. Its first argument names the shared file.
     *
     * @param sharedSize the file's size
     * @param bases whether user code may execute RDFSBASE and RDGSBASE; the bases are not reported otherwise
     */
    static byte[] elf(long sharedSize, boolean bases) {
        HostProgram program = new HostProgram(bases);
        program.headers();
        program.start(sharedSize);
        program.handler();
        program.data();
        program.link();
        byte[] image = new byte[program.out.position()];
        program.out.get(0, image);
        return image;
    }

    /** ELF header and one program header: everything readable, writable and executable. */
    private void headers() {
        out.put("\177ELF\2\1\1".getBytes(ISO_8859_1)).position(16);
        out.putShort((short) 2).putShort((short) 62).putInt(1).putLong(IMAGE + HEADERS);
        out.putLong(64)
                .putLong(0)
                .putInt(0)
                .putShort((short) 64)
                .putShort((short) 56)
                .putShort((short) 1);
        out.position(64);
        out.putInt(1).putInt(7).putLong(0).putLong(IMAGE).putLong(IMAGE);
        out.putLong(out.capacity()).putLong(out.capacity()).putLong(4096);
    }

    private void start(long sharedSize) {
        code("48 8B 7C 24 10"); // mov rdi, [rsp+16]: argv[1]
        code("BE 02 00 00 00 31 D2"); // O_RDWR
        systemCall(2); // open
        code("49 89 C0"); // mov r8, rax
        map(SHARED, sharedSize, 3, 0x11, 0); // MAP_SHARED | MAP_FIXED
        map(AddressSpace.CODE, AddressSpace.CODE_PAGES * 4096L, 5, POPULATED, CODE_PAGES);
        map(AddressSpace.DATA, AddressSpace.DATA_PAGES * 4096L, 3, POPULATED, DATA_PAGES);
        map(AddressSpace.CONSTANTS, 4096, 1, POPULATED, CONSTANTS);
        map(SIGNAL_STACK, SIGNAL_STACK_SIZE, 3, 0x32, 0); // MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED
        address("48 BF", "stack"); // mov rdi
        code("31 F6");
        systemCall(131); // sigaltstack
        for (int signal : new int[] {4, 5, 7, 8, 11, CaseRecord.TIMER_SIGNAL}) {
            code("BF").putInt(signal); // mov edi
            address("48 BE", "action"); // mov rsi
            code("31 D2 41 BA 08 00 00 00"); // xor edx, edx; mov r10d, 8
            systemCall(13); // rt_sigaction
        }
        for (int i = 0; i < AddressSpace.LDT.size(); i++) {
            code("BF 11 00 00 00"); // mov edi, 0x11
            address("48 BE", "segment" + i); // mov rsi
            code("BA 10 00 00 00"); // mov edx
            systemCall(154); // modify_ldt
        }
        code("BF 01 00 00 00"); // mov edi, ITIMER_VIRTUAL
        address("48 BE", "timer"); // mov rsi
        code("31 D2"); // xor edx, edx
        systemCall(38); // setitimer
        // Should a case ever reach a system call, it must do no harm: SECCOMP_MODE_STRICT.
        code("BF 16 00 00 00 BE 01 00 00 00"); // mov edi, PR_SET_SECCOMP; mov esi, 1
        systemCall(157); // prctl
        code("CC");
    }

    private void map(long address, long size, int protection, int flags, int offset) {
        code("48 BF").putLong(address); // mov rdi
        code("48 BE").putLong(size); // mov rsi
        code("BA").putInt(protection); // mov edx
        code("41 BA").putInt(flags); // mov r10d
        code("41 B9").putInt(offset); // mov r9d
        systemCall(9); // mmap
    }

    private void handler() {
        label("handler");
        code("49 BE").putLong(SHARED); // mov r14
        code("49 8B 1E"); // mov rbx, [r14]: the record whose case has ended
        code("4C 8D 62 28"); // lea r12, [rdx+40]: struct sigcontext
        code("4D 8B AC 24 B8 00 00 00"); // mov r13, [r12+184]: the FXSAVE image
        code("48 85 DB"); // test rbx, rbx
        jump("0F 84", "wait"); // jz
        code("89 BB").putInt(CaseRecord.OUT_SIGNAL); // mov [rbx+...], edi
        code("8C 9B").putInt(CaseRecord.OUT_SEGMENTS); // mov [rbx+...], ds
        code("8C 83").putInt(CaseRecord.OUT_SEGMENTS + 2); // es
        code("8C A3").putInt(CaseRecord.OUT_SEGMENTS + 4); // fs
        code("8C AB").putInt(CaseRecord.OUT_SEGMENTS + 6); // gs
        if (bases) {
            code("F3 48 0F AE C0 48 89 83").putInt(CaseRecord.OUT_FS_BASE); // rdfsbase rax; mov [rbx+...], rax
            code("F3 48 0F AE C8 48 89 83").putInt(CaseRecord.OUT_GS_BASE); // rdgsbase rax; mov [rbx+...], rax
        }
        code("48 8D BB").putInt(CaseRecord.OUT); // lea rdi, [rbx+...]
        code("4C 89 E6"); // mov rsi, r12
        copy(CaseRecord.CONTEXT);
        code("48 8D BB").putInt(CaseRecord.OUT_FX);
        code("4C 89 EE"); // mov rsi, r13
        copy(CaseRecord.FX_SIZE);
        code("48 8D BB").putInt(CaseRecord.OUT_DATA);
        for (AddressSpace.Window window : AddressSpace.WINDOWS) {
            code("BE").putInt((int) window.address()); // mov esi
            copy(window.size());
        }
        code("31 C0"); // xor eax, eax
        for (int i = 1; i < AddressSpace.WINDOWS.size(); i++) {
            AddressSpace.Window before = AddressSpace.WINDOWS.get(i - 1);
            long gap = before.address() + before.size();
            code("BF").putInt((int) gap); // mov edi
            code("B9").putInt((int) (AddressSpace.WINDOWS.get(i).address() - gap)); // mov ecx
            code("F3 AA"); // rep stosb
        }
        codeToRdi();
        code("B8 CC 00 00 00 B9").putInt(CaseRecord.CODE_SIZE); // mov eax, 0xCC; mov ecx
        code("F3 AA"); // rep stosb
        code("48 81 C3").putInt(CaseRecord.SIZE); // add rbx
        code("49 3B 5E 08"); // cmp rbx, [r14+8]
        jump("0F 82", "load"); // jb

        label("wait"); // tell the test that the batch is done, wait for the next
        code("B8 01 00 00 00 BF 01 00 00 00 49 8D 76 10 BA 01 00 00 00 0F 05"); // write(1, r14+16, 1)
        code("31 C0 31 FF 49 8D 76 10 BA 01 00 00 00 0F 05"); // read(0, r14+16, 1)
        code("83 F8 01"); // cmp eax, 1
        jump("0F 85", "exit"); // jne
        code("48 BB").putLong(SHARED + RECORDS); // mov rbx

        label("load");
        code("49 89 1E"); // mov [r14], rbx
        code("4C 89 E7 48 89 DE"); // mov rdi, r12; mov rsi, rbx
        copy(CaseRecord.REGISTERS);
        code("8E 9B").putInt(CaseRecord.IN_SEGMENTS); // mov ds, [rbx+...]
        code("8E 83").putInt(CaseRecord.IN_SEGMENTS + 2); // es
        code("8E A3").putInt(CaseRecord.IN_SEGMENTS + 4); // fs
        code("8E AB").putInt(CaseRecord.IN_SEGMENTS + 6); // gs
        code("41 80 4C 24 D8 04"); // or byte [r12-40], 4: SS is to be restored as it stands there
        // ID and NT are not the signal frame's to restore: an earlier case's would stay.
        code("9C 81 24 24 FF BF DF FF 9D"); // pushfq; and dword [rsp], ~0x204000; popfq
        codeToRdi();
        code("48 8D B3").putInt(CaseRecord.IN_CODE); // lea rsi, [rbx+...]
        copy(CaseRecord.CODE_SIZE);
        code("48 8D B3").putInt(CaseRecord.IN_DATA);
        for (AddressSpace.Window window : AddressSpace.WINDOWS) {
            code("BF").putInt((int) window.address()); // mov edi
            copy(window.size());
        }
        code("4C 89 EF"); // mov rdi, r13
        code("48 8D B3").putInt(CaseRecord.IN_FX);
        copy(CaseRecord.FX_SIZE);
        code("49 83 8D 00 02 00 00 03"); // or qword [r13+512], 3: x87 and SSE are in XSTATE_BV
        code("48 83 C4 08"); // add rsp, 8: the return address
        systemCall(15); // rt_sigreturn

        label("exit");
        code("31 FF");
        systemCall(60); // exit
    }

    /** Where the shared file has the address of the record's code. */
    private void codeToRdi() {
        code("48 8B BB").putInt(CaseRecord.IN_CODE_ADDRESS); // mov rdi, [rbx+...]
        code("4A 8D BC 37").putInt(CODE_PAGES - (int) AddressSpace.CODE); // lea rdi, [rdi+r14+...]
    }

    private void data() {
        label("timer"); // struct itimerval: 100 ms, again and again
        out.putLong(0).putLong(100_000).putLong(0).putLong(100_000);
        for (int i = 0; i < AddressSpace.LDT.size(); i++) {
            label("segment" + i);
            for (int word : AddressSpace.LDT.get(i).user(i)) {
                out.putInt(word);
            }
        }
        label("stack"); // stack_t
        out.putLong(SIGNAL_STACK).putLong(0).putLong(SIGNAL_STACK_SIZE);
        label("action"); // struct kernel_sigaction: SA_SIGINFO | SA_ONSTACK | SA_RESTORER
        address("", "handler");
        out.putLong(0x0C00_0004L);
        address("", "exit");
        out.putLong(-1); // every other signal waits
    }

    private ByteBuffer code(String hex) {
        return out.put(HexFormat.of().parseHex(hex.replace(" ", "")));
    }

    private void systemCall(int number) {
        code("B8").putInt(number); // mov eax
        code("0F 05");
    }

    private void copy(int bytes) {
        code("B9").putInt(bytes); // mov ecx
        code("F3 A4"); // rep movsb
    }

    private void label(String name) {
        labels.put(name, out.position());
    }

    /** An opcode and a 32-bit displacement to a label. */
    private void jump(String hex, String label) {
        code(hex);
        jumps.put(out.position(), label);
        out.putInt(0);
    }

    /** An opcode and the absolute address of a label. */
    private void address(String hex, String label) {
        code(hex);
        jumps.put(~out.position(), label);
        out.putLong(0);
    }

    private void link() {
        jumps.forEach((place, name) -> {
            int target = labels.getOrDefault(name, -1);
            if (place >= 0) {
                out.putInt(place, target - place - 4);
            } else {
                out.putLong(~place, IMAGE + target);
            }
        });
    }
}
