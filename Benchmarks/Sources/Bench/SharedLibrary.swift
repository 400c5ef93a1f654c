// The peer of every reload: the object is linked by `ld.lld -shared` and opened with dlopen, as
// home-made hot reloading does it.
internal import Glibc

/// A shared library of objects. Closed at the end of its life.
struct SharedLibrary: ~Copyable {
  private let handle: UnsafeMutableRawPointer

  /// Links objects into a file and opens it.
  init(linking objects: [String], to file: String, by linker: String, isGlobal: Bool = false) throws
  {
    // As compilers' drivers ask for it; exceptions are not found without.
    try Subprocess.run(linker, ["-shared", "--eh-frame-hdr", "-o", file] + objects)
    try self.init(opening: file, isGlobal: isGlobal)
  }

  /// - Parameter stays: its code is not unmapped at the end of its life.
  init(opening file: String, isGlobal: Bool = false, stays: Bool = false) throws {
    let mode = RTLD_NOW | (isGlobal ? RTLD_GLOBAL : RTLD_LOCAL) | (stays ? RTLD_NODELETE : 0)
    guard let handle = dlopen(file, mode) else {
      throw BenchError("dlopen: \(String(cString: dlerror()))")
    }
    self.handle = handle
  }

  deinit { dlclose(handle) }

  func function<Function>(_ name: String, as type: Function.Type = Function.self) throws -> Function
  {
    guard let symbol = dlsym(handle, name) else { throw BenchError("\(name): not found") }
    precondition(MemoryLayout<Function>.size == 8, "not a C function pointer type")
    // Sound: the caller names a @convention(c) type, which is one pointer.
    return unsafeBitCast(symbol, to: Function.self)
  }

  /// The `ld.lld` that the peers use: the one of the Swift toolchain, which is newer than Debian's.
  static func findLinker() throws -> String {
    if let swift = Subprocess.find("swiftc"), let path = try? Subprocess.resolve(swift) {
      let beside = path.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/ld.lld"
      if access(beside, X_OK) == 0 { return beside }
    }
    guard let linker = Subprocess.find("ld.lld") else {
      throw BenchError("no ld.lld beside swiftc and none in PATH")
    }
    return linker
  }
}
