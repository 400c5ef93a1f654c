// Leads the process's images to another place of a variable, or to a function of ours: what ld.so does when a program
// has a COPY relocation, or a function of that name, done late. psABI AMD64, table 4.9; gABI, "Symbol Resolution".
#define _GNU_SOURCE
#include "CLoaderSupport.h"
#include <dlfcn.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int hl_copyable_size(const void *address, uint64_t *size) {
  Dl_info info;
  ElfW(Sym) *symbol = NULL;
  if (!dladdr1(address, &info, (void **)&symbol, RTLD_DL_SYMENT)) return -1;
  if (!symbol || info.dli_saddr != address || !symbol->st_size) return -1;
  if (ELF64_ST_TYPE(symbol->st_info) != STT_OBJECT) return -1;
  // A protected variable is reached by its own library without a word that could be led elsewhere.
  if (ELF64_ST_VISIBILITY(symbol->st_other) != STV_DEFAULT) return -1;
  *size = symbol->st_size;
  return 0;
}

struct move {
  uintptr_t from, to;
  size_t size;
};

static int is_writable(const struct dl_phdr_info *image, uintptr_t place) {
  uintptr_t at = place - image->dlpi_addr;
  int writable = 0;
  for (int i = 0; i < image->dlpi_phnum; i++) {
    const ElfW(Phdr) *header = &image->dlpi_phdr[i];
    if (at < header->p_vaddr || at - header->p_vaddr + sizeof(uintptr_t) > header->p_memsz)
      continue;
    if (header->p_type == PT_LOAD) writable = (header->p_flags & PF_W) != 0;
  }
  return writable;
}

static int is_sealed(const struct dl_phdr_info *image, uintptr_t place) {
  for (int i = 0; i < image->dlpi_phnum; i++) {
    const ElfW(Phdr) *header = &image->dlpi_phdr[i];
    if (header->p_type == PT_GNU_RELRO &&
        place - image->dlpi_addr - header->p_vaddr < header->p_memsz)
      return 1;
  }
  return 0;
}

static void store(const struct dl_phdr_info *image, uintptr_t place, uintptr_t value) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  void *start = (void *)(place & ~(page - 1));
  int sealed = is_sealed(image, place);
  if (sealed && mprotect(start, page, PROT_READ | PROT_WRITE)) return;
  __atomic_store_n((uintptr_t *)place, value, __ATOMIC_RELEASE);
  if (sealed) mprotect(start, page, PROT_READ);
}

static void visit_table(const struct dl_phdr_info *image, const ElfW(Rela) *table, size_t size,
                        const struct move *move) {
  for (size_t i = 0; i < size / sizeof *table; i++) {
    uint32_t type = (uint32_t)ELF64_R_TYPE(table[i].r_info);
    if (type != R_X86_64_GLOB_DAT && type != R_X86_64_64) continue;
    if (!ELF64_R_SYM(table[i].r_info)) continue;
    uintptr_t place = image->dlpi_addr + table[i].r_offset;
    if (place % sizeof(uintptr_t) || !is_writable(image, place)) continue;
    uintptr_t value = *(const uintptr_t *)place;
    if (value - move->from < move->size) store(image, place, value - move->from + move->to);
  }
}

struct tables {
  uintptr_t relocations, calls, symbols, strings, hash;
  size_t relocations_size, calls_size;
};

// glibc has made these addresses absolute; in the vDSO they are not: it has none.
static struct tables tables_of(const struct dl_phdr_info *image) {
  struct tables tables = {0};
  const ElfW(Dyn) *dynamic = NULL;
  for (int i = 0; i < image->dlpi_phnum; i++)
    if (image->dlpi_phdr[i].p_type == PT_DYNAMIC)
      dynamic = (const ElfW(Dyn) *)(image->dlpi_addr + image->dlpi_phdr[i].p_vaddr);
  for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++) switch (dynamic->d_tag) {
      case DT_RELA: tables.relocations = dynamic->d_un.d_ptr; break;
      case DT_RELASZ: tables.relocations_size = dynamic->d_un.d_val; break;
      case DT_JMPREL: tables.calls = dynamic->d_un.d_ptr; break;
      case DT_PLTRELSZ: tables.calls_size = dynamic->d_un.d_val; break;
      case DT_SYMTAB: tables.symbols = dynamic->d_un.d_ptr; break;
      case DT_STRTAB: tables.strings = dynamic->d_un.d_ptr; break;
      case DT_GNU_HASH: tables.hash = dynamic->d_un.d_ptr; break;
    }
  if (tables.relocations <= image->dlpi_addr) tables.relocations_size = 0;
  if (tables.calls <= image->dlpi_addr) tables.calls_size = 0;
  return tables;
}

static int visit_image(struct dl_phdr_info *image, size_t size, void *context) {
  (void)size;
  struct tables tables = tables_of(image);
  visit_table(image, (const ElfW(Rela) *)tables.relocations, tables.relocations_size, context);
  return 0;
}

void hl_redirect_words(const void *original, size_t size, const void *copy) {
  struct move move = {(uintptr_t)original, (uintptr_t)copy, size};
  dl_iterate_phdr(visit_image, &move);
}

// ---- functions ----

struct interposition {
  const char *name;
  uintptr_t function;
};

static void lead_calls(const struct dl_phdr_info *image, uintptr_t start, size_t size, uint32_t symbol,
                       uintptr_t function) {
  const ElfW(Rela) *table = (const ElfW(Rela) *)start;
  for (size_t i = 0; i < size / sizeof *table; i++) {
    uint32_t type = (uint32_t)ELF64_R_TYPE(table[i].r_info);
    if (type != R_X86_64_GLOB_DAT && type != R_X86_64_JUMP_SLOT && type != R_X86_64_64) continue;
    if (ELF64_R_SYM(table[i].r_info) != symbol) continue;
    uintptr_t place = image->dlpi_addr + table[i].r_offset;
    if (place % sizeof(uintptr_t) || !is_writable(image, place)) continue;
    store(image, place, function);
  }
}

static int interpose(struct dl_phdr_info *image, size_t size, void *context) {
  (void)size;
  const struct interposition *wanted = context;
  if (!image->dlpi_name || !image->dlpi_name[0]) return 0;  // the program: our own code
  struct tables tables = tables_of(image);
  if (tables.hash <= image->dlpi_addr || tables.symbols <= image->dlpi_addr) return 0;
  // What an image wants of others stands before what it defines, which the hash table begins with.
  uint32_t first = ((const uint32_t *)tables.hash)[1];
  const ElfW(Sym) *symbols = (const ElfW(Sym) *)tables.symbols;
  for (uint32_t i = 1; i < first; i++) {
    if (symbols[i].st_shndx != SHN_UNDEF) continue;
    if (strcmp((const char *)tables.strings + symbols[i].st_name, wanted->name)) continue;
    lead_calls(image, tables.relocations, tables.relocations_size, i, wanted->function);
    lead_calls(image, tables.calls, tables.calls_size, i, wanted->function);
  }
  return 0;
}

void hl_interpose(const char *name, const void *function) {
  struct interposition wanted = {name, (uintptr_t)function};
  dl_iterate_phdr(interpose, &wanted);
}
