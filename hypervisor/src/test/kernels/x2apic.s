# Two processors whose local APICs are in x2APIC mode: registers as MSRs, interrupts to 32-bit ids, what is refused.
        .include "framework.inc"
        .include "second.inc"
        .set BASE, 0x1b
        .set EXTENDED, 0x400
        .set ID, 0x802
        .set VERSION, 0x803
        .set TPR, 0x808
        .set PPR, 0x80a
        .set EOI, 0x80b
        .set LDR, 0x80d
        .set DFR, 0x80e
        .set SVR, 0x80f
        .set ISR_20_3F, 0x811
        .set IRR_20_3F, 0x821
        .set ESR, 0x828
        .set ICR, 0x830
        .set ICR_HIGH, 0x831
        .set LVT_TIMER, 0x832
        .set CURRENT_COUNT, 0x839
        .set SELF, 0x83f
        .set TO_AP, 0x33                        # the vector that the second processor counts

        .macro show name:req, register:req
        mov ecx, \register
        rdmsr
        value \name
        .endm

        .macro put register:req, low:req, high=0
        mov ecx, \register
        mov eax, \low
        mov edx, \high
        wrmsr
        .endm

        .macro try_read name:req, register:req
        try read-\name
        mov ecx, \register
        rdmsr
        report
        .endm

        .macro try_write name:req, register:req, low:req, high=0
        try write-\name
        put \register, \low, \high
        report
        .endm

# Waits for an interrupt and shows it; it is in service then
        .macro take name:req
        try \name
        sti
9995:   hlt
        jmp 9995b
        report
        .endm

        .macro sent count:req, name:req
9996:   pause
        cmp dword ptr [ap_count], \count
        jne 9996b
        mov eax, [ap_count]
        value \name
        .endm

        .macro start_ap
        mov dword ptr [ap_ready], 0
        put ICR, 0xc500, 1
        call pause_a_while
        put ICR, 0x4608, 1
9997:   pause
        cmp dword ptr [ap_ready], 1
        jne 9997b
        .endm

_start: prepare

# ---- into the mode
        show base BASE
        try_read before-the-mode ID
        try_write extended-but-disabled BASE 0xfee00500
        put BASE, 0xfee00d00
        show base-now BASE
        try_write back-to-xapic BASE 0xfee00900
        put SVR, 0x1ff

# ---- registers
        show id ID
        mov ecx, VERSION
        rdmsr
        and eax, 0xf0
        value integrated
        show logical-id LDR
        show spurious SVR
        try_read eoi EOI
        try_read self SELF
        try_read destination-format DFR
        try_read icr-high ICR_HIGH
        try_read beyond 0x840
        try_write id ID 5
        try_write version VERSION 0
        try_write logical-id LDR 1
        try_write requested IRR_20_3F 0
        try_write current-count CURRENT_COUNT 0
        try_write eoi-one EOI 1
        try_write errors-one ESR 1
        try_write priority-wide TPR 0x100
        try_write priority-high TPR 0 1
        try_write icr-reserved ICR 0x2031
        try_write self-wide SELF 0x131

# ---- an interrupt to itself
        put SELF, 0x31
        show requested IRR_20_3F
        take self
        show in-service ISR_20_3F
        show processor-priority PPR
        put EOI, 0
        show in-service-no-more ISR_20_3F
        # held back by the task priority
        put TPR, 0x40
        put SELF, 0x35
        try held-back
        sti
        nop
        nop
        cli
        report
        show still-requested IRR_20_3F
        put TPR, 0
        take let-through
        put EOI, 0

# ---- the second processor
        start_ap
        mov eax, [ap_first_base]
        value ap-base-first
        mov eax, [ap_base]
        value ap-base
        mov eax, [ap_id]
        value ap-id
        mov eax, [ap_logical_id]
        value ap-logical-id
        put ICR, 0x4000 + TO_AP, 1
        sent 1 by-id
        put ICR, 0x4800 + TO_AP, 2
        sent 2 by-logical-id
        put ICR, 0xc4000 + TO_AP, 0
        sent 3 to-others
        put ICR, 0x4000 + TO_AP, -1
        sent 4 to-all-ids
        take to-all-ids-here
        put EOI, 0
        put ICR, 0x4800 + TO_AP, 3
        sent 5 to-both-logical-ids
        take to-both-logical-ids-here
        put EOI, 0
        put ICR, 0x84000 + TO_AP, 0
        sent 6 to-all
        take to-all-here
        put EOI, 0
        # nobody: another id, another cluster
        put ICR, 0x4000 + TO_AP, 7
        put ICR, 0x4800 + TO_AP, 0x10002
        put ICR, 0x44036, 0
        take to-self
        put EOI, 0
        call pause_a_while
        mov eax, [ap_count]
        value to-nobody
        show command ICR

# ---- INIT leaves the mode alone
        start_ap
        mov eax, [ap_first_base]
        value ap-base-after-init
        jmp exit

# ---- the second processor, in protected mode: counts interrupts
ap:     mov eax, 0x10
        mov ds, eax
        mov es, eax
        mov ss, eax
        mov esp, AP_STACK
        mov eax, offset ap_interrupt
        mov [ap_idt + TO_AP * 8], ax
        mov word ptr [ap_idt + TO_AP * 8 + 2], 8
        mov word ptr [ap_idt + TO_AP * 8 + 4], 0x8e00
        shr eax, 16
        mov [ap_idt + TO_AP * 8 + 6], ax
        lidt [ap_idt_pointer]
        mov ecx, BASE
        rdmsr
        mov [ap_first_base], eax
        or eax, EXTENDED
        wrmsr
        rdmsr
        mov [ap_base], eax
        mov ecx, ID
        rdmsr
        mov [ap_id], eax
        mov ecx, LDR
        rdmsr
        mov [ap_logical_id], eax
        put SVR, 0x1ff
        mov dword ptr [ap_ready], 1
        sti
1:      hlt
        jmp 1b

ap_interrupt:
        push eax
        push ecx
        push edx
        inc dword ptr [ap_count]
        put EOI, 0
        pop edx
        pop ecx
        pop eax
        iretd

        .data
        .align 4
        .word 0
ap_idt_pointer: .word 64 * 8 - 1
        .long ap_idt
        .bss
        .align 16
ap_idt: .skip 64 * 8
ap_count: .skip 4
ap_ready: .skip 4
ap_first_base: .skip 4
ap_base: .skip 4
ap_id:  .skip 4
ap_logical_id: .skip 4
