# A boot sector with two known screens, which tells each byte of the keyboard on the first serial
# port, in hex: F1 draws in text mode, F2 in 320x200 with 256 colours.

.code16
.globl _start
_start:
    cli
    xor %ax, %ax
    mov %ax, %ds
    mov %ax, %ss
    mov $0x7c00, %sp
    movw $awake, 4*9            # the keyboard's bytes are ours, not the BIOS's
    mov %ax, 4*9+2
    mov $0xfd, %al              # no interrupt but the keyboard's
    out %al, $0x21
    mov $0xff, %al
    out %al, $0xa1
    call text
    mov $ready, %si
say:
    lodsb
    test %al, %al
    jz keys
    call send
    jmp say

rest:
    sti                         # takes effect after the next instruction, so none gets lost
    hlt
    cli
keys:
    in $0x64, %al
    test $1, %al
    jz rest
    in $0x60, %al
    push %ax
    mov %al, %bl
    shr $4, %al
    call digit
    mov %bl, %al
    and $15, %al
    call digit
    mov $' ', %al
    call send
    pop %ax
    cmp $0x3b, %al              # F1
    jne 1f
    call text
1:  cmp $0x3c, %al              # F2
    jne keys
    call graphics
    jmp keys

awake:
    push %ax
    mov $0x20, %al
    out %al, $0x20
    pop %ax
    iret

digit:
    add $'0', %al
    cmp $'9', %al
    jbe send
    add $('a' - '9' - 1), %al
send:
    mov %al, %ah
    mov $0x3fd, %dx
1:  in %dx, %al
    test $0x20, %al
    jz 1b
    mov $0x3f8, %dx
    mov %ah, %al
    out %al, %dx
    ret

# 80x25 full blocks; the colour of each is column + row, modulo 16.
text:
    push %ax
    mov $0x0003, %ax
    int $0x10
    mov $0x01, %ah              # no cursor: it would blink
    mov $0x2000, %cx
    int $0x10
    mov $0xb800, %ax
    mov %ax, %es
    xor %di, %di
    xor %bx, %bx                # bl column, bh row
1:  mov %bl, %ah
    add %bh, %ah
    and $15, %ah
    mov $0xdb, %al
    stosw
    inc %bl
    cmp $80, %bl
    jb 1b
    xor %bl, %bl
    inc %bh
    cmp $25, %bh
    jb 1b
    pop %ax
    ret

# Squares of 8x8 pixels; the colour of each is 40 * row + column, modulo 256, where colour i is
# red i, green i / 4 and blue ~i, of each the lower six bits.
graphics:
    mov $0x0013, %ax
    int $0x10
    mov $0x3c8, %dx
    xor %ax, %ax
    out %al, %dx
    inc %dx
    xor %bl, %bl
1:  mov %bl, %al
    call level
    mov %bl, %al
    shr $2, %al
    call level
    mov %bl, %al
    not %al
    call level
    inc %bl
    jnz 1b
    mov $0xa000, %ax
    mov %ax, %es
    xor %di, %di
    xor %bx, %bx                # the row
2:  mov %bx, %ax
    shr $3, %ax
    imul $40, %ax, %ax
    xor %cx, %cx                # the column
3:  mov %cx, %dx
    shr $3, %dx
    add %al, %dl
    mov %dl, %es:(%di)
    inc %di
    inc %cx
    cmp $320, %cx
    jb 3b
    inc %bx
    cmp $200, %bx
    jb 2b
    ret

level:
    and $63, %al
    out %al, %dx
    ret

ready:
    .asciz "ready\r\n"

    .org 510
    .word 0xaa55
