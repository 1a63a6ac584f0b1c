package org.torte.hypervisor.oracle;

import java.util.HexFormat;
import java.util.List;
import org.torte.hypervisor.x86.Disassembler;
import org.torte.hypervisor.x86.Form;
import org.torte.hypervisor.x86.Instruction;

/**
 * A few instructions in the segments they run in.
 *
 * @param mode the kind of code segment
 * @param address the linear address of the first
 * @param selectors of ES, CS, SS, DS, FS, GS
 * @param instructions decoded
 * @param encodings the bytes of each
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
public record TestProgram(
        CodeMode mode, long address, int[] selectors, List<Instruction> instructions, List<byte[]> encodings) {
    /** All bytes. */
    public byte[] code() {
        int length = 0;
        for (byte[] encoding : encodings) {
            length += encoding.length;
        }
        byte[] code = new byte[length];
        int at = 0;
        for (byte[] encoding : encodings) {
            System.arraycopy(encoding, 0, code, at, encoding.length);
            at += encoding.length;
        }
        return code;
    }

    /** The last instruction's form. */
    public Form form() {
        return instructions.getLast().form;
    }

    /** The same without one instruction. */
    public TestProgram without(int number) {
        List<Instruction> fewer = new java.util.ArrayList<>(instructions);
        List<byte[]> bytes = new java.util.ArrayList<>(encodings);
        fewer.remove(number);
        bytes.remove(number);
        return new TestProgram(mode, address, selectors, List.copyOf(fewer), List.copyOf(bytes));
    }

    /** The base of the segment an instruction's memory operand is in. */
    public long base(int segment) {
        return mode == CodeMode.LONG && segment < CaseRecord.FS ? 0 : AddressSpace.base(selectors[segment]);
    }

    /** Bytes and disassembly. */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder(mode.toString());
        long at = address - AddressSpace.base(selectors[CaseRecord.CS]);
        for (int i = 0; i < encodings.size(); i++) {
            text.append(i == 0 ? " " : "; ")
                    .append(HexFormat.of().formatHex(encodings.get(i)))
                    .append(' ');
            text.append(Disassembler.text(instructions.get(i), mode.bits(), at));
            at += encodings.get(i).length;
        }
        return text.toString();
    }
}
