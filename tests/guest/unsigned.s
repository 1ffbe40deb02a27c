# A UEFI program that nobody has signed: tells on the first serial port that it runs.

.globl _start
_start:
    lea said(%rip), %rsi
next:
    lodsb
    test %al, %al
    jz rest
    mov %al, %ah
    mov $0x3fd, %dx
busy:
    in %dx, %al
    test $0x20, %al
    jz busy
    mov $0x3f8, %dx
    mov %ah, %al
    out %al, %dx
    jmp next
rest:
    cli
    hlt
    jmp rest

said:
    .asciz "unsigned, and it runs\r\n"
