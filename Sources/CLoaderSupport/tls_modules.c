// Thread-local storage of images that we load ourselves: the general and local dynamic models. Each
// thread has a table of blocks, indexed by the low bits of a module's id and made at first touch.
// System V psABI for x86-64, "Thread-Local Storage"; Drepper, "ELF Handling For Thread-Local Storage".
#define _GNU_SOURCE
#include "CLoaderSupport.h"
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// An id is | 1 | generation: 39 | index: 24 |. The process's own loader counts from 1, so the top bit
// tells the two apart; a generation is used once, so the id of a dropped module stays dead.
enum { index_bits = 24, generation_bits = 39 };
#define OWN_ID (1ull << 63)
#define INDEX(id) ((size_t)((id) & ((1ull << index_bits) - 1)))

// Read by tls_x86_64.S: mask at 0, entries from 16 on, 16 bytes each.
struct entry {
  uint64_t id;
  char *block;
};
struct table {
  uint64_t mask;  // entries less one; a power of two less one
  struct thread *owner;
  struct entry entries[];
};
_Static_assert(offsetof(struct table, entries) == 16 && sizeof(struct entry) == 16, "asm");

struct thread {
  struct thread *next, **link;
  struct table *table;
  int task;
  int rounds;  // of key destructors it has survived
  int ending;  // counted in `ending`: it may end without another call of ours
};

struct module {
  hl_tls_module facts;  // with a name of our own
  uint64_t id;
  int is_alive;
};

static struct table nothing = {.mask = 0, .owner = NULL, .entries = {{0, NULL}}};

// Initial-exec: reached from any thread by one load, also where malloc would be wrong.
__thread struct table *hl_tls_table
    __attribute__((tls_model("initial-exec"), visibility("hidden"))) = &nothing;
static __thread int has_ended __attribute__((tls_model("initial-exec")));

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
// Under `lock`, like every table but for its own thread's reads.
static struct module *modules;
static size_t module_count, module_capacity;
static uint32_t *unused;
static size_t unused_count;
static uint64_t generation;
static struct thread *threads;
static size_t ending;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int prepared;  // errno of the preparation

// A signal handler may use thread-local variables too: it must never meet the lock held by the
// thread it interrupts. Faults stay open: the crash guard wants them.
static void block_signals(sigset_t *saved) {
  sigset_t all;
  sigfillset(&all);
  sigdelset(&all, SIGSEGV);
  sigdelset(&all, SIGBUS);
  sigdelset(&all, SIGFPE);
  sigdelset(&all, SIGILL);
  sigdelset(&all, SIGTRAP);
  sigdelset(&all, SIGABRT);
  pthread_sigmask(SIG_SETMASK, &all, saved);
}

static void unblock_signals(const sigset_t *saved) { pthread_sigmask(SIG_SETMASK, saved, NULL); }

static struct module *living(uint64_t id) {
  size_t index = INDEX(id);
  if (index >= module_count) return NULL;
  struct module *module = &modules[index];
  return module->is_alive && module->id == id ? module : NULL;
}

static void free_block(struct entry *entry) {
  struct module *module = living(entry->id);
  if (module) free(entry->block - module->facts.skew);
  entry->id = 0;
  entry->block = NULL;
}

// Forgets a thread with all its blocks. Under the lock.
static void forget(struct thread *thread) {
  struct table *table = thread->table;
  for (uint64_t i = 0; i <= table->mask; i++)
    if (table->entries[i].id) free_block(&table->entries[i]);
  *thread->link = thread->next;
  if (thread->next) thread->next->link = thread->link;
  if (thread->ending) ending--;
  free(table);
  free(thread);
}

static void mark_ending(struct thread *thread) {
  if (!thread->ending) ending++;
  thread->ending = 1;
}

// Threads that touched storage again when their last round of destructors was over.
static void reap(void) {
  if (!ending) return;
  pid_t process = getpid();
  for (struct thread *thread = threads, *next; thread; thread = next) {
    next = thread->next;
    // A number that a new thread has got meanwhile only defers this.
    if (thread->ending && syscall(SYS_tgkill, process, thread->task, 0) && errno == ESRCH)
      forget(thread);
  }
}

// The key's destructor. glibc runs it after the destructors of thread_local objects (__call_tls_dtors
// comes first). Other keys' destructors may still read variables, so the blocks stay until the last
// round (POSIX: at most PTHREAD_DESTRUCTOR_ITERATIONS).
static void thread_ends(void *context) {
  struct thread *thread = context;
  sigset_t saved;
  block_signals(&saved);
  pthread_mutex_lock(&lock);
  mark_ending(thread);
  if (++thread->rounds >= PTHREAD_DESTRUCTOR_ITERATIONS || pthread_setspecific(key, thread)) {
    hl_tls_table = &nothing;
    has_ended = 1;
    forget(thread);
  }
  pthread_mutex_unlock(&lock);
  unblock_signals(&saved);
}

static void before_fork(void) { pthread_mutex_lock(&lock); }
static void after_fork_in_parent(void) { pthread_mutex_unlock(&lock); }
// The other threads are gone; their blocks stay, as what they point at and what points at them does.
static void after_fork_in_child(void) {
  if (hl_tls_table->owner) hl_tls_table->owner->task = hl_gettid();
  pthread_mutex_unlock(&lock);
}

static void prepare(void) {
  hl_lazy_prepare();  // the descriptor's slow path saves vector state
  prepared = pthread_key_create(&key, thread_ends);
  if (!prepared) prepared = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

static int grow_modules(void) {
  if (module_count < module_capacity) return 0;
  size_t capacity = module_capacity ? module_capacity * 2 : 16;
  if (capacity > (size_t)1 << index_bits) return EAGAIN;
  struct module *more = realloc(modules, capacity * sizeof *modules);
  if (!more) return ENOMEM;
  modules = more;
  uint32_t *places = realloc(unused, capacity * sizeof *unused);
  if (!places) return ENOMEM;
  unused = places;
  module_capacity = capacity;
  return 0;
}

static int add(const hl_tls_module *facts, char *name, uint64_t *id) {
  int error = unused_count ? 0 : grow_modules();
  if (error) return error;
  if (generation >> generation_bits) return EAGAIN;
  size_t index = module_count;
  if (unused_count) {
    index = unused[--unused_count];
    free((void *)modules[index].facts.name);
  } else {
    module_count++;
  }
  *id = OWN_ID | generation++ << index_bits | index;
  modules[index] = (struct module){.facts = *facts, .id = *id, .is_alive = 1};
  modules[index].facts.name = name;
  return 0;
}

int hl_tls_module_create(const hl_tls_module *facts, uint64_t *id) {
  uint64_t alignment = facts->alignment;
  if (!alignment || alignment & (alignment - 1) || alignment > HL_TLS_MOST_ALIGNMENT) return EINVAL;
  if (facts->size > HL_TLS_MOST_BYTES || facts->image_size > facts->size) return EINVAL;
  if (facts->skew >= alignment || (facts->image_size && !facts->image)) return EINVAL;
  pthread_once(&once, prepare);
  if (prepared) return prepared;
  char *name = strdup(facts->name ? facts->name : "");
  if (!name) return ENOMEM;
  sigset_t saved;
  block_signals(&saved);
  pthread_mutex_lock(&lock);
  int error = add(facts, name, id);
  pthread_mutex_unlock(&lock);
  unblock_signals(&saved);
  if (error) free(name);
  return error;
}

void hl_tls_module_drop(uint64_t id) {
  sigset_t saved;
  block_signals(&saved);
  pthread_mutex_lock(&lock);
  struct module *module = living(id);
  if (module) {
    size_t index = INDEX(id);
    for (struct thread *thread = threads; thread; thread = thread->next) {
      if (index > thread->table->mask) continue;
      struct entry *entry = &thread->table->entries[index];
      if (entry->id == id) free_block(entry);
    }
    module->is_alive = 0;  // id and name stay for the message, until the place is taken again
    unused[unused_count++] = (uint32_t)index;
    reap();
  }
  pthread_mutex_unlock(&lock);
  unblock_signals(&saved);
}

void *hl_tls_own_block(uint64_t id) {
  const struct entry *entry = &hl_tls_table->entries[INDEX(id) & hl_tls_table->mask];
  return id && entry->id == id ? entry->block : NULL;
}

size_t hl_tls_blocks(uint64_t id) {
  sigset_t saved;
  block_signals(&saved);
  pthread_mutex_lock(&lock);
  reap();
  size_t index = INDEX(id), count = 0;
  for (struct thread *thread = threads; thread; thread = thread->next)
    if (index <= thread->table->mask && thread->table->entries[index].id == id) count++;
  pthread_mutex_unlock(&lock);
  unblock_signals(&saved);
  return count;
}

// Called with the lock held; lets it go.
_Noreturn static void stale(uint64_t id) {
  char text[64];
  size_t index = INDEX(id);
  const char *name = NULL;
  if (index < module_count && modules[index].id == id) name = modules[index].facts.name;
  if (!name || !*name) {
    snprintf(text, sizeof text, "module %#llx", (unsigned long long)id);
    name = text;
  }
  pthread_mutex_unlock(&lock);
  hl_fatal("thread-local variable of an image that was unloaded", name);
}

// The calling thread's table with room for an index, or NULL without memory. Under the lock.
static struct table *room_for(size_t index) {
  struct table *old = hl_tls_table;
  if (old->owner && index <= old->mask) return old;
  uint64_t count = 8;
  while (count <= index) count *= 2;
  struct table *table = calloc(1, sizeof *table + count * sizeof(struct entry));
  if (!table) return NULL;
  table->mask = count - 1;
  struct thread *thread = old->owner;
  if (thread) {
    memcpy(table->entries, old->entries, (old->mask + 1) * sizeof(struct entry));
    free(old);
  } else {
    thread = calloc(1, sizeof *thread);
    if (!thread) {
      free(table);
      return NULL;
    }
    thread->task = hl_gettid();
    thread->next = threads;
    thread->link = &threads;
    if (threads) threads->link = &thread->next;
    threads = thread;
    if (has_ended || pthread_setspecific(key, thread)) mark_ending(thread);
  }
  table->owner = thread;
  thread->table = table;
  hl_tls_table = table;
  return table;
}

// A block with its first bytes: the image, then zeros. Outside the lock: the image may not be paged in.
static char *make_block(const hl_tls_module *facts) {
  size_t size = facts->skew + facts->size + 1;
  void *base;
  // New pages are zeroes: of a large block only what is used takes memory and time.
  if (facts->alignment <= 16) {
    // Other allocators than glibc's align less what is smaller.
    if (!(base = calloc(1, size < 16 ? 16 : size))) return NULL;
  } else {
    if (posix_memalign(&base, facts->alignment, size)) return NULL;
    memset(base, 0, size);
  }
  char *block = (char *)base + facts->skew;
  if (facts->image_size) memcpy(block, facts->image, facts->image_size);
  return block;
}

static char *find_or_make(uint64_t id) {
  struct table *table = hl_tls_table;
  size_t index = INDEX(id);
  // A handler may have come first, before signals were blocked.
  if (table->entries[index & table->mask].id == id) return table->entries[index & table->mask].block;
  pthread_mutex_lock(&lock);
  struct module *module = living(id);
  if (!module) stale(id);
  hl_tls_module facts = module->facts;
  reap();
  pthread_mutex_unlock(&lock);
  char *block = make_block(&facts);
  if (!block) hl_fatal("no memory for thread-local variables", facts.name);
  pthread_mutex_lock(&lock);
  if (!living(id)) stale(id);
  table = room_for(index);
  if (!table) hl_fatal("no memory for thread-local variables", "table");
  table->entries[index] = (struct entry){id, block};
  pthread_mutex_unlock(&lock);
  return block;
}

extern void *__tls_get_addr(hl_tls_index *);

// Entered from tls_x86_64.S when the thread's table has no such block.
__attribute__((visibility("hidden"))) void *hl_tls_slow(const hl_tls_index *index) {
  int error = errno;
  if (!(index->module & OWN_ID)) {
    void *address = __tls_get_addr((hl_tls_index *)index);
    errno = error;
    return address;
  }
  sigset_t saved;
  block_signals(&saved);
  char *block = find_or_make(index->module);
  unblock_signals(&saved);
  errno = error;
  return block + index->offset;
}

const void *hl_tls_get_addr_entry(void) { return (const void *)hl_tls_get_addr; }

extern const char hl_tls_descriptor_entry[];
extern const char hl_tls_descriptor_dynamic_entry[];
extern const char hl_tls_descriptor_undefined_entry[];
const void *hl_tls_descriptor(void) { return hl_tls_descriptor_entry; }
const void *hl_tls_descriptor_undefined(void) { return hl_tls_descriptor_undefined_entry; }
const void *hl_tls_descriptor_dynamic(void) {
  pthread_once(&once, prepare);
  return hl_tls_descriptor_dynamic_entry;
}
