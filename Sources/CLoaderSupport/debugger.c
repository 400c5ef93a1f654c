// What a debugger is told of code made at run time: GDB's JIT interface (gdb manual, “JIT Compilation
// Interface”), which lldb reads, too. gdb stops at __jit_debug_register_code and looks at the descriptor.
#define _GNU_SOURCE
#include "CLoaderSupport.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NO_ACTION, REGISTER, UNREGISTER };

struct hl_debug_entry {
  struct hl_debug_entry *next, *previous;
  const void *image;
  uint64_t size;
};

struct descriptor {
  uint32_t version, action;
  struct hl_debug_entry *relevant, *first;
};

// Weak: a host that links another JIT (LLVM) defines them, and then there is one pair.
__attribute__((weak, noinline, visibility("default"))) void __jit_debug_register_code(void);
__attribute__((weak, noinline, visibility("default"))) void __jit_debug_register_code(void) {
  __asm__ volatile("" ::: "memory");
}
__attribute__((weak, visibility("default"))) struct descriptor __jit_debug_descriptor = {1, 0, 0, 0};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct descriptor *list;
static void (*tell)(void);

// The process's pair when a shared library has one; ours otherwise. Once: entries must not be split.
static void choose(void) {
  if (list) return;
  void *theirs = dlsym(RTLD_DEFAULT, "__jit_debug_descriptor");
  void *function = dlsym(RTLD_DEFAULT, "__jit_debug_register_code");
  if (theirs && function) {
    list = theirs;
    tell = (void (*)(void))function;
  } else {
    list = &__jit_debug_descriptor;
    tell = __jit_debug_register_code;
  }
}

hl_debug_entry *hl_debug_register(const void *image, size_t size) {
  hl_debug_entry *entry = malloc(sizeof *entry);
  if (!entry) return NULL;
  pthread_mutex_lock(&lock);
  choose();
  *entry = (hl_debug_entry){list->first, NULL, image, size};
  if (entry->next) entry->next->previous = entry;
  list->first = entry;
  list->relevant = entry;
  list->action = REGISTER;
  tell();
  list->action = NO_ACTION;
  pthread_mutex_unlock(&lock);
  return entry;
}

void hl_debug_unregister(hl_debug_entry *entry) {
  pthread_mutex_lock(&lock);
  if (entry->previous) entry->previous->next = entry->next;
  else list->first = entry->next;
  if (entry->next) entry->next->previous = entry->previous;
  list->relevant = entry;
  list->action = UNREGISTER;
  tell();
  list->relevant = NULL;
  list->action = NO_ACTION;
  pthread_mutex_unlock(&lock);
  free(entry);
}

int hl_debugger_listens(void) {
  pthread_mutex_lock(&lock);
  choose();
  unsigned char first = *(const volatile unsigned char *)tell;
  pthread_mutex_unlock(&lock);
  return first == 0xCC;  // int3
}

int hl_tracer(void) {
  char text[2048];
  int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  ssize_t size = read(file, text, sizeof text - 1);
  close(file);
  if (size <= 0) return 0;
  text[size] = 0;
  const char *found = strstr(text, "\nTracerPid:");
  return found ? atoi(found + 11) : 0;
}
