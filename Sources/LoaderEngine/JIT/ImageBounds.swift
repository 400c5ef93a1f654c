// The symbols that a linker makes: where the parts of an image begin and end. ld's default script, “PROVIDE”;
// gABI, “Initialization and Termination Functions”.
internal import CLoaderSupport

/// Where the parts of a linked set are.
package struct ImageBounds: Sendable {
  /// An ELF header, where somebody asks for one.
  package var header = Address(0)
  package var text = AddressRange(start: Address(0), size: 0)
  /// What has first bytes, and what begins as zero.
  package var data = AddressRange(start: Address(0), size: 0)
  package var zeroes = AddressRange(start: Address(0), size: 0)
  package var preinitArray = AddressRange(start: Address(0), size: 0)
  package var initArray = AddressRange(start: Address(0), size: 0)
  package var finiArray = AddressRange(start: Address(0), size: 0)

  package init() {}

  /// What a linker's symbol stands for; nil for any other name.
  package func address(of name: NameView) -> Address? {
    guard name.count > 2 else { return nil }
    switch name.base.load(as: UInt8.self) {
    case UInt8(ascii: "e"):
      if name == "end" { return zeroes.end }
      if name == "edata" { return data.end }
      if name == "etext" { return text.end }
    case UInt8(ascii: "_"):
      if name == "_end" { return zeroes.end }
      if name == "_edata" { return data.end }
      if name == "_etext" || name == "__etext" { return text.end }
      if name == "__bss_start" { return zeroes.start }
      if name == "__ehdr_start" { return header }
      if name == "__init_array_start" { return initArray.start }
      if name == "__init_array_end" { return initArray.end }
      if name == "__fini_array_start" { return finiArray.start }
      if name == "__fini_array_end" { return finiArray.end }
      if name == "__preinit_array_start" { return preinitArray.start }
      if name == "__preinit_array_end" { return preinitArray.end }
      if name == "__rela_iplt_start" || name == "__rela_iplt_end" { return text.end }
    default: break
    }
    return nil
  }
}

extension LinkedSet {
  /// Whether somebody asks for the header that a linked file begins with.
  var wantsHeader: Bool {
    space.names.find("__ehdr_start") != nil
  }

  /// An ELF header of an image without segments, so that what reads it finds one (gABI: `Elf64_Ehdr`).
  static func writeHeader(at place: UnsafeMutableRawPointer) {
    var header = Elf64_Ehdr()
    header.e_ident = (
      0x7F, UInt8(ascii: "E"), UInt8(ascii: "L"), UInt8(ascii: "F"), UInt8(ELFCLASS64),
      UInt8(ELFDATA2LSB), UInt8(EV_CURRENT), 0, 0, 0, 0, 0, 0, 0, 0, 0
    )
    header.e_type = UInt16(ET_DYN)
    header.e_machine = UInt16(EM_X86_64)
    header.e_version = UInt32(EV_CURRENT)
    header.e_ehsize = UInt16(MemoryLayout<Elf64_Ehdr>.size)
    header.e_phentsize = UInt16(MemoryLayout<Elf64_Phdr>.size)
    place.storeBytes(of: header, as: Elf64_Ehdr.self)
  }
}

extension VersionedNames {
  /// Gives references that name a default version the number of the name without it.
  func settle(_ objects: [LinkedObject]) {
    guard isNeeded else { return }
    for linked in objects {
      for index in linked.globals.indices {
        linked.globals[index] = settled(linked.globals[index])
      }
    }
  }
}
