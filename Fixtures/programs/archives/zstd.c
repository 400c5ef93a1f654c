// zstd from its archive, with its hand-written assembly: a round trip at several levels, with a dictionary, broken.
// run:
// archives: libzstd.a
// link: -pthread
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zdict.h>

int main(void) {
  size_t size = 3 << 20, room = ZSTD_compressBound(size);
  char *source = malloc(size), *packed = malloc(room), *back = malloc(size);
  unsigned x = 1;
  for (size_t i = 0; i < size; i++) { x = x * 1103515245 + 12345; source[i] = i % 5 ? "etaoin shrdlu"[(x >> 16) % 13] : i >> 10; }
  for (int level = -3; level <= 19; level += 11) {
    size_t used = ZSTD_compress(packed, room, source, size, level);
    memset(back, 0, size);
    size_t got = ZSTD_decompress(back, size, packed, used);
    printf("%d %zu %zu %d\n", level, used, got, memcmp(source, back, size));
  }
  ZSTD_CCtx *context = ZSTD_createCCtx();
  printf("%d\n", ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_nbWorkers, 2)));
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  size_t used = ZSTD_compress2(context, packed, room, source, size);
  printf("%zu %d\n", ZSTD_decompress(back, size, packed, used), memcmp(source, back, size));
  packed[used / 2] ^= 0x40;
  printf("%s\n", ZSTD_getErrorName(ZSTD_decompress(back, size, packed, used)));
  ZSTD_freeCCtx(context);
  return 5;
}
