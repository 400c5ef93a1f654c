// What becomes of an image when nobody holds it: nothing of it stays, and nothing goes too early.
import CLoaderSupport
import Glibc
import LoaderEngine
import Synchronization
import SystemPackage
import TestFixtures
import Testing

@Suite("Unloading")
struct UnloadTests {
  static let plain = SharedObject("plain", "long n = 4; long run(void) { return n++; }")

  @Test("Its memory goes with the last hold, be it on the image or on a symbol")
  func holds() throws {
    let context = LinkContext.unmapping()
    var image: Image? = try Self.plain.load(.file, in: context)
    let range = try #require(image?.range)
    var symbol: Symbol<Image.Function>? = try image?.symbol("run")
    image = nil
    #expect(context.images.count == 1)
    #expect(symbol?.value(0, 0) == 4)
    #expect(LoadedImages.permissions(at: range.start).hasPrefix("r"))
    symbol = nil
    #expect(context.images.isEmpty)
    #expect(!LoadedImages.permissions(at: range.start).hasPrefix("r"))
    #expect(try Self.plain.load(.file, in: context).call("run") == 4, "a fresh copy")
  }

  @Test("A library stays while somebody needs it")
  func dependencies() throws {
    let context = LinkContext()
    var library: Image? = try Self.plain.load(.memory, in: context)
    let user = try SharedObject(
      "needsplain", needs: [Self.plain], "long run(void); long twice(void) { return 2 * run(); }"
    ).load(.memory, in: context)
    #expect(try library?.call("run") == 4)
    library = nil
    #expect(context.images.count == 2)
    #expect(try user.call("twice") == 10)
  }

  @Test("Exceptions and backtraces work after hundreds of libraries came and went")
  func unwinding() async {
    await #expect(processExitsWith: .success) {
      let object = SharedObject(
        "throws", .gxx,
        """
        struct Guard { long &n; ~Guard() { n += 10; } };
        extern "C" long run(long n, long) {
          long total = n;
          try { Guard guard{total}; if (n % 2) throw n; } catch (long m) { total += 100; }
          return total;
        }
        """)
      let bytes = FileContents(try object.bytes())
      var kept: [Image] = []
      for round in 0..<300 {
        let image = try LinkContext().loadLibrary(ImageSource(bytes, name: "throws"))
        #expect(try image.call("run", round) == round + (round % 2 == 1 ? 110 : 10))
        if round % 10 == 0 { kept.append(image) }
        if kept.count > 5 { kept.removeFirst() }
      }
      for image in kept { #expect(try image.call("run", 1) == 111) }
    }
  }

  @Test(
    "A thread that uses the variables of an unloaded image is stopped, not served another's"
  )
  func staleVariable() async {
    let result = await #expect(
      processExitsWith: .signal(SIGABRT), observing: [\.standardErrorContent]
    ) {
      func object(_ name: String) -> SharedObject {
        SharedObject(
          name, flags: ["-ftls-model=global-dynamic"],
          "__thread long v = 5; long get(void) { return v; }")
      }
      var first: Image? = try object("stale").load(.memory)
      #expect(try first?.call("get") == 5)
      guard case .module(let id) = first?.provider.threadStorage else { exit(3) }
      // As code does that still runs: by the id it was given.
      let use = { ThreadLocalModule.address(module: id, offset: 0) }
      #expect(use() != Address(0))
      first = nil
      let second = try object("newer").load(.memory)
      #expect(try second.call("get") == 5)
      guard case .module(let other) = second.provider.threadStorage, other != id else {
        exit(4)
      }
      _ = use()
    }
    let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    #expect(text.contains("thread-local variable of an image that was unloaded"), "\(text)")
  }

  @Test("Loading goes on while other threads open and close libraries of the process")
  func hostChanges() async {
    await #expect(processExitsWith: .success) {
      let paths = try (0..<4).map {
        try SharedObject("coming\($0)", "long coming\($0)(void) { return \($0); }").path()
      }
      let stop = Atomic(false)
      let workers = (0..<2).map { _ in Worker() }
      let running = workers.enumerated().map { number, worker in
        Worker.alongside(worker) {
          var turn = 0
          while !stop.load(ordering: .relaxed) {
            turn += 1
            let mode = turn % 2 == 0 ? RTLD_GLOBAL : RTLD_LOCAL
            if let handle = dlopen(paths[(turn + number) % 4], RTLD_NOW | mode) { dlclose(handle) }
          }
        }
      }
      let bytes = FileContents(try UnloadTests.plain.bytes())
      for _ in 0..<300 {
        let image = try LinkContext().loadLibrary(ImageSource(bytes, name: "plain"))
        #expect(try image.call("run") == 4)
      }
      stop.store(true, ordering: .relaxed)
      for run in running { run.wait() }
    }
  }

  @Test("A library of the process that others see stays while an image was bound among them")
  func hostHeld() async {
    await #expect(processExitsWith: .success) {
      let library = SharedObject("visible", "long visible_number(void) { return 12; }")
      let user = SharedObject(
        "sees", flags: ["-Wl,-z,lazy"],
        "long visible_number(void); long run(void) { return visible_number(); }")
      guard let handle = dlopen(try library.path(), RTLD_NOW | RTLD_GLOBAL) else { exit(2) }
      let image = try user.load(.memory, options: LazyBindingTests.lazy)
      dlclose(handle)
      #expect(try image.call("run") == 12, "bound after the close")
    }
  }
}
