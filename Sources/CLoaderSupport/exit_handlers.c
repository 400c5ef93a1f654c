// Handlers that linked code registers for the end of the process or of its part of it: who registered each is kept,
// so that a unit that is removed takes its own with it. Itanium C++ ABI, 3.3.6; atexit(3).
#define _GNU_SOURCE
#include "CLoaderSupport.h"
#include <pthread.h>
#include <stdlib.h>

extern int __cxa_atexit(void (*)(void *), void *, void *);

struct handler {
  void (*function)(void *);
  void *argument;
  const void *caller;
  struct handler *older;
  int has_run;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct handler *newest;  // under `lock`; never freed: the process's own list refers to them

static void run(void *context) {
  struct handler *handler = context;
  if (!__atomic_exchange_n(&handler->has_run, 1, __ATOMIC_ACQ_REL))
    handler->function(handler->argument);
}

static int add(void (*function)(void *), void *argument, void *dso, const void *caller) {
  struct handler *handler = malloc(sizeof *handler);
  if (!handler) return -1;
  *handler = (struct handler){.function = function, .argument = argument, .caller = caller};
  pthread_mutex_lock(&lock);
  handler->older = newest;
  newest = handler;
  pthread_mutex_unlock(&lock);
  return __cxa_atexit(run, handler, dso);
}

static int cxa_atexit(void (*function)(void *), void *argument, void *dso) {
  return add(function, argument, dso, __builtin_return_address(0));
}

static int plain_atexit(void (*function)(void)) {
  return add((void (*)(void *))function, NULL, NULL, __builtin_return_address(0));
}

const void *hl_cxa_atexit_entry(void) { return (const void *)cxa_atexit; }
const void *hl_atexit_entry(void) { return (const void *)plain_atexit; }

void hl_run_handlers_of(int (*is_owned)(void *context, const hl_exit_handler *handler),
                        void *context) {
  for (;;) {
    struct handler *found;
    pthread_mutex_lock(&lock);
    for (found = newest; found; found = found->older)
      if (!__atomic_load_n(&found->has_run, __ATOMIC_ACQUIRE) &&
          is_owned(context, &(hl_exit_handler){(const void *)found->function, found->argument,
                                               found->caller}))
        break;
    pthread_mutex_unlock(&lock);
    if (!found) return;
    run(found);  // without the lock: it may register others
  }
}
