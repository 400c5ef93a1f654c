// LoaderEngine for callers that speak C: load shared objects, look symbols up, unload. `make adapter` builds
// libhotlink_loader.so, which needs no Swift runtime beside it and can itself be opened with dlopen.
//
// Functions may be called from any thread. Where one fails it returns NULL, and `hotlink_error` says why.
#ifndef HOTLINK_LOADER_H
#define HOTLINK_LOADER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// A loaded image. Its code and data stay until `hotlink_unload`.
typedef struct hotlink_image hotlink_image;

// Functions are bound when they are first called (RTLD_LAZY); otherwise before the load returns (RTLD_NOW).
#define HOTLINK_LAZY 1
// Neither initialisers nor finalisers run.
#define HOTLINK_NO_INITIALISERS 2

// A shared object and what it needs: from its own directories ($ORIGIN in DT_RUNPATH), the search path, the process.
hotlink_image *hotlink_load_file(const char *path, int flags);

// Bytes of a file, for as long as the call that they are passed to.
typedef struct {
  const void *bytes;
  size_t size;
  const char *name;  // what others call it in DT_NEEDED, or a path that ends so
} hotlink_bytes;

// The first of `count` files in memory; the others serve what it needs, and what those need. What none of them is
// comes from the process or from files.
hotlink_image *hotlink_load_memory(const hotlink_bytes *files, size_t count, int flags);

// A shared object alone: everything that it needs must be in the process already.
hotlink_image *hotlink_load_alone(const char *path, int flags);

// The address of a symbol of an image, or of what it was loaded with, in that order; NULL: nobody defines it. Of a
// thread-local variable the calling thread's.
void *hotlink_symbol(const hotlink_image *image, const char *name);
// The same in a version (dlvsym).
void *hotlink_versioned_symbol(const hotlink_image *image, const char *name, const char *version);

// A name that was measured and hashed beforehand. `text` must stay.
typedef struct {
  const char *text;
  size_t size;
  uint32_t hash;
} hotlink_name;
hotlink_name hotlink_name_of(const char *text);
void *hotlink_symbol_named(const hotlink_image *image, hotlink_name name);

// Where an image lies, and how many relocations were applied to it and to what was loaded with it.
void hotlink_range(const hotlink_image *image, uint64_t *start, uint64_t *size);
size_t hotlink_relocations(const hotlink_image *image);

// Runs finalisers and unmaps. The handle is invalid then.
void hotlink_unload(hotlink_image *image);

// Why the last call of this thread failed; stays until the next one fails. Never NULL.
const char *hotlink_error(void);

#ifdef __cplusplus
}
#endif
#endif
