// Shared objects and executables out of sources, with what they need: made at first use by the compilers
// and linkers people use, and kept by a hash of all that goes into them. Each has a DT_SONAME and finds
// what it needs by DT_RUNPATH, so that the process's own loader can load the same files: the oracle.
import Foundation

/// A shared object or an executable, by its source.
package struct SharedObject: Sendable, CustomStringConvertible {
  package enum Kind: Sendable { case library, executable }

  package var name: String
  package var kind: Kind
  package var compiler: Compiler
  package var flags: [String]
  package var needs: [SharedObject]
  /// Files of the system that it needs.
  package var libraries: [String]
  package var source: String

  package init(
    _ name: String, _ compiler: Compiler, kind: Kind = .library, flags: [String] = [],
    needs: [SharedObject] = [], libraries: [String] = [], _ source: String
  ) {
    self.name = name
    self.kind = kind
    self.compiler = compiler
    self.flags = flags
    self.needs = needs
    self.libraries = libraries
    self.source = source
  }

  /// In C, by gcc.
  package init(
    _ name: String, kind: Kind = .library, flags: [String] = [], needs: [SharedObject] = [],
    libraries: [String] = [], _ source: String
  ) {
    self.init(name, .gcc, kind: kind, flags: flags, needs: needs, libraries: libraries, source)
  }

  package var description: String { name }
  /// Its file's name, which is its DT_SONAME too.
  package var fileName: String { kind == .library ? "lib\(name).so" : name }

  /// The file.
  package func path() throws -> String {
    let key = try key()
    let folder = Compiled.folder.appending(path: "image.\(String(key, radix: 16))")
    let output = folder.appending(path: fileName)
    if FileManager.default.fileExists(atPath: output.path) { return output.path }
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let stem = "\(getpid()).\(UInt32.random(in: 0...UInt32.max))"
    let input = folder.appending(path: "\(stem).\(compiler.suffix)")
    let fresh = folder.appending(path: "\(stem).out")
    let script = folder.appending(path: "\(stem).map")
    try Data((source + "\n").utf8).write(to: input)
    defer {
      for file in [input, script] { try? FileManager.default.removeItem(at: file) }
    }
    var command = [compiler.program, "-O1", "-Wl,--no-as-needed"]
    if kind == .library {
      command += ["-shared", "-fPIC", "-Wl,-soname,\(fileName)"]
    }
    for flag in flags {
      // A version script is part of the fixture.
      if let text = flag.dropping(prefix: "version-script:") {
        try Data(text.utf8).write(to: script)
        command.append("-Wl,--version-script,\(script.path)")
      } else {
        command.append(flag)
      }
    }
    command += ["-o", fresh.path, input.path]
    for need in needs {
      let path = try need.path()
      command += [path, "-Wl,-rpath,\((path as NSString).deletingLastPathComponent)"]
    }
    try Compiled.run(command + libraries)
    guard rename(fresh.path, output.path) == 0 else {
      throw CommandFailure(description: "rename to \(output.path): \(errno)")
    }
    return output.path
  }

  package func bytes() throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(filePath: try path())))
  }

  private func key() throws -> UInt64 {
    var parts = [name, "\(kind)", compiler.rawValue, Compiled.identity(of: compiler), source]
    parts += flags + libraries
    for need in needs { parts.append(String(try need.key())) }
    return Compiled.fingerprint(parts.joined(separator: "\u{1}"))
  }
}

extension String {
  fileprivate func dropping(prefix: String) -> String? {
    hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
  }
}
