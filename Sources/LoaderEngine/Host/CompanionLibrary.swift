// A shared object of a few hundred bytes, made in memory, that the process's own loader opens for what it asks: stacks
// that may be executed, or one place in all threads for the variables of a library that it needs. glibc grants
// both at any time, but only to images. gABI, chapter 5; psABI AMD64, R_X86_64_TPOFF64; Linux: memfd_create(2).
internal import CLoaderSupport
internal import Glibc
internal import SystemPackage

package enum CompanionLibrary {
  /// Makes the stacks of all threads executable, as ld.so does for a program that asks for it.
  ///
  /// - Returns: whether the process's loader did.
  package static func makeStacksExecutable() -> Bool {
    open(bytes(needing: nil, variable: nil, executableStack: true)) != nil
  }

  /// Opens a library so that its thread-local variables have the same place in all threads, as those of a
  /// program's own libraries have: code compiled for a program (initial-exec) can refer to them. It does
  /// nothing for libraries without such variables, and when there is no room left for them.
  static func openWithFixedThreadStorage(_ path: String) {
    guard let source = try? ImageSource(opening: FilePath(path)),
      let headers = try? ImageHeaders(source), headers.threadTemplate != nil,
      let contents = try? FileContents(reading: FilePath(path)),
      let sections = try? ImageSections(Bytes(contents), name: path),
      let variable = exportedVariable(sections)
    else { return }
    _ = open(bytes(needing: path, variable: variable, executableStack: false))
  }

  private static func exportedVariable(_ sections: ImageSections) -> String? {
    for index in sections.firstGlobal..<sections.symbols.count {
      let symbol = sections.symbols[index]
      if symbol.isThreadLocal, symbol.binding == UInt8(STB_GLOBAL), symbol.visibility == 0,
        symbol.st_shndx != 0
      {
        return sections.name(ofSymbol: index).string
      }
    }
    return nil
  }

  private static func open(_ image: [UInt8]) -> UnsafeMutableRawPointer? {
    let descriptor = hl_memfd_create("hotlink-companion")
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    guard write(descriptor, image, image.count) == image.count else { return nil }
    // By our own number: a debugger opens the name too, and its own descriptor of that number may be a pipe.
    return dlopen("/proc/\(getpid())/fd/\(descriptor)", RTLD_NOW | RTLD_GLOBAL)
  }

  /// The file: one writable segment with everything in it.
  private static func bytes(needing library: String?, variable: String?, executableStack: Bool)
    -> [UInt8]
  {
    var strings: [UInt8] = [0]
    func name(_ text: String?) -> UInt64 {
      guard let text else { return 0 }
      defer { strings += Array(text.utf8) + [0] }
      return UInt64(strings.count)
    }
    let neededName = name(library)
    let variableName = name(variable)
    let headers: UInt64 = 64 + 3 * 56
    let symbols = headers
    let hash = symbols + 2 * 24
    let relocations = hash + 8 * 3
    let word = relocations + 24
    let dynamic = word + 8
    let text = dynamic + 16 * 11
    let size = text + UInt64(strings.count)

    var image = LittleEndianBytes()
    image.put([0x7F, 0x45, 0x4C, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    image.put16(3, 62)  // ET_DYN, EM_X86_64
    image.put32(1)
    image.put64(0, 64, 0)
    image.put32(0)
    image.put16(64, 56, 3, 64, 0, 0)
    let segments: [(type: UInt32, flags: UInt32, offset: UInt64, size: UInt64, alignment: UInt64)] =
      [
        (1, 6, 0, size, 4096), (2, 6, dynamic, text - dynamic, 8),
        (0x6474_E551, executableStack ? 7 : 6, 0, 0, 16),
      ]
    for segment in segments {
      image.put32(segment.type, segment.flags)
      image.put64(segment.offset, segment.offset, segment.offset, segment.size, segment.size)
      image.put64(segment.alignment)
    }
    image.put64(0, 0, 0)  // the null symbol
    image.put32(UInt32(variableName))
    image.put([UInt8(STB_GLOBAL) << 4 | UInt8(STT_TLS), 0])
    image.put16(0)
    image.put64(0, 0)
    image.put32(1, 2, 0, 0, 0, 0)  // SysV hash: nothing is found here
    image.put64(word, 1 << 32 | 18, 0)  // R_X86_64_TPOFF64
    image.put64(0)
    if library != nil { image.put64(1, neededName) }
    image.put64(4, hash, 5, text, 6, symbols, 10, UInt64(strings.count), 11, 24)
    if variable != nil { image.put64(7, relocations, 8, 24, 9, 24) }
    while image.bytes.count < Int(text) { image.put64(0) }
    image.put(strings)
    return image.bytes
  }
}
