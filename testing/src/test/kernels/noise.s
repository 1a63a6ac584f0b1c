# A hostile guest: all its processors make noise on ports, model-specific and control registers, device memory, and run
# random code in rings 0 and 3, until each has done its rounds. Assembled by hypervisor/src/test/kernels/build.
#
# A flat image at 1 MiB, entered as multiboot 1 says. The test fills in the words after the header. What noise it makes
# depends on the seed alone, as far as the guest's own state does. It ends by writing to port 0x501.
        .intel_syntax noprefix
        .code32
        .text
        .globl _start
image:
        .align 4
header: .long 0x1badb002, 0x00010000, -(0x1badb002 + 0x00010000)
        .long header, image, 0, 0, _start
seed:   .quad 1                         # at offset 32
rounds: .long 1000                      # of each processor
mask:   .long -1                        # the kinds of noise, by number in the table of actions

        .set TRAMPOLINE, 0x8000
        .set PAGES, 0x300000            # page map, directory pointers, four directories
        .set AREAS, 0x200000            # 64 KiB a processor
        .set RANDOM, 0                  # in a processor's area: the state of its generator,
        .set LEFT, 8                    # rounds to go,
        .set TSS, 0x100                 # task state,
        .set STACK, 0x4000              # top of the stack,
        .set FAULT_STACK, 0x8000        # top of the stack for exceptions,
        .set CODE, 0x209000             # and, in pages that ring 3 may use, random code
        .set DATA, 0x20a000             # and what it may write
        .set AREA_SHIFT, 16
        .set TASKS, 0x40                # offset in the descriptor table
        .set TRAMPOLINE_BYTES, 64       # at least
        .set APIC, 0xfee00000
        .set PROCESSORS, 2

_start: cli
        mov esp, AREAS + STACK
# identity map of 4 GiB in large pages, for everyone
        mov edi, PAGES
        mov dword ptr [edi], PAGES + 0x1000 + 7
        xor ecx, ecx
1:      mov eax, ecx
        shl eax, 12
        add eax, PAGES + 0x2000 + 7
        mov [edi + 0x1000 + ecx * 8], eax
        inc ecx
        cmp ecx, 4
        jb 1b
        xor ecx, ecx
2:      mov eax, ecx
        shl eax, 21
        or eax, 0x83
        cmp ecx, 2                      # image, tables and stacks are the supervisor's
        jb 1f
        or eax, 4
1:      mov [edi + 0x2000 + ecx * 8], eax
        inc ecx
        cmp ecx, 2048
        jb 2b
# interrupt gates, all to the same place, on a stack of their own
        xor ecx, ecx
3:      mov eax, offset fault
        mov edx, eax
        and eax, 0xffff
        or eax, 8 << 16
        mov [idt + ecx * 8], eax
        and edx, 0xffff0000
        or edx, 0xee01                  # every ring may call it
        mov [idt + ecx * 8 + 4], edx
        add ecx, 2
        cmp ecx, 512
        jb 3b
# the other processors
        mov esi, offset trampoline
        mov edi, TRAMPOLINE
        mov ecx, TRAMPOLINE_BYTES
        rep movsb
        mov ebx, APIC
        mov dword ptr [ebx + 0xf0], 0x1ff
        mov dword ptr [ebx + 0x300], 0xc4500
        mov dword ptr [ebx + 0x300], 0xc4600 | TRAMPOLINE >> 12
        mov dword ptr [ebx + 0x300], 0xc4600 | TRAMPOLINE >> 12

enter:  lgdt [gdt_pointer]
        mov eax, 0x620
        mov cr4, eax
        mov eax, PAGES
        mov cr3, eax
        mov ecx, 0xc0000080
        mov eax, 0x901                  # EFER: system calls, long mode, no-execute
        xor edx, edx
        wrmsr
        mov eax, 0x80010033
        mov cr0, eax
        ljmp 8, offset wide

        .code16
trampoline:
        cli
        xor ax, ax
        mov ds, ax
        lgdtd [TRAMPOLINE + short_gdt_pointer - trampoline]
        mov eax, cr0
        or eax, 1
        mov cr0, eax
        ljmpd 0x18, offset other
short_gdt_pointer:
        .word gdt_end - gdt - 1
        .long gdt
        .code32
other:  mov ax, 0x10
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, AREAS + STACK
        mov dword ptr [APIC + 0xf0], 0x1ff
        jmp enter

        .code64
# gives this processor's area in r14; takes rax to rdx
        .macro find_area
        mov eax, 1
        cpuid
        shr ebx, 24
        and ebx, PROCESSORS - 1
        mov r15d, ebx
        shl ebx, AREA_SHIFT
        lea r14, [rbx + AREAS]
        .endm

# gives the next random number in rax (xorshift64*)
        .macro random
        mov rax, [r14 + RANDOM]
        mov rdx, rax
        shr rdx, 12
        xor rax, rdx
        mov rdx, rax
        shl rdx, 25
        xor rax, rdx
        mov rdx, rax
        shr rdx, 27
        xor rax, rdx
        mov [r14 + RANDOM], rax
        mov rdx, 0x2545f4914f6cdd1d
        imul rax, rdx
        .endm

wide:   find_area
        lea rsp, [r14 + STACK]
        mov rax, 0x9e3779b97f4a7c15
        mul r15
        xor rax, [seed]
        bts rax, 7
        mov [r14 + RANDOM], rax
        mov eax, [rounds]
        mov [r14 + LEFT], rax
# task state with the stacks for ring 0 and exceptions
        mov ecx, FAULT_STACK
        add rcx, r14
        mov [r14 + TSS + 4], rcx
        mov [r14 + TSS + 0x24], rcx
        mov ecx, r15d
        shl ecx, 4
        lea rbx, [r14 + TSS]
        lea rdi, [gdt_tasks + rcx]
        mov eax, ebx
        shl eax, 16
        or eax, 0x67
        mov [rdi], eax
        mov eax, ebx
        shr eax, 16
        and eax, 0xff
        and ebx, 0xff000000
        or eax, ebx
        or eax, 0x8900
        mov [rdi + 4], eax
        mov dword ptr [rdi + 8], 0
        add ecx, TASKS
        ltr cx

round:  cli
        cld
        lidt [idt_pointer]
        lgdt [gdt_pointer]
        mov ax, 0x10
        mov ss, ax
        find_area
        lea rsp, [r14 + STACK]
        dec qword ptr [r14 + LEFT]
        js done
        random
        test eax, 7                     # now and then the control registers as they were
        jnz 1f
        mov edx, PAGES
        mov cr3, rdx
        mov edx, 0x620
        mov cr4, rdx
        mov edx, 0x80010033
        mov cr0, rdx
1:
        mov ecx, eax
        shr ecx, 20
        and ecx, 15
        bt dword ptr [mask], ecx
        jnc round
        mov rbx, rax
        random
        call [actions + rcx * 8]
        jmp round

done:   cmp r15d, 0
        jne 1f
        xor eax, eax
        mov dx, 0x501
        out dx, eax
1:      cli
        hlt
        jmp 1b

# Whatever happens, go on: sometimes as the processor wants it, often not.
fault:  find_area
        lea rsp, [r14 + FAULT_STACK - 0x100]
        random
        test al, 3
        jz 1f
        mov ecx, APIC
        mov dword ptr [rcx + 0xb0], 0
1:      test al, 0x40
        jz round
        push 0x10
        lea rcx, [r14 + STACK]
        push rcx
        push 2
        push 8
        push offset round
        iretq

        .align 8
actions: .quad port_write, port_write, port_read, port_string
        .quad msr_write, msr_read, msr_known_write, registers
        .quad device_write, device_read, identify, scratch
        .quad code_kernel, code_user, wait, apic_write

# All actions: rbx and rax random numbers.
port:   movzx edx, bx                   # any port, or one of those that exist
        test ebx, 0x30000
        jz 1f
        movzx ecx, bl
        and ecx, 63
        movzx edx, word ptr [ports + rcx * 2]
1:      ret

port_write:
        call port
        bt ebx, 30
        jc 1f
        out dx, al
        ret
1:      bt ebx, 29
        jc 2f
        out dx, ax
        ret
2:      out dx, eax
        ret

port_read:
        call port
        bt ebx, 30
        jc 1f
        in al, dx
        ret
1:      bt ebx, 29
        jc 2f
        in ax, dx
        ret
2:      in eax, dx
        ret

port_string:
        call port
        mov rcx, rax
        and ecx, 63
        lea rsi, [r14 + DATA]
        mov rdi, rsi
        bt ebx, 28
        jc 1f
        bt ebx, 27
        jc 2f
        rep outsb
        ret
2:      rep insb
        ret
1:      bt ebx, 27
        jc 2f
        rep outsd
        ret
2:      rep insd
        ret

msr:    mov ecx, ebx                    # a register of one of the populated ranges
        and ecx, 0x1ff
        mov edx, ebx
        shr edx, 28
        and edx, 7
        or ecx, [msr_ranges + rdx * 4]
        mov rdx, rax                    # a value: few bits, or many
        rol rdx, cl
        mov r8, rbx
        shr r8, 40
        and r8, 63
        push rcx
        mov ecx, r8d
        shr rax, cl
        pop rcx
        mov rdx, rax
        shr rdx, 32
        ret
msr_write:
        call msr
        cmp ecx, 0xc0000080             # without long mode nothing works any more
        je 1f
        wrmsr
1:      ret
msr_read:
        call msr
        rdmsr
        ret
msr_known_write:                        # what it reads, with one bit flipped
        call msr
        cmp ecx, 0xc0000080
        je 1f
        rdmsr
        shl rdx, 32
        or rax, rdx
        mov rdx, rbx
        shr rdx, 50
        and edx, 63
        btc rax, rdx
        mov rdx, rax
        shr rdx, 32
        wrmsr
1:      ret

registers:
        mov ecx, ebx
        and ecx, 31
        jmp [register_table + rcx * 8]
        .align 8
register_table:
        .quad 10f, 11f, 12f, 13f, 14f, 15f, 16f, 17f, 18f, 19f, 20f, 21f, 22f, 23f, 24f, 25f
        .quad 26f, 27f, 28f, 29f, 30f, 31f, 32f, 33f, 34f, 35f, 36f, 37f, 38f, 39f, 40f, 41f
10:     mov cr2, rax
        ret
11:     mov cr8, rax
        ret
12:     mov dr0, rax
        ret
13:     mov dr1, rax
        ret
14:     mov dr6, rax
        ret
15:     mov eax, eax
        mov dr7, rax
        ret
16:     mov ds, ax
        ret
17:     mov es, ax
        ret
18:     mov fs, ax
        ret
19:     mov gs, ax
        ret
20:     swapgs
        ret
21:     lldt ax
        ret
22:     ltr ax
        ret
23:     invlpg [rax]
        ret
24:     wbinvd
        ret
25:     clts
        ret
26:     xor ecx, ecx
        mov edx, 0
        xsetbv
        ret
27:     lmsw ax
        ret
28:     mov rcx, cr4
        and eax, 31
        btc rcx, rax
        mov cr4, rcx
        ret
29:     mov rcx, cr0
        and eax, 30
        btc rcx, rax
        mov cr0, rcx
        ret
30:     mov rcx, cr3
        xor rcx, rax
        mov cr3, rcx
        ret
31:     mov [r14 + DATA], rax
        ldmxcsr [r14 + DATA]
        ret
32:     push rax
        popfq
        ret
33:     rdtscp
        ret
34:     monitor
        mwait
        ret
35:     int 0x80
        ret
36:     syscall
        ret
37:     sysenter
        ret
38:     vmcall
        ret
39:     vmmcall
        ret
40:     fxrstor [r14 + DATA]
        ret
41:     rdpmc
        ret

device: mov rcx, rbx                    # in the pages of the interrupt controllers, now and then anywhere above RAM
        shr rcx, 8
        and ecx, 0xfff
        mov edx, ebx
        and edx, 7
        or ecx, [devices + rdx * 4]
        test edx, edx
        jnz 1f
        mov ecx, eax
        or ecx, 0xc0000000
1:      ret
device_write:
        call device
        test ecx, 0xcf0                 # the interrupt command register rarely, or INIT stops the show
        jnz 1f
        test ebx, 0xf000000
        jnz 3f
1:      bt ebx, 30
        jc 1f
        mov [rcx], eax
3:      ret
1:      bt ebx, 29
        jc 2f
        mov [rcx], al
        ret
2:      lock xadd [rcx], rax
        ret
device_read:
        call device
        bt ebx, 30
        jc 1f
        mov eax, [rcx]
        ret
1:      movdqu xmm0, [rcx]
        ret

apic_write:                             # a plausible interrupt command, timer or error
        mov ecx, ebx
        and ecx, 0x3f0
        or ecx, APIC
        and eax, 0xcffff
        test ebx, 0xf000000
        jz 1f
        and eax, 0xcf8ff                # mostly fixed and lowest priority, seldom INIT and SIPI
1:      mov [rcx], eax
        ret

identify:
        mov ecx, ebx
        shr rbx, 16
        and ebx, 0xc0000000
        and eax, 0x1f
        or eax, ebx
        cpuid
        ret

scratch:                                # fills what random code may use
        lea rdi, [r14 + DATA]
        mov ecx, 512
        rep stosq
        ret

# 32 random words, or a damaged copy of code from this image, and the timer to end what does not end
make_code:
        lea rdi, [r14 + CODE]
        mov rcx, rax
        and ecx, 0xff8
        lea rsi, [image + rcx]
        mov ecx, 16
        test ebx, 1
        jnz 1f
        rep movsq
        and ebx, 127
        mov [r14 + CODE + rbx], al
        jmp 2f
1:      random
        stosq
        dec ecx
        jnz 1b
2:      mov word ptr [rdi], 0xb848      # mov rax, imm64; jmp rax
        mov qword ptr [rdi + 2], offset round
        mov word ptr [rdi + 10], 0xe0ff
        mov esi, 200000
# a timer interrupt after esi ticks, whatever state the noise has left the local APIC in
arm_timer:
        mov ecx, 0x1b
        rdmsr
        test ah, 4
        jnz 1f
        mov eax, APIC + 0x900
        xor edx, edx
        wrmsr
        mov ecx, APIC
        mov dword ptr [rcx + 0x80], 0
        mov dword ptr [rcx + 0xb0], 0
        mov dword ptr [rcx + 0xb0], 0
        mov dword ptr [rcx + 0xf0], 0x1ff
        mov dword ptr [rcx + 0x320], 0x40
        mov dword ptr [rcx + 0x3e0], 0xb
        mov [rcx + 0x380], esi
        ret
1:      xor edx, edx                    # the same in x2APIC mode
        xor eax, eax
        mov ecx, 0x808
        wrmsr
        mov ecx, 0x80b
        wrmsr
        wrmsr
        mov eax, 0x1ff
        mov ecx, 0x80f
        wrmsr
        mov eax, 0x40
        mov ecx, 0x832
        wrmsr
        mov eax, 0xb
        mov ecx, 0x83e
        wrmsr
        mov eax, esi
        mov ecx, 0x838
        wrmsr
        ret
code_kernel:
        call make_code
        lea rcx, [r14 + CODE]
        sti
        jmp rcx
code_user:
        call make_code
        lea rcx, [r14 + CODE]
        push 0x2b
        lea rax, [r14 + DATA + 0x800]
        push rax
        push 0x202
        push 0x33
        push rcx
        iretq

wait:   mov esi, 50000
        call arm_timer
        sti
        hlt
        ret

        .align 16
gdt:    .quad 0
        .quad 0x00af9b000000ffff        # 0x08 64-bit code
        .quad 0x00cf93000000ffff        # 0x10 data
        .quad 0x00cf9b000000ffff        # 0x18 32-bit code
        .quad 0x00cffb000000ffff        # 0x20 32-bit code for ring 3
        .quad 0x00cff3000000ffff        # 0x28 data for ring 3
        .quad 0x00affb000000ffff        # 0x30 64-bit code for ring 3
        .quad 0
gdt_tasks:                              # at TASKS
        .skip 16 * PROCESSORS
gdt_end:
gdt_pointer:
        .word gdt_end - gdt - 1
        .quad gdt
idt_pointer:
        .word 16 * 256 - 1
        .quad idt
        .align 4
msr_ranges:
        .long 0, 0x200, 0x400, 0x800, 0x40000000, 0x40000000, 0xc0000000, 0xc0010000
devices: .long 0, 0xfee00000, 0xfee00000, 0xfee00000, 0xfec00000, 0xfec00000, 0xfed00000, 0xe0000000
ports:  .word 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41, 0x42, 0x43, 0x60, 0x61, 0x70, 0x71, 0x80, 0x3f8
        .word 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff, 0x2f8, 0x400, 0x401, 0x402, 0x403, 0x408, 0x409, 0x420, 0x424
        .word 0xec, 0xed, 0xcf8, 0xcfc, 0x600, 0x604, 0xb2, 0xb3, 0x22, 0x23, 0x2f9, 0x2fb, 0x1f0, 0x3f0, 0x378, 0x510
        .word 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41, 0x42, 0x43, 0x61, 0x70, 0x71, 0x3f8, 0x3f9, 0x402
        .align 16
idt:    .skip 16 * 256
