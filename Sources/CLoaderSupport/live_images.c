// The images that we have loaded, for who asks by address or walks them all: dl_iterate_phdr(3), dladdr(3),
// dlinfo(3) and the unwinder's _dl_find_object. Each answers for our images and passes everything else on.
// The lock is recursive, as glibc's: a callback, or a signal handler, may ask again.
#define _GNU_SOURCE
#include "live_images.h"
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(offsetof(hl_live_image, bias) == offsetof(struct link_map, l_addr) &&
                   offsetof(hl_live_image, name) == offsetof(struct link_map, l_name) &&
                   offsetof(hl_live_image, dynamic) == offsetof(struct link_map, l_ld) &&
                   offsetof(hl_live_image, next) == offsetof(struct link_map, l_next) &&
                   offsetof(hl_live_image, previous) == offsetof(struct link_map, l_prev),
               "programs take a handle for a struct link_map");

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_once_t once = PTHREAD_ONCE_INIT;
// Under `lock`: in the order of loading, and by address.
static hl_live_image *first, *last;
static hl_live_image **sorted;
static size_t count, capacity;
static unsigned long long adds, subs;
// The program that objects were linked into: its segments, and its PT_TLS.
static struct {
  char name[PATH_MAX];
  Elf64_Phdr headers[5];
  uint16_t count;
  uint64_t tls_module;
} program;

// The child's only thread has another number, so it could not unlock what its parent's thread holds.
static void before_fork(void) { pthread_mutex_lock(&lock); }
static void in_parent(void) { pthread_mutex_unlock(&lock); }
static void in_child(void) {
  lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
}
static void prepare(void) { pthread_atfork(before_fork, in_parent, in_child); }

void hl_live_images_lock(void) { pthread_mutex_lock(&lock); }
void hl_live_images_unlock(void) { pthread_mutex_unlock(&lock); }

// The number of images that begin at or below an address.
static size_t position(uintptr_t address) {
  size_t low = 0, high = count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (sorted[middle]->low <= address) low = middle + 1; else high = middle;
  }
  return low;
}

hl_live_image *hl_live_image_at(const void *address) {
  size_t after = position((uintptr_t)address);
  return after && (uintptr_t)address < sorted[after - 1]->high ? sorted[after - 1] : NULL;
}

hl_live_image *hl_live_image_of(const void *handle) {
  for (hl_live_image *image = first; image; image = image->next)
    if (image == handle) return image;
  return NULL;
}

int hl_live_image_add(hl_live_image *image) {
  pthread_once(&once, prepare);
  pthread_mutex_lock(&lock);
  // Each step leaves a table that a signal handler on this thread can search.
  if (count == capacity) {
    size_t larger = capacity ? capacity * 2 : 64;
    hl_live_image **fresh = malloc(larger * sizeof *fresh), **old = sorted;
    if (!fresh) {
      pthread_mutex_unlock(&lock);
      return ENOMEM;
    }
    if (count) memcpy(fresh, old, count * sizeof *fresh);
    sorted = fresh;
    capacity = larger;
    free(old);
  }
  size_t at = position(image->low);
  memmove(&sorted[at + 1], &sorted[at], (count - at) * sizeof *sorted);
  sorted[at] = image;
  count++;
  image->next = NULL;
  image->previous = last;
  if (last) last->next = image; else first = image;
  last = image;
  adds++;
  pthread_mutex_unlock(&lock);
  return 0;
}

void hl_live_image_remove(hl_live_image *image) {
  pthread_mutex_lock(&lock);
  size_t at = position(image->low) - 1;
  memmove(&sorted[at], &sorted[at + 1], (count - at - 1) * sizeof *sorted);
  count--;
  if (image->previous) image->previous->next = image->next; else first = image->next;
  if (image->next) image->next->previous = image->previous; else last = image->previous;
  subs++;
  pthread_mutex_unlock(&lock);
}

// ---- dl_iterate_phdr ----

struct walk {
  int (*visit)(struct dl_phdr_info *, size_t, void *);
  void *context;
  unsigned long long adds, subs;
  void *program_tls;  // the calling thread's part of the module that the static block is in
};

// Whoever keeps what it found (the unwinder) looks at these two numbers first: they count ours too.
static int visit_theirs(struct dl_phdr_info *info, size_t size, void *context) {
  struct walk *walk = context;
  walk->adds = info->dlpi_adds += adds;
  walk->subs = info->dlpi_subs += subs;
  if (info->dlpi_tls_modid == program.tls_module) walk->program_tls = info->dlpi_tls_data;
  return walk->visit(info, size, walk->context);
}

static void unlock(void *context) {
  (void)context;
  pthread_mutex_unlock(&lock);
}

int hl_dl_iterate_phdr(int (*visit)(struct dl_phdr_info *, size_t, void *), void *context) {
  struct walk walk = {visit, context, 0, 0, NULL};
  int result = dl_iterate_phdr(visit_theirs, &walk);
  if (result) return result;
  pthread_mutex_lock(&lock);
  pthread_cleanup_push(unlock, NULL);
  for (hl_live_image *image = first; image && !result; image = image->next) {
    struct dl_phdr_info info = {
        .dlpi_addr = image->bias,
        .dlpi_name = image->name,
        .dlpi_phdr = image->headers,
        .dlpi_phnum = image->header_count,
        .dlpi_adds = walk.adds,
        .dlpi_subs = walk.subs,
        .dlpi_tls_modid = image->tls_module,
        .dlpi_tls_data = image->tls_thread_offset
                             ? (char *)hl_own_thread_pointer() + image->tls_thread_offset
                             : hl_tls_own_block(image->tls_module),
    };
    result = visit(&info, sizeof info, context);
  }
  if (!result && program.count) {
    struct dl_phdr_info info = {
        .dlpi_name = program.name,
        .dlpi_phdr = program.headers,
        .dlpi_phnum = program.count,
        .dlpi_adds = walk.adds,
        .dlpi_subs = walk.subs,
        .dlpi_tls_modid = program.tls_module,
        .dlpi_tls_data = walk.program_tls,
    };
    result = visit(&info, sizeof info, context);
  }
  pthread_cleanup_pop(1);
  return result;
}

void hl_live_program_set(const char *name, const hl_program_segment *segments, size_t segment_count) {
  uint64_t module = 0, offset = 0;
  int has_block = hl_static_tls_module(&module, &offset) == 0;
  pthread_mutex_lock(&lock);
  strncpy(program.name, name, sizeof program.name - 1);
  size_t limit = sizeof program.headers / sizeof *program.headers - 1;
  uint16_t filled = 0;
  for (size_t i = 0; i < segment_count && i < limit; i++)
    program.headers[filled++] = (Elf64_Phdr){.p_type = PT_LOAD,
                                             .p_flags = segments[i].flags,
                                             .p_vaddr = segments[i].start,
                                             .p_paddr = segments[i].start,
                                             .p_filesz = segments[i].size,
                                             .p_memsz = segments[i].size,
                                             .p_align = 4096};
  // The variables of objects lie in a block of the program that links them; so much of its segment is theirs, too.
  if (has_block)
    program.headers[filled++] = (Elf64_Phdr){.p_type = PT_TLS,
                                             .p_flags = PF_R,
                                             .p_memsz = offset + HL_STATIC_TLS_BYTES,
                                             .p_align = HL_STATIC_TLS_ALIGNMENT};
  if (!program.count) adds++;
  program.tls_module = module;
  program.count = filled;
  pthread_mutex_unlock(&lock);
}

void hl_live_program_show(void) { hl_interpose("dl_iterate_phdr", (const void *)hl_dl_iterate_phdr); }

// ---- the unwinder ----

int hl_dl_find_object(void *address, struct dl_find_object *result) {
  if (_dl_find_object(address, result) == 0) return 0;
  int found = -1;
  pthread_mutex_lock(&lock);
  hl_live_image *image = hl_live_image_at(address);
  if (image && image->unwind_header) {
    memset(result, 0, sizeof *result);
    result->dlfo_map_start = (void *)image->low;
    result->dlfo_map_end = (void *)image->high;
    result->dlfo_link_map = (struct link_map *)image;
    result->dlfo_eh_frame = (void *)image->unwind_header;
    found = 0;
  }
  pthread_mutex_unlock(&lock);
  return found;
}
