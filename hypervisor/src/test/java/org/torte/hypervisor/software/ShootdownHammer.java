package org.torte.hypervisor.software;

import java.util.ArrayList;
import java.util.List;
import org.torte.base.GuestMemory;
import org.torte.hypervisor.TranslatorMode;

/**
 * One processor takes away what others work with, and goes on when they have said that they know: a page that is mapped to
 * another frame, or made read-only (both answered by INVLPG), and code that is replaced (answered by CPUID). From then on
 * nobody may reach the old frame, no write may land, and nobody may execute what was there before.
 */
final class ShootdownHammer {
    private static final long RESULTS = LitmusMachine.RESULTS;
    private static final int DIRECTORY = 0x3000, TABLE = 0x4000, HANDLER = 0x6000, GDT = LitmusMachine.GDT;
    private static final int FRAMES = 0xb0_0000, CODE_FRAME = 0xc0_0000, PAGE = 0x1000;
    private static final int PAGE_FAULT = 14;

    /** Where in the results the users say how often something was wrong, and the other counts. */
    private static final int AFTERWARDS = 0x80, COUNTS = 0x100;

    /**
     * Maps the page at 0x40000000 to one of four frames after the other, and makes it read-only in between. rbx: 0 what is
     * asked for, 0x40 what is in the frame, 0x80 the end, 0xc0 what has begun to change, from 0x100 on for each user
     * what it knows and how far it is. r10d: how many users; rdi: the results; rcx: how many rounds.
     */
    private static final String REMAPPER = """
            bd00000040 # mov ebp,0x40000000
            4531e4 # xor r12d,r12d
            4531c0 # xor r8d,r8d
            4589c1 # mov r9d,r8d
            41ffc0 # inc r8d
            4183e003 # and r8d,0x3
            41ffc4 # inc r12d
            4489a3c0000000 # mov DWORD [rbx+0xc0],r12d
            0faef0 # mfence
            4489c0 # mov eax,r8d
            c1e00c # shl eax,0xc
            050300b000 # add eax,0xb00003
            4889042500400000 # mov QWORD 0x4000,rax
            0f017d00 # invlpg BYTE [rbp+0x0]
            4c894340 # mov QWORD [rbx+0x40],r8
            e865000000 # call
            41c1e10c # shl r9d,0xc
            4181c10000b000 # add r9d,0xb00000
            e876000000 # call
            41ffc4 # inc r12d
            4489a3c0000000 # mov DWORD [rbx+0xc0],r12d
            0faef0 # mfence
            4589c1 # mov r9d,r8d
            41c1e10c # shl r9d,0xc
            4181c10000b000 # add r9d,0xb00000
            f0480fba34250040000001 # lock btr QWORD 0x4000,0x1
            0f017d00 # invlpg BYTE [rbp+0x0]
            e826000000 # call
            e842000000 # call
            f0480fba2c250040000001 # lock bts QWORD 0x4000,0x1
            48ffc9 # dec rcx
            0f8571ffffff # jne
            c7838000000001000000 # mov DWORD [rbx+0x80],0x1
            e6f4 # out 0xf4,al
            f4 # hlt
            448923 # mov DWORD [rbx],r12d
            31d2 # xor edx,edx
            488d8300010000 # lea rax,[rbx+0x100]
            443920 # cmp DWORD [rax],r12d
            7404 # je
            f390 # pause
            ebf7 # jmp
            4883c040 # add rax,0x40
            ffc2 # inc edx
            4439d2 # cmp edx,r10d
            72ec # jb
            c3 # ret
            4d8ba900020000 # mov r13,QWORD [r9+0x200]
            4d03a908020000 # add r13,QWORD [r9+0x208]
            4d03a910020000 # add r13,QWORD [r9+0x210]
            4d03a940020000 # add r13,QWORD [r9+0x240]
            4d03a948020000 # add r13,QWORD [r9+0x248]
            4d03a950020000 # add r13,QWORD [r9+0x250]
            31d2 # xor edx,edx
            488d8308010000 # lea rax,[rbx+0x108]
            4c8b30 # mov r14,QWORD [rax]
            4983c608 # add r14,0x8
            4c3930 # cmp QWORD [rax],r14
            7304 # jae
            f390 # pause
            ebf7 # jmp
            4883c040 # add rax,0x40
            ffc2 # inc edx
            4439d2 # cmp edx,r10d
            72e5 # jb
            4d2ba900020000 # sub r13,QWORD [r9+0x200]
            4d2ba908020000 # sub r13,QWORD [r9+0x208]
            4d2ba910020000 # sub r13,QWORD [r9+0x210]
            4d2ba940020000 # sub r13,QWORD [r9+0x240]
            4d2ba948020000 # sub r13,QWORD [r9+0x248]
            4d2ba950020000 # sub r13,QWORD [r9+0x250]
            7407 # je
            48ff8780000000 # inc QWORD [rdi+0x80]
            c3 # ret
            """;

    /** Reads what tells frames apart, and stores, by instructions of eight bytes, which the handler leaves out. */
    private static final String USER = """
            bd00000040 # mov ebp,0x40000000
            4589de # mov r14d,r11d
            41c1e606 # shl r14d,0x6
            4e8db43308010000 # lea r14,[rbx+r14*1+0x108]
            4531e4 # xor r12d,r12d
            8b03 # mov eax,DWORD [rbx]
            4439e0 # cmp eax,r12d
            753c # jne 0x5a
            488b5508 # mov rdx,QWORD [rbp+0x8]
            4c8b4340 # mov r8,QWORD [rbx+0x40]
            4439a3c0000000 # cmp DWORD [rbx+0xc0],r12d
            7509 # jne 0x38
            4c39c2 # cmp rdx,r8
            7404 # je 0x38
            4aff04df # inc QWORD [rdi+r11*8]
            49ffc5 # inc r13
            4e89acdd00020000 # mov QWORD [rbp+r11*8+0x200],r13
            4e01acdd40020000 # add QWORD [rbp+r11*8+0x240],r13
            49ff06 # inc QWORD [r14]
            83bb8000000000 # cmp DWORD [rbx+0x80],0x0
            74c0 # je 0x17
            e6f4 # out 0xf4,al
            f4 # hlt
            4189c4 # mov r12d,eax
            0f017d00 # invlpg BYTE [rbp+0x0]
            4d8966f8 # mov QWORD [r14-0x8],r12
            ebb7 # jmp 0x1e
            """;

    private static final String SKIP = """
            4883c408 # add rsp,0x8
            4883042408 # add QWORD [rsp],0x8
            4aff84df00010000 # inc QWORD [rdi+r11*8+0x100]
            48cf # iretq
            """;

    /** Replaces constants in four functions, by one address and the other. */
    private static final String WRITER = """
            4531e4 # xor r12d,r12d
            41ffc4 # inc r12d
            bd0000c000 # mov ebp,0xc00000
            41f7c401000000 # test r12d,0x1
            7405 # je 0x19
            bd00100040 # mov ebp,0x40001000
            ba04000000 # mov edx,0x4
            44896504 # mov DWORD [rbp+0x4],r12d
            4c89a500080000 # mov QWORD [rbp+0x800],r12
            4883c540 # add rbp,0x40
            ffca # dec edx
            75ed # jne 0x1e
            448923 # mov DWORD [rbx],r12d
            31d2 # xor edx,edx
            488d8300010000 # lea rax,[rbx+0x100]
            443920 # cmp DWORD [rax],r12d
            740b # je 0x4d
            4c89a580080000 # mov QWORD [rbp+0x880],r12
            f390 # pause
            ebf0 # jmp 0x3d
            4883c040 # add rax,0x40
            ffc2 # inc edx
            4439d2 # cmp edx,r10d
            72e5 # jb 0x3d
            48ffc9 # dec rcx
            75a6 # jne 0x3
            c7838000000001000000 # mov DWORD [rbx+0x80],0x1
            e6f4 # out 0xf4,al
            f4 # hlt
            """;

    /** Calls them: until it knows of a change they may be old or new, and from then on new. */
    private static final String CALLER = """
            4589de # mov r14d,r11d
            41c1e606 # shl r14d,0x6
            4e8db43300010000 # lea r14,[rbx+r14*1+0x100]
            4989d8 # mov r8,rbx
            4531e4 # xor r12d,r12d
            bd0300c000 # mov ebp,0xc00003
            41f7c402000000 # test r12d,0x2
            7405 # je 0x28
            bd03100040 # mov ebp,0x40001003
            41bd04000000 # mov r13d,0x4
            ffd5 # call rbp
            89c2 # mov edx,eax
            4429e2 # sub edx,r12d
            83fa01 # cmp edx,0x1
            7604 # jbe 0x3e
            4aff04df # inc QWORD [rdi+r11*8]
            4883c540 # add rbp,0x40
            41ffcd # dec r13d
            75e7 # jne 0x2e
            4aff84df00010000 # inc QWORD [rdi+r11*8+0x100]
            4183b88000000000 # cmp DWORD [r8+0x80],0x0
            7548 # jne 0xa1
            458b08 # mov r9d,DWORD [r8]
            4539e1 # cmp r9d,r12d
            74b4 # je 0x15
            4589cc # mov r12d,r9d
            31c0 # xor eax,eax
            0fa2 # cpuid
            bd0300c000 # mov ebp,0xc00003
            41f7c402000000 # test r12d,0x2
            7405 # je 0x7b
            bd03100040 # mov ebp,0x40001003
            41bd04000000 # mov r13d,0x4
            ffd5 # call rbp
            4439e0 # cmp eax,r12d
            7408 # je 0x90
            4aff84df80000000 # inc QWORD [rdi+r11*8+0x80]
            4883c540 # add rbp,0x40
            41ffcd # dec r13d
            75e8 # jne 0x81
            4d8926 # mov QWORD [r14],r12
            e974ffffff # jmp 0x15
            e6f4 # out 0xf4,al
            f4 # hlt
            """;

    private ShootdownHammer() {}

    /** What is wrong after so many rounds with so many users, 1 to 3; empty when nothing is. */
    static List<String> run(int users, int rounds, TranslatorMode mode) {
        List<String> wrong = new ArrayList<>();
        try (GuestMemory memory = memory()) {
            for (int frame = 0; frame < 4; frame++) {
                memory.putLong(FRAMES + frame * PAGE + 8, frame);
            }
            LitmusMachine.run(memory, programs(REMAPPER, USER, users), rounds, mode);
            expectNone(wrong, "frames were wrong after a change", memory, 0, users);
            expectNone(wrong, "stores landed where they must not", memory, AFTERWARDS, 1);
            expectSome(wrong, "stores found the page read-only", memory, users);
        }
        try (GuestMemory memory = memory()) {
            for (int function = 0; function < 4; function++) {
                int at = CODE_FRAME + 0x40 * function;
                memory.putByte(at + 3, 0xb8);
                memory.putByte(at + 8, 0xc3);
            }
            LitmusMachine.run(memory, programs(WRITER, CALLER, users), rounds, mode);
            expectNone(wrong, "functions were neither old nor new", memory, 0, users);
            expectNone(wrong, "functions were old after a change", memory, AFTERWARDS, users);
            expectSome(wrong, "functions were called while they changed", memory, users);
        }
        return wrong;
    }

    /** With page tables for two pages at 0x40000000 and the handler of page faults. */
    private static GuestMemory memory() {
        GuestMemory memory = GuestMemory.allocate(LitmusMachine.MEMORY);
        memory.putLong(LitmusMachine.TABLES + 0x1008, DIRECTORY | 3);
        memory.putLong(DIRECTORY, TABLE | 3);
        memory.putLong(TABLE, FRAMES | 3);
        memory.putLong(TABLE + 8, CODE_FRAME | 3);
        memory.putLong(GDT + 8, 0x00af_9b00_0000_ffffL);
        memory.putLong(GDT + 16, 0x00cf_9300_0000_ffffL);
        memory.putLong(16 * PAGE_FAULT, HANDLER | 8 << 16 | 0x8e00L << 32);
        byte[] handler = append(new LitmusProgram.Code(), SKIP).bytes();
        memory.write(HANDLER, handler, 0, handler.length);
        return memory;
    }

    private static List<byte[]> programs(String changing, String using, int users) {
        List<byte[]> programs = new ArrayList<>();
        for (int i = 0; i <= users; i++) {
            LitmusProgram.Code code = new LitmusProgram.Code()
                    .hex("41ba")
                    .int32(users)
                    .hex("41bb")
                    .int32(i); // mov r10d, ...; mov r11d, ...
            programs.add(append(code, i == users ? changing : using).bytes());
        }
        return programs;
    }

    private static LitmusProgram.Code append(LitmusProgram.Code code, String text) {
        text.lines().forEach(line -> code.hex(line.substring(0, line.indexOf(' '))));
        return code;
    }

    private static void expectNone(List<String> wrong, String what, GuestMemory memory, int at, int count) {
        for (int i = 0; i < count; i++) {
            long found = memory.getLong(RESULTS + at + 8L * i);
            if (found != 0) {
                wrong.add(found + " " + what + " (" + i + ")");
            }
        }
    }

    private static void expectSome(List<String> wrong, String what, GuestMemory memory, int count) {
        for (int i = 0; i < count; i++) {
            if (memory.getLong(RESULTS + COUNTS + 8L * i) == 0) {
                wrong.add("no " + what + " (" + i + ")");
            }
        }
    }
}
