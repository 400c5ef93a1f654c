// A reserved part of the static TLS block, so that initial-exec and local-exec code loaded late has
// thread-local storage at one offset from the thread pointer.
#define _GNU_SOURCE
#include "CLoaderSupport.h"
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// Non-zero initial bytes keep the block in .tdata: its initialisation image can then be patched.
static __thread char block[HL_STATIC_TLS_BYTES]
    __attribute__((tls_model("initial-exec"), aligned(64))) = {1};

int64_t hl_static_tls_offset(void) {
  return (int64_t)((uintptr_t)block - (uintptr_t)__builtin_thread_pointer());
}

struct found {
  uintptr_t block, image;
  size_t image_size, module;
  uintptr_t offset;
};

static int find(struct dl_phdr_info *info, size_t size, void *context) {
  struct found *found = context;
  if (size < offsetof(struct dl_phdr_info, dlpi_tls_data) + sizeof(void *)) return 0;
  uintptr_t base = (uintptr_t)info->dlpi_tls_data;
  if (!base) return 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    if (info->dlpi_phdr[i].p_type != PT_TLS) continue;
    if (found->block < base || found->block >= base + info->dlpi_phdr[i].p_memsz) continue;
    found->offset = found->block - base;
    found->image = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr + found->offset;
    found->image_size = info->dlpi_phdr[i].p_filesz;
    found->module = info->dlpi_tls_modid;
    return 1;
  }
  return 0;
}

static int locate(struct found *found) {
  memset(found, 0, sizeof *found);
  found->block = (uintptr_t)block;
  return dl_iterate_phdr(find, found) == 1 ? 0 : ENOENT;
}

int hl_static_tls_module(uint64_t *module, uint64_t *offset) {
  struct found found;
  int error = locate(&found);
  if (error) return error;
  *module = found.module;
  *offset = found.offset;
  return 0;
}

int hl_static_tls_initialise(size_t offset, const void *bytes, size_t count) {
  if (offset > sizeof block || count > sizeof block - offset) return ERANGE;
  struct found found;
  int error = locate(&found);
  if (error) return error;
  if (found.offset + sizeof block > found.image_size) return ENOTSUP;
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  uintptr_t low = (found.image + offset) & ~(page - 1);
  uintptr_t high = (found.image + offset + count + page - 1) & ~(page - 1);
  // The image lies in the read-only-after-relocation part of the host; nothing executes from it.
  if (mprotect((void *)low, high - low, PROT_READ | PROT_WRITE)) return errno;
  memcpy((void *)(found.image + offset), bytes, count);
  if (mprotect((void *)low, high - low, PROT_READ)) return errno;
  memcpy(block + offset, bytes, count);
  return 0;
}

// ---- thread-local variables of the host's libraries ----

struct tls_index {
  unsigned long module, offset;
};
extern void *__tls_get_addr(struct tls_index *);

struct containing {
  uintptr_t address;
  struct tls_index index;
};

static int find_containing(struct dl_phdr_info *info, size_t size, void *context) {
  struct containing *found = context;
  if (size < offsetof(struct dl_phdr_info, dlpi_tls_data) + sizeof(void *)) return 0;
  uintptr_t base = (uintptr_t)info->dlpi_tls_data;
  if (!base) return 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    if (info->dlpi_phdr[i].p_type != PT_TLS) continue;
    if (found->address < base || found->address >= base + info->dlpi_phdr[i].p_memsz) continue;
    found->index.module = info->dlpi_tls_modid;
    found->index.offset = found->address - base;
    return 1;
  }
  return 0;
}

static int64_t offset_here(struct tls_index *index) {
  return (int64_t)((uintptr_t)__tls_get_addr(index) - (uintptr_t)__builtin_thread_pointer());
}

static void *offset_in_thread(void *context) {
  return (void *)(intptr_t)offset_here(context);
}

int hl_host_tls(const void *address, hl_thread_variable *variable) {
  struct containing found = {.address = (uintptr_t)address};
  if (dl_iterate_phdr(find_containing, &found) != 1) return ENOENT;
  variable->module = found.index.module;
  variable->offset = found.index.offset;
  variable->thread_offset = offset_here(&found.index);
  // In the static block it has one offset in every thread; ask another one.
  pthread_t thread;
  void *other;
  int error = pthread_create(&thread, NULL, offset_in_thread, &found.index);
  if (error) return error;
  pthread_join(thread, &other);
  variable->is_static = (int64_t)(intptr_t)other == variable->thread_offset;
  return 0;
}

const void *hl_thread_pointer(void) { return __builtin_thread_pointer(); }
