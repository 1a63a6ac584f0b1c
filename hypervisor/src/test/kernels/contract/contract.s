# What every back-end must do for a guest: one small task each, chosen by EBX at the entry (32-bit flat segments). Results
# go to port 0xe9 as 32-bit numbers; a write to port 0xe8 asks the test to do something, to port 0xf4 ends the task.
        .intel_syntax noprefix
        .code32
        .text
        .globl _start
        .set STACK, 0x200000
        .set APIC, 0xfee00000
        .set IOAPIC, 0xfec00000
        .set DEVICE, 0xd0000000
        .set TRAMPOLINE, 0x8000

        .macro put
        out 0xe9, eax
        .endm
        .macro ask number
        mov eax, \number
        out 0xe8, eax
        .endm

_start: mov esp, STACK
        mov esi, ebx
        # every vector counts itself, ends its interrupt and goes on
        mov edi, offset idt
        mov ecx, 256
        mov eax, offset stubs
1:      mov [edi], ax
        mov word ptr [edi + 2], 8
        mov edx, eax
        shr edx, 16
        mov word ptr [edi + 4], 0x8e00
        mov [edi + 6], dx
        add edi, 8
        add eax, 16
        loop 1b
        lgdt [gdt_pointer]
        lidt [idt_pointer]
        mov dword ptr [APIC + 0xf0], 0x1ff
        mov dword ptr [APIC + 0x80], 0
        jmp [tasks + esi * 4]

        .align 4
tasks:  .long ports, device, registers, timer, edge, level, message, nmi, external, spin, halt, second, pages, call
        .long triple, hold, exact, deadline, nmi_halted, doorbell
        .set TASKS, (. - tasks) / 4

finish: xor eax, eax
        out 0xf4, eax
        cli
        hlt

ports:  mov dx, 0x70
        mov al, 0x12
        out dx, al
        mov ax, 0x3456
        out dx, ax
        mov eax, 0x789abcde
        out dx, eax
        xor eax, eax
        in al, dx
        put
        xor eax, eax
        in ax, dx
        put
        in eax, dx
        put
        mov esi, offset text
        mov ecx, 4
        rep outsb
        mov edi, offset buffer
        mov ecx, 3
        rep insd
        mov eax, [buffer + 8]
        put
        jmp finish

device: mov edi, DEVICE
        mov byte ptr [edi + 1], 0x11
        mov word ptr [edi + 2], 0x2222
        mov dword ptr [edi + 4], 0x33333333
        movzx eax, byte ptr [edi + 5]
        put
        movzx eax, word ptr [edi + 6]
        put
        mov eax, [edi + 8]
        put
        mov eax, 0x44444444
        mov ecx, 2
        add edi, 0x10
        rep stosd
        jmp finish

registers:
        mov ecx, 0x40000020
        rdmsr
        put
        mov eax, edx
        put
        mov ecx, 0x40000081
        mov eax, 0x01020304
        mov edx, 0x05060708
        wrmsr
        mov dword ptr [resume], offset 1f
        mov ecx, 0x40000099
        rdmsr
1:      mov eax, [counts + 13 * 4]
        put
        mov dword ptr [resume], offset 2f
        mov ecx, 0x40000099
        wrmsr
2:      mov eax, [counts + 13 * 4]
        put
        jmp finish

# the APIC's timer, once and again
timer:  mov dword ptr [APIC + 0x3e0], 0xb
        mov dword ptr [APIC + 0x320], 0x40
        mov dword ptr [APIC + 0x380], 100000
        call wait_40
        mov dword ptr [APIC + 0x380], 100000
        call wait_40
        mov dword ptr [APIC + 0x320], 0x20040
        mov dword ptr [APIC + 0x380], 200000
        call wait_40
        call wait_40
        mov dword ptr [APIC + 0x380], 0
        jmp finish

wait_40:
        mov ebx, [counts + 0x40 * 4]
1:      sti
        hlt
        cli
        cmp [counts + 0x40 * 4], ebx
        je 1b
        mov eax, 0x40
        put
        ret

deadline:
        mov dword ptr [APIC + 0x320], 0x40040
        mfence
        rdtsc
        add eax, 100000
        adc edx, 0
        mov ecx, 0x6e0
        wrmsr
        call wait_40
        rdmsr
        put
        jmp finish

redirect:                               # input in ebx, low half in eax
        lea ecx, [ebx * 2 + 0x11]
        mov [IOAPIC], ecx
        mov dword ptr [IOAPIC + 0x10], 0
        dec ecx
        mov [IOAPIC], ecx
        mov [IOAPIC + 0x10], eax
        ret

edge:   mov ebx, 4
        mov eax, 0x40
        call redirect
        ask 1
        call wait_40
        ask 2
        call wait_40
        jmp finish

# the test lowers the wire when it is asked for the second time
level:  mov ebx, 9
        mov eax, 0x8041
        call redirect
        ask 1
1:      sti
        nop
        nop
        cli
        cmp dword ptr [counts + 0x41 * 4], 2
        jb 1b
        mov eax, 0x22
        mov [IOAPIC], eax
        mov eax, [IOAPIC + 0x10]
        put
        # one more waits
1:      sti
        nop
        nop
        cli
        test dword ptr [IOAPIC + 0x10], 0x4000
        jnz 1b
        jmp finish

message:
        ask 1
        call wait_40
        jmp finish

# an NMI while it computes, and while it halts with interrupts off
nmi:    mov dword ptr [resume], offset 2f
        ask 1
1:      jmp 1b
2:      mov eax, [counts + 2 * 4]
        put
        jmp finish

nmi_halted:
        mov dword ptr [resume], offset 2f
        ask 1
1:      hlt
        jmp 1b
2:      mov eax, [counts + 2 * 4]
        put
        jmp finish

external:
        mov dword ptr [APIC + 0x350], 0x700
        ask 1
        call wait_40
        # taken as soon as it may be
        ask 2
        mov eax, [counts + 0x40 * 4]
        put
        sti
1:      cmp dword ptr [counts + 0x40 * 4], 1
        je 1b
        mov eax, [counts + 0x40 * 4]
        put
        jmp finish

spin:   ask 1
        xor eax, eax
1:      inc eax
        jmp 1b

halt:   ask 1
        sti
1:      hlt
        jmp 1b

second: mov esi, offset trampoline
        mov edi, TRAMPOLINE
        mov ecx, offset trampoline_end - trampoline
        rep movsb
        mov dword ptr [APIC + 0x310], 1 << 24
        mov dword ptr [APIC + 0x300], 0x4500
        mov dword ptr [APIC + 0x300], 0x4608
1:      pause
        cmp dword ptr [started], 1
        jb 1b
        mov ecx, 1000
2:      lock inc dword ptr [shared]
        loop 2b
3:      pause
        cmp dword ptr [started], 2
        jb 3b
        mov eax, [shared]
        put
        # an interrupt from here to there and back
        mov dword ptr [APIC + 0x300], 0x4042
        call wait_40
        jmp finish

other:  mov ax, 0x10
        mov ds, ax
        mov ss, ax
        mov esp, STACK - 0x10000
        lidt [idt_pointer]
        mov dword ptr [APIC + 0xf0], 0x1ff
        lock inc dword ptr [started]
        mov ecx, 1000
1:      lock inc dword ptr [shared]
        loop 1b
        lock inc dword ptr [started]
2:      sti
        hlt
        cli
        cmp dword ptr [counts + 0x42 * 4], 0
        je 2b
        mov dword ptr [APIC + 0x310], 0
        mov dword ptr [APIC + 0x300], 0x4040
3:      hlt
        jmp 3b

pages:  ask 1
        mov dword ptr [0x400000], 1
        mov dword ptr [0x402ffc], 1
        ask 2
        mov dword ptr [0x403000], 1
        ask 3
        jmp finish

# the test reads registers and answers in EAX
call:   mov ecx, 0x11223344
        mov edx, 0x55667788
        mov eax, 7
        out 0xe8, al
        put
        mov eax, ecx
        put
        jmp finish

triple: lidt [nothing]
        mov ecx, 0x40000099
        rdmsr

# state of every kind, that of the x87 if EBP is set, which the test moves to another partition at port 0xe8
hold:   mov [x87], ebp
        test ebp, ebp
        jz 1f
        fninit
        fldpi
        fld1
        # the selectors of the last instruction, which KVM does not keep for 32-bit code
        fxsave [fpu]
        mov word ptr [fpu + 12], 0
        mov word ptr [fpu + 20], 0
        fxrstor [fpu]
1:
        mov eax, cr4
        or eax, 0x600
        mov cr4, eax
        movups xmm3, [text]
        mov eax, 0x1234
        mov dr1, eax
        mov ecx, 0x175
        mov eax, 0xabcd
        xor edx, edx
        wrmsr
        mov ecx, 0x277
        mov eax, 0x00070406
        mov edx, eax
        wrmsr
        # an interrupt that waits, and a timer that runs
        mov dword ptr [APIC + 0x300], 0x44044
        mov dword ptr [APIC + 0x80], 0x10
        mov dword ptr [APIC + 0x3e0], 0xb
        mov dword ptr [APIC + 0x320], 0x40
        mov dword ptr [APIC + 0x380], 100000000
        mov ecx, 0x5a5a
        ask 1
        mov eax, ecx
        put
        cmp dword ptr [x87], 0
        je 1f
        fistp qword ptr [buffer]
        mov eax, [buffer]
        put
        fstp qword ptr [buffer]
        mov eax, [buffer + 4]
        put
1:
        movups [buffer], xmm3
        mov eax, [buffer + 12]
        put
        mov eax, dr1
        put
        mov ecx, 0x175
        rdmsr
        put
        mov ecx, 0x277
        rdmsr
        put
        mov eax, [APIC + 0x80]
        put
        mov eax, [APIC + 0x220]         # requested: vectors 0x40 to 0x5f
        and eax, 0x10                   # on a slow host the timer may have fired
        put
        mov eax, [APIC + 0x380]
        put
        sti
1:      cmp dword ptr [counts + 0x44 * 4], 0
        je 1b
        mov eax, [counts + 0x44 * 4]
        put
        call wait_40
        jmp finish

# rings twice, then with another value, another size, and once more when the test has taken the doorbell back
doorbell:
        mov edi, 2
1:      mov eax, 0x2005
        out 0xee, eax
        dec edi
        jnz 1b
        mov eax, 0x2006
        out 0xee, eax
        mov eax, 0x2007
        out 0xee, eax
        mov eax, 0x2005
        out 0xee, ax
        put
        ask 1
        mov eax, 0x2005
        out 0xee, eax
        put
        jmp finish

# stands still at an exit for as long as the test wants
exact:  ask 1
        jmp exact

        .align 16
stubs:  .set n, 0
        .rept 256
        .align 16
        push n
        jmp common
        .set n, n + 1
        .endr

common: push eax
        mov eax, [esp + 4]
        inc dword ptr [counts + eax * 4]
        cmp eax, 13
        je 2f
        cmp eax, 2
        je 2f
        cmp eax, 0x20
        jb 1f
        cmp eax, 0x41
        jne 3f
        # whether it is in service, as it is until it is ended
        mov eax, [APIC + 0x120]
        and eax, 2
        put
        ask 2
3:      mov dword ptr [APIC + 0xb0], 0
1:      pop eax
        add esp, 4
        # Not IRET, which KVM does not emulate in protected mode where it has to emulate: interrupts stay off.
        ret 8
2:      mov esp, STACK                  # a fault or NMI that was expected
        jmp [resume]

        .code16
trampoline:
        cli
        xor ax, ax
        mov ds, ax
        lgdt ds:[TRAMPOLINE + 1f - trampoline]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        .byte 0x66, 0xea
        .long other
        .word 8
        .align 4
1:      .word gdt_end - gdt - 1
        .long gdt
trampoline_end:
        .code32

        .align 16
gdt:    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_end:
gdt_pointer:
        .word gdt_end - gdt - 1
        .long gdt
        .align 4
idt_pointer:
        .word 2047
        .long idt
nothing:
        .word 0
        .long 0
        .align 16
text:   .ascii "abcdefghijklmnop"
resume: .long 0
        .bss
        .align 64
idt:    .skip 2048
counts: .skip 1024
buffer: .skip 64
x87:    .skip 64
fpu:    .skip 512
started: .skip 64
shared: .skip 64
