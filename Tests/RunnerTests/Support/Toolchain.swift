// The compilers and flags that scenarios run under: what people have by default, and what makes each
// function and variable a section of its own.
import Foundation
import Testing

/// A way to compile C and C++.
struct Toolchain: CustomTestStringConvertible, Sendable {
  var c: String
  var flags: [String]

  var cxx: String { c == "gcc" ? "g++" : "clang++" }
  var isClang: Bool { c == "clang" }
  var isOptimised: Bool { flags.contains("-O2") }
  var hasSections: Bool { flags.contains("-fdata-sections") }
  var testDescription: String { ([c] + flags).joined(separator: " ") }

  func with(_ more: String...) -> Toolchain { Toolchain(c: c, flags: flags + more) }

  private static let sections = ["-ffunction-sections", "-fdata-sections"]
  static let gcc = Toolchain(c: "gcc", flags: [])
  static let gccO2 = Toolchain(c: "gcc", flags: ["-O2"])
  static let gccSections = Toolchain(c: "gcc", flags: sections)
  static let gccO2Sections = Toolchain(c: "gcc", flags: ["-O2"] + sections)
  static let gccDebug = Toolchain(c: "gcc", flags: ["-g"])
  static let gccDebugSections = Toolchain(c: "gcc", flags: ["-g", "-fdata-sections"])
  static let clang = Toolchain(c: "clang", flags: [])
  static let clangO2 = Toolchain(c: "clang", flags: ["-O2"])
  static let clangO2Sections = Toolchain(c: "clang", flags: ["-O2"] + sections)

  static let all = [gcc, gccO2, gccSections, gccO2Sections, clang, clangO2, clangO2Sections]
  /// One of each kind, where more would only cost time.
  static let few = [gcc, gccO2Sections, clangO2]
  static let sectioned = [gccSections, gccO2Sections, clangO2Sections]
}

extension Toolchain {
  /// With debug data: as people build games.
  static let debugging = [
    Toolchain(c: "gcc", flags: ["-g"]),
    Toolchain(c: "gcc", flags: ["-g", "-Og", "-ffunction-sections", "-fdata-sections"]),
    Toolchain(c: "clang", flags: ["-g", "-O2", "-fdata-sections"]),
  ]
  /// How debug data is written.
  static let debugFormats = [
    ["-gdwarf-4"], ["-gdwarf-5"], ["-gdwarf-4", "-fdebug-types-section"],
    ["-gdwarf-5", "-fdebug-types-section"], ["-gz"], ["-gdwarf-4", "-gz=zlib"], ["-gdwarf64"],
  ]
  /// In shared objects.
  static let libraryDebugFormats = [
    ["-gdwarf-4"], ["-gdwarf-5", "-gz"], ["-gdwarf-4", "-fdebug-types-section"],
    ["-fuse-ld=lld", "-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections"],
    ["-fuse-ld=gold", "-Wl,--compress-debug-sections=zlib"],
  ]
}

/// A way to compile Swift.
struct SwiftMode: CustomTestStringConvertible, Sendable {
  var flags: [String]
  var testDescription: String { (["swiftc"] + flags).joined(separator: " ") }

  static let plain = SwiftMode(flags: ["-Onone"])
  static let optimised = SwiftMode(flags: ["-O"])
  static let all = [plain, optimised]
}
