# Two processors: INIT, SIPI, interrupts between them, locked instructions.
        .include "framework.inc"

        .include "second.inc"
        .set APIC, 0xfee00000

_start: prepare
        mov dword ptr [APIC + 0xf0], 0x1ff

        # SIPI without INIT before it: the processor waits for one already
        mov dword ptr [APIC + 0x300], 0xc4500
        call pause_a_while
        mov dword ptr [APIC + 0x300], 0xc4608
1:      pause
        cmp dword ptr [STARTED], 1
        jne 1b
        mov eax, [STARTED]
        value started
        movzx eax, word ptr [AP_CS]
        value start-cs
        mov eax, [AP_SIGNATURE]
        and eax, 0xf0000000
        value start-signature
2:      pause
        cmp dword ptr [ap_ready], 1
        jne 2b
        mov eax, [ap_id]
        value ap-id
        mov eax, [ap_cr0]
        value ap-cr0
        mov eax, [ap_base]
        value ap-apic-base
        # a second SIPI finds it running
        mov dword ptr [APIC + 0x300], 0xc4608
        call pause_a_while
        mov eax, [STARTED]
        value started-still

        # both add to one number
        mov dword ptr [go], 1
        mov ecx, 100000
3:      lock inc dword ptr [shared]
        loop 3b
4:      pause
        cmp dword ptr [ap_done], 1
        jne 4b
        mov eax, [shared]
        value locked-sum
        # a lock with plain stores to open it, and a plain number inside
        mov dword ptr [go], 2
        mov ecx, 20000
5:      mov eax, 1
        xchg eax, [spin]
        test eax, eax
        jz 6f
        pause
        jmp 5b
6:      inc dword ptr [guarded]
        mov dword ptr [spin], 0
        loop 5b
7:      pause
        cmp dword ptr [ap_done], 2
        jne 7b
        mov eax, [guarded]
        value guarded-sum

        # an interrupt from the other one
        try interrupt-from-ap
        mov dword ptr [go], 3
        sti
8:      hlt
        jmp 8b
        report
        mov dword ptr [APIC + 0xb0], 0
        # an NMI to it, which it counts while it halts with interrupts off
        mov dword ptr [APIC + 0x300], 0xc4400
9:      pause
        cmp dword ptr [ap_nmis], 1
        jne 9b
        mov eax, [ap_nmis]
        value ap-nmis
        # INIT stops it; SIPI starts it afresh
        mov dword ptr [go], 0
        mov dword ptr [ap_ready], 0
        mov dword ptr [APIC + 0x300], 0xc4500
        call pause_a_while
        mov dword ptr [APIC + 0x300], 0xc4608
10:     pause
        cmp dword ptr [ap_ready], 1
        jne 10b
        mov eax, [STARTED]
        value started-again
        jmp exit

# ---- the second processor, in protected mode
ap:     mov eax, 0x10
        mov ds, eax
        mov es, eax
        mov ss, eax
        mov esp, AP_STACK
        lidt [idt_pointer]
        mov eax, offset ap_nmi
        mov [idt + 2 * 8], ax
        shr eax, 16
        mov [idt + 2 * 8 + 6], ax
        mov dword ptr [APIC + 0xf0], 0x1ff
        mov eax, [APIC + 0x20]
        mov [ap_id], eax
        mov eax, cr0
        mov [ap_cr0], eax
        mov ecx, 0x1b
        rdmsr
        mov [ap_base], eax
        mov dword ptr [ap_ready], 1
1:      pause
        cmp dword ptr [go], 1
        jne 1b
        mov ecx, 100000
2:      lock add dword ptr [shared], 1
        loop 2b
        mov dword ptr [ap_done], 1
3:      pause
        cmp dword ptr [go], 2
        jne 3b
        mov ecx, 20000
4:      mov eax, 1
        xchg eax, [spin]
        test eax, eax
        jz 5f
        pause
        jmp 4b
5:      inc dword ptr [guarded]
        mov dword ptr [spin], 0
        loop 4b
        mov dword ptr [ap_done], 2
6:      pause
        cmp dword ptr [go], 3
        jne 6b
        mov dword ptr [APIC + 0x310], 0
        mov dword ptr [APIC + 0x300], 0x4032
7:      hlt
        jmp 7b

ap_nmi: inc dword ptr [ap_nmis]
        iretd

        .bss
        .align 64
shared: .skip 64
spin:   .skip 64
guarded: .skip 64
go:     .skip 64
ap_ready: .skip 4
ap_done: .skip 4
ap_id:  .skip 4
ap_cr0: .skip 4
ap_base: .skip 4
ap_nmis: .skip 4
        .text
