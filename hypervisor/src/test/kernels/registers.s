# Model-specific registers that kernels and firmware look at: memory types, machine checks, the odds and ends of AMD's
# family 19h; faults while faults are delivered.
        .include "framework.inc"
        .include "long.inc"

        .data
        .align 8
gdt:    .quad 0
        segment 0, 0xfffff, 0xa09b              # 08 64-bit code, level 0
        segment 0, 0xfffff, 0xc093              # 10 data, level 0
        .quad 0, 0
        segment 0, 0xfffff, 0xc0f3              # 28 data, level 3
        segment 0, 0xfffff, 0xa0fb              # 30 64-bit code, level 3
        .quad 0
tss_d:  segment 0, 0x67, 0x0089                 # 40 task state
        .quad 0
gdt_end:
gdt_pointer: .word gdt_end - gdt - 1
        .quad gdt
        .bss
        .align 128
tss:    .skip 128
counter: .skip 8
        .text

# Prints what a register holds, or the fault
        .macro model name, index
        mov qword ptr [counter], 0
        try64 \name
        mov ecx, \index
        rdmsr
        shl rdx, 32
        or rax, rdx
        mov [counter], rax
        report64
        mov rax, [counter]
        value64 \name-value
        .endm
        .macro write name, index, low, high=0
        try64 \name
        mov ecx, \index
        mov eax, \low
        mov edx, \high
        wrmsr
        report64
        .endm

        enter_long_mode
        call setup_idt64
        mov qword ptr [tss + 4], RING0_STACK
        mov qword ptr [tss + 36], 0x240000
        mov qword ptr [tss + 44], WINDOW + 0x800
        mov eax, offset tss
        mov [tss_d + 2], ax
        shr eax, 16
        mov [tss_d + 4], al
        mov [tss_d + 7], ah
        mov eax, 0x40
        ltr ax

# ---- memory types
        model mtrr-capabilities, 0xfe
        model mtrr-default, 0x2ff
        write mtrr-default-on, 0x2ff, 0xc06
        model mtrr-default-again, 0x2ff
        write mtrr-base, 0x200, 0x80000000
        write mtrr-mask, 0x201, 0x80000800, 0xff
        model mtrr-mask-again, 0x201
        write mtrr-base-type, 0x202, 2
        write mtrr-mask-reserved, 0x203, 0x80000400
        write mtrr-beyond, 0x210, 0
        write mtrr-fixed, 0x26f, 0x05050505, 0x05050505
        model mtrr-fixed-again, 0x26f
        write mtrr-fixed-type, 0x250, 2
        model pat, 0x277
        write pat-types, 0x277, 0x05010406, 0x00070406
        model pat-again, 0x277
        write pat-reserved, 0x277, 3

# ---- machine checks
        model machine-check-capabilities, 0x179
        model machine-check-status, 0x17a
        model machine-check-control, 0x17b
        write machine-check-control-on, 0x17b, -1, -1
        model machine-check-control-again, 0x17b
        write bank-control, 0x400, -1, -1
        model bank-status, 0x401
        write bank-status-clear, 0x401, 0
        write bank-status-set, 0x401, 1
        model bank-beyond, 0x410
        try64 machine-check-enable
        mov rax, cr4
        or rax, 0x40
        mov cr4, rax
        report64

# ---- what Linux, FreeBSD and firmware read of a processor of AMD's family 19h
        model microcode, 0x8b
        model misc-enable, 0x1a0
        model debug-control, 0x1d9
        model system-configuration, 0xc0010010
        model hardware-configuration, 0xc0010015
        model northbridge-configuration, 0xc001001f
        model interrupt-pending, 0xc0010055
        model mmio-configuration, 0xc0010058
        model p-state-limit, 0xc0010061
        model virtual-machine-control, 0xc0010114
        model host-save-area, 0xc0010117
        model errata-length, 0xc0010140
        model errata-status, 0xc0010141
        model load-store-configuration, 0xc0011020
        model decode-configuration, 0xc0011029
        model apic-base, 0x1b
        write apic-base-reserved, 0x1b, 0xfee00910, 0xffff
        model feature-control, 0x3a
        model platform-information, 0xce
        model performance-counter, 0xc1
        write time-stamp, 0x10, 0, 0x100
        try64 time-stamp-goes-on
        rdtsc
        report64
        mov eax, edx
        value64 time-stamp-upper
        user user-rdmsr, user_rdmsr
        user user-rdpmc, user_rdpmc

# ---- faults in the delivery of faults: IST 2 is the absent window
        mov dword ptr [TABLE], 0
        invlpg [WINDOW]
        mov byte ptr [idt + 8 * 16 + 4], 1
        mov byte ptr [idt + 14 * 16 + 4], 1
        .macro on_window vector
        mov byte ptr [idt + \vector * 16 + 4], 2
        .endm
        .macro off_window vector
        mov byte ptr [idt + \vector * 16 + 4], 0
        .endm
        on_window 13
        try64 protection-then-page
        mov eax, 0x1000
        mov ds, eax
        report64
        mov rax, [fault_address]
        value64 protection-then-page-cr2
        off_window 13
        on_window 3
        try64 breakpoint-then-page
        int3
        report64
        off_window 3
        on_window 0
        try64 divide-then-page
        xor edx, edx
        xor ecx, ecx
        div ecx
        report64
        off_window 0
        on_window 14
        try64 page-then-page
        mov rax, [WINDOW + 8]
        report64
        mov rax, [fault_address]
        value64 page-then-page-cr2
        mov byte ptr [idt + 14 * 16 + 4], 1
        and byte ptr [idt + 0 * 16 + 5], 0x7f
        try64 divide-then-absent
        xor edx, edx
        xor ecx, ecx
        div ecx
        report64
        or byte ptr [idt + 0 * 16 + 5], 0x80
        and byte ptr [idt + 3 * 16 + 5], 0x7f
        try64 breakpoint-then-absent
        int3
        report64
        or byte ptr [idt + 3 * 16 + 5], 0x80
        # the fault of the older instruction, or of its fetch, before that of its operand
        try64 page-before-alignment
        mov rax, [WINDOW + 1]
        report64
        try64 undefined-before-page
        .byte 0x0f, 0x0b
        report64
        try64 protection-before-page
        mov rax, 0x0000800000000000
        mov rbx, WINDOW
        mov [rax], rbx
        report64
        jmp exit64

user_rdmsr: mov ecx, 0x10
        rdmsr
user_rdpmc: xor ecx, ecx
        rdpmc
