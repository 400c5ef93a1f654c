// What compiled code calls for a thread-local variable: our __tls_get_addr and the resolvers of TLS
// descriptors. psABI "Thread-Local Storage"; Oliva and de Oliveira, "Thread-Local Storage Descriptors":
// a resolver is given the descriptor's address in rax, returns an offset from the thread pointer there
// and preserves every other register. Table layout: tls_modules.c.
#if defined(__x86_64__)
        .text
        // void *hl_tls_get_addr(const hl_tls_index *)
        .globl  hl_tls_get_addr
        .type   hl_tls_get_addr, @function
        .balign 32
hl_tls_get_addr:
        .cfi_startproc
        endbr64
        movq    hl_tls_table@gottpoff(%rip), %rcx
        movq    (%rdi), %rax
        movq    %fs:(%rcx), %rcx
        movl    %eax, %edx
        andl    (%rcx), %edx
        shlq    $4, %rdx
        cmpq    %rax, 16(%rcx,%rdx)
        jne     1f
        movq    24(%rcx,%rdx), %rax
        addq    8(%rdi), %rax
        ret
1:      testq   %rax, %rax
        jz      2f
        jns     __tls_get_addr@PLT      // a module of the process's own loader
        // Compilers have called this with a stack that is 8 off (gcc bug 58066).
        pushq   %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset %rbp, -16
        movq    %rsp, %rbp
        .cfi_def_cfa_register %rbp
        andq    $-16, %rsp
        call    hl_tls_slow
        leave
        .cfi_def_cfa %rsp, 8
        ret
        // No module: a weak variable that nobody defines. Its address is the addend.
2:      movq    8(%rdi), %rax
        ret
        .cfi_endproc
        .size   hl_tls_get_addr, .-hl_tls_get_addr

        // int64_t hl_tls_descriptor_call(const void *descriptor): as compiled code calls one.
        .globl  hl_tls_descriptor_call
        .type   hl_tls_descriptor_call, @function
        .balign 16
hl_tls_descriptor_call:
        .cfi_startproc
        endbr64
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        movq    %rdi, %rax
        call    *(%rax)
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_endproc
        .size   hl_tls_descriptor_call, .-hl_tls_descriptor_call

// The variable lies in the static block: the second word is its offset from the thread pointer.
        .globl  hl_tls_descriptor_entry
        .hidden hl_tls_descriptor_entry
        .type   hl_tls_descriptor_entry, @function
        .balign 16
hl_tls_descriptor_entry:
        .cfi_startproc
        endbr64
        movq    8(%rax), %rax
        ret
        .cfi_endproc
        .size   hl_tls_descriptor_entry, .-hl_tls_descriptor_entry

// A weak variable that nobody defines: its address is the addend, the second word, in every thread.
        .globl  hl_tls_descriptor_undefined_entry
        .hidden hl_tls_descriptor_undefined_entry
        .type   hl_tls_descriptor_undefined_entry, @function
        .balign 16
hl_tls_descriptor_undefined_entry:
        .cfi_startproc
        endbr64
        movq    8(%rax), %rax
        subq    %fs:0, %rax
        ret
        .cfi_endproc
        .size   hl_tls_descriptor_undefined_entry, .-hl_tls_descriptor_undefined_entry

// The variable lies in a block of its module: the second word points to an hl_tls_index. The two
// registers it needs are kept in the red zone.
        .globl  hl_tls_descriptor_dynamic_entry
        .hidden hl_tls_descriptor_dynamic_entry
        .type   hl_tls_descriptor_dynamic_entry, @function
        .balign 32
hl_tls_descriptor_dynamic_entry:
        .cfi_startproc
        endbr64
        movq    %rcx, -8(%rsp)
        movq    %rdx, -16(%rsp)
        movq    8(%rax), %rax
        movq    hl_tls_table@gottpoff(%rip), %rcx
        movq    %fs:(%rcx), %rcx
        movl    (%rax), %edx
        andl    (%rcx), %edx
        shlq    $4, %rdx
        addq    %rcx, %rdx
        movq    (%rax), %rcx
        cmpq    %rcx, 16(%rdx)
        jne     1f
        movq    8(%rax), %rax
        addq    24(%rdx), %rax
        subq    %fs:0, %rax
        movq    -8(%rsp), %rcx
        movq    -16(%rsp), %rdx
        ret
1:      movq    -8(%rsp), %rcx
        movq    -16(%rsp), %rdx
        pushq   %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset %rbp, -16
        movq    %rsp, %rbp
        .cfi_def_cfa_register %rbp
        pushq   %rcx
        pushq   %rdx
        pushq   %rsi
        pushq   %rdi
        pushq   %r8
        pushq   %r9
        pushq   %r10
        pushq   %r11
        pushq   %rbx
        .cfi_offset %rbx, -88
        movq    %rax, %rdi
        // As in lazy_x86_64.S: XSAVE without AMX and PKRU, header zeroed (Intel SDM 1, 13.7).
        subq    hl_xsave_size(%rip), %rsp
        andq    $-64, %rsp
        movq    hl_xsave_mask(%rip), %rax
        testq   %rax, %rax
        jz      2f
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
        jmp     3f
2:      fxsave64 (%rsp)
3:      cld
        call    hl_tls_slow
        subq    %fs:0, %rax
        movq    %rax, %rbx
        movq    hl_xsave_mask(%rip), %rax
        testq   %rax, %rax
        jz      4f
        movq    %rax, %rdx
        shrq    $32, %rdx
        xrstor64 (%rsp)
        jmp     5f
4:      fxrstor64 (%rsp)
5:      movq    %rbx, %rax
        leaq    -72(%rbp), %rsp
        popq    %rbx
        .cfi_restore %rbx
        popq    %r11
        popq    %r10
        popq    %r9
        popq    %r8
        popq    %rdi
        popq    %rsi
        popq    %rdx
        popq    %rcx
        popq    %rbp
        .cfi_def_cfa %rsp, 8
        ret
        .cfi_endproc
        .size   hl_tls_descriptor_dynamic_entry, .-hl_tls_descriptor_dynamic_entry
        .section .note.GNU-stack,"",@progbits
#endif
