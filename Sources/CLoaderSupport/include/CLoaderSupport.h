// What Swift cannot say: system calls glibc hides behind feature macros, entry points that must
// keep every register, and the ELF structures under their own names.
#ifndef CLOADERSUPPORT_H
#define CLOADERSUPPORT_H

#include <elf.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "short_name.h"

// ---- memory (Linux: memfd_create, mmap, madvise, prctl, membarrier) ----
// Closed on exec.
int hl_memfd_create(const char *name);
void *hl_map_fixed_noreplace(void *address, size_t length, int protection, int flags, int fd,
                             off_t offset);
int hl_populate(void *address, size_t length, int write);
// Zeroed memory of whole huge pages (2 MiB), as far as the kernel has any; NULL when there is no memory. Given back with
// the same size.
void *hl_allocate_large(size_t size);
void hl_free_large(void *address, size_t size);
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
// Has the processor fetch a cache line that is going to be read.
static inline void hl_prefetch(const void *address) { __builtin_prefetch(address); }
// How many processors this process may use.
int hl_processors(void);
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
// The same for the PLT of a shared object: GOT[1] holds `image`, GOT[2] hl_plt_entry_address().
typedef uint64_t (*hl_plt_resolver)(void *image, uint64_t index);
void hl_set_plt_resolver(hl_plt_resolver resolver);
const void *hl_plt_entry_address(void);
// A function that does nothing and returns zero: where a call ends that nobody can resolve.
const void *hl_null_function(void);
// Writes `hotlink: WHAT 'NAME'` to standard error.
void hl_warn(const char *what, const char *name);
// Reads XCR0 and the save-area size; once, before the first lazy call.
void hl_lazy_prepare(void);

// ---- static TLS for loaded code: initial-exec, so its offset from the thread pointer is one
// constant for every thread ----
#ifdef HL_LOADED_LATE  // part of a library that is itself opened with dlopen
#define HL_STATIC_TLS_BYTES 512
#else
#define HL_STATIC_TLS_BYTES 65536
#endif
// The largest alignment of a variable in it. What is small may itself be loaded late, into static TLS that
// ld.so aligns to 64.
#if HL_STATIC_TLS_BYTES < 16384
#define HL_STATIC_TLS_ALIGNMENT 64
#else
#define HL_STATIC_TLS_ALIGNMENT 4096
#endif
// The calling thread's thread pointer (psABI: %fs:0).
const void *hl_own_thread_pointer(void);
// Offset of the block from the thread pointer (negative on x86-64).
int64_t hl_static_tls_offset(void);
// Module id and offset of the block, for __tls_get_addr. Returns 0 when they were found.
int hl_static_tls_module(uint64_t *module, uint64_t *offset);
// First bytes of a part of the block; the rest of it is zero.
typedef struct {
  size_t offset, size;
  const void *bytes;
  size_t count;
} hl_static_tls_piece;
// What the parts hold in the calling thread, in all that run and in those started from now on (glibc
// copies a new thread's static TLS from the image's PT_TLS). Nobody may be using them. A thread that
// does not answer a signal is written from outside. Returns 0 or errno; ETIMEDOUT with the id of a
// thread that could not be reached in `unreached`.
// Limit: a thread that another is just creating may start with the bytes from before.
int hl_static_tls_initialise(const hl_static_tls_piece *pieces, size_t count, int timeout_ms,
                             int *unreached);

// ---- thread-local variables of the process's libraries ----
typedef struct {
  uint64_t module, offset;  // for __tls_get_addr
  int64_t thread_offset;    // from the thread pointer, in this thread
  int is_static;            // and in every other
} hl_thread_variable;
// From its address in the calling thread, as dlsym tells it. Returns 0 or errno. The first question about a module
// touches its block here and starts a thread; later ones are answered from memory.
int hl_host_tls(const void *address, hl_thread_variable *variable);
// The same from module id and offset, as in a library's DTPMOD64 and DTPOFF64. ENOENT: no such
// module; ERANGE: beyond its end.
int hl_host_tls_offset(uint64_t module, uint64_t offset, hl_thread_variable *variable);

// ---- dynamic TLS for images that we load (psABI: general and local dynamic, TLS descriptors) ----
// What R_X86_64_DTPMOD64 and R_X86_64_DTPOFF64 fill in; also the argument of a dynamic descriptor.
typedef struct {
  uint64_t module, offset;
} hl_tls_index;
typedef struct {
  const char *name;     // for messages; copied
  uint64_t size;        // p_memsz
  uint64_t alignment;   // p_align, a power of two
  uint64_t skew;        // p_vaddr modulo p_align
  const void *image;    // first bytes; read when a thread first touches the module
  uint64_t image_size;  // p_filesz
} hl_tls_module;
#define HL_TLS_MOST_ALIGNMENT (1ull << 20)
#define HL_TLS_MOST_BYTES (1ull << 31)
// A module id that no other module ever had; never one of the process's own loader. Returns 0 or
// errno: EINVAL for facts that do not hold.
int hl_tls_module_create(const hl_tls_module *facts, uint64_t *id);
// Frees the blocks of all threads. No thread may be using the module; one that does later ends the
// process with a message that names it.
void hl_tls_module_drop(uint64_t id);
// Threads that have a block of the module.
size_t hl_tls_blocks(uint64_t id);
// The calling thread's block of the module, or NULL when it has none yet.
void *hl_tls_own_block(uint64_t id);
// `__tls_get_addr`: the calling thread's variable, for ids of ours and of the process's own loader.
// Keeps errno. First touch allocates, so like glibc's it is not async-signal-safe then.
void *hl_tls_get_addr(const hl_tls_index *index);
const void *hl_tls_get_addr_entry(void);
// Resolvers of TLS descriptors, by what the descriptor's second word is:
const void *hl_tls_descriptor(void);            // an offset from the thread pointer
const void *hl_tls_descriptor_dynamic(void);    // the address of an hl_tls_index
const void *hl_tls_descriptor_undefined(void);  // the address the variable shall have (weak: addend)
// The offset from the thread pointer that a descriptor, anybody's, gives for the calling thread.
int64_t hl_tls_descriptor_call(const void *descriptor);

// ---- destructors of thread_local objects in images that we load ----
// The addresses of an image, whose destructors are counted.
typedef struct hl_exit_range hl_exit_range;
// NULL without memory.
hl_exit_range *hl_exit_range_create(uintptr_t low, uintptr_t high);
// Destructors that wait for their threads to end.
size_t hl_exit_range_pending(hl_exit_range *range);
// Ends the range and calls release(owner), which may be NULL: at once, or on the thread that runs the
// last pending destructor, after it. Returns whether it was at once.
int hl_exit_range_close(hl_exit_range *range, void (*release)(void *owner), void *owner);
// `__cxa_thread_atexit`, `__cxa_thread_atexit_impl` (Itanium C++ ABI, 3.3.6): glibc's, which calls at
// thread exit in reverse order; counted if `dso_handle` lies in a range.
int hl_cxa_thread_atexit(void (*destructor)(void *), void *object, void *dso_handle);
const void *hl_cxa_thread_atexit_entry(void);

// ---- other threads ----
// A thread's name (Linux: /proc/self/task/ID/comm), empty when it is gone. `size` counts the NUL.
void hl_task_name(int task, char *buffer, size_t size);
// Another thread's thread pointer, or 0: asked of the kernel, and searched above its stack pointer
// while it sleeps in a system call.
uintptr_t hl_thread_pointer(int task);
uintptr_t hl_thread_pointer_by_stack(int task);

// ---- registers and stacks ----
// Calls visit(context, lowest, highest) with the part of the calling thread's stack in use, after
// spilling its callee-saved registers onto it. Returns 0, or -1 when the stack's bounds are unknown.
int hl_scan_stack(void (*visit)(void *context, const uintptr_t *low, const uintptr_t *high),
                  void *context);
// From here on hl_scan_stack leaves out what lies deeper than the frame that calls this: functions of ours, whose
// frames are full of what the program's last frame left behind. Until hl_scan_from_top.
void hl_scan_from_caller(void);
void hl_scan_from_top(void);
// Has every other thread scan its own stack and registers in a signal handler. Threads in `skip`
// are left out. A thread stopped inside [stubs_low, stubs_high) stands between the load of the slot
// table and the jump: where it goes cannot be seen, so it counts as unknown. Returns the number of threads that did not answer within the time, or -1.
int hl_scan_threads(void (*visit)(void *context, const uintptr_t *low, const uintptr_t *high),
                    void *context, const int *skip, size_t skip_count, uintptr_t stubs_low,
                    uintptr_t stubs_high, int timeout_ms);

// Whose stack `visit` is being shown.
int hl_scan_subject(void);

// ---- calling what was linked ----
typedef struct {
  uint64_t number;
  double time;
  double dt;
  int32_t stop;
  int32_t reserved;
} hl_frame;
void hl_call_frame(const void *function, hl_frame *frame);
// What a hook of the program is told about a reload.
typedef struct {
  uint64_t from, to;             // generations: the one that ran, the one that runs next
  uint32_t units;                // how many changed, appeared or went
  uint32_t changed, added, removed;  // functions
  const char *unit;              // whose hook it is; NULL: the program's
} hl_reload;
void hl_call_hook(const void *function, hl_reload *reload);
void hl_call_initialiser(const void *function, int argc, char **argv, char **envp);
int hl_call_main(const void *function, int argc, char **argv, char **envp);
void hl_call_void(const void *function);
void hl_call_migration(
    const void *function, const void *old, size_t old_size, void *place, size_t size);
const void *hl_call_resolver(const void *function);
// A Swift symbol as a person reads it, to be freed; NULL when it is none or no runtime is there.
char *hl_demangle_swift(const char *name);
// Runs and forgets the handlers registered for a __dso_handle (Itanium C++ ABI: __cxa_finalize).
void hl_run_exit_handlers(const void *dso);
// `__cxa_atexit` and `atexit` for linked code, which keep who registered what.
const void *hl_cxa_atexit_entry(void);
const void *hl_atexit_entry(void);
// What was registered, with which argument, and the address from which it was.
typedef struct {
  const void *function, *argument, *caller;
} hl_exit_handler;
// Runs and forgets the handlers, newest first, that is_owned says yes to. It must not register any.
void hl_run_handlers_of(int (*is_owned)(void *context, const hl_exit_handler *handler),
                        void *context);
// Calls run(context) when the process exits, after the handlers registered later than this.
int hl_at_exit(void (*run)(void *context), void *context);
char **hl_environment(void);
// What the C library takes the program's name from (glibc: program_invocation_name).
void hl_name_program(const char *name);
// CommandLine.argc, .unsafeArgv and .arguments of a Swift runtime in the process, if there is one. The array is the one
// pointer that an Array of String is; it is taken over.
void hl_set_swift_arguments(int argc, char **argv, const void *array);
// Takes signal handlers out that lie in a library, by a part of its path, and their stack. Returns how many.
int hl_reset_handlers(const char *library);
// Begins at an entry as the kernel does (psABI AMD64, “Initial Stack and Register State”): `_start`.
_Noreturn void hl_enter_program(const void *entry, int argc, char **argv, char **envp);
// Return addresses of the calling thread, innermost first (glibc: backtrace). Returns how many.
int hl_call_stack(const void **addresses, int capacity);

// ---- the process's own loader ----
// STT_ type of the symbol that begins at an address, or -1 when the loader knows none; its size in bytes.
int hl_symbol_type(const void *address, uint64_t *size);
// One version of a symbol of the process (glibc: dlvsym), or NULL.
const void *hl_versioned_symbol(const char *name, const char *version);
// Path of the library an address lies in, or NULL.
const char *hl_image_path(const void *address);
// An image that the process's own loader has loaded (Linux: dl_iterate_phdr).
typedef struct {
  const char *name;  // empty: the main program
  uint64_t bias;     // run-time address minus virtual address
  const Elf64_Phdr *headers;
  uint64_t header_count;
  uint64_t tls_module;  // 0: no thread-local storage
} hl_host_image;
// Calls visit for every one, in the loader's order, with its lock held. Returns how many times images came
// and went since the start.
uint64_t hl_host_images(void (*visit)(void *context, const hl_host_image *image), void *context);
// The same number, without a visit.
uint64_t hl_host_image_changes(void);
// Where `part` first occurs in `bytes`, or NULL (glibc: memmem).
const void *hl_find(const void *bytes, size_t count, const void *part, size_t part_count);

// ---- what code in our images asks the loader ----
// One of our images, in a list that dl_iterate_phdr and the unwinder walk. Owned by the caller. It begins like
// glibc's struct link_map, because that is what programs take a handle of dlopen(3) for.
typedef struct hl_live_image {
  uint64_t bias;
  const char *name;
  const void *dynamic;
  struct hl_live_image *next, *previous;
  uintptr_t low, high;
  const Elf64_Phdr *headers;
  uint16_t header_count;
  uint64_t tls_module;        // 0: none, or a fixed place
  int64_t tls_thread_offset;  // of a fixed place, from the thread pointer; 0: none
  const void *unwind_header;  // .eh_frame_hdr, or NULL
  void *owner;                // handed to `describe`
} hl_live_image;
// Returns 0, or ENOMEM.
int hl_live_image_add(hl_live_image *image);
// When it returns, nobody walks the list over this image any more.
void hl_live_image_remove(hl_live_image *image);
// A stretch of memory of the program that objects were linked into.
typedef struct {
  uintptr_t start;
  size_t size;
  uint32_t flags;  // PF_R, PF_W, PF_X
} hl_program_segment;
// Shows that program to dl_iterate_phdr(3) of linked code, as one image that has these segments (at most 4) and the reserved
// part of the static TLS block. The name is copied. Again: with other segments.
void hl_live_program_set(const char *name, const hl_program_segment *segments, size_t count);
// From now on the process's libraries see it too, and our images. Those opened later do not.
void hl_live_program_show(void);
// What dladdr(3) tells of a symbol.
typedef struct {
  const char *symbol;
  const void *address;
  const Elf64_Sym *entry;
} hl_address_facts;
// Who knows our images. Called on the thread that asks.
typedef struct {
  // The symbol that an address of an image belongs to. Allocates nothing and waits for nobody: signal
  // handlers ask.
  void (*describe)(void *owner, const void *address, hl_address_facts *facts);
  // A handle, or NULL: with a message when it is ours and cannot be opened, without when it is not ours.
  void *(*open)(const char *file, int mode, const void *caller, char *message, size_t size);
  // 1 when the handle was ours.
  int (*close)(void *handle);
  // A symbol, or NULL: *is_ours says that nobody else is to be asked.
  const void *(*symbol)(void *handle, const char *name, const char *version, const void *caller,
                        int *is_ours);
  // What our images get for an address of the process.
  const void *(*replacement)(const void *address);
} hl_introspection;
void hl_set_introspection(const hl_introspection *functions);
// The functions of the process's loader that code in our images gets ours of; 0 beyond the last.
int hl_replacement(size_t index, const char **name, const void **function);

// ---- what libc keeps in its static part: no dlsym finds it ----
// What linked code gets instead of a function of the process, or NULL.
const void *hl_replaced_function(const char *name);
// Size of the variable that begins at an address, if it may be copied elsewhere: a program could hold its copy
// (psABI: R_X86_64_COPY). Returns 0, or -1.
int hl_copyable_size(const void *address, uint64_t *size);
// Leads every word of the process's images that is bound to the variable, or into it, to the copy.
void hl_redirect_words(const void *original, size_t size, const void *copy);
// Leads what the process's libraries call by a name, or hold the address of, to a function of ours: as if the program had one
// of that name. Libraries that are opened later are not touched.
void hl_interpose(const char *name, const void *function);
// The address of one of them by name, or NULL.
const void *hl_static_libc_function(const char *name);

// ---- debuggers: GDB's JIT interface ----
// Shows an ELF image in memory to a debugger until it is taken back; the image must stay meanwhile. From
// any thread, which the debugger stops for a moment. NULL when there is no memory.
typedef struct hl_debug_entry hl_debug_entry;
hl_debug_entry *hl_debug_register(const void *image, size_t size);
void hl_debug_unregister(hl_debug_entry *entry);
// The process that traces this one (Linux: TracerPid in /proc/self/status); 0: nobody.
int hl_tracer(void);
// Whether a debugger has a breakpoint where it is told of images.
int hl_debugger_listens(void);

// ---- compressed sections ----
// Unpack exactly `size` bytes (zlib, zstd). Returns 0; EINVAL for damaged data; ENOENT when the library
// is missing.
int hl_inflate(void *to, size_t size, const void *from, size_t count);
int hl_zstd_decompress(void *to, size_t size, const void *from, size_t count);

// ---- names ----
// What a compiler's name stands for (C++, Swift), to be freed; NULL when it is none of theirs.
char *hl_demangle(const char *name);

// ---- sockets in the file system, for the process's own user ----
// Makes a directory of mode 0700, or proves that there is one that belongs to this user alone. 0, or -errno.
int hl_private_directory(const char *path);
// A socket of mode 0600 that listens at a path which must not exist, or -errno.
int hl_local_listen(const char *path);
// A connection to it, or -errno.
int hl_local_connect(const char *path);
// The next connection, or -errno; who made it goes to user. Reads and writes on it give up after the time.
int hl_local_accept(int socket, uint32_t *user, int timeout_ms);
// Sends all of it without SIGPIPE. 0, or -errno.
int hl_local_send(int socket, const void *bytes, size_t count);

#endif
