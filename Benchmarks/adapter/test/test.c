// Every function of hotlink_loader.h, from a program that opens the library with dlopen. usage: test LIBRARY FOLDER,
// where FOLDER has libchain_a.so, which needs libchain_b.so.
#include "hotlink_loader.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUNCTIONS(F)                                                                                    \
  F(hotlink_load_file) F(hotlink_load_memory) F(hotlink_load_alone) F(hotlink_symbol)                   \
  F(hotlink_versioned_symbol) F(hotlink_name_of) F(hotlink_symbol_named) F(hotlink_range)               \
  F(hotlink_relocations) F(hotlink_unload) F(hotlink_error)
#define DECLARE(name) static __typeof__(&name) p_##name;
FUNCTIONS(DECLARE)

#define CHECK(condition)                                                                                \
  do {                                                                                                  \
    if (!(condition)) {                                                                                 \
      fprintf(stderr, "test.c:%d: %s\n  %s\n", __LINE__, #condition, p_hotlink_error());                \
      exit(1);                                                                                          \
    }                                                                                                   \
  } while (0)

static const char *folder;

static const char *path(const char *name) {
  static char paths[4][4096];
  static int next;
  char *place = paths[next++ % 4];
  snprintf(place, sizeof paths[0], "%s/%s", folder, name);
  return place;
}

static hotlink_bytes read_file(const char *name) {
  FILE *file = fopen(path(name), "rb");
  if (!file) exit(3);
  fseek(file, 0, SEEK_END);
  size_t size = ftell(file);
  rewind(file);
  char *bytes = malloc(size);
  if (fread(bytes, 1, size, file) != size) exit(3);
  fclose(file);
  return (hotlink_bytes){bytes, size, name};
}

static void check_image(hotlink_image *image) {
  CHECK(image);
  int (*answer)(int) = p_hotlink_symbol(image, "chain_answer");
  CHECK(answer && answer(1) == 42);
  CHECK(p_hotlink_symbol_named(image, p_hotlink_name_of("chain_answer")) == (void *)answer);
  CHECK(p_hotlink_name_of("chain_answer").size == 12);
  // In what it needs, by a version, and nowhere.
  int (*other)(int) = p_hotlink_symbol(image, "chain_other");
  CHECK(other && other(1) == 41);
  CHECK(p_hotlink_versioned_symbol(image, "chain_other", "CHAIN_1") == (void *)other);
  CHECK(!p_hotlink_versioned_symbol(image, "chain_other", "CHAIN_2"));
  CHECK(!p_hotlink_symbol(image, "chain_nowhere"));
  uint64_t start = 0, size = 0;
  p_hotlink_range(image, &start, &size);
  CHECK((uint64_t)answer - start < size);
  CHECK(p_hotlink_relocations(image) > 0);
}

int main(int count, char **arguments) {
  if (count != 3) return 2;
  folder = arguments[2];
  void *library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
#define FIND(name)                                                                                      \
  if (!(p_##name = (__typeof__(&name))dlsym(library, #name))) {                                         \
    fprintf(stderr, "no %s\n", #name);                                                                  \
    return 1;                                                                                           \
  }
  FUNCTIONS(FIND)

  for (int round = 0; round < 100; round++) {
    hotlink_image *image = p_hotlink_load_file(path("libchain_a.so"), round % 2 ? HOTLINK_LAZY : 0);
    check_image(image);
    // A new copy, not the one that is there.
    hotlink_image *again = p_hotlink_load_file(path("libchain_a.so"), 0);
    check_image(again);
    CHECK(p_hotlink_symbol(image, "chain_answer") != p_hotlink_symbol(again, "chain_answer"));
    p_hotlink_unload(image);
    check_image(again);
    p_hotlink_unload(again);

    hotlink_bytes files[] = {read_file("libchain_a.so"), read_file("libchain_b.so")};
    image = p_hotlink_load_memory(files, 2, 0);
    for (int i = 0; i < 2; i++) {
      memset((void *)files[i].bytes, 0xCC, files[i].size);
      free((void *)files[i].bytes);
    }
    check_image(image);
    p_hotlink_unload(image);
  }

  CHECK(!p_hotlink_load_file(path("none.so"), 0) && strstr(p_hotlink_error(), "none.so"));
  hotlink_bytes junk = {"junk", 4, "junk"};
  CHECK(!p_hotlink_load_memory(&junk, 1, 0) && *p_hotlink_error());
  CHECK(!p_hotlink_load_memory(&junk, 0, 0));

  // Alone: refused while the process has not what it needs.
  CHECK(!p_hotlink_load_alone(path("libchain_a.so"), 0));
  void *other = dlopen(path("libchain_b.so"), RTLD_NOW | RTLD_LOCAL);
  CHECK(other);
  hotlink_image *alone = p_hotlink_load_alone(path("libchain_a.so"), 0);
  check_image(alone);
  CHECK(p_hotlink_symbol(alone, "chain_other") == dlsym(other, "chain_other"));
  p_hotlink_unload(alone);
  p_hotlink_unload(NULL);
  puts("adapter: ok");
  return 0;
}
