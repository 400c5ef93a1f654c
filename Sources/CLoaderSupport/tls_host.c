// Thread-local variables of the process's own libraries: which of them lie in the static block, at one
// offset from the thread pointer for all threads. glibc does not say, so two threads are compared.
#define _GNU_SOURCE
#include "CLoaderSupport.h"
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>

extern void *__tls_get_addr(hl_tls_index *);

// A module's block does not move, and never becomes another kind once it has been touched.
struct answer {
  uint64_t module;
  uintptr_t image;
  int64_t thread_offset;  // of the block, here
  int is_static;
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct answer *answers;  // under `lock`, for as long as no library has gone
static size_t answer_count, answer_capacity;
static unsigned long long unloaded;

struct search {
  uintptr_t address;  // looks for the block that holds it, or,
  uint64_t module;    // when zero, for this module
  uint64_t offset, size;
  uintptr_t image;
  unsigned long long unloaded;
};

static int examine(struct dl_phdr_info *info, size_t size, void *context) {
  struct search *search = context;
  if (size < offsetof(struct dl_phdr_info, dlpi_tls_data) + sizeof(void *)) return 0;
  if (!info->dlpi_tls_modid) return 0;
  uintptr_t base = (uintptr_t)info->dlpi_tls_data;
  if (!search->address && info->dlpi_tls_modid != search->module) return 0;
  if (search->address && (!base || search->address < base)) return 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    if (info->dlpi_phdr[i].p_type != PT_TLS) continue;
    search->size = info->dlpi_phdr[i].p_memsz;
    if (search->address) {
      if (search->address - base >= search->size) continue;
      search->module = info->dlpi_tls_modid;
      search->offset = search->address - base;
    }
    search->image = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
    search->unloaded = info->dlpi_subs;
    return 1;
  }
  return 0;
}

static int64_t block_offset(uint64_t module) {
  hl_tls_index index = {module, 0};
  return (int64_t)((uintptr_t)__tls_get_addr(&index) - (uintptr_t)__builtin_thread_pointer());
}

static void *block_offset_there(void *context) {
  return (void *)(intptr_t)block_offset(*(uint64_t *)context);
}

// Whether another thread has the block at the same offset.
static int compare(struct answer *answer) {
  answer->thread_offset = block_offset(answer->module);
  pthread_t thread;
  void *other;
  int error = pthread_create(&thread, NULL, block_offset_there, &answer->module);
  if (error) return error;
  pthread_join(thread, &other);
  answer->is_static = (int64_t)(intptr_t)other == answer->thread_offset;
  return 0;
}

static const struct answer *known(const struct search *search) {
  if (search->unloaded != unloaded) answer_count = 0;
  unloaded = search->unloaded;
  for (size_t i = 0; i < answer_count; i++)
    if (answers[i].module == search->module && answers[i].image == search->image)
      return &answers[i];
  return NULL;
}

static void remember(const struct answer *answer) {
  if (answer_count == answer_capacity) {
    size_t capacity = answer_capacity ? answer_capacity * 2 : 16;
    struct answer *more = realloc(answers, capacity * sizeof *more);
    if (!more) return;  // asked again next time
    answers = more;
    answer_capacity = capacity;
  }
  answers[answer_count++] = *answer;
}

static int describe(const struct search *search, hl_thread_variable *variable) {
  if (search->offset > search->size) return ERANGE;
  pthread_mutex_lock(&lock);
  const struct answer *found = known(search);
  struct answer answer = {.module = search->module, .image = search->image};
  int error = 0;
  if (found) {
    answer = *found;
  } else if (!(error = compare(&answer))) {
    remember(&answer);
  }
  pthread_mutex_unlock(&lock);
  if (error) return error;
  variable->module = search->module;
  variable->offset = search->offset;
  variable->is_static = answer.is_static;
  // A block that is not static is elsewhere in each thread.
  int64_t base = answer.is_static ? answer.thread_offset : block_offset(search->module);
  variable->thread_offset = base + (int64_t)search->offset;
  return 0;
}

int hl_host_tls(const void *address, hl_thread_variable *variable) {
  struct search search = {.address = (uintptr_t)address};
  if (!address || dl_iterate_phdr(examine, &search) != 1) return ENOENT;
  return describe(&search, variable);
}

int hl_host_tls_offset(uint64_t module, uint64_t offset, hl_thread_variable *variable) {
  struct search search = {.module = module, .offset = offset};
  if (!module || dl_iterate_phdr(examine, &search) != 1) return ENOENT;
  return describe(&search, variable);
}
