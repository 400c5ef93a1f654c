// Code in our images asks the loader about itself and about others, as libraries do: it must be answered as
// ld.so would answer, had ld.so loaded it. The same library opened with dlopen is the oracle.
import Glibc
import LoaderEngine
import Synchronization
import SystemPackage
import TestFixtures
import Testing

@Suite("Loaded code asks about itself")
struct IntrospectionTests {
  private typealias Ask = @convention(c) () -> Int32

  private final class Flag: Sendable {
    let value = Atomic(false)
  }

  @Test(
    "answers are those of the process's own loader",
    arguments: [
      ("is_listed", Int32(1)), ("knows_itself", 0), ("knows_libc", 0), ("next_is_other", 2),
      ("next_malloc", 1), ("by_default", 41), ("opens_other", 41), ("opens_system", 7),
      ("cannot_open", 0), ("finds_what_other_needs", 1), ("opens_itself", 1), ("opens_program", 1),
      ("success_forgets", 1), ("found_by_name", 1), ("next_version", 1), ("has_a_map", 0),
      ("knows_its_variables", 42), ("counts_changes", 1), ("unsized_is_a_byte", 1), ("unwinds", 3),
    ])
  func answers(question: String, expected: Int32) throws {
    setenv("INTROSPECT_EXTRA", try Self.extra.path(), 1)
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

  @Test("the images that are loaded are listed, with their segments")
  func listed() throws {
    let path = try Self.extra.path()
    func own() -> [Image] { LinkContext.loadedImages.filter { $0.name == path } }
    let before = own().count
    do {
      let image = try LinkContext().loadLibrary(FilePath(path))
      #expect(own().count == before + 1)
      let address = try #require(image.address(of: "extra_value"))
      let segment = try #require(image.segments.first { $0.range.contains(address) })
      #expect(segment.access.contains(.execute) && !segment.access.contains(.write))
    }
    #expect(own().count == before)
  }

  @Test("what was opened by an image stays until it is closed, though the image goes")
  func handles() throws {
    let opener = SharedObject(
      "introspect_opener",
      """
      #include <dlfcn.h>
      void *open_it(const char *path) { return dlopen(path, RTLD_NOW); }
      int close_it(void *handle) { return dlclose(handle); }
      """)
    typealias Open = @convention(c) (UnsafePointer<CChar>) -> UnsafeMutableRawPointer?
    typealias Close = @convention(c) (UnsafeMutableRawPointer) -> Int32
    let path = try Self.extra.path()
    func isThere() -> Bool { LinkContext.loadedImages.contains { $0.name == path } }
    let context = LinkContext()
    var handle: UnsafeMutableRawPointer?
    do {
      let image = try context.loadLibrary(FilePath(try opener.path()))
      handle = try image.symbol("open_it", as: Open.self).value(path)
    }
    #expect(handle != nil && isThere())
    let image = try LinkContext().loadLibrary(FilePath(try opener.path()))
    let close = try image.symbol("close_it", as: Close.self)
    #expect(close.value(try #require(handle)) == 0)
    #expect(!context.images.contains { $0.name == path })
  }

  @Test("a signal handler may ask while images come and go, and a child after a fork")
  func interrupted() async throws {
    let path = try Self.asking.path()
    let extra = try Self.extra.path()
    setenv("INTROSPECT_PATHS", "\(path):\(extra)", 1)
    await #expect(processExitsWith: .success) {
      let paths = try #require(getenv("INTROSPECT_PATHS").map { String(cString: $0) })
        .split(separator: ":").map(String.init)
      let image = try LinkContext().loadLibrary(FilePath(paths[0]))
      typealias Start = @convention(c) () -> Int32
      let watch = SharedObject(
        "introspect_watch",
        """
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <link.h>
        #include <signal.h>
        #include <sys/time.h>
        #include <sys/wait.h>
        #include <unistd.h>
        static volatile int asked, wrong;
        static int none(struct dl_phdr_info *info, size_t size, void *context) { return 0; }
        static void handler(int number) {
          Dl_info info;
          asked++;
          if (!dladdr((void *)handler, &info) || !info.dli_fname) wrong++;
          dl_iterate_phdr(none, 0);
        }
        int start(void) {
          struct itimerval often = {{0, 500}, {0, 500}};
          struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
          sigaction(SIGALRM, &action, 0);
          return setitimer(ITIMER_REAL, &often, 0);
        }
        int stop(void) {
          struct itimerval never = {{0, 0}, {0, 0}};
          setitimer(ITIMER_REAL, &never, 0);
          return wrong ? -1 : asked;
        }
        int child(void) {
          pid_t pid = fork();
          if (!pid) {
            Dl_info info;
            signal(SIGALRM, SIG_DFL);
            alarm(10);
            // glibc's own dl_iterate_phdr may hang there: not asked for.
            _exit(dladdr((void *)start, &info) && info.dli_sname ? 0 : 1);
          }
          int status = 0;
          waitpid(pid, &status, 0);
          return status;
        }
        """)
      let watcher = try LinkContext().loadLibrary(FilePath(try watch.path()))
      #expect(try watcher.symbol("start", as: Start.self).value() == 0)
      for _ in 0..<2000 { _ = try LinkContext().loadLibrary(FilePath(paths[1])) }
      #expect(try watcher.symbol("stop", as: Start.self).value() > 5)
      // Another thread walks while this one forks.
      let walking = try image.symbol("is_listed", as: Start.self)
      let isOver = Flag()
      let worker = Worker()
      let running = Worker.alongside(worker) {
        while !isOver.value.load(ordering: .relaxed) { _ = walking.value() }
      }
      let child = try watcher.symbol("child", as: Start.self)
      for _ in 0..<100 { #expect(child.value() == 0) }
      isOver.value.store(true, ordering: .relaxed)
      running.wait()
      worker.end()
    }
  }

  @Test("the call stack is told with images and symbols")
  func callStack() throws {
    let back = SharedObject(
      "introspect_back", flags: ["-fexceptions"],
      "int call_back(int (*f)(void)) { return f() + 1; }")
    typealias CallBack = @convention(c) (@convention(c) () -> Int32) -> Int32
    let image = try LinkContext().loadLibrary(FilePath(try back.path()))
    let result = try image.symbol("call_back", as: CallBack.self).value {
      let stack = AddressDescription.callStack()
      let found = stack.first { $0.place?.symbol == "call_back" }
      return found?.place?.image.hasSuffix("libintrospect_back.so") == true ? 1 : 0
    }
    #expect(result == 2)
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
    ], [false, true])
  func noEndMark(flags: [String], isFar: Bool) throws {
    let library = SharedObject(
      "endless", .gxx, flags: flags,
      """
      extern "C" int thrower(int x) { if (x > 1) throw x; return 0; }
      extern "C" int go(int x) { try { return thrower(x); } catch (int y) { return y * 2; } }
      """)
    var options = LinkContext.Options()
    if isFar { options.mapper = FarMapper() }
    let image = try LinkContext(options).loadLibrary(FilePath(try library.path()))
    let go: Symbol<@convention(c) (Int32) -> Int32> = try image.symbol("go")
    #expect(go.value(21) == 42)
    #expect(go.value(1) == 0)
  }

  /// Maps where the kernel would put nothing, so that what it chooses itself is out of reach of 32 bits.
  private final class FarMapper: Mapper {
    private static let places = Atomic<UInt64>(0x2000_0000_0000)

    func map(_ request: MappingRequest) throws(LinkError) -> any ImageMapping {
      var request = request
      request.fixedAddress = Address(
        FarMapper.places.add(1 << 32, ordering: .relaxed).oldValue)
      return try GuardedMapper().map(request)
    }
  }
}
