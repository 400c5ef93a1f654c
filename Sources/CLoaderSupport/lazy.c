// The C half of lazy binding: how much vector state to save, and errno kept.
#include "CLoaderSupport.h"
#include <cpuid.h>
#include <errno.h>

static hl_lazy_resolver resolve;

void hl_set_lazy_resolver(hl_lazy_resolver resolver) { resolve = resolver; }

// Read by lazy_x86_64.S.
uint64_t hl_xsave_mask;  // XCR0 without AMX (bits 17, 18) and PKRU (bit 9)
uint64_t hl_xsave_size;  // bytes of the standard-format area for that mask, a multiple of 64

void hl_lazy_prepare(void) {
  unsigned a, b, c, d;
  __cpuid_count(1, 0, a, b, c, d);
  if (!(c & (1u << 27))) {  // no OSXSAVE: FXSAVE's 512 bytes
    hl_xsave_mask = 0;
    hl_xsave_size = 512;
    return;
  }
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  uint64_t mask = (((uint64_t)high << 32) | low) & ~((1ull << 9) | (1ull << 17) | (1ull << 18));
  uint64_t size = 512 + 64;
  for (unsigned component = 2; component < 63; component++) {
    if (!(mask >> component & 1)) continue;
    __cpuid_count(0xd, component, a, b, c, d);
    uint64_t end = (uint64_t)b + a;
    if (end > size) size = end;
  }
  hl_xsave_mask = mask;
  hl_xsave_size = (size + 63) & ~63ull;
}

uint64_t hl_lazy_dispatch(uint64_t token) {
  int saved = errno;
  uint64_t target = resolve(token);
  errno = saved;
  return target;
}

const void *hl_lazy_entry_address(void) { return hl_lazy_entry; }

static hl_plt_resolver resolve_plt;

void hl_set_plt_resolver(hl_plt_resolver resolver) { resolve_plt = resolver; }

uint64_t hl_plt_dispatch(void *image, uint64_t index) {
  int saved = errno;
  uint64_t target = resolve_plt(image, index);
  errno = saved;
  return target;
}

extern const char hl_plt_entry[];
const void *hl_plt_entry_address(void) { return hl_plt_entry; }

static long return_zero(void) { return 0; }
const void *hl_null_function(void) { return return_zero; }
