# A triple fault: nothing must come after it.
        .include "framework.inc"
        .data
gdt:    .quad 0
        segment 0, 0xfffff, 0xc09b
        segment 0, 0xfffff, 0xc093
gdt_pointer: .word . - gdt - 1
        .long gdt
idt_none: .word 0
        .long 0
        .text
_start: cli
        lgdt [gdt_pointer]
        jmp 8:1f
1:      mov eax, 0x10
        mov ss, eax
        mov ds, eax
        mov es, eax
        mov esp, STACK
        mov eax, 0x600d
        value before
        lidt [idt_none]
        ud2
        value after
        jmp exit
