// Another linker at the addresses we chose: ld.lld (-O0: it merges no strings), told by a linker script where each section of each object
// lies and where the GOT begins. Of two versions the newest is asked, which knows more relocations.
import Foundation

struct Oracle {
  /// The program that was made.
  let elf: ElfBytes
  private let names: [String: String]
  private let image: ElfBytes?

  /// ld.lld of the Swift toolchain, or the system's.
  static let program: String = {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    for folder in path.split(separator: ":") where access("\(folder)/swiftc", X_OK) == 0 {
      let sibling = "\(folder)/ld.lld"
      if access(sibling, X_OK) == 0 { return sibling }
    }
    return "ld.lld"
  }()

  /// - Parameters:
  ///   - files: the objects of `link`.
  ///   - options: of ld.lld.
  init(
    _ files: [String], at link: CheckedLink, _ options: [String] = [], in folder: TemporaryFolder
  ) throws {
    var names: [String: String] = [:]
    var lines: [(address: UInt64, text: String)] = []
    var threadLocal: [(offset: Int64, text: String)] = []
    for (number, section) in link.sections.enumerated() where section.size > 0 {
      let file = URL(filePath: section.image).lastPathComponent
      let name = ".link\(number)"
      let text = "{ *\(file)(\(section.name)) }"
      names["\(section.image) \(section.index)"] = name
      if section.flags.contains("t") {
        threadLocal.append((Int64(bitPattern: section.address), "\(name) : \(text)"))
      } else {
        lines.append((section.address, "\(name) 0x\(String(section.address, radix: 16)) : \(text)"))
      }
    }
    let after =
      (link.sections.map { $0.flags.contains("t") ? 0 : $0.address &+ $0.size }.max() ?? 0)
    let free = (max(after, link.gotStart) + 0x20000) & ~0xFFF
    lines.append(
      (link.gotStart, ".got.plt 0x\(String(link.gotStart, radix: 16)) : { *(.got.plt) }"))
    lines.append((free, ".got 0x\(String(free, radix: 16)) : { *(.got) }"))
    var script = "SECTIONS {\n"
    for line in lines.sorted(by: { $0.address < $1.address }) { script += line.text + "\n" }
    script += ". = 0x\(String(free + 0x10000, radix: 16));\n"
    for line in threadLocal.sorted(by: { $0.offset < $1.offset }) { script += line.text + "\n" }
    script += ".plt : { *(.plt) }\n.iplt : { *(.iplt) }\n"
    script += "/DISCARD/ : { *(.comment) *(.note*) *(.eh_frame) }\n}\n"
    let path = try folder.write(script, to: "layout.ld")
    let output = folder.path("oracle")
    let defines = link.defines.map { "--defsym=\($0.symbol)=\($0.address ?? 0)" }
    let outcome = try Tool.run(
      Oracle.program,
      ["-T", path, "-o", output, "-O0", "-z", "max-page-size=1", "-e", "0", "--no-gc-sections"]
        + defines + options + files)
    guard outcome.code == 0 else { throw Tool.Failure(description: outcome.stderr + script) }
    elf = try ElfBytes(output)
    image = options.contains("-shared") ? try ElfBytes(output, dynamic: true) : nil
    self.names = names
  }

  /// What the other linker made of a section.
  func bytes(_ section: CheckedLink.Section) throws -> [UInt8] {
    guard let name = names["\(section.image) \(section.index)"], let found = elf.section(name)
    else {
      throw Tool.Failure(description: "no \(section.name) of \(section.image)")
    }
    return Array(elf.contents(found))
  }

  /// The word at an address.
  func word(at address: UInt64) -> UInt64? {
    for section in elf.sections
    where section.isAllocated && section.hasBytes && section.flags & 0x400 == 0 {
      let inside = address &- section.address
      if inside < UInt64(section.size), UInt64(section.size) - inside >= 8 {
        return elf.number(section.offset + Int(inside), 8)
      }
    }
    return nil
  }

  /// What the dynamic linker is asked to write at an address: type, symbol, addend.
  func dynamic(at address: UInt64) -> [(type: Int, symbol: String, addend: Int64)] {
    guard let image else { return [] }
    return image.relocations.filter { $0.offset == address }.map {
      ($0.type, image.symbols[$0.symbol].name, $0.addend)
    }
  }
}
