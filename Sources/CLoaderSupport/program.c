// The process as the program it runs: its name, its signals, and a start without a C library.
#define _GNU_SOURCE
#include "CLoaderSupport.h"
#include <alloca.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

// glibc, program_invocation_name(3): assert, perror, getopt and error print it.
void hl_name_program(const char *name) {
  static char copy[4096];
  strncpy(copy, name, sizeof copy - 1);
  const char *slash = strrchr(copy, '/');
  program_invocation_name = copy;
  program_invocation_short_name = slash ? (char *)slash + 1 : copy;
}

// Swift keeps them in its own library. Its setters take one value each, and no `self`.
void hl_set_swift_arguments(int argc, char **argv, const void *array) {
  void (*set_count)(int) = dlsym(RTLD_DEFAULT, "$ss11CommandLineO5_argcs5Int32VvsZ");
  void (*set_vector)(char **) =
      dlsym(RTLD_DEFAULT, "$ss11CommandLineO11_unsafeArgvSpySpys4Int8VGSgGvsZ");
  void (*set_array)(const void *) =
      dlsym(RTLD_DEFAULT, "$ss11CommandLineO9argumentsSaySSGvsZ");
  if (!set_count || !set_vector || !set_array) return;
  set_vector(argv);
  set_count(argc);
  set_array(array);
}

int hl_reset_handlers(const char *library) {
  int count = 0;
  for (int number = 1; number < 32; number++) {
    struct sigaction action;
    Dl_info image;
    if (sigaction(number, NULL, &action) || action.sa_handler == SIG_DFL ||
        action.sa_handler == SIG_IGN)
      continue;
    if (!dladdr((void *)action.sa_handler, &image) || !strstr(image.dli_fname, library)) continue;
    signal(number, SIG_DFL);
    count++;
  }
  if (count) {
    stack_t none = {.ss_flags = SS_DISABLE};
    sigaltstack(&none, NULL);
  }
  return count;
}

_Noreturn void hl_enter_program(const void *entry, int argc, char **argv, char **envp) {
  // psABI AMD64, section 3.4.1: argc, argv, 0, envp, 0, the auxiliary vector; %rdx: nothing to do at exit.
  Elf64_auxv_t auxiliary[64];
  size_t pairs = 0, variables = 0;
  int file = open("/proc/self/auxv", O_RDONLY | O_CLOEXEC);
  if (file >= 0) {
    ssize_t got = read(file, auxiliary, sizeof auxiliary);
    if (got > 0) pairs = (size_t)got / sizeof *auxiliary;
    close(file);
  }
  while (pairs && auxiliary[pairs - 1].a_type == AT_NULL) pairs--;
  while (envp[variables]) variables++;
  size_t words = 1 + (size_t)argc + 1 + variables + 1 + 2 * (pairs + 1);
  uintptr_t *block =
      (uintptr_t *)(((uintptr_t)alloca(words * 8 + 16) + 15) & ~(uintptr_t)15);
  uintptr_t *next = block;
  *next++ = (uintptr_t)argc;
  for (int i = 0; i < argc; i++) *next++ = (uintptr_t)argv[i];
  *next++ = 0;
  for (size_t i = 0; i < variables; i++) *next++ = (uintptr_t)envp[i];
  *next++ = 0;
  for (size_t i = 0; i < pairs; i++) {
    *next++ = auxiliary[i].a_type;
    *next++ = auxiliary[i].a_un.a_val;
  }
  *next++ = AT_NULL;
  *next++ = 0;
  __asm__ volatile("mov %0, %%rsp\n\txor %%ebp, %%ebp\n\txor %%edx, %%edx\n\tjmp *%1"
                   :
                   : "a"(block), "c"(entry)
                   : "memory", "rdx");
  __builtin_unreachable();
}
