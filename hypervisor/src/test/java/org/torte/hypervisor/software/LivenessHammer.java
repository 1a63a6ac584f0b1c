package org.torte.hypervisor.software;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.torte.base.GuestMemory;
import org.torte.hypervisor.TranslatorMode;

/**
 * Processors that want something of each other in ways that once had them wait for ever: some write to a page while others
 * execute code from it, into that code and beside it, and one stops another that leaves translated code all the time. All of
 * them have to come to an end.
 */
final class LivenessHammer {
    private static final int CODE = 0xc0_0000;
    private static final Duration LIMIT = Duration.ofMinutes(2);

    /** Replaces the constant that the function begins with. rcx: how often; rbx: the memory, at 0x80 the end, at 0x100 the calls. */
    private static final String REPLACER = """
            bd0000c000 # mov ebp,0xc00000
            8b9300010000 # mov edx,DWORD [rbx+0x100]
            894d04 # mov DWORD [rbp+0x4],ecx
            f390 # pause
            399300010000 # cmp DWORD [rbx+0x100],edx
            74f6 # je 0xe
            48ffc9 # dec rcx
            75e8 # jne 0x5
            c7838000000001000000 # mov DWORD [rbx+0x80],0x1
            e6f4 # out 0xf4,al
            f4 # hlt
            """;

    private static final String CALLER = """
            bd0300c000 # mov ebp,0xc00003
            ffd5 # call rbp
            ff8300010000 # inc DWORD [rbx+0x100]
            83bb8000000000 # cmp DWORD [rbx+0x80],0x0
            74ef # je 0x5
            e6f4 # out 0xf4,al
            f4 # hlt
            """;

    /** Several blocks, each of which leads to the next. */
    private static final String FUNCTION = """
            b800000000 # mov eax,0x0
            85c0 # test eax,eax
            7500 # jne 0x9
            7400 # je 0xb
            7500 # jne 0xd
            7400 # je 0xf
            c3 # ret
            """;

    /** Has a long function decoded anew each time. rcx: how often. */
    private static final String DECODER = """
            bd0000c000 # mov ebp,0xc00000
            c64500ff # mov BYTE [rbp],0xff
            ffd5 # call rbp
            48ffc9 # dec rcx
            75f5 # jne 0x5
            c7838000000001000000 # mov DWORD [rbx+0x80],0x1
            e6f4 # out 0xf4,al
            f4 # hlt
            """;

    /** Counts behind that function in its page. */
    private static final String COUNTER = """
            bd0000c000 # mov ebp,0xc00000
            ff8500080000 # inc DWORD [rbp+0x800]
            83bb8000000000 # cmp DWORD [rbx+0x80],0x0
            74f1 # je 0x5
            e6f4 # out 0xf4,al
            f4 # hlt
            """;

    /** Uses the x87 with one privilege for data and the other in turn, until the other processor has ended. */
    private static final String CROSSER = """
            b820002000 # mov eax,0x200020
            0f22e0 # mov cr4,rax
            dbe3 # fninit
            0f01cb # stac
            d9e8 # fld1
            ddd8 # fstp st(0)
            eb00 # jmp 0x13
            0f01ca # clac
            d9e8 # fld1
            ddd8 # fstp st(0)
            ff8300010000 # inc DWORD [rbx+0x100]
            83bb8000000000 # cmp DWORD [rbx+0x80],0x0
            74e1 # je 0xa
            e6f4 # out 0xf4,al
            f4 # hlt
            """;

    /** Has it stop, for an access across two cache lines. */
    private static final String STOPPER = """
            81bb0001000000000100 # cmp DWORD [rbx+0x100],0x10000
            72f4 # jb 0x0
            f0ff833e020000 # lock inc DWORD [rbx+0x23e]
            c7838000000001000000 # mov DWORD [rbx+0x80],0x1
            e6f4 # out 0xf4,al
            f4 # hlt
            """;

    private LivenessHammer() {}

    /** Ends the JVM when processors do not come to an end. */
    static void run(int others, int rounds, TranslatorMode mode) {
        Thread.ofPlatform().daemon().start(LivenessHammer::endWhatDoesNotEnd);
        try (GuestMemory memory = GuestMemory.allocate(LitmusMachine.MEMORY)) {
            put(memory, CODE + 3, bytes(FUNCTION));
            LitmusMachine.run(memory, programs(REPLACER, CALLER, others), rounds, mode);
        }
        try (GuestMemory memory = GuestMemory.allocate(LitmusMachine.MEMORY)) {
            put(memory, CODE, bytes("ffc0 # inc eax\n".repeat(300) + "c3 # ret\n"));
            LitmusMachine.run(memory, programs(DECODER, COUNTER, others), rounds, mode);
        }
        try (GuestMemory memory = GuestMemory.allocate(LitmusMachine.MEMORY)) {
            LitmusMachine.run(memory, List.of(bytes(CROSSER), bytes(STOPPER)), 1, mode);
        }
    }

    private static void endWhatDoesNotEnd() {
        try {
            TimeUnit.MILLISECONDS.sleep(LIMIT.toMillis());
        } catch (InterruptedException e) {
            return;
        }
        Thread.getAllStackTraces().forEach((thread, stack) -> System.out.println(thread + " " + List.of(stack)));
        Runtime.getRuntime().halt(1);
    }

    private static List<byte[]> programs(String one, String other, int others) {
        List<byte[]> programs = new ArrayList<>();
        programs.add(bytes(one));
        for (int i = 0; i < others; i++) {
            programs.add(bytes(other));
        }
        return programs;
    }

    private static byte[] bytes(String text) {
        LitmusProgram.Code code = new LitmusProgram.Code();
        text.lines().forEach(line -> code.hex(line.substring(0, line.indexOf(' '))));
        return code.bytes();
    }

    private static void put(GuestMemory memory, long address, byte[] bytes) {
        memory.write(address, bytes, 0, bytes.length);
    }
}
