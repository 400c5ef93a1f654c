// A reserved part of the static TLS block, so that initial-exec and local-exec code loaded late has
// thread-local storage at one offset from the thread pointer.
#define _GNU_SOURCE
#include "CLoaderSupport.h"
#include "threads.h"
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// Non-zero initial bytes keep the block in .tdata: its initialisation image can then be patched.
static __thread char block[HL_STATIC_TLS_BYTES]
    __attribute__((tls_model("initial-exec"), aligned(HL_STATIC_TLS_ALIGNMENT))) = {1};

int64_t hl_static_tls_offset(void) {
  return (int64_t)((uintptr_t)block - (uintptr_t)__builtin_thread_pointer());
}

struct found {
  uintptr_t block, image;
  size_t image_size, module;
  uintptr_t offset;
  uintptr_t relro_low, relro_high;  // what the loader has made read-only
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
  }
  if (!found->module) return 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    if (info->dlpi_phdr[i].p_type != PT_GNU_RELRO) continue;
    found->relro_low = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
    found->relro_high = found->relro_low + info->dlpi_phdr[i].p_memsz;
  }
  return 1;
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

// Writes pieces into one thread's block.
struct writing {
  const hl_static_tls_piece *pieces;
  size_t count;
};

static void write_block(const struct writing *writing) {
  for (size_t i = 0; i < writing->count; i++) {
    const hl_static_tls_piece *piece = &writing->pieces[i];
    memcpy(block + piece->offset, piece->bytes, piece->count);
    memset(block + piece->offset + piece->count, 0, piece->size - piece->count);
  }
}

static void write_inside(void *context, const ucontext_t *machine) {
  (void)machine;
  write_block(context);
}

// Nobody uses these bytes before the code that names them is published, so another thread may write
// them. The thread may end meanwhile, so the kernel does it: a block that is gone is an error, no fault.
static int write_outside(void *context, int task) {
  const struct writing *writing = context;
  uintptr_t pointer = hl_thread_pointer(task);
  if (!pointer) pointer = hl_thread_pointer_by_stack(task);
  if (!pointer) return hl_task_exists(task) ? -1 : 0;
  uintptr_t start = pointer + (uintptr_t)hl_static_tls_offset();
  static const char zeros[HL_STATIC_TLS_BYTES];
  for (size_t i = 0; i < writing->count; i++) {
    const hl_static_tls_piece *piece = &writing->pieces[i];
    uintptr_t place = start + piece->offset;
    if (hl_store_safely(place, piece->bytes, piece->count) ||
        hl_store_safely(place + piece->count, zeros, piece->size - piece->count))
      return hl_task_exists(task) ? -1 : 0;
  }
  return 0;
}

// What new threads copy. Most of it lies in the read-only-after-relocation part of the host; nothing
// executes from it.
static int patch_image(const struct writing *writing) {
  struct found found;
  int error = locate(&found);
  if (error) return error;
  if (found.offset + sizeof block > found.image_size) return ENOTSUP;
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  // As ld.so: whole pages, both ends rounded down.
  uintptr_t low = found.image & ~(page - 1), high = found.relro_high & ~(page - 1);
  uintptr_t end = (found.image + sizeof block + page - 1) & ~(page - 1);
  if (low < (found.relro_low & ~(page - 1))) low = found.relro_low & ~(page - 1);
  if (high > end) high = end;
  int is_protected = low < high;
  if (is_protected && mprotect((void *)low, high - low, PROT_READ | PROT_WRITE)) return errno;
  char *image = (char *)found.image;
  for (size_t i = 0; i < writing->count; i++) {
    const hl_static_tls_piece *piece = &writing->pieces[i];
    memcpy(image + piece->offset, piece->bytes, piece->count);
    memset(image + piece->offset + piece->count, 0, piece->size - piece->count);
  }
  return is_protected && mprotect((void *)low, high - low, PROT_READ) ? errno : 0;
}

// A pass visits those that the passes before did not; threads started before the image was patched
// show up in the second. A thread that is busy starting or ending is tried again until the deadline.
static int write_others(struct writing *writing, int timeout_ms, int *unreached) {
  hl_visit visit = {write_inside, write_outside, writing};
  hl_tasks reached = {0}, silent = {0};
  int64_t deadline = hl_now_us() + (int64_t)timeout_ms * 1000;
  int slice = timeout_ms < 20 ? timeout_ms : 20, error;
  for (;;) {
    size_t known = reached.count;
    silent.count = 0;
    error = hl_visit_threads(&visit, slice, &reached, &silent);
    size_t left = 0;
    for (size_t i = 0; i < silent.count && !error; i++) {
      if (write_outside(writing, silent.items[i])) silent.items[left++] = silent.items[i];
      else error = hl_tasks_add(&reached, silent.items[i]);
    }
    if (error || (!left && reached.count == known)) break;
    if (left && hl_now_us() >= deadline) {
      *unreached = silent.items[0];
      error = ETIMEDOUT;
      break;
    }
  }
  hl_tasks_free(&reached);
  hl_tasks_free(&silent);
  return error;
}

int hl_static_tls_initialise(const hl_static_tls_piece *pieces, size_t count, int timeout_ms,
                             int *unreached) {
  *unreached = 0;
  for (size_t i = 0; i < count; i++)
    if (pieces[i].offset > sizeof block || pieces[i].size > sizeof block - pieces[i].offset ||
        pieces[i].count > pieces[i].size)
      return ERANGE;
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  struct writing writing = {pieces, count};
  pthread_mutex_lock(&lock);
  int error = patch_image(&writing);
  if (!error) {
    write_block(&writing);
    error = write_others(&writing, timeout_ms, unreached);
  }
  pthread_mutex_unlock(&lock);
  return error;
}

const void *hl_own_thread_pointer(void) { return __builtin_thread_pointer(); }
