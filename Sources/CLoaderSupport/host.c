// What the process's own loader knows about an address. Linux: dladdr1(3).
#define _GNU_SOURCE
#include "CLoaderSupport.h"
#include <dlfcn.h>
#include <link.h>

int hl_symbol_type(const void *address) {
  Dl_info info;
  ElfW(Sym) *symbol = NULL;
  if (!dladdr1(address, &info, (void **)&symbol, RTLD_DL_SYMENT)) return -1;
  if (!symbol || info.dli_saddr != address) return -1;
  return ELF64_ST_TYPE(symbol->st_info);
}

const char *hl_image_path(const void *address) {
  Dl_info info;
  return dladdr(address, &info) ? info.dli_fname : NULL;
}
