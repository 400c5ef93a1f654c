// What Swift cannot say: system calls glibc hides behind feature macros, entry points that must
// keep every register, and the ELF structures under their own names.
#ifndef CLOADERSUPPORT_H
#define CLOADERSUPPORT_H

#include <elf.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// ---- memory (Linux: memfd_create, mmap, madvise, prctl, membarrier) ----
// Closed on exec.
int hl_memfd_create(const char *name);
void *hl_map_fixed_noreplace(void *address, size_t length, int protection, int flags, int fd,
                             off_t offset);
int hl_populate(void *address, size_t length, int write);
void hl_name_mapping(void *address, size_t length, const char *name);
// Puts writable huge pages of 2 MiB over what is mapped there. Returns 0, or errno and nothing changed.
int hl_map_huge(void *address, size_t length);
// Frees the memory behind a part of a memfd, which then reads as zero. Returns 0 or errno.
int hl_punch_hole(int fd, off_t offset, off_t length);
// The number of the first page whose private view does not show what is written through the alias, or
// `pages`. Leaves the bytes as they are.
size_t hl_hidden_page(void *alias, const void *view, size_t pages);
// Serialises every core that runs a thread of the process. Returns 0 or errno.
int hl_sync_cores(void);
// Asks the kernel to be ready for it, once.
int hl_register_sync_cores(void);
// The same after code was rewritten that nothing runs now; no system call with one thread.
int hl_sync_rewritten(void);
// How often this process forked, and how many forks lie between it and the one that began to watch.
void hl_watch_forks(void);
uint32_t hl_forks(void);
uint32_t hl_fork_depth(void);
int hl_gettid(void);
// Names the calling thread, at most 15 bytes (Linux: pthread_setname_np).
void hl_name_thread(const char *name);
// Writes `hotlink: fatal: WHAT 'NAME'` to standard error and aborts.
_Noreturn void hl_fatal(const char *what, const char *name);

// ---- lazy binding ----
// Resolves a slot to the address to jump to. Runs on the calling thread with every argument
// register saved; errno is preserved around it.
typedef uint64_t (*hl_lazy_resolver)(uint64_t token);
void hl_set_lazy_resolver(hl_lazy_resolver resolver);
// Entered by a slot's lazy thunk with its token on the stack; jumps to what hl_lazy_resolve says.
extern const char hl_lazy_entry[];
const void *hl_lazy_entry_address(void);
// Reads XCR0 and the save-area size; once, before the first lazy call.
void hl_lazy_prepare(void);

// ---- static TLS for loaded code: initial-exec, so its offset from the thread pointer is one
// constant for every thread ----
#ifndef HL_STATIC_TLS_BYTES
#define HL_STATIC_TLS_BYTES 16384
#endif
// Offset of the block from the thread pointer (negative on x86-64).
int64_t hl_static_tls_offset(void);
// Module id and offset of the block, for __tls_get_addr. Returns 0 when they were found.
int hl_static_tls_module(uint64_t *module, uint64_t *offset);
// A thread-local variable of a library of the process, from its address in the calling thread.
typedef struct {
  uint64_t module, offset;  // for __tls_get_addr
  int64_t thread_offset;    // from the thread pointer, in this thread
  int is_static;            // and in every other
} hl_thread_variable;
// Returns 0 or errno.
int hl_host_tls(const void *address, hl_thread_variable *variable);
// The resolver of a TLS descriptor whose second word is an offset from the thread pointer.
const void *hl_tls_descriptor(void);
// Bytes that threads started from now on begin with, and the calling thread at once.
// Linux/glibc: a new thread copies its static TLS from the image's PT_TLS. Returns 0 or errno.
int hl_static_tls_initialise(size_t offset, const void *bytes, size_t count);

// ---- registers and stacks ----
// Calls visit(context, lowest, highest) with the part of the calling thread's stack in use, after
// spilling its callee-saved registers onto it. Returns 0, or -1 when the stack's bounds are unknown.
int hl_scan_stack(void (*visit)(void *context, const uintptr_t *low, const uintptr_t *high),
                  void *context);
// Has every other thread scan its own stack and registers in a signal handler. Threads in `skip`
// are left out. A thread stopped inside [stubs_low, stubs_high) stands between the load of the slot
// table and the jump: where it goes cannot be seen, so it counts as unknown. Returns the number of threads that did not answer within the time, or -1.
int hl_scan_threads(void (*visit)(void *context, const uintptr_t *low, const uintptr_t *high),
                    void *context, const int *skip, size_t skip_count, uintptr_t stubs_low,
                    uintptr_t stubs_high, int timeout_ms);

// ---- calling what was linked ----
typedef struct {
  uint64_t number;
  double time;
  double dt;
  int32_t stop;
  int32_t reserved;
} hl_frame;
void hl_call_frame(const void *function, hl_frame *frame);
void hl_call_initialiser(const void *function, int argc, char **argv, char **envp);
int hl_call_main(const void *function, int argc, char **argv, char **envp);
void hl_call_void(const void *function);
const void *hl_call_resolver(const void *function);
// Runs and forgets the handlers registered for a __dso_handle (Itanium C++ ABI: __cxa_finalize).
void hl_run_exit_handlers(const void *dso);
// Calls run(context) when the process exits, after the handlers registered later than this.
int hl_at_exit(void (*run)(void *context), void *context);
char **hl_environment(void);

// ---- the process's own loader ----
// STT_ type of the symbol that begins at an address, or -1 when the loader knows none.
int hl_symbol_type(const void *address);
// Path of the library an address lies in, or NULL.
const char *hl_image_path(const void *address);
// Where `part` first occurs in `bytes`, or NULL (glibc: memmem).
const void *hl_find(const void *bytes, size_t count, const void *part, size_t part_count);

// ---- what libc keeps in its static part: no dlsym finds it ----
// The address of one of them by name, or NULL.
const void *hl_static_libc_function(const char *name);

#endif
