# A 32-bit Linux program for HostProgramsTest: does what 64-bit programs cannot (decimal arithmetic, PUSHA, BOUND, far
# pointers, segments of its own), computes with the x87 and SSE2, takes signals, makes a child, and calls the system by INT 0x80
# and as the kernel's own page does (SYSCALL or SYSENTER). Prints one sum for each.
        .intel_syntax noprefix
        .text
        .globl _start

        .macro sum name
        mov esi, offset 9f
        call print
        .section .rodata
9:      .asciz "P:i386 \name "
        .text
        .endm

# Adds eax to the sum in ebp
mix:    rol ebp, 5
        xor ebp, eax
        imul ebp, ebp, 0x01000193
        ret

# esi name, ebp value
print:  pushad
        mov ecx, esi
        xor edx, edx
1:      cmp byte ptr [ecx + edx], 0
        je 2f
        inc edx
        jmp 1b
2:      mov ebx, 1
        mov eax, 4
        int 0x80
        mov edi, offset digits
        mov ecx, 8
3:      rol ebp, 4
        mov eax, ebp
        and eax, 15
        mov al, hex[eax]
        stosb
        loop 3b
        mov eax, 4
        mov ebx, 1
        mov ecx, offset digits
        mov edx, 9
        int 0x80
        popad
        mov ebp, 0x811c9dc5
        ret

_start: cld
        mov ebp, 0x811c9dc5
        mov [stack], esp

# ---- integers
        mov edi, 20000
        mov eax, 12345
1:      mov ecx, 1103515245
        mul ecx
        add eax, 12345
        adc edx, edi
        mov ebx, eax
        push eax
        call mix
        mov eax, ebx
        aam 10
        call mix
        mov eax, ebx
        and eax, 0xffff09
        cmp al, al                              # the carries, which AND leaves undefined
        daa
        mov ecx, eax
        pushfd
        pop eax
        and eax, 0x11
        call mix
        mov eax, ecx
        call mix
        mov eax, ebx
        and eax, 0x0f0f
        cmp al, al
        aaa
        call mix
        mov eax, edx
        shld eax, ebx, 7
        sbb eax, edi
        call mix
        mov eax, ebx
        mov edx, edi
        div dword ptr [seventh]
        call mix
        mov eax, edx
        call mix
        pop eax
        dec edi
        jnz 1b
        sum integers

# ---- all registers at once, frames, bounds, tables
        mov ecx, 3000
2:      mov eax, ecx
        mov edx, 0x89abcdef
        pushad
        xor eax, eax
        mov ecx, eax
        popad
        mov [kept], ebp
        mov ebp, offset buffer + 64
        enter 16, 3
        mov eax, [esp + 16 + 4]                     # a frame pointer that ENTER has copied
        leave
        mov ebp, [kept]
        add eax, ecx
        bound ecx, [bounds]
        mov ebx, offset hex
        and eax, 15
        xlatb
        call mix
        loop 2b
        sum frames

# ---- strings, a page and more
        mov edi, offset buffer
        mov eax, 0x01020304
        mov ecx, 3000
3:      stosd
        add eax, 0x01030507
        loop 3b
        mov esi, offset buffer
        mov edi, offset buffer + 1
        mov ecx, 4000
        rep movsb
        mov esi, offset buffer + 8000
        mov edi, offset buffer + 8003
        mov ecx, 2000
        std
        rep movsw
        cld
        mov edi, offset buffer
        mov al, 0x44
        mov ecx, 12000
        repne scasb
        mov eax, ecx
        call mix
        mov esi, offset buffer
        mov ecx, 3000
4:      lodsd
        call mix
        loop 4b
        sum strings

# ---- segments: one of its own in the GDT, and far pointers with what there is
        mov eax, 243                            # set_thread_area
        mov ebx, offset area
        int 0x80
        mov eax, [area]
        lea eax, [eax * 8 + 3]
        mov gs, eax
        mov eax, gs:[4]
        call mix
        mov eax, ds
        mov [place + 4], ax
        les ebx, [place]
        mov eax, es:[ebx]
        call mix
        push ds
        pop es
        mov eax, 0
        mov gs, eax
        sum segments

# ---- x87: sums that need 64 bits of precision, stored whole
        fninit
        fld1
        fldz
        mov ecx, 5000
5:      mov [number], ecx
        fild dword ptr [number]
        fsqrt
        fdivr st, st(2)
        faddp
        loop 5b
        fld st
        fstp tbyte ptr [number]
        mov eax, [number]
        call mix
        mov eax, [number + 4]
        call mix
        fbstp [number]
        mov eax, [number]
        call mix
        fnstsw ax
        and eax, 0x3f
        call mix
        sum x87

# ---- SSE2
        mov ecx, 5000
        movapd xmm0, [ones]
        pxor xmm1, xmm1
6:      addpd xmm1, xmm0
        sqrtpd xmm2, xmm1
        divpd xmm0, xmm2
        mulpd xmm0, [factors]
        addpd xmm0, [ones]
        cvtpd2ps xmm3, xmm0
        pshufd xmm4, xmm3, 0x1b
        movd eax, xmm4
        pextrw edx, xmm3, 2
        add eax, edx
        call mix
        loop 6b
        sum sse2

# ---- signals: a division by nothing, an address that is not there
        .irp number, 8, 11
        mov dword ptr [action], offset handler
        mov dword ptr [action + 4], 0x44000004  # SA_SIGINFO, SA_RESTORER, SA_NODEFER
        mov dword ptr [action + 8], offset restorer
        mov eax, 174                            # rt_sigaction
        mov ebx, \number
        mov ecx, offset action
        xor edx, edx
        mov esi, 8
        int 0x80
        .endr
        xor edx, edx
        xor ecx, ecx
        mov eax, 77
        div ecx                                 # the handler goes behind it: two bytes
        call mix
        mov eax, [16]
        .byte 0x90, 0x90, 0x90
        call mix
        mov eax, [signals]
        call mix
        sum signals

# ---- a child, and its status
        mov eax, 2
        int 0x80
        test eax, eax
        jnz 7f
        mov ebx, 42
        mov eax, 1
        int 0x80
7:      mov ebx, eax
        mov eax, 7
        mov ecx, offset number
        xor edx, edx
        int 0x80
        mov eax, [number]
        call mix
        sum child

# ---- the kernel's own way in: AT_SYSINFO behind the environment
        mov esi, [stack]
        lodsd
        lea esi, [esi + eax * 4 + 4]
8:      lodsd
        test eax, eax
        jnz 8b
9:      lodsd
        mov ecx, eax
        lodsd
        jecxz 10f
        cmp ecx, 32
        jne 9b
        mov edi, eax
        mov ebp, 0x811c9dc5
        mov eax, 20                             # getpid
        int 0x80
        mov ebx, eax
        mov eax, 20
        call edi
        sub eax, ebx
        call mix
10:     sum entry
        xor ebx, ebx
        mov eax, 1
        int 0x80

handler:
        mov eax, [esp + 12]                     # the context: flags, link, stack, then registers
        mov edx, [esp + 4]
        add [signals], edx
        mov ecx, [eax + 20 + 14 * 4]            # where it happened
        cmp edx, 8
        jne 1f
        add ecx, 2
        jmp 2f
1:      add ecx, 5
2:      mov [eax + 20 + 14 * 4], ecx
        mov dword ptr [eax + 20 + 11 * 4], 0x5e55
        ret
restorer:
        mov eax, 173
        int 0x80

        .section .rodata
hex:    .ascii "0123456789abcdef"
        .align 16
ones:   .double 1.0, 1.5
factors: .double 0.75, 1.25
seventh: .long 0x77777777
bounds: .long 0, 3000
        .data
digits: .ascii "--------\n"
        .align 4
area:   .long -1, area_data, 0xfffff, 0x51      # entry, base, limit, 32-bit and in pages and useable
area_data: .long 0x1234, 0x5678
place:    .long area_data
        .word 0
        .bss
        .align 16
stack:  .skip 4
kept:   .skip 4
number: .skip 16
action: .skip 32
signals: .skip 4
buffer: .skip 12288
