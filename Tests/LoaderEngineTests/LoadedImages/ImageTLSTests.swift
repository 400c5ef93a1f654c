// Thread-local variables of images that are loaded late: every access model, threads that ran before and
// threads that start after, first bytes and zeros, destructors, and what becomes of it all at unload.
// psABI, “Thread-Local Storage”; Itanium C++ ABI, 3.3.6.
import CLoaderSupport
import Glibc
import LoaderEngine
import TestFixtures
import Testing

@Suite("Thread-local variables of late images")
struct ImageTLSTests {
  enum Model: String, CaseIterable, Sendable {
    case generalDynamic, localDynamic, initialExec, descriptor, localDescriptor
    case generalDynamicByClang, acrossImages, descriptorAcrossImages, initialExecAcrossImages

    var isStatic: Bool { self == .initialExec || self == .initialExecAcrossImages }

    var compiler: Compiler { self == .generalDynamicByClang ? .clang : .gcc }

    /// Of the code; and whether the variables are the image's own secrets.
    var flags: [String] {
      switch self {
      case .generalDynamic, .acrossImages, .generalDynamicByClang:
        ["-ftls-model=global-dynamic"]
      case .localDynamic: ["-ftls-model=local-dynamic"]
      case .initialExec, .initialExecAcrossImages: ["-ftls-model=initial-exec"]
      case .descriptor, .descriptorAcrossImages:
        ["-mtls-dialect=gnu2", "-ftls-model=global-dynamic"]
      case .localDescriptor: ["-mtls-dialect=gnu2", "-ftls-model=local-dynamic"]
      }
    }

    var isAcross: Bool {
      self == .acrossImages || self == .descriptorAcrossImages || self == .initialExecAcrossImages
    }

    /// - Parameter initial: what the variables start with.
    func object(initial: Int) -> SharedObject {
      let isLocal = self == .localDynamic || self == .localDescriptor
      let linkage = isAcross ? "extern" : isLocal ? "static" : ""
      let variables = """
        #define V
        \(isAcross ? "" : "")__thread long first V = \(initial);
        __thread char odd V = \(initial == 0 ? 0 : 3);
        __thread long array[20] V = {[7] = \(initial)};
        """
      let code = """
        long get(void) { return first + odd + array[7]; }
        long set(long value) { first = value; odd = 1; array[7] = value; return (long)&first; }
        long where(void) { return (long)&array[19] - (long)&first; }
        long *pointer(void) { return &first; }
        """
      guard isAcross else {
        let own =
          linkage == "static"
          ? variables.replacing("__thread", with: "static __thread") : variables
        return SharedObject("\(rawValue)\(initial)", compiler, flags: flags, own + "\n" + code)
      }
      let owner = SharedObject(
        "owner\(rawValue)\(initial)", compiler, flags: flags, variables + "\nlong unused;")
      return SharedObject(
        "\(rawValue)\(initial)", compiler, flags: flags, needs: [owner],
        "extern __thread long first, array[20]; extern __thread char odd;\n" + code)
    }
  }

  @Test(
    "A variable has its first bytes in every thread, and a value of its own",
    arguments: Model.allCases, [0, 41])
  func everyThread(model: Model, initial: Int) throws {
    let older = Worker()
    let deaf = Worker(blocksSignals: true)
    defer { for worker in [older, deaf] { worker.end() } }
    let object = model.object(initial: initial)
    let start = initial == 0 ? 0 : 2 * initial + 3
    for origin in Origin.allCases {
      // Again and again: the second generation must not see what the first left behind.
      for _ in 0..<3 {
        let image = try object.load(origin)
        let newer = Worker()
        var places: Set<Int> = []
        for (number, worker) in [older, deaf, newer].enumerated() {
          worker.run {
            #expect((try? image.call("get")) == start, "\(origin) thread \(number)")
            places.insert((try? image.call("set", 100 * number)) ?? 0)
          }
        }
        #expect(try image.call("get") == start, "the caller")
        places.insert(try image.call("set", 1000))
        #expect(places.count == 4)
        for (number, worker) in [older, deaf, newer].enumerated() {
          worker.run { #expect((try? image.call("get")) == 200 * number + 1) }
        }
        #expect(try image.call("get") == 2001)
        newer.end()
      }
    }
  }

  @Test(
    "A variable by name is the calling thread's", arguments: [Model.generalDynamic, .initialExec])
  func byName(model: Model) throws {
    let image = try model.object(initial: 41).load(.memory)
    let worker = Worker()
    defer { worker.end() }
    for thread in [nil, worker] {
      let check = {
        #expect(
          image.address(of: "first")?.value == (try? image.call("pointer")).map { UInt64($0) })
      }
      if let thread { thread.run(check) } else { check() }
    }
  }

  @Test(
    "Alignment above a cache line's is kept, at a fixed offset too", arguments: [64, 128, 4096],
    ["global-dynamic", "initial-exec"])
  func alignment(of alignment: Int, model: String) throws {
    let image = try SharedObject(
      "aligned\(alignment)", flags: ["-ftls-model=\(model)"],
      """
      __thread char before = 1;
      __thread __attribute__((aligned(\(alignment)))) long first = 5;
      long *pointer(void) { return &first; }
      """
    ).load()
    let worker = Worker()
    worker.run { #expect(((try? image.call("pointer")) ?? 1) % alignment == 0) }
    worker.end()
    #expect(try image.call("pointer") % alignment == 0)
  }

  // MARK: undefined weak

  @Test(
    "A weak variable that nobody defines has the address null",
    arguments: [["-ftls-model=global-dynamic"], ["-mtls-dialect=gnu2"]])
  func undefinedWeak(flags: [String]) throws {
    let image = try SharedObject(
      "weaktls", flags: flags,
      """
      extern __thread long missing[4] __attribute__((weak));
      long where(void) { return (long)missing; }
      long further(void) { return (long)&missing[2]; }
      """
    ).load()
    #expect(try image.call("where") == 0)
    #expect(try image.call("further") == 16)
  }

  // MARK: destructors

  static func counted(_ model: String) -> SharedObject {
    SharedObject(
      "counted\(model)", .gxx, flags: ["-ftls-model=\(model)"], needs: [.journal],
      """
      extern "C" void note(const char *);
      struct Counted {
        const char *name; long value = 7;
        Counted(const char *name) : name(name) { note("+"); }
        ~Counted() { value = -1; note(name); }
      };
      static thread_local Counted a("a"), b("b");
      static struct Global { ~Global() { note("global"); } } global;
      extern "C" long touch() { return a.value + b.value; }
      """)
  }

  @Test(
    "Destructors run at their thread's end, the last made first",
    arguments: ["global-dynamic", "local-dynamic", "initial-exec"], Origin.allCases)
  func destructors(model: String, origin: Origin) throws {
    let context = LinkContext()
    let journal = try SharedObject.journal.load(origin, in: context)
    let older = Worker()
    let image = try Self.counted(model).load(origin, in: context)
    let newer = Worker()
    for worker in [older, newer] {
      try journal.call("clear")
      worker.run { #expect((try? image.call("touch")) == 14) }
      #expect(try journal.text("journal") == "+ + ")
      worker.end()
      #expect(try journal.text("journal") == "+ + b a ")
    }
  }

  @Test(
    "Unloading while a thread owes destructors keeps the code until they ran",
    arguments: ["global-dynamic", "initial-exec"])
  func owed(model: String) throws {
    let context = LinkContext.unmapping()
    let journal = try SharedObject.journal.load(.memory, in: context)
    let worker = Worker()
    var image: Image? = try Self.counted(model).load(.memory, in: context)
    let range = try #require(image?.range)
    // The worker holds the function only.
    let touch = try #require(try image?.symbol("touch", as: Image.Function.self).value)
    worker.run { #expect(touch(0, 0) == 14) }
    try journal.call("clear")
    image = nil
    #expect(LoadedImages.permissions(at: range.start).hasPrefix("r"), "still mapped")
    // Its name is free meanwhile: another generation has objects of its own.
    let second = try Self.counted(model).load(.memory, in: context)
    #expect(second.range != range)
    #expect(try second.call("touch") == 14)
    try journal.call("clear")
    worker.end()
    #expect(try journal.text("journal").hasPrefix("b a "))
    #expect(try second.call("touch") == 14)
  }

  @Test("Threads that end after an unloaded image's destructors ran leave nothing behind")
  func churn() async {
    await #expect(processExitsWith: .success) {
      let journal = SharedObject(
        "countedalone", .gxx,
        """
        static thread_local struct Counted { long value = 7; ~Counted() { value = -1; } } a;
        extern "C" long touch() { return a.value; }
        """)
      let bytes = try journal.bytes()
      let workers = (0..<4).map { _ in Worker() }
      for round in 0..<200 {
        let context = LinkContext()
        let image = try context.loadLibrary(ImageSource(FileContents(bytes), name: "counted"))
        if round % 3 == 0 {
          let brief = Worker()
          brief.run { _ = try? image.call("touch") }
          brief.end()
        }
        if round % 50 == 0 {
          for worker in workers { worker.run { #expect((try? image.call("touch")) == 7) } }
        }
      }
      for worker in workers { worker.end() }
    }
  }

  // MARK: the static block

  static func large(_ size: Int, _ model: String = "initial-exec") -> SharedObject {
    SharedObject(
      "large\(size)", flags: ["-ftls-model=\(model)"],
      "__thread char block[\(size)] = {1}; long get(void) { return block[0] + block[\(size - 1)]; }"
    )
  }

  @Test("More initial-exec storage than there is is an error that says so")
  func tooLarge() {
    let reason = LoadedImages.refusal { _ = try Self.large(90_000).load() }
    guard case .noSpace(let what, let requested) = reason else {
      Issue.record("\(String(describing: reason))")
      return
    }
    #expect(what.contains("static") && requested == 90_000)
  }

  @Test("A full static block refuses the next image, and serves it after an unload")
  func full() async {
    await #expect(processExitsWith: .success) {
      var images: [Image] = []
      var refused = false
      while images.count < 100, !refused {
        do { images.append(try ImageTLSTests.large(1000).load(.memory)) } catch {
          guard case .noSpace = (error as? LinkError)?.reason else { exit(2) }
          refused = true
        }
      }
      #expect(refused && images.count >= 10)
      for image in images { #expect(try image.call("get") == 1) }
      images.removeFirst()
      images.append(try ImageTLSTests.large(1000).load(.memory))
      #expect(try images[images.count - 1].call("get") == 1)
      // Dynamic storage is not limited by it.
      #expect(try ImageTLSTests.large(100_000, "global-dynamic").load(.memory).call("get") == 1)
    }
  }

  // MARK: the process's variables

  @Test("std::call_once works: it keeps its callable in thread-local variables of libstdc++")
  func callOnce() throws {
    let image = try SharedObject(
      "once", .gxx,
      """
      #include <mutex>
      static std::once_flag flag;
      static long calls;
      extern "C" long run(long n, long) {
        std::call_once(flag, [&] { calls += n; });
        return calls;
      }
      """
    ).load(.memory)
    let worker = Worker()
    worker.run { #expect((try? image.call("run", 5)) == 5) }
    worker.end()
    #expect(try image.call("run", 9) == 5)
  }

  @Test(
    "An executable with thread-local variables of its own is refused: they would be the program's")
  func localExec() {
    // Linkers relax every model to local-exec in an executable: no relocation tells.
    let reason = LoadedImages.refusal {
      _ = try SharedObject(
        "localexec", kind: .executable, flags: ["-pie", "-fPIE"],
        "__thread long own = 5; int main(void) { return own; }"
      ).load()
    }
    guard case .unsupported = reason else {
      Issue.record("\(String(describing: reason))")
      return
    }
  }
}
