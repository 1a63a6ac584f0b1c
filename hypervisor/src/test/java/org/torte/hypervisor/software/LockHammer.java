package org.torte.hypervisor.software;

import java.util.ArrayList;
import java.util.List;
import org.torte.base.GuestMemory;
import org.torte.hypervisor.TranslatorMode;

/**
 * Several processors at the same places in memory with every kind of instruction that locks: what is there in the end says
 * whether each was whole. Counters, exchanges by comparison of 8 bytes (of two kinds) and 16, two kinds of spin locks around
 * something that does not lock, operands across a cache line and across a page.
 */
final class LockHammer {
    private static final long AREA = LitmusMachine.AREAS, RESULTS = LitmusMachine.RESULTS;
    private static final long SIGN = 0x1E37_79B1L;

    /** r8d: the processor's own bit; r11d: its number; rbx: the memory; rdi: the results; rcx: how many rounds. */
    private static final String CODE = """
            4989ca # mov r10,rcx
            4889de # mov rsi,rbx
            4531c9 # xor r9d,r9d
            f048ff06 # lock inc QWORD PTR [rsi]
            f083464003 # lock add DWORD PTR [rsi+0x40],0x3
            b801000000 # mov eax,0x1
            f0480fc18680000000 # lock xadd QWORD PTR [rsi+0x80],rax
            4901c1 # add r9,rax
            488b86c0000000 # mov rax,QWORD PTR [rsi+0xc0]
            488d5005 # lea rdx,[rax+0x5]
            f0480fb196c0000000 # lock cmpxchg QWORD PTR [rsi+0xc0],rdx
            75f1 # jne 0x36
            b801000000 # mov eax,0x1
            878600010000 # xchg DWORD PTR [rsi+0x100],eax
            85c0 # test eax,eax
            740d # je 0x61
            f390 # pause
            83be0001000000 # cmp DWORD PTR [rsi+0x100],0x0
            75f5 # jne 0x54
            ebe4 # jmp 0x45
            48ff8640010000 # inc QWORD PTR [rsi+0x140]
            c7860001000000000000 # mov DWORD PTR [rsi+0x100],0x0
            f00fbaae8001000007 # lock bts DWORD PTR [rsi+0x180],0x7
            7304 # jae 0x81
            f390 # pause
            ebf1 # jmp 0x72
            48ff86c0010000 # inc QWORD PTR [rsi+0x1c0]
            f00fbab68001000007 # lock btr DWORD PTR [rsi+0x180],0x7
            488b8600020000 # mov rax,QWORD PTR [rsi+0x200]
            488b9608020000 # mov rdx,QWORD PTR [rsi+0x208]
            488d5801 # lea rbx,[rax+0x1]
            488d4a02 # lea rcx,[rdx+0x2]
            f0480fc78e00020000 # lock cmpxchg16b OWORD PTR [rsi+0x200]
            75ed # jne 0x9f
            8b8640020000 # mov eax,DWORD PTR [rsi+0x240]
            8b9644020000 # mov edx,DWORD PTR [rsi+0x244]
            8d5801 # lea ebx,[rax+0x1]
            8d4aff # lea ecx,[rdx-0x1]
            f00fc78e40020000 # lock cmpxchg8b QWORD PTR [rsi+0x240]
            75f0 # jne 0xbe
            f0ff86be020000 # lock inc DWORD PTR [rsi+0x2be]
            4969c2b179371e # imul rax,r10,0x1e3779b1
            f048318600030000 # lock xor QWORD PTR [rsi+0x300],rax
            66f083ae4003000007 # lock sub WORD PTR [rsi+0x340],0x7
            f0fe8e80030000 # lock dec BYTE PTR [rsi+0x380]
            f0440986c0030000 # lock or DWORD PTR [rsi+0x3c0],r8d
            448586c0030000 # test DWORD PTR [rsi+0x3c0],r8d
            7505 # jne 0x10a
            490fbae93c # bts r9,0x3c
            4489c0 # mov eax,r8d
            f7d0 # not eax
            f02186c0030000 # lock and DWORD PTR [rsi+0x3c0],eax
            f9 # stc
            f04883960004000000 # lock adc QWORD PTR [rsi+0x400],0x0
            f0f79640040000 # lock not DWORD PTR [rsi+0x440]
            41f7c23f000000 # test r10d,0x3f
            7507 # jne 0x137
            f0ff86fe0f0000 # lock inc DWORD PTR [rsi+0xffe]
            49ffca # dec r10
            0f85d5feffff # jne 0x15
            4e890cdf # mov QWORD PTR [rdi+r11*8],r9
            e6f4 # out 0xf4,al
            f4 # hlt
            ebfd # jmp 0x146
            """;

    private LockHammer() {}

    /** What is wrong after so many rounds, a multiple of 64, on so many processors; empty when nothing is. */
    static List<String> run(int processors, int rounds, TranslatorMode mode) {
        List<byte[]> programs = new ArrayList<>();
        for (int i = 0; i < processors; i++) {
            LitmusProgram.Code code = new LitmusProgram.Code()
                    .hex("41b8")
                    .int32(1 << i)
                    .hex("41bb")
                    .int32(i); // mov r8d, ...; mov r11d, ...
            CODE.lines().forEach(line -> code.hex(line.substring(0, line.indexOf(' '))));
            programs.add(code.bytes());
        }
        List<String> wrong = new ArrayList<>();
        try (GuestMemory memory = GuestMemory.allocate(LitmusMachine.MEMORY)) {
            LitmusMachine.run(memory, programs, rounds, mode);
            long all = (long) processors * rounds;
            expect(wrong, "LOCK INC", memory.getLong(AREA), all, 64);
            expect(wrong, "LOCK ADD", memory.getInt(AREA + 0x40), 3 * all, 32);
            expect(wrong, "LOCK XADD", memory.getLong(AREA + 0x80), all, 64);
            long sum = 0;
            for (int i = 0; i < processors; i++) {
                sum += memory.getLong(RESULTS + 8L * i);
            }
            expect(wrong, "what LOCK XADD found, or a bit of LOCK OR that was lost", sum, all * (all - 1) / 2, 64);
            expect(wrong, "LOCK CMPXCHG", memory.getLong(AREA + 0xc0), 5 * all, 64);
            expect(wrong, "lock by XCHG", memory.getLong(AREA + 0x140), all, 64);
            expect(wrong, "lock by LOCK BTS", memory.getLong(AREA + 0x1c0), all, 64);
            expect(wrong, "LOCK CMPXCHG16B", memory.getLong(AREA + 0x200), all, 64);
            expect(wrong, "LOCK CMPXCHG16B, upper half", memory.getLong(AREA + 0x208), 2 * all, 64);
            expect(wrong, "LOCK CMPXCHG8B", memory.getInt(AREA + 0x240), all, 32);
            expect(wrong, "LOCK CMPXCHG8B, upper half", memory.getInt(AREA + 0x244), -all, 32);
            expect(wrong, "LOCK INC across a cache line", memory.getInt(AREA + 0x2be), all, 32);
            long mixed = 0;
            for (long i = 1; i <= rounds && (processors & 1) != 0; i++) {
                mixed ^= i * SIGN;
            }
            expect(wrong, "LOCK XOR", memory.getLong(AREA + 0x300), mixed, 64);
            expect(wrong, "LOCK SUB", memory.getShort(AREA + 0x340), -7 * all, 16);
            expect(wrong, "LOCK DEC", memory.getByte(AREA + 0x380), -all, 8);
            expect(wrong, "LOCK OR and LOCK AND", memory.getInt(AREA + 0x3c0), 0, 32);
            expect(wrong, "LOCK ADC", memory.getLong(AREA + 0x400), all, 64);
            expect(wrong, "LOCK NOT", memory.getInt(AREA + 0x440), -(all & 1), 32);
            expect(wrong, "LOCK INC across a page", memory.getInt(AREA + 0xffe), all / 64, 32);
        }
        return wrong;
    }

    /** The lowest bits must be the same. */
    private static void expect(List<String> wrong, String what, long found, long expected, int bits) {
        if ((found ^ expected) << 64 - bits != 0) {
            wrong.add(what + " left " + found + " instead of " + expected);
        }
    }
}
