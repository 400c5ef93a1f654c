// The files of a scenario and the build that makes objects of them.
import Foundation

/// A folder with sources, and `build/` for their objects.
struct Workbench: Sendable {
  let folder: TemporaryFolder
  let toolchain: Toolchain
  let swift: SwiftMode

  init(_ toolchain: Toolchain = .gcc, _ swift: SwiftMode = .plain) throws {
    self.toolchain = toolchain
    self.swift = swift
    folder = try TemporaryFolder()
    try FileManager.default.createDirectory(
      atPath: folder.path("build"), withIntermediateDirectories: false)
  }

  /// `game.cpp` → `build/game.o`; nil for what is not compiled.
  static func object(of name: String) -> String? {
    guard let dot = name.lastIndex(of: "."),
      ["c", "cpp", "swift"].contains(name[name.index(after: dot)...])
    else { return nil }
    return "build/" + name[..<dot] + ".o"
  }

  func write(_ name: String, _ text: String) throws {
    try folder.write(text, to: name)
  }

  /// Compiles a source, in place as compilers do.
  ///
  /// - Parameter object: where to, from the folder; `build/NAME.o` when nil.
  func compile(_ name: String, to object: String? = nil, flags: [String] = []) throws {
    var command: [String]
    if name.hasSuffix(".swift") {
      let module = String(name.prefix { $0 != "." })
      command = ["swiftc", "-c", "-parse-as-library", "-module-name", module] + swift.flags
    } else if name.hasSuffix(".cpp") {
      command = [toolchain.cxx, "-std=c++20", "-c"] + toolchain.flags
    } else {
      command = [toolchain.c, "-c"] + toolchain.flags
    }
    let target = object ?? Workbench.object(of: name) ?? name + ".o"
    // gcc writes such an object twice: the second time without what it has put into the other file. A test counts one edit.
    let isWrittenTwice = toolchain.flags.contains("-gsplit-dwarf")
    let output = isWrittenTwice ? "split-\(name).o" : target
    command += flags + [name, "-o", output]
    try Tool.output(command[0], Array(command.dropFirst()), directory: folder.root)
    if isWrittenTwice { try shell("mv \(output) \(target)") }
  }

  /// The bytes of an object made of a text outside the build folder.
  func object(_ name: String, _ text: String, flags: [String] = []) throws -> [UInt8] {
    try write(name, text)
    try compile(name, to: "outside.o", flags: flags)
    return folder.bytes("outside.o")
  }

  /// Puts bytes into the build folder under a name, in one step.
  func install(_ bytes: [UInt8], as name: String) throws {
    let temporary = try folder.write(bytes, to: "install.tmp")
    guard rename(temporary, folder.path("build/" + name)) == 0 else {
      throw Tool.Failure(description: "rename to \(name): \(String(cString: strerror(errno)))")
    }
  }

  /// A file in the program's working directory, by which a test tells it something.
  func touch(_ name: String) throws { try folder.write("", to: name) }

  func shell(_ commands: String) throws {
    try Tool.output("/bin/sh", ["-ec", commands], directory: folder.root)
  }
}
