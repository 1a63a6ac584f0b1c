package org.torte.worker;

import static org.torte.hypervisor.CpuState.CS;
import static org.torte.hypervisor.CpuState.SS;

import java.util.Locale;
import org.torte.base.GuestMemory;
import org.torte.hypervisor.CpuState;
import org.torte.machine.CrashReport;

/** A crash for human readers. */
final class CrashText {
    private static final String[] NAMES = {
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"
    };

    private CrashText() {}

    static String of(CrashReport crash, GuestMemory memory) {
        StringBuilder text = new StringBuilder();
        text.append("the guest crashed: triple fault on processor ").append(crash.processor());
        for (int i = 0; i < crash.states().size(); i++) {
            text.append(String.format(Locale.ROOT, "%nprocessor %d%n", i));
            registers(text, crash.states().get(i));
            if (i == crash.processor()) {
                for (String line : new GuestCode(crash.states().get(i), memory).around()) {
                    text.append("  ").append(line).append('\n');
                }
            }
        }
        return text.toString();
    }

    private static void registers(StringBuilder text, CpuState state) {
        for (int i = 0; i < NAMES.length; i++) {
            text.append(String.format(Locale.ROOT, "  %-4s%016x%s", NAMES[i], state.gpr[i], i % 4 == 3 ? "\n" : ""));
        }
        text.append(String.format(
                Locale.ROOT,
                "  rip %04x:%016x  rflags %08x  ss %04x%n  cr0 %08x  cr2 %016x  cr3 %016x  cr4 %08x  efer %04x%n",
                state.segments[CS].selector(),
                state.rip,
                state.rflags,
                state.segments[SS].selector(),
                state.cr0,
                state.cr2,
                state.cr3,
                state.cr4,
                state.efer));
    }
}
