// What code in our images asks the loader: dl_iterate_phdr(3), dladdr(3), dlsym(3), dlopen(3) and the unwinder's
// _dl_find_object. Each answers for our images and passes everything else on to the process's own loader.
#define _GNU_SOURCE
#include "CLoaderSupport.h"
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <string.h>

// Recursive, like glibc's: a callback may ask again. An image leaves the list only when nobody walks it.
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static hl_live_image *first, *last;
static unsigned long long adds, subs;
static hl_introspection answers;

void hl_live_image_add(hl_live_image *image) {
  pthread_mutex_lock(&lock);
  image->next = NULL;
  image->previous = last;
  if (last) last->next = image; else first = image;
  last = image;
  adds++;
  pthread_mutex_unlock(&lock);
}

void hl_live_image_remove(hl_live_image *image) {
  pthread_mutex_lock(&lock);
  if (image->previous) image->previous->next = image->next; else first = image->next;
  if (image->next) image->next->previous = image->previous; else last = image->previous;
  subs++;
  pthread_mutex_unlock(&lock);
}

void hl_set_introspection(const hl_introspection *functions) { answers = *functions; }

struct walk {
  int (*visit)(struct dl_phdr_info *, size_t, void *);
  void *context;
};

// Whoever keeps what it found (the unwinder) looks at these two numbers first.
static int count_ours(struct dl_phdr_info *info, size_t size, void *context) {
  struct walk *walk = context;
  info->dlpi_adds += adds;
  info->dlpi_subs += subs;
  return walk->visit(info, size, walk->context);
}

static int walk_images(int (*visit)(struct dl_phdr_info *, size_t, void *), void *context) {
  struct walk walk = {visit, context};
  int result = dl_iterate_phdr(count_ours, &walk);
  if (result) return result;
  pthread_mutex_lock(&lock);
  for (hl_live_image *image = first; image && !result; image = image->next) {
    struct dl_phdr_info info = {
        .dlpi_addr = image->bias,
        .dlpi_name = image->name,
        .dlpi_phdr = image->headers,
        .dlpi_phnum = image->header_count,
        .dlpi_adds = hl_host_image_changes() + adds,
        .dlpi_subs = subs,
        .dlpi_tls_modid = image->tls_module,
    };
    result = visit(&info, sizeof info, context);
  }
  pthread_mutex_unlock(&lock);
  return result;
}

static int describe(const void *address, Dl_info *info) {
  hl_address_facts facts;
  if (!answers.describe || !answers.describe(address, &facts)) return dladdr(address, info);
  info->dli_fname = facts.file;
  info->dli_fbase = (void *)facts.base;
  info->dli_sname = facts.symbol;
  info->dli_saddr = (void *)facts.address;
  return 1;
}

static int describe_more(const void *address, Dl_info *info, void **extra, int flags) {
  hl_address_facts facts;
  if (!answers.describe || !answers.describe(address, &facts))
    return dladdr1(address, info, extra, flags);
  if (extra) *extra = flags == RTLD_DL_SYMENT ? (void *)facts.entry : NULL;
  return describe(address, info);
}

static int find_object(void *address, struct dl_find_object *result) {
  if (_dl_find_object(address, result) == 0) return 0;
  int found = -1;
  pthread_mutex_lock(&lock);
  for (hl_live_image *image = first; image; image = image->next) {
    if ((uintptr_t)address < image->low || (uintptr_t)address >= image->high) continue;
    if (image->unwind_header) {
      memset(result, 0, sizeof *result);
      result->dlfo_map_start = (void *)image->low;
      result->dlfo_map_end = (void *)image->high;
      result->dlfo_eh_frame = (void *)image->unwind_header;
      found = 0;
    }
    break;
  }
  pthread_mutex_unlock(&lock);
  return found;
}

// ---- handles ----

static __thread char message[512] __attribute__((tls_model("initial-exec")));

static void *open_image(const char *file, int mode) {
  const void *caller = __builtin_return_address(0);
  message[0] = 0;
  if (file && answers.open) {
    void *handle = answers.open(file, mode, caller, message, sizeof message);
    if (handle) return handle;
    if (message[0]) return NULL;
  }
  return dlopen(file, mode);
}

static int close_image(void *handle) {
  message[0] = 0;
  if (answers.close && answers.close(handle)) return 0;
  return dlclose(handle);
}

static void *find_from(void *handle, const char *name, const char *version, const void *caller) {
  message[0] = 0;
  int is_ours = 0;
  void *address =
      answers.symbol ? (void *)answers.symbol(handle, name, version, caller, &is_ours) : NULL;
  if (address) return address;
  if (is_ours) {
    strcpy(message, "undefined symbol: ");
    strncat(message, name, sizeof message - strlen(message) - 1);
    return NULL;
  }
  return version ? dlvsym(handle, name, version) : dlsym(handle, name);
}

static void *find_symbol(void *handle, const char *name) {
  return find_from(handle, name, NULL, __builtin_return_address(0));
}

static void *find_version(void *handle, const char *name, const char *version) {
  return find_from(handle, name, version, __builtin_return_address(0));
}

static char *last_error(void) {
  static __thread char told[sizeof message] __attribute__((tls_model("initial-exec")));
  if (!message[0]) return dlerror();
  memcpy(told, message, sizeof told);
  message[0] = 0;
  return told;
}

static const struct {
  const char *name;
  const void *function;
} replacements[] = {
    {"dl_iterate_phdr", walk_images}, {"dladdr", describe},     {"dladdr1", describe_more},
    {"_dl_find_object", find_object}, {"dlopen", open_image},   {"dlclose", close_image},
    {"dlsym", find_symbol},           {"dlvsym", find_version}, {"dlerror", last_error},
};

int hl_replacement(size_t index, const char **name, const void **function) {
  if (index >= sizeof replacements / sizeof *replacements) return 0;
  *name = replacements[index].name;
  *function = replacements[index].function;
  return 1;
}
