// A relocation is a row of data: a name, a formula over S A P B G GOT L Z, and the field it is written
// to. Pure: no memory is mapped and nothing is looked up here. psABI AMD64, table 4.9.

/// What is computed. `S` symbol, `A` addend, `P` place, `G` GOT entry's offset, `Z` size.
package enum Formula: UInt8, BitwiseCopyable, Sendable {
  case none
  /// S + A
  case absolute
  /// S + A - P
  case pcRelative
  /// L + A - P: a call or jump, which may go through a stub
  case branch
  /// G + GOT + A - P: relative address of the symbol's GOT entry
  case gotEntryRelative
  /// G + A: offset of the GOT entry in the GOT
  case gotEntryOffset
  /// S + A - GOT
  case fromGOT
  /// L + A - GOT
  case branchFromGOT
  /// GOT + A - P
  case gotRelative
  /// Z + A
  case size
  /// offset from the thread pointer, local exec
  case threadOffset
  /// GOT entry that holds the offset from the thread pointer, relative
  case threadOffsetEntry
  /// offset inside the module's TLS block
  case moduleOffset
  /// GOT pair (module, offset) for `__tls_get_addr`, relative
  case generalDynamic
  /// GOT pair (module, 0), relative
  case localDynamic
  /// GOT pair (resolver, argument), relative
  case descriptor
  /// marks the call through a descriptor; writes nothing
  case descriptorCall
}

/// Where it is written: width and the range a value must lie in.
package enum Field: UInt8, BitwiseCopyable, Sendable {
  case none
  case word8, word16, word32, word64
  /// 32 bits, zero-extended by the processor
  case unsigned32
  /// 32 bits, sign-extended by the processor
  case signed32
  case signed16, signed8

  /// Width in bytes.
  package var width: Int {
    switch self {
    case .none: 0
    case .word8, .signed8: 1
    case .word16, .signed16: 2
    case .word32, .unsigned32, .signed32: 4
    case .word64: 8
    }
  }
}

/// One relocation type of one machine.
package struct RelocationRow {
  package let name: StaticString
  package let formula: Formula
  package let field: Field

  package init(_ name: StaticString, _ formula: Formula, _ field: Field) {
    self.name = name
    self.formula = formula
    self.field = field
  }
}

extension Field {
  /// Writes `value` at `place`; false, and nothing written, when it does not fit.
  @inline(__always)
  package func write(_ value: UInt64, at place: UnsafeMutableRawPointer) -> Bool {
    let signed = Int64(bitPattern: value)
    switch self {
    case .none: return true
    case .word64:
      place.storeBytes(of: value, as: UInt64.self)
    case .signed32:
      guard let narrow = Int32(exactly: signed) else { return false }
      place.storeBytes(of: narrow, as: Int32.self)
    case .unsigned32:
      guard let narrow = UInt32(exactly: value) else { return false }
      place.storeBytes(of: narrow, as: UInt32.self)
    case .word32:
      guard signed >= Int64(Int32.min), signed <= Int64(UInt32.max) else { return false }
      place.storeBytes(of: UInt32(truncatingIfNeeded: value), as: UInt32.self)
    case .signed16, .word16:
      let top = self == .word16 ? Int64(UInt16.max) : Int64(Int16.max)
      guard signed >= Int64(Int16.min), signed <= top else { return false }
      place.storeBytes(of: UInt16(truncatingIfNeeded: value), as: UInt16.self)
    case .signed8, .word8:
      let top = self == .word8 ? Int64(UInt8.max) : Int64(Int8.max)
      guard signed >= Int64(Int8.min), signed <= top else { return false }
      place.storeBytes(of: UInt8(truncatingIfNeeded: value), as: UInt8.self)
    }
    return true
  }
}
