// How attributes are encoded (DWARF 5, section 7.5.6, and GNU's extensions): one row a form. And the tags that the
// layout guard knows.

/// DW_TAG_….
enum DebugTag {
  static let array: UInt16 = 0x01
  static let classType: UInt16 = 0x02
  static let enumeration: UInt16 = 0x04
  static let parameter: UInt16 = 0x05
  static let member: UInt16 = 0x0D
  static let pointer: UInt16 = 0x0F
  static let reference: UInt16 = 0x10
  static let structure: UInt16 = 0x13
  static let subroutine: UInt16 = 0x15
  static let typedef: UInt16 = 0x16
  static let union: UInt16 = 0x17
  static let unspecifiedParameters: UInt16 = 0x18
  static let variant: UInt16 = 0x19
  static let inheritance: UInt16 = 0x1C
  static let module: UInt16 = 0x1E
  static let memberPointer: UInt16 = 0x1F
  static let subrange: UInt16 = 0x21
  static let base: UInt16 = 0x24
  static let constant: UInt16 = 0x26
  static let enumerator: UInt16 = 0x28
  static let subprogram: UInt16 = 0x2E
  static let templateType: UInt16 = 0x2F
  static let variantPart: UInt16 = 0x33
  static let variable: UInt16 = 0x34
  static let volatile: UInt16 = 0x35
  static let restrict: UInt16 = 0x37
  static let namespace: UInt16 = 0x39
  static let unspecified: UInt16 = 0x3B
  static let rvalueReference: UInt16 = 0x42
  static let atomic: UInt16 = 0x47
}

/// DW_FORM_….
enum DebugForm {
  static let implicitConst: UInt16 = 0x21

  /// Bytes of a form; -1 when they vary.
  static func size(_ form: UInt16, _ widths: DebugWidths) -> Int {
    switch form {
    case 0x19, 0x21: 0  // flag_present, implicit_const
    case 0x0B, 0x0C, 0x11, 0x25, 0x29: 1  // data1, flag, ref1, strx1, addrx1
    case 0x05, 0x12, 0x26, 0x2A: 2
    case 0x27, 0x2B: 3
    case 0x06, 0x13, 0x1C, 0x28, 0x2C: 4  // data4, ref4, ref_sup4, strx4, addrx4
    case 0x07, 0x14, 0x20, 0x24: 8  // data8, ref8, ref_sig8, ref_sup8
    case 0x1E: 16
    case 0x01: Int(widths.addressSize)
    // strp, sec_offset, strp_sup, line_strp, GNU_ref_alt, GNU_strp_alt
    case 0x0E, 0x17, 0x1D, 0x1F, 0x1F20, 0x1F21: Int(widths.offsetSize)
    case 0x10: Int(widths.version <= 2 ? widths.addressSize : widths.offsetSize)
    default: -1
    }
  }

  static func skip(_ form: UInt16, _ cursor: inout DebugCursor, _ widths: DebugWidths) {
    if form == 0x08 { return cursor.skipText() }
    let size = size(form, widths)
    if size >= 0 { cursor.skip(size) } else { _ = read(form, 0, &cursor, widths) }
  }

  @inline(__always)
  static func read(
    _ form: UInt16, _ implicit: Int64, _ cursor: inout DebugCursor, _ widths: DebugWidths
  ) -> DebugValue {
    var value = DebugValue(form: form)
    switch form {
    case 0x0E, 0x1F, 0x17:  // strp, line_strp, sec_offset: the most frequent first
      value.number = widths.offsetSize == 4 ? cursor.take(UInt32.self) : cursor.take(UInt64.self)
    case 0x13, 0x06: value.number = cursor.take(UInt32.self)
    case 0x0B, 0x0C: value.number = cursor.take(UInt8.self)
    case 0x19: value.number = 1
    case 0x21: value.number = UInt64(bitPattern: implicit)
    case 0x08:
      value.number = UInt64(bitPattern: Int64(cursor.at))
      cursor.skipText()
    default: readRare(&value, &cursor, widths)
    }
    return value
  }

  @inline(never)
  private static func readRare(
    _ value: inout DebugValue, _ cursor: inout DebugCursor, _ widths: DebugWidths
  ) {
    func block(_ count: UInt64, _ value: inout DebugValue, _ cursor: inout DebugCursor) {
      value.number = UInt64(bitPattern: Int64(cursor.at))
      value.count = UInt32(clamping: count)
      cursor.skip(Int(clamping: count))
    }
    switch value.form {
    case 0x27, 0x2B:
      let low = cursor.take(UInt16.self)
      value.number = low | cursor.take(UInt8.self) << 16
    case 0x1E:
      value.number = cursor.take(UInt64.self)
      cursor.skip(8)
    case 0x0D: value.number = UInt64(bitPattern: cursor.signed())
    case 0x0F, 0x15, 0x1A, 0x1B, 0x22, 0x23, 0x1F01, 0x1F02: value.number = cursor.unsigned()
    case 0x03: block(cursor.take(UInt16.self), &value, &cursor)
    case 0x04: block(cursor.take(UInt32.self), &value, &cursor)
    case 0x0A: block(cursor.take(UInt8.self), &value, &cursor)
    case 0x09, 0x18: block(cursor.unsigned(), &value, &cursor)
    case 0x16:  // indirect
      let actual = UInt16(truncatingIfNeeded: cursor.unsigned())
      guard actual != 0x16, actual != implicitConst else {
        _ = cursor.fail()
        return
      }
      value = read(actual, 0, &cursor, widths)
    default:
      let size = size(value.form, widths)
      if size > 0 { value.number = cursor.word(size) } else { _ = cursor.fail() }
    }
  }

  /// - Returns: false for operations on registers and frames, and for those not known.
  static func skipOperands(of operation: UInt64, _ cursor: inout DebugCursor) -> Bool {
    switch operation {
    case 0x06, 0x12...0x14, 0x16...0x22, 0x24...0x27, 0x29...0x2E, 0x30...0x4F, 0x96, 0x9F: break
    case 0x08, 0x09, 0x15, 0x94: cursor.skip(1)
    case 0x0A, 0x0B, 0x28, 0x2F: cursor.skip(2)
    case 0x0C, 0x0D: cursor.skip(4)
    case 0x03, 0x0E, 0x0F: cursor.skip(8)
    case 0x10, 0x11, 0x23, 0x93, 0xA1, 0xA2, 0xA8, 0xFB: _ = cursor.unsigned()
    case 0x9D:
      _ = cursor.unsigned()
      _ = cursor.unsigned()
    default: return false
    }
    return true
  }

  /// DW_FORM_block…, exprloc.
  static func isBlock(_ form: UInt16) -> Bool {
    switch form {
    case 0x03, 0x04, 0x09, 0x0A, 0x18: true
    default: false
    }
  }

  /// DW_FORM_ref….
  static func isReference(_ form: UInt16) -> Bool {
    switch form {
    case 0x10...0x15, 0x1C, 0x20, 0x24, 0x1F20: true
    default: false
    }
  }

  /// A constant as a number: of one byte to eight, signed where the form says so.
  static func isConstant(_ form: UInt16) -> Bool {
    switch form {
    case 0x05, 0x06, 0x07, 0x0B, 0x0D, 0x0F, 0x21: true
    default: false
    }
  }
}
