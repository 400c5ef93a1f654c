// Destructors of thread_local objects in images that we load: glibc runs them, in its order and at its
// time; we count them, so that an image is unmapped after the last one. Itanium C++ ABI, 3.3.6.
#define _GNU_SOURCE
#include "CLoaderSupport.h"
#include <pthread.h>
#include <stdlib.h>

extern int __cxa_thread_atexit_impl(void (*)(void *), void *, void *);

struct hl_exit_range {
  hl_exit_range *next, **link;
  uintptr_t low, high;
  size_t pending;
  int is_closed;
  void (*release)(void *);
  void *owner;
};

struct call {
  void (*destructor)(void *);
  void *object;
  hl_exit_range *range;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static hl_exit_range *ranges;  // under `lock`
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void before_fork(void) { pthread_mutex_lock(&lock); }
// In the child, counts of threads that are gone never fall: what they hold stays. That is safe.
static void after_fork(void) { pthread_mutex_unlock(&lock); }
static void prepare(void) { pthread_atfork(before_fork, after_fork, after_fork); }

hl_exit_range *hl_exit_range_create(uintptr_t low, uintptr_t high) {
  pthread_once(&once, prepare);
  hl_exit_range *range = calloc(1, sizeof *range);
  if (!range) return NULL;
  range->low = low;
  range->high = high;
  pthread_mutex_lock(&lock);
  range->next = ranges;
  range->link = &ranges;
  if (ranges) ranges->link = &range->next;
  ranges = range;
  pthread_mutex_unlock(&lock);
  return range;
}

size_t hl_exit_range_pending(hl_exit_range *range) {
  pthread_mutex_lock(&lock);
  size_t pending = range->pending;
  pthread_mutex_unlock(&lock);
  return pending;
}

// Takes the range out of the list when nothing holds it any more. Called with the lock held; lets it
// go first, as the owner's end may load or unload. Returns whether the owner went.
static int settle(hl_exit_range *range) {
  int is_over = range->is_closed && !range->pending;
  if (is_over) {
    *range->link = range->next;
    if (range->next) range->next->link = range->link;
  }
  pthread_mutex_unlock(&lock);
  if (!is_over) return 0;
  void (*release)(void *) = range->release;
  void *owner = range->owner;
  free(range);
  if (release) release(owner);
  return 1;
}

int hl_exit_range_close(hl_exit_range *range, void (*release)(void *), void *owner) {
  pthread_mutex_lock(&lock);
  range->is_closed = 1;
  range->release = release;
  range->owner = owner;
  return settle(range);
}

static void run(void *context) {
  struct call call = *(struct call *)context;
  free(context);
  call.destructor(call.object);
  pthread_mutex_lock(&lock);
  call.range->pending--;
  settle(call.range);
}

int hl_cxa_thread_atexit(void (*destructor)(void *), void *object, void *dso_handle) {
  uintptr_t address = (uintptr_t)dso_handle;
  pthread_mutex_lock(&lock);
  hl_exit_range *range = ranges;
  while (range && (address < range->low || address >= range->high)) range = range->next;
  // A closed range still takes destructors: one that runs may make another object.
  if (range) range->pending++;
  pthread_mutex_unlock(&lock);
  if (!range) return __cxa_thread_atexit_impl(destructor, object, dso_handle);
  struct call *call = malloc(sizeof *call);
  // Our own code is what glibc must keep loaded until then.
  int code = -1;
  if (call) {
    *call = (struct call){destructor, object, range};
    code = __cxa_thread_atexit_impl(run, call, (void *)&lock);
  }
  if (code) {
    free(call);
    pthread_mutex_lock(&lock);
    range->pending--;
    settle(range);
  }
  return code;
}

const void *hl_cxa_thread_atexit_entry(void) { return (const void *)hl_cxa_thread_atexit; }
