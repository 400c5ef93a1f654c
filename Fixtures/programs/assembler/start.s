# A program without a C library: begins at _start with the stack as the kernel leaves it, and ends by a system call.
# run: word
# run:
# driver: ld
        .globl  _start
        .text
_start: xorl    %ebp, %ebp
        movq    (%rsp), %r12            # argc
        leaq    8(%rsp), %r13           # argv
        testq   $15, %rsp
        jnz     2f
        movq    (%r13), %rsi
        xorl    %edx, %edx
1:      cmpb    $0, (%rsi,%rdx)
        je      2f
        incl    %edx
        jmp     1b
2:      movq    $1, %rdi
        leaq    text(%rip), %rsi
        movl    $length, %edx
        movl    $1, %eax
        syscall
        leaq    8(%r13,%r12,8), %rax    # envp
        cmpq    $0, -8(%rax)
        jne     3f
        movl    %r12d, %edi
        addl    $50, %edi
        movl    $231, %eax
        syscall
3:      movl    $1, %edi
        movl    $231, %eax
        syscall
        .section .rodata
text:   .ascii  "from the start\n"
length = . - text
        .section .note.GNU-stack, "", @progbits
