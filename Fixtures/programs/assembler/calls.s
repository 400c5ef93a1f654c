# GNU assembler, AT&T syntax: a main that calls libc through the PLT and the GOT, with data, strings and a table.
# run: one two
# run:
        .text
        .globl  main
        .type   main, @function
main:
        .cfi_startproc
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_offset rbx, -16
        movl    %edi, %ebx
        movl    %edi, %esi
        leaq    format(%rip), %rdi
        xorl    %eax, %eax
        call    printf@PLT
        movq    counter@GOTPCREL(%rip), %rax
        addl    $5, (%rax)
        leaq    table(%rip), %rdx
        movl    %ebx, %ecx
        andl    $1, %ecx
        movslq  (%rdx,%rcx,4), %rcx
        addq    %rdx, %rcx
        jmp     *%rcx
even:   leaq    even_text(%rip), %rdi
        jmp     1f
odd:    leaq    odd_text(%rip), %rdi
1:      call    *puts@GOTPCREL(%rip)
        movl    counter(%rip), %eax
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_endproc
        .size   main, . - main

        .section .rodata
table:  .long   even - table
        .long   odd - table
        .section .rodata.str1.1, "aMS", @progbits, 1
format: .string "%d arguments\n"
even_text: .string "even"
odd_text: .string "odd"
        .data
        .globl  counter
        .type   counter, @object
        .size   counter, 4
counter: .long  37
        .section .note.GNU-stack, "", @progbits
