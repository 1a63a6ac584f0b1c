package org.torte.hypervisor.oracle;

import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.HexFormat;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class HostProcessorTest {
    @BeforeEach
    void needsHost() {
        assumeTrue(HostProcessor.available(), "the host is not x86-64 Linux");
    }

    private static CaseRecord prepare(HostProcessor host, int index, String code) {
        CaseRecord record = host.record(index);
        record.setSelector(CaseRecord.CS, AddressSpace.FLAT_CODE_64);
        record.setSelector(CaseRecord.SS, AddressSpace.FLAT_DATA);
        for (int i = 0; i < 16; i++) {
            record.setRegister(i, i + 100);
        }
        record.setFlags(0x202);
        record.setCode(CaseRecord.CODE, HexFormat.of().parseHex(code));
        record.fx().set(JAVA_INT_UNALIGNED, 0, 0x37F);
        record.fx().set(JAVA_INT_UNALIGNED, 24, 0x1F80);
        return record;
    }

    @Test
    void reportsRegistersFlagsAndFaults() throws Exception {
        try (HostProcessor host = new HostProcessor(9)) {
            CaseRecord add = prepare(host, 0, "4801c8"); // add rax, rcx
            CaseRecord undefined = prepare(host, 1, "0f0b");
            CaseRecord pageEnd = prepare(host, 2, "488b00"); // mov rax, [rax]
            pageEnd.setRegister(0, AddressSpace.CONSTANTS + 0xFFC);
            CaseRecord divide = prepare(host, 3, "f7f0"); // div eax
            divide.setRegister(0, 0);
            CaseRecord store = prepare(host, 4, "660fef00" + "0f1100"); // pxor xmm0, [rax]; movups [rax], xmm0
            store.setRegister(0, AddressSpace.DATA);
            store.data().fill((byte) 0x5A);
            store.fx().set(JAVA_INT_UNALIGNED, 160, 0x01020304);
            CaseRecord noncanonical = prepare(host, 5, "8b00");
            noncanonical.setRegister(0, 1L << 60);
            CaseRecord readOnly = prepare(host, 6, "8900"); // mov [rax], eax
            readOnly.setRegister(0, AddressSpace.CONSTANTS);
            CaseRecord small = prepare(host, 7, "8cd88b07"); // mov ax, ds; mov ax, [bx]
            small.setSelector(CaseRecord.CS, AddressSpace.CODE_16);
            small.setSelector(CaseRecord.DS, AddressSpace.SHORT_DATA);
            small.setSelector(CaseRecord.SS, AddressSpace.STACK_16);
            small.setCode(CaseRecord.CODE, HexFormat.of().parseHex("8cd88b07"));
            small.setRegister(3, 0x2FBE);
            CaseRecord endless = prepare(host, 8, "ebfe"); // jmp $
            host.run(9);
            assertThat(add.vector()).isEqualTo(3);
            assertThat(add.registerAfter(0)).isEqualTo(201);
            assertThat(add.registerAfter(15)).isEqualTo(115);
            assertThat(add.ripAfter()).isEqualTo(CaseRecord.CODE + 4);

            assertThat(undefined.vector()).isEqualTo(6);
            assertThat(undefined.ripAfter()).isEqualTo(CaseRecord.CODE);
            assertThat(pageEnd.vector()).isEqualTo(14);
            assertThat(pageEnd.errorCode()).isEqualTo(4);
            assertThat(pageEnd.cr2()).isEqualTo(AddressSpace.CONSTANTS + 0x1000);
            assertThat(divide.vector()).isZero();
            assertThat(store.vector()).isEqualTo(3);
            assertThat(store.dataAfter().get(JAVA_INT_UNALIGNED, 0)).isEqualTo(0x5A5A5A5A ^ 0x01020304);
            assertThat(store.fxAfter().get(JAVA_INT_UNALIGNED, 160)).isEqualTo(0x5A5A5A5A ^ 0x01020304);
            assertThat(noncanonical.vector()).isEqualTo(13);
            assertThat(readOnly.vector()).isEqualTo(14);
            assertThat(readOnly.errorCode()).isEqualTo(7);
            assertThat(small.vector()).isEqualTo(3);
            assertThat(small.ripAfter()).isEqualTo(0x805);
            assertThat(small.selectorAfter(CaseRecord.CS)).isEqualTo(AddressSpace.CODE_16);
            assertThat(endless.vector()).isEqualTo(-1);
        }
    }
}
