// Compilers' names in the words of their languages, by the runtimes that the process has: neither is linked
// for it, both are usually there (Itanium C++ ABI: __cxa_demangle; Swift: swift_demangle).
#define _GNU_SOURCE
#include "CLoaderSupport.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

char *hl_demangle(const char *name) {
  if (strncmp(name, "_Z", 2) == 0) {
    char *(*demangle)(const char *, char *, size_t *, int *) = dlsym(RTLD_DEFAULT, "__cxa_demangle");
    int status = 0;
    return demangle ? demangle(name, NULL, NULL, &status) : NULL;
  }
  if (strncmp(name, "$s", 2) == 0 || strncmp(name, "$e", 2) == 0) {
    char *(*demangle)(const char *, size_t, char *, size_t *, uint32_t) =
        dlsym(RTLD_DEFAULT, "swift_demangle");
    return demangle ? demangle(name, strlen(name), NULL, NULL, 0) : NULL;
  }
  return NULL;
}
