# What 286 software and old kernels rely on in protected mode: 16-bit gates and task states, ports by permission bitmap,
# tasks that fault on arrival; when the floating-point units may be used, and by which exception they complain; the time
# stamp counter and breakpoints on ports.
        .include "framework.inc"

        .data
        .align 8
gdt:    .quad 0
        segment 0, 0xfffff, 0xc09b              # 08 code, level 0
        segment 0, 0xfffff, 0xc093              # 10 data, level 0
        segment 0, 0xfffff, 0xc0fb              # 18 code, level 3
        segment 0, 0xfffff, 0xc0f3              # 20 data, level 3
tss_d:  segment 0, 0x88, 0x0089                 # 28 task state with a permission bitmap for 256 ports
tss2_d: segment 0, 0x67, 0x0089                 # 30 second task state
tss16_d: segment 0, 0x2b, 0x0081                # 38 16-bit task state
tss15_d: segment 0, 0x2a, 0x0081                # 40 16-bit task state that is too short
        segment 0x100000, 0xffff, 0x009b        # 48 16-bit code at the image, level 0
        segment 0x100000, 0xffff, 0x409b        # 50 32-bit code at the image, level 0
        segment 0x100000, 0xffff, 0x40fb        # 58 32-bit code at the image, level 3
        segment 0x100000, 0xffff, 0x00fb        # 60 16-bit code at the image, level 3
        segment 0x260000, 0xffff, 0x0093        # 68 16-bit stack, level 0
        segment 0x270000, 0xffff, 0x00f3        # 70 16-bit stack, level 3
gate_d: .word gate16 - image, 0x48, 0xe402, 0   # 78 16-bit call gate, level 3, two parameters
        segment 0, 0xfffff, 0xc013              # 80 data, not present
        segment 0, 0xfffff, 0xc099              # 88 code, not readable
        segment 0x100000, 0xfff, 0x409b         # 90 code of 4 KiB
gdt_end:
gdt_pointer: .word gdt_end - gdt - 1
        .long gdt
        .align 4
one:    .long 0x3f800000, 0, 0, 0
        .bss
        .align 128
tss:    .skip 256
tss2:   .skip 128
tss16:  .skip 128
seen:   .skip 64
        .text

# esi descriptor, eax base
set_base:
        mov [esi + 2], ax
        shr eax, 16
        mov [esi + 4], al
        mov [esi + 7], ah
        ret

        .macro base_of descriptor, address
        mov esi, offset \descriptor
        mov eax, offset \address
        call set_base
        .endm

# Prints a word of what a handler or task has seen
        .macro noted name, place
        movzx eax, word ptr [seen + \place]
        value \name
        .endm

        .macro user name, entry, flags=0x202, cs=0x1b, frame=RING3_STACK
        try \name
        mov dword ptr [saved_stack], STACK
        push 0x23
        push \frame
        push \flags
        push \cs
        push offset \entry
        iretd
        report
        mov esp, STACK
        .endm

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
        or byte ptr [idt + 0x30 * 8 + 5], 0x60
        base_of tss_d, tss
        base_of tss2_d, tss2
        base_of tss16_d, tss16
        base_of tss15_d, tss16
        mov dword ptr [tss + 4], RING0_STACK
        mov dword ptr [tss + 8], 0x10
        mov word ptr [tss + 102], 0x68
        mov eax, 0x28
        ltr ax

# ---- ports by the bitmap: all closed but 70, 71, 77, f8 and the 8 at 40
        mov edi, offset tss + 0x68
        mov ecx, 0x21
        mov al, 0xff
        rep stosb
        mov byte ptr [tss + 0x68 + 0x70 / 8], 0x7c
        mov byte ptr [tss + 0x68 + 0x40 / 8], 0
        mov byte ptr [tss + 0x68 + 0xf8 / 8], 0xfe
        user port-open, user_port_70
        user port-closed, user_port_72
        user port-word-open, user_port_word_70
        user port-word-half, user_port_word_71
        user port-word-across, user_port_word_77
        user port-double, user_port_double_40
        user port-double-half, user_port_double_45
        user port-last, user_port_f8
        user port-beyond, user_port_100
        user port-string, user_port_string
        user port-by-level, user_port_72, 0x3202
        mov word ptr [tss + 102], 0x89
        user port-no-map, user_port_70
        mov word ptr [tss + 102], 0x68

# ---- 16-bit interrupt and trap gates, from code below 64 KiB
        .macro gate16_of vector, type
        mov eax, offset handler16 - image
        mov [idt + \vector * 8], ax
        mov word ptr [idt + \vector * 8 + 2], 0x48
        mov dword ptr [idt + \vector * 8 + 4], \type << 8
        .endm
        gate16_of 0x31, 0xe6
        try gate-16
        jmp 0x50:1f - image
1:      std
        stc
        int 0x31
2:      cld
        jmp 0x08:3f
3:      report
        movzx eax, word ptr [seen]
        sub eax, offset 2b - image
        value gate-16-ip
        noted gate-16-cs, 4
        movzx eax, word ptr [seen + 8]
        and eax, 0xf401
        value gate-16-flags
        mov eax, [seen + 24]
        sub eax, STACK
        value gate-16-stack
        gate16_of 0x31, 0xe7
        .macro inside_flags
        jmp 0x50:1f - image
1:      sti
        int 0x31
        cli
        jmp 0x08:2f
2:      movzx eax, word ptr [seen + 20]
        and eax, 0x200
        .endm
        inside_flags
        value trap-gate-16-inside
        gate16_of 0x31, 0xe6
        inside_flags
        value gate-16-inside
        user gate-16-inner, user_int31-image, 0x202, 0x5b, 0x228000
        noted gate-16-inner-cs, 4
        noted gate-16-inner-sp, 12
        noted gate-16-inner-ss, 16
        mov eax, [seen + 24]
        sub eax, RING0_STACK
        value gate-16-inner-stack
        # an error code takes a word too
        mov eax, offset handler16_error - image
        mov [idt + 13 * 8], ax
        mov word ptr [idt + 13 * 8 + 2], 0x48
        mov dword ptr [idt + 13 * 8 + 4], 0x8600
        try gate-16-error
        jmp 0x50:1f - image
1:      mov eax, 0x1234
        mov fs, ax                              # the handler goes behind it
2:      jmp 0x08:3f
3:      report
        noted gate-16-error-code, 0
        call setup_idt
        or byte ptr [idt + 0x30 * 8 + 5], 0x60

# ---- a 16-bit call gate
        user call-gate-16, user_gate16-image, 0x202, 0x5b
        noted call-gate-16-cs, 4
        noted call-gate-16-first, 8
        noted call-gate-16-second, 12
        noted call-gate-16-ss, 16
        mov eax, [seen + 24]
        sub eax, RING0_STACK
        value call-gate-16-stack

# ---- 16-bit task states
        mov word ptr [tss16 + 2], 0x8000        # sp0, ss0
        mov word ptr [tss16 + 4], 0x10
        mov word ptr [tss16 + 14], offset task16 - image
        mov word ptr [tss16 + 16], 2
        mov word ptr [tss16 + 18], 0x1111
        mov word ptr [tss16 + 20], 0x2222
        mov word ptr [tss16 + 26], 0x1000
        mov word ptr [tss16 + 34], 0x10
        mov word ptr [tss16 + 36], 0x48
        mov word ptr [tss16 + 38], 0x68
        mov word ptr [tss16 + 40], 0x10
        try task-16-short
        jmp 0x40:0
        report
        mov ebp, 0x12345678
        mov eax, 0x20
        mov fs, ax
        try task-16-call
        call 0x38:0
        report
        clts
        noted task-16-ax, 0                     # the upper halves are undefined
        noted task-16-cx, 4
        noted task-16-fs, 8
        noted task-16-flags, 12
        noted task-16-link, 16
        noted task-16-register, 20
        mov eax, ebp
        value task-16-kept
        mov eax, fs
        value task-16-fs-again
        movzx eax, word ptr [tss16 + 18]
        value task-16-saved-ax
        movzx eax, word ptr [tss16 + 14]
        sub eax, offset task16_returned - image
        value task-16-saved-ip
        movzx eax, word ptr [tss16 + 16]
        and eax, 0x4000
        value task-16-saved-flags
        movzx eax, byte ptr [tss16_d + 5]
        value task-16-type
        # level 3 in it, and an interrupt that takes the stack of its task state
        mov word ptr [tss16 + 14], offset task16_user - image
        mov word ptr [tss16 + 16], 2
        mov word ptr [tss16 + 26], 0x1000
        mov word ptr [tss16 + 36], 0x63
        mov word ptr [tss16 + 38], 0x73
        mov word ptr [tss16 + 34], 0x23
        mov word ptr [tss16 + 40], 0x23
        try task-16-level-three
        jmp 0x38:0
        jmp 1f
        report
        str eax
        value task-16-busy
        movzx eax, word ptr [0x7ff8]
        value task-16-inner-stack
        jmp 0x28:0
1:      clts

# ---- tasks that fault on arrival: the fault is theirs
        .macro arrive name, place=72, selector=0x10, eip=task2
        mov dword ptr [tss2 + 32], offset \eip
        mov dword ptr [tss2 + 36], 2
        mov dword ptr [tss2 + 56], 0x230000
        mov dword ptr [tss2 + 72], 0x10
        mov dword ptr [tss2 + 76], 0x08
        mov dword ptr [tss2 + 80], 0x10
        mov dword ptr [tss2 + 84], 0x10
        mov dword ptr [tss2 + 88], 0
        mov dword ptr [tss2 + \place], \selector
        mov dword ptr [seen], 0
        try \name
        jmp 0x30:0
        jmp 1f
        report
        str eax
        value \name-task
        mov eax, [vector]
        shl eax, 16
        or eax, [error]
        value \name-fault
        jmp 0x28:0
1:      clts
        .endm
        arrive arrive
        mov eax, [seen]
        value arrive-seen
        arrive arrive-absent, 84, 0x80
        arrive arrive-not-readable, 84, 0x88
        arrive arrive-beyond-table, 88, 0x1000
        arrive arrive-system, 72, 0x28
        arrive arrive-limit, 76, 0x90
        mov word ptr [tss2 + 100], 1
        arrive arrive-trap
        mov word ptr [tss2 + 100], 0
        mov eax, dr6
        value arrive-trap-dr6
        xor eax, eax
        mov dr6, eax
        # local breakpoints end with the task, global ones do not
        mov eax, 0x400 | 0x3
        mov dr7, eax
        arrive arrive-breakpoints
        mov eax, dr7
        value arrive-breakpoints-dr7
        mov eax, 0x400
        mov dr7, eax

# ---- who may use the floating-point units
        .macro cr0_with set, clear
        mov eax, cr0
        or eax, \set
        and eax, ~(\clear)
        mov cr0, eax
        .endm
        .macro cr4_with set, clear
        mov eax, cr4
        or eax, \set
        and eax, ~(\clear)
        mov cr4, eax
        .endm
        .macro fp name
        try \name-x87
        fld1
        report
        try \name-wait
        fwait
        report
        try \name-mmx
        movd mm0, eax
        report
        try \name-sse
        movaps xmm0, xmm1
        report
        try \name-fxsave
        fxsave [0x250000]
        report
        try \name-ldmxcsr
        ldmxcsr [mxcsr_default]
        report
        .endm
        cr0_with 0x20, 0xe                      # NE
        cr4_with 0x600, 0
        fninit
        fp units-on
        fninit
        cr4_with 0, 0x200
        fp no-fxsr
        cr4_with 0x200, 0
        cr0_with 4, 0
        fp emulate
        cr0_with 8, 4
        fp switched
        cr0_with 2, 0
        fp monitored-switched
        cr0_with 4, 8
        fp monitored-emulate
        cr0_with 0, 6
        fninit

# ---- unmasked exceptions
        try x87-divide
        fldcw [x87_unmasked]
        fld1
        fldz
        fdivp
        nop
        fwait
        report
        try x87-pending-not-waited
        fnstsw ax
        fnclex
        report
        and eax, 0xff
        value x87-status
        try x87-pending-mmx
        fld1
        fldz
        fdivp
        emms
        report
        fninit
        try sse-divide
        ldmxcsr [mxcsr_unmasked]
        movss xmm0, [one]
        xorps xmm1, xmm1
        divss xmm0, xmm1
        report
        stmxcsr [seen]
        mov eax, [seen]
        value sse-divide-mxcsr
        cr4_with 0, 0x400
        try sse-divide-not-announced
        ldmxcsr [mxcsr_unmasked]
        movss xmm0, [one]
        divss xmm0, xmm1
        report
        cr4_with 0x400, 0
        try mxcsr-reserved
        ldmxcsr [mxcsr_wrong]
        report
        ldmxcsr [mxcsr_default]

# ---- the time stamp counter at level 3
        user tsc-open, user_rdtsc
        cr4_with 4, 0
        user tsc-closed, user_rdtsc
        try tsc-level-zero
        rdtsc
        report
        cr4_with 0, 4

# ---- breakpoints on ports
        .macro port_break name, control
        xor eax, eax
        mov dr6, eax
        mov eax, 0x80
        mov dr1, eax
        mov eax, \control
        mov dr7, eax
        try \name
        .endm
        .macro port_break_end name
        report
        mov eax, 0x400
        mov dr7, eax
        mov eax, dr6
        value \name-dr6
        .endm
        cr4_with 8, 0
        port_break break-port-read, 0x200408
        in al, 0x80
        nop
        port_break_end break-port-read
        port_break break-port-write, 0x200408
        out 0x80, al
        nop
        port_break_end break-port-write
        port_break break-port-other, 0x200408
        in al, 0x81
        nop
        port_break_end break-port-other
        port_break break-port-wide, 0x600408
        in al, 0x81
        nop
        port_break_end break-port-wide
        jmp exit

        .data
        .align 4
mxcsr_default: .long 0x1f80
mxcsr_unmasked: .long 0x1d80
mxcsr_wrong: .long 0x1001f80
x87_unmasked: .word 0x37b
        .text

# ---- what runs at level 3
user_port_70: in al, 0x70
        int 0x30
user_port_72: in al, 0x72
        int 0x30
user_port_word_70: in ax, 0x70
        int 0x30
user_port_word_71: in ax, 0x71
        int 0x30
user_port_word_77: in ax, 0x77
        int 0x30
user_port_double_40: in eax, 0x40
        int 0x30
user_port_double_45: in eax, 0x45
        int 0x30
user_port_f8: in al, 0xf8
        int 0x30
user_port_100: mov edx, 0x100
        in al, dx
        int 0x30
user_port_string:
        mov eax, 0x23
        mov es, eax
        mov edi, 0x258000
        mov edx, 0x72
        insb
        int 0x30
user_rdtsc: rdtsc
        int 0x30
user_int31: int 0x31
        int 0x30
user_gate16:
        .byte 0x66, 0x68, 0x11, 0x11            # push words
        .byte 0x66, 0x68, 0x22, 0x22
        call 0x7b:0
        int 0x30

task2:  mov dword ptr [seen], 0x600d
        jmp 0x28:0
        jmp task2

        .code16
handler16:
        push ds
        push 0x10
        pop ds
        push eax
        push ebx
        mov ebx, offset seen
        mov ax, [esp + 10]
        mov [ebx], ax
        mov ax, [esp + 12]
        mov [ebx + 4], ax
        mov ax, [esp + 14]
        mov [ebx + 8], ax
        mov ax, [esp + 16]
        mov [ebx + 12], ax
        mov ax, [esp + 18]
        mov [ebx + 16], ax
        pushf
        pop ax
        mov [ebx + 20], ax
        mov [ebx + 24], esp
        pop ebx
        pop eax
        pop ds
        iret

handler16_error:
        push ebx
        mov ebx, offset seen
        push ax
        mov ax, [esp + 6]
        mov [ebx], ax
        pop ax
        pop ebx
        add sp, 2
        push ax
        mov ax, [esp + 2]
        add ax, 2                               # behind MOV FS
        mov [esp + 2], ax
        pop ax
        iret

gate16: push ds
        push 0x10
        pop ds
        push eax
        push ebx
        mov ebx, offset seen
        mov ax, [esp + 12]
        mov [ebx + 4], ax
        mov ax, [esp + 14]
        mov [ebx + 8], ax
        mov ax, [esp + 16]
        mov [ebx + 12], ax
        mov ax, [esp + 20]
        mov [ebx + 16], ax
        mov [ebx + 24], esp
        pop ebx
        pop eax
        pop ds
        retf 4

task16: mov ebx, offset seen
        mov [ebx], ax
        mov [ebx + 4], cx
        mov ax, fs
        mov [ebx + 8], ax
        pushf
        pop ax
        and ax, 0x4000
        mov [ebx + 12], ax
        mov ecx, offset tss16
        mov ax, [ecx]
        mov [ebx + 16], ax
        str ax
        mov [ebx + 20], ax
        mov ax, 0x3333
        iret
task16_returned:
        hlt

task16_user:
        int 0x30
        .code32
