// Functions that glibc links statically into every program (libc_nonshared.a), so that its shared
// object does not export them.
#define _GNU_SOURCE
#include "CLoaderSupport.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

extern int __cxa_atexit(void (*)(void *), void *, void *);

static int exit_handler(void (*function)(void)) {
  return __cxa_atexit((void (*)(void *))function, NULL, NULL);
}

const void *hl_static_libc_function(const char *name) {
  if (!strcmp(name, "atexit")) return exit_handler;
  if (!strcmp(name, "at_quick_exit")) return at_quick_exit;
  if (!strcmp(name, "pthread_atfork")) return pthread_atfork;
  return NULL;
}
