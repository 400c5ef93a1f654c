// Code in our images asks the loader about itself and about others, as libraries do: it must be answered as
// ld.so would answer, had ld.so loaded it. The same library opened with dlopen is the oracle.
import Glibc
import LoaderEngine
import SystemPackage
import TestFixtures
import Testing

@Suite("Loaded code asks about itself")
struct IntrospectionTests {
  private typealias Ask = @convention(c) () -> Int32

  private static let other = SharedObject(
    "introspect_other", "int other_value(void) { return 41; } int shared_name(void) { return 2; }")

  private static let asking = SharedObject(
    "introspect", flags: ["-ldl"], needs: [other],
    """
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <link.h>
    #include <string.h>
    #include <stdlib.h>
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
    int cannot_open(void) {
      if (dlopen("/nowhere/at/all.so", RTLD_NOW)) return 1;
      return dlerror() ? 0 : 2;
    }
    """)

  @Test(
    "answers are those of the process's own loader",
    arguments: [
      ("is_listed", Int32(1)), ("knows_itself", 0), ("knows_libc", 0), ("next_is_other", 2),
      ("next_malloc", 1), ("by_default", 41), ("opens_other", 41), ("opens_system", 7),
      ("cannot_open", 0),
    ])
  func answers(question: String, expected: Int32) throws {
    let image = try LinkContext().loadLibrary(FilePath(try Self.asking.path()))
    let ask: Symbol<Ask> = try image.symbol(question)
    let ours = ask.value()
    let handle = try #require(dlopen(try Self.asking.path(), RTLD_NOW | RTLD_LOCAL))
    defer { dlclose(handle) }
    let theirs = unsafeBitCast(try #require(dlsym(handle, question)), to: Ask.self)()
    #expect(theirs == expected)
    #expect(ours == expected)
  }

  @Test("an image that is gone is listed no more, and a handle keeps it")
  func lifetime() throws {
    var address: Address?
    do {
      let image = try LinkContext().loadLibrary(FilePath(try Self.other.path()))
      address = try image.symbol("other_value", as: Ask.self).address
      #expect(AddressDescription(try #require(address))?.symbol == "other_value")
      #expect(AddressDescription(try #require(address))?.image == image.name)
    }
    #expect(AddressDescription(try #require(address)) == nil)
  }

  @Test("addresses of the process's libraries are described too")
  func hostAddress() throws {
    let malloc = try #require(dlsym(nil, "malloc"))
    let found = try #require(AddressDescription(Address(UInt64(UInt(bitPattern: malloc)) + 1)))
    #expect(found.image.contains("libc.so"))
    #expect(found.symbolOffset == 1)
  }

  @Test(
    "exceptions pass through an image whose unwind table has no end mark",
    arguments: [
      ["-nostartfiles"], ["-nostartfiles", "-fuse-ld=lld"], ["-nostartfiles", "-static-libgcc"],
    ])
  func noEndMark(flags: [String]) throws {
    let library = SharedObject(
      "endless", .gxx, flags: flags,
      """
      extern "C" int thrower(int x) { if (x > 1) throw x; return 0; }
      extern "C" int go(int x) { try { return thrower(x); } catch (int y) { return y * 2; } }
      """)
    let image = try LinkContext().loadLibrary(FilePath(try library.path()))
    let go: Symbol<@convention(c) (Int32) -> Int32> = try image.symbol("go")
    #expect(go.value(21) == 42)
    #expect(go.value(1) == 0)
  }
}
