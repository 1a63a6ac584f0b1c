package org.torte.worker;

import static org.torte.hypervisor.CpuState.CS;
import static org.torte.hypervisor.CpuState.SS;

import java.util.Locale;
import org.torte.base.GuestMemory;
import org.torte.hypervisor.CpuState;
import org.torte.hypervisor.LastSteps;
import org.torte.machine.CrashReport;

/** A crash for human readers. */
final class CrashText {
    private static final String[] NAMES = {
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"
    };

    private static final String[] EXCEPTIONS = {
        "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "#9", "#TS", "#NP", "#SS", "#GP", "#PF", "#15",
        "#MF", "#AC", "#MC", "#XM"
    };

    private CrashText() {}

    static String of(CrashReport crash, GuestMemory memory) {
        StringBuilder text = new StringBuilder();
        text.append("the guest crashed: triple fault on processor ").append(crash.processor());
        for (int i = 0; i < crash.states().size(); i++) {
            text.append(String.format(Locale.ROOT, "%nprocessor %d%n", i));
            registers(text, crash.states().get(i));
            if (i == crash.processor()) {
                code(text, crash, memory);
            }
        }
        return text.toString();
    }

    private static void code(StringBuilder text, CrashReport crash, GuestMemory memory) {
        CpuState state = crash.states().get(crash.processor());
        LastSteps steps = crash.lastSteps();
        if (!steps.exceptions().isEmpty()) {
            text.append("  ");
            for (int vector : steps.exceptions()) {
                text.append(vector < EXCEPTIONS.length ? EXCEPTIONS[vector] : "#" + vector)
                        .append(", ");
            }
            text.append("shutdown\n");
        }
        GuestCode code = new GuestCode(state, memory);
        for (String line : steps.runs().isEmpty() ? code.around() : code.executed(steps.runs())) {
            text.append("  ").append(line).append('\n');
        }
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
