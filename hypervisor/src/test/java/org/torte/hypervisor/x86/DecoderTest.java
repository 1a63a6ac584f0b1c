package org.torte.hypervisor.x86;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DecoderTest {
    private final Instruction instruction = new Instruction();

    private int decode(String hex, int mode) {
        byte[] code = HexFormat.of().parseHex(hex);
        return Decoder.decode(
                offset -> {
                    if (offset >= code.length) {
                        throw new IllegalStateException("fetched byte " + offset);
                    }
                    return code[offset] & 0xFF;
                },
                mode,
                instruction);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            64 | 4889e5               | mov rbp,rsp
            64 | 488b4508             | mov rax,qword ptr [rbp+0x8]
            64 | 660f58c1             | addpd xmm0,xmm1
            64 | 66480f7ec0           | movq rax,xmm0
            64 | 0f7ec0               | movd eax,mm0
            64 | f20f10c1             | movsd xmm0,xmm1
            64 | 66f20f10c1           | movsd xmm0,xmm1
            64 | f366410fb8c0         | popcnt ax,r8w
            64 | 48b88877665544332211 | movabs rax,0x1122334455667788
            64 | a18877665544332211   | movabs eax,ds:0x1122334455667788
            64 | 67a188776655         | mov eax,ds:0x55667788
            64 | 90                   | nop
            64 | 4890                 | nop
            64 | 4190                 | xchg r8d,eax
            64 | f390                 | pause
            64 | f30f1efa             | endbr64
            64 | 8b0510000000         | mov eax,dword ptr [rip+0x10]
            64 | 8b042510000000       | mov eax,dword ptr ds:0x10
            64 | 64488b042528000000   | mov rax,qword ptr fs:0x28
            64 | 2e8b00               | mov eax,dword ptr [rax]
            64 | 642e8b00             | mov eax,dword ptr fs:[rax]
            64 | 66e800000000         | call 0x1006
            64 | 40b4ff               | mov spl,0xff
            64 | b4ff                 | mov ah,0xff
            64 | 4066b80100           | mov ax,0x1
            64 | 6a80                 | push 0xffffffffffffff80
            64 | c4e2f0f2c2           | andn rax,rcx,rdx
            64 | c4e3fbf0c207         | rorx rax,rdx,0x7
            64 | f0480fc70f           | lock cmpxchg16b xmmword ptr [rdi]
            64 | 0f2200               | mov cr0,rax
            64 | 440f20c0             | mov rax,cr8
            32 | c40408               | les eax,fword ptr [eax+ecx*1]
            32 | 40                   | inc eax
            32 | 670f1f00             | nop dword ptr [bx+si]
            32 | 9a785634123412       | call 0x1234:0x12345678
            32 | 66ea78563412         | jmp 0x1234:0x5678
            32 | 6362fe               | arpl word ptr [edx-0x2],sp
            32 | d6                   | salc
            16 | 8b4602               | mov ax,word ptr [bp+0x2]
            16 | 668b07               | mov eax,dword ptr [bx]
            16 | 67668b04b5efbeadde   | mov eax,dword ptr [esi*4-0x21524111]
            16 | c80010ff             | enter 0x1000,0xff
            16 | ebfe                 | jmp 0x1000
            """)
    void decodesAndWrites(int mode, String hex, String text) {
        assertThat(decode(hex, mode)).isEqualTo(hex.length() / 2);
        assertThat(Disassembler.text(instruction, mode, 0x1000)).isEqualTo(text);
    }

    @ParameterizedTest
    @CsvSource({
        "64,06", // PUSH ES
        "64,9a", // CALL far
        "64,f090", // LOCK NOP
        "64,f001c0", // LOCK with a register destination
        "64,f08b00", // LOCK with a memory source
        "64,f03908", // LOCK CMP
        "64,8ec8", // MOV CS
        "64,8ef0", // no such segment register
        "64,0f0fc09e", // 3DNow!
        "64,c5f058c2", // AVX
        "64,62f17c4858c0", // EVEX
        "64,48c4e2f0f2c2", // VEX after REX
        "64,66c4e2f0f2c2", // VEX after 66
        "64,c4e2f4f2c2", // VEX.L
        "64,c4e3f3f0c207", // RORX with VEX.vvvv
        "64,8fe878c0c001", // XOP
        "64,f30f54c1", // ANDPS with F3
        "32,c4c0", // VEX cut short is not LES
    })
    void undefinedEncodingsAreInvalid(int mode, String hex) {
        decode(hex + "0000", mode);
        assertThat(instruction.form).isSameAs(Form.INVALID);
    }

    @Test
    void fifteenBytesAreAllowedAndSixteenAreNot() {
        assertThat(decode("66".repeat(14) + "90", 64)).isEqualTo(15);
        assertThat(instruction.form.operation()).isEqualTo(Operation.NOP);
        assertThat(decode("66".repeat(15), 64)).isEqualTo(Decoder.TOO_LONG);
        assertThat(decode("66".repeat(9) + "81042511223344", 64)).isEqualTo(Decoder.TOO_LONG);
        assertThat(instruction.form).isSameAs(Form.INVALID);
    }

    @Test
    void readsNoByteBeyondTheInstruction() {
        assertThat(decode("c3", 64)).isEqualTo(1);
        assertThat(decode("0fa2", 64)).isEqualTo(2);
        assertThatThrownBy(() -> decode("8b05000000", 64)).hasMessage("fetched byte 5");
    }

    @Test
    void onlyTheLastRexCounts() {
        decode("4866b80100", 64);
        assertThat(instruction.operandSize).isEqualTo(2);
        assertThat(instruction.rex).isFalse();
        decode("484489c8", 64);
        assertThat(instruction.operandSize).isEqualTo(4);
        assertThat(instruction.reg).isEqualTo(9);
    }

    @Test
    void stackAddressesUseTheStackSegment() {
        decode("8b442408", 64);
        assertThat(instruction.segment).isEqualTo(2);
        decode("418b4508", 64);
        assertThat(instruction.segment).isEqualTo(3);
        decode("8b4602", 16);
        assertThat(instruction.segment).isEqualTo(2);
        decode("a4", 16);
        assertThat(instruction.segment).isEqualTo(3);
        decode("2ea4", 16);
        assertThat(instruction.segment).isEqualTo(1);
    }

    @Test
    void everyFormIsReachable() {
        boolean[] seen = new boolean[Form.count()];
        for (int mode : new int[] {32, 64}) {
            for (String prefix : new String[] {"", "66", "f3", "f2"}) {
                for (String escape : new String[] {"", "0f", "0f38", "0f3a", "c4e278", "c4e27b", "c4e37b"}) {
                    for (int code = 0; code < 0x10000; code++) {
                        decodeZeroPadded(prefix, escape, code, mode, seen);
                    }
                }
            }
        }
        for (int vex = 0; vex < 4; vex++) {
            for (int code = 0; code < 0x10000; code++) {
                decodeZeroPadded("", String.format("c4e2%02x", 0x78 | vex), code, 64, seen);
            }
        }
        for (int i = 1; i < seen.length; i++) {
            assertThat(seen[i]).as(Form.of(i).toString()).isTrue();
        }
    }

    private void decodeZeroPadded(String prefix, String escape, int code, int mode, boolean[] seen) {
        byte[] bytes = HexFormat.of().parseHex(prefix + escape);
        int length = bytes.length;
        Decoder.decode(
                offset -> offset < length
                        ? bytes[offset] & 0xFF
                        : offset == length ? code >> 8 : offset == length + 1 ? code & 0xFF : 0,
                mode,
                instruction);
        seen[instruction.form.index()] = true;
    }
}
