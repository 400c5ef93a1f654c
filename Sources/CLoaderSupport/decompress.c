// Unpacks compressed debug sections. The libraries are opened when there is one to unpack: programs
// without them carry nothing.
#include "CLoaderSupport.h"
#include <dlfcn.h>
#include <errno.h>

static void *function(const char *library, const char *name) {
  void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  return handle ? dlsym(handle, name) : NULL;
}

int hl_inflate(void *to, size_t size, const void *from, size_t count) {
  int (*uncompress)(void *, unsigned long *, const void *, unsigned long) =
      function("libz.so.1", "uncompress");
  if (!uncompress) return ENOENT;
  unsigned long filled = size;
  int status = uncompress(to, &filled, from, count);
  return status == 0 && filled == size ? 0 : EINVAL;
}

int hl_zstd_decompress(void *to, size_t size, const void *from, size_t count) {
  size_t (*decompress)(void *, size_t, const void *, size_t) =
      function("libzstd.so.1", "ZSTD_decompress");
  if (!decompress) return ENOENT;
  // An error code is a size that no memory has.
  return decompress(to, size, from, count) == size ? 0 : EINVAL;
}
