# Paging outside long mode: 32-bit with 4 KiB and 4 MiB pages, PAE with 4 KiB and 2 MiB pages, rights, accessed and dirty
# bits, reserved bits, task switches that change CR3.
        .include "framework.inc"

        .set WINDOW, 0x40000000                 # the page whose entry the tests change
        .set LARGE, 0x50000000                  # a large page
        .set TABLE, PAGES + 0x1000              # the page table of the window, 32-bit
        .set OTHER, PAGES + 0x8000              # another address space
        .set POINTERS, PAGES + 0x2000           # PAE: directory pointers, directories and the table of the window
        .set FIRST, PAGES + 0x3000
        .set SECOND, PAGES + 0x4000
        .set TABLE64, PAGES + 0x5000
        .data
        .align 8
gdt:    .quad 0
        segment 0, 0xfffff, 0xc09b              # 08 code, level 0
        segment 0, 0xfffff, 0xc093              # 10 data, level 0
        segment 0, 0xfffff, 0xc0fb              # 18 code, level 3
        segment 0, 0xfffff, 0xc0f3              # 20 data, level 3
tss_d:  segment 0, 0x67, 0x0089                 # 28 task state
tss2_d: segment 0, 0x67, 0x0089                 # 30 another, with CR3 of its own
gdt_end:
gdt_pointer: .word gdt_end - gdt - 1
        .long gdt
        .bss
        .align 128
tss:    .skip 128
tss2:   .skip 128
seen:   .skip 8
        .text

        .macro describe descriptor, base
        mov eax, offset \base
        mov [\descriptor + 2], ax
        shr eax, 16
        mov [\descriptor + 4], al
        mov [\descriptor + 7], ah
        .endm
        .macro user name, entry
        try \name
        mov eax, 0x23
        mov ds, eax
        push 0x23
        push RING3_STACK
        push 0x202
        push 0x1b
        push offset \entry
        iretd
        report
        mov esp, STACK
        .endm
        .macro fault_address name
        mov eax, cr2
        value \name-cr2
        .endm
        .macro set register, bits
        mov eax, \register
        or eax, \bits
        mov \register, eax
        .endm
        .macro clear register, bits
        mov eax, \register
        and eax, ~(\bits)
        mov \register, eax
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
        call setup_idt
        or byte ptr [idt + 0x30 * 8 + 5], 0x60
        describe tss_d, tss
        describe tss2_d, tss2
        mov dword ptr [tss + 4], RING0_STACK
        mov dword ptr [tss + 8], 0x10
        mov word ptr [tss + 102], 0x68
        mov eax, 0x28
        ltr ax
        mov edi, PAGES
        xor eax, eax
        mov ecx, 0xa000 / 4
        rep stosd

# ---- 32-bit paging: 8 MiB one to one, open to level 3, in 4 MiB pages
        mov dword ptr [PAGES], 0x87
        mov dword ptr [PAGES + 4], 0x400083
        mov dword ptr [PAGES + (WINDOW >> 20)], TABLE + 7
        mov dword ptr [PAGES + (LARGE >> 20)], 0x400083
        set cr4, 0x10
        mov eax, PAGES
        mov cr3, eax
        set cr0, 0x80010000
        .macro page flags, address=0x180000
        mov dword ptr [TABLE], \address + \flags
        invlpg [WINDOW]
        .endm
        mov ebx, WINDOW
        page 0
        try two-level-absent-load
        mov eax, [ebx + 0x123]
        report
        fault_address two-level-absent-load
        try two-level-absent-store
        mov [ebx], eax
        report
        try two-level-absent-fetch
        jmp ebx
        report
        try two-level-absent-directory
        mov eax, [0x60000000]
        report
        fault_address two-level-absent-directory
        page 1
        try two-level-load
        mov eax, [ebx]
        report
        mov eax, [TABLE]
        value two-level-accessed
        mov eax, [PAGES + (WINDOW >> 20)]
        value two-level-directory-accessed
        try two-level-read-only-store
        mov [ebx], eax
        report
        try two-level-write-protect-off
        clear cr0, 0x10000
        mov [ebx], eax
        report
        set cr0, 0x10000
        mov eax, [TABLE]
        value two-level-dirty
        page 3
        try two-level-store
        mov byte ptr [ebx], 0xc3
        call ebx
        report
        page 3
        user two-level-user-load-supervisor, user_load
        user two-level-user-store-supervisor, user_store
        user two-level-user-fetch-supervisor, user_fetch
        page 5
        user two-level-user-load, user_load
        user two-level-user-store-read-only, user_store
        page 7
        user two-level-user-store, user_store
        page 0
        user two-level-user-absent, user_load
        page 7
        and dword ptr [PAGES + (WINDOW >> 20)], ~4
        invlpg [ebx]
        user two-level-user-directory-supervisor, user_load
        or dword ptr [PAGES + (WINDOW >> 20)], 4
        and dword ptr [PAGES + (WINDOW >> 20)], ~2
        invlpg [ebx]
        try two-level-directory-read-only
        mov [ebx], eax
        report
        or dword ptr [PAGES + (WINDOW >> 20)], 2
        invlpg [ebx]
        mov byte ptr [ebx], 0xc3
        # the code itself lies in a page of level 3 now; its page becomes one of level 0
        .macro guarded name, bit
        mov dword ptr [PAGES], 0x83
        mov eax, cr3
        mov cr3, eax
        set cr4, \bit
        try \name
        .endm
        .macro unguarded bit
        report
        clear cr4, \bit
        mov dword ptr [PAGES], 0x87
        mov eax, cr3
        mov cr3, eax
        .endm
        guarded two-level-smep, 0x100000
        call ebx
        unguarded 0x100000
        mov esp, STACK
        guarded two-level-smap, 0x200000
        mov eax, [ebx]
        unguarded 0x200000
        try two-level-large-load
        mov eax, [LARGE + 0x12340]
        report
        mov eax, [PAGES + (LARGE >> 20)]
        value two-level-large-accessed
        try two-level-large-store
        mov dword ptr [LARGE + 0x123450], 0x600df00d
        mov eax, [0x523450]
        report
        value two-level-large-value
        mov eax, [PAGES + (LARGE >> 20)]
        value two-level-large-dirty
        mov dword ptr [PAGES + (LARGE >> 20)], 0x600083
        invlpg [LARGE]
        try two-level-large-reserved
        mov eax, [LARGE]
        report
        # a page that two accesses cross
        mov dword ptr [TABLE], 0x180003
        mov dword ptr [TABLE + 4], 0x181001
        invlpg [ebx]
        invlpg [ebx + 0x1000]
        mov dword ptr [ebx + 0xffc], 0x11223344
        try two-level-crossing-store
        mov dword ptr [ebx + 0xffe], -1
        report
        fault_address two-level-crossing-store
        mov eax, [ebx + 0xffc]
        value two-level-crossing-kept
        # a task with an address space of its own
        mov esi, PAGES
        mov edi, OTHER
        mov ecx, 1024
        rep movsd
        mov dword ptr [OTHER + (WINDOW >> 20)], PAGES + 0x9000 + 7
        mov dword ptr [PAGES + 0x9000], 0x182003
        mov dword ptr [0x182000], 0x77777777
        mov dword ptr [0x180000], 0x55555555
        mov dword ptr [tss + 28], PAGES
        mov dword ptr [tss2 + 28], OTHER
        mov dword ptr [tss2 + 32], offset task2
        mov dword ptr [tss2 + 36], 2
        mov dword ptr [tss2 + 56], 0x230000
        mov dword ptr [tss2 + 72], 0x10
        mov dword ptr [tss2 + 76], 0x08
        mov dword ptr [tss2 + 80], 0x10
        mov dword ptr [tss2 + 84], 0x10
        mov word ptr [tss2 + 102], 0x68
        mov eax, [ebx]
        value task-window-before
        try task-call
        call 0x30:0
        report
        mov eax, [seen]
        value task-window-inside
        mov eax, [seen + 4]
        value task-cr3-inside
        mov eax, [ebx]
        value task-window-after
        mov eax, cr3
        value task-cr3-after
        clts

# ---- PAE paging
        clear cr0, 0x80000000
        set cr4, 0x20
        mov dword ptr [POINTERS], FIRST + 1
        mov dword ptr [POINTERS + 8], SECOND + 1
        mov dword ptr [FIRST], 0x87
        mov dword ptr [FIRST + 8], 0x200087
        mov dword ptr [FIRST + 16], 0x400083
        mov dword ptr [SECOND], TABLE64 + 7
        mov dword ptr [SECOND + ((LARGE >> 21) & 511) * 8], 0x400083
        mov dword ptr [TABLE64], 0
        mov eax, POINTERS
        mov cr3, eax
        set cr0, 0x80010000
        .macro page64 flags, high=0, address=0x180000
        mov dword ptr [TABLE64], \address + \flags
        mov dword ptr [TABLE64 + 4], \high
        invlpg [WINDOW]
        .endm
        try pae-absent-pointer
        mov eax, [0xc0000000]
        report
        try pae-absent-store
        mov [ebx], eax
        report
        page64 1
        try pae-load
        mov eax, [ebx]
        report
        mov eax, [TABLE64]
        value pae-accessed
        try pae-read-only-store
        mov [ebx], eax
        report
        page64 3
        try pae-store
        mov byte ptr [ebx], 0xc3
        report
        mov eax, [TABLE64]
        value pae-dirty
        page64 3, 0x80000000
        try pae-no-execute-off
        mov eax, [ebx]
        report
        mov ecx, 0xc0000080
        rdmsr
        or eax, 0x800
        wrmsr
        try pae-no-execute-load
        mov eax, [ebx]
        report
        try pae-no-execute
        call ebx
        report
        mov esp, STACK
        page64 7, 0x80000000
        user pae-user-no-execute, user_fetch
        user pae-user-load, user_load
        page64 3
        user pae-user-load-supervisor, user_load
        user pae-user-fetch-supervisor, user_fetch
        page64 3, 0x40000000
        try pae-reserved
        mov eax, [ebx]
        report
        page64 3, 0x10000
        try pae-beyond-width
        mov eax, [ebx]
        report
        page64 3
        or dword ptr [SECOND + 4], 0x80000000
        mov eax, cr3
        mov cr3, eax
        try pae-directory-no-execute
        call ebx
        report
        mov esp, STACK
        and dword ptr [SECOND + 4], 0x7fffffff
        mov eax, cr3
        mov cr3, eax
        try pae-large-store
        mov dword ptr [LARGE + 0x12345], 0x600df00d
        mov eax, [0x412345]
        report
        value pae-large-value
        mov eax, [SECOND + ((LARGE >> 21) & 511) * 8]
        value pae-large-dirty
        mov dword ptr [SECOND + ((LARGE >> 21) & 511) * 8], 0x402083
        invlpg [LARGE]
        try pae-large-reserved
        mov eax, [LARGE]
        report
        mov dword ptr [POINTERS + 16], FIRST + 3
        try pae-pointer-reserved
        mov eax, cr3
        mov cr3, eax
        report
        mov dword ptr [POINTERS + 16], FIRST + 2
        try pae-pointer-absent-reserved
        mov eax, cr3
        mov cr3, eax
        report
        jmp exit

user_load: mov eax, [ebx]
        int 0x30
user_store: mov [ebx], eax
        int 0x30
user_fetch: jmp ebx

task2:  mov eax, [WINDOW]
        mov [seen], eax
        mov eax, cr3
        mov [seen + 4], eax
        iretd
        jmp task2
