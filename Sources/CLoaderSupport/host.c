// What the process's own loader knows about an address. Linux: dladdr1(3).
#define _GNU_SOURCE
#include "CLoaderSupport.h"
#include <dlfcn.h>
#include <link.h>

int hl_symbol_type(const void *address, uint64_t *size) {
  Dl_info info;
  ElfW(Sym) *symbol = NULL;
  *size = 0;
  if (!dladdr1(address, &info, (void **)&symbol, RTLD_DL_SYMENT)) return -1;
  if (!symbol || info.dli_saddr != address) return -1;
  *size = symbol->st_size;
  return ELF64_ST_TYPE(symbol->st_info);
}

const void *hl_versioned_symbol(const char *name, const char *version) {
  return dlvsym(RTLD_DEFAULT, name, version);
}

const char *hl_image_path(const void *address) {
  Dl_info info;
  return dladdr(address, &info) ? info.dli_fname : NULL;
}

struct visit {
  void (*visit)(void *, const hl_host_image *);
  void *context;
  uint64_t changes;
};

static int visit_image(struct dl_phdr_info *info, size_t size, void *context) {
  struct visit *visit = context;
  (void)size;
  visit->changes = info->dlpi_adds + info->dlpi_subs;
  if (!visit->visit) return 1;
  hl_host_image image = {
      .name = info->dlpi_name ? info->dlpi_name : "",
      .bias = info->dlpi_addr,
      .headers = info->dlpi_phdr,
      .header_count = info->dlpi_phnum,
      .tls_module = info->dlpi_tls_modid,
  };
  visit->visit(visit->context, &image);
  return 0;
}

uint64_t hl_host_images(void (*visit)(void *, const hl_host_image *), void *context) {
  struct visit state = {visit, context, 0};
  dl_iterate_phdr(visit_image, &state);
  return state.changes;
}

uint64_t hl_host_image_changes(void) { return hl_host_images(NULL, NULL); }
