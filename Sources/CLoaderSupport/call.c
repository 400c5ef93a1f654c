// Calls into linked code, with the types that ld.so, crt1 and the runner use.
#define _GNU_SOURCE
#include "CLoaderSupport.h"
#include <dlfcn.h>
#include <execinfo.h>
#include <string.h>
#include <unistd.h>

extern void __cxa_finalize(void *);
extern int __cxa_atexit(void (*)(void *), void *, void *);

void hl_call_frame(const void *function, hl_frame *frame) {
  ((void (*)(hl_frame *))function)(frame);
}
void hl_call_hook(const void *function, hl_reload *reload) {
  ((void (*)(hl_reload *))function)(reload);
}
void hl_call_initialiser(const void *function, int argc, char **argv, char **envp) {
  ((void (*)(int, char **, char **))function)(argc, argv, envp);
}
int hl_call_main(const void *function, int argc, char **argv, char **envp) {
  return ((int (*)(int, char **, char **))function)(argc, argv, envp);
}
void hl_call_migration(
    const void *function, const void *old, size_t old_size, void *place, size_t size) {
  ((void (*)(const void *, size_t, void *, size_t))function)(old, old_size, place, size);
}
void hl_call_void(const void *function) { ((void (*)(void))function)(); }
const void *hl_call_resolver(const void *function) {
  return ((const void *(*)(void))function)();
}
void hl_run_exit_handlers(const void *dso) { __cxa_finalize((void *)dso); }
int hl_at_exit(void (*run)(void *), void *context) { return __cxa_atexit(run, context, NULL); }
char **hl_environment(void) { return environ; }
int hl_call_stack(const void **addresses, int capacity) {
  return backtrace((void **)addresses, capacity);
}
char *hl_demangle_swift(const char *name) {
  // Found by name: a host without Swift's runtime has none.
  typedef char *demangler(const char *, size_t, char *, size_t *, uint32_t);
  demangler *demangle = (demangler *)dlsym(RTLD_DEFAULT, "swift_demangle");
  return demangle ? demangle(name, strlen(name), NULL, NULL, 0) : NULL;
}
