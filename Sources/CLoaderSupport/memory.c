// System calls that glibc hides behind feature macros, and a few that must not be Swift.
#define _GNU_SOURCE
#include "CLoaderSupport.h"
#include <errno.h>
#include <linux/mman.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
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

// Code that reuses an address may still sit decoded in another core's pipeline.
int hl_sync_cores(void) {
  enum { sync_core = 1 << 5, register_sync_core = 1 << 6 };
  static int registered;
  if (!registered) {
    if (syscall(SYS_membarrier, register_sync_core, 0, 0)) return errno;
    registered = 1;
  }
  return syscall(SYS_membarrier, sync_core, 0, 0) ? errno : 0;
}

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

int hl_gettid(void) { return (int)syscall(SYS_gettid); }
