// What a file is, from its first bytes. gABI, “ELF Identification”.
internal import CLoaderSupport

/// The kind of a file, from its first bytes.
package enum FileKind: Equatable {
  case object, sharedObject, executable, core
  case archive, thinArchive
  case llvmBitcode
  case otherMachine(String)
  case unknown([UInt8])
}

package enum Identification {
  package static func kind(of bytes: Bytes) -> FileKind {
    let start = bytes.slice(0, UInt64(min(bytes.count, 16)))?.array ?? []
    if start.starts(with: Array("!<arch>\n".utf8)) { return .archive }
    if start.starts(with: Array("!<thin>\n".utf8)) { return .thinArchive }
    if start.starts(with: [0x42, 0x43, 0xC0, 0xDE]) { return .llvmBitcode }
    guard start.starts(with: [0x7F, 0x45, 0x4C, 0x46]), start.count >= 6 else {
      return .unknown(Array(start.prefix(8)))
    }
    guard start[Int(EI_CLASS)] == UInt8(ELFCLASS64), start[Int(EI_DATA)] == UInt8(ELFDATA2LSB)
    else { return .otherMachine(machineName(of: bytes, start)) }
    guard let header = bytes.load(Elf64_Ehdr.self, at: 0) else { return .unknown(start) }
    guard Int32(header.e_machine) == EM_X86_64 else {
      return .otherMachine(machineName(of: bytes, start))
    }
    switch Int32(header.e_type) {
    case ET_REL: return .object
    case ET_DYN: return .sharedObject
    case ET_EXEC: return .executable
    case ET_CORE: return .core
    default: return .unknown(start)
    }
  }

  private static func machineName(of bytes: Bytes, _ start: [UInt8]) -> String {
    let big = start[Int(EI_DATA)] == UInt8(ELFDATA2MSB)
    let raw = bytes.load(UInt16.self, at: 18) ?? 0
    let machine = Int32(big ? raw.byteSwapped : raw)
    let name: String
    switch machine {
    case EM_386: name = "x86"
    case EM_X86_64: name = "x86-64"
    case EM_AARCH64: name = "aarch64"
    case EM_ARM: name = "arm"
    case EM_RISCV: name = "riscv"
    case EM_PPC64: name = "ppc64"
    case EM_S390: name = "s390"
    case EM_MIPS: name = "mips"
    default: name = "machine \(machine)"
    }
    let bits = start[Int(EI_CLASS)] == UInt8(ELFCLASS32) ? "32-bit" : "64-bit"
    return "\(name), \(bits), \(big ? "big" : "little")-endian"
  }
}
