// Symbol versions: what a reference asks for is what it gets, and what nobody has is an error at load.
// LSB 5.0, “Symbol Versioning”; dlvsym(3) is the oracle.
import Glibc
import LoaderEngine
import SystemPackage
import TestFixtures
import Testing

@Suite("Symbol versions")
struct VersionTests {
  static func library(_ versions: [String], default chosen: String, flags: [String] = [])
    -> SharedObject
  {
    SharedObject(
      "versioned",
      flags: flags + [
        "version-script:"
          + versions.enumerated().map { index, version in
            "\(version) { \(index == 0 ? "global: answer; plain; local: *;" : "") }"
              + (index == 0 ? ";" : " \(versions[index - 1]);")
          }.joined(separator: "\n")
      ],
      versions.map { version in
        """
        long answer_\(version)(void) { return \(version.dropFirst()); }
        __asm__(".symver answer_\(version), answer@\(version == chosen ? "@" : "")\(version)");
        """
      }.joined(separator: "\n") + "\nlong plain(void) { return 0; }")
  }

  static let one = library(["V1"], default: "V1")
  static let two = library(["V1", "V2"], default: "V2")
  static let three = library(["V1", "V2", "V3"], default: "V2")

  static func user(of library: SharedObject, _ name: String, flags: [String] = []) -> SharedObject {
    SharedObject(
      name, flags: flags, needs: [library],
      "long answer(void); long run(void) { return answer(); }")
  }

  @Test("A reference gets the version it was linked against", arguments: Origin.allCases)
  func linked(origin: Origin) throws {
    for (object, expected) in [
      (Self.user(of: Self.one, "user1"), 1), (Self.user(of: Self.two, "user2"), 2),
    ] {
      // Both run with the newest library.
      let context = LinkContext()
      let image = try context.loadLibrary(object.source(), with: [Self.three.source()])
      #expect(try image.call("run") == expected)
    }
    #expect(try LoadedImages.dlopened(Self.user(of: Self.two, "user2"), "run") == 2)
  }

  @Test("A lazily bound call gets it too")
  func lazily() throws {
    let object = Self.user(of: Self.one, "user1lazy", flags: ["-Wl,-z,lazy"])
    let image = try LinkContext().loadLibrary(
      object.source(), with: [Self.three.source()], options: LazyBindingTests.lazy)
    #expect(try image.call("run") == 1)
  }

  @Test(
    "A lookup by version finds it; without one, the default", arguments: ["V1", "V2", "V3", nil])
  func lookup(version: String?) throws {
    let image = try Self.three.load(.file)
    let handle = try #require(dlopen(try Self.three.path(), RTLD_NOW))
    defer { dlclose(handle) }
    let oracle = try #require(Self.oracle(handle, "answer", version))
    let expected = unsafeBitCast(oracle, to: Image.Function.self)(0, 0)
    let found: Symbol<Image.Function> = try image.symbol("answer", version: version)
    #expect(found.value(0, 0) == expected)
    #expect(expected == Int(version?.dropFirst() ?? "2"))
  }

  static func oracle(_ handle: UnsafeMutableRawPointer, _ name: String, _ version: String?)
    -> UnsafeMutableRawPointer?
  {
    typealias Lookup =
      @convention(c) (UnsafeMutableRawPointer, UnsafePointer<CChar>, UnsafePointer<CChar>)
      -> UnsafeMutableRawPointer?
    guard let version, let dlvsym = dlsym(nil, "dlvsym") else { return dlsym(handle, name) }
    return unsafeBitCast(dlvsym, to: Lookup.self)(handle, name, version)
  }

  @Test("A version that nobody defines is not found")
  func unknown() throws {
    #expect(try Self.three.load(.file).address(of: "answer", version: "V9") == nil)
  }

  @Test("A library that lacks a version somebody needs is refused at load")
  func missing() throws {
    let object = Self.user(of: Self.two, "user2")
    let reason = LoadedImages.refusal {
      _ = try LinkContext().loadLibrary(object.source(), with: [Self.one.source()])
    }
    #expect(reason == .missingVersion(version: "V2", library: "libversioned.so"))
  }

  @Test("… unless the need is weak, or the library has no versions at all")
  func tolerated() throws {
    let object = Self.user(of: Self.two, "user2")
    let plain = SharedObject("versioned", "long answer(void) { return 70; }")
    let image = try LinkContext().loadLibrary(object.source(), with: [plain.source()])
    #expect(try image.call("run") == 70)
    // A need with VER_FLG_WEAK: the flag is set in the file, 4 bytes into the Vernaux of V2.
    var bytes = try object.bytes()
    let hash = "V2".utf8.reduce(UInt32(0)) { ($0 << 4) &+ UInt32($1) }
    let pattern = withUnsafeBytes(of: hash.littleEndian) { [UInt8]($0) } + [0, 0]
    let at = try #require(bytes.indices.first { bytes[$0...].starts(with: pattern) })
    bytes[at + 4] = 2
    let weak = SharedObject("versioned", flags: Self.one.flags, Self.one.source)
    // The version may be missing; the symbol may not: this is another error.
    let reason = LoadedImages.refusal {
      _ = try LinkContext().loadLibrary(
        ImageSource(FileContents(bytes), name: "weak"), with: [weak.source()])
    }
    guard case .undefined(let symbols) = reason else {
      Issue.record("\(String(describing: reason))")
      return
    }
    #expect(symbols.map(\.name) == ["answer@V2"])
  }

  @Test("A reference without a version gets the oldest definition, as with ld.so")
  func unversioned() throws {
    let object = SharedObject(
      "unversioned", "long answer(void); long run(void) { return answer(); }")
    // Linked against nothing, so that no version is asked for.
    let image = try LinkContext().loadLibrary(
      ImageSource(FileContents(try Self.withNeed(object).bytes()), name: "unversioned"),
      with: [Self.three.source()])
    let expected = try LoadedImages.dlopened(Self.withNeed(object, finds: Self.three), "run")
    #expect(try image.call("run") == expected)
  }

  /// The object with a need of `libversioned.so` that it was not linked against with versions.
  static func withNeed(_ object: SharedObject, finds: SharedObject? = nil) throws -> SharedObject {
    var copy = object
    copy.name += finds == nil ? "" : "found"
    copy.needs = [SharedObject("versioned", "long answer(void) { return 70; }")]
    if let finds {
      // ld.so looks there first.
      let folder = try finds.path().split(separator: "/").dropLast().joined(separator: "/")
      copy.flags.append("-Wl,-rpath,/\(folder)")
    }
    return copy
  }

  @Test("Names without the default mark are not found without a version, as by dlsym")
  func hidden() throws {
    let object = SharedObject(
      "hiddenversion", flags: ["version-script:V1 { global: old; local: *; };"],
      "long old_1(void) { return 1; } __asm__(\".symver old_1, old@V1\");")
    let image = try object.load(.file)
    let handle = try #require(dlopen(try object.path(), RTLD_NOW))
    defer { dlclose(handle) }
    #expect((dlsym(handle, "old") == nil) == (image.address(of: "old") == nil))
    #expect(image.address(of: "old", version: "V1") != nil)
    #expect(image.exports.first { $0.name == "old" }?.isDefaultVersion == false)
  }
}
