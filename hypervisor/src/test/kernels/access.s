# Long mode: who may access what and how: SMAP, PCID and INVPCID, UMIP, locked accesses of all widths and places.
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
        segment WINDOW, 15, 0x0082              # 50 local descriptor table in the window
        .quad 0
gdt_end:
gdt_pointer: .word gdt_end - gdt - 1
        .quad gdt
        .align 8
descriptor: .quad 0, 0
        .bss
        .align 128
tss:    .skip 128
        .align 64
line:   .skip 128
        .text

        .macro cr4_set bits
        mov rax, cr4
        or rax, \bits
        mov cr4, rax
        .endm
        .macro cr4_clear bits
        mov rax, cr4
        and rax, ~(\bits)
        mov cr4, rax
        .endm

        enter_long_mode
        call setup_idt64
        or byte ptr [idt + 0x30 * 16 + 5], 0x60
        mov qword ptr [tss + 4], RING0_STACK
        mov eax, offset tss
        mov [tss_d + 2], ax
        shr eax, 16
        mov [tss_d + 4], al
        mov [tss_d + 7], ah
        mov eax, 0x40
        ltr ax
        mov rbx, WINDOW

# ---- SMAP; page faults on a stack of their own
        mov byte ptr [idt + 14 * 16 + 4], 1
        mov byte ptr [idt + 8 * 16 + 4], 1
        mov qword ptr [tss + 36], 0x240000
        page 7
        try64 smap-off
        mov eax, [rbx]
        mov [rbx], eax
        report64
        try64 stac-while-off
        stac
        report64
        pushfq
        pop rax
        and eax, 0x40000
        value64 stac-flag
        clac
        cr4_set 0x200000
        try64 smap-load
        mov eax, [rbx]
        report64
        try64 smap-store
        mov [rbx], eax
        report64
        try64 smap-read-modify-write
        inc dword ptr [rbx]
        report64
        try64 smap-locked
        lock inc dword ptr [rbx]
        report64
        try64 smap-push
        lea rsp, [rbx + 0x800]
        push rax
        report64
        try64 smap-string
        mov rsi, rbx
        lodsb
        report64
        try64 smap-open
        stac
        mov eax, [rbx]
        mov [rbx], eax
        inc dword ptr [rbx]
        lock inc dword ptr [rbx]
        report64
        try64 smap-closed-again
        clac
        mov eax, [rbx]
        report64
        try64 smap-open-read-only
        page 5
        stac
        mov [rbx], eax
        report64
        clac
        page 7
        try64 smap-write-protect-off
        mov rax, cr0
        and eax, 0xfffeffff
        mov cr0, rax
        mov [rbx], eax
        report64
        mov rax, cr0
        or eax, 0x10000
        mov cr0, rax
        try64 smap-fetch
        stac
        mov byte ptr [rbx], 0xc3
        clac
        call rbx
        report64
        try64 smap-popf
        pushfq
        or dword ptr [rsp], 0x40000
        popfq
        mov eax, [rbx]
        report64
        try64 smap-popf-closed
        pushfq
        and dword ptr [rsp], 0xfffbffff
        popfq
        mov eax, [rbx]
        report64
        page 3
        try64 smap-supervisor-page
        mov [rbx], eax
        mov eax, [rbx]
        report64
        page 7
        # the tables of the processor itself, even with AC
        stac
        mov rax, [gdt + 0x10]
        mov [rbx + 8], rax
        clac
        mov eax, 0x50
        lldt ax
        try64 smap-descriptor
        mov eax, 0x0c
        mov fs, eax
        report64
        try64 smap-descriptor-open
        stac
        mov eax, 0x0c
        mov fs, eax
        report64
        clac
        xor eax, eax
        lldt ax
        user smap-user, user_access
        user smap-user-alignment-flag, user_access, 0x40202
        user user-stac, user_stac
        user user-clac, user_clac
        cr4_clear 0x200000
        try64 smap-off-again
        mov eax, [rbx]
        report64
        # a frame pushed by an exception at level 0 lies on the stack of level 0 wherever that is
        cr4_set 0x200000
        try64 smap-frame
        lea rsp, [rbx + 0x800]
        ud2
        report64
        mov rax, [fault_address]
        value64 smap-frame-cr2
        mov byte ptr [idt + 14 * 16 + 4], 0
        mov byte ptr [idt + 8 * 16 + 4], 0
        cr4_clear 0x200000

# ---- UMIP
        .macro umip name
        user \name-sgdt, user_sgdt
        user \name-sidt, user_sidt
        user \name-sldt, user_sldt
        user \name-str, user_str
        user \name-smsw, user_smsw
        .endm
        umip umip-off
        cr4_set 0x800
        umip umip
        try64 umip-supervisor
        sgdt [line]
        sidt [line]
        sldt eax
        str eax
        smsw eax
        report64
        cr4_clear 0x800

# ---- PCID
        mov eax, 1
        cpuid
        mov rbx, WINDOW
        bt ecx, 17
        jnc no_pcid                             # QEMU's TCG has none
        try64 pcid-off-cr3-bit-63
        mov rax, cr3
        bts rax, 63
        mov cr3, rax
        report64
        mov eax, PAGES + 0x18
        mov cr3, rax
        try64 pcid-on-with-cr3-bits
        cr4_set 0x20000
        report64
        mov eax, PAGES
        mov cr3, rax
        try64 pcid-on
        cr4_set 0x20000
        report64
        try64 pcid-switch
        mov eax, PAGES + 0x123
        mov cr3, rax
        mov eax, PAGES + 0x456
        bts rax, 63
        mov cr3, rax
        report64
        mov rax, cr3
        value64 pcid-cr3
        try64 pcid-cr3-bit-62
        bts rax, 62
        mov cr3, rax
        report64
        mov eax, PAGES + 0x123
        mov cr3, rax
        # a translation changes without INVLPG, then with INVPCID
        .macro change
        page 3
        mov dword ptr [rbx], 0x11111111
        page 3, 0x181000
        mov dword ptr [rbx], 0x22222222
        page 3
        mov eax, [rbx]
        mov dword ptr [TABLE], 0x181003
        .endm
        .macro invalidate name, kind, first, second=0
        try64 \name
        mov ecx, \kind
        mov rax, \first
        mov [descriptor], rax
        mov rax, \second
        mov [descriptor + 8], rax
        invpcid rcx, [descriptor]
        report64
        .endm
        change
        invalidate invpcid-address, 0, 0x123, WINDOW
        mov eax, [rbx]
        value64 invpcid-address-value
        change
        invalidate invpcid-context, 1, 0x123
        mov eax, [rbx]
        value64 invpcid-context-value
        change
        invalidate invpcid-all-and-global, 2, 0
        mov eax, [rbx]
        value64 invpcid-all-and-global-value
        change
        invalidate invpcid-all, 3, 0
        mov eax, [rbx]
        value64 invpcid-all-value
        invalidate invpcid-kind, 4, 0
        invalidate invpcid-reserved, 1, 0x1000
        invalidate invpcid-non-canonical, 0, 1, 0x0000800000000000
        invalidate invpcid-non-canonical-unused, 1, 1, 0x0000800000000000
        user invpcid-user, user_invpcid
        mov eax, PAGES
        mov cr3, rax
        try64 pcid-off
        cr4_clear 0x20000
        report64
        invalidate invpcid-off, 0, 0, WINDOW
        invalidate invpcid-off-other-context, 0, 1, WINDOW
        invalidate invpcid-off-all, 2, 0

no_pcid:
# ---- locked accesses: within 8 bytes, across them, across cache lines and pages
        .macro locked name, offset
        mov qword ptr [line + 56], -1
        mov qword ptr [line + 64], 0
        mov qword ptr [line], -1
        mov qword ptr [line + 8], 0
        try64 \name
        mov eax, 3
        lock xadd [line + \offset], eax
        lock add word ptr [line + \offset + 1], 0x102
        lock inc qword ptr [line + \offset]
        lock cmpxchg [line + \offset], edx
        report64
        value64 \name-found
        mov rax, [line + \offset]
        value64 \name-value
        .endm
        mov edx, 0x12345678
        locked locked-aligned, 0
        locked locked-unaligned, 2
        locked locked-across-8, 6
        locked locked-across-line, 60
        mov dword ptr [TABLE], 0x180003
        mov dword ptr [TABLE + 8], 0x182003
        invlpg [rbx]
        invlpg [rbx + 0x1000]
        mov qword ptr [rbx + 0xff8], -1
        mov qword ptr [rbx + 0x1000], 0
        try64 locked-across-page
        mov eax, 3
        lock xadd [rbx + 0xffe], eax
        lock sub qword ptr [rbx + 0xffb], 1
        xchg [rbx + 0xffd], edx
        report64
        mov rax, [rbx + 0xffc]
        value64 locked-across-page-value
        mov dword ptr [TABLE + 8], 0x182001
        invlpg [rbx + 0x1000]
        try64 locked-across-page-read-only
        xor eax, eax
        mov ecx, 77
        lock xadd [rbx + 0xffe], ecx
        report64
        mov rax, [fault_address]
        value64 locked-across-page-cr2
        mov rax, [rbx + 0xffc]
        value64 locked-across-page-kept
        mov rax, [flags]
        and eax, 0x8d5
        value64 locked-fault-flags
        mov eax, ecx
        value64 locked-fault-register
        # 16 bytes
        mov dword ptr [TABLE], 0x180003
        invlpg [rbx]
        mov qword ptr [rbx], 1
        mov qword ptr [rbx + 8], 2
        .macro sixteen name, prefix, low, high, address
        try64 \name
        mov eax, \low
        mov edx, \high
        push rbx
        mov ecx, 4
        mov ebx, 3
        \prefix cmpxchg16b [\address]
        setz cl
        pop rbx
        report64
        mov [line], rax
        movzx eax, cl
        value64 \name-equal
        mov rax, [line]
        value64 \name-low
        mov rax, rdx
        value64 \name-high
        .endm
        sixteen wide-different, lock, 1, 3, WINDOW
        sixteen wide-equal, lock, 1, 2, WINDOW
        mov rax, [rbx]
        value64 wide-value-low
        mov rax, [rbx + 8]
        value64 wide-value-high
        sixteen wide-unlocked, , 3, 4, WINDOW
        sixteen wide-misaligned, lock, 3, 4, WINDOW + 8
        mov rbx, WINDOW
        page 1
        sixteen wide-read-only, lock, 3, 5, WINDOW
        mov rbx, WINDOW
        try64 lock-on-register
        .byte 0xf0, 0xff, 0xc0                  # lock inc eax
        report64
        try64 lock-on-load
        .byte 0xf0, 0x8b, 0x03                  # lock mov eax, [rbx]
        report64

# ---- breakpoints on locked accesses
        .macro watched name, length=3, offset=0
        xor eax, eax
        mov dr6, rax
        mov eax, offset line + \offset
        mov dr0, rax
        mov eax, 0x10402 | \length << 18        # write, local
        mov dr7, rax
        try64 \name
        .endm
        .macro unwatch name
        report64
        mov eax, 0x400
        mov dr7, rax
        mov rax, dr6
        value64 \name-dr6
        .endm
        watched break-locked
        lock inc dword ptr [line]
        nop
        unwatch break-locked
        watched break-exchange
        xchg [line], eax
        nop
        unwatch break-exchange
        watched break-locked-elsewhere
        lock inc dword ptr [line + 4]
        nop
        unwatch break-locked-elsewhere
        watched break-locked-across-8, 3, 8
        lock inc qword ptr [line + 4]
        nop
        unwatch break-locked-across-8
        watched break-read-modify-write
        inc dword ptr [line]
        nop
        unwatch break-read-modify-write
        watched break-wide, 3, 12
        xor eax, eax
        xor edx, edx
        lock cmpxchg16b [line]
        nop
        unwatch break-wide
        mov rbx, WINDOW
        jmp exit64

user_access: mov eax, [rbx]
        mov [rbx], eax
        int 0x30
user_stac: stac
user_clac: clac
user_sgdt: sgdt [rsp - 32]
        int 0x30
user_sidt: sidt [rsp - 32]
        int 0x30
user_sldt: sldt eax
        int 0x30
user_str: str [rsp - 32]
        int 0x30
user_smsw: smsw eax
        int 0x30
user_invpcid: invpcid rcx, [rsp]
