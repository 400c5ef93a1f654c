// Which definition a name means: the order of scopes, visibility, uniqueness, contexts. ld.so's rules; where
// they can be had, its answers. gABI, “Shared Object Dependencies”, DT_SYMBOLIC; dlopen(3).
import Foundation
import Glibc
import LoaderEngine
import SystemPackage
import TestFixtures
import Testing

@Suite("Scopes")
struct ScopeTests {
  static func defining(
    _ name: String, _ value: Int, weak: Bool = false, needs: [SharedObject] = [],
    flags: [String] = []
  ) -> SharedObject {
    SharedObject(
      name, flags: flags, needs: needs,
      """
      \(weak ? "__attribute__((weak)) " : "")long which(void) { return \(value); }
      \(weak ? "__attribute__((weak)) " : "")long datum = \(value);
      """)
  }

  static func asking(_ name: String, _ needs: [SharedObject]) -> SharedObject {
    SharedObject(
      name, needs: needs,
      """
      long which(void); extern long datum;
      long run(void) { return 10 * which() + datum; }
      """)
  }

  static let quiet = SharedObject("quiet1", needs: [defining("deep", 5)], "long quiet1;")

  /// Graphs of libraries, and whose definition is the first.
  static let graphs: [(name: String, root: SharedObject, expected: Int)] = [
    ("the first of two", asking("ask1", [defining("one", 1), defining("two", 2)]), 11),
    ("the other order", asking("ask2", [defining("two", 2), defining("one", 1)]), 22),
    (
      "weak before strong",
      asking("ask3", [defining("feeble", 3, weak: true), defining("two", 2)]), 33
    ),
    ("breadth before depth", asking("ask4", [quiet, defining("two", 2)]), 22),
    ("depth when there is no other", asking("ask5", [quiet]), 55),
    (
      "the image itself before what it needs",
      SharedObject(
        "ask6", needs: [defining("one", 1)],
        "long which(void) { return 6; } long datum = 6; long run(void) { return 10 * which() + datum; }"
      ), 66
    ),
  ]

  @Test(
    "The first definition wins, weak or not, breadth-first", arguments: graphs.indices,
    Origin.allCases)
  func order(graph: Int, origin: Origin) throws {
    let (name, root, expected) = Self.graphs[graph]
    #expect(try root.load(origin).call("run") == expected, "\(name)")
    #expect(try LoadedImages.dlopened(root, "run") == expected, "\(name), ld.so")
  }

  @Test("What the process has comes before what an image brings, as with dlopen")
  func processFirst() throws {
    let object = SharedObject(
      "brings", flags: ["-fno-builtin"],
      """
      long getppid(void) { return -7; }
      long run(void) { return getppid(); }
      """)
    #expect(try object.load().call("run") == Int(getppid()))
    #expect(try LoadedImages.dlopened(object, "run") == Int(getppid()))
    // A lookup in the image itself finds its own.
    #expect(try object.load().call("getppid") == -7)
  }

  @Test("A symbol of a dependency is looked up there first, as with its handle")
  func ofDependency() throws {
    let context = LinkContext()
    let inner = Self.defining("one", 1)
    let outer = SharedObject(
      "overone", needs: [inner], "long which(void) { return 2; } long datum = 2; long only_outer;")
    let image = try outer.load(.file, in: context)
    let dependency = try #require(context.images.first { $0.soname == inner.fileName })
    #expect(try image.call("which") == 2 && dependency.call("which") == 1)
    #expect(dependency.address(of: "only_outer") == nil)
    let handle = try #require(dlopen(try outer.path(), RTLD_NOW))
    defer { dlclose(handle) }
    let theirs = try #require(dlopen(try inner.path(), RTLD_NOW | RTLD_NOLOAD))
    defer { dlclose(theirs) }
    #expect(dlsym(theirs, "only_outer") == nil && dlsym(theirs, "which") != dlsym(handle, "which"))
  }

  @Test("DT_RPATH counts for what is needed further down, as for ld.so")
  func runPathOfLoaders() throws {
    let folder = Compiled.folder.appending(path: "rpath.\(getpid())")
    defer { try? FileManager.default.removeItem(at: folder) }
    func path(_ name: String) -> String { folder.appending(path: "\(name)/lib\(name).so").path }
    func make(_ name: String, _ source: String, needs: String..., rpath: String...) throws {
      let place = folder.appending(path: name)
      try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
      let file = place.appending(path: "\(name).c")
      try Data((source + "\n").utf8).write(to: file)
      let paths = rpath.map { folder.appending(path: $0).path }.joined(separator: ":")
      try Compiled.run(
        ["gcc", "-shared", "-fPIC", "-Wl,-soname,lib\(name).so", "-Wl,--disable-new-dtags"]
          + (paths.isEmpty ? [] : ["-Wl,-rpath,\(paths)"])
          + ["-Wl,--allow-shlib-undefined", "-o", path(name), file.path] + needs.map(path))
    }
    // The second one says where the last one lies; neither the one that needs it nor the first does.
    try make("deepest", "long deepest(void) { return 7; }")
    try make(
      "lower", "long deepest(void); long lower(void) { return deepest(); }", needs: "deepest")
    try make(
      "upper", "long lower(void); long upper(void) { return lower(); }", needs: "lower",
      rpath: "lower", "deepest")
    try make(
      "top", "long upper(void); long run(void) { return upper(); }", needs: "upper", rpath: "upper")
    let handle = try #require(dlopen(path("top"), RTLD_NOW | RTLD_LOCAL))
    dlclose(handle)
    let image = try LinkContext().loadLibrary(FilePath(path("top")))
    #expect(try image.call("run") == 7)
  }

  // MARK: visibility

  @Test(
    "Protected, hidden and internal symbols mean the image's own",
    arguments: ["protected", "hidden", "internal"])
  func visibility(kind: String) throws {
    let inner = SharedObject(
      "inner\(kind)",
      """
      __attribute__((visibility("\(kind)"))) long which(void) { return 1; }
      // By an address in data, too.
      long (*pointer)(void) = which;
      long inside(void) { return 10 * which() + pointer(); }
      """)
    let root = SharedObject(
      "outer\(kind)", needs: [inner],
      "long which(void) { return 2; } long inside(void); long run(void) { return 100 * which() + inside(); }"
    )
    #expect(try root.load(.memory).call("run") == 211)
    let image = try inner.load(.memory)
    #expect((image.address(of: "which") == nil) == (kind != "protected"))
    #expect(image.exports.contains { $0.name == "which" } == (kind == "protected"))
  }

  @Test("DT_SYMBOLIC looks in the image first", arguments: [false, true])
  func symbolic(isSymbolic: Bool) throws {
    let inner = SharedObject(
      "symbolic", flags: ["-Wl,-z,now"],
      """
      long which(void) { return 1; }
      long inside(void) { return which(); }
      """)
    let root = SharedObject(
      "aroundsymbolic", needs: [inner],
      "long which(void) { return 2; } long inside(void); long run(void) { return inside(); }")
    var bytes = try inner.bytes()
    // GNU ld binds such references itself: the flag alone, DF_SYMBOLIC beside DF_BIND_NOW, is for us.
    if isSymbolic { try bytes.setDynamic(30, to: 8 | 2) }
    let image = try LinkContext().loadLibrary(
      root.source(), with: [ImageSource(FileContents(bytes), name: inner.fileName)])
    #expect(try image.call("run") == (isSymbolic ? 1 : 2))
  }

  // MARK: contexts

  static let counter = SharedObject(
    "counter", "static long n; long count(void) { return ++n; } long shared_name = 3;")
  static let countUser = SharedObject(
    "countuser", "long count(void); long run(void) { return count(); }")

  @Test("Each context has a copy of its own, with its own state", arguments: Origin.allCases)
  func isolation(origin: Origin) throws {
    let images = try (0..<3).map { _ in try Self.counter.load(origin) }
    for (index, image) in images.enumerated() {
      for _ in 0..<index { try image.call("count") }
    }
    #expect(try images.map { try $0.call("count") } == [1, 2, 3])
    // Nor does one see what another has.
    #expect(LoadedImages.refusal { _ = try Self.countUser.load(origin) } != nil)
  }

  @Test("What is promoted is seen by later images and by RTLD_DEFAULT, until it is demoted")
  func promotion() throws {
    let context = LinkContext()
    #expect(context.address(of: "shared_name") == nil)
    #expect(context.address(of: "getppid") != nil, "of the process")
    var image: Image? = try Self.counter.load(.memory, in: context)
    let address = try #require(image?.address(of: "shared_name"))
    #expect(context.address(of: "shared_name") == nil, "not promoted")
    #expect(LoadedImages.refusal { _ = try Self.countUser.load(.memory, in: context) } != nil)
    image.map { context.promote($0) }
    #expect(context.address(of: "shared_name") == address)
    let user = try Self.countUser.load(.memory, in: context)
    #expect(try user.call("run") == 1)
    image.map { context.demote($0) }
    #expect(context.address(of: "shared_name") == nil)
    #expect(LoadedImages.refusal { _ = try Self.countUser.load(.memory, in: context) } != nil)
    // Who was bound to it keeps it.
    image = nil
    #expect(try user.call("run") == 2)
  }

  @Test(
    "A library of one context is loaded once, however it is reached", arguments: Origin.allCases)
  func once(origin: Origin) throws {
    let context = LinkContext()
    let counter = try Self.counter.load(origin, in: context)
    let user = SharedObject(
      "countuser2", needs: [Self.counter], "long count(void); long run(void) { return count(); }")
    let image = try user.load(origin, in: context)
    #expect(try image.call("run") == 1)
    #expect(try counter.call("count") == 2)
    #expect(context.images.count == 2)
  }

  // MARK: uniqueness

  static func unique(_ name: String) -> SharedObject {
    SharedObject(
      name, .gxx,
      """
      template <typename T> struct Only { static long value; };
      template <typename T> long Only<T>::value = 5;
      inline long &local() { static long n = 50; return n; }
      extern "C" long bump() { return ++Only<int>::value + ++local(); }
      extern "C" long where() { return (long)&Only<int>::value; }
      """)
  }

  @Test("A unique symbol is one for all contexts, and pins nobody", arguments: Origin.allCases)
  func uniqueSymbols(origin: Origin) async {
    await #expect(processExitsWith: .success) { [origin = origin as Origin] in
      for _ in 0..<3 {
        var first: Image? = try ScopeTests.unique("unique1").load(
          origin, in: .unmapping())
        #expect(try first?.call("bump") == 57)
        let second = try ScopeTests.unique("unique2").load(origin, in: .unmapping())
        #expect(try first?.call("where") == second.call("where"))
        #expect(try second.call("bump") == 59)
        // The first goes; what the second refers to stays as long as that.
        first = nil
        #expect(try second.call("bump") == 61)
      }
      // All gone: nothing of it is left in the process.
      #expect(LinkContext().images.isEmpty)
      let fresh = try ScopeTests.unique("unique1").load(origin)
      #expect(try fresh.call("bump") == 57)
      let place = Address(UInt64(try fresh.call("where")))
      #expect(fresh.range.contains(place))
    }
  }
}

extension [UInt8] {
  /// Changes the value of a dynamic entry of a 64-bit image.
  mutating func setDynamic(_ tag: UInt64, to value: UInt64) throws {
    guard
      let at = programHeader(2).flatMap({ header -> Int? in
        let start = Int(word(header + 8))
        let size = Int(word(header + 32))
        return stride(from: start, to: start + size, by: 16).first { word($0) == tag }
      })
    else { throw CommandFailure(description: "no dynamic entry \(tag)") }
    setWord(at + 8, value)
  }

  /// File offset of the first program header of a type.
  func programHeader(_ type: UInt64) -> Int? {
    (0..<Int(word(56) & 0xFFFF)).map { Int(word(32)) + $0 * 56 }.first {
      word($0) & 0xFFFF_FFFF == type
    }
  }

  func word(_ offset: Int) -> UInt64 {
    (0..<8).reduce(0) { $0 | UInt64(self[offset + $1]) << (8 * UInt64($1)) }
  }

  mutating func setWord(_ offset: Int, _ value: UInt64) {
    for index in 0..<8 {
      self[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(index)))
    }
  }
}
