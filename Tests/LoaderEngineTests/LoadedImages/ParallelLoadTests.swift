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

    func end() { for worker in workers { worker.end() } }
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

  static let opener = SharedObject(
    "parallelopener",
    """
    #include <dlfcn.h>
    void *open_it(const char *path) { return dlopen(path, RTLD_NOW); }
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
      for _ in 0..<60 {
        let crowd = Crowd(4)
        var image: Image? = try LinkContext.unmapping().loadLibrary(
          ImageSource(bytes, name: "departing"), options: LazyBindingTests.lazy)
        let touch: Symbol<Image.Function>? = try image?.symbol("touch")
        let box = Mutex(touch)
        crowd.run { _ in
          let touch = box.withLock { $0 }
          #expect(touch?.value(0, 0) == 7)
        }
        box.withLock { $0 = nil }
        withExtendedLifetime(touch) {}
        image = nil
        // Their destructors are code of the image.
        crowd.end()
      }
    }
  }

  @Test("Unique symbols are bound while the process's loader runs an initialiser that loads")
  func uniqueWhileOpening() async {
    await #expect(processExitsWith: .success) {
      alarm(60)  // they would wait for each other for ever
      let hook = SharedObject("uniquehook", "void (*hotlink_test_hook)(void);")
      let plugin = SharedObject(
        "uniqueplugin", needs: [hook],
        """
        extern void (*hotlink_test_hook)(void);
        static void begin(void) __attribute__((constructor));
        static void begin(void) { hotlink_test_hook(); }
        """)
      func unique(_ number: Int) -> FileContents {
        // Names that nobody has asked for before.
        FileContents(
          (try? SharedObject(
            "fresh\(number)", .gxx,
            """
            template <typename T> struct Only\(number) { static long value; };
            template <typename T> long Only\(number)<T>::value = 5;
            extern "C" long run() { return ++Only\(number)<int>::value; }
            """
          ).bytes()) ?? [])
      }
      let handle = try #require(dlopen(try hook.path(), RTLD_NOW | RTLD_GLOBAL))
      let place = try #require(dlsym(handle, "hotlink_test_hook"))
      UniqueHook.contents = [unique(0), unique(1)]
      let function: @convention(c) () -> Void = { UniqueHook.load(0) }
      place.assumingMemoryBound(to: (@convention(c) () -> Void).self).pointee = function
      let path = try plugin.path()
      let crowd = Crowd(2)
      crowd.run { number in
        for _ in 0..<400 {
          if number == 1 {
            UniqueHook.load(1)
          } else if let plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL) {
            dlclose(plugin)
          }
        }
      }
      crowd.end()
      #expect(UniqueHook.loads.load(ordering: .relaxed) == 800)
    }
  }
}

/// What the initialiser of a library of the process does.
private enum UniqueHook {
  // Written before the threads begin.
  nonisolated(unsafe) static var contents: [FileContents] = []
  static let loads = Atomic(0)

  static func load(_ number: Int) {
    let image = try? LinkContext().loadLibrary(
      ImageSource(contents[number], name: "fresh\(number)"))
    if (try? image?.call("run")) == 6 { loads.add(1, ordering: .relaxed) }
  }
}
