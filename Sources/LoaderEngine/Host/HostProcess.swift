// What the process already has. System libraries come from the process's own loader, never as a second
// copy. Linux: dlsym(3), dlopen(3), dladdr1(3).
internal import CLoaderSupport
internal import Glibc
internal import SystemPackage

/// The libraries of the process as a provider of symbols.
package final class HostProcess: @unchecked Sendable {
  package struct Found: Sendable {
    package var address: Address
    package var isFunction: Bool
    /// Bytes; 0 where the loader does not say.
    package var size: UInt64 = 0
  }

  // By symbol number: nil not asked yet.
  private var answers: [Found??] = []
  private var threadVariables: [SymbolID: ThreadVariable?] = [:]
  private var handles: [UnsafeMutableRawPointer] = []
  /// Libraries opened on request, by the name asked for.
  package private(set) var opened: [String] = []

  package init() {}

  /// The definition the process's global scope has for a name, or nil.
  package func find(_ id: SymbolID, _ name: NameView) -> Found? {
    let index = Int(id.index)
    if index >= answers.count {
      answers.append(contentsOf: repeatElement(nil, count: index + 1 - answers.count))
    }
    if let known = answers[index] { return known }
    let found = lookUp(name)
    answers[index] = .some(found)
    return found
  }

  /// A thread-local variable of one of the process's libraries.
  package struct ThreadVariable: Sendable {
    /// Module and offset in its block, for `__tls_get_addr`.
    package var module: UInt64
    package var offset: UInt64
    /// Offset from the thread pointer, the same in all threads; nil outside the static block.
    package var threadOffset: UInt64?
  }

  /// The thread-local variable the process's global scope has for a name, or nil.
  package func findThreadLocal(_ id: SymbolID, _ name: NameView) -> ThreadVariable? {
    if let known = threadVariables[id] { return known }
    let text = name.base.assumingMemoryBound(to: CChar.self)
    var found: ThreadVariable?
    var raw = hl_thread_variable()
    if let address = dlsym(nil, text), hl_host_tls(address, &raw) == 0 {
      found = ThreadVariable(
        module: raw.module, offset: raw.offset,
        threadOffset: raw.is_static != 0 ? UInt64(bitPattern: raw.thread_offset) : nil)
    }
    threadVariables[id] = .some(found)
    return found
  }

  /// A thread-local variable by the module id and offset that its library uses for it; nil when the
  /// process has no such module, or its block ends before.
  package func threadLocal(module: UInt64, offset: UInt64) -> ThreadVariable? {
    var raw = hl_thread_variable()
    guard hl_host_tls_offset(module, offset, &raw) == 0 else { return nil }
    return ThreadVariable(
      module: raw.module, offset: raw.offset,
      threadOffset: raw.is_static != 0 ? UInt64(bitPattern: raw.thread_offset) : nil)
  }

  /// Whether the process was asked for a name and had it.
  package func knows(_ id: SymbolID) -> Bool {
    let index = Int(id.index)
    guard index < answers.count, let answer = answers[index] else { return false }
    return answer != nil
  }

  private func lookUp(_ name: NameView) -> Found? {
    // Names handed in end in NUL: they come from a string table or from `SymbolNames`.
    let text = name.base.assumingMemoryBound(to: CChar.self)
    if let ours = hl_replaced_function(text) {
      return Found(address: Address(ours), isFunction: true)
    }
    var found =
      name.versionMark.map { mark in
        let version = name.dropFirst(mark + 1).string
        return hl_versioned_symbol(NameView(base: name.base, count: mark).string, version)
          .map { UnsafeMutableRawPointer(mutating: $0) }
      } ?? dlsym(nil, text)
    for handle in handles where found == nil { found = dlsym(handle, text) }
    guard let found else {
      return hl_static_libc_function(text).map { Found(address: Address($0), isFunction: true) }
    }
    // Unknown to the loader: an IFUNC's choice, or a function of the C library's own making.
    var size: UInt64 = 0
    let type = hl_symbol_type(found, &size)
    if type == STT_TLS { return nil }  // the calling thread's copy is no definition
    let isFunction = type < 0 || type == STT_FUNC || type == STT_GNU_IFUNC
    return Found(address: Address(UnsafeRawPointer(found)), isFunction: isFunction, size: size)
  }

  /// The process's object named `libNAME.so`, opened if it is not there yet (`-l` of a linker).
  ///
  /// - Throws: `LinkError.unsupported` with what the loader said.
  package func open(library name: String) throws(LinkError) {
    guard !opened.contains(name) else { return }
    let candidates = HostProcess.candidates(name)
    var message = ""
    for candidate in candidates {
      if let path = HostProcess.path(of: candidate) {
        CompanionLibrary.openWithFixedThreadStorage(path)
      }
      if let handle = dlopen(candidate, RTLD_NOW | RTLD_GLOBAL) {
        handles.append(handle)
        opened.append(name)
        for index in answers.indices where answers[index] == .some(nil) { answers[index] = nil }
        return
      }
      if message.isEmpty || candidate == candidates.last { message = String(cString: dlerror()) }
    }
    throw LinkError(
      file: name,
      .unsupported(what: message, help: "install the library, or pass its path"))
  }

  private static let directories = [
    "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/usr/local/lib",
  ]

  /// Where the process's loader will find a library, for looking into it first; nil when that is not plain.
  private static func path(of library: String) -> String? {
    if library.contains("/") { return library }
    let preferred = getenv("LD_LIBRARY_PATH").map { String(cString: $0) } ?? ""
    let all = preferred.split(separator: ":").map(String.init) + directories
    return all.map { "\($0)/\(library)" }.first { access($0, R_OK) == 0 }
  }

  /// How much thread-local storage a library has that `open` would find, in bytes; 0 when it is not plain.
  package static func threadStorageSize(ofLibrary name: String) -> UInt64 {
    for candidate in candidates(name) {
      guard let path = path(of: candidate), let source = try? ImageSource(opening: FilePath(path)),
        let headers = try? ImageHeaders(source)
      else { continue }
      return headers.threadTemplate?.size ?? 0
    }
    return 0
  }

  private static func candidates(_ name: String) -> [String] {
    name.contains("/") || name.contains(".so") ? [name] : ["lib\(name).so"] + numbered(name)
  }

  /// `libz.so` exists only with the development package; `libz.so.1` is what programs load.
  private static func numbered(_ name: String) -> [String] {
    HostProcess.directories.flatMap { directory in
      HostProcess.files(in: directory).filter { $0.hasPrefix("lib\(name).so.") }.map {
        "\(directory)/\($0)"
      }
    }.sorted { $0.count < $1.count }
  }

  /// Names of what is in a directory; nothing when it cannot be read.
  package static func files(in directory: String) -> [String] {
    guard let entries = opendir(directory) else { return [] }
    defer { closedir(entries) }
    var found: [String] = []
    while let entry = readdir(entries) {
      found.append(
        withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        })
    }
    return found
  }
}

extension HostProcess.Found: Equatable {}
