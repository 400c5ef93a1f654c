// Shared objects as the units of a scenario: how they are compiled and linked, and how their file gets to where
// the runner watches it. Build tools differ most in the second.
import Foundation
import Testing

/// A way to make shared objects.
struct LibraryBuild: CustomTestStringConvertible, Sendable {
  var c: String
  var flags: [String]

  var cxx: String { c == "gcc" ? "g++" : "clang++" }
  var testDescription: String { ([c] + flags).joined(separator: " ") }
  var isOptimised: Bool { flags.contains("-O2") }
  var toolchain: Toolchain { Toolchain(c: c, flags: isOptimised ? ["-O2"] : []) }

  func with(_ more: String...) -> LibraryBuild { LibraryBuild(c: c, flags: flags + more) }

  static let gcc = LibraryBuild(c: "gcc", flags: [])
  static let gccO2 = LibraryBuild(c: "gcc", flags: ["-O2"])
  static let clang = LibraryBuild(c: "clang", flags: ["-fuse-ld=bfd"])
  static let clangO2 = LibraryBuild(c: "clang", flags: ["-O2", "-fuse-ld=lld"])

  static let few = [gcc, gccO2, clangO2]
  /// Where code differs, not only how it is linked.
  static let most = [gcc, gccO2, clang, clangO2, gccO2.with("-fuse-ld=lld"), gcc.with("-O3")]
  static let all = [
    gcc, gccO2, clang, clangO2, gcc.with("-g"), clangO2.with("-g"),
    gccO2.with("-Wl,-Bsymbolic"), gccO2.with("-fno-semantic-interposition"),
    gcc.with("-fno-plt"), clangO2.with("-fno-plt", "-Wl,-z,now"), gccO2.with("-Wl,-z,now"),
    gccO2.with("-Wl,-z,pack-relative-relocs"), clangO2.with("-Wl,--pack-dyn-relocs=relr"),
    gccO2.with("-fuse-ld=lld", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"),
    gccO2.with("-fuse-ld=gold"), clang.with("-Wl,-Bsymbolic-functions"),
    gccO2.with("-fcf-protection=full", "-Wl,-z,separate-code"), gcc.with("-Wl,-z,noseparate-code"),
  ]
}

extension Workbench {
  /// How a new file takes the place of the old one.
  enum Arrival: String, CaseIterable, Sendable {
    /// The linker writes where the runner watches.
    case linker
    /// Over the old file's bytes.
    case copy
    case rename
    /// The old one is deleted first.
    case replacement
    /// Over the old file's bytes, in small steps.
    case slowCopy
  }

  /// Compiles `libNAME.c` or `libNAME.cpp` into `build/libNAME.so`.
  func library(
    _ source: String, _ text: String, _ build: LibraryBuild, flags: [String] = [],
    by arrival: Arrival = .rename, to place: String = "build"
  ) throws {
    try write(source, text)
    let name = String(source.prefix { $0 != "." }) + ".so"
    let target = arrival == .linker ? "\(place)/\(name)" : "staged-\(name)"
    let isCxx = source.hasSuffix(".cpp")
    let command =
      (isCxx ? [build.cxx, "-std=c++20"] : [build.c]) + ["-shared", "-fPIC", "-o", target, source]
      + build.flags + flags
    try Tool.output(command[0], Array(command.dropFirst()), directory: folder.root)
    switch arrival {
    case .linker: return
    case .rename: try shell("mkdir -p \(place); mv \(target) \(place)/\(name)")
    case .copy: try shell("cp \(target) \(place)/\(name)")
    case .replacement: try shell("rm -f \(place)/\(name); cp \(target) \(place)/\(name)")
    case .slowCopy:
      let bytes = folder.bytes(target)
      guard let file = fopen(folder.path("\(place)/\(name)"), "w") else {
        throw Tool.Failure(description: "cannot write \(name)")
      }
      defer { fclose(file) }
      for start in stride(from: 0, to: bytes.count, by: 4096) {
        let piece = bytes[start..<min(start + 4096, bytes.count)]
        piece.withUnsafeBytes { _ = fwrite($0.baseAddress, 1, $0.count, file) }
        fflush(file)
        usleep(15_000)
      }
    }
  }
}

extension WatchHarness {
  /// Shared objects and objects, built and running.
  ///
  /// - Parameter libraries: `libNAME.c` or `libNAME.cpp` and their texts.
  convenience init(
    libraries: [(String, String)], _ build: LibraryBuild, objects: [String: String] = [:],
    flags: [String: [String]] = [:], arguments: [String] = [], hz: Int = 200,
    awaitStart: Bool = true, prepare: (Workbench) throws -> Void = { _ in }
  ) throws {
    try self.init(
      objects, build.toolchain, hz: hz, arguments: arguments, awaitStart: awaitStart
    ) { bench in
      for (source, text) in libraries {
        try bench.library(source, text, build, flags: flags[source] ?? [])
      }
      try prepare(bench)
    }
  }

  /// An edit of a library that must take effect.
  ///
  /// - Returns: the report; the cursor stands at the first line of the new generation.
  @discardableResult
  func rebuild(
    _ source: String, _ text: String, _ build: LibraryBuild, flags: [String] = [],
    by arrival: Workbench.Arrival = .rename
  ) throws -> RunnerEvent {
    skipToEnd()
    try bench.library(source, text, build, flags: flags, by: arrival)
    return try reloaded()
  }

  /// An edit of a library that must be refused.
  @discardableResult
  func rebuildRefused(
    _ source: String, _ text: String, _ build: LibraryBuild, flags: [String] = []
  ) throws -> RunnerEvent {
    skipToEnd()
    try bench.library(source, text, build, flags: flags)
    return try refused()
  }
}
