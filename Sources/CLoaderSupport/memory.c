// System calls that glibc hides behind feature macros, and a few that must not be Swift.
#define _GNU_SOURCE
#include "CLoaderSupport.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/mman.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/single_threaded.h>
#include <sys/syscall.h>
#include <unistd.h>

int hl_memfd_create(const char *name) { return memfd_create(name, MFD_CLOEXEC); }

void *hl_map_fixed_noreplace(void *address, size_t length, int protection, int flags, int fd,
                             off_t offset) {
  void *got = mmap(address, length, protection, flags | MAP_FIXED_NOREPLACE, fd, offset);
  if (got != MAP_FAILED && got != address) {  // kernels before 4.17 take it as a hint
    munmap(got, length);
    errno = EEXIST;
    return MAP_FAILED;
  }
  return got;
}

int hl_populate(void *address, size_t length, int write) {
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
  return madvise(address, length, write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ) ? errno : 0;
}

enum { huge_page = 2 << 20 };

static size_t whole_huge_pages(size_t size) {
  return size > SIZE_MAX - huge_page ? 0 : (size + huge_page - 1) & ~(size_t)(huge_page - 1);
}

void *hl_allocate_large(size_t size) {
  size = whole_huge_pages(size);
  if (size == 0) return NULL;
  const int protection = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;
  // Kernels from 6.7 on place it where huge pages fit.
  char *start = mmap(NULL, size, protection, flags, -1, 0);
  if (start == MAP_FAILED) return NULL;
  size_t outside = (size_t)(-(uintptr_t)start & (huge_page - 1));
  if (outside != 0) {
    munmap(start, size);
    start = mmap(NULL, size + huge_page, protection, flags, -1, 0);
    if (start == MAP_FAILED) return NULL;
    outside = (size_t)(-(uintptr_t)start & (huge_page - 1));
    if (outside != 0) munmap(start, outside);
    start += outside;
    munmap(start + size, huge_page - outside);
  }
  (void)madvise(start, size, MADV_HUGEPAGE);  // best effort
  return start;
}

void hl_free_large(void *address, size_t size) { munmap(address, whole_huge_pages(size)); }

void hl_name_mapping(void *address, size_t length, const char *name) {
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif
  (void)prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, address, length, name);  // best effort, 5.17+
}

int hl_map_huge(void *address, size_t length) {
  // Set aside elsewhere first: a failing MAP_FIXED may already have unmapped what was there.
  void *fresh = mmap(NULL, length, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | (21 << MAP_HUGE_SHIFT), -1, 0);
  if (fresh == MAP_FAILED) return errno;
  if (mremap(fresh, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, address) != MAP_FAILED)
    return 0;
  int error = errno;  // kernels before 5.16 do not move huge pages
  munmap(fresh, length);
  // Ours again, should the target be gone; where it is not, this changes nothing.
  (void)hl_map_fixed_noreplace(address, length, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return error;
}

int hl_punch_hole(int fd, off_t offset, off_t length) {
  return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length) ? errno : 0;
}

// Both views are the same memory, so a byte written through one shows in the other at once (x86 keeps
// caches coherent by physical address), unless the view's page is a private copy.
size_t hl_hidden_page(void *alias, const void *view, size_t pages) {
  volatile unsigned char *written = alias;
  const volatile unsigned char *shown = view;
  for (size_t page = 0; page < pages; page++, written += 4096, shown += 4096) {
    unsigned char old = *written, other = (unsigned char)~*shown;
    *written = other;
    int is_hidden = *shown != other;
    *written = old;
    if (is_hidden) return page;
  }
  return pages;
}

enum { membarrier_sync_core = 1 << 5, membarrier_register_sync_core = 1 << 6 };

int hl_register_sync_cores(void) {
  static atomic_int registered;
  if (atomic_load_explicit(&registered, memory_order_acquire)) return 0;
  if (syscall(SYS_membarrier, membarrier_register_sync_core, 0, 0)) return errno;
  atomic_store_explicit(&registered, 1, memory_order_release);
  return 0;
}

// Code that reuses an address may still sit decoded in another core's pipeline.
int hl_sync_cores(void) {
  int error = hl_register_sync_cores();
  if (error) return error;
  return syscall(SYS_membarrier, membarrier_sync_core, 0, 0) ? errno : 0;
}

#ifdef __x86_64__
// Returns to the next instruction by IRET, one of the few instructions of user mode that serialise (Intel SDM
// volume 3, 9.3; CPUID is another, but costs a microsecond or more in a virtual machine).
static void serialise_this_core(void) {
  uint64_t scratch;
  __asm__ volatile(
      "leaq -128(%%rsp), %%rsp\n\t"  // the red zone is the compiler's
      "movq %%rsp, %0\n\t"
      "pushq $0\n\t"
      "movw %%ss, (%%rsp)\n\t"
      "pushq %0\n\t"
      "pushfq\n\t"
      "pushq $0\n\t"
      "movw %%cs, (%%rsp)\n\t"
      "leaq 1f(%%rip), %0\n\t"
      "pushq %0\n\t"
      "iretq\n"
      "1:\n\t"
      "leaq 128(%%rsp), %%rsp"
      : "=&r"(scratch)
      :
      : "cc", "memory");
}

// IRET would look for its frame on the shadow stack, too. RDSSP leaves zero where there is none.
static int has_shadow_stack(void) {
  uint64_t pointer = 0;
  __asm__ volatile("rdsspq %0" : "+r"(pointer));
  return pointer != 0;
}
#endif

// One thread, so no other core runs code of this process: this core serialises itself. A core that the thread
// moves to, or that a thread created later begins on, is serialised by the kernel when it switches to us,
// because the process is registered (Linux: membarrier_mm_sync_core_before_usermode). Threads that did not
// come from pthread_create are not counted by glibc: who makes them must not use them to run loaded code.
int hl_sync_rewritten(void) {
#ifdef __x86_64__
  if (__libc_single_threaded && hl_register_sync_cores() == 0 && !has_shadow_stack()) {
    serialise_this_core();
    return 0;
  }
#endif
  return hl_sync_cores();
}

static atomic_uint forks, fork_depth;
static void count_fork(void) { atomic_fetch_add_explicit(&forks, 1, memory_order_relaxed); }
static void count_depth(void) { atomic_fetch_add_explicit(&fork_depth, 1, memory_order_relaxed); }
static void watch_forks(void) { (void)pthread_atfork(NULL, count_fork, count_depth); }

void hl_watch_forks(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)pthread_once(&once, watch_forks);
}

uint32_t hl_forks(void) { return atomic_load_explicit(&forks, memory_order_relaxed); }
uint32_t hl_fork_depth(void) { return atomic_load_explicit(&fork_depth, memory_order_relaxed); }

const void *hl_find(const void *bytes, size_t count, const void *part, size_t part_count) {
  return memmem(bytes, count, part, part_count);
}

void hl_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

_Noreturn void hl_fatal(const char *what, const char *name) {
  fprintf(stderr, "hotlink: fatal: %s '%s'\n", what, name);
  abort();
}

void hl_warn(const char *what, const char *name) {
  fprintf(stderr, "hotlink: %s '%s'\n", what, name);
}

int hl_processors(void) {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

int hl_gettid(void) { return (int)syscall(SYS_gettid); }
