// A program finds itself among the images of the process, as runtimes and collectors do.
#define _GNU_SOURCE
#include <link.h>
#include <stdint.h>
#include <stdio.h>

static int data = 1, zero;
static const int constant = 2;
static __thread int local = 3;
static int images, found_code, found_data, found_zero, found_constant, found_local;

static int is_in(const struct dl_phdr_info *image, const void *address, uint32_t flags) {
  for (int i = 0; i < image->dlpi_phnum; i++) {
    const ElfW(Phdr) *header = &image->dlpi_phdr[i];
    uintptr_t start = image->dlpi_addr + header->p_vaddr;
    if (header->p_type == PT_LOAD && (header->p_flags & flags) == flags && (uintptr_t)address >= start &&
        (uintptr_t)address - start < header->p_memsz)
      return 1;
  }
  return 0;
}

static int is_local(const struct dl_phdr_info *image, const void *address) {
  for (int i = 0; i < image->dlpi_phnum; i++) {
    uintptr_t start = (uintptr_t)image->dlpi_tls_data;
    if (image->dlpi_phdr[i].p_type == PT_TLS && start && (uintptr_t)address >= start &&
        (uintptr_t)address - start < image->dlpi_phdr[i].p_memsz)
      return image->dlpi_tls_modid != 0;
  }
  return 0;
}

int main(void);

static int visit(struct dl_phdr_info *image, size_t size, void *context) {
  (void)size;
  (void)context;
  images++;
  if (!is_in(image, (const void *)(uintptr_t)main, PF_X)) return 0;
  found_code++;
  found_data += is_in(image, &data, PF_W);
  found_zero += is_in(image, &zero, PF_W);
  found_constant += is_in(image, &constant, PF_R);
  found_local += is_local(image, &local);
  return 0;
}

int main(void) {
  dl_iterate_phdr(visit, NULL);
  printf("%d %d %d %d %d %d\n", images > 3, found_code, found_data, found_zero, found_constant, found_local);
  return data + zero + constant + local;
}
