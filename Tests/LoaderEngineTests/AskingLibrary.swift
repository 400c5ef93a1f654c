// A library that asks the loader about itself and about others in every way that libraries do, and judges the
// answers. It must judge alike whoever loaded it: ld.so or we.
import TestFixtures

extension IntrospectionTests {
  static let other = SharedObject(
    "introspect_other", "int other_value(void) { return 41; } int shared_name(void) { return 2; }")

  static let extra = SharedObject("introspect_extra", "int extra_value(void) { return 5; }")

  static let asking = SharedObject(
    "introspect", flags: ["-fexceptions"], needs: [other],
    """
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <link.h>
    #include <string.h>
    #include <stdlib.h>
    #include <unwind.h>
    #include <execinfo.h>
    int shared_name(void) { return 1; }
    static int found;
    static int visit(struct dl_phdr_info *info, size_t size, void *wanted) {
      for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + header->p_vaddr;
        if (header->p_type == PT_LOAD && (uintptr_t)wanted - start < header->p_memsz) found++;
      }
      return 0;
    }
    int is_listed(void) { found = 0; dl_iterate_phdr(visit, (void *)is_listed); return found; }
    int knows_itself(void) {
      Dl_info info;
      if (!dladdr((char *)is_listed + 1, &info)) return 1;
      if (!info.dli_sname || strcmp(info.dli_sname, "is_listed")) return 2;
      if (info.dli_saddr != (void *)is_listed) return 3;
      if (!strstr(info.dli_fname, "introspect")) return 4;
      return 0;
    }
    int knows_libc(void) {
      Dl_info info;
      if (!dladdr((void *)malloc, &info)) return 1;
      return strstr(info.dli_fname, "libc.so") ? 0 : 2;
    }
    int next_is_other(void) {
      int (*next)(void) = (int (*)(void))dlsym(RTLD_NEXT, "shared_name");
      return next ? next() : -1;
    }
    int next_malloc(void) {
      void *(*next)(size_t) = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
      return next == malloc;
    }
    int by_default(void) {
      int (*f)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "other_value");
      return f ? f() : -1;
    }
    int opens_other(void) {
      void *handle = dlopen("libintrospect_other.so", RTLD_NOW);
      if (!handle) return -1;
      int (*f)(void) = (int (*)(void))dlsym(handle, "other_value");
      int result = f ? f() : -2;
      if (dlsym(handle, "nobody_defines_this")) return -3;
      const char *message = dlerror();
      if (!message || !strstr(message, "nobody_defines_this")) return -4;
      if (dlerror()) return -5;
      return dlclose(handle) ? -6 : result;
    }
    int opens_system(void) {
      void *handle = dlopen("libm.so.6", RTLD_NOW);
      if (!handle) return -1;
      double (*f)(double) = (double (*)(double))dlsym(handle, "floor");
      int result = f ? (int)f(7.5) : -2;
      dlclose(handle);
      return result;
    }
    int finds_what_other_needs(void) {
      void *handle = dlopen("libintrospect_other.so", RTLD_NOW);
      int (*f)(void) = (int (*)(void))dlsym(handle, "shared_name");
      void *(*m)(size_t) = (void *(*)(size_t))dlsym(handle, "malloc");
      void *mine = dlsym(handle, "is_listed");
      dlclose(handle);
      return f && f() == 2 && m == malloc && !mine;
    }
    int opens_itself(void) {
      void *handle = dlopen("libintrospect.so", RTLD_NOW | RTLD_NOLOAD);
      void *again = dlopen("libintrospect.so", RTLD_NOW);
      int is_same = handle && handle == again && dlsym(handle, "is_listed") == (void *)is_listed;
      return is_same && !dlclose(handle) && !dlclose(again);
    }
    int opens_program(void) {
      void *handle = dlopen(NULL, RTLD_NOW);
      int found = handle && dlsym(handle, "malloc") == (void *)malloc;
      return found && !dlsym(handle, "other_value") && dlerror() && !dlclose(handle);
    }
    int success_forgets(void) {
      dlsym(RTLD_DEFAULT, "nobody_defines_this");
      void *handle = dlopen("libintrospect_other.so", RTLD_NOW);
      int forgotten = !dlerror();
      dlsym(handle, "nobody_defines_this");
      dlsym(RTLD_DEFAULT, "malloc");
      dlclose(handle);
      return forgotten && !dlerror();
    }
    int found_by_name(void) {
      int (*ask)(const void *, Dl_info *) =
          (int (*)(const void *, Dl_info *))dlsym(RTLD_DEFAULT, "dladdr");
      Dl_info info;
      return ask && ask((void *)is_listed, &info) && strstr(info.dli_fname, "introspect") != NULL;
    }
    int next_version(void) {
      void *next = dlvsym(RTLD_NEXT, "malloc", "GLIBC_2.2.5");
      return next == (void *)malloc && !dlvsym(RTLD_NEXT, "malloc", "GLIBC_1.0");
    }
    int has_a_map(void) {
      Dl_info info;
      struct link_map *map = NULL, *same = NULL;
      ElfW(Sym) *symbol = NULL;
      char origin[4096];
      if (!dladdr1((void *)is_listed, &info, (void **)&map, RTLD_DL_LINKMAP) || !map) return 1;
      if ((void *)map->l_addr != info.dli_fbase || strcmp(map->l_name, info.dli_fname)) return 2;
      if (map->l_ld->d_tag == 0) return 3;
      dladdr1((void *)is_listed, &info, (void **)&symbol, RTLD_DL_SYMENT);
      if (!symbol || info.dli_saddr != (char *)info.dli_fbase + symbol->st_value) return 4;
      void *handle = dlopen("libintrospect.so", RTLD_NOW);
      if (dlinfo(handle, RTLD_DI_LINKMAP, &same) || same != map) return 5;
      if (dlinfo(handle, RTLD_DI_ORIGIN, origin)) return 6;
      if (strncmp(origin, info.dli_fname, strlen(origin))) return 7;
      dlclose(handle);
      return strcmp(strrchr(info.dli_fname, '/'), "/libintrospect.so") ? 8 : 0;
    }
    __thread int counted = 3;
    static int visit_own(struct dl_phdr_info *info, size_t size, void *wanted) {
      for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + header->p_vaddr;
        if (header->p_type == PT_LOAD && (uintptr_t)wanted - start < header->p_memsz) found = 1;
      }
      if (!found) return 0;
      return info->dlpi_tls_modid && (char *)info->dlpi_tls_data <= (char *)&counted
          && (char *)&counted < (char *)info->dlpi_tls_data + 64 ? 42 : 7;
    }
    int knows_its_variables(void) {
      counted++;
      found = 0;
      return dl_iterate_phdr(visit_own, (void *)is_listed);
    }
    static unsigned long long changes, differing;
    static int visit_changes(struct dl_phdr_info *info, size_t size, void *unused) {
      if (changes && changes != info->dlpi_adds + info->dlpi_subs) differing++;
      changes = info->dlpi_adds + info->dlpi_subs;
      return 0;
    }
    int counts_changes(void) {
      changes = differing = 0;
      dl_iterate_phdr(visit_changes, NULL);
      unsigned long long before = changes;
      void *handle = dlopen(getenv("INTROSPECT_EXTRA"), RTLD_NOW);
      if (!handle || dlclose(handle)) return -1;
      changes = 0;
      dl_iterate_phdr(visit_changes, NULL);
      return changes > before && !differing;
    }
    __asm__(".globl unsized; unsized: nop; nop; nop; nop");
    extern char unsized[];
    int unsized_is_a_byte(void) {
      Dl_info at, behind;
      dladdr(unsized, &at);
      dladdr(unsized + 2, &behind);
      return at.dli_sname && !strcmp(at.dli_sname, "unsized")
          && (!behind.dli_sname || strcmp(behind.dli_sname, "unsized"));
    }
    static int sees, frames;
    static _Unwind_Reason_Code visit_frame(struct _Unwind_Context *context, void *unused) {
      Dl_info info;
      if (dladdr((char *)_Unwind_GetIP(context) - 1, &info) && info.dli_sname)
        sees |= !strcmp(info.dli_sname, "inner") | 2 * !strcmp(info.dli_sname, "unwinds");
      frames++;
      return _URC_NO_REASON;
    }
    __attribute__((noinline)) int inner(void) {
      void *stack[64];
      _Unwind_Backtrace(visit_frame, NULL);
      return backtrace(stack, 64) >= 4 && frames >= 4;
    }
    int unwinds(void) {
      sees = frames = 0;
      int enough = inner();
      return enough ? sees : -1;
    }
    int cannot_open(void) {
      if (dlopen("/nowhere/at/all.so", RTLD_NOW)) return 1;
      return dlerror() ? 0 : 2;
    }
    """)
}
