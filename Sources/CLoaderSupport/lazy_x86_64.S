// Entered from a slot's lazy thunk with the token pushed: every argument register of the C and
// Swift conventions (rax: varargs count and Swift's indirect result; r10: static chain; r12-r14:
// Swift's error, self and async context, callee-saved in C) and all vector state survive. It leaves
// by a jump, so the shadow stack stays in balance. Intel SDM 1, 13.7: the XSAVE header is zeroed.
#if defined(__x86_64__)
        .text
        .globl  hl_lazy_entry
        .hidden hl_lazy_entry
        .type   hl_lazy_entry, @function
        .balign 16
hl_lazy_entry:
        .cfi_startproc
        .cfi_def_cfa_offset 16
        endbr64
        pushq   %rbp
        .cfi_def_cfa_offset 24
        .cfi_offset %rbp, -24
        movq    %rsp, %rbp
        .cfi_def_cfa_register %rbp
        pushq   %rax
        pushq   %rcx
        pushq   %rdx
        pushq   %rsi
        pushq   %rdi
        pushq   %r8
        pushq   %r9
        pushq   %r10
        pushq   %rbx
        subq    hl_xsave_size(%rip), %rsp
        andq    $-64, %rsp
        movq    hl_xsave_mask(%rip), %rax
        testq   %rax, %rax
        jz      1f
        movq    %rax, %rdx
        shrq    $32, %rdx
        xorl    %ecx, %ecx
        movq    %rcx, 512(%rsp)
        movq    %rcx, 520(%rsp)
        movq    %rcx, 528(%rsp)
        movq    %rcx, 536(%rsp)
        movq    %rcx, 544(%rsp)
        movq    %rcx, 552(%rsp)
        movq    %rcx, 560(%rsp)
        movq    %rcx, 568(%rsp)
        xsave64 (%rsp)
        jmp     2f
1:      fxsave64 (%rsp)
2:      cld
        movq    8(%rbp), %rdi
        movq    %rsp, %rbx
        call    hl_lazy_dispatch
        movq    %rax, %r11
        movq    %rbx, %rsp
        movq    hl_xsave_mask(%rip), %rax
        testq   %rax, %rax
        jz      3f
        movq    %rax, %rdx
        shrq    $32, %rdx
        xrstor64 (%rsp)
        jmp     4f
3:      fxrstor64 (%rsp)
4:      leaq    -72(%rbp), %rsp
        popq    %rbx
        popq    %r10
        popq    %r9
        popq    %r8
        popq    %rdi
        popq    %rsi
        popq    %rdx
        popq    %rcx
        popq    %rax
        popq    %rbp
        .cfi_def_cfa %rsp, 16
        leaq    8(%rsp), %rsp
        .cfi_def_cfa_offset 8
        jmp     *%r11
        .cfi_endproc
        .size   hl_lazy_entry, .-hl_lazy_entry
        .section .note.GNU-stack,"",@progbits
#endif
