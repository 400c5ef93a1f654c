// Several threads load, bind and unload at once; whatever their turns, they must end up with what one after
// the other would have had. Linux: dlopen(3) is serialised by one lock, our loads are not.
import Foundation
import Glibc
import LoaderEngine
import Synchronization
import SystemPackage
import TestFixtures
import Testing

@Suite("Threads that load at once")
struct ParallelLoadTests {
  /// Threads that begin each turn together.
  final class Crowd: @unchecked Sendable {
    private let workers: [Worker]

    init(_ count: Int) { workers = (0..<count).map { _ in Worker() } }

    func run(_ body: @escaping @Sendable (Int) -> Void) {
      let gate = Gate(workers.count)
      let running = workers.enumerated().map { number, worker in
        Worker.alongside(worker) {
          gate.wait()
          body(number)
        }
      }
      for each in running { each.wait() }
    }

    /// One after the other.
    func end(from first: Int = 0) {
      for number in workers.indices { workers[(first + number) % workers.count].end() }
    }
  }

  /// Opens when all are there.
  private final class Gate: Sendable {
    private let missing: Atomic<Int>
    init(_ count: Int) { missing = Atomic(count) }
    func wait() {
      missing.subtract(1, ordering: .acquiringAndReleasing)
      while missing.load(ordering: .acquiring) > 0 {}
    }
  }

  static let common = SharedObject(
    "parallelcommon", "static long n; long count(void) { return ++n; }")
  static func user(_ number: Int) -> SharedObject {
    SharedObject(
      "paralleluser\(number)", needs: [common],
      "long count(void); long run\(number)(void) { return count(); }")
  }

  @Test("A library that all need is loaded once")
  func once() async {
    await #expect(processExitsWith: .success) {
      let paths = try (0..<4).map { FilePath(try ParallelLoadTests.user($0).path()) }
      let crowd = Crowd(4)
      for _ in 0..<100 {
        let context = LinkContext()
        let images = Mutex<[Image]>([])
        crowd.run { number in
          guard let image = try? context.loadLibrary(paths[number]) else { return }
          images.withLock { $0.append(image) }
        }
        let all = images.withLock { $0 }
        #expect(all.count == 4)
        #expect(context.images.count { $0.soname == "libparallelcommon.so" } == 1)
        #expect(context.images.count == 5)
        // One state for all.
        var turn = 0
        for number in 0..<4 {
          turn += 1
          let image = try #require(all.first { $0.address(of: "run\(number)") != nil })
          #expect(try image.call("run\(number)") == turn)
        }
      }
      crowd.end()
    }
  }

  /// Its initialiser takes its time, and says when it runs.
  static let slow = SharedObject(
    "parallelslow",
    """
    #include <unistd.h>
    volatile long begun, ready, runs;
    __attribute__((constructor)) static void slow(void) {
      begun = 1; runs++; usleep(200000); ready = 1;
    }
    long state(void) { return ready * 10 + runs; }
    """)
  static func slowUser(_ number: Int) -> SharedObject {
    SharedObject(
      "parallelslowuser\(number)", needs: [slow],
      """
      long state(void); static long seen;
      __attribute__((constructor)) static void look(void) { seen = state(); }
      long seen\(number)(void) { return seen; }
      """)
  }

  @Test("Nobody gets a library whose initialiser another thread is running")
  func halfInitialised() async {
    await #expect(processExitsWith: .success) {
      let paths = try (0..<3).map { FilePath(try ParallelLoadTests.slowUser($0).path()) }
      let slow = try ParallelLoadTests.slow.path()
      let opening = ParallelLoadTests.opener
      let crowd = Crowd(4)
      for round in 0..<6 {
        let context = LinkContext()
        let opener = try opening.load(in: context)
        let open: Symbol<Open> = try opener.symbol("open_it")
        let images = Mutex<[Image]>([])
        crowd.run { number in
          // One after the other, while the first is at it.
          usleep(UInt32(number) * UInt32(round) * 10_000)
          if number == 3 {
            let handle = open.value(slow)
            #expect(handle != nil)
            return
          }
          guard let image = try? context.loadLibrary(paths[number]) else { return }
          #expect((try? image.call("seen\(number)")) == 11)
          images.withLock { $0.append(image) }
        }
        #expect(images.withLock { $0.count } == 3)
        let library = try #require(context.images.first { $0.soname == "libparallelslow.so" })
        #expect(try library.call("state") == 11)
      }
      crowd.end()
    }
  }

  @Test("A child of fork loads, whatever initialisers its parent was running")
  func forked() async {
    await #expect(processExitsWith: .success) {
      let busy = SharedObject(
        "parallelbusy",
        """
        #include <stdlib.h>
        #include <unistd.h>
        __attribute__((constructor)) static void begin(void) {
          int pipe = atoi(getenv("PARALLEL_PIPE"));
          write(pipe, "x", 1); read(atoi(getenv("PARALLEL_END")), &pipe, 1);
        }
        """)
      var pipes: [Int32] = [0, 0, 0, 0]
      guard pipe(&pipes) == 0, pipe(&pipes[2]) == 0 else { exit(1) }
      // The first to say that it runs, the second to end it.
      setenv("PARALLEL_PIPE", "\(pipes[1])", 1)
      setenv("PARALLEL_END", "\(pipes[2])", 1)
      let path = FilePath(try busy.path())
      let other = FilePath(try ParallelLoadTests.user(0).path())
      guard let fork = dlsym(nil, "fork") else { exit(1) }
      let running = Worker()
      let loading = Worker.alongside(running) { _ = try? LinkContext().loadLibrary(path) }
      var byte: UInt8 = 0
      #expect(read(pipes[0], &byte, 1) == 1)
      let child = unsafeBitCast(fork, to: (@convention(c) () -> pid_t).self)()
      if child == 0 {
        let image = try? LinkContext().loadLibrary(other)
        _exit((try? image?.call("run0")) == 1 ? 7 : 1)
      }
      // The threads of tests have SIGALRM blocked.
      var status: Int32 = 0
      for _ in 0..<1000 where waitpid(child, &status, WNOHANG) == 0 { usleep(10_000) }
      if kill(child, SIGKILL) == 0 { waitpid(child, &status, 0) }
      #expect(status == 7 << 8)
      #expect(write(pipes[3], &byte, 1) == 1)
      loading.wait()
      running.end()
    }
  }

  @Test("An initialiser forks, and its child loads on")
  func forks() async {
    await #expect(processExitsWith: .success) {
      let forking = SharedObject(
        "parallelforking",
        """
        #include <dlfcn.h>
        #include <signal.h>
        #include <stdlib.h>
        #include <sys/wait.h>
        #include <unistd.h>
        static int status;
        __attribute__((constructor)) static void begin(void) {
          pid_t child = fork();
          if (!child) _exit(dlopen(getenv("PARALLEL_OTHER"), RTLD_NOW) ? 7 : 1);
          for (int turn = 0; turn < 1000 && !waitpid(child, &status, WNOHANG); turn++) usleep(10000);
          if (!kill(child, SIGKILL)) waitpid(child, &status, 0);
        }
        long seen(void) { return WIFEXITED(status) ? WEXITSTATUS(status) : -1; }
        """)
      setenv("PARALLEL_OTHER", try ParallelLoadTests.user(0).path(), 1)
      let context = LinkContext()
      #expect(try context.loadLibrary(FilePath(try forking.path())).call("seen") == 7)
      #expect(
        try context.loadLibrary(FilePath(try ParallelLoadTests.user(1).path())).call("run1") == 1)
    }
  }

  @Test(
    "An initialiser that opens a library which needs its own gets it, and initialisers run once")
  func circle() async {
    await #expect(processExitsWith: .success) {
      let inner = SharedObject(
        "parallelinner",
        """
        #include <dlfcn.h>
        #include <stdlib.h>
        long runs; void *outer;
        __attribute__((constructor)) static void begin(void) {
          runs++; outer = dlopen(getenv("PARALLEL_OUTER"), RTLD_NOW);
        }
        long count(void) { return runs + (outer ? 10 : 0); }
        """)
      let outer = SharedObject(
        "parallelouter", needs: [inner],
        """
        extern long runs; long seen;
        __attribute__((constructor)) static void look(void) { seen = runs + 100; }
        long seen_by_outer(void) { return seen; }
        """)
      setenv("PARALLEL_OUTER", try outer.path(), 1)
      let context = LinkContext()
      let image = try inner.load(in: context)
      #expect(try image.call("count") == 11)
      let other = try #require(context.images.first { $0.soname == "libparallelouter.so" })
      #expect(try other.call("seen_by_outer") == 101)
    }
  }

  static let opener = SharedObject(
    "parallelopener",
    """
    #include <dlfcn.h>
    #include <stdio.h>
    void *open_it(const char *path) {
      void *handle = dlopen(path, RTLD_NOW);
      if (!handle) fprintf(stderr, "dlopen: %s\\n", dlerror());
      return handle;
    }
    void *open_global(const char *path) { return dlopen(path, RTLD_NOW | RTLD_GLOBAL); }
    long close_it(void *handle) { return dlclose(handle); }
    """)
  typealias Open = @convention(c) (UnsafePointer<CChar>) -> UnsafeMutableRawPointer?

  @Test("Code that opens one library on several threads gets one handle")
  func oneHandle() async {
    await #expect(processExitsWith: .success) {
      let path = try ParallelLoadTests.common.path()
      let crowd = Crowd(3)
      for _ in 0..<100 {
        let context = LinkContext()
        let image = try ParallelLoadTests.opener.load(in: context)
        let open: Symbol<Open> = try image.symbol("open_it")
        let handles = Mutex<[Int]>([])
        crowd.run { _ in
          let handle = open.value(path)
          handles.withLock { $0.append(Int(bitPattern: handle)) }
        }
        let all = handles.withLock { $0 }
        #expect(all.count == 3 && Set(all).count == 1 && all[0] != 0)
        #expect(context.images.count == 2)
        for handle in all { #expect(try image.call("close_it", handle) == 0) }
        #expect(context.images.count == 1)
      }
      crowd.end()
    }
  }

  @Test("What was opened for all to see goes when it is closed, and its context with it")
  func globalGoes() throws {
    let path = try Self.common.path()
    weak var gone: LinkContext?
    do {
      let context = LinkContext()
      gone = context
      let image = try Self.opener.load(in: context)
      let open: Symbol<Open> = try image.symbol("open_global")
      let handle = Int(bitPattern: open.value(path))
      #expect(context.address(of: "count") != nil && context.images.count == 2)
      #expect(try image.call("close_it", handle) == 0)
      #expect(context.address(of: "count") == nil && context.images.count == 1)
      // Held by nobody but the context, which its images hold.
      context.promote(image)
    }
    #expect(gone == nil)
  }

  static let departing = SharedObject(
    "departing", .gxx, flags: ["-Wl,-z,lazy"],
    """
    static thread_local struct Counted { long value = 7; ~Counted() { value = -1; } } a;
    extern "C" long touch() { return a.value; }
    """)

  @Test("Destructors that several threads register at their first call keep the image")
  func firstDestructors() async {
    await #expect(processExitsWith: .success) {
      let bytes = FileContents(try ParallelLoadTests.departing.bytes())
      for round in 0..<40 {
        let crowd = Crowd(4)
        // All are bound in the same moment: none finds the slot filled.
        let gate = Gate(4)
        var options = LazyBindingTests.lazy
        var observer = LinkObserver()
        observer.lazyCall = { event in
          if event.symbol == "__cxa_thread_atexit" { gate.wait() }
          return nil
        }
        options.observer = observer
        var image: Image? = try LinkContext.unmapping().loadLibrary(
          ImageSource(bytes, name: "departing"), options: options)
        let touch = Mutex<Symbol<Image.Function>?>(try image?.symbol("touch"))
        crowd.run { _ in
          let touch = touch.withLock { $0 }
          #expect(touch?.value(0, 0) == 7)
        }
        touch.withLock { $0 = nil }
        image = nil
        // Their destructors are code of the image; whose is the last must not matter.
        crowd.end(from: round % 4)
      }
    }
  }
}
