# What ./torte trains its ahead-of-time cache with: a kernel that does a little of all that an operating system does while it
# starts, so that the classes behind it are in the cache and the JVM's compilers know what is frequent. Pages are entered at
# their first use, user code makes system calls, a timer interrupts, text is patched, many small functions are called a
# few times and some often. It prints a line on the serial port and turns the machine off. ./build assembles it.
#
# A flat image at 1 MiB, entered as multiboot 1 says, with at least 16 MiB of RAM.
        .intel_syntax noprefix
        .text
        .globl _start
        .code32
image:  .align 4
header: .long 0x1badb002, 0x00010000, -(0x1badb002 + 0x00010000)
        .long header, image, 0, 0, _start

        .set PAGES, 0x300000            # page map, directory pointers, two directories, a table for each 2 MiB of HEAP
        .set TABLES, PAGES + 0x4000
        .set STACK, 0x280000
        .set USER_STACK, 0x290000
        .set FRAMES, 0x400000           # what HEAP is made of
        .set HEAP, 0x40000000           # pages that are entered when they are used
        .set HEAP_PAGES, 1024
        .set APIC, 0xfee00000
        .set COM, 0x3f8
        .set ROUNDS, 150

_start: cli
        cld
        mov esp, STACK
        mov al, 0xff
        out 0x21, al
        out 0xa1, al
        mov edi, PAGES
        xor eax, eax
        mov ecx, 0x7000 / 4
        rep stosd
        mov dword ptr [PAGES], PAGES + 0x1007
        mov dword ptr [PAGES + 0x1000], PAGES + 0x2007
        mov dword ptr [PAGES + 0x1008], PAGES + 0x3007
        mov dword ptr [PAGES + 0x1018], PAGES + 0x6007
        mov dword ptr [PAGES + 0x6fb8], APIC + 0x93
        mov dword ptr [PAGES + 0x3000], TABLES + 7
        mov dword ptr [PAGES + 0x3008], TABLES + 0x1007
        mov edi, PAGES + 0x2000
        mov eax, 0x187
1:      mov [edi], eax
        add edi, 8
        add eax, 0x200000
        cmp edi, PAGES + 0x3000
        jb 1b
# interrupt gates, all to stubs of 16 bytes
        mov edi, offset idt
        mov eax, offset stubs
        mov ecx, 256
1:      mov edx, eax
        mov [edi], dx
        mov dword ptr [edi + 2], 0xee000008
        mov dword ptr [edi + 4], 0xee00
        shr edx, 16
        mov [edi + 6], dx
        add edi, 16
        add eax, 16
        loop 1b
        mov word ptr [tss + 102], 104
        mov dword ptr [tss + 4], STACK - 0x1000
        mov eax, offset tss
        mov [gdt_tss + 2], ax
        shr eax, 16
        mov [gdt_tss + 4], al
        lgdt [gdt_pointer]
        lidt [idt_pointer]
# 32-bit code, which is interpreted: what a kernel does that unpacks itself
        mov ebp, ROUNDS
1:      call unpack
        dec ebp
        jnz 1b
        mov eax, 0x6a0                  # PAE, global pages, SSE
        mov cr4, eax
        mov eax, PAGES
        mov cr3, eax
        mov ecx, 0xc0000080
        rdmsr
        or eax, 0x901                   # system calls, long mode, no-execute
        wrmsr
        mov eax, 0x80010033
        mov cr0, eax
        ljmp 8, offset wide

# Matches and literals into 1 KiB, and a checksum of it
unpack: mov esi, offset text
        mov edi, FRAMES
        mov ecx, text_end - text
        xor ebx, ebx
1:      movzx eax, byte ptr [esi]
        inc esi
        test al, 3
        jz 3f
        mov [edi], al
        inc edi
        add ebx, eax
        rol ebx, 3
        cmp al, 'e'
        ja 2f
        sub ebx, 7
2:      loop 1b
        jmp 5f
3:      mov edx, eax
        and edx, 15
        inc edx
        push esi
        mov esi, edi
        sub esi, edx
4:      mov al, [esi]
        mov [edi], al
        inc esi
        inc edi
        dec edx
        jne 4b
        pop esi
        loop 1b
5:      mov ecx, edi
        sub ecx, FRAMES
        mov esi, FRAMES
        xor eax, eax
        not eax
6:      xor al, [esi]
        inc esi
        mov edx, 8
7:      shr eax, 1
        jnc 8f
        xor eax, 0xedb88320
8:      dec edx
        jnz 7b
        loop 6b
        ret

        .code64
wide:   mov ax, 0x10
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, STACK
        mov eax, 0x28
        ltr ax
        mov ecx, 0xc0000081             # STAR, LSTAR, FMASK
        xor eax, eax
        mov edx, 0x00130008
        wrmsr
        inc ecx
        mov eax, offset system_call
        xor edx, edx
        wrmsr
        mov ecx, 0xc0000084
        mov eax, 0x200
        wrmsr
        mov ecx, 0xc0000102             # the processor's own data
        mov eax, offset own
        xor edx, edx
        wrmsr
        mov edi, APIC
        mov dword ptr [rdi + 0xf0], 0x1ff
        mov dword ptr [rdi + 0x3e0], 11
        mov dword ptr [rdi + 0x320], 0x20020    # periodic
        mov dword ptr [rdi + 0x380], 1000000
        sti
        mov r15d, ROUNDS
round:  call every
        call heap
        call patch
        call blocks
        call vectors
        call processor
        mov eax, r15d
        and eax, 15
        jnz 1f
        call letter
        hlt                             # until the timer
1:      call user
        dec r15d
        jnz round
        mov esi, offset message
1:      mov al, [rsi]
        inc rsi
        test al, al
        jz 2f
        call print
        jmp 1b
2:
off:    mov dx, 0x404
        mov ax, 0x3400                  # sleep type 5, enable: off
        out dx, ax
        cli
        hlt

letter: mov al, '.'
print:  push rdx
        push rax
        mov dx, COM + 5
1:      in al, dx
        test al, 0x20
        jz 1b
        pop rax
        mov dx, COM
        out dx, al
        pop rdx
        ret

# ---- instructions of all kinds in many small functions, some of which are called often

        .macro of_condition jump, set, move
        .p2align 4
        cmp rbx, rcx
        \jump 1f
        add rbx, 3
        lea rcx, [rcx + rcx * 2 + 1]
        xor rdx, rbx
1:      test edx, ebx
        \set al
        movzx eax, al
        \move rsi, rcx
        cmp ecx, 77
        \jump 2f
        call function_\jump
2:      add esi, eax
        .text 1
function_\jump:
        push rbp
        mov rbp, rsp
        push r12
        push rbx
        mov r12, rdi
        mov ebx, esi
        sub rsp, 24
        mov [rsp + 8], rcx
        mov [rbp - 40], edx
        and ebx, 0x3f
1:      shr r12, 3
        adc edx, 5
        dec ebx
        jg 1b
        or rdx, [rsp + 8]
        mov eax, [rbp - 40]
        add rsp, 24
        pop rbx
        pop r12
        pop rbp
        ret
        .text 0
        .endm

every:  mov rbx, r15
        mov ecx, 31
        mov edx, 0x1234567
        mov edi, 99
        mov esi, 5
        of_condition jo, seto, cmovo
        of_condition jno, setno, cmovno
        of_condition jb, setb, cmovb
        of_condition jae, setae, cmovae
        of_condition je, sete, cmove
        of_condition jne, setne, cmovne
        of_condition jbe, setbe, cmovbe
        of_condition ja, seta, cmova
        of_condition js, sets, cmovs
        of_condition jns, setns, cmovns
        of_condition jp, setp, cmovp
        of_condition jnp, setnp, cmovnp
        of_condition jl, setl, cmovl
        of_condition jge, setge, cmovge
        of_condition jle, setle, cmovle
        of_condition jg, setg, cmovg
        mov r8d, 40
1:      mov eax, r8d
        mul rbx
        imul rdx, rcx, 17
        imul ebx, edx
        bsr r9, rbx
        bsf r10d, ecx
        bt rbx, 5
        bts rcx, 7
        rol ecx, 9
        ror rbx, cl
        shld rdx, rbx, 13
        sar r9, 2
        shl r10d, 3
        movsxd r11, r10d
        movsx r11d, bl
        movzx r10d, cx
        bswap r9
        not r11
        neg rbx
        xchg rbx, rdx
        sbb rcx, rcx
        mov r11, 0x123456789abcdef
        xor edx, edx
        mov ecx, 7
        div ecx
        cqo
        mov ecx, 9
        idiv rcx
        mov [scratch], rax
        add [scratch + 8], rcx
        inc dword ptr [scratch + 16]
        dec qword ptr [scratch + 24]
        or byte ptr [scratch + 3], 8
        and word ptr [scratch + 4], 0x7fff
        lock xadd [scratch + 32], rax
        lock inc dword ptr [scratch + 40]
        mov rax, [scratch]
        lock cmpxchg [scratch], rbx
        lock bts dword ptr [scratch + 48], 3
        movsx rdx, word ptr [scratch + 4]
        movsxd r9, dword ptr [scratch + 8]
        movzx edx, byte ptr [scratch + 1]
        mov rax, gs:[8]
        inc dword ptr gs:[16]
        pushfq
        cli
        popfq
        popcnt rbx, rdx
        dec r8d
        jnz 1b
# a call through a table, as drivers are called
        mov r8d, 32
2:      mov eax, r8d
        and eax, 3
        call [table + rax * 8]
        dec r8d
        jnz 2b
        ret
first:  lea rax, [rdi + rsi * 4]
        ret
second: movzx eax, byte ptr [text + rsi]
        jmp first
third:  cmp rdi, rsi
        cmova rax, rdi
        ret
fourth: push rdi
        call first
        pop rdi
        ret

# Recursion, a sort, a list that is walked, numbers into text
heap:   mov edi, 12
        call fibonacci
        mov rbx, r15
        shl rbx, 14
        and ebx, (HEAP_PAGES << 12) - 1
        add rbx, HEAP                   # four pages that may be new
        mov ecx, 512
        mov eax, 12345
1:      imul eax, eax, 1103515245
        add eax, 12345
        mov [rbx + rcx * 4 - 4], eax
        dec ecx
        jnz 1b
        mov esi, 1                      # the first 64 in order
2:      mov eax, [rbx + rsi * 4]
        mov edi, esi
3:      cmp [rbx + rdi * 4 - 4], eax
        jbe 4f
        mov edx, [rbx + rdi * 4 - 4]
        mov [rbx + rdi * 4], edx
        dec edi
        jnz 3b
4:      mov [rbx + rdi * 4], eax
        inc esi
        cmp esi, 64
        jb 2b
        lea rdi, [rbx + 0x1000]         # a list over four pages
        mov ecx, 100
5:      lea rax, [rdi + 120]
        mov [rdi], rax
        mov [rdi + 8], ecx
        mov rdi, rax
        dec ecx
        jnz 5b
        mov [rdi], rcx
        lea rdi, [rbx + 0x1000]
        xor eax, eax
6:      mov rdi, [rdi]
        add eax, [rdi + 8]
        test rdi, rdi
        jz 7f
        cmp qword ptr [rdi], 0
        jne 6b
7:      mov edi, offset scratch + 100
        mov ecx, 10
8:      xor edx, edx
        div ecx
        add dl, '0'
        dec rdi
        mov [rdi], dl
        test eax, eax
        jnz 8b
        ret

fibonacci:
        cmp edi, 2
        jb 1f
        push rbx
        push rdi
        dec edi
        call fibonacci
        mov ebx, eax
        pop rdi
        sub edi, 2
        call fibonacci
        add eax, ebx
        pop rbx
        ret
1:      mov eax, edi
        ret

# A function that is written anew every time, as kernels switch their static keys
patch:  mov edi, offset patched
        mov eax, r15d
        mov [rdi + 1], eax
        push rax
        mov eax, offset 1f
        push 0x10
        lea rcx, [rsp + 8]
        push rcx
        pushfq
        push 8
        push rax
        iretq                           # what makes it seen
1:      pop rax
        call patched
        ret
        .p2align 6
patched:
        mov eax, 0
        add eax, 5
        ret
        .p2align 6

# Memory in one piece, and text
blocks: mov rbx, HEAP + 0x1000
        lea rdi, [rbx]
        mov ecx, 512
        xor eax, eax
        rep stosq
        lea rsi, [rbx]
        lea rdi, [rbx + 0x2000]
        mov ecx, 512
        rep movsq
        mov esi, offset text
        lea rdi, [rbx + 0x2ff0]         # across a page
        mov ecx, text_end - text
        rep movsb
        mov esi, offset text
        lea rdi, [rbx + 0x2ff0]
        mov ecx, text_end - text
        repe cmpsb
        mov edi, offset text
        mov ecx, 1000
        mov al, 0
        repne scasb
        mov esi, offset text
        xor ecx, ecx
1:      mov al, [rsi + rcx]
        test al, al
        je 2f
        cmp al, ' '
        je 3f
        or al, 0x20
3:      mov [rbx + rcx], al
        inc rcx
        jmp 1b
2:      lea rsi, [rbx]
        xor eax, eax
4:      movzx edx, byte ptr [rsi]
        inc rsi
        imul eax, eax, 31
        add eax, edx
        loop 4b
        mov esi, offset text
        mov edi, offset text
        mov ecx, 9
5:      mov rax, [rsi + rcx * 8]
        xor rax, [rdi + rcx * 8]
        jne 6f
        dec ecx
        jns 5b
6:      ret

vectors:
        mov eax, 3
        cvtsi2sd xmm0, eax
        movsd xmm1, xmm0
        mov ecx, 64
1:      mulsd xmm0, xmm1
        addsd xmm0, xmm1
        divsd xmm0, xmm1
        sqrtsd xmm0, xmm0
        ucomisd xmm0, xmm1
        ja 2f
        addsd xmm1, xmm1
2:      movdqu xmm2, [text + 1]
        pxor xmm3, xmm2
        paddd xmm3, xmm2
        pshufd xmm4, xmm3, 0x1b
        pcmpeqb xmm4, xmm2
        pmovmskb eax, xmm4
        movdqa [scratch + 64], xmm3
        cvttsd2si eax, xmm0
        dec ecx
        jnz 1b
        fninit
        fld1
        fadd st(0), st(0)
        fstp qword ptr [scratch]
        fxsave [saved]
        fxrstor [saved]
        ret

# What only kernels do
processor:
        push rbx
        xor eax, eax
        cpuid
        mov eax, 7
        xor ecx, ecx
        cpuid
        pop rbx
        rdtsc
        mov ecx, 0xc0000080
        rdmsr
        wrmsr
        mov rax, cr3
        mov cr3, rax
        mov rax, cr0
        mov cr0, rax
        invlpg [HEAP]
        pause
        swapgs
        swapgs
        mov ax, ds
        mov ds, ax
        mov edi, APIC
        mov eax, [rdi + 0x390]
        in al, 0x61
        mfence
        clts
        int 0x80
        ret

# Level 3: some work between system calls, and an exception now and then
user:   mov [own + 32], rsp
        push 0x1b
        push USER_STACK
        push 0x202
        push 0x23
        push offset user_code
        iretq
back:   mov rsp, [own + 32]
        ret
user_code:
        mov r12d, 20
1:      mov r13d, 30
        mov ebx, offset text
2:      movzx eax, byte ptr [rbx]
        inc rbx
        add r14d, eax
        imul r14d, r14d, 33
        push r14
        call user_function
        pop rax
        dec r13d
        jnz 2b
        mov eax, r12d
        syscall
        dec r12d
        jnz 1b
        mov rax, HEAP
        mov edx, r15d
        shl edx, 13
        and edx, (HEAP_PAGES << 12) - 1
        mov [rax + rdx], rdx
        ud2
user_function:
        mov eax, [rsp + 8]
        cmp eax, 1000
        jg 1f
        lea eax, [rax + rax * 4]
        ret
1:      shr eax, 2
        ret

system_call:
        swapgs
        mov gs:[24], rsp
        mov rsp, gs:[32]
        push rcx
        push r11
        push rdi
        push rsi
        mov rdi, rax
        and eax, 3
        call [table + rax * 8]
        pop rsi
        pop rdi
        pop r11
        pop rcx
        mov rsp, gs:[24]
        swapgs
        sysretq

# ---- exceptions and interrupts

        .p2align 4
stubs:
        .set vector, 0
        .rept 256
        .p2align 4
        .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17)
        push 0
        .endif
        push vector
        jmp interrupted
        .set vector, vector + 1
        .endr
interrupted:
        push rax
        push rcx
        push rdx
        push rdi
        mov eax, [rsp + 32]
        cmp eax, 14
        je page_fault
        cmp eax, 6
        je leave_user
        cmp eax, 0x20
        jb wrong
        jne 1f
        inc dword ptr [own + 48]
        mov edi, APIC
        mov dword ptr [rdi + 0xb0], 0
1:      pop rdi
        pop rdx
        pop rcx
        pop rax
        add rsp, 16
        iretq
leave_user:
        mov qword ptr [rsp + 48], offset back
        mov qword ptr [rsp + 56], 8
        mov rax, [own + 32]
        mov [rsp + 72], rax
        mov qword ptr [rsp + 80], 0x10
        jmp 1b
page_fault:
        mov rax, cr2
        mov rdx, HEAP
        sub rax, rdx
        cmp rax, HEAP_PAGES << 12
        jae wrong
        shr rax, 12
        mov rcx, rax
        shl rcx, 12
        add rcx, FRAMES
        push rcx
        mov rdi, rcx
        mov ecx, 512
        mov rdx, rax
        xor eax, eax
        rep stosq                       # as every page is cleared
        pop rcx
        or rcx, 7
        mov [TABLES + rdx * 8], rcx
        jmp 1b
wrong:  add al, '@'                     # which exception it was
        call print
        mov al, '!'
        call print
        jmp off

        .data
        .p2align 4
gdt:    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
        .quad 0x00cff3000000ffff, 0x00affb000000ffff
gdt_tss:
        .quad 0x0000890000000067, 0
gdt_pointer:
        .word gdt_pointer - gdt - 1
        .long gdt
idt_pointer:
        .word 0xfff
        .quad idt
        .p2align 3
table:  .quad first, second, third, fourth
message:
        .asciz " trained\n"
text:   .ascii "Interrupts are disabled at reset, and the first thing that a kernel does is to leave them so. "
        .ascii "Then it looks at what the boot loader has left in memory, sets up its own tables, and enters its "
        .ascii "own address space; everything else is details, of which there are many."
text_end:
        .byte 0
        .bss
        .p2align 12
idt:    .skip 4096
tss:    .skip 128
own:    .skip 64
        .p2align 6
scratch:
        .skip 192
        .p2align 6
saved:  .skip 512
