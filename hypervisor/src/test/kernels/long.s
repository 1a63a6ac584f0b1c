# Long mode: paging, interrupts with IST, fast system calls, compatibility mode, control registers.
        .include "framework.inc"
        .include "long.inc"

        .data
        .align 8
gdt:    .quad 0
        segment 0, 0xfffff, 0xa09b              # 08 64-bit code, level 0
        segment 0, 0xfffff, 0xc093              # 10 data, level 0
        segment 0, 0xfffff, 0xc09b              # 18 32-bit code, level 0
        segment 0, 0xfffff, 0xc0fb              # 20 32-bit code, level 3
        segment 0, 0xfffff, 0xc0f3              # 28 data, level 3
        segment 0, 0xfffff, 0xa0fb              # 30 64-bit code, level 3
        segment 0, 0xfffff, 0xe09b              # 38 code with L and D
tss_d:  segment 0, 0x67, 0x0089                 # 40 task state
        .quad 0
gate_d: .quad 0, 0                              # 50 call gate, level 3
gate_d_end:
        segment 0, 0xfffff, 0xc01b              # 60 code, not present
        segment 0x40380000, 0xfff, 0x40f3       # 68 small data, level 3
ldt_d:  segment 0x1000, 15, 0x0082              # 70 local descriptor table with a high base
        .long 0xffff8000, 0
bad_d:  segment 0, 0x67, 0x0089                 # 80 task state with garbage in its upper half
        .long 0, 0x1f00
gdt_end:
gdt_pointer: .word gdt_end - gdt - 1
        .quad gdt
        .align 8
far:    .quad 0
        .word 0
        .bss
        .align 128
tss:    .skip 128
counter: .skip 8
        .text

        .set IST1, 0x240000
        .set IST2, 0x250000

        enter_long_mode
        call setup_idt64
        mov ecx, 0xc0000080
        rdmsr
        value64 efer
        mov qword ptr [tss + 4], RING0_STACK
        mov qword ptr [tss + 36], IST1
        mov qword ptr [tss + 44], IST2 + 8
        mov eax, offset tss
        mov [tss_d + 2], ax
        shr eax, 16
        mov [tss_d + 4], al
        mov [tss_d + 7], ah
        try64 ltr-garbage
        mov eax, 0x80
        ltr ax
        report64
        try64 ltr
        mov eax, 0x40
        ltr ax
        report64
        try64 lldt-high
        mov eax, 0x70
        lldt ax
        report64
        xor eax, eax
        lldt ax

# ---- canonical addresses
        mov r8, 0x0000800000000000
        mov r15d, 0xfee00000
        try64 non-canonical-load
        mov rax, [r8]
        report64
        try64 non-canonical-store
        mov [r8 + 8], eax
        report64
        try64 non-canonical-last-byte
        mov rax, [r8 - 4]
        report64
        mov byte ptr [idt + 12 * 16 + 4], 1     # IST 1 for #SS
        mov byte ptr [idt + 13 * 16 + 4], 1
        try64 non-canonical-rbp
        mov rbp, r8
        mov rax, [rbp]
        report64
        try64 non-canonical-rsp
        mov rsp, r8
        mov rax, [rsp + 8]
        report64
        try64 non-canonical-push
        mov rsp, r8
        add rsp, 8
        push rax
        report64
        try64 non-canonical-call
        mov rsp, r8
        add rsp, 16
        call exit64
        report64
        try64 non-canonical-pop
        mov rsp, r8
        pop rax
        report64
        try64 non-canonical-ret
        push r8
        ret
        report64
        try64 non-canonical-jump
        jmp r8
        report64
        mov byte ptr [idt + 12 * 16 + 4], 0
        mov byte ptr [idt + 13 * 16 + 4], 0

# ---- page faults
        mov rbx, WINDOW
        page 0
        try64 page-absent-load
        mov rax, [rbx + 8]
        report64
        mov rax, [fault_address]
        value64 page-absent-cr2
        try64 page-absent-store
        mov [rbx], rax
        report64
        try64 page-absent-fetch
        jmp rbx
        report64
        mov rax, [where]
        value64 page-absent-fetch-rip
        mov rax, [flags]
        value64 page-fault-flags
        page 1
        try64 page-read-only-load
        mov rax, [rbx]
        report64
        mov rax, [TABLE]
        value64 page-accessed
        try64 page-read-only-store
        mov [rbx], rax
        report64
        page 3
        try64 page-store
        mov byte ptr [rbx], 0xc3
        report64
        mov rax, [TABLE]
        value64 page-dirty
        try64 page-read-modify-write-read-only
        page 1
        lock add dword ptr [rbx], 1
        report64
        try64 write-protect-off
        mov rax, cr0
        and eax, 0xfffeffff
        mov cr0, rax
        mov byte ptr [rbx], 0xc3
        report64
        mov rax, cr0
        or eax, 0x10000
        mov cr0, rax
        try64 write-protect-on-again
        mov byte ptr [rbx], 0xc3
        report64
        page 3
        try64 page-fetch
        call rbx
        report64
        page 0x8000000000000003
        try64 page-no-execute
        call rbx
        report64
        try64 page-no-execute-load
        mov rax, [rbx]
        report64
        page 0x0000800000000003
        try64 page-reserved
        mov rax, [rbx]
        report64
        page 3
        mov rax, [PAGES + 0x3000]
        push rax
        and dword ptr [PAGES + 0x3000], 0xfffffffd
        invlpg [rbx]
        try64 page-read-only-directory
        mov [rbx], al
        report64
        mov rax, [rsp]
        mov rcx, 0x8000000000000000
        or rax, rcx
        mov [PAGES + 0x3000], rax
        invlpg [rbx]
        try64 page-no-execute-directory
        call rbx
        report64
        pop rax
        mov [PAGES + 0x3000], rax
        mov rax, cr4
        or eax, 0x100000
        mov cr4, rax
        page 7
        try64 smep
        call rbx
        report64
        mov rax, cr4
        and eax, 0xffefffff
        mov cr4, rax
        try64 smep-off
        call rbx
        report64
        page 3
        page 0, 0
        mov dword ptr [TABLE + 8], 0x181003
        try64 page-crossing-load
        mov eax, [rbx + 0xffe]
        report64
        mov dword ptr [TABLE], 0x180003
        mov dword ptr [TABLE + 8], 0
        invlpg [rbx]
        invlpg [rbx + 0x1000]
        mov dword ptr [rbx + 0xffc], 0x11223344
        try64 page-crossing-store
        mov eax, -1
        mov [rbx + 0xffe], eax
        report64
        mov rax, [fault_address]
        value64 page-crossing-cr2
        mov eax, [rbx + 0xffc]
        value64 page-crossing-nothing-written

# ---- what INVLPG drops: all of a large page, wherever in it; jumps to where code was; nothing of others
        .set LARGE64, 0x40600000
        mov qword ptr [PAGES + 0x3018], 0x200083
        mov dword ptr [0x203450], 0x11111111
        mov dword ptr [0x403450], 0x22222222
        mov eax, [LARGE64 + 0x3450]
        value64 invlpg-large-before
        mov eax, [LARGE64 + 0x12340]
        mov qword ptr [PAGES + 0x3018], 0x400083
        invlpg [LARGE64 + 0x12340]
        mov eax, [LARGE64 + 0x3450]
        value64 invlpg-large-elsewhere
        mov dword ptr [0x180000], 0x0001b890     # nop; mov eax, 1; ret
        mov dword ptr [0x180004], 0x00c30000
        mov dword ptr [0x181000], 0x0002b890
        mov dword ptr [0x181004], 0x00c30000
        page 3
        mov esi, 100
1:      call rbx
        dec esi
        jnz 1b
        value64 invlpg-code-before
        page 3, 0x181000
        call rbx
        value64 invlpg-code
        mov esi, 100
1:      call rbx
        mov edi, eax
        page 3, 0x180000
        call rbx
        shl eax, 8
        or edi, eax
        page 3, 0x181000
        dec esi
        jnz 1b
        mov eax, edi
        value64 invlpg-code-in-turn
        mov qword ptr [PAGES + 0x3018], 0
        page 3

# ---- level 3
        or byte ptr [idt + 0x30 * 16 + 5], 0x60
        user user-interrupt, user_int30
        mov rax, [level]
        value64 user-cs
        mov rax, [old_ss]
        value64 user-ss
        mov rax, [old_stack]
        value64 user-rsp
        mov rax, [handler_ss]
        value64 handler-ss
        mov rax, [handler_stack]
        value64 handler-rsp
        user user-closed, user_int31
        page 3
        user user-page-supervisor-load, user_load
        user user-page-supervisor-store, user_store
        user user-page-supervisor-fetch, user_fetch
        page 0
        user user-page-absent-load, user_load
        user user-page-absent-store, user_store
        user user-page-absent-fetch, user_fetch
        page 5
        user user-page-read-only-store, user_store
        user user-page-read-only-load, user_load
        user user-hlt, user_hlt
        user user-syscall-off, user_syscall
        user user-sysenter, user_sysenter
        user user-swapgs, user_swapgs
        user user-wrmsr, user_wrmsr
        user user-compatibility, user_compatibility, 0x202, 0x23
        mov rax, [level]
        value64 compatibility-cs
        mov rax, [old_stack]
        value64 compatibility-esp
        user compatibility-limit, user_limit, 0x202, 0x23
        user compatibility-push-es, user_push_es, 0x202, 0x23
        user long-push-es, user_push_es
        user user-level-three-frame, user_int30, 0x3202
        mov rax, [flags]
        value64 user-iopl
        mov rax, cr0
        or eax, 0x40000
        mov cr0, rax
        user alignment-good, user_aligned, 0x40202
        user alignment-load, user_misaligned, 0x40202
        user alignment-store, user_misaligned_store, 0x40202
        user alignment-push, user_misaligned_push, 0x40202
        user alignment-flag-off, user_misaligned
        mov rax, cr0
        and eax, 0xfffbffff
        mov cr0, rax
        user alignment-mask-off, user_misaligned, 0x40202
        # return frames that are wrong
        user return-null-ss, user_int30, 0x202, 0x33, 3
        user return-null-cs, user_int30, 0x202, 0
        user return-data-cs, user_int30, 0x202, 0x2b
        user return-absent-cs, user_int30, 0x202, 0x60
        user return-long-and-default, user_int30, 0x202, 0x38
        user return-ss-wrong-rpl, user_int30, 0x202, 0x33, 0x28
        user return-ss-code, user_int30, 0x202, 0x33, 0x33
        user return-compatibility-null-ss, user_int30, 0x202, 0x23, 3
        try64 return-null-ss-same-level
        mov rax, rsp
        push 0
        push rax
        push 2
        push 0x08
        push offset 1f
        iretq
1:      mov eax, ss
        report64
        value64 same-level-ss
        mov ax, 0x10
        mov ss, ax
        try64 return-non-canonical
        push 0x10
        push rsp
        push 2
        push 0x08
        push r8
        iretq
        report64
        try64 return-nested-task
        pushfq
        or dword ptr [rsp], 0x4000
        popfq
        iretq
        report64
        pushfq
        and dword ptr [rsp], 0xffffbfff
        popfq
        try64 return-32-bit-frame
        mov ecx, esp
        sub rsp, 20
        mov dword ptr [rsp], offset 1f
        mov dword ptr [rsp + 4], 8
        mov dword ptr [rsp + 8], 2
        mov [rsp + 12], ecx
        mov dword ptr [rsp + 16], 0x10
        iretd
1:      report64

# ---- stacks of interrupts
        mov byte ptr [idt + 6 * 16 + 4], 2
        try64 ist
        ud2
        report64
        mov rax, [handler_stack]
        value64 ist-rsp
        mov byte ptr [idt + 6 * 16 + 4], 0
        try64 alignment
        lea rsp, [rsp - 3]
        mov [saved_stack], rsp
        ud2
        report64
        mov rax, [old_stack]
        sub rax, [handler_stack]
        value64 alignment-distance
        mov esp, STACK
        try64 gate-absent
        and byte ptr [idt + 6 * 16 + 5], 0x7f
        ud2
        report64
        or byte ptr [idt + 6 * 16 + 5], 0x80
        try64 gate-32-bit-code
        mov byte ptr [idt + 6 * 16 + 2], 0x18
        ud2
        report64
        mov byte ptr [idt + 6 * 16 + 2], 0x08
        try64 gate-type
        mov byte ptr [idt + 6 * 16 + 5], 0x85
        int 6
        report64
        mov byte ptr [idt + 6 * 16 + 5], 0x8e
        try64 gate-non-canonical-target
        mov dword ptr [idt + 6 * 16 + 8], 0x8000
        int 6
        report64
        mov dword ptr [idt + 6 * 16 + 8], 0
        try64 vector-beyond
        int 0x99
        report64
        try64 double-fault-page
        and byte ptr [idt + 14 * 16 + 5], 0x7f
        page 0
        mov rax, [rbx]
        report64
        or byte ptr [idt + 14 * 16 + 5], 0x80
        try64 double-fault-protection
        and byte ptr [idt + 13 * 16 + 5], 0x7f
        mov rax, [r8]
        report64
        or byte ptr [idt + 13 * 16 + 5], 0x80
        try64 page-fault-in-delivery
        mov dword ptr [idt + 6 * 16 + 4], 0x8e02
        mov word ptr [idt + 6 * 16 + 6], 0x10
        mov rax, [tss + 44]
        push rax
        mov qword ptr [tss + 44], WINDOW + 0x800
        mov eax, offset stubs64 + 6 * 16
        shr eax, 16
        mov [idt + 6 * 16 + 6], ax
        ud2
        report64
        mov rax, [fault_address]
        value64 page-fault-in-delivery-cr2
        pop rax
        mov [tss + 44], rax
        mov byte ptr [idt + 6 * 16 + 4], 0

# ---- SYSCALL and SYSRET
        mov ecx, 0xc0000080
        rdmsr
        or eax, 1
        wrmsr
        mov ecx, 0xc0000081
        xor eax, eax
        mov edx, 0x00200008
        wrmsr
        mov ecx, 0xc0000082
        xor edx, edx
        mov eax, offset system_call
        wrmsr
        mov ecx, 0xc0000083
        mov eax, offset system_call
        wrmsr
        mov ecx, 0xc0000084
        mov eax, 0x47700
        wrmsr
        user system-call, user_syscall, 0x40a97
        mov rax, [call_cs]
        value64 system-call-cs
        mov rax, [call_ss]
        value64 system-call-ss
        mov rax, [call_rcx]
        value64 system-call-rcx
        mov rax, [call_r11]
        value64 system-call-r11
        mov rax, [call_flags]
        value64 system-call-flags
        mov rax, [call_rsp]
        value64 system-call-rsp
        mov rax, [level]
        value64 system-return-cs
        mov rax, [old_ss]
        value64 system-return-ss
        mov rax, [flags]
        value64 system-return-flags
        user system-call-compatibility, user_syscall32, 0x202, 0x23
        mov rax, [level]
        value64 compatibility-return-cs
        mov rax, [call_rcx]
        sub rax, offset user_syscall32 + ALIAS
        value64 compatibility-call-rcx
        mov rax, [call_cs]
        value64 compatibility-call-cs
        user system-call-single-step, user_syscall, 0x302
        user user-sysret, user_sysret
        user user-single-step, user_nop, 0x302
        mov ecx, 3
        mov edi, ALIAS + 0x190000
        user repeat-single-step, user_repeat, 0x302
        mov eax, ecx
        value64 repeat-count
        mov ecx, 1
        user repeat-last-step, user_repeat, 0x302

# ---- call gates
        mov eax, offset gate_target
        mov [gate_d], ax
        mov word ptr [gate_d + 2], 8
        mov word ptr [gate_d + 4], 0xec00
        shr eax, 16
        mov [gate_d + 6], ax
        user call-gate, user_call_gate
        mov rax, [gate_seen]
        value64 call-gate-cs
        mov rax, [gate_seen + 8]
        value64 call-gate-rsp
        mov rax, [gate_seen + 16]
        value64 call-gate-ss
        mov rax, [gate_seen + 24]
        value64 call-gate-new-ss
        mov rax, [gate_seen + 32]
        value64 call-gate-new-rsp
        try64 call-gate-upper-half
        mov dword ptr [gate_d + 12], 0x100
        mov word ptr [far + 4], 0x53
        mov dword ptr [far], 0
        call fword ptr [far]
        report64
        mov dword ptr [gate_d + 12], 0
        try64 far-call-task
        mov word ptr [far + 4], 0x40
        call fword ptr [far]
        report64
        mov edx, 0x50
        lar eax, edx
        value64 lar-call-gate
        mov edx, 0x40
        lsl eax, edx
        value64 lsl-task

# ---- control registers and MSRs
        .macro control name, register, set=0, clear=0
        try64 \name
        mov rax, \register
        mov rcx, \set
        or rax, rcx
        mov rcx, \clear
        not rcx
        and rax, rcx
        mov \register, rax
        report64
        .endm
        in al, 0xe9                             # QEMU, which accepts all of these, answers 0xe9
        cmp al, 0xe9
        je 1f
        control cr0-upper, cr0, 0x100000000
        control cr0-no-paging-in-64-bit-code, cr0, 0, 0x80000000
        control cr0-no-protection, cr0, 0, 1
        control cr0-nw-without-cd, cr0, 0x20000000
        control cr3-reserved, cr3, 0x4000000000000000
        control cr4-no-pae, cr4, 0, 0x20
        control cr4-reserved, cr4, 0x8000
        control cr4-upper, cr4, 0x100000000
        control cr8-reserved, cr8, 0x10
1:
        control cr8, cr8, 5
        mov rax, cr8
        value64 cr8-value
        mov eax, [r15 + 0x080]
        value64 task-priority
        xor eax, eax
        mov cr8, rax
        try64 cr1
        .byte 0x0f, 0x20, 0xc8
        report64
        try64 cr5
        .byte 0x0f, 0x20, 0xe8
        report64
        try64 cr-reads-whole
        mov rax, -1
        mov rax, cr0
        shr rax, 32
        report64
        value64 cr0-upper-half
        mov rax, cr0
        value64 cr0
        mov ax, -1
        smsw eax
        value64 smsw
        .macro model name, index, low, high=0
        try64 \name
        mov ecx, \index
        mov eax, \low
        mov edx, \high
        wrmsr
        report64
        .endm
        model efer-reserved, 0xc0000080, 0xd02
        model efer-no-long-mode, 0xc0000080, 0x801
        model efer-same, 0xc0000080, 0xd01
        model fs-base-non-canonical, 0xc0000100, 0, 0x8000
        model fs-base, 0xc0000100, 0x55667788, 0xffff9234
        mov ecx, 0xc0000100
        xor eax, eax
        xor edx, edx
        rdmsr
        shl rdx, 32
        or rax, rdx
        value64 fs-base-read
        model lstar-non-canonical, 0xc0000082, 0, 0x8000
        model gs-base, 0xc0000101, 0x1000
        model kernel-gs-base, 0xc0000102, 0x2000
        swapgs
        mov ecx, 0xc0000101
        rdmsr
        value64 swapped-gs
        mov ecx, 0xc0000102
        rdmsr
        value64 swapped-kernel-gs
        model mtrr-reserved-type, 0x2ff, 0xc03
        model mtrr-fixed-reserved-type, 0x250, 0x0707
        model tsc-aux-upper, 0xc0000103, 0, 1
        model pat-reserved, 0x277, 0x00070402
        model pat, 0x277, 0x00070406, 0x00070106
        try64 msr-unknown
        mov ecx, 0x12345
        rdmsr
        report64
        try64 msr-unknown-write
        mov ecx, 0x12345
        wrmsr
        report64
        try64 fsgsbase-off
        rdfsbase rax
        report64
        mov rax, cr4
        or eax, 0x10000
        mov cr4, rax
        try64 fsgsbase
        mov rax, 0xffff800012345678
        wrgsbase rax
        rdgsbase rcx
        report64
        mov rax, rcx
        value64 gs-base-by-instruction
        try64 fsgsbase-non-canonical
        wrfsbase r8
        report64
        try64 gs-relative
        mov eax, 0x1000
        wrgsbase rax
        mov rax, gs:[0x101000]
        report64
        mov eax, 0x28
        mov gs, ax
        rdgsbase rax
        value64 gs-base-after-load

# ---- debug registers
        try64 dr7-upper
        mov rax, 0x100000000
        mov dr7, rax
        report64
        try64 dr6-upper
        mov dr6, rax
        report64
        xor eax, eax
        mov dr6, rax
        mov rax, dr6
        value64 dr6
        mov eax, 0xffff
        mov dr6, rax
        mov rax, dr6
        value64 dr6-all
        try64 dr-general-detect
        mov eax, 0x2400
        mov dr7, rax
        mov rax, dr0
        report64
        xor eax, eax
        mov rax, dr7
        value64 dr7-after
        mov rax, dr6
        value64 dr6-after
        mov eax, 0x400
        mov dr7, rax
        mov rax, dr4
        xor eax, eax
        mov dr6, rax
        mov rax, cr4
        or eax, 8
        mov cr4, rax
        try64 dr4-with-extensions
        mov rax, dr4
        report64
        # an instruction breakpoint, a write and an access watchpoint
        .macro watch name, register, control, address
        xor eax, eax
        mov dr6, rax
        mov eax, offset \address
        mov \register, rax
        mov eax, \control
        mov dr7, rax
        try64 \name
        .endm
        .macro unwatch
        report64
        mov eax, 0x400
        mov dr7, rax
        mov rax, dr6
        .endm
        watch break-execute, dr0, 0x402, breakpoint
        nop
breakpoint:
        nop
        nop
        unwatch
        value64 break-execute-dr6
        mov rax, [flags]
        value64 break-execute-flags
        watch break-write, dr1, 0x00d00408, counter
        mov eax, [counter]
        mov [counter], eax
        nop
        unwatch
        value64 break-write-dr6
        watch break-access, dr2, 0x0f000420, counter
        mov eax, [counter + 1]
        nop
        unwatch
        value64 break-access-dr6
        watch break-elsewhere, dr3, 0xf0000480, counter
        mov eax, [counter + 4]
        nop
        unwatch
        value64 break-elsewhere-dr6
        watch break-word, dr3, 0x70000480, counter
        mov al, [counter + 1]
        nop
        unwatch
        value64 break-word-dr6
        watch break-disabled, dr3, 0xf0000400, counter
        mov [counter], eax
        unwatch

# ---- interrupts of the local APIC
        mov eax, 0x1ff
        mov [r15 + 0x0f0], eax
        mov dword ptr [r15 + 0x310], 0
        try64 pending-while-off
        mov dword ptr [r15 + 0x300], 0x40032
        nop
        nop
        report64
        mov eax, [r15 + 0x210]
        value64 requested
        try64 after-sti
        sti
        nop
        nop
        report64
        cli
        mov eax, [r15 + 0x110]
        value64 in-service
        mov dword ptr [r15 + 0x0b0], 0
        mov eax, [r15 + 0x110]
        value64 after-end-of-interrupt
        try64 sti-shadow-repeated
        mov dword ptr [r15 + 0x300], 0x40032
        sti
        sti
        nop
        report64
        cli
        mov dword ptr [r15 + 0x0b0], 0
        try64 mov-ss-shadow
        mov edx, ss
        mov dword ptr [r15 + 0x300], 0x40032
        sti
        mov ss, edx
        nop
        nop
        report64
        cli
        mov dword ptr [r15 + 0x0b0], 0
        try64 halt-wakes
        mov dword ptr [r15 + 0x300], 0x40032
        sti
        hlt
        nop
        report64
        cli
        mov dword ptr [r15 + 0x0b0], 0
        # one NMI while another is handled waits for IRET
        mov eax, offset nmi_handler
        mov [idt + 2 * 16], ax
        shr eax, 16
        mov [idt + 2 * 16 + 6], ax
        mov qword ptr [counter], 0
        mov dword ptr [r15 + 0x300], 0x40400
        mov ecx, 1000
1:      pause
        loop 1b
        mov rax, [counter]
        value64 nmi-count
        mov rax, [nmi_nested]
        value64 nmi-nested

# ---- out of long mode and in again
        mov dword ptr [far], offset leave_32
        mov word ptr [far + 4], 0x18
        jmp fword ptr [far]
        .code32
leave_32:
        mov ax, 0x10                            # level 3 has left null selectors behind
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov eax, cr0
        and eax, 0x7fffffff
        mov cr0, eax
        mov ecx, 0xc0000080
        rdmsr
        value left-efer
        and eax, 0xfffffeff
        wrmsr
        mov eax, cr0
        value left-cr0
        # PAE paging: the directory pointers are those of the second level
        mov eax, PAGES + 0x1000
        and dword ptr [PAGES + 0x1000], 0xffffffd9
        and dword ptr [PAGES + 0x1008], 0xffffffd9
        and dword ptr [PAGES + 0x1018], 0xffffffd9
        mov dword ptr [PAGES + 0x3000], TABLE + 7
        mov dword ptr [TABLE], 0x180003
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        mov dword ptr [WINDOW], 0x5a5a5a5a
        mov eax, [0x180000]
        value pae-window
        mov eax, [TABLE]
        value pae-entry
        jmp exit

# ---- level 3
        .code64
user_int30: int 0x30
user_int31: int 0x31
user_hlt: hlt
user_load: mov rax, [rbx]
        int 0x30
user_store: mov [rbx], rax
        int 0x30
user_fetch: jmp rbx
user_aligned: mov eax, [rsp - 12]
        mov ax, [rsp - 2]
        mov al, [rsp - 1]
        push rax
        int 0x30
user_misaligned: mov eax, [rsp - 14]
        int 0x30
user_misaligned_store: mov [rsp - 9], ax
        int 0x30
user_misaligned_push: sub rsp, 4
        push rax
        int 0x30
user_syscall: syscall
        int 0x30
user_sysenter: sysenter
user_sysret: sysretq
user_swapgs: swapgs
user_wrmsr: wrmsr
user_push_es: .byte 0x06
        int 0x30
user_repeat: rep stosb
        nop
user_nop: nop
        nop
user_call_gate:
        mov word ptr [far + ALIAS + 4], 0x53
        call fword ptr [far + ALIAS]
        int 0x30
        .code32
user_compatibility:
        mov eax, 0x68
        mov es, eax
        inc eax                                 # 40 is INC here, a REX prefix in 64-bit code
        int 0x30
user_limit:
        mov eax, 0x6b
        mov es, eax
        mov al, es:[0xfff]
        mov al, es:[0x1000]
user_syscall32:
        syscall
        int 0x30
        .code64

system_call:
        mov [call_rcx], rcx
        mov [call_r11], r11
        mov [call_rsp], rsp
        mov esp, STACK - 0x100
        pushfq
        pop rax
        mov [call_flags], rax
        mov eax, cs
        mov [call_cs], rax
        mov eax, ss
        mov [call_ss], rax
        mov rsp, [call_rsp]
        cmp rcx, offset user_syscall32 + ALIAS + 2
        je 1f
        sysretq
1:      sysretd

gate_target:
        mov rax, [rsp + 8]
        mov [gate_seen], rax
        mov rax, [rsp + 16]
        mov [gate_seen + 8], rax
        mov rax, [rsp + 24]
        mov [gate_seen + 16], rax
        mov eax, ss
        mov [gate_seen + 24], rax
        mov [gate_seen + 32], rsp
        .byte 0x48, 0xcb                        # retf with 64-bit operands

nmi_handler:
        push rcx
        inc qword ptr [counter]
        cmp qword ptr [counter], 2
        jae 1f
        mov dword ptr [r15 + 0x300], 0x40400
        mov ecx, 1000
2:      pause
        loop 2b
        mov rax, [counter]
        mov [nmi_nested], rax
1:      pop rcx
        iretq

        .bss
        .align 8
call_rcx: .skip 8
call_r11: .skip 8
call_rsp: .skip 8
call_flags: .skip 8
call_cs: .skip 8
call_ss: .skip 8
gate_seen: .skip 48
nmi_nested: .skip 8
