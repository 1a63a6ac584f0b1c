# Segmentation, gates, tasks and virtual-8086 mode in 32-bit protected mode.
        .include "framework.inc"

        .data
        .align 8
gdt:    .quad 0
        segment 0, 0xfffff, 0xc09b              # 08 code, level 0
        segment 0, 0xfffff, 0xc093              # 10 data, level 0
        segment 0, 0xfffff, 0xc0fb              # 18 code, level 3
        segment 0, 0xfffff, 0xc0f3              # 20 data, level 3
tss_d:  segment 0, 0x67, 0x0089                 # 28 task state
tss2_d: segment 0, 0x67, 0x00e9                 # 30 second task state, level 3
        segment 0, 0xfffff, 0xc013              # 38 data, not present
        segment 0, 0xfffff, 0xc091              # 40 data, read-only
        segment 0, 0xfffff, 0xc099              # 48 code, not readable
        segment 0x180000, 0xfff, 0x4093         # 50 data of 4 KiB
        segment 0x180000, 0xfff, 0x4097         # 58 data, expand-down
gate_d: .quad 0                                 # 60 call gate, level 3, two parameters
        segment 0, 0xfffff, 0xc09f              # 68 conforming code, level 0
        .word 0, 0x30, 0xe500, 0                # 70 task gate, level 3
ldt_d:  segment 0, 15, 0x0082                   # 78 local descriptor table
        segment 0, 0xffff, 0x009b               # 80 16-bit code
        segment 0, 0xffff, 0x0093               # 88 16-bit data
        segment 0, 0xfffff, 0xc01b              # 90 code, not present
        .word 0, 8, 0x6c00, 0                   # 98 call gate, not present
df_d:   segment 0, 0x67, 0x0089                 # a0 task state for double faults
gate0_d: .quad 0                                # a8 call gate, level 0
        segment 0, 0x66, 0x0089                 # b0 task state that is too short
        segment 0x180000, 0x7ff, 0x40f3         # b8 small data, level 3
gdt_end:
gdt_pointer: .word gdt_end - gdt - 1
        .long gdt
        .align 8
ldt:    segment 0x190000, 0xffff, 0x4093        # 04
        segment 0, 0xfffff, 0xc0f3              # 0c data, level 3: 0f
        .align 8
far:    .long 0
        .word 0
        .bss
        .align 128
tss:    .skip 128
tss2:   .skip 128
tss_df: .skip 128
        .text

# esi descriptor, eax base
set_base:
        mov [esi + 2], ax
        shr eax, 16
        mov [esi + 4], al
        mov [esi + 7], ah
        ret

_start: cli
        cld
        mov esp, STACK
        lgdt [gdt_pointer]
        jmp 0x08:1f
1:      mov ax, 0x10
        mov ds, ax
        mov es, ax
        mov ss, ax
        xor eax, eax
        mov fs, ax
        mov gs, ax
        call setup_idt
        mov esi, offset tss_d
        mov eax, offset tss
        call set_base
        mov esi, offset tss2_d
        mov eax, offset tss2
        call set_base
        mov esi, offset df_d
        mov eax, offset tss_df
        call set_base
        mov esi, offset ldt_d
        mov eax, offset ldt
        call set_base
        mov dword ptr [tss + 4], RING0_STACK
        mov dword ptr [tss + 8], 0x10
        mov word ptr [tss + 102], 0x68
        mov eax, offset gate_target
        mov [gate_d], ax
        mov [gate0_d], ax
        shr eax, 16
        mov [gate_d + 6], ax
        mov [gate0_d + 6], ax
        mov dword ptr [gate_d + 2], 0xec020008
        mov dword ptr [gate0_d + 2], 0x8c000008

# ---- loading segment registers
        try null-ds
        xor eax, eax
        mov ds, ax
        mov al, [0]
        report
        try null-ds-other-rpl
        mov eax, 3
        mov ds, ax
        report
        try null-ss
        xor eax, eax
        mov ss, ax
        report
        try beyond-table
        mov eax, 0x1000
        mov ds, ax
        report
        try beyond-table-local
        mov eax, 0x1004
        mov ds, ax
        report
        try no-local-table
        mov eax, 0x4
        mov es, ax
        report
        try not-present
        mov eax, 0x38
        mov ds, ax
        report
        try not-present-stack
        mov eax, 0x38
        mov ss, ax
        report
        try execute-only-as-data
        mov eax, 0x48
        mov fs, ax
        report
        try code-as-stack
        mov eax, 0x08
        mov ss, ax
        report
        try read-only-as-stack
        mov eax, 0x40
        mov ss, ax
        report
        try stack-wrong-rpl
        mov eax, 0x13
        mov ss, ax
        report
        try stack-wrong-level
        mov eax, 0x20
        mov ss, ax
        report
        try data-rpl-too-low
        mov eax, 0x13
        mov gs, ax
        report
        try system-as-data
        mov eax, 0x28
        mov gs, ax
        report
        try move-to-cs
        .byte 0x8e, 0xc8                        # mov cs, eax
        report
        try segment-six
        .byte 0x8e, 0xf0
        report
        try load-far-beyond
        mov dword ptr [far], 0x12345678
        mov word ptr [far + 4], 0x1000
        mov ebx, 77
        lfs ebx, [far]
        report
        mov eax, ebx
        value load-far-kept-register
        mov word ptr [far + 4], 0x50
        lfs ebx, [far]
        mov eax, ebx
        value load-far-register
        mov eax, fs
        value load-far-selector
        try store-through-code
        mov eax, cs:[0x100000]
        mov cs:[0x100000], eax
        report
        try store-to-read-only
        mov eax, 0x40
        mov fs, ax
        mov eax, fs:[0x100000]
        mov fs:[0x100000], eax
        report
        try load-from-execute-only
        jmp 0x48:1f
1:      mov eax, cs:[0x100000]
        report
        jmp 0x08:1f
1:

# ---- limits
        mov eax, 0x50
        mov fs, ax
        try limit-last-byte
        mov al, fs:[0xfff]
        mov eax, fs:[0xffc]
        report
        try limit-beyond
        mov eax, fs:[0xffd]
        report
        try limit-wrap
        mov eax, fs:[-2]
        report
        mov eax, 0x58
        mov fs, ax
        try expand-down-inside
        mov eax, fs:[0x1000]
        mov al, fs:[0xffff]
        report
        try expand-down-outside
        mov eax, fs:[0xfff]
        report
        try push-near-top-of-segment
        mov eax, 0x50
        mov ss, ax
        mov esp, 0x1000
        push eax
        pop eax
        mov eax, 0x10
        mov ss, ax
        mov esp, STACK
        report

# ---- accessed bits
        mov al, [gdt + 0xb8 + 5]
        and eax, 0xff
        value accessed-before
        and byte ptr [gdt + 0xbd], 0xfe
        mov eax, 0xb8
        mov gs, ax
        movzx eax, byte ptr [gdt + 0xbd]
        value accessed-after

# ---- LAR, LSL, VERR, VERW, ARPL
        .macro query name, selector
        mov edx, \selector
        mov ecx, 0xdead
        lar ecx, edx
        setz al
        movzx eax, al
        value \name-lar
        mov eax, ecx
        value \name-rights
        mov ecx, 0xdead
        lsl ecx, edx
        mov eax, ecx
        value \name-limit
        verr dx
        setz al
        verw dx
        setz ah
        movzx eax, ax
        value \name-verify
        .endm
        query null, 0
        query code, 0x08
        query data, 0x10
        query read-only, 0x40
        query execute-only, 0x48
        query small, 0x50
        query absent, 0x38
        query task-state, 0x28
        query task-gate, 0x70
        query call-gate, 0x60
        query table, 0x78
        query beyond, 0x1000
        query conforming, 0x6b
        query level-zero-rpl-three, 0x13
        mov eax, 0x10
        mov edx, 0x13
        arpl ax, dx
        setz cl
        value arpl-raised
        movzx eax, cl
        value arpl-flag
        mov eax, 0x13
        mov edx, 0x10
        arpl ax, dx
        setz cl
        value arpl-kept
        movzx eax, cl
        value arpl-flag-off

# ---- LDT and TR
        try ldt-wrong-type
        mov eax, 0x28
        lldt ax
        report
        try ldt-beyond
        mov eax, 0x1000
        lldt ax
        report
        try ldt-load
        mov eax, 0x78
        lldt ax
        mov eax, 0x04
        mov fs, ax
        report
        sldt eax
        value sldt
        try ldt-in-ldt
        mov eax, 0x0c
        lldt ax
        report
        try ltr-null
        xor eax, eax
        ltr ax
        report
        try ltr-wrong-type
        mov eax, 0x10
        ltr ax
        report
        try ltr
        mov eax, 0x28
        ltr ax
        report
        try ltr-busy
        mov eax, 0x28
        ltr ax
        report
        str eax
        value str
        movzx eax, byte ptr [gdt + 0x2d]
        value busy-type

# ---- far jumps and calls
        .macro jump_to name, selector, target
        try \name
        mov dword ptr [far], offset \target
        mov word ptr [far + 4], \selector
        jmp fword ptr [far]
        report
        .endm
        jump_to jump-null, 0, exit
        jump_to jump-data, 0x10, exit
        jump_to jump-beyond, 0x1000, exit
        jump_to jump-absent, 0x90, exit
        jump_to jump-level-three, 0x18, exit
        jump_to jump-rpl-three, 0x0b, exit
        jump_to jump-gate-absent, 0x98, exit
        jump_to jump-ldt, 0x78, exit
        jump_to jump-busy-task, 0x28, exit
        jump_to jump-limit, 0x80, exit
        jump_to jump-short-task, 0xb0, exit
        try call-conforming
        call 0x68:1f
        jmp 2f
1:      mov ebx, [esp + 4]
        mov edx, cs
        retf
2:
        report
        mov eax, ebx
        value call-pushed-cs
        mov eax, edx
        value call-new-cs
        try call-gate-same-level
        push 0x11111111
        push 0x22222222
        call 0x60:0
        report
        mov eax, [gate_stack]
        sub eax, STACK
        value gate-same-level-stack
        mov esp, STACK
        try return-null
        push 0
        push offset exit
        retf
        report
        try return-absent
        push 0x90
        push offset exit
        retf
        report
        mov esp, STACK
        try iret-null
        push 2
        push 0
        push offset exit
        iretd
        report
        mov esp, STACK

# ---- level 3
        .macro user name, entry, frame=RING3_STACK, stack=0x23
        try \name
        mov dword ptr [saved_stack], STACK
        push \stack
        push \frame
        push 0x202
        push 0x1b
        push offset \entry
        iretd
        report
        mov esp, STACK
        .endm
        # system call and back: IDT 0x30 is open to level 3
        or byte ptr [idt + 0x30 * 8 + 5], 0x60
        user user-software-interrupt, user_int30
        mov eax, [level]
        value user-cs
        mov eax, [flags]
        and eax, 0xfffff
        value user-flags
        user user-closed-interrupt, user_int31
        user user-privileged, user_hlt
        user user-cli, user_cli
        user user-sti, user_sti
        user user-port, user_port
        user user-mov-cr, user_cr
        user user-lgdt, user_lgdt
        user user-ltr, user_ltr
        user user-load-kernel-data, user_kernel_data
        user user-data-kept, user_data_kept
        user user-far-to-kernel, user_far_kernel
        user user-gate-closed, user_gate_closed
        user user-call-gate, user_call_gate
        mov eax, [gate_stack]
        sub eax, RING0_STACK
        value call-gate-stack
        mov eax, [gate_seen]
        value call-gate-parameter-1
        mov eax, [gate_seen + 4]
        value call-gate-parameter-2
        mov eax, [gate_seen + 8]
        value call-gate-old-stack
        mov eax, [gate_seen + 12]
        value call-gate-old-ss
        mov eax, [gate_seen + 16]
        value call-gate-old-cs
        user stack-limit, user_push, 2, 0xbb
        user stack-top, user_push, 0x800, 0xbb
        user stack-beyond, user_push, 0x801, 0xbb
        user user-return-inward, user_return_inward
        user user-iret-inward, user_iret_inward
        user user-popf, user_popf
        mov eax, [flags]
        value user-popf-flags
        user user-trap-into-int, user_trap_into_int
        user user-int3, user_int3
        or byte ptr [idt + 3 * 8 + 5], 0x60
        user user-int3-open, user_int3
        or byte ptr [idt + 4 * 8 + 5], 0x60
        user user-into, user_into
        user user-icebp, user_icebp
        user user-single-step, user_trap
        mov eax, dr6
        value single-step-dr6
        xor eax, eax
        mov dr6, eax
        user user-bound, user_bound
# ---- IDT entries
        try gate-absent
        and byte ptr [idt + 0x31 * 8 + 5], 0x7f
        int 0x31
        report
        or byte ptr [idt + 0x31 * 8 + 5], 0x80
        try gate-wrong-type
        mov byte ptr [idt + 0x31 * 8 + 5], 0x82
        int 0x31
        report
        try gate-null-code
        mov byte ptr [idt + 0x31 * 8 + 5], 0x8e
        mov word ptr [idt + 0x31 * 8 + 2], 0
        int 0x31
        report
        try gate-data
        mov word ptr [idt + 0x31 * 8 + 2], 0x10
        int 0x31
        report
        try gate-code-absent
        mov word ptr [idt + 0x31 * 8 + 2], 0x90
        int 0x31
        report
        mov word ptr [idt + 0x31 * 8 + 2], 8
        try vector-beyond-table
        int 0x80
        report
        try divide
        xor edx, edx
        mov eax, 1
        mov ecx, 0
        div ecx
        report
        mov eax, [flags]
        and eax, 0x10000
        value fault-flags-rf
        try overflow
        mov al, 0x7f
        inc al
        into
        report
        try undefined
        ud2
        report
        try no-fpu
        mov eax, cr0
        or eax, 8
        mov cr0, eax
        fxsave [0x250000]
        report
        clts

# ---- tasks
        mov dword ptr [tss2 + 32], offset task2
        mov dword ptr [tss2 + 36], 2
        mov dword ptr [tss2 + 56], 0x230000
        mov dword ptr [tss2 + 72], 0x10
        mov dword ptr [tss2 + 76], 0x08
        mov dword ptr [tss2 + 80], 0x10
        mov dword ptr [tss2 + 84], 0x10
        mov word ptr [tss2 + 102], 0x68
        try task-call
        mov ebx, 0x1234
        call 0x30:0
        mov eax, [task_seen]
        report
        mov eax, [task_seen]
        value task-link
        mov eax, [task_seen + 4]
        value task-flags-nt
        mov eax, [task_seen + 8]
        value task-cr0-ts
        movzx eax, byte ptr [gdt + 0x35]
        value task-type-after-return
        mov eax, ebx
        value task-registers-kept
        mov eax, [tss + 32]
        sub eax, [start]
        value task-saved-eip
        clts
        # IRET left task 2 behind its IRET
        try task-call-again
        call 0x70:0
        report
        movzx eax, byte ptr [gdt + 0x2d]
        value task-own-type
        try task-jump
        mov dword ptr [tss2 + 32], offset task2_jump
        jmp 0x30:0
        report
        movzx eax, byte ptr [gdt + 0x35]
        value task-jump-type
        clts
        # a task gate in the IDT, with an error code for the new task
        mov dword ptr [tss2 + 32], offset task2_fault
        mov dword ptr [tss2 + 36], 2
        mov dword ptr [tss2 + 56], 0x230000
        mov dword ptr [idt + 13 * 8], 0x00300000
        mov dword ptr [idt + 13 * 8 + 4], 0x0000e500
        try task-for-fault
        mov eax, 0x1000
        mov ds, ax
1:      nop
        report
        mov eax, [task_seen]
        value task-fault-error-code
        mov dword ptr [idt + 13 * 8], offset stubs + 13 * 16 - 0x100000 + 0x80000
        call setup_idt
        or byte ptr [idt + 0x30 * 8 + 5], 0x60
        or byte ptr [idt + 3 * 8 + 5], 0x60
        # back link that leads nowhere
        try task-return-null
        mov word ptr [tss], 0
        pushfd
        or dword ptr [esp], 0x4000
        popfd
        iretd
        report
        pushfd
        and dword ptr [esp], 0xffffbfff
        popfd

# ---- double fault by a task
        mov dword ptr [tss_df + 32], offset df_task
        mov dword ptr [tss_df + 36], 2
        mov dword ptr [tss_df + 56], 0x240000
        mov dword ptr [tss_df + 72], 0x10
        mov dword ptr [tss_df + 76], 0x08
        mov dword ptr [tss_df + 80], 0x10
        mov dword ptr [tss_df + 84], 0x10
        mov dword ptr [idt + 8 * 8], 0x00a00000
        mov dword ptr [idt + 8 * 8 + 4], 0x00008500
        mov dword ptr [task_vector], 8
        try double-fault
        and byte ptr [idt + 13 * 8 + 5], 0x7f
        mov eax, 0x1000
        mov ds, ax
        report
        or byte ptr [idt + 13 * 8 + 5], 0x80
        call setup_idt
        or byte ptr [idt + 0x30 * 8 + 5], 0x60
        clts
        # faults that find no stack in the task state: #TS by the same task
        mov dword ptr [task_vector], 10
        mov dword ptr [idt + 10 * 8], 0x00a00000
        mov dword ptr [idt + 10 * 8 + 4], 0x00008500
        mov dword ptr [tss_df + 32], offset df_task
        mov dword ptr [tss + 8], 0
        user user-null-inner-stack, user_int30
        mov dword ptr [tss + 8], 0x20
        user user-inner-stack-of-level-three, user_int30
        mov dword ptr [tss + 8], 0x40
        user user-read-only-inner-stack, user_int30
        mov dword ptr [tss + 8], 0x1000
        user user-beyond-inner-stack, user_call_gate
        mov dword ptr [tss + 8], 0x10
        clts
        call setup_idt
        or byte ptr [idt + 0x30 * 8 + 5], 0x60
        try benign-then-fault
        and byte ptr [idt + 6 * 8 + 5], 0x7f
        ud2
        report
        or byte ptr [idt + 6 * 8 + 5], 0x80

# ---- virtual-8086 mode: code at 0x8000
        mov esi, offset v86_code
        mov edi, 0x8000
        mov ecx, offset v86_end - v86_code
        rep movsb
        .macro virtual name, offset, flags=0x23002
        try \name
        push 0x5000                             # gs
        push 0x4000
        push 0x3000
        push 0x2000
        push 0x700                              # ss
        push 0x1000
        push \flags
        push 0x800
        push \offset
        iretd
        report
        mov esp, STACK
        .endm
        virtual v86-gp-on-privileged, v86_hlt-v86_code
        mov eax, [flags]
        value v86-flags
        mov eax, [level]
        value v86-cs
        mov eax, ds
        virtual v86-int-iopl-3, v86_int-v86_code
        mov eax, [tss]
        virtual v86-int-iopl-0, v86_int-v86_code, 0x20002
        virtual v86-int-handler-level-3, v86_int30-v86_code
        virtual v86-segments, v86_segments-v86_code
        mov eax, [0x9010]
        value v86-stored
        virtual v86-cli-iopl-0, v86_cli-v86_code, 0x20002
        virtual v86-pushf-iopl-0, v86_pushf-v86_code, 0x20002
        virtual v86-far, v86_far-v86_code
        mov eax, [level]
        value v86-far-cs
        virtual v86-arpl, v86_arpl-v86_code

# ---- back to real-address mode and up again
        mov esi, offset real_code
        mov edi, 0x9000
        mov ecx, offset real_end - real_code
        rep movsb
        try real-mode
        mov [saved_stack], esp
        lidt [0x9000 + real_idt - real_code]
        jmp 0x80:0x9000
real_back:
        mov ax, 0x10
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, STACK
        lidt [idt_pointer]
        report
        mov eax, ebx
        value real-interrupt-frame
        mov eax, edx
        value real-divide-ip
        mov eax, ebp
        value real-unreal-load
        jmp exit

# ---- what runs at level 3
user_int30: int 0x30
user_int31: int 0x31
user_hlt: hlt
user_cli: cli
user_sti: sti
user_port: in al, 0x70
user_cr: mov eax, cr0
user_lgdt: lgdt [gdt_pointer]
user_ltr: ltr ax
user_kernel_data: mov eax, 0x10
        mov ds, ax
user_data_kept:
        mov eax, ds                             # IRET made it null: it was of level 0
        test eax, eax
        jnz user_hlt
        int 0x30
user_far_kernel: jmp 0x08:exit
user_gate_closed: call 0xa8:0
user_call_gate:
        push 0x22222222
        push 0x11111111
        call 0x63:0
        int 0x30
user_push: push eax
        int 0x30
user_return_inward:
        push 0x08
        push offset exit
        retf
user_iret_inward:
        push 2
        push 0x08
        push offset exit
        iretd
user_popf:
        push 0x3002                             # IOPL and IF must not change
        popfd
        int 0x30
user_trap_into_int:
        push 0x102
        popfd
        int 0x30                                # no single-step trap after INT
user_int3: int3
user_into: mov al, 0x7f
        inc al
        into
user_icebp: .byte 0xf1
user_trap:
        pushfd
        or dword ptr [esp], 0x100
        popfd
        nop
        nop
user_bound: mov eax, 5
        push 4
        push 1
        bound eax, [esp]

gate_target:
        push ds
        push 0x10
        pop ds
        pop dword ptr [discard]
        mov [gate_stack], esp
        mov eax, [esp + 8]
        mov [gate_seen], eax
        mov eax, [esp + 12]
        mov [gate_seen + 4], eax
        mov eax, [esp + 16]
        mov [gate_seen + 8], eax
        mov eax, [esp + 20]
        mov [gate_seen + 12], eax
        mov eax, [esp + 4]
        mov [gate_seen + 16], eax
        retf 8

task2:  mov eax, [tss2]
        and eax, 0xffff
        mov [task_seen], eax
        pushfd
        pop eax
        and eax, 0x4000
        mov [task_seen + 4], eax
        mov eax, cr0
        and eax, 8
        mov [task_seen + 8], eax
        iretd
        jmp task2
task2_jump:
        jmp 0x28:0
task2_fault:
        pop eax
        mov [task_seen], eax
        # skip the faulting instruction of the interrupted task
        add dword ptr [tss + 32], 2
        iretd

df_task:
        pop eax
        mov [error], eax
        mov eax, [task_vector]
        mov [vector], eax
        mov eax, [tss + 32]
        mov [where], eax
        mov eax, [resume]
        mov [tss + 32], eax
        mov dword ptr [tss + 36], 2
        mov eax, [saved_stack]
        mov [tss + 56], eax
        mov dword ptr [tss + 72], 0x10
        mov dword ptr [tss + 76], 0x08
        mov dword ptr [tss + 80], 0x10
        mov dword ptr [tss + 84], 0x10
        iretd
        jmp df_task

        .bss
        .align 4
gate_stack: .skip 4
gate_seen: .skip 32
task_seen: .skip 16
task_vector: .skip 4
        .text

        .code16
v86_code:
v86_hlt: hlt
v86_int: int 0x31
v86_int30: int 0x30
v86_cli: cli
v86_pushf: pushf
v86_arpl: .byte 0x63, 0xc0
v86_far: jmp 0x810:0
v86_segments:
        mov ax, 0x900
        mov ds, ax
        mov word ptr [0x10], 0x55aa
        mov cx, es
        mov ds:[0x12], cx
        hlt
        .skip 0x100 - (. - v86_code)
v86_far_target:
        hlt
v86_end:

real_code:
        mov ax, 0x88                            # a 16-bit stack; real-address mode keeps what is cached
        mov ss, ax
        mov esp, 0x100
        mov eax, cr0
        and eax, 0xfffffffe
        mov cr0, eax
        jmp 0:0x9000 + real_mode - real_code
real_mode:
        mov ax, 0x7000
        mov ss, ax
        mov sp, 0x100
        xor ax, ax
        mov ds, ax
        mov word ptr [0x9000 + real_ivt - real_code + 4 * 0x20], 0x9000 + real_int - real_code
        int 0x20
        mov word ptr [0x9000 + real_ivt - real_code], 0x9000 + real_divide - real_code
        xor cx, cx
        div cx
after_divide:
        mov eax, 0x110000
        mov dword ptr [eax], 0x600d600d         # the limit of DS is still 4 GiB
        mov ebp, [eax]
        mov eax, cr0
        or eax, 1
        mov cr0, eax
        .byte 0x66, 0xea                        # jmp 0x08:real_back
        .long real_back
        .word 8
real_int:
        mov bp, sp
        movzx ebx, sp
        shl ebx, 16
        mov bx, [bp + 2]
        iret
real_divide:
        mov bp, sp
        movzx edx, word ptr [bp]
        sub dx, 0x9000 + after_divide - real_code
        movzx edx, dx
        mov word ptr [bp], 0x9000 + after_divide - real_code
        iret
        .align 4
real_idt: .word 0x3ff
        .long 0x9000 + real_ivt - real_code
real_ivt: .skip 0x100
real_end:
        .code32
