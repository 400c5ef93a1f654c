// What the records of an object say of themselves: symbols and relocations (gABI, “Symbol Table”, “Relocation”).
package import CLoaderSupport

/// Where a symbol of an object is defined (gABI: `st_shndx`).
package enum SymbolPlace: Equatable {
  case undefined, absolute, common
  case section(Int)
}

extension Elf64_Sym {
  package var type: UInt8 { st_info & 0xF }
  package var binding: UInt8 { st_info >> 4 }
  package var visibility: UInt8 { st_other & 3 }
  /// STV_INTERNAL or STV_HIDDEN.
  package var isHidden: Bool { visibility == 1 || visibility == 2 }
  package var isWeakBinding: Bool { binding == UInt8(STB_WEAK) }
  package var isUniqueBinding: Bool { binding == UInt8(STB_GNU_UNIQUE) }
  package var isThreadLocal: Bool { type == UInt8(STT_TLS) }
  /// Its value is its address: neither thread-local nor an IFUNC.
  @inline(__always)
  package var isPlain: Bool { type != UInt8(STT_TLS) && type != UInt8(STT_GNU_IFUNC) }
  package var isFunction: Bool { type == UInt8(STT_FUNC) || type == UInt8(STT_GNU_IFUNC) }
}

/// A relocation with its addend (gABI: `Elf64_Rela`).
package typealias Relocation = Elf64_Rela

extension Elf64_Rela {
  @inline(__always) package var type: UInt32 { UInt32(truncatingIfNeeded: r_info) }
  @inline(__always) package var symbol: Int { Int(r_info >> 32) }
}
