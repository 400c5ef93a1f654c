// Sources into objects, by the compilers people use. An object is made at first use and kept in a
// temporary folder, by a hash of source, flags and compiler: a second process or run finds it there.
package import Foundation

/// A compiler that makes objects.
package enum Compiler: String, CaseIterable, Sendable, Codable {
  case gcc, gxx, clang, clangxx, swiftc, assembler

  var program: String {
    switch self {
    case .gcc, .assembler: "gcc"
    case .gxx: "g++"
    case .clang: "clang"
    case .clangxx: "clang++"
    case .swiftc: "swiftc"
    }
  }

  var suffix: String {
    switch self {
    case .gcc, .clang: "c"
    case .gxx, .clangxx: "cpp"
    case .swiftc: "swift"
    case .assembler: "s"
    }
  }

  fileprivate var flags: [String] {
    switch self {
    case .swiftc: ["-emit-object", "-parse-as-library", "-module-name", "Fixture"]
    default: ["-c"]
    }
  }
}

/// A command that did not end with success.
package struct CommandFailure: Error, CustomStringConvertible {
  package var description: String

  package init(description: String) { self.description = description }
}

package enum Compiled {
  /// Temporary files of all fixtures.
  package static let folder: URL = {
    let url = FileManager.default.temporaryDirectory
      .appending(path: "hotlink-fixtures-\(getuid())")
    try? FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    return url
  }()

  /// The object a compiler makes of a source.
  package static func object(_ compiler: Compiler, _ source: String, flags: [String] = []) throws
    -> [UInt8]
  {
    [UInt8](try Data(contentsOf: file(compiler, source, compiler.flags + flags, suffix: "o")))
  }

  /// The shared object or executable that a compiler and its linker make of a source.
  ///
  /// - Parameter versions: a version script; nil: none.
  package static func image(
    _ compiler: Compiler, _ source: String, flags: [String], versions: String? = nil
  ) throws -> URL {
    var all = flags
    if let versions {
      let name = String(fingerprint(versions), radix: 16)
      let script = folder.appending(path: "\(name).map")
      try Data(versions.utf8).write(to: script, options: .atomic)
      all.append("-Wl,--version-script=\(script.path)")
    }
    return try file(compiler, source, all, suffix: "so")
  }

  private static func file(
    _ compiler: Compiler, _ source: String, _ flags: [String], suffix: String
  ) throws -> URL {
    let key = ([compiler.rawValue, identity(of: compiler), source] + flags)
      .joined(separator: "\u{1}")
    let name = String(fingerprint(key), radix: 16)
    let output = folder.appending(path: "\(name).\(suffix)")
    if FileManager.default.fileExists(atPath: output.path) { return output }
    let stem = "\(name).\(getpid()).\(UInt32.random(in: 0...UInt32.max))"
    let input = folder.appending(path: "\(stem).\(compiler.suffix)")
    let fresh = folder.appending(path: "\(stem).\(suffix)")
    try Data((source + "\n").utf8).write(to: input)
    defer { try? FileManager.default.removeItem(at: input) }
    try run([compiler.program] + flags + ["-o", fresh.path, input.path])
    defer { try? FileManager.default.removeItem(at: fresh) }
    // The first one made stays: a file in use must not become another, and names of temporary files in debug
    // data make two compilations differ.
    guard link(fresh.path, output.path) == 0 || errno == EEXIST else {
      throw CommandFailure(description: "link to \(output.path): \(errno)")
    }
    return output
  }

  /// An archive of members, made by `ar` with the given operation letters.
  package static func archive(
    _ members: [(name: String, bytes: [UInt8])], operation: String = "rcs"
  ) throws -> URL {
    let place = folder.appending(path: "archive.\(getpid()).\(UInt32.random(in: 0...UInt32.max))")
    try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
    var paths: [String] = []
    for member in members {
      let path = place.appending(path: member.name)
      try Data(member.bytes).write(to: path)
      paths.append(path.path)
    }
    let output = place.appending(path: "lib.a")
    try run(["ar", operation, output.path] + paths)
    return output
  }

  /// Runs a command of the path and waits for it.
  package static func run(_ arguments: [String]) throws {
    var pid = pid_t()
    let words = ["env"] + arguments
    var vector = words.map { strdup($0) } + [nil]
    defer { for word in vector { free(word) } }
    let code = posix_spawn(&pid, "/usr/bin/env", nil, nil, &vector, environ)
    guard code == 0 else { throw CommandFailure(description: "posix_spawn: \(code)") }
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 {
      guard errno == EINTR else { throw CommandFailure(description: "waitpid: \(errno)") }
    }
    guard status == 0 else {
      throw CommandFailure(description: "\(arguments.joined(separator: " ")): status \(status)")
    }
  }

  // Another version of a compiler makes another object.
  static func identity(of compiler: Compiler) -> String {
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
    for folder in folders {
      var status = stat()
      if stat("\(folder)/\(compiler.program)", &status) == 0 {
        return "\(status.st_ino) \(status.st_size) \(status.st_mtim.tv_sec)"
      }
    }
    return ""
  }

  static func fingerprint(_ text: String) -> UInt64 {
    text.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  }
}
