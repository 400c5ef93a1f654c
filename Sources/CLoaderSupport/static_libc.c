// Functions that glibc links statically into every program (libc_nonshared.a), so that its shared
// object does not export them.
#define _GNU_SOURCE
#include "CLoaderSupport.h"
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// A thread's static TLS lies on its stack: a size that was enough for the program's own variables has to hold our
// block, too.
static int set_stack_size(pthread_attr_t *attributes, size_t size) {
  if (size < (size_t)PTHREAD_STACK_MIN) return EINVAL;
  return pthread_attr_setstacksize(attributes, size + HL_STATIC_TLS_BYTES);
}

const void *hl_replaced_function(const char *name) {
  if (!strncmp(name, "pthread_", 8) && !strcmp(name, "pthread_attr_setstacksize"))
    return set_stack_size;
  if (!strcmp(name, "__tls_get_addr")) return hl_tls_get_addr_entry();
  if (!strcmp(name, "__cxa_atexit")) return hl_cxa_atexit_entry();
  return NULL;
}

const void *hl_static_libc_function(const char *name) {
  if (!strcmp(name, "atexit")) return hl_atexit_entry();
  if (!strcmp(name, "at_quick_exit")) return at_quick_exit;
  if (!strcmp(name, "pthread_atfork")) return pthread_atfork;
  return NULL;
}
