// What code in our images asks the loader: dladdr(3), dlsym(3), dlopen(3), dlclose(3), dlerror(3), dlinfo(3). Each
// answers for our images and passes everything else on to the process's own loader. A handle of ours is the
// address of an image's record, which glibc never hands out.
#define _GNU_SOURCE
#include "live_images.h"
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static hl_introspection answers;

void hl_set_introspection(const hl_introspection *functions) { answers = *functions; }

// ---- addresses ----

// 1 when the address lies in an image of ours.
static int describe_ours(const void *address, Dl_info *info, void **extra, int flags) {
  hl_address_facts facts = {0};
  // The image stays while the lock is held; what is told stays as long as the image, as glibc has it.
  hl_live_images_lock();
  hl_live_image *image = hl_live_image_at(address);
  if (image) {
    if (answers.describe) answers.describe(image->owner, address, &facts);
    info->dli_fname = image->name;
    info->dli_fbase = (void *)image->low;
    info->dli_sname = facts.symbol;
    info->dli_saddr = (void *)facts.address;
    if (extra && flags == RTLD_DL_SYMENT) *extra = (void *)facts.entry;
    if (extra && flags == RTLD_DL_LINKMAP) *extra = image;
  }
  hl_live_images_unlock();
  return image != NULL;
}

static int describe(const void *address, Dl_info *info) {
  return describe_ours(address, info, NULL, 0) || dladdr(address, info);
}

static int describe_more(const void *address, Dl_info *info, void **extra, int flags) {
  return describe_ours(address, info, extra, flags) || dladdr1(address, info, extra, flags);
}

// ---- errors: on the heap, as there is little static thread-local storage ----

struct error {
  char message[512], told[512];
};

static __thread struct error *error __attribute__((tls_model("initial-exec")));
static pthread_key_t error_key;
static pthread_once_t error_once = PTHREAD_ONCE_INIT;

static void drop_error(void *context) {
  error = NULL;
  free(context);
}
static void prepare_errors(void) { pthread_key_create(&error_key, drop_error); }

// Where a message goes; NULL without memory.
static char *message(void) {
  if (!error) {
    pthread_once(&error_once, prepare_errors);
    error = calloc(1, sizeof *error);
    if (error && pthread_setspecific(error_key, error)) {
      free(error);
      error = NULL;
    }
  }
  return error ? error->message : NULL;
}

// What follows is a new request: glibc forgets the error of the one before.
static void forget(void) {
  if (error) error->message[0] = 0;
}
// It was answered here.
static void forget_theirs(void) { (void)dlerror(); }

static void refuse(const char *format, ...) {
  forget_theirs();
  char *text = message();
  if (!text) return;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof error->message, format, arguments);
  va_end(arguments);
}

static char *last_error(void) {
  if (!error || !error->message[0]) return dlerror();
  memcpy(error->told, error->message, sizeof error->told);
  error->message[0] = 0;
  return error->told;
}

// ---- handles ----

static void *open_image(const char *file, int mode) {
  const void *caller = __builtin_return_address(0);
  forget();
  char *text = message();
  if (!file || !answers.open || !text) return dlopen(file, mode);
  void *handle = answers.open(file, mode, caller, text, sizeof error->message);
  if (handle || text[0]) {
    forget_theirs();
    return handle;
  }
  return dlopen(file, mode);
}

static int close_image(void *handle) {
  forget();
  if (!answers.close || !answers.close(handle)) return dlclose(handle);
  forget_theirs();
  return 0;
}

static void *find_from(void *handle, const char *name, const char *version, const void *caller) {
  forget();
  int is_ours = 0;
  const void *address =
      answers.symbol ? answers.symbol(handle, name, version, caller, &is_ours) : NULL;
  if (address) {
    forget_theirs();
    return (void *)address;
  }
  if (is_ours) {
    refuse("undefined symbol: %s%s%s", name, version ? ", version " : "", version ? version : "");
    return NULL;
  }
  address = version ? dlvsym(handle, name, version) : dlsym(handle, name);
  return (void *)(address && answers.replacement ? answers.replacement(address) : address);
}

static void *find_symbol(void *handle, const char *name) {
  return find_from(handle, name, NULL, __builtin_return_address(0));
}

static void *find_version(void *handle, const char *name, const char *version) {
  return find_from(handle, name, version, __builtin_return_address(0));
}

static int tell(void *handle, int request, void *result) {
  forget();
  hl_live_images_lock();
  hl_live_image *image = hl_live_image_of(handle);
  int known = 1;
  if (image) switch (request) {
      case RTLD_DI_LMID: *(Lmid_t *)result = LM_ID_BASE; break;
      case RTLD_DI_LINKMAP: *(void **)result = image; break;
      case RTLD_DI_TLS_MODID: *(size_t *)result = image->tls_module; break;
      case RTLD_DI_TLS_DATA:
        *(void **)result = image->tls_thread_offset
                               ? (char *)hl_own_thread_pointer() + image->tls_thread_offset
                               : hl_tls_own_block(image->tls_module);
        break;
      case RTLD_DI_ORIGIN: {
        const char *end = strrchr(image->name, '/');
        size_t size = end ? (size_t)(end - image->name) : 1;
        memcpy(result, end ? image->name : ".", size);
        ((char *)result)[size] = 0;
        break;
      }
      default: known = 0;
    }
  hl_live_images_unlock();
  if (!image) return dlinfo(handle, request, result);
  if (known) {
    forget_theirs();
    return 0;
  }
  refuse("unsupported dlinfo request");
  return -1;
}

static const struct {
  const char *name;
  const void *function;
} replacements[] = {
    {"dl_iterate_phdr", hl_dl_iterate_phdr}, {"_dl_find_object", hl_dl_find_object},
    {"dladdr", describe},                    {"dladdr1", describe_more},
    {"dlopen", open_image},                  {"dlclose", close_image},
    {"dlsym", find_symbol},                  {"dlvsym", find_version},
    {"dlerror", last_error},                 {"dlinfo", tell},
};

int hl_replacement(size_t index, const char **name, const void **function) {
  if (index >= sizeof replacements / sizeof *replacements) return 0;
  *name = replacements[index].name;
  *function = replacements[index].function;
  return 1;
}
